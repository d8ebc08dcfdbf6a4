"""What the table of contents lists."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent


def pages() -> list[str]:
    """Return every page of the book in reading order, as its path without an ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    entries = [chapter for part in toc.get("parts", []) for chapter in part["chapters"]]
    for entry in entries:  # grows while it is walked: sections nest
        entries += entry.get("sections", [])
    names = [toc["root"], *(entry["file"] for entry in entries)]
    return [name.removesuffix(".ipynb").removesuffix(".md") for name in names]
