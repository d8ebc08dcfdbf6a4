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
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(reachable, 200);
});
addEventListener("load", () => setTimeout(reachable, 500));

// Pictures come when one is near, and all of them before the page is printed.
addEventListener("beforeprint", () => {
  for (const picture of document.images) picture.loading = "eager";
});

// The search quotes from the pages that it found, but a page that is a file may read no other.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
