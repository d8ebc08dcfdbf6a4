"""Execute every chapter and build the book's HTML into _build/html.

    python tools/book.py
    python tools/book.py --execute       the chapters only; the pages can follow later

Jupyter Book decides alone what to do again, and decides too little: its cache of executed
notebooks does not see a change in relviz/ nor in which recordings are there, and a page that was
not read again repeats none of its warnings, so a second `-W` build would pass where the first
failed. Hence two fingerprints: of what the notebooks compute from, and of everything the pages are
made from. Where the first changed, all notebooks are executed; where the second did, all pages are
built (executed notebooks come from the cache); where neither did, nothing is left to do.

tools/executed.py executes the notebooks; Jupyter Book finds them in its cache.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pooch
import yaml

from tools import executed, rendered, vendor

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
JUNK = {"__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache"}
COMPUTED = {"alignments", "training"}
"""Folders of the user's cache that relviz fills from recordings, as chapters do."""


def files(*tops: str) -> list[Path]:
    """Return every file under the given places of the repository, in one order."""
    found: list[Path] = []
    for top in tops:
        path = ROOT / top
        found += [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sorted(p for p in found if not JUNK & set(p.parts))


def data() -> list[str]:
    """Say which recordings there are: each file's name and size, where relviz looks for them."""
    listing = []
    cache = str(pooch.os_cache("relviz"))
    for folder in (os.environ.get("RELVIZ_DATA", ""), cache):
        listing.append(folder)
        for place, folders, names in os.walk(folder) if folder else ():
            folders[:] = sorted(set(folders) - (COMPUTED if place == cache else set()))
            listing += [f"{place}/{n} {os.path.getsize(f'{place}/{n}')}" for n in sorted(names)]
    return listing


def fingerprint(paths: list[Path], *more: str) -> str:
    """Return one hash of the files' names and contents and of the strings."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    digest.update("\0".join(more).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def main(*options: str) -> None:
    """Build, or say that nothing changed."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    tables = [path for path in files("book") if path.suffix == ".csv"]
    computed = fingerprint(
        [*files("relviz", "constraints.txt", "constraints-torch.txt"), *tables],
        json.dumps(config["execute"]),
        sys.version,
        str(ROOT),
        os.environ.get("RELVIZ_EMBED", ""),
        *data(),
    )
    built = fingerprint(files("book", "_config.yml", "_toc.yml", "tools"), computed)
    executed_mark, built_mark = BUILD / "executed.sha256", BUILD / "built.sha256"
    index = BUILD / "html" / "index.html"

    def holds(mark: Path, value: str) -> bool:
        return mark.is_file() and mark.read_text() == value

    if holds(built_mark, built) and index.is_file():
        print(f"The book is up to date: {index}")
        return
    # with torch, for which neither what is up to date need wait nor those who execute
    from tools import live

    BUILD.mkdir(exist_ok=True)
    vendor.main()
    live.main()
    built_mark.unlink(missing_ok=True)
    if not holds(executed_mark, computed):
        shutil.rmtree(executed.CACHE, ignore_errors=True)
        executed_mark.write_text(computed)
    notebooks = [path for path in files("book") if path.suffix == ".ipynb"]
    executed.execute_all(notebooks, config["execute"]["timeout"])
    if "--execute" in options:
        return
    # a page that left the table of contents must not stay behind
    shutil.rmtree(BUILD / "html", ignore_errors=True)
    # not the script beside python: its first line fails where the path is long or holds spaces
    program = "from jupyter_book.cli.main import main; main()"
    command = ["build", "-W", "--keep-going", "-n", "--all", str(ROOT)]
    done = subprocess.run([sys.executable, "-c", program, *command])
    if done.returncode or not index.is_file():
        sys.exit("The book was not built: what is above says why.")
    # what the pages offer to download is what their rockets open
    rendered.write(BUILD / "html" / "_sources", executed=True)
    built_mark.write_text(built)
    print(f"The book is built: {index}")


if __name__ == "__main__":
    main(*sys.argv[1:])
