// Signal analysis against definitions, and against signals that were made with what is to be found.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as dsp from "../../../relviz/widgets/dsp.js";
import { bin, close, convolve, denominator, noise, pulses, through } from "./signals.mjs";

const RATE = 16000;
const VOWEL = [
  [700, 80],
  [1200, 90],
  [2600, 120],
  [3500, 150],
];
const HERTZ = VOWEL.map(([hertz]) => hertz);
const NONE = new Float64Array(1024);

/**
 * Complex numbers as they are held against others: real and imaginary part in turn.
 * @param {Float64Array} re
 * @param {Float64Array} im
 */
function pairs(re, im) {
  return Array.from(re, (v, k) => [v, im[k]]).flat();
}

test("fft is the DFT, forward and backward", () => {
  for (const n of [1, 2, 4, 16, 256]) {
    const [x, y] = [noise(n, 1), noise(n, 2)];
    for (const sign of [-1, 1]) {
      const [re, im] = [x.slice(), y.slice()];
      dsp.fft(re, im, sign);
      const sums = Array.from(x, (_, k) => bin(x, y, k, n, sign));
      close(pairs(re, im), sums.flat(), 1e-11);
    }
  }
});

test("there and back gives n times the signal", () => {
  const x = noise(512);
  const [re, im] = [x.slice(), new Float64Array(512)];
  dsp.fft(re, im);
  dsp.fft(re, im, 1);
  const times = Array.from(x, (v) => [512 * v, 0]);
  close(pairs(re, im), times.flat(), 1e-10);
});

test("rfft and magnitude are bins 0 to n / 2 of a frame that zeros fill up", () => {
  const frame = noise(100);
  const sums = Array.from({ length: 65 }, (_, k) => bin(frame, NONE, k, 128));
  const { re, im } = dsp.rfft(frame, 128);
  const sizes = sums.map((z) => Math.hypot(...z));
  close(pairs(re, im), sums.flat(), 1e-11);
  close(dsp.magnitude(frame, 128), sizes, 1e-11);
});

test("a frame is centred on its sample, with zeros beyond the ends", () => {
  const ones = new Float64Array(4).fill(1);
  assert.deepEqual([...dsp.frameAt([1, 2, 3], 0, ones)], [0, 0, 1, 2]);
  assert.deepEqual([...dsp.frameAt([1, 2, 3], 2.4, ones)], [1, 2, 3, 0]);
  assert.deepEqual([...dsp.frameAt([1, 2, 3], 9, ones)], [0, 0, 0, 0]);
});

test("linear prediction fulfils the normal equations", () => {
  const frame = noise(300);
  const model = dsp.lpc(frame, 10);
  assert.ok(model);
  const r = Array.from({ length: 11 }, (_, lag) =>
    frame.slice(lag).reduce((sum, v, i) => sum + v * frame[i], 0),
  );
  const left = r.map((_, i) => model.a.reduce((sum, a, j) => sum + a * r[Math.abs(i - j)], 0));
  close(left, [model.error, ...new Array(10).fill(0)], 1e-10);
});

test("linear prediction finds the filter that an impulse went through", () => {
  const a = denominator(VOWEL, RATE);
  const model = dsp.lpc(through(pulses(4000, 4000), a), 8);
  assert.ok(model);
  close(model.a, a, 1e-6);
  close([model.error], [1], 1e-6);
});

test("the envelope is that filter's frequency response", () => {
  const a = denominator(VOWEL, RATE);
  const found = dsp.envelope(through(pulses(4000, 4000), a), 256, 8);
  const expected = Array.from({ length: 129 }, (_, k) => 1 / Math.hypot(...bin(a, NONE, k, 256)));
  assert.ok(found);
  const ratios = found.map((v, k) => v / expected[k]);
  close(ratios, new Float64Array(129).fill(1), 1e-5);
});

test("silence, and what is no number, has no model", () => {
  for (const value of [0, NaN, Infinity]) {
    const frame = new Float64Array(400).fill(value);
    assert.equal(dsp.lpc(frame), null);
    assert.equal(dsp.envelope(frame), null);
    assert.deepEqual(dsp.frameFormants(frame, RATE, { count: 2 }), [NaN, NaN]);
  }
});

test("roots are those that a polynomial was made of", () => {
  // (x - 0.5)(x + 2)(x^2 - 1.2 x + 0.85)
  const product = convolve(convolve([1, -0.5], [1, 2]), [1, -1.2, 0.85]);
  const found = dsp.roots(product).sort((p, q) => p[0] - q[0] || p[1] - q[1]);
  const wanted = [
    [-2, 0],
    [0.5, 0],
    [0.6, -0.7],
    [0.6, 0.7],
  ];
  // the last two have one real part but for rounding, so either may come first
  found.push(...found.splice(2).sort((p, q) => p[1] - q[1]));
  close(found.flat(), wanted.flat(), 1e-10);
});

test("formants are the resonances of the filter", () => {
  const response = through(pulses(4000, 4000), denominator(VOWEL, RATE));
  close(dsp.frameFormants(response, RATE, { order: 8 }), HERTZ, 0.01);
});

test("a wide resonance, and one at an edge of the spectrum, is no formant", () => {
  const others = [
    [1700, 800],
    [50, 60],
    [7950, 60],
  ];
  const response = through(pulses(4000, 4000), denominator([...VOWEL, ...others], RATE));
  const found = dsp.frameFormants(response, RATE, { order: 14, count: 5 });
  close(found.slice(0, 4), HERTZ, 0.1);
  assert.deepEqual(found.slice(4), [NaN]);
});

test("formants of a synthetic vowel are found through its harmonics", () => {
  const vowel = through(pulses(RATE / 2, RATE / 100), denominator(VOWEL, RATE));
  const found = dsp.formants(vowel, RATE, 0.25);
  found.forEach((hertz, i) => assert.ok(Math.abs(hertz / HERTZ[i] - 1) < 0.03, `F${i + 1}`));
});

test("F0 is that of a pulse train, frame by frame", () => {
  for (const hertz of [80, 100, 125, 160, 250, 400]) {
    const vowel = through(pulses(RATE / 2, RATE / hertz), denominator(VOWEL, RATE));
    const contour = dsp.f0Contour(vowel, RATE);
    // as many frames of three periods of 75 Hz as fit into half a second, in its middle
    assert.equal(contour.hertz.length, 47);
    close([contour.start], [0.25 - 0.23], 1e-12);
    for (const found of contour.hertz) {
      assert.ok(Math.abs(found / hertz - 1) < 0.005, `${found} is not ${hertz} Hz`);
    }
  }
});

test("F0 follows a change, and is nowhere in noise and silence", () => {
  const parts = [pulses(4000, 160), pulses(4000, 80), new Float64Array(4000), noise(4000)];
  const wave = Float64Array.from(parts.flatMap((part) => [...part]));
  const { start, step, hertz } = dsp.f0Contour(wave, RATE);
  /** @param {number} from @param {number} to */
  const between = (from, to) =>
    hertz.filter((_, i) => start + i * step > from && start + i * step < to);
  for (const found of between(0.03, 0.22)) close([found], [100], 1);
  for (const found of between(0.28, 0.47)) close([found], [200], 2);
  for (const found of between(0.53, 0.97)) assert.ok(Number.isNaN(found));
});

test("what is shorter than three periods has no F0", () => {
  assert.deepEqual(dsp.f0Contour(pulses(639, 80), RATE), { start: 0, step: 0.01, hertz: [] });
  assert.equal(dsp.f0Contour(pulses(640, 80), RATE).hertz.length, 1);
});

test("decibels end at the floor", () => {
  close(dsp.decibels([0, 0.001, 1, 10]), [-60, -60, -20, 0], 1e-12);
  close(dsp.decibels([0, 1, 10], -30, 100), [-30, -30, -20], 1e-12);
  assert.deepEqual([...dsp.decibels([0, 0], -50)], [-50, -50]);
});

test("median and greatest common divisor", () => {
  assert.equal(dsp.median([10, 9, 1]), 9);
  assert.equal(dsp.median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(dsp.median([])));
  assert.equal(dsp.gcd(84, 36), 12);
  assert.equal(dsp.gcd(97, 10), 1);
});
