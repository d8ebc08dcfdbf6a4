// @ts-check
// What scrolls must be reachable by keyboard. The theme sees to that when the window changes its
// width, but not when something folded is opened, which until then had no width at all.
document.addEventListener("toggle", () => dispatchEvent(new Event("resize")), true);

// Formulas are no tab stops, except where a narrow window makes them scroll.
function reachable() {
  for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
    const scrolls = formula.scrollWidth > formula.clientWidth;
    if (scrolls) formula.setAttribute("tabindex", "0");
    else formula.removeAttribute("tabindex");
  }
}

// On a phone nothing else says that a formula or a table goes on beyond the edge.
const WIDE =
  '.math mjx-container[display="true"], .output:has(> table), .output:has(> div > table), .pst-scrollable-table-container';

/** @param {Element} part */
function fade(part) {
  const left = part.scrollWidth - part.clientWidth - part.scrollLeft;
  part.classList.toggle("relviz-more", left > 2);
}
document.addEventListener(
  "scroll",
  ({ target }) => {
    if (target instanceof Element && target.matches(WIDE)) fade(target);
  },
  { capture: true, passive: true },
);

function measure() {
  reachable();
  for (const part of document.querySelectorAll(WIDE)) fade(part);
}
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(measure, 200);
});
addEventListener("load", () => setTimeout(measure, 500));

// Pictures come when one is near, and all of them before the page is printed.
addEventListener("beforeprint", () => {
  for (const picture of document.images) picture.loading = "eager";
});

// The search quotes from the pages that it found, but a page that is a file may read no other.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// It takes the name of an anchor for a selector, in which a module's dot would mean a class.
addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  const toText = Search.htmlToText;
  Search.htmlToText = (page, anchor) => toText(page, anchor && `#${CSS.escape(anchor.slice(1))}`);
});
