"""How a corpus is divided into what is learnt from and what is held out.

The rules depend on names only and are fixed beforehand, so that nobody can choose the speakers that
flatter a result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from relviz._errors import ParameterError
from relviz.corpora.corpus import CorpusError
from relviz.corpora.speech import Utterance

__all__ = ["in_order", "other_sessions", "split_speakers", "split_utterances"]


def split_speakers(
    utterances: Iterable[Utterance], every: int = 9, fold: int = 0
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """Divide by speaker: (kept, held out), for a study whose test speakers must be new.

    A part's speakers are sorted by number; of every `every`, the middle one is held out (with 9:
    the 5th, the 14th, ...). So scores with more parts are on the speakers of those with fewer. The
    folds 0 to ``every - 1`` together hold out every speaker once.

    Parameters
    ----------
    utterances : iterable of Utterance
        Of one corpus.
    every : int
        Of so many speakers one is held out.
    fold : int
        How many places beyond the middle one, in a circle.

    Returns
    -------
    kept, held out : tuple of Utterance
        In the order given.

    Raises
    ------
    CorpusError
        If that holds out nobody.
    ParameterError
        For a fold that there is not.

    Examples
    --------
    >>> three = [Utterance(f"{n}-0-0", str(n), "0") for n in (1, 2, 10)]
    >>> _, held_out = split_speakers(three, every=3)
    >>> [utterance.speaker for utterance in held_out]
    ['2']
    """
    if not 0 <= fold < every:
        raise ParameterError(f"fold is {fold}: give 0 to {every - 1}.")
    utterances = tuple(utterances)
    parts: dict[str, set[str]] = {}
    for utterance in utterances:
        parts.setdefault(utterance.part, set()).add(utterance.speaker)
    held_out = {
        speaker
        for speakers in parts.values()
        for speaker in sorted(speakers, key=in_order)[(every // 2 + fold) % every :: every]
    }
    if not held_out:
        most = max(map(len, parts.values()), default=0)
        raise CorpusError(
            f"{most} speakers are too few to hold out one of every {every}: add speakers."
        )
    return (
        tuple(utterance for utterance in utterances if utterance.speaker not in held_out),
        tuple(utterance for utterance in utterances if utterance.speaker in held_out),
    )


def split_utterances(
    utterances: Iterable[Utterance], every: int | None = 10
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """Divide each speaker's utterances: (kept, held out), for a study that knows its speakers.

    A speaker's utterances are sorted by name; of every `every`, the middle one is held out (with
    10: the 6th, the 16th, ...).

    Parameters
    ----------
    utterances : iterable of Utterance
        Of one corpus.
    every : int, optional
        Of so many utterances one is held out; None, one of all, as in the paper.

    Returns
    -------
    kept, held out : tuple of Utterance
        In the order given.

    Raises
    ------
    CorpusError
        For a speaker with too few to hold one out.

    Notes
    -----
    Used in chapter 7 of the book, speaker identification.

    References
    ----------
    Muckenhirn et al. (2019), section 4.1, for one utterance of each speaker.

    Examples
    --------
    >>> four = [Utterance(f"1-0-{n}", "1", "0") for n in range(4)]
    >>> kept, held_out = split_utterances(four, every=4)
    >>> len(kept), [utterance.name for utterance in held_out]
    (3, ['1-0-2'])
    """
    utterances = tuple(utterances)
    speakers: dict[str, list[str]] = {}
    for utterance in utterances:
        speakers.setdefault(utterance.speaker, []).append(utterance.name)
    held_out: set[str] = set()
    for speaker, names in speakers.items():
        of = every or len(names)
        chosen = sorted(names, key=in_order)[of // 2 :: of]
        if not chosen or len(chosen) == len(names):
            raise CorpusError(
                f"Speaker {speaker} has {len(names)} utterances, too few to hold out one of "
                f"{f'every {every}' if every else 'all'}: leave this speaker out."
            )
        held_out.update(chosen)
    return (
        tuple(utterance for utterance in utterances if utterance.name not in held_out),
        tuple(utterance for utterance in utterances if utterance.name in held_out),
    )


def other_sessions(
    trained: Iterable[Utterance], everything: Iterable[Utterance]
) -> tuple[Utterance, ...]:
    """Return the utterances of known speakers that were recorded in another session.

    Another session has another microphone, room and day: whoever is recognised there is recognised
    by the voice.

    Parameters
    ----------
    trained : iterable of Utterance
        The utterances a network knows.
    everything : iterable of Utterance
        Where to look, such as all parts of LibriSpeech.

    Returns
    -------
    tuple of Utterance
        In the order of `everything`.

    Examples
    --------
    >>> first, second = (Utterance(f"1-{session}-0", "1", session) for session in "ab")
    >>> [each.session for each in other_sessions([first], [first, second])]
    ['b']
    """
    sessions = {(utterance.speaker, utterance.session) for utterance in trained}
    speakers = {speaker for speaker, _ in sessions}
    return tuple(
        utterance
        for utterance in everything
        if utterance.speaker in speakers and (utterance.speaker, utterance.session) not in sessions
    )


def in_order(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts names by the numbers in them: "19-198" before "118-47824".

    Parameters
    ----------
    name : str
        Of a speaker or an utterance.

    Returns
    -------
    tuple
        To compare with those of other names.

    Examples
    --------
    >>> sorted(["118-47824", "19-198"], key=in_order)
    ['19-198', '118-47824']
    """
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    )
