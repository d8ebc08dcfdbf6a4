"""Check the external links of the book's sources: one line for each broken one, exit status 1.

Needs the network, so it is no part of `make test`: run it before a release.

    .venv/bin/python tools/links.py [FOLDER OR FILE ...]     (default: book, README.md)

Looks at http and https addresses in .md and .ipynb files (prose cells alone; code is not read by
browsers) and at the DOIs and addresses of .bib files.
"""

import json
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"https?://(?:(?!\]\()[^\s<>\"'`\\{}|^])+")
DOI = re.compile(r"^\s*doi\s*=\s*[{\"](.+?)[}\"]\s*,?\s*$", re.IGNORECASE | re.MULTILINE)
NO_PAGES = ("http://localhost", "http://127.", "https://example.")
# some publishers answer a script with a refusal although the page is there for a reader
REFUSALS = {401, 403, 405, 406, 418, 429}
HEADERS = {"User-Agent": "Mozilla/5.0 (relviz link check)"}


def links(path: Path) -> set[str]:
    """Return the external addresses in one source file; a DOI becomes https://doi.org/..."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    found = {clean(address) for address in ADDRESS.findall(text)}
    if path.suffix == ".bib":
        found |= {f"https://doi.org/{doi}" for doi in DOI.findall(text)}
    return {link for link in found if not link.startswith(NO_PAGES)}


def clean(address: str) -> str:
    """Cut what belongs to the sentence around an address: its full stop, an unmatched bracket."""
    while True:
        shorter = address.rstrip(".,;:!?*")
        for opening, closing in ("()", "[]"):
            if shorter.endswith(closing) and shorter.count(closing) > shorter.count(opening):
                shorter = shorter[:-1]
        if shorter == address:
            return address
        address = shorter


def sources(tops: Iterable[Path]) -> list[Path]:
    """Return the .md, .ipynb and .bib files in folders (or the files themselves), in order."""
    found: set[Path] = set()
    for top in tops:
        inside = [top] if top.is_file() else top.rglob("*")
        found |= {p for p in inside if p.suffix in {".md", ".ipynb", ".bib"}}
    return sorted(p for p in found if ".ipynb_checkpoints" not in p.parts)


def fault(link: str, timeout: float = 20.0, tries: int = 2) -> str | None:
    """Say what is wrong with a link, in a few words; None if it leads somewhere.

    Asks for the head alone first, then for the page where a server answers heads with an error.
    """
    said = "no answer"
    for _ in range(tries):
        for method in ("HEAD", "GET"):
            try:
                with requests.request(
                    method,
                    link,
                    timeout=timeout,
                    allow_redirects=True,
                    stream=True,
                    headers=HEADERS,
                ) as answer:
                    status = answer.status_code
            except requests.RequestException as error:
                said = type(error).__name__
                continue
            if status < 400 or status in REFUSALS:
                return None
            said = f"status {status}"
    return said


def main(arguments: list[str]) -> int:
    """Check every link once and print the broken ones; returns 1 if there are any."""
    tops = [Path(name) for name in arguments] or [ROOT / "book", ROOT / "README.md"]
    absent = [str(top) for top in tops if not top.exists()]
    if absent:
        print(f"not there: {', '.join(absent)}", file=sys.stderr)
        return 2
    where: dict[str, list[str]] = {}
    for path in sources(tops):
        for link in links(path):
            where.setdefault(link, []).append(path.name)
    with ThreadPoolExecutor(8) as pool:
        faults = list(pool.map(fault, where))
    broken = [(link, said) for link, said in zip(where, faults, strict=True) if said]
    for link, said in broken:
        print(f"{link}  {said}  in {', '.join(sorted(where[link]))}")
    print(f"{len(where)} links, {len(broken)} broken", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
