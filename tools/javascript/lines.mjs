// Name the functions of some files that are longer than a screen, and end with 1 where there are any.
//
//     node tools/javascript/lines.mjs FILE...
//
// Comments before a function do not count, and what is inside it does. Classes may be longer.
// TypeScript, which reads the files, is where tools/javascript.py installs it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import ts from "../../_build/javascript/node_modules/typescript/lib/typescript.js";

const MOST = 80;

/**
 * Functions of more than `most` lines, each as "file:line: so many lines".
 * @param {string} name of the file
 * @param {string} text in it
 */
export function longFunctions(name, text, most = MOST) {
  const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
  /** @type {string[]} */
  const found = [];
  /** @param {number} place */
  const lineOf = (place) => source.getLineAndCharacterOfPosition(place).line + 1;
  /** @param {ts.Node} node */
  const visit = (node) => {
    const [first, last] = [lineOf(node.getStart()), lineOf(node.end)];
    const lines = last - first + 1;
    if (ts.isFunctionLike(node) && lines > most) found.push(`${name}:${first}: ${lines} lines`);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = process.argv.slice(2).flatMap((f) => longFunctions(f, readFileSync(f, "utf8")));
  for (const each of found) console.error(`${each}: split it, a function has at most ${MOST}.`);
  process.exitCode = Number(found.length > 0);
}
