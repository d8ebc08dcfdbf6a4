// What scrolls must be reachable by keyboard. The theme sees to that when the window changes its
// width, but not when something folded is opened, which until then had no width at all.
document.addEventListener("toggle", () => dispatchEvent(new Event("resize")), true);
