"""Forced alignment against speech whose boundaries are known, and its cache."""

import dataclasses
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from relviz._errors import MissingExtraError, WriteError
from relviz.audio import SAMPLE_RATE, AudioError
from relviz.corpora import (
    PHONES,
    Alignments,
    CorpusError,
    Span,
    SpeechCorpus,
    Utterance,
    align,
    alignment,
    frame_labels,
    spoken,
)
from relviz.corpora.alignment import boundary_errors, pronounceable


@pytest.fixture(scope="module")
def utterances() -> tuple[Utterance, ...]:
    return spoken(("Female1", "Male1"), ("Pack your warm gloves.", "She sees five good books."))


@pytest.fixture(scope="module")
def aligned(
    utterances: tuple[Utterance, ...], tmp_path_factory: pytest.TempPathFactory
) -> Alignments:
    return align(utterances, jobs=1, cache=tmp_path_factory.mktemp("alignments"))


@pytest.mark.slow
def test_alignments_are_whole(utterances: tuple[Utterance, ...], aligned: Alignments) -> None:
    assert not aligned.skipped
    assert list(aligned.spans) == [utterance.name for utterance in utterances]
    for utterance in utterances:
        spans = aligned.spans[utterance.name]
        assert spans[0].start == 0
        assert spans[-1].end == len(utterance.wave()) / SAMPLE_RATE
        assert [span.end for span in spans[:-1]] == [span.start for span in spans[1:]]
        assert all(span.start < span.end for span in spans)
        assert {span.label for span in spans} <= set(PHONES)
        assert frame_labels(spans, np.arange(0, 1, 0.01)).shape == (100,)


@pytest.mark.slow
def test_phones_are_those_of_the_dictionary(aligned: Alignments) -> None:
    phones = [span.label for span in aligned.spans["Male1-0-0001"] if span.label != "SIL"]
    assert " ".join(phones) == "SH IY S IY Z F AY V G UH D B UH K S"
    assert aligned.spans["Male1-0-0001"][-1].label == "SIL"


def test_boundaries_are_where_they_are_known_to_be(
    utterances: tuple[Utterance, ...], aligned: Alignments
) -> None:
    errors = np.concatenate(
        [boundary_errors(u.spoken or (), aligned.spans[u.name]) for u in utterances]
    )
    assert len(errors) > 30
    assert np.median(np.abs(errors)) < 0.02
    assert np.percentile(np.abs(errors), 90) < 0.06
    assert abs(np.median(errors)) < 0.01  # neither early nor late


def test_boundary_errors_compare_what_both_have() -> None:
    def spans(*rows: tuple[float, str]) -> tuple[Span, ...]:
        starts = [start for start, _ in rows]
        return tuple(
            Span(start, end, label)
            for (start, label), end in zip(rows, [*starts[1:], 9.0], strict=True)
        )

    known = spans((0, "SIL"), (1, "K"), (2, "AE"), (3, "T"), (4, "SIL"), (5, "S"), (6, "AH"))
    assert boundary_errors(known, known).tolist() == [0] * 3
    found = spans((0, "SIL"), (1.5, "K"), (2.25, "AE"), (2.5, "T"), (5.5, "S"), (6.25, "IH"))
    assert boundary_errors(known, found).tolist() == [0.25, -0.5]
    assert boundary_errors(known, ()).tolist() == []


def test_an_alignment_does_not_depend_on_the_others(
    utterances: tuple[Utterance, ...], aligned: Alignments, tmp_path: Path
) -> None:
    again = align(utterances[::-1], jobs=1, cache=tmp_path)
    assert again.spans == aligned.spans
    assert list(again.spans) == list(aligned.spans)[::-1]


def test_the_cache_is_used_and_knows_sound_and_text(
    utterances: tuple[Utterance, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    made = (Span(0.0, 0.1, "SIL"), Span(0.1, 1 / 3, "AY"))

    def fake(wave: np.ndarray, words: tuple[str, ...]) -> tuple[Span, ...]:
        done.append(words)
        return made

    monkeypatch.setattr(alignment, "_align", fake)
    first = utterances[0]
    assert align([first], 1, tmp_path).spans == {first.name: made}
    assert len(done) == 1
    renamed = dataclasses.replace(first, name="other", text="PACK YOUR, warm GLOVES")
    assert align([renamed], 1, tmp_path).spans == {"other": made}  # the same sound and words
    assert len(done) == 1
    align([dataclasses.replace(first, text="Pack your gloves.")], 1, tmp_path)
    align([dataclasses.replace(first, samples=first.wave() / 2)], 1, tmp_path)
    monkeypatch.setattr(alignment, "_FORMAT", -1)
    align([first], 1, tmp_path)
    assert len(done) == 4
    assert {path.suffix for path in tmp_path.iterdir()} == {".tsv"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("0.1\t", "nan\t"),
        lambda text: "".join(reversed(text.splitlines(keepends=True)[:-1])),
        lambda text: text.replace("AY", "AW"),
        lambda text: text.replace("AY", "A\x00"),
    ],
    ids=["empty", "half", "not a number", "unordered", "another phone", "a flipped byte"],
)
def test_a_damaged_alignment_is_made_again_and_said(
    utterances: tuple[Utterance, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[str], str],
) -> None:
    made = (Span(0.0, 0.1, "SIL"), Span(0.1, 1 / 3, "AY"))
    monkeypatch.setattr(alignment, "_align", lambda *_: made)
    first = utterances[0]
    align([first], 1, tmp_path)
    (kept,) = tmp_path.glob("*.tsv")
    right = kept.read_text()
    kept.write_text(damage(right))
    with pytest.warns(UserWarning, match=r"^1 of the alignments in \S+ are damaged: they are made"):
        assert align([first], 1, tmp_path).spans == {first.name: made}
    assert kept.read_text() == right


def test_an_alignment_under_another_name_is_not_taken(
    utterances: tuple[Utterance, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alignment, "_align", lambda wave, _: (Span(0.0, len(wave) / 16000, "SIL"),))
    one, two = utterances[:2]
    align([one], 1, tmp_path)
    (kept,) = tmp_path.glob("*.tsv")
    right = align([two], 1, tmp_path).spans[two.name]
    (other,) = set(tmp_path.glob("*.tsv")) - {kept}
    other.write_bytes(kept.read_bytes())
    with pytest.warns(UserWarning, match="are damaged"):
        assert align([two], 1, tmp_path).spans == {two.name: right}


def test_the_cache_is_the_users_own(
    utterances: tuple[Utterance, ...], nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alignment, "_align", lambda *_: (Span(0.0, 1.0, "SIL"),))
    align(utterances[:1], 1)
    assert len(list((nowhere / "alignments").iterdir())) == 1


def test_what_is_done_stays(
    utterances: tuple[Utterance, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waves = []

    def interrupted(wave: np.ndarray, words: tuple[str, ...]) -> tuple[Span, ...]:
        waves.append(wave)
        if len(waves) == 3:
            raise KeyboardInterrupt
        return (Span(0.0, 1.0, "SIL"),)

    monkeypatch.setattr(alignment, "_align", interrupted)
    with pytest.raises(KeyboardInterrupt):
        align(utterances, 1, tmp_path)
    assert len(list(tmp_path.glob("*.tsv"))) == 2
    assert len(align(utterances, 1, tmp_path).spans) == 4
    assert len(waves) == 5


@pytest.mark.slow
def test_an_interrupt_stops_the_processes(tmp_path: Path) -> None:
    program = (
        "from relviz.corpora import align, spoken\n"
        "from relviz.corpora.synthetic import SENTENCES\n"
        "voices = ('Female1', 'Male1', 'Female2', 'Male2')\n"
        f"align(spoken(voices, SENTENCES), 2, {str(tmp_path)!r})\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("*.tsv")):
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert "KeyboardInterrupt" in err
    kept = list(tmp_path.glob("*.tsv"))
    assert 0 < len(kept) < 24
    for path in kept:
        assert re.fullmatch(r"(\d+\.\d+\t\d+\.\d+\t[A-Z]+\n)+[0-9a-f]{64}\n", path.read_text())


@pytest.mark.slow
def test_processes_and_a_bar(
    utterances: tuple[Utterance, ...],
    aligned: Alignments,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert align(utterances, 2, tmp_path, progress=True) == aligned
    out, err = capfd.readouterr()
    assert out == "" and "alignment: 100%" in err
    align(utterances, 2, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_what_cannot_be_aligned_is_skipped_and_named(
    utterances: tuple[Utterance, ...], tmp_path: Path
) -> None:
    good = utterances[0]
    cases = {"none": None, "unknown": "The Jabberwock gloved, it was brillig", "empty": "..."}
    others = [dataclasses.replace(good, name=name, text=text) for name, text in cases.items()]
    short = dataclasses.replace(good, name="short", samples=good.wave()[:4000])
    found = align([*others, good, short], 1, tmp_path)
    assert list(found.spans) == [good.name]
    assert found.skipped == {
        "none": "no transcript",
        "unknown": "not in the dictionary: jabberwock, brillig",
        "empty": "no words",
        "short": "the text does not fit the sound",
    }


@pytest.mark.parametrize(
    ("text", "words", "unknown"),
    [
        ("JOHN'S GHOST", ["john's", "ghost"], []),
        ("THE JABBERWOCK'S GHOST", ["the", "ghost"], ["jabberwock's"]),
        ("Dogs' beds, please: x-rays!", ["dogs'", "beds", "please", "x-rays"], []),
        ("'Tis the o’clock—'hello'", ["'tis", "the", "o'clock", "hello"], []),
        ("a cloud-capped tower", ["a", "cloud", "capped", "tower"], []),
        ("the(2) 1984 naïve", ["the"], ["2", "1984", "naïve"]),
    ],
)
def test_words(text: str, words: list[str], unknown: list[str]) -> None:
    assert pronounceable(text) == (tuple(words), tuple(unknown))


def test_refusals(
    utterances: tuple[Utterance, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CorpusError) as refused:
        align([*utterances, utterances[0]], 1, tmp_path)
    assert str(refused.value) == "Two utterances have the same name: align one corpus at a time."
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(WriteError, match=r"occupied cannot be written \(a file has its name\):"):
        align(utterances, 1, tmp_path / "occupied")
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"no flac")
    with pytest.raises(AudioError, match=r"broken\.flac cannot be read"):
        align([Utterance("broken", "1", "1", broken, "hello")], 1, tmp_path)
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MissingExtraError, match=r"^pocketsphinx is not installed: pip install"):
        align(utterances, 1, tmp_path)


def test_importing_is_light() -> None:
    command = "import relviz.corpora, sys; print('pocketsphinx' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", command], text=True) == "False\n"


@pytest.mark.realdata
def test_real_speech(librispeech: SpeechCorpus, tmp_path: Path) -> None:
    chosen = [each for each in librispeech.utterances if each.text][:600:300]
    found = align(chosen, 1, tmp_path)
    assert len(found.spans) == len(chosen)
    for each in chosen:
        spans, wave = found.spans[each.name], each.wave()
        level = {
            silent: np.mean(
                np.concatenate(
                    [
                        wave[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] ** 2
                        for start, end, label in spans
                        if (label == "SIL") == silent
                    ]
                )
            )
            for silent in (True, False)
        }
        assert level[False] > 30 * level[True]  # 15 dB


@pytest.mark.realdata
def test_real_speech_does_not_depend_on_the_others(
    librispeech: SpeechCorpus, tmp_path: Path
) -> None:
    chosen = [each for each in librispeech.utterances if each.text][:600:100]
    once = align(chosen, 1, tmp_path / "once").spans
    again = align(chosen[::-1], 1, tmp_path / "again").spans
    assert [name for name in once if once[name] != again[name]] == []
