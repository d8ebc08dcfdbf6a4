"""Pages on paper: few of them, with nothing cut off, squashed or empty.

Needs `_build/html`: run `make pages`, which builds the book first.
"""

import base64
import re

import pytest

from tests.book.toc import ROOT, pages
from tools import browser

HTML = ROOT / "_build" / "html"
MOST = 14  # sheets of A4 for a chapter
CHAPTERS = [name for name in pages() if re.search(r"/\d\d_", name)]
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


@pytest.fixture(scope="module")
def http():
    with browser.serve(HTML) as address:
        yield address


@pytest.fixture
def paper(chrome):
    """The browser, as a page looks on paper."""
    browser.resize(chrome, INSIDE)
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    yield chrome
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def sheets(chrome) -> int:
    pdf = base64.b64decode(chrome.execute_cdp_cmd("Page.printToPDF", PAPER)["data"])
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_short_and_whole_on_paper(paper, http, name):
    paper.get(f"{http}/{name}.html")
    paper.execute_async_script(READY)
    assert not paper.execute_script(FAULTS)
    assert 4 < sheets(paper) <= MOST


def test_what_is_wrong_on_paper_would_be_seen(paper, tmp_path):
    picture = "<svg xmlns='http://www.w3.org/2000/svg' width='100' height='100'></svg>"
    source = "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()
    (tmp_path / "page.html").write_text(
        "<!doctype html><article style='width: 300px'><pre style='width: 900px'>code</pre>"
        f"<figure><img src='{source}' width='100' height='40'></figure>"
        "<div class='cell_output' style='height: 50px'></div><button>Play</button></article>"
    )
    paper.get(f"{tmp_path.as_uri()}/page.html")
    paper.execute_async_script(READY)
    found = {fault.partition(":")[0] for fault in paper.execute_script(FAULTS)}
    assert found == {"cut off", "empty", "squashed", "does nothing"}
    assert sheets(paper) == 1
