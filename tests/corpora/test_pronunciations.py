"""A dictionary of one's own: what it may look like, and what it does to an alignment."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relviz.corpora import PHONES, CorpusError, align, pronunciations, spoken
from relviz.corpora.alignment import pronounceable


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "own.dict"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_dictionary_as_cmudict_has_it(tmp_path: Path) -> None:
    text = (
        ";;; mine\r\nJABBERWOCK  JH AE1 B ER0 W AA2 K # a beast\r\n\r\ntove\tt ow v\r\n"
        "TOVE(2)  T AH0 V\r\ntove(3) T OW1 V\r\nC#  S IY1 SH AA1 R P\r\n"
    )
    assert pronunciations.read(written(tmp_path, "\ufeff" + text)) == {
        "jabberwock": ("JH AE B ER W AA K",),
        "tove": ("T OW V", "T AH V"),
        "c#": ("S IY SH AA R P",),
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("A AH\nB\n", ", line 2: 'B' has no phones; write as in WORD  W ER1 D."),
        ("A AH\n\nB  B QQ1\n", ", line 3: 'QQ1' is no phone of CMUdict; write as in WORD  W ER1"),
        ("B  SIL\n", ", line 1: 'SIL' is no phone of CMUdict"),
        ("B  B IY3\n", ", line 1: 'IY3' is no phone"),
        (";;; nothing\n", " has no word: give a dictionary in the format of CMUdict."),
        ("", " has no word: "),
        (b"A AH\nNA\xefF  N\n", ", line 2, is not UTF-8 (Latin-1, perhaps): save it as UTF-8."),
        ("A AH\n".encode("utf-16"), " is UTF-16: save it as UTF-8."),
    ],
)
def test_what_is_no_dictionary_is_refused_by_file_and_line(
    tmp_path: Path, text: str | bytes, why: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CorpusError) as refused:
        pronunciations.read(path)
    assert str(refused.value).startswith(f"{path}{why}")
    with pytest.raises(CorpusError, match=r"nowhere.dict is not a file: give a dictionary"):
        pronunciations.read(tmp_path / "nowhere.dict")


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text("abcdefgh'", min_size=1).filter(lambda word: word.strip("'")),
        st.lists(st.sampled_from(PHONES[:-1]), min_size=1).map(" ".join),
        min_size=1,
    )
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, words: dict) -> None:
    lines = [f"{word.upper()}  {way}\n" for word, way in words.items()]
    path = written(tmp_path_factory.mktemp("words"), "".join(lines))
    assert pronunciations.read(path) == {word: (way,) for word, way in words.items()}


def test_own_words_are_pronounceable() -> None:
    own = {"jabberwock": ("G OW",), "brillig": ("T UW",)}
    assert pronounceable("The Jabberwock, brillig-ghost toves", own) == (
        ("the", "jabberwock", "brillig", "ghost"),
        ("toves",),
    )


def test_own_words_are_aligned_as_they_say_and_change_nothing_else(tmp_path: Path) -> None:
    plain = spoken(("Male1",), ("Pack your warm gloves.",))[0]
    before = align([plain], 1, tmp_path / "a").spans[plain.name]
    own = {"gluvz": ("G L AH V Z",), "pack": ("B AE G", "P AE K")}
    strange = dataclasses.replace(plain, text="Pack your warm gluvz.")
    assert align([strange], 1, tmp_path / "b").skipped == {
        plain.name: "not in the dictionary: gluvz"
    }
    found = align([strange], 1, tmp_path / "b", dictionary=own)
    assert not found.skipped
    labels = [span.label for span in found.spans[plain.name] if span.label != "SIL"]
    assert " ".join(labels[-5:]) == "G L AH V Z"
    assert labels[:3] in (["B", "AE", "G"], ["P", "AE", "K"])
    # the better of two ways is found, a single one is taken as it is
    only = {**own, "pack": ("B AE G",)}
    found = align([strange], 1, tmp_path / "b", dictionary=only)
    assert [s.label for s in found.spans[plain.name] if s.label != "SIL"][:3] == ["B", "AE", "G"]
    # what one utterance taught the recogniser, the next does not hear
    assert align([plain], 1, tmp_path / "c").spans[plain.name] == before
    assert len(list((tmp_path / "b").glob("*.tsv"))) == 2  # kept by how words are said
