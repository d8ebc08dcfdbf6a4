// @ts-check
// A reader's own file as one channel: read whole or refused, in the words of relviz.audio.

/** @typedef {Float32Array<ArrayBuffer>} Waveform */

const LARGEST_FILE = 2e8; // bytes: a browser decodes a file at once, in memory
const SLOWEST = 1000; // Hz
const FASTEST = 768000;
const LOUDEST = 8; // floats beyond it were never scaled to -1 to 1
const CANCELLED = 0.4; // of the channels' energy that their mean keeps, see relviz.audio
const SLACK = 0.1; // s: decoders cut what an encoder has added at both ends
const ALMOST = 0x7ffff000 - 0x1000; // sizes from here on are those of pipes

/**
 * What a file says of itself. seconds: how long it is; ends: whether a stream that marks its end has
 * that mark; floats: channels of a wav file of floats, at `rate`, as they are.
 * @typedef {object} Promised
 * @property {number} [seconds]
 * @property {number} [rate] Hz
 * @property {boolean} [ends]
 * @property {Float32Array[]} [floats]
 */

/**
 * Letters of a file.
 * @param {DataView} view
 * @param {number} at
 * @param {number} count
 */
function letters(view, at, count) {
  let found = "";
  for (let i = at; i < Math.min(at + count, view.byteLength); i++) {
    found += String.fromCharCode(view.getUint8(i));
  }
  return found;
}

/**
 * Channels of a wav file's 32-bit floats.
 * @param {DataView} view
 * @param {number} at
 * @param {number} frames
 * @param {number} channels
 */
function floatsOf(view, at, frames, channels) {
  return Array.from({ length: channels }, (_, c) =>
    Float32Array.from({ length: frames }, (_, i) =>
      view.getFloat32(at + 4 * (i * channels + c), true),
    ),
  );
}

/**
 * A wav file's length, against which the bytes that are there can be held. Sizes that pipes write
 * are mended in place, so that a decoder reads to the end.
 * @param {DataView} view
 * @returns {Promised}
 */
function promisedByWave(view) {
  const size = view.byteLength;
  let [rate, align, channels, isFloat] = [0, 0, 0, false];
  for (let at = 12; at + 8 <= size;) {
    const length = view.getUint32(at + 4, true);
    const name = letters(view, at, 4);
    if (name === "fmt " && at + 24 <= size) {
      const format = view.getUint16(at + 8, true);
      const inner = format === 0xfffe && at + 34 <= size ? view.getUint16(at + 32, true) : format;
      [channels, rate] = [view.getUint16(at + 10, true), view.getUint32(at + 12, true)];
      align = view.getUint16(at + 20, true);
      isFloat = inner === 3 && align === 4 * channels;
    }
    if (name === "data" && align && rate) {
      const behind = size - at - 8;
      const isPiped = length === 0 || length >= ALMOST;
      if (isPiped) {
        view.setUint32(at + 4, behind, true);
        view.setUint32(4, size - 8, true);
      }
      const claimed = isPiped ? behind : length;
      const frames = Math.floor(Math.min(claimed, behind) / align);
      const floats = isFloat ? floatsOf(view, at + 8, frames, channels) : undefined;
      return { seconds: Math.floor(claimed / align) / rate, rate, floats };
    }
    at += 8 + length + (length % 2);
  }
  return {};
}

/**
 * Whether the last page of an Ogg stream says that it is the last, and is there as a whole.
 * @param {DataView} view
 */
function oggEnds(view) {
  let at = view.byteLength - 27;
  while (at >= 0 && letters(view, at, 4) !== "OggS") at--;
  if (at < 0) return false;
  const count = view.getUint8(at + 26);
  if (at + 27 + count > view.byteLength) return false;
  let end = at + 27 + count;
  for (let i = 0; i < count; i++) end += view.getUint8(at + 27 + i);
  return (view.getUint8(at + 5) & 4) !== 0 && end <= view.byteLength;
}

/**
 * The length that the first frame of an MP3 file tells, where one does.
 * @param {DataView} view
 * @returns {Promised}
 */
function promisedByMp3(view) {
  let at = 0;
  if (letters(view, 0, 3) === "ID3") {
    for (let i = 6; i < 10; i++) at = (at << 7) | (view.getUint8(i) & 0x7f);
    at += 10;
  }
  const head = letters(view, at, 200);
  const place = Math.max(head.indexOf("Xing"), head.indexOf("Info"));
  if (place < 0 || at + place + 12 > view.byteLength) return {};
  if (!(view.getUint32(at + place + 4) & 1)) return {};
  const version = (view.getUint8(at + 1) >> 3) & 3;
  const rates = { 3: [44100, 48000, 32000], 2: [22050, 24000, 16000], 0: [11025, 12000, 8000] };
  const rate = rates[/** @type {0 | 2 | 3} */ (version)]?.[(view.getUint8(at + 2) >> 2) & 3];
  if (!rate) return {};
  return { seconds: (view.getUint32(at + place + 8) * (version === 3 ? 1152 : 576)) / rate };
}

/**
 * What a file says of itself; for formats that are not known here, nothing.
 * @param {ArrayBuffer} bytes sizes of pipes are mended in it
 * @returns {Promised}
 */
export function promised(bytes) {
  const view = new DataView(bytes);
  if (view.byteLength < 44) return {};
  const start = letters(view, 0, 4);
  if (start === "RIFF" && letters(view, 8, 4) === "WAVE") return promisedByWave(view);
  if (start === "fLaC") {
    const rate = (view.getUint16(18) << 4) | (view.getUint8(20) >> 4);
    const samples = (view.getUint8(21) & 15) * 2 ** 32 + view.getUint32(22);
    return samples && rate ? { seconds: samples / rate } : {};
  }
  if (start === "OggS") return { ends: oggEnds(view) };
  const isMp3 = view.getUint8(0) === 0xff && (view.getUint8(1) & 0xe6) === 0xe2;
  return isMp3 || start.startsWith("ID3") ? promisedByMp3(view) : {};
}

/**
 * Refuse samples that are NaN or infinite, and all that are the same.
 * @param {Float32Array} samples
 * @param {string} name
 */
export function checkSamples(samples, name) {
  if (!samples.length) throw Error(`${name} has 0 samples: use a longer recording.`);
  const bad = samples.reduce((n, v) => n + Number(!Number.isFinite(v)), 0);
  if (bad) {
    const first = samples.findIndex((v) => !Number.isFinite(v));
    throw Error(
      `${name} holds ${bad} samples that are NaN or infinite, the first at index ${first}: repair or cut the recording.`,
    );
  }
  if (samples.every((v) => v === samples[0])) {
    throw Error(
      `${name} is silent (every sample is ${Number(samples[0].toPrecision(6))}): use another recording.`,
    );
  }
}

/**
 * The energy of a signal about its mean, a sample.
 * @param {Float32Array} samples
 */
function energy(samples) {
  const mean = samples.reduce((sum, v) => sum + v, 0) / samples.length;
  return samples.reduce((sum, v) => sum + (v - mean) ** 2, 0) / samples.length;
}

/**
 * The mean of all channels; where they cancel, the strongest, and a note.
 * @param {Float32Array[]} channels
 * @param {string} name
 * @returns {{samples: Waveform, notes: string[]}}
 */
export function oneChannel(channels, name) {
  const mixed = Float32Array.from(
    channels[0],
    (_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length,
  );
  const energies = channels.map(energy);
  const whole = energies.reduce((sum, v) => sum + v, 0) / channels.length;
  const left = energy(mixed);
  // with NaN neither comparison holds, and the mixture keeps it
  if (channels.length === 1 || !(left < CANCELLED * whole)) return { samples: mixed, notes: [] };
  const strongest = energies.indexOf(Math.max(...energies));
  const share = Math.round((100 * left) / whole);
  return {
    samples: Float32Array.from(channels[strongest]),
    notes: [
      `${name} has ${channels.length} channels that cancel each other (their mean keeps ${share}% of the energy): channel ${strongest}, the strongest, was taken.`,
    ],
  };
}

/**
 * Floats in the range of 16-bit integers, brought to -1 to 1 in place: a note, if so.
 * @param {Float32Array[]} channels
 * @param {string} name
 */
export function withinOne(channels, name) {
  let peak = 0;
  for (const channel of channels) {
    for (const v of channel) if (Math.abs(v) > peak) peak = Math.abs(v);
  }
  if (peak <= LOUDEST || peak === Infinity) return [];
  const loud = String(Number(peak.toPrecision(6)));
  if (peak > 32768) {
    throw Error(
      `${name} has samples of up to ${loud}: divide them by the largest number of the format that they came from.`,
    );
  }
  for (const channel of channels) channel.forEach((v, i) => (channel[i] = v / 32768));
  return [
    `${name} has samples of up to ${loud}, the range of 16-bit integers: they were divided by 32768.`,
  ];
}

/**
 * Samples as a wav file of 32-bit floats, which `decode` brings to any rate.
 * @param {ArrayLike<number>} samples
 * @param {number} rate
 */
export function wavFile(samples, rate) {
  const head = new DataView(new ArrayBuffer(44));
  /** @param {number} at @param {string} word */
  const text = (at, word) => [...word].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + 4 * samples.length, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 3, true); // floats
  head.setUint16(22, 1, true); // one channel
  head.setUint32(24, rate, true);
  head.setUint32(28, 4 * rate, true);
  head.setUint16(32, 4, true);
  head.setUint16(34, 32, true);
  text(36, "data");
  head.setUint32(40, 4 * samples.length, true);
  return new Blob([head, Float32Array.from(samples)]);
}

/**
 * A file's channels at `rate`, as the browser decodes them.
 * @param {ArrayBuffer} bytes
 * @param {number} rate
 */
async function channelsOf(bytes, rate) {
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  return Array.from({ length: sound.numberOfChannels }, (_, c) => sound.getChannelData(c));
}

/**
 * Samples at another rate.
 * @param {ArrayLike<number>} samples
 * @param {number} from Hz
 * @param {number} to Hz
 * @returns {Promise<Waveform>}
 */
export async function resampled(samples, from, to) {
  if (from === to) return Float32Array.from(samples);
  const [found] = await channelsOf(await wavFile(samples, from).arrayBuffer(), to);
  return Float32Array.from(found);
}

/**
 * Refuse a file that holds less than it says.
 * @param {string} name
 * @param {Promised} says
 * @param {number} held s
 */
function checkWhole(name, says, held) {
  if (says.seconds !== undefined && held < says.seconds - SLACK) {
    throw Error(
      `${name} holds ${held.toFixed(1)} of ${says.seconds.toFixed(1)} s: it was cut off, so get it again.`,
    );
  }
  if (says.ends === false)
    throw Error(`${name} breaks off after ${held.toFixed(1)} s: get it again.`);
}

/**
 * A sound in the middle of zeros where it has fewer samples than `least`, else as it is; and a note.
 * @param {Waveform} samples
 * @param {number} least
 * @param {number} rate
 * @param {string} name
 * @returns {{samples: Waveform, notes: string[]}}
 */
export function amidZeros(samples, least, rate, name) {
  if (samples.length >= least) return { samples, notes: [] };
  const longer = new Float32Array(least);
  longer.set(samples, (least - samples.length) >> 1);
  const seconds = (samples.length / rate).toFixed(2);
  const note = `${name} lasts ${seconds} s and networks hear windows of up to ${least / rate} s: it stands between zeros.`;
  return { samples: longer, notes: [note] };
}

/**
 * A file's sound as one channel at `rate`, with notes on what was done to it; refused in a sentence.
 * @param {File} file
 * @param {number} rate
 * @param {number} [least] samples; a shorter sound stands between zeros
 * @returns {Promise<{samples: Waveform, notes: string[]}>}
 */
export async function readSound(file, rate, least = 0) {
  const found = await decoded(file, rate);
  const { samples, notes } = amidZeros(found.samples, least, rate, file.name);
  return { samples, notes: [...found.notes, ...notes] };
}

/**
 * @param {File} file
 * @param {number} rate
 * @returns {Promise<{samples: Waveform, notes: string[]}>}
 */
async function decoded(file, rate) {
  const { name } = file;
  if (name.startsWith("._")) {
    throw Error(
      `${name} holds what a Mac notes of a file, no sound: read ${name.slice(2)} beside it.`,
    );
  }
  if (file.size > LARGEST_FILE) {
    throw Error(
      `${name} has ${Math.round(file.size / 1e6)} MB: cut it to the part you want to see.`,
    );
  }
  const bytes = await file.arrayBuffer();
  const says = promised(bytes);
  if (says.rate !== undefined && !(SLOWEST <= says.rate && says.rate <= FASTEST)) {
    throw Error(
      `${name} says that it has ${says.rate} samples a second: give a recording of ${SLOWEST} to ${FASTEST}.`,
    );
  }
  if (says.floats && says.rate) {
    // as they are: a browser's decoder may hide what is wrong with them
    checkWhole(name, says, says.floats[0].length / says.rate);
    const scaled = withinOne(says.floats, name);
    const { samples, notes } = oneChannel(says.floats, name);
    checkSamples(samples, name);
    return { samples: await resampled(samples, says.rate, rate), notes: [...scaled, ...notes] };
  }
  const channels = await channelsOf(bytes, rate).catch(() => {
    throw Error(
      `${name} holds no sound that this browser can read: give a wav, flac, ogg or mp3 file.`,
    );
  });
  checkWhole(name, says, channels[0].length / rate);
  const found = oneChannel(channels, name);
  checkSamples(found.samples, name);
  return found;
}
