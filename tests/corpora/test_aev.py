"""The tables' parsing against lines read by hand, and the recordings where there are some."""

import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from relviz import acoustics
from relviz.corpora import (
    TABLE2,
    VOWELS,
    CorpusError,
    Measures,
    Source,
    Vowel,
    aev,
    load,
    synthetic,
    vowels,
)
from relviz.corpora.aev import CORPUS, _read_table, _read_tables
from relviz.corpora.corpus import EMBED
from relviz.corpora.tokens import deviations

VOWDATA = """(c) 1995 James Hillenbrand

Filenames:

character 1:     m=man, w=woman, b=boy, g=girl
characters 2-3:  talker number

col1:  filename
  1    2   3    4    5    6    7    8    9   10    11  12   13    14  15   16
m01ah 316 159  813 1283 2687 3675  818 1292 2706  818 1279 2689  767 1378 2592 
m02ah 250 102  700 1200 2500 3489  627 1871 2456  636 1881 2455  628 1793 2451 
w49ah 339 224 1145    0 3272 4110 1145    0 3272 1145    0 3272 1013 1786 3090 
w01ah 323   0  930 1500 2800    0  669 2008 2671  671 1992 2659  685 1773 2680 
b01ah 323 236  930 1500 2800    0  669 2008 2671  671 1992 2659  685 1773 2680 
"""  # noqa: W291

TIMEDATA = """  Start = Start of vowel nucleus
Center2 = Steady-state time from judge 2

File   Start    End   Center1  Center2
m01ah  204.0   520.2   268.0    254.0
m02ah  132.0   382.0   198.0    240.0
w49ah  100.0   439.0   150.0    151.0
w01ah   50.0   373.0   100.0    120.0
b01ah   50.0   373.0   100.0    120.0
"""


@pytest.fixture
def folder(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """RELVIZ_DATA/aev with four adult tokens of "ah"."""
    folder = nowhere.parent / "data" / "aev"
    for name in ("men/m01ah", "men/m02ah", "women/w01ah", "women/w49ah"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).normal(0, 0.1, 9600)
        soundfile.write(folder / f"{name}.wav", noise, 16000)
    (folder / "vowdata.dat").write_bytes(VOWDATA.replace("\n", "\r\n").encode())
    (folder / "timedata.dat").write_bytes(TIMEDATA.replace("\n", "\r\n").encode())
    monkeypatch.setenv("RELVIZ_DATA", str(folder.parent))
    return folder


def remedy(folder: Path) -> str:
    return f"put it there, or run `relviz data fetch aev --folder {folder}`."


def refusal(*arguments: object) -> str:
    with pytest.raises(CorpusError) as refused:
        vowels(*arguments)  # type: ignore[arg-type]
    return str(refused.value)


def test_tokens_are_what_the_tables_say(folder: Path) -> None:
    corpus = vowels("ah")
    assert corpus.source == Source("RELVIZ_DATA", folder, CORPUS)
    assert [token.name for token in corpus.tokens] == ["m01ah", "m02ah", "w01ah", "w49ah"]
    first = corpus.tokens[0]
    assert first == Vowel(
        name="m01ah",
        talker="m01",
        sex="M",
        vowel="ah",
        f0=159,
        f1=813,
        f2=1283,
        f3=2687,
        start=0.2040,
        end=520.2 / 1000,
        steady=(0.268 + 0.254) / 2,
        path=folder / "men" / "m01ah.wav",
    )
    wave = first.wave()
    assert wave.dtype == np.float32
    assert wave.shape == (9600,)
    assert corpus.tokens[3].sex == "F"
    assert corpus.tokens[3].path == folder / "women" / "w49ah.wav"


def test_zero_becomes_nan(folder: Path) -> None:
    _, _, w01, w49 = vowels("ah").tokens
    assert math.isnan(w01.f0)
    assert w01.f1 == 930
    assert math.isnan(w49.f2)
    assert (w49.f1, w49.f3) == (1145, 3272)


def test_deviations_leave_nan_out(folder: Path) -> None:
    spread = vowels("ah").deviations
    assert set(spread) == {("ah", "M"), ("ah", "F")}
    assert spread["ah", "M"].f0 == pytest.approx(np.std([159, 102], ddof=1))
    assert spread["ah", "F"].f1 == pytest.approx(np.std([1145, 930], ddof=1))
    assert math.isnan(spread["ah", "F"].f2)


@given(st.lists(st.tuples(*[st.floats(60, 4000) | st.just(math.nan)] * 4), min_size=3, max_size=8))
def test_deviations_are_sample_deviations(rows: list[tuple[float, float, float, float]]) -> None:
    rows = [(100.0, 500.0, 1500.0, 2500.0), (120.0, 520.0, 1510.0, 2600.0), *rows]
    tokens = [Vowel("m01ah", "m01", "M", "ah", *row, 0.1, 0.4, 0.2) for row in rows]
    spread = deviations(tokens)["ah", "M"]
    for column, found in zip(zip(*rows, strict=True), spread, strict=True):
        finite = [value for value in column if not math.isnan(value)]
        assert found == pytest.approx(np.std(finite, ddof=1))


def test_a_folder_given_and_all_vowels(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RELVIZ_DATA")
    for root in (folder, folder.parent):
        corpus = load("aev", root=root)  # there is no other vowel in these tables
        assert corpus.source == Source("given", folder, CORPUS)
        assert [token.name for token in corpus.tokens] == ["m01ah", "m02ah", "w01ah", "w49ah"]


def test_a_token_without_sound() -> None:
    with pytest.raises(CorpusError) as refused:
        Vowel("m01ah", "m01", "M", "ah", 100, 700, 1200, 2500, 0.1, 0.4, 0.2).wave()
    assert str(refused.value) == "Token m01ah has no sound: give it a path."


def test_unknown_vowel(folder: Path) -> None:
    assert refusal(("ah", "ow")) == (
        "There is no vowel 'ow': choose from ae, ah, aw, eh, ei, er, ih, iy, oa, oo, uh, uw."
    )


def test_missing_recording(folder: Path) -> None:
    (folder / "men" / "m02ah.wav").unlink()
    (folder / "women" / "w49ah.wav").unlink()
    assert refusal("ah") == (
        f"{folder / 'men' / 'm02ah.wav'} is missing (and 1 more): {remedy(folder)}"
    )


def test_missing_recording_in_the_cache(
    folder: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELVIZ_DATA")
    nowhere.mkdir(parents=True)
    folder.rename(nowhere / "aev")
    path = nowhere / "aev" / "men" / "m02ah.wav"
    path.unlink()
    assert refusal("ah") == f"{path} is missing: run `relviz data fetch aev`."


@pytest.mark.parametrize("table", ["vowdata.dat", "timedata.dat"])
def test_missing_table(folder: Path, table: str) -> None:
    (folder / table).unlink()
    assert refusal("ah") == f"{folder / table} is missing: {remedy(folder)}"


@pytest.mark.parametrize("broken", ["m02ah  132.0   382.0   198.0", "m02ah  132.0   38x 198 240.0"])
def test_broken_row(folder: Path, broken: str) -> None:
    row = "m02ah  132.0   382.0   198.0    240.0"
    (folder / "timedata.dat").write_text(TIMEDATA.replace(row, broken))
    assert refusal("ah") == (
        f"{folder / 'timedata.dat'}, line 6, is not a name and 4 numbers: for the whole table, "
        f"{remedy(folder)}"
    )


def test_token_without_times(folder: Path) -> None:
    row = "m02ah  132.0   382.0   198.0    240.0\n"
    (folder / "timedata.dat").write_text(TIMEDATA.replace(row, ""))
    assert refusal("ah") == (
        f"{folder / 'timedata.dat'} has no row for m02ah: for the whole table, {remedy(folder)}"
    )


VOW, TIME = "vowdata.dat", "timedata.dat"


@pytest.mark.parametrize(
    ("table", "was", "now", "line", "reason"),
    [
        (VOW, "159  813", "inf  813", 10, "says that m01ah has inf Hz"),
        (VOW, "159  813", "nan  813", 10, "says that m01ah has nan Hz"),
        (VOW, "159  813", "-159  813", 10, "says that m01ah has -159 Hz"),
        (VOW, "159  813", "159  81300", 10, "says that m01ah has 81300 Hz"),
        (VOW, "159  813", "159  1e300", 10, "says that m01ah has 1e+300 Hz"),
        (VOW, "2592 \n", "8001 \n", 10, "says that m01ah has 8001 Hz"),
        (VOW, "813 1283", "1283 813", 10, "says that the formants of m01ah are at 1283, 813, 268"),
        (VOW, "m01ah 316", "m01ah -316", 10, "says that m01ah lasts -316 ms"),
        (VOW, "b01ah", "w01ah", 14, "has w01ah again, after line 13"),
        (VOW, "m02ah 250", "m0\xe9ah 250", 11, "is not a name and 15 numbers"),
        (VOW, "m02ah 250", "m02ah 250 1", 11, "is not a name and 15 numbers"),
        (VOW, "m02ah 250", "<p>error 250", 11, "is not a name and 15 numbers"),
        (TIME, "204.0   520.2", "520.2   204.0", 5, "says that m01ah begins at 520.2 ms, is stead"),
        (TIME, "204.0   520.2", "inf   520.2", 5, "has inf ms for m01ah"),
        (TIME, "204.0   520.2", "204.0   nan", 5, "has nan ms for m01ah"),
        (TIME, "204.0   520.2", "204.0   1e9", 5, "has 1e+09 ms for m01ah"),
        (TIME, "204.0   520.2", "-4.0   520.2", 5, "has -4 ms for m01ah"),
        (
            TIME,
            "268.0    254.0",
            "968.0    254.0",
            5,
            "says that m01ah begins at 204 ms, is stea",
        ),
        (TIME, "m02ah", "m01ah", 6, "has m01ah again, after line 5"),
    ],
)
def test_what_a_table_cannot_say(
    folder: Path, table: str, was: str, now: str, line: int, reason: str
) -> None:
    text = (folder / table).read_text()
    assert text.count(was) == 1
    (folder / table).write_text(text.replace(was, now), encoding="latin-1")
    said = refusal("ah")
    assert said.startswith(f"{folder / table}, line {line}, {reason}")
    assert said.endswith(f": for the whole table, {remedy(folder)}")


@pytest.mark.parametrize("table", [VOW, TIME])
def test_what_is_no_table(folder: Path, table: str) -> None:
    for text in ("", "<!DOCTYPE html><html><title>404</title></html>", "\0" * 1000):
        (folder / table).write_text(text)
        assert refusal("ah") == f"{folder / table} holds no row of a table: {remedy(folder)}"
    (folder / table).write_bytes(bytes(1_000_001))
    assert refusal("ah") == (
        f"{folder / table} has 1000001 bytes, too many for this table: {remedy(folder)}"
    )


def test_a_table_that_was_cut_off(folder: Path) -> None:
    (folder / VOW).write_text(VOWDATA[: VOWDATA.index("w01ah")])
    assert refusal("ah") == (
        f"{folder / VOW} has no row for b01ah: for the whole table, {remedy(folder)}"
    )


def test_a_recording_shorter_than_its_vowel(folder: Path) -> None:
    path = folder / "men" / "m01ah.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[: int(0.6 * len(samples))], rate)
    assert refusal("ah") == (
        f"{path} ends at 0.360 s, but {folder / TIME}, line 5, says that its vowel goes on to "
        f"0.520 s: {remedy(folder)}"
    )


def test_synthetic_when_there_is_nothing(nowhere: Path) -> None:
    corpus = vowels()
    assert corpus.source == Source("synthetic", None, CORPUS)
    assert len(corpus.tokens) == 465
    assert len({token.talker for token in corpus.tokens}) == 93
    assert set(corpus.deviations) == {(vowel, sex) for vowel in TABLE2 for sex in "MF"}
    again = pickle.loads(pickle.dumps(corpus))
    assert again == corpus
    assert np.array_equal(again.tokens[7].wave(), corpus.tokens[7].wave())


@pytest.mark.realdata
def test_rows_of_the_real_tables(recordings: Path) -> None:
    rows = _read_table(recordings / "vowdata.dat", 16)
    assert len(rows) == 1668
    assert rows["m01ae"].cells[:6] == (323, 174, 663, 2012, 2659, 3691)
    assert rows["g21uw"].cells == (
        *(227, 225, 446, 1533, 3269, 4504, 465, 1622, 3261, 444, 1525, 3265, 442, 1619, 3099),
    )
    times = _read_table(recordings / "timedata.dat", 5)
    assert times["m01ae"].cells == (177.3, 500.4, 304.0, 297.0)
    tokens = _read_tables(recordings)
    assert len(tokens) == 93 * 12
    assert {token.vowel for token in tokens} == set(VOWELS)


@pytest.mark.realdata
def test_the_real_corpus(recordings: Path) -> None:
    corpus = vowels()
    assert corpus.source.folder == recordings
    assert len(corpus.tokens) == 465
    talkers = {token.talker: token.sex for token in corpus.tokens}
    assert sorted(talkers.values()) == ["F"] * 48 + ["M"] * 45
    assert [token.vowel for token in corpus.tokens] == [v for v in TABLE2 for _ in range(93)]
    unmeasured = [token.name for token in corpus.tokens if math.isnan(token.f2)]
    assert unmeasured == ["w49ah"]
    assert len(corpus.deviations) == 24
    assert corpus.deviations["iy", "F"] == pytest.approx(Measures(24, 41, 147, 237), abs=0.6)
    for token in corpus.tokens[::20]:
        wave = token.wave()
        assert wave.dtype == np.float32
        assert 0 <= token.start <= token.steady <= token.end < len(wave) / 16000


RECORDED = Vowel("w10iy", "w10", "F", "iy", 220, 400, 2700, 3200, 0.2, 0.5, 0.3, Path("x"))


def test_pages_carry_no_recording_without_an_open_licence(monkeypatch):
    monkeypatch.delenv(EMBED, raising=False)
    heard = aev.to_hear(RECORDED)
    assert isinstance(heard, synthetic.SyntheticVowel) and heard.path is None
    assert replace(RECORDED, path=None) == Vowel(**vars(heard))
    wave = heard.wave()
    assert len(wave) == 0.6 * 16000 and not wave[: round(0.2 * 16000)].any()
    found = acoustics.median_f0(wave, 16000, (0.25, 0.45))
    assert found == pytest.approx(220, rel=0.01)


def test_what_was_not_measurable_is_the_mean_of_the_vowel(monkeypatch):
    monkeypatch.delenv(EMBED, raising=False)
    heard = aev.to_hear(replace(RECORDED, f0=math.nan, f3=math.nan))
    means = synthetic.MEANS["F"]["iy"]
    assert (heard.f0, heard.f1, heard.f2) == (means[0], 400, 2700)
    assert heard.f3 == max(means[3], 2850)


@pytest.mark.parametrize("says", ["aev", "other,aev"])
def test_a_page_for_oneself_may_carry_them(monkeypatch, says):
    monkeypatch.setenv(EMBED, says)
    assert aev.to_hear(RECORDED) is RECORDED


def test_a_synthetic_vowel_is_heard_as_it_is():
    (token,) = synthetic.vowel_corpus(["ah"], men=1, women=0)
    assert aev.to_hear(token) is token
