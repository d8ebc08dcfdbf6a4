// Signal analysis in the browser, the same as relviz.acoustics and relviz.spectral do it in Python.
// Pure functions of arrays; tests/widgets/test_dsp.py holds them against the library.

const circles = new Map(); // n -> cosines and sines of k / n turns, which an FFT asks for often

function circle(n) {
  if (!circles.has(n)) {
    const angles = Float64Array.from({ length: n / 2 }, (_, k) => (2 * Math.PI * k) / n);
    circles.set(n, [angles.map(Math.cos), angles.map(Math.sin)]);
  }
  return circles.get(n);
}

/** In-place radix-2 FFT of n = 2^k complex numbers; `sign` -1 forward, +1 backward, unscaled. */
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

/** DFT of a real frame, zero-padded to `n` = 2^k: {re, im}, bins 0 to n / 2. */
export function rfft(frame, n) {
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  re.set(frame);
  fft(re, im);
  return { re: re.subarray(0, n / 2 + 1), im: im.subarray(0, n / 2 + 1) };
}

/** |DFT| of a real frame, zero-padded to `n` = 2^k: bins 0 to n / 2. */
export function magnitude(frame, n) {
  const { re, im } = rfft(frame, n);
  return re.map((value, k) => Math.hypot(value, im[k]));
}

/** A periodic window of `size` > 1 samples, as scipy.signal.get_window gives it. */
export function taper(name, size) {
  const cosine = { hann: [0.5, 0.5], hamming: [0.54, 0.46], boxcar: [1, 0] }[name];
  return Float64Array.from(
    { length: size },
    (_, i) => cosine[0] - cosine[1] * Math.cos((2 * Math.PI * i) / size),
  );
}

/** `size` samples around sample `centre`, windowed; zeros beyond the ends. */
export function frameAt(wave, centre, window) {
  const start = Math.round(centre) - (window.length >> 1);
  return window.map((w, i) => w * (wave[start + i] ?? 0));
}

/** Magnitudes of frames: {columns: Float64Array[], bins, step}; frame m is centred on m * step. */
export function spectrogram(wave, { size = 400, step = 80, n = 512, name = "hann" } = {}) {
  const window = taper(name, size);
  const columns = [];
  for (let at = 0; at < wave.length; at += step) {
    columns.push(magnitude(frameAt(wave, at, window), n));
  }
  return { columns, bins: n / 2 + 1, step };
}

/** Autocorrelation at lags 0 to `lags`. */
export function autocorrelation(frame, lags) {
  const r = new Float64Array(lags + 1);
  for (let lag = 0; lag <= lags; lag++) {
    for (let i = lag; i < frame.length; i++) r[lag] += frame[i] * frame[i - lag];
  }
  return r;
}

/** Linear prediction (autocorrelation method): {a: coefficients of A(z), a[0] = 1, error}; or null. */
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

/** Spectral envelope of a windowed frame by linear prediction, in the units of its |DFT|; or null. */
export function envelope(frame, n = 1024, order = 16) {
  const model = lpc(frame, order);
  if (!model) return null;
  const gain = Math.sqrt(model.error);
  return magnitude(model.a, n).map((value) => gain / value);
}

/** 20 log10 of values relative to `top` (default: their maximum), not below `floor`. */
export function decibels(values, floor = -60, top = null) {
  let peak = top ?? 0;
  if (top === null) for (const value of values) peak = Math.max(peak, value);
  if (!(peak > 0)) return Float64Array.from(values, () => floor);
  return Float64Array.from(values, (v) => Math.max(floor, 20 * Math.log10(v / peak)));
}

/** Greatest common divisor. */
export function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

/** Roots of a polynomial with real coefficients, highest power first: [[re, im], ...]. */
export function roots(coefficients) {
  // Aberth's method: Newton's step for all roots at once, each kept away from the others
  const lead = coefficients[0];
  const n = coefficients.length - 1;
  const radius = Math.pow(Math.abs(coefficients[n] / lead) || 1e-12, 1 / n);
  const z = Array.from({ length: n }, (_, i) => {
    const angle = (2 * Math.PI * i) / n + 0.4; // off the axes, or pairs would never part
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
  for (let turn = 0; turn < 200; turn++) {
    let largest = 0;
    for (let i = 0; i < n; i++) {
      const [x, y] = z[i];
      let [p, q, dp, dq] = [lead, 0, 0, 0]; // the polynomial and its derivative, by Horner's rule
      for (let k = 1; k <= n; k++) {
        [dp, dq] = [dp * x - dq * y + p, dp * y + dq * x + q];
        [p, q] = [p * x - q * y + coefficients[k], p * y + q * x];
      }
      const slope = dp * dp + dq * dq;
      if (!(slope > 0) || (p === 0 && q === 0)) continue;
      const [a, b] = [(p * dp + q * dq) / slope, (q * dp - p * dq) / slope]; // Newton's step
      let [c, d] = [0, 0];
      for (let j = 0; j < n; j++) {
        const [u, v] = [x - z[j][0], y - z[j][1]];
        const size = u * u + v * v;
        if (j === i || !(size > 0)) continue;
        c += u / size;
        d -= v / size;
      }
      const [e, f] = [1 - (a * c - b * d), -(a * d + b * c)];
      const size = e * e + f * f;
      if (!(size > 0)) continue;
      const step = [(a * e + b * f) / size, (b * e - a * f) / size];
      z[i] = [x - step[0], y - step[1]];
      largest = Math.max(largest, Math.hypot(...step));
    }
    if (largest < 1e-14) break;
  }
  return z;
}

/** Formants of a windowed frame, as relviz.acoustics.frame_formants: Hz, NaN where there is none. */
export function frameFormants(
  frame,
  rate,
  { order = 16, count = 4, maxBandwidth = 500, lowest = 90 } = {},
) {
  const model = lpc(frame, order);
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

/** Formants around `centre` (s), as relviz.acoustics.formants: medians over frames, Hz or NaN. */
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

/** Median; NaN of nothing. */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  if (!sorted.length) return NaN;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** A signal's value between its samples: `depth` neighbours on each side, as Praat weights them. */
function between(values, x, depth = 30) {
  const left = Math.floor(x);
  const share = x - left;
  if (share === 0) return values(left);
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

/**
 * F0 over time in the manner of Praat's autocorrelation method (Boersma 1993): {start, step, hertz}
 * in s and Hz, NaN where unvoiced. No frames where the wave is shorter than 3 periods of `floor`.
 */
export function f0Contour(wave, rate, { floor = 75, ceiling = 500, step = 0.01 } = {}) {
  const silence = 0.03; // Praat's own settings
  const voicing = 0.45;
  const octave = 0.01;
  const jump = 0.35 * (0.01 / step);
  const change = 0.14 * (0.01 / step);
  const most = 15;

  const period = Math.floor(rate / floor);
  const half = (Math.floor((3 * rate) / floor) >> 1) - 1;
  const size = 2 * half;
  const count = Math.floor((wave.length / rate - 3 / floor) / step + 1e-9) + 1;
  const start = wave.length / rate / 2 - ((count - 1) * step) / 2;
  if (count < 1) return { start: 0, step, hertz: [] };

  let n = 1;
  while (n < 1.5 * size) n *= 2;
  const correlate = (frame) => {
    const re = new Float64Array(n);
    const im = new Float64Array(n);
    re.set(frame);
    fft(re, im);
    re.forEach((v, k) => (re[k] = v * v + im[k] * im[k]));
    im.fill(0);
    fft(re, im);
    return re;
  };
  const window = Float64Array.from(
    { length: size },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 1)) / (size + 1)),
  );
  const own = correlate(window);
  const lags = size >> 1; // beyond half of the window its own autocorrelation is too small
  const longest = Math.min(Math.floor(size / 3) + 2, lags);

  let mean = 0;
  for (const v of wave) mean += v;
  mean /= wave.length;
  let loudest = 0;
  for (const v of wave) loudest = Math.max(loudest, Math.abs(v - mean));

  const frames = Array.from({ length: count }, (_, i) => {
    const centre = Math.floor((start + i * step) * rate - 0.5) + 1; // the sample right of the middle
    let local = 0;
    for (let k = -period; k < period; k++) local += wave[centre + k] ?? 0;
    local /= 2 * period;
    const frame = window.map((w, k) => w * ((wave[centre - half + k] ?? 0) - local));
    let peak = 0;
    const near = (period >> 1) + 1;
    for (let k = Math.max(0, half - near); k < Math.min(size, half + near); k++) {
      peak = Math.max(peak, Math.abs(frame[k]));
    }
    const intensity = loudest > 0 ? Math.min(1, peak / loudest) : 0;
    const quiet = Math.max(0, 2 - intensity / (silence / (1 + voicing)));
    const candidates = [{ hertz: 0, value: voicing + quiet }];
    if (!(peak > 0)) return candidates;

    const power = correlate(frame);
    const r = new Float64Array(lags + 1);
    for (let lag = 0; lag <= lags; lag++) r[lag] = power[lag] / power[0] / (own[lag] / own[0]);
    const even = (lag) => r[Math.abs(lag)] ?? 0;
    for (let lag = 2; lag < longest; lag++) {
      if (!(r[lag] > voicing / 2 && r[lag] > r[lag - 1] && r[lag] >= r[lag + 1])) continue;
      const slope = (r[lag + 1] - r[lag - 1]) / 2;
      const at = lag + slope / (2 * r[lag] - r[lag - 1] - r[lag + 1]);
      const hertz = rate / at;
      const found = between(even, at);
      const strength = found > 1 ? 1 / found : found; // above 1 only where the window is too short
      const rank = strength - octave * Math.log2(floor / hertz);
      const value = strength - octave * Math.log2(ceiling / hertz);
      if (hertz < ceiling) candidates.push({ hertz, rank, value });
    }
    const voiced = candidates.slice(1).sort((a, b) => b.rank - a.rank);
    return [candidates[0], ...voiced.slice(0, most - 1)];
  });

  // the path through the candidates that is worth most
  const cost = (a, b) => {
    if (!a.hertz && !b.hertz) return 0;
    if (!a.hertz || !b.hertz) return change;
    return jump * Math.abs(Math.log2(a.hertz / b.hertz));
  };
  for (let i = 1; i < count; i++) {
    for (const candidate of frames[i]) {
      let best = -Infinity;
      for (const before of frames[i - 1]) {
        const value = before.value - cost(before, candidate);
        if (value > best) [best, candidate.from] = [value, before];
      }
      candidate.value += best;
    }
  }
  const hertz = new Array(count);
  let here = frames[count - 1].reduce((a, b) => (b.value > a.value ? b : a));
  for (let i = count - 1; i >= 0; i--) {
    hertz[i] = here.hertz || NaN;
    here = here.from;
  }
  return { start, step, hertz };
}
