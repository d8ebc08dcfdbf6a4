"""How long a control of the explorers takes to answer, on the built pages in headless Chromium.

    make book && python benchmarks/explorers.py

From the event to the next frame that the browser would show, in ms: median and slowest of 20.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

from tests.book.test_explorers import EXPLORERS, HTML  # noqa: E402
from tools import browser  # noqa: E402

READY = "return document.querySelectorAll('.relviz select').length >= arguments[0]"
MEASURE = """
const [control, done] = arguments;
const times = [];
const step = () => {
  if (times.length === 20) return done(times);
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
    setTimeout(step, 30);
  }));
};
step();
"""


def main() -> None:
    """Print one line for each control of each explorer."""
    chrome = browser.start()
    seen = set()
    try:
        with browser.serve(HTML) as address:
            for page, names in EXPLORERS.items():
                browser.resize(chrome, 1280)
                chrome.get(f"{address}/{page}.html")
                WebDriverWait(chrome, 60).until(lambda c, n=names: c.execute_script(READY, len(n)))
                controls = chrome.execute_script(
                    "return [...document.querySelectorAll("
                    "'.relviz :is(select, input[type=range], input[type=number])')].map((c) => "
                    "[c, c.closest('.relviz').ariaLabel + ': ' + c.labels[0].textContent])"
                )
                for control, name in controls:
                    if name in seen:
                        continue
                    seen.add(name)
                    times = chrome.execute_async_script(MEASURE, control)
                    middle, slowest = statistics.median(times), max(times)
                    print(f"{name:50} median {middle:5.1f}  slowest {slowest:6.1f}")
    finally:
        chrome.quit()


if __name__ == "__main__":
    main()
