"""How long a control of the explorers takes to answer, on the built pages in headless Chromium.

From the event to the next frame that the browser would show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from benchmarks.timing import UNMEASURED, Row, middle
from tests.book.test_explorers import EXPLORERS, HTML
from tools import browser

FRAME = 1000 / 60
"""ms between two frames of a screen."""

CONTROLS = """
document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]')
  ?.parentElement.scrollIntoView();
return [...document.querySelectorAll('.relviz')].filter((r) => r.ariaLabel === arguments[0])
  .flatMap((r) => [...r.querySelectorAll('select, input[type=range], input[type=number]')])
  .map((c) => [c, c.labels[0].textContent.trim()]);
"""
MEASURE = """
const [control, turns, done] = arguments;
const times = [];
const step = () => {
  if (times.length === turns) return done(times);
  const before = performance.now();
  if (control.tagName === 'SELECT') {
    control.selectedIndex = (control.selectedIndex + 1) % control.options.length;
  } else if (control.type === 'range') {
    const share = ((times.length * 7) % 20) / 20;
    control.value = Number(control.min) + share * (control.max - control.min);
  } else control.value = Number(control.value) + (times.length % 2 ? -1 : 1);
  for (const event of ['input', 'change']) control.dispatchEvent(new Event(event));
  requestAnimationFrame(() => setTimeout(() => {
    times.push(performance.now() - before);
    setTimeout(step, 10);
  }));
};
step();
"""


def explorers(small: bool) -> Iterator[Row]:
    """Time every control of each explorer, on the first page that has it."""
    every = list(dict.fromkeys(name for names in EXPLORERS.values() for name in names))
    why = "" if HTML.is_dir() else "the book is not built (make book)"
    if browser.find() is None:
        why = "this machine has no Chromium or Chrome"
    if why:
        yield from (Row("explorers", name, note=UNMEASURED + why) for name in every)
        return
    chrome = browser.start()
    try:
        with browser.serve(HTML) as address:
            for name in every:
                page = next(page for page, names in EXPLORERS.items() if name in names)
                yield answers(chrome, f"{address}/{page}.html", name, 2 if small else 8)
    finally:
        chrome.quit()


def answers(chrome: webdriver.Chrome, address: str, explorer: str, turns: int) -> Row:
    """Time the controls of one explorer on a page."""
    browser.resize(chrome, 1280)
    chrome.get(address)
    # it comes when it is near, and draws itself
    controls = WebDriverWait(chrome, 90, 0.5).until(lambda c: c.execute_script(CONTROLS, explorer))
    times: list[float] = []
    slowest, worst = 0.0, ""
    for control, label in controls:
        found = chrome.execute_async_script(MEASURE, control, turns)
        times += found
        if np.median(found) > slowest:
            slowest, worst = float(np.median(found)), label
    return Row(
        "explorers",
        explorer,
        ratio=middle(np.array(times) / FRAME),
        of="this / a frame of 60 Hz",
        value=middle(times),
        unit="ms",
        rounds=turns,
        note=f"slowest control: {worst}, {slowest:.0f} ms",
    )
