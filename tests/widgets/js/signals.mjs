// Signals and sums for the tests, written down as the definitions have them.
import assert from "node:assert/strict";

/**
 * Noise between -1 and 1, the same in every run.
 * @param {number} samples
 */
export function noise(samples, seed = 1) {
  let state = seed;
  return Float64Array.from({ length: samples }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/**
 * Ones every `period` samples, of which the first is at 0.
 * @param {number} samples
 * @param {number} period may lie between samples: then so do the ones, which go to the nearest
 */
export function pulses(samples, period) {
  const train = new Float64Array(samples);
  for (let i = 0; Math.round(i * period) < samples; i++) train[Math.round(i * period)] = 1;
  return train;
}

/**
 * A(z) of resonances, [[Hz, bandwidth in Hz], ...], as coefficients with a[0] = 1.
 * @param {number[][]} resonances
 * @param {number} rate
 */
export function denominator(resonances, rate) {
  return resonances.reduce(
    (a, [hertz, bandwidth]) => {
      const radius = Math.exp((-Math.PI * bandwidth) / rate);
      const pair = [1, -2 * radius * Math.cos((2 * Math.PI * hertz) / rate), radius ** 2];
      return convolve(a, pair);
    },
    [1],
  );
}

/**
 * The product of two polynomials.
 * @param {number[]} a
 * @param {number[]} b
 */
export function convolve(a, b) {
  const product = new Array(a.length + b.length - 1).fill(0);
  a.forEach((x, i) => b.forEach((y, j) => (product[i + j] += x * y)));
  return product;
}

/**
 * A source through 1 / A(z).
 * @param {Float64Array} source
 * @param {number[]} a
 */
export function through(source, a) {
  const out = new Float64Array(source.length);
  source.forEach((v, n) => {
    out[n] = v;
    for (let j = 1; j < a.length && j <= n; j++) out[n] -= a[j] * out[n - j];
  });
  return out;
}

/**
 * Bin k of the DFT of n complex numbers: [re, im].
 * @param {ArrayLike<number>} re
 * @param {ArrayLike<number>} im
 * @param {number} k
 * @param {number} n
 */
export function bin(re, im, k, n, sign = -1) {
  let [x, y] = [0, 0];
  for (let i = 0; i < re.length; i++) {
    const angle = (sign * 2 * Math.PI * ((k * i) % n)) / n;
    x += re[i] * Math.cos(angle) - im[i] * Math.sin(angle);
    y += re[i] * Math.sin(angle) + im[i] * Math.cos(angle);
  }
  return [x, y];
}

/**
 * Hold numbers against those that are expected.
 * @param {ArrayLike<number>} found
 * @param {ArrayLike<number>} expected
 * @param {number} tolerance
 */
export function close(found, expected, tolerance) {
  assert.equal(found.length, expected.length);
  for (let i = 0; i < found.length; i++) {
    const near = Math.abs(found[i] - expected[i]) <= tolerance;
    assert.ok(near, `number ${i} is ${found[i]}, not ${expected[i]}`);
  }
}
