"""The explorers on the built pages: alive without a kernel, over http and as files.

Needs `_build/html`: run `make pages`, which builds the book first. What an explorer shows is held
against the library in tests/widgets; here every control of every page must change something.
"""

import re
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.book.toc import ROOT
from tools import browser

HTML = ROOT / "_build" / "html"
HEAVIEST = 1_500_000  # bytes of the explorers' data and scripts in one page
EXPLORERS = {
    "book/method/03_guided_backpropagation_on_images": ["ReLU rules explorer"],
    "book/method/04_relevance_signals": ["Relevance explorer"],
    "book/method/05_spectral_relevance": ["Wirtinger explorer", "Relevance explorer"],
    "book/case-studies/06_phone_classification": ["Relevance explorer"],
    "book/case-studies/07_speaker_identification": ["Relevance explorer"],
    "book/case-studies/08_american_english_vowels": ["Relevance explorer"],
    "book/trust/12_a_test_with_a_known_answer": ["Knob explorer"],
    "book/trust/13_your_own_network": ["Live explorer"],
    "book/live": ["Live explorer", "Knob explorer"],
}
# these wait for a press of a button that plays; tests/widgets hold them against what is played
HEARD = {"Play the selection only"}

# what an explorer shows, apart from the controls themselves
SHOWN = """
const root = document.querySelectorAll('.relviz')[arguments[0]];
const pictures = [...root.querySelectorAll('canvas')].map((c) => c.width ? c.toDataURL() : '');
const texts = [...root.querySelectorAll('svg, table, [role=status]')].map((t) => t.outerHTML);
return pictures.concat(texts).join('|') + '|' + window.played.length;
"""
LISTEN = """
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...rest) {
  window.played.push(Array.from(this.buffer.getChannelData(0)));
  return start.apply(this, rest);
};
"""
CHANGE = """
const control = arguments[0];
const fire = () => { for (const e of ['input', 'change']) control.dispatchEvent(new Event(e)); };
if (control.tagName === 'SELECT') {
  control.selectedIndex = (control.selectedIndex + 1) % control.options.length;
  fire();
} else if (control.type === 'range') {
  const [low, high, at] = [control.min || 0, control.max || 100, control.value].map(Number);
  control.value = at > (low + high) / 2 ? low + 0.3 * (high - low) : low + 0.7 * (high - low);
  fire();
} else if (control.type === 'number') {
  control.value = Number(control.value) + (Number(control.step) || 1);
  fire();
} else control.click();
"""


@pytest.fixture(scope="module", params=["http", "file"])
def site(request) -> Iterator[str]:
    if request.param == "file":
        yield HTML.as_uri()
    else:
        with browser.serve(HTML) as address:
            yield address


@pytest.fixture(params=EXPLORERS)
def page(request) -> str:
    return request.param


def open_(chrome: webdriver.Chrome, address: str, names: list[str]) -> None:
    """Open a page and wait until its explorers have drawn themselves."""
    browser.resize(chrome, 1280)
    chrome.get("about:blank")  # the page before may still fetch from a server that is gone
    for log in ("browser", "performance"):
        chrome.get_log(log)
    listen = {"source": LISTEN}
    script = chrome.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", listen)
    chrome.get(address)
    chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    # drawn, with something in them: a picture that was never painted is one colour
    drawn = """
    document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]')
      .parentElement.scrollIntoView();
    const roots = [...document.querySelectorAll('.relviz')];
    return roots.map((r) => r.getAttribute('aria-label')).sort().join() === arguments[0] &&
      roots.every((r) => r.querySelectorAll('select, input, button').length > 1);
    """
    wait = WebDriverWait(chrome, 60, 0.2)
    wait.until(lambda c: c.execute_script(drawn, ",".join(sorted(names))))


def turn(chrome: webdriver.Chrome, root) -> None:
    """Turn two knobs, and wait for what the networks say: else its gauges would be empty."""
    knobs = root.find_elements(By.CSS_SELECTOR, "input[type=range]")
    for knob, value in zip(knobs, ("200", "450"), strict=False):  # F0 and F1, in Hz
        chrome.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'));",
            knob,
            value,
        )
    script = "return [...arguments[0].querySelectorAll('[role=status]')].at(-1).textContent"
    WebDriverWait(chrome, 90, 0.1).until(lambda c: c.execute_script(script, root).startswith("F1 "))


def label_of(chrome: webdriver.Chrome, control) -> str:
    script = "return (arguments[0].labels?.[0] ?? arguments[0]).textContent.trim()"
    return chrome.execute_script(script, control)


def captions(chrome: webdriver.Chrome) -> list[str]:
    """Return what screen readers tell of each explorer: what it shows, and what to try."""
    script = """
    return [...document.querySelectorAll('.relviz')].map((root) => {
      const caption = document.getElementById(root.getAttribute('aria-describedby'));
      return root.contains(caption) && caption.checkVisibility() ? caption.textContent : '';
    });
    """
    return chrome.execute_script(script)


def not_reached(chrome: webdriver.Chrome, number: int) -> list[str]:
    """Return the controls of an explorer that the key Tab does not come to in their order."""
    first, *others = chrome.execute_script(
        "return [...document.querySelectorAll('.relviz')[arguments[0]]"
        ".querySelectorAll('select, input, button')].filter((c) => !c.disabled)",
        number,
    )
    chrome.execute_script("arguments[0].focus()", first)
    missed = []
    for control in others:
        ActionChains(chrome).send_keys(Keys.TAB).perform()
        if chrome.switch_to.active_element != control:
            missed.append(label_of(chrome, control))
    return missed


def dead(chrome: webdriver.Chrome, number: int) -> list[str]:
    """Return the controls of an explorer that change nothing that it shows or plays."""
    controls = chrome.execute_script(
        "return [...document.querySelectorAll('.relviz')[arguments[0]]"
        ".querySelectorAll('select, input:not([type=file]), button')]",
        number,
    )
    assert len(controls) > 3
    # buttons last: one of them draws numbers at random, among which some may not matter
    controls.sort(key=lambda control: control.tag_name == "button")
    found = []
    for control in controls:
        name = label_of(chrome, control)
        alone = control.tag_name == "select" and (
            chrome.execute_script("return arguments[0].options.length", control) == 1
        )
        if alone or name in HEARD or not control.is_enabled():
            continue
        before = chrome.execute_script(SHOWN, number)
        chrome.execute_script(CHANGE, control)
        try:
            WebDriverWait(chrome, 5, 0.05).until(
                lambda c, b=before: c.execute_script(SHOWN, number) != b
            )
        except TimeoutException:
            found.append(name)
    return found


def test_explorers_are_told_reached_and_alive(chrome, site, page):
    open_(chrome, f"{site}/{page}.html", EXPLORERS[page])
    said = captions(chrome)
    assert len(set(said)) == len(EXPLORERS[page])
    assert all(80 < len(caption) < 260 for caption in said)
    for number in range(len(EXPLORERS[page])):
        assert not not_reached(chrome, number)
        assert not dead(chrome, number)
    assert not browser.complaints(chrome)


def test_explorers_are_light(page):
    text = (HTML / f"{page}.html").read_text()
    (name,) = re.findall(r'<template data-explorers="([^"]*)"', text)
    assert 10_000 < (HTML / page).with_name(name).stat().st_size <= HEAVIEST


def test_no_page_with_explorers_is_forgotten():
    found = {
        path.relative_to(HTML).with_suffix("").as_posix()
        for path in (HTML / "book").rglob("*.html")
        if "<template data-explorers=" in path.read_text()
    }
    assert found == set(EXPLORERS)


DRESS = (
    "const page = document.documentElement; page.dataset.theme = page.dataset.mode = arguments[0]"
)


def test_pictures_for_the_docs(chrome):
    """Pictures, and a test: the explorers follow the theme."""
    folder = ROOT / "_build" / "screenshots" / "explorers"
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    with browser.serve(HTML) as address:
        for page, names in EXPLORERS.items():
            if set(names) <= seen:
                continue
            open_(chrome, f"{address}/{page}.html", names)
            browser.resize(chrome, 1000, 2400)
            for number, name in enumerate(names):
                if name in seen:
                    continue
                root = chrome.execute_script(
                    "const root = document.querySelectorAll('.relviz')[arguments[0]];"
                    "root.scrollIntoView(); return root",
                    number,
                )
                if name == "Knob explorer":
                    turn(chrome, root)
                for theme in ("light", "dark"):
                    chrome.execute_script(DRESS, theme)
                    colour = root.value_of_css_property("background-color")
                    tones = [int(v) for v in re.findall(r"\d+", colour)[:3]]
                    assert (sum(tones) < 200) == (theme == "dark"), colour
                    file = folder / f"{name.split()[0].lower()}-{theme}.png"
                    assert root.screenshot(str(file))
                    assert file.stat().st_size > 10_000
                seen.add(name)


def test_answers_are_measured_with_their_slowest_control(chrome):
    """For the page on speed; how fast they are, no test asks."""
    from benchmarks import explorers  # here, as it takes this file's list of pages

    with browser.serve(HTML) as address:
        page = f"{address}/book/method/05_spectral_relevance.html"
        row = explorers.answers(chrome, page, "Wirtinger explorer", turns=3)
    assert 0 < row.value.low <= row.value.value <= row.value.high
    assert row.ratio.value == pytest.approx(row.value.value * 60 / 1000)
    assert re.fullmatch(r"slowest control: .+, \d+ ms", row.note)
