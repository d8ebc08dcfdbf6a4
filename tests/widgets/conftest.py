"""A page for one explorer, without a notebook: its module, its state and a model that holds it."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from relviz.widgets import frame
from tools import browser

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>explorer</title>
<style>{css}</style></head><body><main><h1>explorer</h1><div id="here"></div></main>
<script type="module">
import widget from "./widget.js";
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const state = {state};
for (const name of {binary}) state[name] = bytes(state[name]);
const heard = {{}};
const model = {{
  get: (name) => state[name],
  set: (name, value) => {{
    state[name] = value;
    (heard[`change:${{name}}`] ?? []).forEach((f) => f());
  }},
  save_changes: () => {{}},
  on: (name, f) => (heard[name] ??= []).push(f),
  off: () => {{}},
  send: (message) => {{ (window.sent ??= []).push(message); }},
}};
window.model = model;
// what is played, sample by sample
window.played = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...rest) {{
  window.played.push(Array.from(this.buffer.getChannelData(0)));
  return start.apply(this, rest);
}};
await widget.initialize?.({{ model }});
await widget.render({{ model, el: document.getElementById("here") }});
window.ready = true;
</script></body></html>"""


@pytest.fixture
def show(chrome: webdriver.Chrome, tmp_path: Path) -> Iterator[Callable[..., webdriver.Chrome]]:
    """Open an explorer in the browser, and return the browser when it has drawn itself."""

    def open_(widget: frame.Explorer, width: int = 1280) -> webdriver.Chrome:
        state: dict[str, Any] = {k: v for k, v in widget.get_state().items() if k[0] != "_"}
        for name in ("layout", "tabbable", "tooltip"):
            state.pop(name, None)
        binary = [name for name, value in state.items() if isinstance(value, bytes)]
        for name in binary:
            state[name] = base64.b64encode(state[name]).decode()
        (tmp_path / "widget.js").write_text(widget._esm)
        (tmp_path / "index.html").write_text(
            PAGE.format(css=widget._css, state=json.dumps(state), binary=json.dumps(binary))
        )
        browser.resize(chrome, width)
        chrome.get_log("browser")
        chrome.get(f"{address}/index.html")
        chrome.execute_async_script(
            "const done = arguments[0];"
            "(function wait() { window.ready ? done() : setTimeout(wait, 20); })()"
        )
        return chrome

    with browser.serve(tmp_path) as address:
        yield open_
    assert not [m for m in chrome.get_log("browser") if "favicon" not in m["message"]]


@pytest.fixture
def module(chrome: webdriver.Chrome, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Call code with a module of the explorers as `m`: module("dsp.js", code, *args)."""

    def call(name: str, code: str, *arguments: Any) -> Any:
        result = chrome.execute_async_script(
            "const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);"
            f"import('{address}/{name}').then(async (m) => {{{code}}})"
            ".then((value) => done({value}), (error) => done({error: String(error)}));",
            *arguments,
        )
        assert "error" not in result, result
        return result["value"]

    (tmp_path / "index.html").write_text("<!doctype html><title>modules</title>")
    for path in frame.FOLDER.glob("*.js"):
        (tmp_path / path.name).write_text(path.read_text())
    with browser.serve(tmp_path) as address:
        chrome.get(f"{address}/index.html")
        yield call
