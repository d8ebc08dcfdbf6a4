"""How much a reader loads before anything is touched, and what is loaded later.

Needs `_build/html`: run `make pages`, which builds the book first.
"""

import json

import pytest
from selenium.webdriver.support.wait import WebDriverWait

from tests.book.toc import ROOT, pages
from tools import browser

HTML = ROOT / "_build" / "html"
QUIET = 1500  # ms without anything from the network, after which nothing more is expected
FIRST = 2_400_000  # bytes of a first visit: page, styles, fonts, scripts and pictures


@pytest.fixture(scope="module")
def http():
    with browser.serve(HTML) as address:
        yield address


def told(chrome) -> list[dict]:
    """Return what the browser has told of the network since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    return [event for event in events if event["method"].startswith("Network.")]


def loaded(chrome, events: list[dict] | None = None) -> dict[str, int]:
    """Return the bytes that came for each address, by these events or those since the last call."""
    events = told(chrome) if events is None else events
    names, sizes = {}, {}
    for event in events:
        about = event["params"]
        if event["method"] == "Network.requestWillBeSent":
            names[about["requestId"]] = about["request"]["url"]
        if event["method"] == "Network.loadingFinished":
            url = names.get(about["requestId"], "")
            if url.startswith("http"):
                sizes[url] = sizes.get(url, 0) + round(about["encodedDataLength"])
    return sizes


def visit(chrome, address: str) -> dict[str, int]:
    """Open a page as for the first time, and wait until nothing more comes by itself."""
    browser.resize(chrome, 1280, 800)
    chrome.get("about:blank")
    chrome.execute_cdp_cmd("Network.enable", {})
    chrome.execute_cdp_cmd("Network.clearBrowserCache", {})
    chrome.get_log("performance")
    chrome.get(address)
    events = told(chrome)
    for _ in range(20):
        more = still(chrome)
        if not more:
            return loaded(chrome, events)
        events += more
    pytest.fail(f"{address} asks for something again and again: {list(loaded(chrome, more))}")


def still(chrome) -> list[dict]:
    """Wait a little; return what the browser has told of the network meanwhile."""
    chrome.execute_async_script(f"setTimeout(arguments[0], {QUIET})")
    return told(chrome)


@pytest.mark.parametrize("name", pages())
def test_a_first_visit_is_light(chrome, http, name):
    sizes = visit(chrome, f"{http}/{name}.html")
    heaviest = sorted(sizes.items(), key=lambda item: -item[1])[:6]
    assert f"{http}/{name}.html" in sizes
    assert sum(sizes.values()) < FIRST, heaviest
    assert not [url for url in sizes if "fontawesome.js" in url or url.endswith(".wav")]


@pytest.mark.parametrize(
    ("name", "formulas"),
    [("book/index", False), ("book/appendix/teaching", False), ("book/appendix/notation", True)],
)
def test_mathjax_comes_with_formulas(chrome, http, name, formulas):
    sizes = visit(chrome, f"{http}/{name}.html")
    assert any("mathjax" in url for url in sizes) == formulas


def test_the_index_of_the_search_comes_with_its_page(chrome, http):
    assert not any("searchindex" in url for url in visit(chrome, f"{http}/book/index.html"))
    assert any("searchindex" in url for url in visit(chrome, f"{http}/search.html?q=hop"))


def test_an_explorers_data_come_when_it_is_near(chrome, http):
    name = "book/trust/12_a_test_with_a_known_answer"
    before = visit(chrome, f"{http}/{name}.html")
    assert not [url for url in before if url.endswith(".explorers.js")]
    view = 'script[type="application/vnd.jupyter.widget-view+json"]'
    near = f"""
    document.querySelector('{view}').parentElement.scrollIntoView();
    return document.querySelector('.relviz canvas, .relviz table') !== null;
    """
    WebDriverWait(chrome, 30).until(lambda c: c.execute_script(near))
    after = loaded(chrome)
    assert [url for url in after if url.endswith(".explorers.js")]


def test_icons_are_drawn_without_the_script(chrome, http):
    visit(chrome, f"{http}/book/appendix/notation.html")
    width, family = chrome.execute_script(
        "const icon = document.querySelector('.search-button-field i, .search-button i');"
        "const style = getComputedStyle(icon, '::before');"
        "return [icon.getBoundingClientRect().width, style.fontFamily];"
    )
    assert width > 5 and "Font Awesome" in family


def test_a_formula_is_no_tab_stop(chrome, http):
    visit(chrome, f"{http}/book/appendix/notation.html")
    WebDriverWait(chrome, 30).until(
        lambda c: len(c.find_elements("css selector", "mjx-container")) > 10
    )
    assert not chrome.find_elements("css selector", "mjx-container[tabindex='0']")
