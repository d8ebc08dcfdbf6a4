// The check of functions' length, tools/javascript/lines.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";

import { longFunctions } from "../../../tools/javascript/lines.mjs";

const FORMS = {
  "a function": ["function f() {", "}"],
  "an arrow": ["const f = () => {", "};"],
  "what another calls": ["g(1, function () {", "});"],
  "a method": ["class A {\n/** It. */\nf() {", "}\n}"],
  "a getter": ["const a = {\n//\nget f() {", "}\n};"],
};

for (const [form, [head, tail]] of Object.entries(FORMS)) {
  test(`${form} may have so many lines, and no more`, () => {
    const first = head.split("\n").length;
    /** @param {number} count */
    const text = (count) => [head, ...new Array(count).fill("1;"), tail].join("\n");
    assert.deepEqual(longFunctions("f.js", text(8), 10), []);
    assert.deepEqual(longFunctions("f.js", text(9), 10), [`f.js:${first}: 11 lines`]);
  });
}

test("what is inside counts for those around it, and a class may be long", () => {
  const inner = ["const g = () => {", ...new Array(9).fill(""), "};"];
  const outer = ["function f() {", ...inner, "}"];
  const long = ["f.js:1: 13 lines", "f.js:2: 11 lines"];
  assert.deepEqual(longFunctions("f.js", outer.join("\n"), 10), long);
  const methods = Array.from({ length: 20 }, (_, i) => `m${i}() {}`);
  assert.deepEqual(longFunctions("f.js", ["class A {", ...methods, "}"].join("\n"), 10), []);
});
