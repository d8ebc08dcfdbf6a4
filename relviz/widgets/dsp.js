// @ts-check
// Signal analysis in the browser, the same as relviz.acoustics and relviz.spectral do it in Python.
// Pure functions of arrays; tests/widgets/test_dsp.py holds them against the library.

/**
 * @typedef {ArrayLike<number>} Samples
 * @typedef {"hann" | "hamming" | "boxcar"} Taper
 * @typedef {{start: number, step: number, hertz: number[]}} Contour F0 over time: s, s, Hz or NaN
 */

/** @type {Map<number, [Float64Array, Float64Array]>} */
const circles = new Map(); // n -> cosines and sines of k / n turns, which an FFT asks for often

/**
 * @param {number} n
 * @returns {[Float64Array, Float64Array]}
 */
function circle(n) {
  let found = circles.get(n);
  if (!found) {
    const angles = Float64Array.from({ length: n / 2 }, (_, k) => (2 * Math.PI * k) / n);
    found = [angles.map(Math.cos), angles.map(Math.sin)];
    circles.set(n, found);
  }
  return found;
}

/**
 * In-place radix-2 FFT of n = 2^k complex numbers; `sign` -1 forward, +1 backward, unscaled.
 * @param {Float64Array} re
 * @param {Float64Array} im
 */
export function fft(re, im, sign = -1) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  const [cosines, sines] = circle(n);
  for (let size = 2; size <= n; size <<= 1) {
    const half = size >> 1;
    for (let k = 0; k < half; k++) {
      const c = cosines[(k * n) / size];
      const s = sign * sines[(k * n) / size];
      for (let a = k; a < n; a += size) {
        const b = a + half;
        const x = re[b] * c - im[b] * s;
        const y = re[b] * s + im[b] * c;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

/**
 * DFT of a real frame, zero-padded to `n` = 2^k: {re, im}, bins 0 to n / 2.
 * @param {Samples} frame
 * @param {number} n
 */
export function rfft(frame, n) {
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  re.set(frame);
  fft(re, im);
  return { re: re.subarray(0, n / 2 + 1), im: im.subarray(0, n / 2 + 1) };
}

/**
 * |DFT| of a real frame, zero-padded to `n` = 2^k: bins 0 to n / 2.
 * @param {Samples} frame
 * @param {number} n
 */
export function magnitude(frame, n) {
  const { re, im } = rfft(frame, n);
  return re.map((value, k) => Math.hypot(value, im[k]));
}

/**
 * A periodic window of `size` > 1 samples, as scipy.signal.get_window gives it.
 * @param {Taper} name
 * @param {number} size
 */
export function taper(name, size) {
  const cosine = { hann: [0.5, 0.5], hamming: [0.54, 0.46], boxcar: [1, 0] }[name];
  return Float64Array.from(
    { length: size },
    (_, i) => cosine[0] - cosine[1] * Math.cos((2 * Math.PI * i) / size),
  );
}

/**
 * `size` samples around sample `centre`, windowed; zeros beyond the ends.
 * @param {Samples} wave
 * @param {number} centre
 * @param {Float64Array} window
 */
export function frameAt(wave, centre, window) {
  const start = Math.round(centre) - (window.length >> 1);
  return window.map((w, i) => w * (wave[start + i] ?? 0));
}

/**
 * Magnitudes of frames: {columns: Float64Array[], bins, step}; frame m is centred on m * step.
 * @param {Samples} wave
 * @param {{size?: number, step?: number, n?: number, name?: Taper}} settings
 */
export function spectrogram(wave, { size = 400, step = 80, n = 512, name = "hann" } = {}) {
  const window = taper(name, size);
  const columns = [];
  for (let at = 0; at < wave.length; at += step) {
    columns.push(magnitude(frameAt(wave, at, window), n));
  }
  return { columns, bins: n / 2 + 1, step };
}

/**
 * Autocorrelation at lags 0 to `lags`.
 * @param {Samples} frame
 * @param {number} lags
 */
export function autocorrelation(frame, lags) {
  const r = new Float64Array(lags + 1);
  for (let lag = 0; lag <= lags; lag++) {
    for (let i = lag; i < frame.length; i++) r[lag] += frame[i] * frame[i - lag];
  }
  return r;
}

/**
 * Linear prediction (autocorrelation method): {a: coefficients of A(z), a[0] = 1, error}; or null.
 * @param {Samples} frame
 */
export function lpc(frame, order = 16) {
  const r = autocorrelation(frame, order);
  if (!(r[0] > 0) || !Number.isFinite(r[0])) return null;
  const a = new Float64Array(order + 1);
  a[0] = 1;
  let error = r[0];
  for (let i = 1; i <= order; i++) {
    let sum = r[i];
    for (let j = 1; j < i; j++) sum += a[j] * r[i - j];
    const k = -sum / error;
    const before = a.slice(0, i);
    a[i] = k;
    for (let j = 1; j < i; j++) a[j] = before[j] + k * before[i - j];
    error *= 1 - k * k;
    if (!(error > 0)) return null;
  }
  return { a, error };
}

/**
 * Spectral envelope of a windowed frame by linear prediction, in the units of its |DFT|; or null.
 * @param {Samples} frame
 */
export function envelope(frame, n = 1024, order = 16) {
  const model = lpc(frame, order);
  if (!model) return null;
  const gain = Math.sqrt(model.error);
  return magnitude(model.a, n).map((value) => gain / value);
}

/**
 * 20 log10 of values relative to `top` (default: their maximum), not below `floor`.
 * @param {Float64Array | number[]} values
 * @param {number} floor
 * @param {number | null} top
 */
export function decibels(values, floor = -60, top = null) {
  let peak = top ?? 0;
  if (top === null) for (const value of values) peak = Math.max(peak, value);
  if (!(peak > 0)) return Float64Array.from(values, () => floor);
  return Float64Array.from(values, (v) => Math.max(floor, 20 * Math.log10(v / peak)));
}

/**
 * Greatest common divisor.
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
export function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

/**
 * Newton's step p / p' of a polynomial at x + iy; null where there is none to take.
 * @param {Samples} coefficients highest power first
 * @param {number[]} z [x, y]
 */
function newtonStep(coefficients, [x, y]) {
  let [p, q, dp, dq] = [coefficients[0], 0, 0, 0]; // the polynomial and its derivative, by Horner
  for (let k = 1; k < coefficients.length; k++) {
    [dp, dq] = [dp * x - dq * y + p, dp * y + dq * x + q];
    [p, q] = [p * x - q * y + coefficients[k], p * y + q * x];
  }
  const slope = dp * dp + dq * dq;
  if (!(slope > 0) || (p === 0 && q === 0)) return null;
  return [(p * dp + q * dq) / slope, (q * dp - p * dq) / slope];
}

/**
 * Sum of 1 / (z[i] - z[j]) over the other roots.
 * @param {number[][]} z
 * @param {number} i
 */
function repulsion(z, i) {
  let [c, d] = [0, 0];
  for (let j = 0; j < z.length; j++) {
    const [u, v] = [z[i][0] - z[j][0], z[i][1] - z[j][1]];
    const size = u * u + v * v;
    if (j === i || !(size > 0)) continue;
    c += u / size;
    d -= v / size;
  }
  return [c, d];
}

/**
 * Roots of a polynomial with real coefficients, highest power first: [[re, im], ...].
 * @param {Samples} coefficients
 */
export function roots(coefficients) {
  // Aberth's method: Newton's step for all roots at once, each kept away from the others
  const n = coefficients.length - 1;
  const radius = Math.pow(Math.abs(coefficients[n] / coefficients[0]) || 1e-12, 1 / n);
  const z = Array.from({ length: n }, (_, i) => {
    const angle = (2 * Math.PI * i) / n + 0.4; // off the axes, or pairs would never part
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
  for (let turn = 0; turn < 200; turn++) {
    let largest = 0;
    for (let i = 0; i < n; i++) {
      const straight = newtonStep(coefficients, z[i]);
      if (!straight) continue;
      const [[a, b], [c, d]] = [straight, repulsion(z, i)];
      const [e, f] = [1 - (a * c - b * d), -(a * d + b * c)];
      const size = e * e + f * f;
      if (!(size > 0)) continue;
      const step = [(a * e + b * f) / size, (b * e - a * f) / size];
      z[i] = [z[i][0] - step[0], z[i][1] - step[1]];
      largest = Math.max(largest, Math.hypot(...step));
    }
    if (largest < 1e-14) break;
  }
  return z;
}

/**
 * Formants of a windowed frame, as relviz.acoustics.frame_formants: Hz, NaN where there is none.
 * @param {Samples} frame
 * @param {number} rate
 * @param {{order?: number, count?: number, maxBandwidth?: number, lowest?: number}} settings
 */
export function frameFormants(
  frame,
  rate,
  { order = 16, count = 4, maxBandwidth = 500, lowest = 90 } = {},
) {
  const model = lpc(frame, order);
  /** @type {number[]} */
  const found = [];
  for (const [re, im] of model ? roots(model.a) : []) {
    const hertz = (Math.atan2(im, re) * rate) / (2 * Math.PI);
    const bandwidth = (-Math.log(Math.hypot(re, im)) * rate) / Math.PI;
    const inside = hertz > lowest && hertz < rate / 2 - lowest;
    if (im > 0 && bandwidth < maxBandwidth && inside) found.push(hertz);
  }
  found.sort((a, b) => a - b);
  return Array.from({ length: count }, (_, i) => found[i] ?? NaN);
}

/**
 * Formants around `centre` (s), as relviz.acoustics.formants: medians over frames, Hz or NaN.
 * @param {Samples} wave
 * @param {number} rate
 * @param {number} centre
 * @param {{frames?: number, step?: number, length?: number, window?: Taper, order?: number,
 *   count?: number, maxBandwidth?: number, lowest?: number}} settings
 */
export function formants(
  wave,
  rate,
  centre,
  { frames = 10, step = 0.01, length = 0.025, window = "hamming", ...settings } = {},
) {
  const shape = taper(window, Math.round(length * rate));
  const rows = Array.from({ length: frames }, (_, i) => {
    const at = (centre + (i - (frames - 1) / 2) * step) * rate;
    return frameFormants(frameAt(wave, at, shape), rate, settings);
  });
  return rows[0].map((_, k) => median(rows.map((row) => row[k]).filter(Number.isFinite)));
}

/**
 * Median; NaN of nothing.
 * @param {Samples} values
 */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  if (!sorted.length) return NaN;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * A signal's value between its samples: `depth` neighbours on each side, as Praat weights them.
 * @param {(index: number) => number} values
 * @param {number} x
 */
function between(values, x, depth = 30) {
  const left = Math.floor(x);
  const share = x - left;
  if (share === 0) return values(left);
  /** @param {number} step @param {number} first @param {number} distance */
  const side = (step, first, distance) => {
    let sum = 0;
    for (let k = 0; k < depth; k++) {
      const angle = Math.PI * (distance + k);
      const fade = 0.5 + 0.5 * Math.cos(angle / (depth + distance));
      sum += ((k % 2 ? -1 : 1) * values(first + step * k) * fade) / angle;
    }
    return sum * Math.sin(Math.PI * distance);
  };
  return side(-1, left, share) + side(1, left + 1, 1 - share);
}

// Praat's own settings for F0
const SILENCE = 0.03;
const VOICING = 0.45;
const OCTAVE = 0.01;
const JUMP = 0.35; // cost of an octave, and of voicing, between frames 10 ms apart
const CHANGE = 0.14;
const MOST_CANDIDATES = 15;

/**
 * What a frame may be: voiced with `hertz`, or not, with 0. value: what the path to here is worth;
 * rank: by which candidates are kept; from: the candidate before it on the best path.
 * @typedef {{hertz: number, value: number, rank: number, from: Candidate | null}} Candidate
 */

/**
 * What all frames have in common; `period`, `half` and `size` in samples.
 * @typedef {object} F0Settings
 * @property {number} rate Hz
 * @property {number} floor Hz
 * @property {number} ceiling Hz
 * @property {number} period the longest
 * @property {number} half of a frame
 * @property {number} size of a frame
 * @property {Float64Array} window
 * @property {(frame: Float64Array) => Float64Array} correlate
 * @property {Float64Array} own autocorrelation of the window
 * @property {number} loudest the greatest |sample|
 */

/**
 * Autocorrelation of frames by an FFT that leaves room for 1.5 `size`.
 * @param {number} size
 */
function correlator(size) {
  let n = 1;
  while (n < 1.5 * size) n *= 2;
  /** @param {Float64Array} frame */
  return (frame) => {
    const re = new Float64Array(n);
    const im = new Float64Array(n);
    re.set(frame);
    fft(re, im);
    re.forEach((v, k) => (re[k] = v * v + im[k] * im[k]));
    im.fill(0);
    fft(re, im);
    return re;
  };
}

/**
 * @param {Samples} wave
 * @param {number} rate
 * @param {number} floor
 * @param {number} ceiling
 * @returns {F0Settings}
 */
function f0Settings(wave, rate, floor, ceiling) {
  const period = Math.floor(rate / floor);
  const half = (Math.floor((3 * rate) / floor) >> 1) - 1;
  const size = 2 * half;
  const window = Float64Array.from(
    { length: size },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (size + 1)),
  );
  const correlate = correlator(size);
  let mean = 0;
  for (let i = 0; i < wave.length; i++) mean += wave[i];
  mean /= wave.length;
  let loudest = 0;
  for (let i = 0; i < wave.length; i++) loudest = Math.max(loudest, Math.abs(wave[i] - mean));
  const own = correlate(window);
  return { rate, floor, ceiling, period, half, size, window, correlate, own, loudest };
}

/**
 * The frame around a sample, windowed, without its mean; `peak`: its greatest |sample| near there.
 * @param {Samples} wave
 * @param {number} centre
 * @param {F0Settings} settings
 */
function f0Frame(wave, centre, { period, half, size, window }) {
  let local = 0;
  for (let k = -period; k < period; k++) local += wave[centre + k] ?? 0;
  local /= 2 * period;
  const frame = window.map((w, k) => w * ((wave[centre - half + k] ?? 0) - local));
  let peak = 0;
  const near = (period >> 1) + 1;
  for (let k = Math.max(0, half - near); k < Math.min(size, half + near); k++) {
    peak = Math.max(peak, Math.abs(frame[k]));
  }
  return { frame, peak };
}

/**
 * The maxima of a frame's autocorrelation, as candidates.
 * @param {Float64Array} frame
 * @param {F0Settings} settings
 */
function voicedCandidates(frame, { rate, floor, ceiling, size, correlate, own }) {
  const lags = size >> 1; // beyond half of the window its own autocorrelation is too small
  const longest = Math.min(Math.floor(size / 3) + 2, lags);
  const power = correlate(frame);
  const r = new Float64Array(lags + 1);
  for (let lag = 0; lag <= lags; lag++) r[lag] = power[lag] / power[0] / (own[lag] / own[0]);
  /** @param {number} lag */
  const even = (lag) => r[Math.abs(lag)] ?? 0;
  /** @type {Candidate[]} */
  const found = [];
  for (let lag = 2; lag < longest; lag++) {
    if (!(r[lag] > VOICING / 2 && r[lag] > r[lag - 1] && r[lag] >= r[lag + 1])) continue;
    const slope = (r[lag + 1] - r[lag - 1]) / 2;
    const at = lag + slope / (2 * r[lag] - r[lag - 1] - r[lag + 1]);
    const hertz = rate / at;
    const height = between(even, at);
    const strength = height > 1 ? 1 / height : height; // above 1 only where the window is too short
    const rank = strength - OCTAVE * Math.log2(floor / hertz);
    const value = strength - OCTAVE * Math.log2(ceiling / hertz);
    if (hertz < ceiling) found.push({ hertz, rank, value, from: null });
  }
  return found.sort((a, b) => b.rank - a.rank).slice(0, MOST_CANDIDATES - 1);
}

/**
 * What the frame around a sample may be: unvoiced, or one of some F0.
 * @param {Samples} wave
 * @param {number} centre
 * @param {F0Settings} settings
 * @returns {Candidate[]}
 */
function candidatesAt(wave, centre, settings) {
  const { frame, peak } = f0Frame(wave, centre, settings);
  const intensity = settings.loudest > 0 ? Math.min(1, peak / settings.loudest) : 0;
  const quiet = Math.max(0, 2 - intensity / (SILENCE / (1 + VOICING)));
  const unvoiced = { hertz: 0, value: VOICING + quiet, rank: 0, from: null };
  return [unvoiced, ...(peak > 0 ? voicedCandidates(frame, settings) : [])];
}

/**
 * F0 along the path through the candidates of all frames that is worth most; NaN where unvoiced.
 * @param {Candidate[][]} frames
 * @param {number} step s
 */
function bestPath(frames, step) {
  const [jump, change] = [JUMP * (0.01 / step), CHANGE * (0.01 / step)];
  /** @param {Candidate} a @param {Candidate} b */
  const cost = (a, b) => {
    if (!a.hertz && !b.hertz) return 0;
    if (!a.hertz || !b.hertz) return change;
    return jump * Math.abs(Math.log2(a.hertz / b.hertz));
  };
  for (let i = 1; i < frames.length; i++) {
    for (const candidate of frames[i]) {
      let best = -Infinity;
      for (const before of frames[i - 1]) {
        const value = before.value - cost(before, candidate);
        if (value > best) [best, candidate.from] = [value, before];
      }
      candidate.value += best;
    }
  }
  const hertz = [];
  /** @type {Candidate | null} */
  let here = frames[frames.length - 1].reduce((a, b) => (b.value > a.value ? b : a));
  for (; here; here = here.from) hertz.push(here.hertz || NaN);
  return hertz.reverse();
}

/**
 * F0 over time in the manner of Praat's autocorrelation method (Boersma 1993): {start, step, hertz}
 * in s and Hz, NaN where unvoiced. No frames where the wave is shorter than 3 periods of `floor`.
 * @param {Samples} wave
 * @param {number} rate
 * @returns {Contour}
 */
export function f0Contour(wave, rate, { floor = 75, ceiling = 500, step = 0.01 } = {}) {
  const count = Math.floor((wave.length / rate - 3 / floor) / step + 1e-9) + 1;
  const start = wave.length / rate / 2 - ((count - 1) * step) / 2;
  if (count < 1) return { start: 0, step, hertz: [] };
  const settings = f0Settings(wave, rate, floor, ceiling);
  const frames = Array.from({ length: count }, (_, i) => {
    const centre = Math.floor((start + i * step) * rate - 0.5) + 1; // the sample right of the middle
    return candidatesAt(wave, centre, settings);
  });
  return { start, step, hertz: bestPath(frames, step) };
}
