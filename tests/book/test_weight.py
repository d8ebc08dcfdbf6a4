"""What a reader loads before anything is touched, and what is loaded later.

Needs `_build/html`: run `make pages`, which builds the book first. Each page's first visit is
weighed in tests/book/test_browser.py, which opens every page.
"""

import json
import re

import pytest
from selenium.webdriver.support.wait import WebDriverWait

from tests.book.toc import ROOT
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


def loaded(events: list[dict]) -> dict[str, int]:
    """Return the bytes that came for each address, by what the browser has told."""
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


def visit(chrome, address: str) -> list[dict]:
    """Open a page as for the first time, and wait until nothing more comes by itself.

    Returns what the browser has told of the network meanwhile.
    """
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
            return events
        events += more
    pytest.fail(f"{address} asks for something again and again: {list(loaded(more))}")


def asked(chrome, address: str) -> dict[str, int]:
    """Return the bytes of a first visit for each address."""
    return loaded(visit(chrome, address))


def too_heavy(address: str, events: list[dict]) -> list[tuple[str, int]]:
    """Return the heaviest parts of a first visit, by its events, where it is not a light one.

    Also what no first visit needs.
    """
    sizes = loaded(events)
    assert address in sizes
    heaviest = sorted(sizes.items(), key=lambda item: -item[1])
    if sum(sizes.values()) >= FIRST:
        return heaviest[:6]
    return [part for part in heaviest if re.search(r"fontawesome\.js|\.wav$", part[0])]


def still(chrome) -> list[dict]:
    """Wait a little; return what the browser has told of the network meanwhile."""
    chrome.execute_async_script(f"setTimeout(arguments[0], {QUIET})")
    return told(chrome)


@pytest.mark.parametrize(
    ("name", "size", "found"),
    [("a.png", FIRST - 10, []), ("a.png", FIRST, ["a.png"]), ("a.wav", 1, ["a.wav"])],
)
def test_what_is_too_heavy_would_be_seen(name, size, found):
    def came(url: str, size: int) -> list[dict]:
        sent = {"requestId": url, "request": {"url": url}}
        return [
            {"method": "Network.requestWillBeSent", "params": sent},
            {
                "method": "Network.loadingFinished",
                "params": {"requestId": url, "encodedDataLength": size},
            },
        ]

    events = came("http://here/page.html", 9) + came(f"http://here/{name}", size)
    heavy = [url for url, _ in too_heavy("http://here/page.html", events)]
    assert heavy[:1] == [f"http://here/{each}" for each in found]


@pytest.mark.parametrize(
    ("name", "formulas"),
    [("book/index", False), ("book/appendix/teaching", False), ("book/appendix/notation", True)],
)
def test_mathjax_comes_with_formulas(chrome, http, name, formulas):
    sizes = asked(chrome, f"{http}/{name}.html")
    assert any("mathjax" in url for url in sizes) == formulas


def test_the_index_of_the_search_comes_with_its_page(chrome, http):
    assert not any("searchindex" in url for url in asked(chrome, f"{http}/book/index.html"))
    assert any("searchindex" in url for url in asked(chrome, f"{http}/search.html?q=hop"))


def test_an_explorers_data_come_when_it_is_near(chrome, http):
    name = "book/trust/12_a_test_with_a_known_answer"
    before = asked(chrome, f"{http}/{name}.html")
    assert not [url for url in before if url.endswith(".explorers.js")]
    view = 'script[type="application/vnd.jupyter.widget-view+json"]'
    near = f"""
    document.querySelector('{view}').parentElement.scrollIntoView();
    return document.querySelector('.relviz canvas, .relviz table') !== null;
    """
    WebDriverWait(chrome, 30).until(lambda c: c.execute_script(near))
    after = loaded(told(chrome))
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
