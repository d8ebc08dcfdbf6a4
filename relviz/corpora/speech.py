"""Spoken utterances of any corpus, when their phones are spoken, and how they are divided.

The rules of division depend on names only and are fixed beforehand, so that nobody can choose the
speakers that flatter a result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz import audio
from relviz.corpora.store import CorpusError, Source
from relviz.corpora.synthetic import PHONES


class Span(NamedTuple):
    """A stretch of an utterance, from `start` to `end` in seconds, and the phone it is."""

    start: float
    end: float
    label: str


Alignment = tuple[Span, ...]
"""The phones of an utterance in order of time, not overlapping."""


@dataclass(frozen=True)
class Utterance:
    """One utterance: who says what.

    name: unique in its corpus, such as "19-198-0001". speaker: "19". session: what one speaker
    read in one go: "198", a chapter, in LibriSpeech; in TIMIT every sentence is its own.
    part: of the corpus, such as "train-clean-5"; "" where a corpus has none.
    path: the recording; None for a synthetic utterance, which carries its `samples` (samples,) at
    16 kHz and the times at which the synthesiser spoke each phone, `spoken`.
    text: what is said; None if there is no transcript.
    """

    name: str
    speaker: str
    session: str
    path: Path | None = None
    text: str | None = None
    samples: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    spoken: Alignment | None = field(default=None, repr=False, compare=False)
    part: str = ""

    def wave(self) -> NDArray[np.float32]:
        """Return the waveform, float32, (samples,), at 16 kHz; yours to change.

        Raises relviz.audio.AudioError if the recording cannot be read, CorpusError for an
        utterance with neither recording nor samples.
        """
        if self.path is not None:
            return audio.read(self.path)
        if self.samples is None:
            raise CorpusError(f"Utterance {self.name} has no sound: give it a path or samples.")
        return self.samples.copy()


@dataclass(frozen=True)
class SpeechCorpus:
    """Utterances, and where they came from."""

    utterances: tuple[Utterance, ...]
    source: Source


def frame_labels(
    alignment: Alignment, times: ArrayLike, phones: Sequence[str] = PHONES
) -> NDArray[np.int64]:
    """Return which phone is spoken at each time: indices into `phones`, the shape of `times`.

    times: seconds, in any order. phones: the labels in use, silence last; a time that no span of
    the alignment holds (from its start up to, not including, its end) is silence.
    Raises CorpusError for a label that is not among `phones`.
    """
    times = np.asarray(times, dtype=np.float64)
    index = {phone: number for number, phone in enumerate(phones)}
    for span in alignment:
        if span.label not in index:
            raise CorpusError(
                f"The alignment's label {span.label!r} is not among the {len(phones)} phones: "
                "give the phones that the alignment was made with."
            )
    silence = len(phones) - 1
    if not alignment:
        return np.full(times.shape, silence, dtype=np.int64)
    starts = np.array([span.start for span in alignment])
    ends = np.array([span.end for span in alignment])
    labels = np.array([index[span.label] for span in alignment], dtype=np.int64)
    last = np.searchsorted(starts, times, side="right") - 1
    inside = (last >= 0) & (times < ends[last])
    return np.where(inside, labels[last], silence)


def split_speakers(
    utterances: Iterable[Utterance], every: int = 9
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """Divide by speaker: (kept, held out), for a study whose test speakers must be new.

    A part's speakers are sorted by number; of every `every`, the middle one is held out (with 9:
    the 5th, the 14th, ...). So scores with more parts are on the speakers of those with fewer.
    Raises CorpusError if that holds out nobody.
    """
    utterances = tuple(utterances)
    parts: dict[str, set[str]] = {}
    for utterance in utterances:
        parts.setdefault(utterance.part, set()).add(utterance.speaker)
    held_out = {
        speaker
        for speakers in parts.values()
        for speaker in sorted(speakers, key=in_order)[every // 2 :: every]
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
    utterances: Iterable[Utterance], every: int = 10
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...]]:
    """Divide each speaker's utterances: (kept, held out), for a study that knows its speakers.

    A speaker's utterances are sorted by name; of every `every`, the middle one is held out (with
    10: the 6th, the 16th, ...). Raises CorpusError for a speaker with too few to hold one out.
    """
    utterances = tuple(utterances)
    speakers: dict[str, list[str]] = {}
    for utterance in utterances:
        speakers.setdefault(utterance.speaker, []).append(utterance.name)
    held_out: set[str] = set()
    for speaker, names in speakers.items():
        chosen = sorted(names, key=in_order)[every // 2 :: every]
        if not chosen:
            raise CorpusError(
                f"Speaker {speaker} has {len(names)} utterances, too few to hold out one of every "
                f"{every}: leave this speaker out."
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

    trained: the utterances a network knows. everything: where to look, such as all parts of
    LibriSpeech. Another session has another microphone, room and day: whoever is recognised there
    is recognised by the voice.
    """
    sessions = {(utterance.speaker, utterance.session) for utterance in trained}
    speakers = {speaker for speaker, _ in sessions}
    return tuple(
        utterance
        for utterance in everything
        if utterance.speaker in speakers and (utterance.speaker, utterance.session) not in sessions
    )


def in_order(name: str) -> tuple[tuple[int, str], ...]:
    """Return a key that sorts names by the numbers in them: "19-198" before "118-47824"."""
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    )
