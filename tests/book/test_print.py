"""Chapters on paper: a few sheets, with nothing cut off, squashed or empty.

tests/book/test_browser.py, which opens every page, prints the chapters too.
"""

import base64
import re

from selenium import webdriver

from tools import browser

MOST = 14  # sheets of A4 for a chapter
PAPER = {"paperWidth": 8.27, "paperHeight": 11.69}  # inches
INSIDE = 703  # pixels of A4 between the margins

# all formulas set and all pictures there, as whoever prints has them
READY = """
const done = arguments[0];
for (const picture of document.images) picture.loading = 'eager';
Promise.all([window.MathJax?.startup?.promise, ...[...document.images].map((p) =>
  p.decode().catch(() => {}))]).then(() => setTimeout(done, 200));
"""
FAULTS = """
const article = document.querySelector('article');
const seen = (e) => e.checkVisibility() && e.getBoundingClientRect().height > 1;
const all = (query) => [...article.querySelectorAll(query)].filter(seen);
const told = (kind, e) => `${kind}: ${e.tagName} ${e.className} ${e.textContent.slice(0, 60)}`;
const right = article.getBoundingClientRect().right + 1;
const wide = all('pre, figure, img, table').filter((e) => e.getBoundingClientRect().right > right ||
  (e.tagName === 'PRE' && e.scrollWidth > e.clientWidth + 1));
const empty = all('.cell_input, .cell_output, .output, figure, .admonition').filter((e) =>
  !e.innerText.trim() && ![...e.querySelectorAll('img, svg, mjx-container')].some(seen));
const squashed = all('figure img, .cell_output img').filter((e) =>
  Math.abs(e.width / e.height / (e.naturalWidth / e.naturalHeight) - 1) > 0.03);
const idle = all('button, audio, input, .relviz, .relviz-player, .sidebar-primary-item');
return [...wide.map((e) => told('cut off', e)), ...empty.map((e) => told('empty', e)),
  ...squashed.map((e) => told('squashed', e)), ...idle.map((e) => told('does nothing', e))];
"""


def printed(chrome: webdriver.Chrome) -> tuple[int, list[str]]:
    """Return on how many sheets the page that is open goes, and what is wrong there."""
    browser.resize(chrome, INSIDE)
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        chrome.execute_async_script(READY)
        faults: list[str] = chrome.execute_script(FAULTS)
        pdf = base64.b64decode(chrome.execute_cdp_cmd("Page.printToPDF", PAPER)["data"])
    finally:
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    return len(re.findall(rb"/Type\s*/Page\b", pdf)), faults


def test_what_is_wrong_on_paper_would_be_seen(chrome, tmp_path):
    picture = "<svg xmlns='http://www.w3.org/2000/svg' width='100' height='100'></svg>"
    source = "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
    (tmp_path / "page.html").write_text(
        "<!doctype html><article style='width: 300px'><pre style='width: 900px'>code</pre>"
        f"<figure><img src='{source}' width='100' height='40'></figure>"
        "<div class='cell_output' style='height: 50px'></div><button>Play</button></article>"
    )
    chrome.get(f"{tmp_path.as_uri()}/page.html")
    sheets, faults = printed(chrome)
    assert sheets == 1
    found = {fault.partition(":")[0] for fault in faults}
    assert found == {"cut off", "empty", "squashed", "does nothing"}
