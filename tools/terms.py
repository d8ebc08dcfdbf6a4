"""Let the search find the page that introduces a term first: an extension of Sphinx.

The glossary says of each term where it is introduced; what it says is written into the scorer of
Sphinx's search, of which book/assets/scorer.js is the rest.
"""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = ROOT / "book" / "appendix" / "glossary.md"
SCORER = ROOT / "book" / "assets" / "scorer.js"
MADE = ROOT / "_build" / "scorer.js"

BLOCK = re.compile(r"^```\{glossary\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\S.*)\n((?:  .*\n)+)", re.MULTILINE)
PLACE = re.compile(r"\(\[[^\]]+\]\(([^)]+)\)\)$")
"""What ends an entry: a link to a section of a chapter, by its label, or to a page beside."""
SHORT = re.compile(r"(\w{1,4})\. ")
"""What an entry may begin with: the term's abbreviation."""


def entries() -> dict[str, str]:
    """Return what the glossary says of each term, on one line."""
    text = GLOSSARY.read_text("utf-8")
    found = (entry for block in BLOCK.findall(text) for entry in ENTRY.findall(block + "\n"))
    return {term: " ".join(said.split()) for term, said in found}


def place(said: str) -> tuple[str, str]:
    """Return the page that an entry leads to, without its ending, and the label of the section."""
    (link,) = PLACE.findall(said)
    if label := re.fullmatch(r"sec-(\d\d)-[\w-]+", link):
        (page,) = (ROOT / "book").glob(f"*/{label[1]}_*.ipynb")
        return page.relative_to(ROOT).with_suffix("").as_posix(), link
    return (GLOSSARY.parent / link).relative_to(ROOT).with_suffix("").as_posix(), ""


def places() -> dict[str, tuple[str, str]]:
    """Return where each term and abbreviation is introduced, in small letters."""
    found = {}
    for term, said in entries().items():
        short = SHORT.match(said)
        for name in (term, *(short.groups() if short else ())):
            found[name.lower()] = place(said)
    return found


def anchors(doctree: nodes.document) -> dict[str, str]:
    """Return what each labelled section of a page is called in HTML: the search quotes it."""
    return {
        label: section["ids"][0]
        for section in doctree.findall(nodes.section)
        for label in section["ids"]
    }


def write(app: Any, env: Any) -> None:
    """Write the scorer, when all pages have been read."""
    of = {page: anchors(env.get_doctree(page)) for page, _ in set(places().values())}
    found = {term: [page, of[page].get(label, "")] for term, (page, label) in places().items()}
    table = json.dumps(found, ensure_ascii=False)
    MADE.parent.mkdir(exist_ok=True)
    MADE.write_text(f"const INTRODUCED = {table};\n{SCORER.read_text('utf-8')}", "utf-8")


def tell(app: Any, _config: Any) -> None:
    """Tell Sphinx of the scorer."""
    app.config.html_search_scorer = str(MADE)


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("config-inited", tell)
    app.connect("env-updated", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
