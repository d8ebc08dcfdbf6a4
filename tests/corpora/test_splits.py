"""Divisions that nobody can choose, and the order of names."""

from dataclasses import replace

import pytest

from relviz._errors import ParameterError
from relviz.corpora import (
    CorpusError,
    Utterance,
    other_sessions,
    split_speakers,
    split_utterances,
)
from relviz.corpora.splits import in_order


def utterance(speaker: str, session: str = "1", number: int = 0) -> Utterance:
    return Utterance(f"{speaker}-{session}-{number:04d}", speaker, session)


def test_speakers_are_held_out_by_number() -> None:
    everyone = [utterance(str(number), number=n) for number in range(100, 76, -1) for n in (0, 1)]
    kept, held_out = split_speakers(everyone)
    assert sorted({each.speaker for each in held_out}) == ["81", "90", "99"]
    assert len(held_out) == 6 and set(kept) | set(held_out) == set(everyone)
    assert split_speakers(reversed(everyone))[1] == tuple(reversed(held_out))
    more = [replace(each, part="more") for each in (utterance("1"), utterance("82"))]
    assert split_speakers([*everyone, *more])[1] == held_out  # whatever parts are added
    with pytest.raises(CorpusError, match=r"^4 speakers are too few to hold out one of every 9: "):
        split_speakers(everyone[:8])


@pytest.mark.parametrize("speakers", [5, 7, 24, 26])
def test_folds_hold_out_every_speaker_once(speakers: int) -> None:
    everyone = [utterance(str(number)) for number in range(speakers)]
    everyone += [replace(utterance(name), part="more") for name in ("100", "101")]
    held_out = [split_speakers(everyone, 5, fold)[1] for fold in range(5)]
    assert sorted(each.name for some in held_out for each in some) == sorted(
        each.name for each in everyone
    )
    assert held_out[0] == split_speakers(everyone, 5)[1]
    with pytest.raises(ParameterError, match="fold is 5: give 0 to 4"):
        split_speakers(everyone, 5, 5)


def test_one_utterance_of_each_speaker() -> None:
    everything = [utterance("7", number=n) for n in range(21)]
    everything += [utterance("19", number=n) for n in range(2)]
    kept, held_out = split_utterances(everything, None)
    assert [each.name for each in held_out] == ["7-1-0010", "19-1-0001"]
    with pytest.raises(CorpusError, match=r"^Speaker 19 has 1 utterances, too few to hold out one"):
        split_utterances(kept, None)


def test_one_utterance_in_ten_of_each_speaker() -> None:
    everything = [utterance("7", number=n) for n in range(20)]
    everything += [utterance("19", session, n) for session in "12" for n in range(3)]
    kept, held_out = split_utterances(everything)
    assert [each.name for each in held_out] == ["7-1-0005", "7-1-0015", "19-2-0002"]
    assert set(kept) | set(held_out) == set(everything) and len(kept) == 23
    with pytest.raises(CorpusError) as refused:
        split_utterances([*everything, utterance("8")])
    assert str(refused.value) == (
        "Speaker 8 has 1 utterances, too few to hold out one of every 10: leave this speaker out."
    )


def test_other_sessions() -> None:
    trained = [utterance("7", "1"), utterance("7", "1", 1), utterance("8", "5")]
    more = [utterance("7", "2"), utterance("9", "1"), utterance("8", "1"), utterance("7", "1", 2)]
    assert other_sessions(trained, trained + more) == (more[0], more[2])


def test_names_sort_by_their_numbers() -> None:
    names = ["118-47824-0000", "19-198-0010", "19-198-0002", "Male10", "Male2", "FCJF0-SI1027"]
    assert sorted(names, key=in_order) == (
        ["19-198-0002", "19-198-0010", "118-47824-0000", "FCJF0-SI1027", "Male2", "Male10"]
    )
