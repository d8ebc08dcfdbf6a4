// @ts-check
// What the live and the knob explorer compute with: the networks in this page, by onnxruntime-web,
// and the microphone. Windows in, probabilities and relevance out; nothing here draws.

/**
 * What a network says of windows: their probabilities one after another, the class that wins in
 * each, and the relevance of each, empty where a graph does not compute it.
 * @typedef {{probabilities: Float32Array, winner: number[], relevance: Float32Array}} Heard
 * `least` is the least gradient that passes a rectifier, of graphs that ask for it: see export.py.
 * @typedef {(windows: Float32Array, count: number, least?: number) => Promise<Heard>} Run
 * @typedef {(sofar: number, all: number) => void} Progress
 */

/**
 * Windows in samples; `first` is the centre of the first.
 * @typedef {{window: number, first: number, hop: number, count: number}} Plan
 */

/**
 * Each of `count` windows with zero mean and unit variance; constant ones become 0.
 * @param {Float32Array} windows
 * @param {number} count
 */
export function standardise(windows, count) {
  const size = windows.length / count;
  const scaled = new Float32Array(windows.length);
  for (let w = 0; w < windows.length; w += size) {
    let mean = 0;
    for (let i = 0; i < size; i++) mean += windows[w + i];
    mean /= size; // of equal samples this is exact, so that they become 0
    let variance = 0;
    for (let i = 0; i < size; i++) variance += (windows[w + i] - mean) ** 2 / size;
    const deviation = Math.sqrt(variance);
    if (deviation > 0) {
      for (let i = 0; i < size; i++) scaled[w + i] = (windows[w + i] - mean) / deviation;
    }
  }
  return scaled;
}

/** Let the page answer its reader. Timers would wait 4 ms, and a second in a hidden page. */
const breathe = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close(); // an open one would keep Node from ending
      resolve(null);
    };
    port2.postMessage(0);
  });

/**
 * Windows of `samples` that begin at `starts`, one after another; zeros beyond the ends.
 * @param {Float32Array} samples
 * @param {number[]} starts
 * @param {number} window
 */
export function cutWindows(samples, starts, window) {
  const cut = new Float32Array(starts.length * window);
  starts.forEach((start, w) => {
    const from = Math.max(0, start);
    cut.set(samples.subarray(from, Math.max(from, start + window)), w * window + from - start);
  });
  return cut;
}

/**
 * The factor that gives a signal unit RMS; 0 for silence.
 * @param {Float32Array} signal
 */
export function toUnitRms(signal) {
  let power = 0;
  for (const v of signal) power += (v * v) / signal.length;
  return power > 0 ? 1 / Math.sqrt(power) : 0;
}

/**
 * What a network hears in windows of `samples`: {rows: probabilities of each window, relevance}.
 * The relevance of each window gets unit RMS, and each sample the mean over the windows that cover
 * it, as in relviz.relevance_signal. Computes a few windows at a time, and rejects as soon as
 * `signal` is aborted.
 * @param {Run} run an engine's
 * @param {Float32Array} samples
 * @param {Plan} plan
 * @param {{signal?: AbortSignal, progress?: (done: number, all: number) => void, least?: number}} options
 */
export async function listen(run, samples, plan, { signal, progress = () => {}, least = 0 } = {}) {
  const { window, first, hop, count } = plan;
  const total = new Float64Array(samples.length);
  const covered = new Uint16Array(samples.length);
  /** @type {Float32Array[]} */
  const rows = [];
  const together = 4;
  for (let done = 0; done < count; done += together) {
    const n = Math.min(together, count - done);
    const starts = Array.from({ length: n }, (_, i) => first + (done + i) * hop - (window >> 1));
    const found = await run(standardise(cutWindows(samples, starts, window), n), n, least);
    signal?.throwIfAborted();
    const classes = found.probabilities.length / n;
    starts.forEach((start, w) => {
      rows.push(found.probabilities.slice(w * classes, (w + 1) * classes));
      const relevance = found.relevance.subarray(w * window, (w + 1) * window);
      const scale = toUnitRms(relevance);
      const end = Math.min(samples.length, start + window);
      for (let i = Math.max(0, start); i < end; i++) {
        total[i] += scale * relevance[i - start];
        covered[i] += 1;
      }
    });
    progress(done + n, count);
    await breathe();
    signal?.throwIfAborted();
  }
  return { rows, relevance: Float32Array.from(total, (v, i) => (covered[i] ? v / covered[i] : 0)) };
}

/**
 * A file of the site as an ArrayBuffer; progress(bytes so far, bytes in all or NaN).
 * @param {string} url
 * @param {Progress} progress
 */
async function download(url, progress) {
  const answer = await fetch(url);
  if (!answer.ok || !answer.body)
    throw Error(`${url.split("/").pop()} is missing (${answer.status})`);
  // what was compressed on its way is longer than its length says
  const packed = answer.headers.get("content-encoding");
  const length = packed ? NaN : Number(answer.headers.get("content-length") ?? NaN);
  const parts = [];
  let size = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    progress((size += value.length), length);
  }
  return new Blob(parts).arrayBuffer();
}

/**
 * Why the networks cannot run in this page; nothing where they can.
 * @param {string | undefined} assets
 */
export function whyNotHere(assets) {
  if (!assets) return "This page does not bring the networks along";
  if (!/^https?:/.test(assets)) return "A page that is opened as a file may not load the networks";
  if (typeof WebAssembly !== "object") {
    return "This browser has no WebAssembly to run the networks in";
  }
  return "";
}

/** @type {Promise<any> | null} onnxruntime-web, one for all explorers of a page */
let runtime = null;
/** @type {Map<string, Promise<Run>>} by the address of a network */
const engines = new Map();

/**
 * Load onnxruntime-web and one network, each once: a promise of run(windows, count), which gives
 * {probabilities, winner, relevance} of `count` windows, one after another in a Float32Array.
 * @param {string} assets URL of the site's static folder
 * @param {string} name of a network
 * @param {Progress} progress megabytes so far, in all or NaN
 * @returns {Promise<Run>}
 */
export function engine(assets, name, progress = () => {}) {
  const url = `${assets}live/${name}.onnx`;
  const before = engines.get(url);
  if (before) return before;
  const opened = open_(assets, url, progress);
  engines.set(url, opened);
  opened.catch(() => engines.delete(url)); // the next one may have more luck
  return opened;
}

/**
 * @param {string} assets
 * @param {string} url
 * @param {Progress} progress
 */
async function open_(assets, url, progress) {
  /** @type {Map<string, [number, number]>} */
  const loaded = new Map();
  /** @param {string} path */
  const fetched = (path) =>
    download(path, (size, length) => {
      loaded.set(path, [size, length]);
      const sums = [0, 1].map((k) => [...loaded.values()].reduce((sum, pair) => sum + pair[k], 0));
      progress(sums[0] / 1e6, sums[1] / 1e6);
    });
  const folder = `${assets}vendor/onnxruntime-web/`;
  runtime ??= (async () => {
    const [ort, binary] = await Promise.all([
      import(`${folder}ort.wasm.min.mjs`),
      fetched(`${folder}ort-wasm-simd-threaded.wasm`),
    ]);
    Object.assign(ort.env.wasm, { numThreads: 1, wasmPaths: folder, wasmBinary: binary });
    return ort;
  })();
  runtime.catch(() => (runtime = null));
  const [graph, ort] = await Promise.all([fetched(url), runtime]);
  const session = await ort.InferenceSession.create(new Uint8Array(graph));
  return oneByOne(ort, session);
}

/**
 * An engine that runs one thing at a time, as its session must.
 * @param {any} ort
 * @param {any} session
 * @returns {Run}
 */
function oneByOne(ort, session) {
  /** @type {Promise<unknown>} */
  let before = Promise.resolve();
  return (windows, count, least = 0) => {
    const run = async () => {
      /** @type {Record<string, any>} */
      const feeds = {
        windows: new ort.Tensor("float32", windows, [count, windows.length / count]),
      };
      if (session.inputNames.includes("least")) {
        feeds.least = new ort.Tensor("float32", Float32Array.of(least), []);
      }
      const { probabilities, winner, relevance } = await session.run(feeds);
      return {
        probabilities: probabilities.data,
        winner: Array.from(winner.data, Number),
        relevance: relevance?.data ?? new Float32Array(0), // of a graph without a way back
      };
    };
    const mine = before.then(run);
    before = mine.catch(() => {});
    return mine;
  };
}

const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[channel]]) {
    if (channel) this.port.postMessage(channel.slice());
    return true;
  }
});`;

/**
 * Open the microphone: {rate, last(seconds): samples, close()}; keeps the last `seconds`.
 * @param {number} seconds
 */
export async function microphone(seconds) {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: plain });
  const context = new AudioContext();
  const close = () => {
    stream.getTracks().forEach((track) => track.stop());
    return context.close();
  };
  try {
    const address = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
    await context.audioWorklet.addModule(address);
    URL.revokeObjectURL(address);
  } catch (error) {
    close();
    throw error;
  }
  const rate = context.sampleRate;
  const ring = new Float32Array(Math.round(seconds * rate));
  let heard = 0;
  const tap = new AudioWorkletNode(context, "tap", {
    numberOfOutputs: 0,
    channelCount: 1,
    channelCountMode: "explicit",
  });
  tap.port.onmessage = ({ data }) => {
    ring.copyWithin(0, data.length);
    ring.set(data, ring.length - data.length);
    heard += data.length;
  };
  context.createMediaStreamSource(stream).connect(tap);
  await context.resume();
  return {
    rate,
    close,
    /** @param {number} span */
    last: (span) => ring.slice(-Math.max(1, Math.min(heard, ring.length, Math.round(span * rate)))),
  };
}
