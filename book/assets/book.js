// @ts-check
// What scrolls must be reachable by keyboard. The theme sees to that when the window changes its
// width, but not when something folded is opened, which until then had no width at all.
document.addEventListener("toggle", () => dispatchEvent(new Event("resize")), true);

// The search quotes from the pages that it found, but a page that is a file may read no other.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
