"""Tests leave the machine as it is: they install no package of the system."""

import os
import re
import subprocess
import sys

import pytest

from tests.book.toc import ROOT
from tools import browser

CODE = [path for top in ("tests", "tools") for path in sorted((ROOT / top).rglob("*.py"))]


@pytest.mark.slow
def test_without_a_browser_a_test_says_what_to_install(tmp_path, monkeypatch):
    """A fixture that went and installed one would need root, a network and minutes."""
    monkeypatch.delenv("RELVIZ_CHROME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert browser.find() is None
    case = tmp_path / "test_case.py"
    case.write_text("from tests.conftest import chrome\ndef test_page(chrome):\n    pass\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RELVIZ_NO_BROWSER": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(case)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert (
        "No Chromium or Chrome was found for the browser tests: install one (Debian: apt-get "
        "install chromium chromium-driver), name it in RELVIZ_CHROME, or set RELVIZ_NO_BROWSER=1 "
        "to go without."
    ) in done.stdout


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_script_calls_a_package_manager_of_the_system(path):
    assert not re.search(r"""["'](?:sudo|apt|apt-get|dpkg|dnf|brew|snap)["']""", path.read_text())
