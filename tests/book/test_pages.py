"""The built pages: complete, whole, light, and readable without seeing.

Needs `_build/html`: run `make pages`, which builds the book first. The links and pictures that the
theme itself puts on a page count as much as a chapter's own.
"""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup

from tests.book.toc import ROOT, pages
from tools import rendered

HTML = ROOT / "_build" / "html"
HEAVIEST = 2_000_000  # bytes of one page, with its explorers' data and what is embedded in it
REPOSITORY = "relviz/relviz"


SOURCES = pages()
CHAPTERS = [name for name in SOURCES if (ROOT / f"{name}.ipynb").is_file()]


@cache
def page(path: Path) -> BeautifulSoup:
    assert path.is_file(), f"{path} was not built; run: make pages"
    return BeautifulSoup(path.read_bytes(), "html.parser")


@pytest.fixture(params=SOURCES)
def path(request) -> Path:
    return HTML / f"{request.param}.html"


@pytest.fixture(params=CHAPTERS)
def chapter(request) -> str:
    return request.param


def test_has_a_title(path):
    assert page(path).find("article").find("h1").get_text(strip=True)
    assert page(path).html["lang"]


def test_is_light(path):
    parts = [path, *path.parent.glob(f"{path.stem}.explorers.js")]
    assert sum(part.stat().st_size for part in parts) < HEAVIEST


def target(start: Path, link: str) -> tuple[Path, str] | None:
    """Return the file and the anchor that a link on a page points to; None if it leads outside."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    place = (start.parent / unquote(parts.path)).resolve() if parts.path else start
    return (place / "index.html" if place.is_dir() else place), unquote(parts.fragment)


@cache
def anchors(path: Path) -> frozenset[str]:
    """What a link may point to on a page, found once for its thousand links to itself."""
    named = page(path).find_all("a", attrs={"name": True})
    return frozenset(
        [tag["id"] for tag in page(path).find_all(id=True)] + [tag["name"] for tag in named]
    )


def test_no_link_is_broken(path):
    broken = []
    for tag in page(path).find_all(["a", "link"], href=True):
        found = target(path, tag["href"])
        if found is None or tag["href"] == "#":
            continue
        file, anchor = found
        if not file.is_file() or (
            anchor and file.suffix == ".html" and anchor not in anchors(file)
        ):
            broken.append(tag["href"])
    assert not broken


def test_no_picture_sound_or_script_is_missing(path):
    missing = []
    for tag in page(path).find_all(src=True):
        found = target(path, tag["src"])
        if found is not None and not found[0].is_file():
            missing.append(tag["src"])
    assert not missing


def test_every_picture_says_what_it_shows(path):
    """Without an alt text of its own, a cell's figure is given the name of its file."""
    silent = []
    for picture in page(path).find_all("img"):
        alt = (picture.get("alt") or "").strip()
        if not alt or re.search(r"\.(?:png|svg|jpe?g|gif)$|^_images/|/_images/", alt):
            silent.append(picture.get("src", "")[:80])
    assert not silent


def test_every_sound_has_its_words_below(path):
    """What is said, or what one hears: for whoever does not hear it, and for screen readers."""
    for cell in page(path).select(".cell:has(audio)"):
        words = cell.find_next_sibling()
        assert words is not None
        assert "relviz-heard" in words.get("class", []), cell.audio["aria-label"]
        assert len(words.get_text(" ", strip=True)) > 60
        assert "{glue" not in words.get_text()


def test_some_pages_have_sounds():
    cells = [
        cell for name in SOURCES for cell in page(HTML / f"{name}.html").select(".cell:has(audio)")
    ]
    assert len(cells) > 25


def test_shows_no_error(path):
    # an example in the library reference may show what is refused
    examples = "".join(tag.get_text() for tag in page(path).select("article .doctest"))
    traceback = "Traceback (most recent call last)"
    text = page(path).find("article").get_text()
    assert text.count(traceback) == examples.count(traceback)
    assert not page(path).select(".output.traceback, .output.stderr, .system-message, .problematic")


def test_every_citation_and_reference_was_resolved(path):
    assert not re.search(r"\{(?:cite|ref|eq|numref|glue|doc)[:\w]*\}`", page(path).get_text())


def test_chapter_opens_on_binder_and_colab(chapter):
    """What opens is the copy whose text Jupyter can show."""
    links = [a["href"] for a in page(HTML / f"{chapter}.html").find_all("a", href=True)]
    place = f"notebooks/{chapter}.ipynb"
    binder = f"https://mybinder.org/v2/gh/{REPOSITORY}/main?urlpath=lab/tree/{place}"
    colab = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/{place}"
    assert binder in [unquote(link) for link in links]
    assert colab in [unquote(link) for link in links]
    assert (ROOT / place).is_file()


def test_chapter_offers_its_copy_to_download(chapter):
    file = HTML / "_sources" / f"{chapter}.ipynb"
    links = [a["href"] for a in page(HTML / f"{chapter}.html").find_all("a", href=True)]
    assert file in [found[0] for link in links if (found := target(HTML / f"{chapter}.html", link))]
    there, kept = (
        nbformat.read(p, as_version=4) for p in (file, ROOT / f"notebooks/{chapter}.ipynb")
    )
    code = [[c.source for c in n.cells if c.cell_type == "code"] for n in (there, kept)]
    assert code[0] == code[1] and "relviz" in there.metadata


def test_copies_have_the_numbers_of_this_build():
    """Of a build with the recordings; another processor may round a few of them otherwise."""
    same: list[bool] = []
    for chapter in CHAPTERS:
        files = (HTML / "_sources" / f"{chapter}.ipynb", ROOT / "notebooks" / f"{chapter}.ipynb")
        built, kept = (
            nbformat.read(file, as_version=4).metadata[rendered.KEPT]["numbers"] for file in files
        )
        names = [name for name in built if name.endswith("source") or name == "credit"]
        # another build's recordings give other numbers
        if all(built[name] == kept[name] for name in names):
            same += [built[name] == kept[name] for name in built]
    if len(same) < 500:
        pytest.skip("the book was built from other recordings than the copies")
    assert sum(same) > 0.98 * len(same), "run: make rendered"


def test_copies_number_figures_and_equations_as_the_pages_do(chapter):
    there = page(HTML / f"{chapter}.html")
    found = {
        tag["id"]: tag.select_one(".caption-number").get_text(strip=True).removeprefix("Fig. ")
        for tag in there.select("figure[id]")
    }
    known = rendered.book().figures
    assert found == {name: str(known[name]) for name in found}
    found = {
        tag["id"].removeprefix("equation-"): tag.select_one(".eqno").get_text().strip("()\xb6#")
        for tag in there.select("div.math[id]")
    }
    known = rendered.book().equations
    assert found == {name: str(known[name]) for name in found}


def test_copies_link_to_places_that_pages_have():
    for name, (where, _) in rendered.book().sections.items():
        assert name in anchors(HTML / f"{where}.html")


def test_chapter_shows_what_its_cells_gave(chapter):
    """A page of a notebook that was not executed has code and nothing below it."""
    assert page(HTML / f"{chapter}.html").select(".cell_output")


@pytest.mark.parametrize("chapter", [c for c in CHAPTERS if c.rpartition("/")[2][0].isdigit()])
def test_chapter_shows_its_figures(chapter):
    assert page(HTML / f"{chapter}.html").select(".cell_output img, figure img")


def test_front_page_leads_to_every_page():
    front = HTML / "book" / "index.html"
    article = page(front).find("article")
    reached = {
        found[0] for a in article.find_all("a", href=True) if (found := target(front, a["href"]))
    }
    listed = {(HTML / f"{name}.html").resolve() for name in SOURCES[1:]}
    assert listed <= reached


def test_bare_address_leads_to_the_front_page():
    assert "book/index.html" in (HTML / "index.html").read_text()
