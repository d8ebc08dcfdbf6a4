"""The glossary: every term that a chapter sets in bold, once, with the place that introduces it."""

import re

import nbformat
import pytest
from docutils import nodes
from docutils.utils import new_document

from tests.book.toc import ROOT, pages
from tools import terms

CHAPTERS = [name for name in pages() if re.search(r"/\d\d_", name)]
# set in bold for their weight in a sentence, or because they name a row or a choice
EMPHASISED = {
    *("never trained", "not", "true", "they", "recording", "half", "every", "two sums"),
    *("two independent variables", "this very token", "original recordings alone"),
    *("lp, own", "lp, other", "f1 off by", "not one score changes"),
    *("squared", "times white noise", "gradient × |input|"),
    *("how far", "the direction", "one trained network"),
}
BOLD = re.compile(r"\*\*([^*]+?)\*\*")
NOT_PROSE = re.compile(r"\$\$.*?\$\$|`[^`]*`|\{[^}]*\}`[^`]*`", re.DOTALL)


def prose(page: str) -> str:
    """Return what a page says, without its code."""
    path = ROOT / f"{page}.md"
    if path.is_file():
        return path.read_text("utf-8")
    cells = nbformat.read(ROOT / f"{page}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def marked(page: str) -> set[str]:
    """Return the words that a chapter sets in bold within a sentence, at most four at a time."""
    found = {
        " ".join(text.lower().split()) for text in BOLD.findall(NOT_PROSE.sub("0", prose(page)))
    }
    return {text for text in found if len(text.split()) <= 4 and text[-1] not in ".?!:"}


def known(text: str) -> bool:
    """Whether the glossary has a term, its singular, or what it is short for."""
    names = terms.places()
    forms = {text, text.removesuffix("s")}
    return bool(forms & set(names)) or any(name.startswith(f"{text} ") for name in names)


@pytest.mark.parametrize("page", CHAPTERS)
def test_what_a_chapter_sets_in_bold_is_in_the_glossary(page):
    unknown = {text for text in marked(page) if not known(text)} - EMPHASISED
    assert not unknown, f"{unknown}: add them to book/appendix/glossary.md"


def test_what_is_only_emphasised_is_still_somewhere():
    everywhere = set().union(*(marked(page) for page in CHAPTERS))
    assert everywhere >= EMPHASISED
    assert len(everywhere - EMPHASISED) > 40


def test_every_term_stands_once_in_the_order_of_letters():
    text = terms.GLOSSARY.read_text("utf-8")
    blocks = [
        [term for term, _ in terms.ENTRY.findall(b + "\n")] for b in terms.BLOCK.findall(text)
    ]
    listed = [term for block in blocks for term in block]
    assert len(listed) == len(set(listed)) == len(terms.entries()) > 100
    for block in blocks:
        letters = [t.lower().replace("ε", "epsilon").replace("γ", "gamma") for t in block]
        assert letters == sorted(letters)


@pytest.mark.parametrize("term", terms.entries())
def test_a_term_leads_to_a_page_that_has_it(term):
    page, section = terms.place(terms.entries()[term])
    assert page in pages()
    text = prose(page)
    if section:
        assert f"({section})=\n" in text
    words = re.sub(r"[*`_]", "", text if section else text + _made(page)).lower()
    stem = re.escape(term.lower()).replace(r"\ ", r"[\s-]+")
    assert re.search(stem, words), f"{page} does not say {term}"


def _made(page: str) -> str:
    """Words of a page that its code writes: the library reference is made of docstrings."""
    if not page.endswith("/api"):
        return ""
    return "\n".join(path.read_text("utf-8") for path in (ROOT / "relviz").rglob("*.py"))


def test_places_know_abbreviations():
    found = terms.places()
    assert found["gbp"] == found["guided backpropagation"]
    assert found["f0"] == found["fundamental frequency"]
    assert found["per"] == found["phone error rate"]
    assert found["run"] == ("book/appendix/models", "")


def test_the_search_is_led_to_the_section_that_it_can_quote():
    section = nodes.section(ids=["what-it-is", "sec-04-window"])
    document = new_document("page")
    document += section
    assert terms.anchors(document)["sec-04-window"] == "what-it-is"
