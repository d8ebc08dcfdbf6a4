// What the explorers compute and say, as far as it needs no page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { percent, rowsOf } from "../../../relviz/widgets/common.js";
import { gcd, taper } from "../../../relviz/widgets/dsp.js";
import * as live from "../../../relviz/widgets/live.js";
import { gridInWords } from "../../../relviz/widgets/relevance.js";
import * as relu from "../../../relviz/widgets/relu.js";
import * as wirtinger from "../../../relviz/widgets/wirtinger.js";
import { close, noise } from "./signals.mjs";

test("live: the hop shares no factor with the stride, and none that does not is nearer", () => {
  for (const [window, stride] of [
    [4000, 10],
    [8160, 100],
    [512, 6],
  ]) {
    assert.equal(live.hopFor(window, stride, 1), window);
    for (const shifts of [4, 16, 41, 400]) {
      const hop = live.hopFor(window, stride, shifts);
      const off = Math.abs(hop - window / shifts);
      assert.equal(gcd(hop, stride), 1);
      for (let n = 1; n < window; n++) {
        assert.ok(gcd(n, stride) > 1 || Math.abs(n - window / shifts) >= off);
      }
    }
  }
});

test("live: the classes that win most often come in the order of their first", () => {
  const rows = [2, 0, 1, 1, 0, 3, 1].map((best) =>
    Float32Array.from({ length: 4 }, (_, k) => (k === best ? 0.7 : 0.1)),
  );
  assert.deepEqual(live.winners(rows), [2, 0, 1, 3]);
  assert.deepEqual(live.winners(rows, 2), [0, 1]);
  assert.deepEqual(live.winners([]), []);
});

test("probabilities have a decimal below 10 %", () => {
  const found = [0, 0.0004, 0.05, 0.0994, 0.0995, 0.126, 1].map(percent);
  assert.deepEqual(found, ["0.0 %", "0.0 %", "5.0 %", "9.9 %", "10 %", "13 %", "100 %"]);
});

test("rows lie one after another", () => {
  const rows = rowsOf(Float32Array.of(1, 2, 3, 4, 5, 6), 2);
  assert.deepEqual(
    rows.map((r) => [...r]),
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
  );
});

test("live: what no network can hear is refused in one sentence", () => {
  assert.equal(live.refusal(Float32Array.from(noise(4000)), "a.wav"), "");
  assert.equal(
    live.refusal(new Float32Array(4000).fill(0.1), "a.wav"),
    "a.wav is silent (every sample is 0.1): use another recording.",
  );
});

test("relevance: what a hop does to the grid", () => {
  const net = { name: "phones", stride: 100, window: 4000 };
  assert.match(gridInWords(97, net, 16000), /^Hop 97 shares no factor .* averaged away\.$/);
  assert.match(
    gridInWords(60, net, 16000),
    /^Hop 60 shares the factor 20 .* multiples of 800 Hz\.$/,
  );
  assert.match(gridInWords(4000, net, 16000), /^Windows 4000 samples apart do not overlap/);
});

test("relu: the gradient rule is the slope of the score", () => {
  const points = Array.from({ length: 20 }, (_, seed) => [...noise(16, seed)]);
  const all = points.map((numbers) => {
    const { relevance } = relu.descend(relu.ascend(numbers), "gradient");
    const slopes = [0, 1].map((i) => {
      /** @param {number} step */
      const score = (step) => relu.ascend(numbers.map((v, k) => (k === i ? v + step : v))).score;
      return (score(1e-6) - score(-1e-6)) / 2e-6;
    });
    close(relevance, slopes, 1e-9);
    return slopes;
  });
  assert.ok(all.filter(([a, b]) => a !== 0 && b !== 0).length > 5);
});

test("relu: each rule closes the gates that it is defined by", () => {
  const points = [
    ...relu.PRESETS.map((p) => p.numbers),
    ...[1, 2, 3, 4, 5].map((s) => [...noise(16, s)]),
  ];
  for (const numbers of points) {
    const net = relu.ascend(numbers);
    for (const rule of /** @type {const} */ (["gradient", "deconvnet", "guided"])) {
      const way = relu.descend(net, rule);
      way.above.forEach((layer, l) =>
        layer.forEach((g, i) => {
          const on = net.before[l][i] > 0;
          const open = { gradient: on, deconvnet: g > 0, guided: on && g > 0 }[rule];
          assert.equal(way.passed[l][i], open ? g : 0);
        }),
      );
    }
  }
});

test("relu: numbers for the eye", () => {
  const found = [0, -0, 1, -1.005, 0.004, -2e-9, 99.994, 123.4, 1e5].map(relu.plain);
  assert.deepEqual(found, ["0", "0", "1", "−1", "4e-3", "−2e-9", "99.99", "123", "1e+5"]);
});

test("relu: the kernel agrees, or what differs most has a name", () => {
  const found = [{ name: "guided", values: [1, 2] }];
  const same = relu.verdict({ score: [3], guided: [1, 2 + 1e-8] }, 3, found);
  assert.equal(same, "relviz.relevance agrees to 1e-7.");
  const other = relu.verdict({ score: 3, guided: [1, 2.5] }, 3, found);
  assert.equal(other, "relviz.relevance differs by 2.5e-1 in guided.");
});

/**
 * A sample of the inverse DFT of bins 0 to size / 2, as its definition has it.
 * @param {{re: Float64Array, im: Float64Array}} spectrum
 * @param {number} size
 * @param {number} n
 */
function inverse({ re, im }, size, n) {
  let sum = 0;
  re.forEach((x, k) => {
    const angle = (2 * Math.PI * k * n) / size;
    const share = k === 0 || k === size / 2 ? 1 : 2;
    sum += (share * (x * Math.cos(angle) - im[k] * Math.sin(angle))) / size;
  });
  return sum;
}

test("wirtinger: the exact form is the gradient through the inverse STFT", () => {
  const [size, hop, samples] = [16, 4, 40];
  const [window, f] = [taper("hann", size), noise(samples)];
  const covered = wirtinger.squaredWindows(window, hop, samples);
  const spectra = Array.from({ length: 1 + samples / hop }, (_, m) => {
    return { re: noise(size / 2 + 1, 10 + m), im: noise(size / 2 + 1, 50 + m) };
  });
  const x = new Float64Array(samples);
  spectra.forEach((spectrum, m) => {
    for (let i = 0; i < size; i++) {
      const n = m * hop - size / 2 + i;
      if (n >= 0 && n < samples) x[n] += (window[i] * inverse(spectrum, size, i)) / covered[n];
    }
  });
  const g = wirtinger.stftRelevance(f, window, hop, "exact");
  assert.ok(g);
  // y = sum of f[n] x[n] is linear, so it is also the sum over bins of gradient times bin
  const bins = g.map(({ re, im }, m) =>
    re.reduce((sum, v, k) => sum + v * spectra[m].re[k] + im[k] * spectra[m].im[k], 0),
  );
  const total = f.reduce((sum, v, n) => sum + v * x[n], 0);
  close([bins.reduce((a, b) => a + b)], [total], 1e-12);
});

test("wirtinger: with uncovered samples there is no exact form, but the paper's", () => {
  const [window, f] = [taper("hann", 16), noise(64)];
  assert.equal(wirtinger.stftRelevance(f, window, 16, "exact"), null);
  assert.equal(wirtinger.stftRelevance(f, window, 16, "paper")?.length, 5);
});

test("wirtinger: half-overlapping squared rectangles add up to 2", () => {
  const found = wirtinger.squaredWindows(taper("boxcar", 8), 4, 24);
  assert.deepEqual([...found], new Array(24).fill(2));
});

test("wirtinger: numbers and strokes", () => {
  assert.deepEqual([1234.5, 0.0123456, NaN, Infinity].map(wirtinger.short), [
    "1230",
    "0.0123",
    "–",
    "–",
  ]);
  const hundred = Array.from({ length: 101 }, (_, i) => 100 - i);
  assert.deepEqual(wirtinger.quantiles(hundred), [5, 50, 95]);
  assert.deepEqual(wirtinger.quantiles([]), [NaN, NaN, NaN]);
  assert.deepEqual(wirtinger.stroke({ n: 5, value: 1 }, { n: 3, value: 0 }), [
    [3, 0],
    [4, 0.5],
    [5, 1],
  ]);
  assert.deepEqual(wirtinger.stroke({ n: 5, value: 1 }, { n: 5, value: 0.5 }), [[5, 0.5]]);
});
