"""Take pictures of the built pages in headless Chromium, at the widths of a laptop and a phone.

    python tools/screenshots.py FOLDER [PAGE ...]

PAGE is an entry of the table of contents, such as book/index; without any, all pages are taken.
"""

import sys
import time
from pathlib import Path

import browser
import yaml

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


def main(folder: Path, names: list[str]) -> None:
    """Write FOLDER/PAGE-WIDTH.png for every page and width."""
    folder.mkdir(parents=True, exist_ok=True)
    driver = browser.start()
    try:
        with browser.serve(HTML) as address:
            for name in names:
                for width in WIDTHS:
                    browser.resize(driver, width)
                    driver.get(f"{address}/{name}.html")
                    time.sleep(
                        2
                    )  # formulas and explorers draw themselves after the page has loaded
                    tall = driver.execute_script("return document.documentElement.scrollHeight")
                    browser.resize(driver, width, min(tall, TALLEST))
                    target = folder / f"{name.replace('/', '-')}-{width}.png"
                    driver.save_screenshot(str(target))
                    print(target)
    finally:
        driver.quit()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:] or pages())
