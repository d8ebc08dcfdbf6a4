"""A headless Chromium for tests and pictures, and a server of the built pages on loopback.

    python tools/browser.py

says which browser was found; RELVIZ_CHROME names another. Nothing here installs one.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = (
    "No Chromium or Chrome was found for the browser tests: install one (Debian: apt-get install "
    "chromium chromium-driver), name it in RELVIZ_CHROME, or set RELVIZ_NO_BROWSER=1 to go without."
)


def find() -> str | None:
    """Return the path of an installed Chromium or Chrome, None if there is none."""
    for name in (os.environ.get("RELVIZ_CHROME"), *NAMES):
        if name and (path := shutil.which(name)):
            return path
    return None


def start(
    *, width: int = 1280, flags: tuple[str, ...] = (), outside: bool = False
) -> webdriver.Chrome:
    """Start the browser, headless, a window of `width` pixels; raise RuntimeError if there is none.

    outside: whether it may reach other hosts than this one. Its log has every request
    (`driver.get_log("performance")`) and every message of the console (`get_log("browser")`).
    """
    binary = find()
    if binary is None:
        raise RuntimeError(MISSING)
    options = webdriver.ChromeOptions()
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "no-first-run",
        "hide-scrollbars",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        f"window-size={width},900",
        # a click by a script is as good as a hand's, for what may play sound
        "autoplay-policy=no-user-gesture-required",
        *(() if outside else ("host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",)),
        *flags,
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    options.binary_location = binary
    # named here, or selenium would go and look for a newer pair in the network
    driver = shutil.which("chromedriver")
    service = webdriver.ChromeService(driver) if driver else webdriver.ChromeService()
    try:
        browser = webdriver.Chrome(options=options, service=service)
    except WebDriverException as error:
        raise RuntimeError(f"{binary} did not start: {error.msg}") from error
    browser.set_script_timeout(60)
    return browser


def resize(browser: webdriver.Chrome, width: int, height: int = 900) -> None:
    """Make the page `width` pixels wide; a window itself cannot be as narrow as a phone."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def complaints(browser: webdriver.Chrome) -> list[str]:
    """Return the errors and warnings of the console since the last call."""
    return [e["message"] for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
        ".onnx": "application/octet-stream",
    }

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback while the block runs; yields its address, without a last slash."""
    handler = functools.partial(_Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    # it looks so often, in seconds, whether it is to end: half a second otherwise, for every test
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    sys.exit(0 if (found := find()) and print(found) is None else MISSING)
