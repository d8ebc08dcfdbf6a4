"""What the built pages play, and that each says on what terms it may.

Needs `_build/html`: run `make pages`, which builds the book first.
"""

import base64
import io
import re
from functools import cache
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile
from bs4 import BeautifulSoup

from relviz import corpora
from relviz.corpora.corpus import EMBED
from tests.book.toc import ROOT, pages

HTML = ROOT / "_build" / "html"
TERMS = re.compile(r"CC BY 4\.0|no open licence|Licence of what you hear")
PLAYING = re.compile(r"\b(?:Relevance|Live|Knob)Explorer\(")  # the others are silent
NOTEBOOKS = [name for name in pages() if (ROOT / f"{name}.ipynb").is_file()]
SPOKEN = "book/method/04_relevance_signals"
LENGTH = 512  # samples whose signs tell one recording from all others


@cache
def page(name: str) -> BeautifulSoup:
    path = HTML / f"{name}.html"
    assert path.is_file(), f"{path} was not built; run: make pages"
    return BeautifulSoup(path.read_bytes(), "html.parser")


def words(name: str) -> str:
    return " ".join(page(name).find("article").get_text(" ").split())


@cache
def sounds(name: str) -> list[np.ndarray]:
    """What a page's players play."""
    found = []
    for tag in page(name).select("audio source[src], audio[src]"):
        kind, _, data = tag["src"].partition("base64,")
        raw = base64.b64decode(data) if data else (HTML / f"{name}.html").parent / kind
        wave, rate = soundfile.read(io.BytesIO(raw) if data else raw, dtype="float32")
        assert rate == 16000
        found.append(wave)
    return found


def plays(name: str) -> bool:
    cells = nbformat.read(ROOT / f"{name}.ipynb", as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return bool(sounds(name)) or bool(PLAYING.search(code))


def test_most_pages_play():
    assert sum(map(plays, NOTEBOOKS)) > 12 and sum(len(sounds(name)) for name in NOTEBOOKS) > 60


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_page_that_plays_says_on_what_terms(name):
    if plays(name):
        assert TERMS.search(words(name)), f"{name} plays sounds and names no licence"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_whoever_names_recordings_says_on_what_terms_they_are_heard(name, monkeypatch):
    monkeypatch.delenv(EMBED, raising=False)
    text = words(name)
    for corpus in corpora.CORPORA.values():
        named = f"Recordings: {corpus.title}, found through RELVIZ_DATA."
        said = corpora.Source("RELVIZ_DATA", ROOT, corpus).heard()
        assert text.count(named) == text.count(f"{named} {said}")


def signs(wave: np.ndarray) -> np.ndarray:
    """A number for the signs of each `LENGTH` samples in a row: the same however loud they are."""
    found = (wave > 0).astype(np.uint64)
    step = 1
    while step < 64:  # the signs of 64 samples are a number
        found = (found[:-step] << np.uint64(step)) | found[step:]
        step *= 2
    with np.errstate(over="ignore"):
        while step < LENGTH:  # and the numbers of neighbours another
            found = found[:-step] * np.uint64(0x9E3779B97F4A7C15) + found[step:]
            step *= 2
    return found


def marks(wave: np.ndarray) -> set[int]:
    """The signs of a sound where it is loud: eight places, of which a rounding may spoil some."""
    if len(wave) < 2 * LENGTH:
        return set()
    power, silent = (np.convolve(x, np.ones(LENGTH), "valid") for x in (wave**2, wave == 0))
    loud = np.flatnonzero((power > 0.3 * power.max()) & (silent < LENGTH / 10))
    every = signs(wave)
    places = loud[np.linspace(0, len(loud) - 1, 8).astype(int)] if len(loud) else ()
    return {int(every[i]) for i in places}


@pytest.mark.parametrize("gain", [0.05, 0.9])
def test_a_cut_of_a_recording_is_recognised_and_another_is_not(gain):
    rng = np.random.default_rng(0)
    one, other = np.cumsum(rng.standard_normal((2, 32000)), axis=1)
    one, other = (w - np.convolve(w, np.ones(400) / 400, "same") for w in (one, other))
    cut = np.round(gain * one[5000:20000] / np.abs(one).max() * 32767) / 32767
    assert np.isin(signs(one), list(marks(cut))).sum() >= 3
    assert not np.isin(signs(other), list(marks(cut))).any()


def recordings(name: str) -> list[np.ndarray]:
    """Those of a corpus that are here."""
    if name == "aev":
        return [each.wave() for each in corpora.vowels().tokens]
    return [each.wave() for each in corpora.load(name).utterances]


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("name", ["aev", "mini-librispeech", "speechocean762", "timit-sample"])
def test_recordings_are_played_where_their_licence_lets_them_and_it_is_named(name):
    """Recognised by their samples, whatever a page says of them."""
    if corpora.locate(name) is None:
        pytest.skip(f"{name} is not here")
    of = {page: {m for wave in sounds(page) for m in marks(wave)} for page in NOTEBOOKS}
    every = np.array(sorted(set().union(*of.values())), dtype=np.uint64)
    heard: set[int] = set()
    for wave in recordings(name):
        found = signs(wave)
        heard |= set(found[pd.Index(found).isin(every)].tolist())  # sorts nothing, as numpy would
    corpus = corpora.CORPORA[name]
    playing = [page for page, each in of.items() if len(each & heard) >= 3]
    if not corpus.open:
        assert not playing, f"{corpus.title} has no open licence and is played on {playing}"
    for page in playing:
        assert corpus.title in words(page) and corpus.licence in words(page)
    if name == "mini-librispeech" and f"Recordings: {corpus.title}" in words(SPOKEN):
        # the front page, and chapters 4, 6 and 7
        assert [Path(page).name[:2] for page in playing] == ["in", "04", "06", "07"]
