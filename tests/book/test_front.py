"""The front page's vote, and sounds that give way to each other, in a browser.

Needs `_build/html`: run `make pages`, which builds the book first.
"""

import re

import numpy as np
import pytest
from bs4 import BeautifulSoup
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.book.toc import ROOT
from tools import browser

HTML = ROOT / "_build" / "html"
FRONT = "book/index.html"
# all sources that were started, in the order of the sounds
LISTEN = """
window.sources = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when, ...rest) {
  sources.push({when, loop: () => this.loop, samples: this.buffer.getChannelData(0)});
  return start.call(this, when, ...rest);
};
"""


@pytest.fixture(scope="module", params=["http", "file"])
def site(request):
    if request.param == "file":
        yield HTML.as_uri()
    else:
        with browser.serve(HTML) as address:
            yield address


@pytest.fixture
def front(chrome, site):
    browser.resize(chrome, 1280, 800)
    chrome.get("about:blank")
    chrome.get_log("browser")
    chrome.get(f"{site}/{FRONT}")
    chrome.execute_script(LISTEN)
    return chrome


def buttons(page) -> dict[str, object]:
    return {b.text: b for b in page.find_elements(By.CSS_SELECTOR, ".relviz-vote button")}


def pressed(page) -> list[str]:
    return [t for t, b in buttons(page).items() if b.get_attribute("aria-pressed") == "true"]


def test_screen_readers_are_told_where_the_words_of_a_sound_are(chrome, site):
    chrome.get(f"{site}/book/method/04_relevance_signals.html")
    script = """
    return [...document.querySelectorAll('.cell audio')].map((each) =>
      document.getElementById(each.getAttribute('aria-details'))?.textContent ?? '');
    """
    told = chrome.execute_script(script)
    assert len(told) == len(chrome.find_elements(By.CSS_SELECTOR, "audio")) > 8
    assert all("What you hear" in words for words in told)
    assert len(set(told)) == 5


def truth(page) -> str:
    """The letter of the trained network's picture."""
    return page.execute_script(
        "return document.querySelector('[data-role=trained] button').textContent"
    )


def test_all_is_in_one_screen(front):
    ends = front.execute_script(
        "return ['h1', '.relviz-vote', '.relviz-doors'].map("
        "(s) => document.querySelector(s).getBoundingClientRect().bottom)"
    )
    assert ends == sorted(ends) and ends[-1] <= 800, ends


def test_it_has_three_doors(front):
    doors = front.find_elements(By.CSS_SELECTOR, ".relviz-doors strong a")
    assert [door.text for door in doors] == ["Read", "Run", "Teach"]


def test_sounds_run_together_and_one_is_heard(front):
    for text in ("X: speech", "A", "B"):
        buttons(front)[text].click()
        WebDriverWait(front, 10).until(lambda _, text=text: pressed(front) == [text])
    started = front.execute_script(
        "return sources.map((s) => [s.when, s.loop(), s.samples.length])"
    )
    assert len(started) == 3 and len({tuple(each) for each in started}) == 1  # to the sample
    assert started[0][1] is True
    buttons(front)["B"].click()
    WebDriverWait(front, 10).until(lambda _: not pressed(front))


def test_they_are_equally_loud(front):
    buttons(front)["A"].click()
    WebDriverWait(front, 10).until(lambda _: pressed(front) == ["A"])
    loud = front.execute_script(
        "return sources.map((s) => Math.sqrt(s.samples.reduce((p, v) => p + v * v, 0) "
        "/ s.samples.length))"
    )
    # peaks of a relevance signal are cut at full scale
    np.testing.assert_allclose(loud, 0.05, rtol=0.1)


def test_going_round_can_be_switched_off(front):
    box = front.find_element(By.CSS_SELECTOR, ".relviz-vote input[type=checkbox]")
    box.click()
    buttons(front)["A"].click()
    WebDriverWait(front, 10).until(lambda _: pressed(front) == ["A"])
    assert front.execute_script("return sources.map((s) => s.loop())") == [False] * 3
    WebDriverWait(front, 15).until(lambda _: not pressed(front))


@pytest.mark.parametrize("choice", ["A does", "B does", "I cannot tell"])
def test_a_vote_is_answered_by_keyboard(front, choice):
    said = front.find_element(By.CSS_SELECTOR, ".relviz-vote [role=status]")
    assert said.text.startswith("Press X, A and B in turn")
    right = truth(front)
    buttons(front)[choice].send_keys(Keys.ENTER)
    verdict = {"I": "", right: "Right: "}.get(choice[0], "No: ")
    assert said.text.startswith(f"{verdict}{right} is the trained network.")
    assert len(re.findall(r"\d+ Hz", said.text)) == 3


def test_the_draw_is_new_for_each_visit(chrome, site):
    drawn = set()
    for _ in range(20):
        chrome.get(f"{site}/{FRONT}")
        drawn.add(truth(chrome))
    assert drawn == {"A", "B"}


def test_no_letter_or_name_tells_before_the_vote(front):
    three = front.find_elements(By.CSS_SELECTOR, ".relviz-sound")
    alts = [each.find_element(By.TAG_NAME, "img").get_attribute("alt") for each in three]
    assert alts[1].removeprefix("A. ") == alts[2].removeprefix("B. ")
    text = front.find_element(By.CSS_SELECTOR, ".relviz-vote").text
    assert "is the trained network" not in text


def test_nothing_is_wrong_in_the_console(front):
    buttons(front)["A"].click()
    WebDriverWait(front, 10).until(lambda _: pressed(front) == ["A"])
    assert not browser.complaints(front)


def test_without_scripts_all_can_be_heard_and_the_answer_read():
    vote = BeautifulSoup((HTML / FRONT).read_bytes(), "html.parser").select_one(".relviz-vote")
    assert len(vote.select("audio[controls]")) == 3
    assert "B is the trained network." in vote.select_one("details").get_text()


def test_players_of_one_length_give_way_to_each_other(chrome, site):
    if site.startswith("file"):
        pytest.skip("a page that is a file may decode no other")
    chrome.get(f"{site}/book/trust/12_a_test_with_a_known_answer.html")
    chrome.execute_script(LISTEN)
    group = chrome.find_element(By.CSS_SELECTOR, ".relviz-compare")
    first, second = group.find_elements(By.TAG_NAME, "button")[:2]
    for button in (first, second):
        chrome.execute_script("arguments[0].click()", button)
        WebDriverWait(chrome, 10).until(
            lambda _, b=button: b.get_attribute("aria-pressed") == "true"
        )
    assert first.get_attribute("aria-pressed") == "false"
    started = chrome.execute_script("return sources.map((s) => s.when)")
    assert len(started) >= 2 and len(set(started)) == 1
