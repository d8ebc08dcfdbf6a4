"""Alternative texts in the sources: one for each picture, which says what there is to see."""

import difflib
import re

import nbformat
import pytest

from tests.book.toc import ROOT, pages

SHORTEST, LONGEST = 45, 480  # letters
DIRECTIVE = re.compile(r"^`{3,}\{(?:image|figure)\}[^\n]*\n((?::[^\n]*\n)*)", re.MULTILINE)
NAMES_ITSELF = re.compile(
    r"^(?:an? |the )?(?:figure|image|picture|graph|plot|chart)\b", re.IGNORECASE
)


def described(page: str) -> list[tuple[str, str]]:
    """Return alternative text and caption of a page's pictures, as far as its source has them."""
    path = ROOT / f"{page}.ipynb"
    if not path.is_file():
        options = DIRECTIVE.findall((ROOT / f"{page}.md").read_text("utf-8"))
        alts = [re.search(r"^:alt: (.*)$", each, re.MULTILINE) for each in options]
        return [(alt[1] if alt else "", "") for alt in alts]
    shown = [c.metadata.get("mystnb", {}) for c in nbformat.read(path, as_version=4).cells]
    return [
        (each.get("image", {}).get("alt", ""), each.get("figure", {}).get("caption", ""))
        for each in shown
        if {"image", "figure"} & set(each)
    ]


PICTURES = [(page, *each) for page in pages() for each in described(page)]


@pytest.mark.parametrize(("page", "alt", "caption"), PICTURES)
def test_says_what_there_is_to_see(page, alt, caption):
    assert SHORTEST <= len(alt) <= LONGEST
    assert not NAMES_ITSELF.match(alt), "say what is in it"
    assert alt[0].isupper()
    assert alt.endswith(".")


@pytest.mark.parametrize(("page", "alt", "caption"), [each for each in PICTURES if each[2]])
def test_does_not_repeat_the_caption(page, alt, caption):
    """The caption says what it means; both are read, one after the other."""
    one, other = (re.findall(r"\w+", text.lower()) for text in (alt, caption))
    match = difflib.SequenceMatcher(None, one, other, autojunk=False)
    longest = match.find_longest_match().size
    assert longest < 10, one[match.find_longest_match().a :][:longest]
    assert match.ratio() < 0.55


def test_no_two_pictures_are_told_alike():
    alts = [alt for _, alt, _ in PICTURES]
    assert len(alts) > 70
    assert len(set(alts)) == len(alts)
