"""Spoken utterances of any corpus, and when their phones are spoken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz import audio
from relviz.corpora.corpus import CorpusError, Source

__all__ = [
    "PHONES",
    "Alignment",
    "Span",
    "SpeechCorpus",
    "Utterance",
    "frame_labels",
    "read_text",
]

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH",
    "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH",
    "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH", "SIL",
)  # fmt: skip
"""The 39 phones of the CMU pronouncing dictionary, and silence."""


class Span(NamedTuple):
    """A stretch of an utterance and the phone it is.

    Parameters
    ----------
    start, end : float
        In seconds.
    label : str
        The phone.

    Examples
    --------
    >>> span = Span(0.25, 0.375, "AH")
    >>> span.end - span.start
    0.125
    """

    start: float
    end: float
    label: str


Alignment = tuple[Span, ...]
"""The phones of an utterance in order of time, not overlapping."""


@dataclass(frozen=True)
class Utterance:
    """One utterance: who says what.

    Parameters
    ----------
    name : str
        Unique in its corpus, such as "19-198-0001".
    speaker : str
        Such as "19".
    session : str
        What one speaker read in one go: "198", a chapter, in LibriSpeech; in TIMIT every sentence
        is its own.
    path : Path, optional
        The recording; None for a synthetic utterance.
    text : str, optional
        What is said; None if there is no transcript.
    samples : ndarray, (samples,), optional
        The waveform at 16 kHz of an utterance without recording.
    spoken : tuple of Span, optional
        The times at which the synthesiser spoke each phone of it.
    part : str
        Of the corpus, such as "train-clean-5"; "" where a corpus has none.
    sex : str, optional
        "F" or "M", as the corpus has it; None where it does not say.
    age : int, optional
        Of the speaker, in years; None where the corpus does not say.

    Examples
    --------
    >>> beep = np.sin(np.arange(1600, dtype=np.float32))
    >>> utterance = Utterance("beep-0-0", "beep", "0", samples=beep)
    >>> utterance.wave().shape
    (1600,)
    """

    name: str
    speaker: str
    session: str
    path: Path | None = None
    text: str | None = None
    samples: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    spoken: Alignment | None = field(default=None, repr=False, compare=False)
    part: str = ""
    sex: str | None = None
    age: int | None = None

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


def read_text(path: Path) -> str:
    r"""Read what people wrote about recordings: UTF-8, with or without a byte order mark.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        With lines that end in a newline, however the file ends them.

    Raises
    ------
    CorpusError
        For another encoding, naming the file and the line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.trans.txt"
    >>> _ = path.write_bytes(b"\xef\xbb\xbfa-0 YES\r\n")
    >>> read_text(path)
    'a-0 YES\n'
    """
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:100]:
        raise CorpusError(f"{audio.shown(path)} is UTF-16: save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CorpusError(
            f"{audio.shown(path)}, line {line}, is not UTF-8 (Latin-1, perhaps): save it as UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class SpeechCorpus:
    """Utterances, and where they came from.

    Parameters
    ----------
    utterances : tuple of Utterance
        By speaker, session and number.
    source : Source
        Where they came from.

    Examples
    --------
    >>> corpus = SpeechCorpus((Utterance("a-0-0", "a", "0"),), Source("synthetic"))
    >>> [utterance.speaker for utterance in corpus.utterances]
    ['a']
    """

    utterances: tuple[Utterance, ...]
    source: Source


def frame_labels(
    alignment: Alignment, times: ArrayLike, phones: Sequence[str] = PHONES
) -> NDArray[np.int64]:
    """Return which phone is spoken at each time: indices into `phones`, the shape of `times`.

    Parameters
    ----------
    alignment : tuple of Span
        Of the utterance.
    times : array_like
        Seconds, in any order.
    phones : sequence of str
        The labels in use, silence last; a time that no span of the alignment holds (from its start
        up to, not including, its end) is silence.

    Returns
    -------
    ndarray of int64
        The shape of `times`.

    Raises
    ------
    CorpusError
        For a label that is not among `phones`.

    Notes
    -----
    Used in chapter 6 of the book, phone classification.

    Examples
    --------
    >>> alignment = (Span(0.0, 0.25, "AH"), Span(0.25, 0.5, "N"))
    >>> frame_labels(alignment, [0.1, 0.25, 0.5], ("AH", "N", "SIL"))
    array([0, 1, 2])
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
