"""The notebooks to run, in a live JupyterLab: their text as a reader sees it, and one that runs."""

import json
import re
import shutil
from collections.abc import Iterator

import nbformat
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.lab import IDLE, jupyterlab, within
from tools import browser, rendered

pytestmark = pytest.mark.slow

RUNS = "book/method/05_spectral_relevance"
# all cells at once: a notebook else draws only what is in sight
WHOLE = {"@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"}}
READ = """
return [...document.querySelectorAll('.jp-MarkdownCell .jp-RenderedMarkdown')].map((cell) => {
  const copy = cell.cloneNode(true);
  copy.querySelectorAll('code, pre, mjx-container').forEach((part) => part.remove());
  return copy.textContent;
});
"""
# in the place of what was open, and without a kernel
OPEN = """
const [path, done] = arguments;
const { commands, shell } = window.jupyterapp;
for (const open of [...shell.widgets('main')]) open.dispose(); // unasked whether to save it
const none = { shouldStart: false, canStart: false };
const how = { path, factory: 'Notebook', kernelPreference: none };
commands.execute('docmanager:open', how).then(() => done(''), (error) => done(String(error)));
"""
# the menu's command, with the errors that cells then show
RUN = """
const done = arguments[0];
window.jupyterapp.commands.execute('runmenu:run-all').then(() => {
  const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells];
  const outputs = cells.filter((c) => c.type === 'code').flatMap((c) => c.outputs.toJSON());
  const failed = outputs.filter((o) => o.output_type === 'error').map((o) => o.evalue);
  done([outputs.length, failed]);
}, (error) => done([0, [String(error)]]));
"""
SEEN = "return document.querySelectorAll(arguments[0]).length"
# what Jupyter shows as it stands: a role, a directive, a label, TeX, bold or a link left in marks
RAW = re.compile(r"\{[a-z:]+\}|:::|^\(.*\)=|\$|\\[a-z]+|\*\*|\]\(|<(?:details|summary)")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The copies in a JupyterLab; yields where they are."""
    folder = tmp_path_factory.mktemp("copies")
    shutil.copytree(rendered.OUT, folder / "notebooks")
    for name, settings in WHOLE.items():
        path = folder / "JUPYTER_CONFIG_DIR" / "lab" / "user-settings" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings))
    with jupyterlab(folder, "--LabApp.expose_app_in_browser=True") as address:
        yield f"{address}lab/tree/notebooks"


def shown(chrome: webdriver.Chrome, page: str) -> nbformat.NotebookNode:
    """Wait until all the text of a copy is there, with its formulas set."""
    notebook = nbformat.read(rendered.OUT / f"{page}.ipynb", as_version=4)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    within(chrome, lambda: len(chrome.execute_script(READ)) == len(texts))
    if any("$" in text for text in texts):
        within(chrome, lambda: not any("$" in text for text in chrome.execute_script(READ)))
    return notebook


@pytest.fixture(scope="module")
def opened(chrome: webdriver.Chrome, lab: str) -> webdriver.Chrome:
    """The browser with JupyterLab in it."""
    browser.resize(chrome, 1280, 2000)
    chrome.get(f"{lab}/{RUNS}.ipynb?reset")
    shown(chrome, RUNS)
    return chrome


@pytest.mark.parametrize("page", rendered.notebooks())
def test_text_is_readable(page, opened, chrome):
    assert not chrome.execute_async_script(OPEN, f"notebooks/{page}.ipynb")
    notebook = shown(chrome, page)
    texts = chrome.execute_script(READ)
    assert all(text.strip() for text in texts)
    for text in texts:
        assert not RAW.search(text), text
    assert not chrome.execute_script(SEEN, "mjx-merror, [data-mjx-error]")
    whole = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    answers = chrome.execute_script(SEEN, ".jp-RenderedMarkdown details > summary")
    assert answers == whole.count("<details>")
    equations = chrome.execute_script(SEEN, ".jp-RenderedMarkdown mjx-container[display=true]")
    assert equations >= whole.count("\\tag{")


def test_it_runs_and_its_explorers_are_alive(lab, chrome):
    browser.resize(chrome, 1280, 2000)
    chrome.get(f"{lab}/{RUNS}.ipynb?reset")
    shown(chrome, RUNS)
    within(chrome, lambda: chrome.find_elements(By.CSS_SELECTOR, IDLE))
    chrome.set_script_timeout(400)
    outputs, failed = chrome.execute_async_script(RUN)
    chrome.set_script_timeout(60)
    assert outputs > 20 and not failed
    asked = ".jp-OutputArea .relviz[aria-label='Relevance explorer'] input[type=number]"
    within(chrome, lambda: chrome.execute_script(SEEN, asked))
    assert chrome.execute_script(SEEN, ".jp-CodeCell .jp-RenderedImage img, .jp-RenderedSVG img")
