"""The built teaching kit in a browser: it fits, stands alone, and is usable by everybody.

Needs `_build/course`: run `make kit`, which builds it first.
"""

import re
from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup

from tests.book.test_browser import foreign, violations
from tools import browser, course

DECKS = sorted(path.stem for path in (course.SOURCES / "lectures").glob("*.md"))
QUIZZES = sorted(path.stem for path in (course.SOURCES / "quizzes").glob("*.json"))
PAGES = [
    "pages/index",
    "quizzes/vote",
    *(f"quizzes/{name}" for name in QUIZZES),
    *(f"reports/{name}" for name in course.REPORTS),
    "keys/answers",
    "keys/vote",
    *(f"keys/{name}" for name in QUIZZES),
]
# each slide's height and width, notes aside, and which has none
SLIDES = """
return [...document.querySelectorAll('.slides > section')].map((slide, i) => {
  Reveal.slide(i);
  const shown = [...slide.children].filter((part) => !part.matches('.notes'));
  const ends = shown.map((part) => [part.offsetTop + part.offsetHeight,
    part.offsetLeft + part.scrollWidth]);
  return {low: Math.max(...ends.map((e) => e[0])), right: Math.max(...ends.map((e) => e[1])),
    notes: slide.querySelector('.notes').textContent.length,
    raw: !!slide.querySelector('mjx-merror') || slide.textContent.includes('{glue')};
});
"""
SETTLED = """
const done = arguments[0];
Promise.resolve(window.MathJax?.startup?.promise).then(() => setTimeout(done, 300));
"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    assert course.OUT.is_dir(), f"{course.OUT} was not built; run: make kit"
    with browser.serve(course.OUT) as address:
        yield address


def visit(chrome, address: str) -> None:
    browser.resize(chrome, 1280, 720)
    chrome.get("about:blank")
    for log in ("browser", "performance"):
        chrome.get_log(log)
    chrome.get(address)
    chrome.execute_async_script(SETTLED)


@pytest.mark.parametrize("name", DECKS)
def test_a_lecture_fits_and_stands_alone(chrome, site, name):
    visit(chrome, f"{site}/lectures/{name}.html")
    assert not foreign(chrome, site)
    slides = chrome.execute_script(SLIDES)
    assert len(slides) == len(course.slides((course.SOURCES / f"lectures/{name}.md").read_text()))
    for slide in slides:
        assert slide["low"] <= 720
        assert slide["right"] <= 1290
        assert slide["notes"] > 100
        assert not slide["raw"]


@pytest.mark.parametrize("name", DECKS)
def test_every_slide_is_usable_by_everybody(chrome, site, name):
    visit(chrome, f"{site}/lectures/{name}.html")
    found = {}
    for i in range(chrome.execute_script("return Reveal.getTotalSlides()")):
        chrome.execute_script(f"Reveal.slide({i})")
        if wrong := violations(chrome):
            found[i] = wrong
    assert not found


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_usable_by_everybody(chrome, site, name):
    visit(chrome, f"{site}/{name}.html")
    assert not foreign(chrome, site)
    found = {}
    for width in (1280, 360):
        browser.resize(chrome, width)
        found[width] = violations(chrome)
        page = "document.documentElement"
        found[width, "wider by"] = chrome.execute_script(
            f"return {page}.scrollWidth - {page}.clientWidth"
        )
    assert not {where: what for where, what in found.items() if what}


@pytest.mark.parametrize("name", QUIZZES)
def test_a_quiz_answers_without_a_kernel(chrome, site, name):
    visit(chrome, f"{site}/quizzes/{name}.html")
    script = """
    for (const q of document.querySelectorAll('fieldset')) q.querySelector(arguments[0]).click();
    return [document.querySelectorAll('.said.right').length,
      document.querySelectorAll('fieldset').length, document.getElementById('score').textContent];
    """
    right, asked, score = chrome.execute_script(script, "[data-correct=true]")
    assert right == asked >= 5
    assert score.startswith(f"{asked} of {asked} right")
    chrome.execute_async_script(SETTLED)
    said = chrome.execute_script(
        "return [...document.querySelectorAll('.said')].map((p) => p.textContent)"
    )
    assert not [text for text in said if "\\(" in text]
    assert not violations(chrome)
    wrong, _, score = chrome.execute_script(script, "[data-correct=false]")
    assert wrong == 0
    assert score.startswith(f"{asked} of {asked} right")  # first tries count


def test_one_sound_of_the_vote_gives_way_to_the_next_at_the_same_moment(chrome):
    """As files, in which a browser can always go to a moment."""
    visit(chrome, f"{course.OUT.as_uri()}/quizzes/vote.html")
    first, at, then, last = chrome.execute_async_script("""
        const done = arguments[0];
        const [x, a, b, other] = document.querySelectorAll('audio');
        const playing = () => [...document.querySelectorAll('audio')].map((s) => !s.paused);
        const wait = (time) => new Promise((next) => setTimeout(next, time));
        (async () => {
          await a.play();
          await wait(700);
          const first = a.currentTime;
          await b.play();
          await wait(200);
          const told = [first, b.currentTime, playing()];
          await other.play();
          await wait(100);
          return [...told, playing()];
        })().then(done);
    """)
    assert 0.3 < first <= at < first + 1
    assert then == [False, False, True, False, False, False]
    assert last == [False, False, False, True, False, False]


def test_the_vote_does_not_give_itself_away():
    text = (course.OUT / "quizzes" / "vote.html").read_text()
    assert not re.search(r'(src|id|for|name|href)="[^"]*(trained|random|key)', text)
    sounds = re.findall(r'src="([^"]+\.wav)"', text)
    assert len(sounds) == 3 * len(course.VOTES)
    for sound in sounds:
        assert (course.OUT / "quizzes" / sound).is_file()
    key = (course.OUT / "keys" / "vote.html").read_text()
    assert key.count("A is ") == len(course.VOTES)


@pytest.mark.parametrize("number", list(course.chapters()))
def test_a_handout_has_two_pages_and_nothing_is_cut_off(chrome, site, number):
    visit(chrome, f"{site}/handouts/{number}.html")
    heights = chrome.execute_script(
        "return [...document.querySelectorAll('.sheet')]"
        ".map((sheet) => [sheet.scrollHeight, sheet.clientHeight])"
    )
    assert len(heights) == 2
    assert all(content <= room + 1 for content, room in heights)
    pictures = chrome.execute_script(
        "return [...document.querySelectorAll('figure img')].map((i) => i.clientHeight)"
    )
    assert pictures
    assert min(pictures) > 150
    printed = (course.OUT / "handouts" / f"{number}.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2


def test_what_is_published_has_no_key():
    names = {path.relative_to(course.SITE).parts[0] for path in course.SITE.rglob("*")}
    assert names
    assert not names & set(course.PRIVATE)
    for path in course.SITE.rglob("*.ipynb"):
        assert not re.search("BEGIN (SOLUTION|HIDDEN)", path.read_text())


def test_no_link_of_the_published_kit_is_broken():
    broken = []
    for path in course.SITE.rglob("*.html"):
        page = BeautifulSoup(path.read_bytes(), "html.parser")
        for tag in [*page.find_all(href=True), *page.find_all(src=True)]:
            link = tag.get("href") or tag.get("src")
            if not link.startswith(("http", "#", "data:")):
                place = (path.parent / link.partition("#")[0]).resolve()
                broken += [] if place.is_file() else [(path.name, link)]
    assert not broken
