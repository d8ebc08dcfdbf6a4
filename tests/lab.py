"""A JupyterLab of our own for tests that look at notebooks in a browser."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
"""What shows that a notebook's kernel waits."""


@contextmanager
def jupyterlab(folder: Path, *settings: str) -> Iterator[str]:
    """Serve a folder by JupyterLab while the block runs; yields its address."""
    homes = {n: str(folder / n) for n in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "HOME")}
    settings = (
        "--no-browser",
        "--allow-root",
        "--port=0",
        "--IdentityProvider.token=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=",
        *settings,
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
        yield found[0]
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
