// @ts-check
// How the search ranks what it found: where a term is asked for, the page that introduces it comes first,
// at the section that does, and then the glossary. tools/terms.py puts INTRODUCED before this.

/** A page, a section of it, and so on; the rest are Sphinx's own words for it.
 * @typedef {[docname: string, title: string, anchor: string, descr: string | null, score: number, filename: string]} Found */

/** What is asked for, in small letters and without its plural. @returns {string} */
function askedFor() {
  const query = new URLSearchParams(location.search).get("q") ?? "";
  const words = query.toLowerCase().trim().replaceAll(/\s+/g, " ");
  return Object.hasOwn(INTRODUCED, words) ? words : words.replace(/s$/, "");
}

/** @param {Found} found */
function score(found) {
  const asked = askedFor();
  if (!Object.hasOwn(INTRODUCED, asked)) return found[4];
  const [page, section] = INTRODUCED[asked];
  if (found[0] === "book/appendix/glossary") return found[4] + 1000;
  if (found[0] !== page) return found[4];
  // of several places on that page the whole page's, which then leads to the section
  if (section && !found[2]) found[2] = `#${section}`;
  return found[4] + 2000;
}

// the rest are Sphinx's defaults
var Scorer = {
  score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
