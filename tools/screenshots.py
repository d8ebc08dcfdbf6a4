"""Take pictures of the built pages in headless Chromium, at the widths of a laptop and a phone.

    python tools/screenshots.py FOLDER [PAGE ...]

PAGE is an entry of the table of contents, such as book/index; without any, all pages are taken.
"""

import functools
import http.server
import shutil
import sys
import threading
import time
from pathlib import Path

import yaml
from selenium import webdriver

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
WIDTHS = (1280, 390)
TALLEST = 16_000  # pixels; Chromium's own limit for one picture


def pages() -> list[str]:
    """Return the entries of the table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    entries = [chapter for part in toc.get("parts", []) for chapter in part["chapters"]]
    for entry in entries:  # grows while it is walked: sections nest
        entries += entry.get("sections", [])
    return [toc["root"], *(entry["file"] for entry in entries)]


def browser() -> webdriver.Chrome:
    """Start Chromium so that it looks for nothing outside and runs as any user."""
    options = webdriver.ChromeOptions()
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "hide-scrollbars",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
    ):
        options.add_argument(f"--{flag}")
    # named here, or selenium would go and look for a newer pair in the network
    options.binary_location = shutil.which("chromium") or sys.exit("chromium is not installed")
    driver = shutil.which("chromedriver") or sys.exit("chromedriver is not installed")
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the book without a line for every file."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def main(folder: Path, names: list[str]) -> None:
    """Write FOLDER/PAGE-WIDTH.png for every page and width."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(Quiet, directory=HTML)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    driver = browser()
    try:
        for name in names:
            for width in WIDTHS:
                # a window cannot be as narrow as a phone; this can
                screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
                driver.get(f"http://127.0.0.1:{server.server_port}/{name}.html")
                time.sleep(2)  # formulas and explorers draw themselves after the page has loaded
                measure = "return document.documentElement.scrollHeight"
                screen["height"] = min(driver.execute_script(measure), TALLEST)
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
                target = folder / f"{name.replace('/', '-')}-{width}.png"
                driver.save_screenshot(str(target))
                print(target)
    finally:
        driver.quit()
        server.shutdown()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:] or pages())
