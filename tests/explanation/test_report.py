"""The page of an explanation: alone in the world, inert, and the same in a browser."""

import base64
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from bs4 import BeautifulSoup

from relviz import corpora
from relviz.cli import main
from relviz.explanation import _report, asked, explain, recording
from relviz.explanation._report import index, page
from tests.book.toc import ROOT
from tools import browser

HOSTILE = "</script><img src=x onerror=alert(1)>$\\frac$\u202e"


@pytest.fixture(scope="module")
def wave():
    return corpora.vowel(120, (500, 1500, 2500), duration=1.0).astype(np.float32)


@pytest.fixture(scope="module")
def found(wave):
    return explain(wave, "phones", sample_rate=16000, name="a vowel")


@pytest.fixture(scope="module")
def soup(found):
    return BeautifulSoup(found.html(), "html.parser")


@pytest.mark.slow
def test_the_page_asks_nobody(soup):
    for tag in soup.find_all(True):
        for name in ("src", "href", "xlink:href", "action", "data", "poster"):
            address = tag.get(name)
            assert address is None or address.startswith(("data:", "#")), (tag.name, address)
    assert "default-src 'none'" in soup.find("meta", {"http-equiv": True})["content"]
    assert not re.search(r"@import|url\((?!#)", soup.style.text)


@pytest.mark.slow
def test_every_picture_is_in_words_and_in_the_inks_of_the_page(soup):
    figures = soup.find_all("figure")
    assert len(figures) == 10  # waveforms and maps of four, F0, posteriors
    for figure in figures:
        drawing = figure.find("svg")
        assert len(drawing["aria-label"]) > 20
        assert figure.figcaption.text
        assert "currentColor" in str(drawing)


def test_controls_stand_beside_the_result(soup):
    rows = [row.find(["th", "td"]).text for row in soup.find_all("tr")]
    for each in (
        "What the network's decision depends on",
        "The same network's plain gradient",
        "The same method on a network that learnt nothing",
        "F0",
        "resynthesis, nothing changed",
    ):
        assert each in rows


@pytest.mark.slow
def test_ten_seconds_take_three_megabytes_at_most(wave):
    said = explain(np.tile(wave, 10), "phones", sample_rate=16000, effects=False)
    assert len(said.html().encode()) < 3e6


@pytest.mark.slow
def test_the_gradient_alone_has_its_signal_on_the_page(wave):
    said = explain(wave, "phones", sample_rate=16000, method="gradient", effects=False)
    sounds = json.loads(BeautifulSoup(said.html(), "html.parser").find(id="sounds").text)
    assert [key for key, _ in sounds] == ["0", "0/phones/gradient/97", "0/untrained/gradient/97"]
    explorer = _report._Ready(said)
    for key, name in explorer.ready.items():
        if name != "recording":
            _, net, method, hop = key.split("/")
            found = explorer._relevance(said.wave, net, method, int(hop))
            assert np.array_equal(found, said.signals[name])


@pytest.mark.slow
def test_hostile_names_stay_text(wave):
    net = asked("phones")
    hostile = type(net)(net.net, HOSTILE, 16000, 4000, "window", tuple([HOSTILE] * 40))
    said = explain(wave, hostile, name=HOSTILE, effects=False)
    for text in (page(said), index(HOSTILE, [(HOSTILE, HOSTILE, HOSTILE)])):
        read = BeautifulSoup(text, "html.parser")
        assert not read.find_all("img")
        assert "\u202e" not in text
        assert all(not name.startswith("on") for tag in read.find_all(True) for name in tag.attrs)


@pytest.mark.slow
def test_the_notebook_shows_the_page_in_a_frame_that_can_do_nothing(found):
    frame = BeautifulSoup(found._repr_html_(), "html.parser").iframe
    assert frame["sandbox"] == ["allow-scripts"]
    assert BeautifulSoup(frame["srcdoc"], "html.parser").h1.text == "a vowel"


@pytest.mark.slow
def test_command_writes_a_page_and_an_index(tmp_path, wave, monkeypatch, capsys):
    import soundfile

    monkeypatch.chdir(tmp_path)
    for name in ("one.wav", "two.wav"):
        soundfile.write(name, wave, 16000)
    assert main(["explain", "one.wav", "--no-effects"]) == 0
    assert BeautifulSoup((tmp_path / "one.html").read_text(), "html.parser").h1.text == "one.wav"
    (tmp_path / "bad.wav").write_text("no sound")
    capsys.readouterr()
    arguments = ["explain", "one.wav", "bad.wav", "two.wav", "--out", "pages", "--no-effects"]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "bad.wav cannot be read" in said
    assert "1 of 3 recordings were not explained." in said
    links = BeautifulSoup((tmp_path / "pages/index.html").read_text(), "html.parser").find_all("a")
    assert [link["href"] for link in links] == ["one.html", "two.html"]
    monkeypatch.setattr(recording, "forecast_of", lambda *a, **k: 200.0)
    assert main(["explain", "one.wav", "--no-effects"]) == 0
    assert "one.wav: about 3.3 min of phones" in capsys.readouterr().err
    assert main(["explain", "absent.wav"]) == 1
    assert "absent.wav is not a file" in capsys.readouterr().err


@pytest.fixture
def opened(chrome, found, tmp_path):
    (tmp_path / "report.html").write_text(found.html())
    chrome.get((tmp_path / "report.html").as_uri())
    return chrome


@pytest.mark.slow
def test_in_a_browser_it_draws_and_switches(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(opened, 20).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#explorer canvas"))
    assert len(opened.find_elements(By.CSS_SELECTOR, "#player input[type=radio]")) == 4
    button = opened.find_element(By.CSS_SELECTOR, "#player button")
    button.click()
    assert button.text == "Stop"
    opened.find_element(By.ID, "sound-1").click()
    button.click()
    assert button.text == "Play"
    assert opened.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_what_is_heard_is_the_signal(found, soup):
    """The packed sounds, unpacked here: 16 bits of the recording, 8 of a relevance signal."""
    import zlib

    raw = zlib.decompress(base64.b64decode(soup.find(id="data").text))
    size = int.from_bytes(raw[:4], "little")
    head = json.loads(raw[4 : 4 + size])
    names = [each["name"] for each in head["layout"]]
    assert names[0] == "0"
    assert [key for key, _ in json.loads(soup.find(id="sounds").text)] == [
        "0",
        "0/phones/guided/97",
        "0/phones/gradient/97",
        "0/untrained/guided/97",
    ]
    assert set(names) >= {key for key, _ in json.loads(soup.find(id="sounds").text)}
    first = head["layout"][0]
    scale = np.frombuffer(raw, "<f4", 1, 4 + size)
    samples = np.frombuffer(raw, "<i2", first["count"], 8 + size) * scale
    assert np.abs(samples - found.wave).max() < 1e-4


@pytest.mark.slow
def test_axe_finds_nothing(opened):
    axe = ROOT / "_build" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.exists():
        subprocess.run([sys.executable, str(ROOT / "tools" / "vendor.py")], check=True)
    opened.execute_script(axe.read_text("utf-8"))
    for theme in ("light", "dark"):
        look = [{"name": "prefers-color-scheme", "value": theme}]
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": look})
        for width in (1280, 360):
            browser.resize(opened, width)
            found = opened.execute_async_script(
                "const done = arguments[0];"
                "axe.run(document).then((r) => done(r.violations.map((v) => v.id)))"
            )
            assert found == [], (theme, width)
