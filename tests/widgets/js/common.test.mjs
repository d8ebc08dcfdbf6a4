// What the explorers share, as far as it draws nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import * as common from "../../../relviz/widgets/common.js";
import { close } from "./signals.mjs";

/**
 * As relviz.widgets.frame.pack writes it.
 * @param {object} about
 * @param {{name: string, bits: number, block: number, whole: number[], scales: number[]}[]} signals
 */
function packed(about, signals) {
  const layout = signals.map(({ name, bits, block, whole }) => {
    return { name, bits, block, count: whole.length };
  });
  const head = Buffer.from(JSON.stringify({ about, layout }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  const parts = signals.flatMap(({ bits, whole, scales }) => {
    const numbers = Buffer.alloc((whole.length * bits) / 8);
    whole.forEach((v, i) =>
      bits === 8 ? numbers.writeInt8(v, i) : numbers.writeInt16LE(v, 2 * i),
    );
    const steps = Buffer.alloc(4 * scales.length);
    scales.forEach((v, i) => steps.writeFloatLE(v, 4 * i));
    return [steps, numbers];
  });
  return deflateSync(Buffer.concat([length, head, ...parts]));
}

/** @param {Uint8Array} bytes within a larger buffer, as what comes from a kernel may lie */
function within(bytes) {
  const larger = new Uint8Array(bytes.length + 12).fill(255);
  larger.set(bytes, 5);
  return new DataView(larger.buffer, 5, bytes.length);
}

test("signals in 8 bits have a scale for every block", async () => {
  const rough = { name: "rough", bits: 8, block: 3, whole: [127, -127, 0, 5, -6, 7, 1] };
  const view = within(packed({}, [{ ...rough, scales: [0.5, 2, 0.25] }]));
  const { signals } = await common.unpack(view);
  assert.ok(signals.rough instanceof Float32Array);
  assert.deepEqual([...signals.rough], [63.5, -63.5, 0, 10, -12, 14, 0.25]);
});

test("signals in 16 bits come as they are, wherever they begin", async () => {
  // an odd number of bytes lies before the second: numbers need not be where the machine likes them
  const rough = { name: "a/b", bits: 8, block: 256, whole: [1], scales: [3] };
  const fine = { name: "fine", bits: 16, block: 2, whole: [32767, -32767], scales: [0.125] };
  const empty = { name: "empty", bits: 16, block: 1, whole: [], scales: [] };
  const about = { rate: 16000, says: "/iː/ “ah”" };
  const found = await common.unpack(within(packed(about, [rough, empty, fine])));
  assert.deepEqual(found.about, about);
  assert.deepEqual(Object.keys(found.signals), ["a/b", "empty", "fine"]);
  assert.deepEqual([...found.signals["a/b"]], [3]);
  assert.deepEqual([...found.signals.empty], []);
  assert.deepEqual([...found.signals.fine], [32767 / 8, -32767 / 8]);
});

test("a kernel's numbers are copied from where they lie", () => {
  const larger = Float32Array.of(9, 1.5, -2, 9);
  const found = common.numbersOf([new DataView(larger.buffer, 4, 8)]);
  larger.fill(0);
  assert.deepEqual([...found], [1.5, -2]);
});

test("ticks are round, inside, and about as many as asked for", () => {
  assert.deepEqual(common.ticks(0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(common.ticks(-60, 5, 4), [-60, -40, -20, 0]);
  assert.deepEqual(common.ticks(0.13, 0.31, 3), [0.2, 0.3]);
  assert.deepEqual(common.ticks(7, 7), [7]);
  for (let high = 0.001; high < 1e5; high *= 1.7) {
    for (const count of [2, 4, 5, 9]) {
      const found = common.ticks(high / 3, high, count);
      assert.ok(found.length >= 1 && found.length <= count + 1);
      assert.ok(found.every((v) => v >= (high / 3) * (1 - 1e-9) && v <= high * (1 + 1e-9)));
    }
  }
});

test("scales lead from values to pixels and back", () => {
  const at = common.scalesOf({ width: 500, height: 200 }, [0, 2], [-60, 5], true);
  assert.equal(at.x(0), common.LEFT);
  assert.equal(at.x(2), 500 - common.RIGHT);
  assert.equal(at.y(-60), at.top + at.height);
  assert.equal(at.y(5), at.top);
  for (const share of [0, 0.3, 1]) {
    close([at.xValue(at.x(2 * share))], [2 * share], 1e-12);
    close([at.yValue(at.y(5 - 65 * share))], [5 - 65 * share], 1e-12);
  }
  // without a label below there is more room; a range of nothing is no reason to divide by 0
  assert.ok(common.scalesOf({ width: 500, height: 200 }, [0, 2], [3, 3], false).height > at.height);
  assert.ok(Number.isFinite(common.scalesOf({ width: 9, height: 9 }, [3, 3], [3, 3], true).x(3)));
});

test("a line has a gap where there is no number", () => {
  /** @type {[string, number, number][]} */
  const pen = [];
  /** @param {string} name */
  const note =
    (name) =>
    (/** @type {number[]} */ ...at) =>
      /Move|move|line/.test(name) && pen.push([name, at[0], at[1]]);
  const context = new Proxy({}, { get: (_, name) => note(String(name)), set: () => true });
  const at = { left: 0, top: 0, width: 9, height: 9, x: (v) => v, y: (v) => 10 * v };
  common.line(context, at, [0, 1, 2, 3, 4, 5], [1, 2, NaN, null, 3, 4], "black");
  assert.deepEqual(pen, [
    ["moveTo", 0, 10],
    ["lineTo", 1, 20],
    ["moveTo", 4, 30],
    ["lineTo", 5, 40],
  ]);
});

test("magma goes from black to nearly white, and stays there beyond", () => {
  assert.deepEqual(common.magma(0), [0, 0, 4]);
  assert.deepEqual(common.magma(-1), [0, 0, 4]);
  assert.deepEqual(common.magma(1), [252, 253, 191]);
  assert.deepEqual(common.magma(7), [252, 253, 191]);
  // brighter all the way, so that it reads in grey
  const grey = Array.from({ length: 101 }, (_, i) => {
    const [red, green, blue] = common.magma(i / 100);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
  assert.ok(grey.every((v, i) => i === 0 || v > grey[i - 1]));
});
