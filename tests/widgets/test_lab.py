"""The explorers in a live JupyterLab: a control that is changed asks the kernel."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
import soundfile
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tools import browser

pytestmark = pytest.mark.slow

CELLS = [
    """\
import relviz
from relviz import corpora, networks, widgets

token = next(iter(corpora.vowel_corpus(["iy"])))
nets = {"trained": relviz.load("phones"), "untrained": networks.build(networks.PHONES, 40, 0)}
explorer = widgets.RelevanceExplorer(
    [widgets.Recording("iy", "m01", token.wave(), token.steady)], nets, hops=[97])
explorer""",
]


@pytest.fixture(scope="module")
def lab(chrome: webdriver.Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A JupyterLab with a notebook whose cells have run, open in the browser."""
    folder = tmp_path_factory.mktemp("lab")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "explorers.ipynb")
    homes = {n: str(folder / n) for n in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "HOME")}
    settings = (
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--IdentityProvider.token=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=",
    )
    log = folder / "log"
    with log.open("w") as written:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *settings],
            cwd=folder,
            env={**os.environ, **homes},
            stdout=written,
            stderr=written,
        )
    try:
        for _ in range(600):
            if found := re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()):
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")
        browser.resize(chrome, 1280, 3000)
        chrome.get(f"{found[0]}lab/tree/explorers.ipynb")
        idle = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
        within(chrome, lambda: chrome.find_elements(By.CSS_SELECTOR, idle))
        run_all(chrome)
        yield folder
        chrome.get("about:blank")
    finally:
        server.terminate()
        server.wait(20)


def within(chrome: webdriver.Chrome, condition, seconds: float = 90):
    """Wait until the condition holds, and return what it gave."""

    def tried(_: webdriver.Chrome):
        try:
            return condition()
        except WebDriverException:
            return False

    return WebDriverWait(chrome, seconds, 0.1).until(tried)


def run_all(chrome: webdriver.Chrome) -> None:
    """Run the cells; where the page was quicker than its kernel, it asks for one, so run again."""

    def started() -> bool:
        for answer in chrome.find_elements(By.CSS_SELECTOR, ".jp-Dialog button.jp-mod-accept"):
            answer.click()
        prompts = "return document.querySelector('.jp-CodeCell .jp-InputPrompt').textContent"
        if re.search(r"[\d*]", chrome.execute_script(prompts)):
            return True
        chrome.find_element(By.XPATH, "//div[text()='Run']").click()
        chrome.find_element(By.XPATH, "//div[text()='Run All Cells']").click()
        time.sleep(1)
        return False

    within(chrome, started)


def pixels(chrome: webdriver.Chrome, title: str) -> str:
    script = "return document.querySelector(`canvas[aria-label^='${arguments[0]}']`).toDataURL()"
    return chrome.execute_script(script, title)


def test_relevance_explorer(lab, chrome):
    number = within(chrome, lambda: chrome.find_element(By.CSS_SELECTOR, "input[type=number]"))
    title = "Spectrogram of the relevance signal"
    before = pixels(chrome, title)
    number.send_keys(Keys.CONTROL, "a")
    number.send_keys("211")  # which is not among what travels in the page
    within(chrome, lambda: pixels(chrome, title) != before)
    time.sleep(0.5)
    before = pixels(chrome, title)
    own = lab / "own.wav"
    tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    soundfile.write(own, 0.3 * tone, 16000)
    chrome.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(own))
    status = "return document.querySelector('.relviz [role=status]').textContent"
    within(chrome, lambda: "F0 200 Hz in the recording" in chrome.execute_script(status))
    assert pixels(chrome, title) != before
