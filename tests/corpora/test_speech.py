"""Labels of frames against a search by hand, and utterances that carry their sound."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relviz.corpora import (
    PHONES,
    CorpusError,
    Span,
    Utterance,
    frame_labels,
    speech,
)

SPOKEN = (Span(0.0, 0.1, "SIL"), Span(0.1, 0.25, "HH"), Span(0.25, 0.5, "AY"), Span(0.6, 1.0, "S"))


def utterance(speaker: str, session: str = "1", number: int = 0) -> Utterance:
    return Utterance(f"{speaker}-{session}-{number:04d}", speaker, session)


def test_labels_of_frames() -> None:
    times = [-1, 0, 0.05, 0.1, 0.2499, 0.25, 0.499, 0.5, 0.55, 0.6, 0.999, 1.0, 7]
    labels = frame_labels(SPOKEN, times)
    assert [PHONES[label] for label in labels] == (
        ["SIL", "SIL", "SIL", "HH", "HH", "AY", "AY", "SIL", "SIL", "S", "S", "SIL", "SIL"]
    )
    assert labels.dtype == np.int64
    assert frame_labels(SPOKEN, np.zeros((2, 3))).shape == (2, 3)
    assert frame_labels(SPOKEN, 0.2).shape == ()
    assert frame_labels((), [0.0, 1.0]).tolist() == [PHONES.index("SIL")] * 2


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(PHONES)), max_size=9),
    st.lists(st.integers(-2, 70), max_size=20),
)
def test_labels_are_those_of_a_search(rows: list[tuple[int, int, str]], ticks: list[int]) -> None:
    spans, now = [], 0
    for gap, length, phone in rows:
        spans.append(Span((now + gap) / 10, (now + gap + length) / 10, phone))
        now += gap + length
    times = [tick / 10 for tick in ticks]
    found = frame_labels(tuple(spans), times)
    for time, label in zip(times, found, strict=True):
        holding = [span.label for span in spans if span.start <= time < span.end]
        assert PHONES[label] == (holding or ["SIL"])[0]


def test_other_phones() -> None:
    assert frame_labels((Span(0, 1, "dx"),), [0.5, 2], ("aa", "dx", "sil")).tolist() == [1, 2]
    with pytest.raises(CorpusError) as refused:
        frame_labels((Span(0, 1, "dx"),), [0.5])
    assert str(refused.value) == (
        "The alignment's label 'dx' is not among the 40 phones: give the phones that the "
        "alignment was made with."
    )


def test_an_utterance_carries_its_sound() -> None:
    made = dataclasses.replace(utterance("7"), samples=np.ones(5, np.float32), spoken=SPOKEN)
    made.wave()[:] = 0
    again = pickle.loads(pickle.dumps(made))
    assert again == made and again.spoken == SPOKEN
    assert again.wave().tolist() == [1] * 5
    with pytest.raises(CorpusError, match=r"^Utterance 7-1-0000 has no sound: give it a path or"):
        utterance("7").wave()


@pytest.mark.parametrize(
    "data", [b"a-0 YES\n", b"\xef\xbb\xbfa-0 YES\n", b"a-0 YES\r\n", b"a-0 YES\r"]
)
def test_transcripts_as_people_save_them(tmp_path, data):
    path = tmp_path / "a.trans.txt"
    path.write_bytes(data)
    assert speech.read_text(path) == "a-0 YES\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_by_name(tmp_path, encoding):
    path = tmp_path / "a.trans.txt"
    path.write_bytes("a-0 YES\n".encode(encoding))
    with pytest.raises(CorpusError) as refused:
        speech.read_text(path)
    assert str(refused.value) == f"{path} is UTF-16: save it as UTF-8."


def test_latin_1_is_refused_by_line(tmp_path):
    path = tmp_path / "a.trans.txt"
    path.write_bytes("a-0 YES\na-1 CAFÉ\n".encode("latin-1"))
    with pytest.raises(CorpusError) as refused:
        speech.read_text(path)
    assert str(refused.value) == (
        f"{path}, line 2, is not UTF-8 (Latin-1, perhaps): save it as UTF-8."
    )
