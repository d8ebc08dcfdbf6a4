"""The explorers in a live JupyterLab: a control that is changed asks the kernel."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.lab import IDLE, jupyterlab, run_all, within
from tools import browser

pytestmark = pytest.mark.slow

CELLS = [
    """\
import relviz
from relviz import corpora, networks, widgets

token = next(iter(corpora.vowel_corpus(["iy"])))
nets = {"trained": relviz.load("phones"), "untrained": networks.build(networks.PHONE_CNN, 40, 0)}
explorer = widgets.RelevanceExplorer(
    [widgets.Recording("iy", "m01", token.wave(), token.steady)], nets, hops=[97])
explorer""",
    "widgets.WirtingerExplorer()",
    "relu = widgets.ReluExplorer()\nrelu",
    "widgets.LiveExplorer()",
]


@pytest.fixture(scope="module")
def lab(chrome: webdriver.Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A JupyterLab with a notebook whose cells have run, open in the browser."""
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "explorers.ipynb")
    with jupyterlab(folder) as address:
        browser.resize(chrome, 1280, 6000)  # a notebook draws only what is in sight
        chrome.get(f"{address}lab/tree/explorers.ipynb")
        within(chrome, lambda: chrome.find_elements(By.CSS_SELECTOR, IDLE))
        run_all(chrome)
        yield folder
        chrome.get("about:blank")


def explorer(chrome: webdriver.Chrome, name: str) -> WebElement:
    """The explorer of this name, once it stands in the notebook."""
    selector = f".relviz[aria-label='{name} explorer']"
    return within(chrome, lambda: chrome.find_element(By.CSS_SELECTOR, selector))


def pixels(root: WebElement, title: str) -> str:
    canvas = root.find_element(By.CSS_SELECTOR, f"canvas[aria-label^='{title}']")
    return root.parent.execute_script("return arguments[0].toDataURL()", canvas)


def said(root: WebElement) -> str:
    """All that an explorer's lines of status say."""
    return " ".join(
        line.get_attribute("textContent")
        for line in root.find_elements(By.CSS_SELECTOR, "[role=status]")
    )


def test_relevance_explorer_takes_any_hop_and_a_file(lab, chrome):
    root = explorer(chrome, "Relevance")
    number = within(chrome, lambda: root.find_element(By.CSS_SELECTOR, "input[type=number]"))
    title = "Spectrogram of the relevance signal"
    before = pixels(root, title)
    number.send_keys(Keys.CONTROL, "a")
    number.send_keys("211")  # which is not among what travels in the page
    within(chrome, lambda: pixels(root, title) != before)
    own = lab / "own.wav"
    tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    soundfile.write(own, 0.3 * tone, 16000)
    root.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(own))
    within(chrome, lambda: "F0 200 Hz in the recording" in said(root))


def test_wirtinger_explorer_asks_autograd(lab, chrome):
    root = explorer(chrome, "Wirtinger")
    path = ".//button[.='Check with autograd']"
    within(chrome, lambda: root.find_element(By.XPATH, path)).click()
    found = within(chrome, lambda: re.search(r"(\S+) to what autograd", said(root)))
    assert float(found[1].replace("−", "-")) < 1e-9


def test_relu_explorer_is_held_against_the_library(lab, chrome):
    root = explorer(chrome, "ReLU rules")
    within(chrome, lambda: "relviz.relevance agrees" in said(root))
    before = said(root)
    field = root.find_element(By.CSS_SELECTOR, "input[type=number]")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("-3")
    within(chrome, lambda: said(root) != before and "relviz.relevance agrees" in said(root))


def test_live_explorer_computes_in_the_kernel(lab, chrome):
    root = explorer(chrome, "Live")
    chosen = within(chrome, lambda: root.find_element(By.CSS_SELECTOR, "input[type=file]:enabled"))
    title = "Spectrogram of the relevance signal"
    before = pixels(root, title)
    own = lab / "noise.wav"
    soundfile.write(own, 0.1 * np.random.default_rng(0).standard_normal(16000), 16000)
    chosen.send_keys(str(own))
    within(chrome, lambda: pixels(root, title) != before)
