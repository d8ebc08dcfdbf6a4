"""How long the networks take in a browser: milliseconds a window, and a control's answer.

    python benchmarks/live.py [--repeats N]

Medians in headless Chromium, with the fastest, the slowest and the middle half. Needs what
tools/vendor.py and tools/live.py write to `_build/assets`.
"""

import argparse
import base64
import json
import tempfile
from pathlib import Path

import numpy as np
from selenium import webdriver

from relviz.widgets import frame
from relviz.widgets.live import NETWORKS, LiveExplorer
from tools import browser

ASSETS = Path(__file__).resolve().parent.parent / "_build" / "assets"

PAGE = """<!doctype html><title>live</title><style>{css}</style><script type="module">
import explorer from "./live.js";
const state = {state};
state.data = new DataView(Uint8Array.from(atob(state.data), (c) => c.charCodeAt(0)).buffer);
const nothing = () => {{}};
const model = {{ get: (name) => state[name], set: nothing, save_changes: nothing, on: nothing,
  off: nothing, send: nothing }};
await explorer.render({{ model, el: document.body }});
window.ready = true;
</script>"""

WINDOWS = """
const [name, size, together, repeats, done] = arguments;
import("/engine.js").then(async ({ engine }) => {
  const began = performance.now();
  const run = await engine(new URL("/assets/", location.href).href, name);
  const loaded = performance.now() - began;
  const x = Float32Array.from(Array(size * together), (_, i) => Math.sin(i * i));
  const times = [];
  for (let i = 0; i < repeats + 5; i++) {
    const start = performance.now();
    await run(x, together);
    times.push((performance.now() - start) / together);
  }
  done({ loaded, times: times.slice(5) });
});"""

ANSWERS = """
const [label, values, done] = arguments;
const control = document.getElementById(
  [...document.querySelectorAll("label")].find((l) => l.textContent === label).htmlFor);
const times = values.map((value) => {
  const start = performance.now();
  control.value = value;
  control.dispatchEvent(new Event("input"));
  control.dispatchEvent(new Event("change"));
  return performance.now() - start;
});
done(times);"""


def spread(times: list[float]) -> str:
    """Say the median and how far the others are from it."""
    least, low, middle, high, most = np.percentile(times, [0, 25, 50, 75, 100])
    return f"{middle:6.1f}   ({least:.1f} to {most:.1f}, half within {low:.1f} and {high:.1f})"


def windows(chrome: webdriver.Chrome, address: str, repeats: int) -> None:
    """Time the graphs: probabilities and relevance."""
    print("milliseconds a window, probabilities and relevance")
    for name, size in zip(NETWORKS, (4000, 8000), strict=True):
        for together in (1, 4):
            chrome.get(f"{address}/empty.html")
            found = chrome.execute_async_script(WINDOWS, name, size, together, repeats)
            what = f"{name}, {together} at a time"
            print(f"  {what:24}{spread(found['times'])}, loaded in {found['loaded']:.0f} ms")


def answers(chrome: webdriver.Chrome, address: str, sound: str, seconds: float) -> None:
    """Time what a control does before the page can paint."""
    print(f"milliseconds a control takes to answer, with {sound} of {seconds:g} s")
    chrome.get(f"{address}/index.html")
    chrome.execute_async_script(
        "const done = arguments[0];"
        "(function wait() { window.ready ? done() : setTimeout(wait, 20); })()"
    )
    tried = {
        "Number of shifts": [6, 5, 4, 3, 2, 1, 0],
        "Network": ["speakers", "phones"],
        "Cursor": [0.02 * i * seconds for i in range(1, 50)],
    }
    if sound == "vowels":
        tried["Sound"] = ["“ee”, a woman", "“oh”, a man", "“ah”, a man"]
    for label, values in tried.items():
        print(f"  {label:24}{spread(chrome.execute_async_script(ANSWERS, label, values))}")


def main() -> None:
    """Serve, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    chrome = browser.start()
    try:
        with tempfile.TemporaryDirectory() as name, browser.serve(folder := Path(name)) as address:
            for path in frame.FOLDER.glob("*.js"):
                (folder / path.name).write_text(path.read_text())
            (folder / "assets").symlink_to(ASSETS)
            (folder / "empty.html").write_text("<!doctype html><title>empty</title>")
            windows(chrome, address, repeats)
            noise = np.random.default_rng(0).standard_normal(4 * 16000)
            for explorer, sound, seconds in (
                (LiveExplorer(), "vowels", 0.55),
                (LiveExplorer({"noise": noise}), "noise", 4),
            ):
                state = {n: getattr(explorer, n) for n in ("network", "sound", "shifts")}
                state["data"] = base64.b64encode(explorer.data).decode()
                text = PAGE.format(css=frame.style(), state=json.dumps(state))
                (folder / "index.html").write_text(text)
                answers(chrome, address, sound, seconds)
    finally:
        chrome.quit()


if __name__ == "__main__":
    main()
