// What the live explorer does with windows and samples, without a network.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as engine from "../../../relviz/widgets/engine.js";
import * as sound from "../../../relviz/widgets/sound.js";
import { close, noise } from "./signals.mjs";

test("windows are standardised each by itself, and constant ones become 0", () => {
  const found = engine.standardise(Float32Array.of(1, 3, 1, 3, 10, 10, 10, 10, 0, 0, 0, 4), 3);
  const third = [-1, -1, -1, 3].map((v) => v / Math.sqrt(3));
  close(found, [-1, 1, -1, 1, 0, 0, 0, 0, ...third], 1e-7);
});

test("windows are cut with zeros beyond the ends", () => {
  const samples = Float32Array.of(1, 2, 3, 4);
  const found = engine.cutWindows(samples, [-2, 1, 3, 9], 3);
  assert.deepEqual([...found], [0, 0, 1, 2, 3, 4, 4, 0, 0, 0, 0, 0]);
});

test("the factor to unit RMS", () => {
  close([engine.toUnitRms(Float32Array.of(3, -4, 0, 0))], [0.4], 1e-7);
  assert.equal(engine.toUnitRms(new Float32Array(5)), 0);
});

test("each sample gets the mean over the windows that cover it", async () => {
  const [window, first, hop, count] = [8, 6, 3, 7];
  const samples = Float32Array.from(noise(40));
  // the relevance of a window: its number from 1, times the same pattern
  const pattern = Float32Array.from(noise(window, 2));
  let heard = 0;
  const run = async (/** @type {Float32Array} */ windows, /** @type {number} */ n) => {
    assert.equal(windows.length, n * window);
    const relevance = new Float32Array(n * window);
    for (let w = 0; w < n; w++) relevance.set(pattern, w * window);
    const probabilities = Float32Array.from({ length: 2 * n }, (_, i) => 2 * heard + i);
    heard += n;
    return { probabilities, winner: [], relevance };
  };
  /** @type {number[]} */
  const told = [];
  const progress = (/** @type {number} */ done) => told.push(done);
  const found = await engine.listen(run, samples, { window, first, hop, count }, { progress });
  const rows = found.rows.map((p) => [...p]);
  assert.deepEqual(
    rows,
    Array.from({ length: count }, (_, w) => [2 * w, 2 * w + 1]),
  );
  const scale = engine.toUnitRms(pattern);
  const expected = Array.from(samples, (_, n) => {
    const places = Array.from({ length: count }, (_, w) => n - (first + w * hop - window / 2));
    const met = places.filter((i) => i >= 0 && i < window);
    return met.length ? met.reduce((sum, i) => sum + scale * pattern[i], 0) / met.length : 0;
  });
  close(found.relevance, expected, 1e-6);
  assert.equal(expected[39], 0); // no window reaches the end
  assert.equal(told.at(-1), count);
});

test("listening ends where it is not wanted any more", async () => {
  const stopped = new AbortController();
  const run = async (/** @type {Float32Array} */ windows) => {
    stopped.abort(Error("enough"));
    return { probabilities: new Float32Array(8), winner: [], relevance: windows };
  };
  const plan = { window: 8, first: 4, hop: 8, count: 50 };
  const heard = engine.listen(run, new Float32Array(400), plan, { signal: stopped.signal });
  await assert.rejects(heard, /enough/);
});

test("a wav file says what it holds", async () => {
  const bytes = Buffer.from(await sound.wavFile([0.5, -1, 0.25], 22050).arrayBuffer());
  assert.equal(bytes.length, 44 + 12);
  assert.equal(bytes.toString("latin1", 0, 4), "RIFF");
  assert.equal(bytes.readUInt32LE(4), bytes.length - 8);
  assert.equal(bytes.toString("latin1", 8, 16), "WAVEfmt ");
  assert.equal(bytes.readUInt16LE(20), 3); // floats
  assert.equal(bytes.readUInt32LE(24), 22050);
  assert.equal(bytes.toString("latin1", 36, 40), "data");
  assert.equal(bytes.readUInt32LE(40), 12);
  assert.deepEqual([bytes.readFloatLE(44), bytes.readFloatLE(48)], [0.5, -1]);
});
