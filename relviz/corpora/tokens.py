"""Vowels spoken alone, with what was measured in each of them.

Chapter 8 of the book, American English Vowels, is about them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from relviz import audio
from relviz.corpora.corpus import CorpusError, Source

__all__ = ["TABLE2", "VOWELS", "Measures", "Vowel", "VowelCorpus", "deviations"]

VOWELS = ("ae", "ah", "aw", "eh", "ei", "er", "ih", "iy", "oa", "oo", "uh", "uw")
"""had, hod, hawed, head, haid, heard, hid, heed, boat, hood, hud, who'd."""

TABLE2 = ("ah", "eh", "iy", "oa", "uw")
"""The five vowels of the paper's Table 2."""


class Measures(NamedTuple):
    """One number for each of F0, F1, F2 and F3.

    Parameters
    ----------
    f0, f1, f2, f3 : float
        In Hz; NaN where it was not measurable.

    Examples
    --------
    >>> Measures(127.0, 756.0, 1309.0, 2535.0).f1
    756.0
    """

    f0: float
    f1: float
    f2: float
    f3: float


@dataclass(frozen=True)
class Vowel:
    """One token and what was measured by hand at its steady state.

    Parameters
    ----------
    name : str
        Such as "m01ah".
    talker : str
        Such as "m01".
    sex : str
        "M" or "F".
    vowel : str
        One of `VOWELS`.
    f0, f1, f2, f3 : float
        Hz, NaN where not measurable.
    start, end, steady : float
        Seconds into the wave.
    path : Path, optional
        The recording; None for a synthetic token, whose numbers say how it was made.

    Examples
    --------
    >>> from relviz import corpora
    >>> token = corpora.vowel_corpus(["ah"], men=1, women=0)[0]
    >>> token.name, token.sex, token.path
    ('m01ah', 'M', None)
    >>> token.wave().dtype
    dtype('float32')
    """

    name: str
    talker: str
    sex: str
    vowel: str
    f0: float
    f1: float
    f2: float
    f3: float
    start: float
    end: float
    steady: float
    path: Path | None = None

    def wave(self) -> NDArray[np.float32]:
        """Return the token's waveform, float32, (samples,), at 16 kHz.

        Raises relviz.audio.AudioError if the recording cannot be read, CorpusError for a token
        without recording, unless it is a synthetic one.
        """
        if self.path is None:
            raise CorpusError(f"Token {self.name} has no sound: give it a path.")
        return audio.read(self.path)


@dataclass(frozen=True)
class VowelCorpus:
    """Tokens, where they came from, and how the whole database spreads.

    Parameters
    ----------
    tokens : tuple of Vowel
        Vowel by vowel, talkers in order.
    source : Source
        Where they came from.
    deviations : mapping of (str, str) to Measures
        (vowel, sex) -> standard deviations (n - 1) in Hz over every adult talker.

    Examples
    --------
    >>> from relviz import corpora
    >>> tokens = corpora.vowel_corpus(["ah"], men=2, women=2)
    >>> corpus = VowelCorpus(tokens, Source("synthetic"), deviations(tokens))
    >>> sorted(corpus.deviations)
    [('ah', 'F'), ('ah', 'M')]
    """

    tokens: tuple[Vowel, ...]
    source: Source
    deviations: Mapping[tuple[str, str], Measures]


def deviations(tokens: Iterable[Vowel]) -> dict[tuple[str, str], Measures]:
    """Return (vowel, sex) -> standard deviations of F0 to F3 in Hz.

    Parameters
    ----------
    tokens : iterable of Vowel
        Of several talkers.

    Returns
    -------
    dict of (str, str) to Measures
        n - 1 in the denominator, NaN left out, and NaN where fewer than two numbers remain.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from relviz import corpora
    >>> low = corpora.vowel_corpus(["ah"], men=1, women=0)[0]
    >>> deviations([replace(low, f0=100.0), replace(low, f0=120.0)])["ah", "M"].f0
    14.142135623730951
    """
    groups: dict[tuple[str, str], list[Measures]] = {}
    for token in tokens:
        measures = Measures(token.f0, token.f1, token.f2, token.f3)
        groups.setdefault((token.vowel, token.sex), []).append(measures)
    return {
        group: Measures(*map(_deviation, zip(*rows, strict=True))) for group, rows in groups.items()
    }


def _deviation(hertz: Iterable[float]) -> float:
    finite = [value for value in hertz if not math.isnan(value)]
    return float(np.std(finite, ddof=1)) if len(finite) > 1 else math.nan
