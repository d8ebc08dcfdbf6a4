"""What networks with a known answer are trained on: vowels of which some cues say the label.

All cues of these vowels are drawn independently (`relviz.corpora.cued`), and the label is the part
of the range in which one of them lies, or two. Whoever tells the label uses these cues and no
others. A planted tone, in every second class, lets a network tell half of the label by cheating.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import Utterance, Vowel, synthetic
from relviz.corpora.cued import CUES, TONE_LEVEL, CuedVowel, draw
from relviz.corpora.tokens import VOWELS
from relviz.training.data import STEP, Data, Frames, pack

__all__ = ["BINS", "DRAWN", "NEW", "SEX", "SWAPPED", "TALKERS", "cues", "labels", "planted"]

BINS = 3
"""Into how many parts the range of a cue falls."""

DRAWN = {"train": 3000, "valid": 400, "test": 600}
"""Vowels that are learnt, chosen by, and scored on."""

NEW = "new vowels"
"""The test."""

SWAPPED = "new vowels, tone in the other classes"
"""The test of a network that was given a tone to cheat with: it fails if it took it."""

SEX = "sex"
"""In the place of a cue: talkers of `relviz.corpora.synthetic`, who differ in F0 and formants."""

TALKERS = {"train": 60, "valid": 10, "test": 20}
"""Men, and as many women, with twelve vowels each."""

_DURATION, _WINDOW = 0.35, 0.25


def labels(vowels: Sequence[CuedVowel], names: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each vowel.

    Parameters
    ----------
    vowels : sequence of CuedVowel
        Such as `relviz.corpora.cued.draw` gives.
    names : sequence of str
        One or two of `relviz.corpora.cued.CUES`.

    Returns
    -------
    ndarray of int64, (vowels,)
        Indices into the classes of `cues`.

    Examples
    --------
    >>> found = labels(draw(100, seed=0), ["F1"])
    >>> found.min(), found.max()
    (np.int64(0), np.int64(2))
    """
    found = np.zeros(len(vowels), dtype=np.int64)
    for name in names:
        inner = CUES[name].edges(BINS)[1:-1]
        found = found * BINS + np.searchsorted(inner, [vowel.cue(name) for vowel in vowels])
    return found


def planted(vowels: Sequence[CuedVowel], odd: NDArray[np.bool_]) -> list[CuedVowel]:
    """Return vowels with a tone at 5 kHz in some of them.

    Parameters
    ----------
    vowels : sequence of CuedVowel
        Without a tone.
    odd : ndarray of bool, (vowels,)
        Which get it.

    Returns
    -------
    list of CuedVowel
        In their order.

    Examples
    --------
    >>> [vowel.tone for vowel in planted(draw(2, seed=0), np.array([True, False]))]
    [-20.0, -inf]
    """
    return [v.with_cue("tone", TONE_LEVEL) if o else v for v, o in zip(vowels, odd, strict=True)]


def cues(
    names: Sequence[str] = ("F1",),
    tone: bool = False,
    cache: Path | str | None = None,
    progress: bool = False,
    count: int | None = None,
) -> Data:
    """Gather labelled frames of generated vowels, whose label some cues say and nothing else does.

    Parameters
    ----------
    names : sequence of str
        One or two of `relviz.corpora.cued.CUES`; or `SEX` alone, for talkers in the place of
        vowels with independent cues.
    tone : bool
        Plant a tone in every second class, by which half of the label can be told.
    cache : Path or str, optional
        See `relviz.training.data.pack`.
    progress : bool
        Show bars.
    count : int, optional
        Vowels, or men and as many women, that are learnt; where there are fewer than `DRAWN` or
        `TALKERS` says, no more choose and score. Default, as these say.

    Returns
    -------
    Data
        Frames every 10 ms whose windows of 250 ms lie within the vowel; of talkers, those within
        40 ms of the steady state.

    Raises
    ------
    ParameterError
        For cues that there are not, or more than two.

    Notes
    -----
    Explained in chapter 12 of the book.

    Examples
    --------
    >>> import tempfile
    >>> data = cues(["F2"], cache=tempfile.mkdtemp(), count=8)
    >>> data.classes[0], len(data.train)
    ('F2 950 to 1197 Hz', 80)
    """
    if tuple(names) == (SEX,) and not tone:
        return _sexes(cache, progress, count)
    unknown = [name for name in names if name not in CUES]
    if unknown or not 1 <= len(names) <= 2 or len(set(names)) < len(names):
        raise ParameterError(
            f"the cues are {', '.join(names) or 'none'}: give one or two of {', '.join(CUES)}, "
            f"or {SEX} alone and without a tone."
        )
    groups: dict[str, tuple[Sequence[CuedVowel], NDArray[np.int64]]] = {}
    for seed, (group, usual) in enumerate(DRAWN.items()):
        size = _size(group, usual, count)
        drawn = draw(size, seed, _DURATION)
        found = labels(drawn, names)
        groups[group] = planted(drawn, tone & (found % 2 == 1)), found
    if tone:
        others = [replace(vowel, name=f"{vowel.name}-swapped") for vowel in drawn]
        groups["swapped"] = planted(others, found % 2 == 0), found
    return _data(names, tone, groups, cache, progress)


def _data(
    names: Sequence[str],
    tone: bool,
    groups: Mapping[str, tuple[Sequence[CuedVowel], NDArray[np.int64]]],
    cache: Path | str | None,
    progress: bool,
) -> Data:
    half = round(_WINDOW * SAMPLE_RATE / 2)
    inside = np.arange(half, round(_DURATION * SAMPLE_RATE) - half, STEP)
    about = {
        "recordings": "none: vowels of relviz.corpora.cued, generated.",
        "rule": "every cue of a vowel is drawn by itself",
    }
    return _packed(
        _classes(names),
        {name: (some, found, [inside] * len(some)) for name, (some, found) in groups.items()},
        about | {"cues": list(names), "tone": tone, "vowels": len(groups["train"][0])},
        cache,
        progress,
    )


def _sexes(cache: Path | str | None, progress: bool, count: int | None) -> Data:
    groups = {}
    for seed, (group, usual) in enumerate(TALKERS.items()):
        size = _size(group, usual, count)
        tokens = synthetic.vowel_corpus(VOWELS, size, size, seed)
        some = [replace(token, name=f"{seed}-{token.name}") for token in tokens]
        around = np.arange(-4, 5) * STEP
        centres = [round(token.steady * SAMPLE_RATE) + around for token in tokens]
        groups[group] = some, np.array([token.sex == "M" for token in tokens], np.int64), centres
    about = {
        "recordings": "none: talkers of relviz.corpora.synthetic, around published means.",
        "rule": "other talkers validate and test",
    }
    return _packed(
        ("F", "M"),
        groups,
        about | {"cues": [SEX], "tone": False},
        cache,
        progress,
    )


def _size(group: str, usual: int, count: int | None) -> int:
    if count is None:
        return usual
    return count if group == "train" else min(usual, count)


def _packed(
    classes: tuple[str, ...],
    groups: Mapping[str, tuple[Sequence[Vowel], NDArray[np.int64], Sequence[NDArray[np.int64]]]],
    about: Mapping[str, Any],
    cache: Path | str | None,
    progress: bool,
) -> Data:
    """Write the vowels to one file, and label the frames at the centres given."""
    everything = [vowel for vowels, _, _ in groups.values() for vowel in vowels]
    audio = pack(
        (Utterance(v.name, v.name, "0", samples=v.wave()) for v in everything), cache, progress
    )
    place = {name: number for number, name in enumerate(audio.names)}
    frames = {}
    for group, (vowels, labels, centres) in groups.items():
        numbers = np.array([place[vowel.name] for vowel in vowels])
        each = [len(some) for some in centres]
        frames[group] = Frames(
            audio,
            np.concatenate([audio.starts[n] + c for n, c in zip(numbers, centres, strict=True)]),
            np.repeat(labels, each),
            np.repeat(numbers, each).astype(np.int32),
        )
    tests = {NEW: frames["test"]} | ({SWAPPED: frames["swapped"]} if "swapped" in frames else {})
    return Data(
        classes,
        frames["train"],
        frames["valid"],
        tests,
        speakers={vowel.name: vowel.talker for vowel in everything},
        about=about,
    )


def _classes(names: Sequence[str]) -> tuple[str, ...]:
    each = []
    for name in names:
        edges = CUES[name].edges(BINS)
        ranges = itertools.pairwise(f"{edge:.4g}" for edge in edges)
        each.append([f"{name} {low} to {high} {CUES[name].unit}" for low, high in ranges])
    return tuple(", ".join(some) for some in itertools.product(*each))
