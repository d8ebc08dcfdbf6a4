// @ts-check
// The vowel synthesiser of relviz/corpora/cued.py in the page: the same cues give the same samples.

/**
 * What of a vowel can be turned, in Hz, dB per octave, and dB beside the voice.
 * @typedef {{F0: number, F1: number, F2: number, F3: number, tilt: number, noise: number}} Cues
 */

/**
 * What stays, as knob.py sends it. higher: F4 and F5. bandwidth: in Hz, of a resonance at 0 Hz and
 * for each Hz more. filter: second-order sections of the noise's band. level: RMS of the voice.
 * @typedef {object} Fixed
 * @property {number} rate Hz
 * @property {number} duration s
 * @property {number} fade s
 * @property {number} level
 * @property {number[]} higher Hz
 * @property {[number, number]} bandwidth
 * @property {number[][]} filter
 */

/** Hz, beyond which the voice has no harmonics, and where its slope is 0 dB. */
const TOP = 7900;
const LEVEL_AT = 100;

/**
 * Numbers from 0 to 1 that look drawn at random: mulberry32, as `uniform` of cued.py.
 * @param {number} count
 * @param {number} seed
 */
export function uniform(count, seed) {
  return Float64Array.from({ length: count }, (_, i) => {
    const state = (seed + Math.imul(0x6d2b79f5, i + 1)) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  });
}

/**
 * A signal through second-order sections, each [b0, b1, b2, 1, a1, a2], one after another.
 * @param {number[][]} sections
 * @param {Float64Array} signal
 */
export function filtered(sections, signal) {
  const found = signal.slice();
  for (const [b0, b1, b2, , a1, a2] of sections) {
    let [first, second] = [0, 0];
    for (let i = 0; i < found.length; i++) {
      const x = found[i];
      const y = b0 * x + first;
      first = b1 * x - a1 * y + second;
      second = b2 * x - a2 * y;
      found[i] = y;
    }
  }
  return found;
}

/**
 * Amplitude and phase of a vowel at a frequency, [real, imaginary]: the slope of the voice, and
 * digital resonances in a row.
 * @param {number} hertz
 * @param {Cues} cues
 * @param {Fixed} fixed
 * @returns {[number, number]}
 */
export function response(hertz, cues, fixed) {
  const { rate, higher, bandwidth } = fixed;
  const angle = (2 * Math.PI * hertz) / rate;
  let re = 10 ** ((cues.tilt * Math.log2(hertz / LEVEL_AT)) / 20);
  let im = 0;
  for (const formant of [cues.F1, cues.F2, cues.F3, ...higher]) {
    const radius = Math.exp((-Math.PI * (bandwidth[0] + bandwidth[1] * formant)) / rate);
    const middle = 2 * radius * Math.cos((2 * Math.PI * formant) / rate);
    const x = 1 - middle * Math.cos(angle) + radius ** 2 * Math.cos(2 * angle);
    const y = middle * Math.sin(angle) - radius ** 2 * Math.sin(2 * angle);
    const gain = (1 - middle + radius ** 2) / (x * x + y * y);
    [re, im] = [gain * (re * x + im * y), gain * (im * x - re * y)];
  }
  return [re, im];
}

/** @param {Float64Array} signal */
function rms(signal) {
  let power = 0;
  for (const v of signal) power += v * v;
  return Math.sqrt(power / signal.length);
}

/**
 * A vowel's voice alone: a sum of harmonics, of any loudness.
 * @param {Cues} cues
 * @param {Fixed} fixed
 * @param {number} samples
 * @param {number} start of a period
 */
function voiceOf(cues, fixed, samples, start) {
  const voice = new Float64Array(samples);
  for (let k = 1; k <= Math.floor(TOP / cues.F0); k++) {
    const [re, im] = response(k * cues.F0, cues, fixed);
    // the next sample is the last one, turned a little further
    const turn = (2 * Math.PI * k * cues.F0) / fixed.rate;
    const [c, s] = [Math.cos(turn), Math.sin(turn)];
    const begin = 2 * Math.PI * k * start;
    let x = re * Math.cos(begin) - im * Math.sin(begin);
    let y = re * Math.sin(begin) + im * Math.cos(begin);
    for (let i = 0; i < samples; i++) {
      voice[i] += x;
      const next = x * c - y * s;
      y = x * s + y * c;
      x = next;
    }
  }
  return voice;
}

/**
 * A vowel of its cues, as `synthesise` of cued.py makes it, without a tone.
 * @param {Cues} cues
 * @param {Fixed} fixed
 * @param {number} seed of the noise, and of where in a period the voice begins
 */
export function synthesise(cues, fixed, seed = 0) {
  const { rate, duration, fade, level, filter } = fixed;
  const samples = Math.round(duration * rate);
  const voice = voiceOf(cues, fixed, samples, uniform(1, seed)[0]);
  const hiss = filtered(
    filter,
    uniform(samples, seed + 1).map((v) => 2 * v - 1),
  );
  const scale = 1 / rms(voice);
  const noise = 10 ** (cues.noise / 20) / rms(hiss);
  return Float32Array.from(voice, (v, i) => {
    const ramp = Math.min(1, Math.min(i, samples - 1 - i) / (rate * fade));
    return level * (scale * v + noise * hiss[i]) * (0.5 - 0.5 * Math.cos(Math.PI * ramp));
  });
}
