"""A data set of a lesson's size that anybody may share: synthetic vowels whose answers are known.

It is made, not fetched: `write` puts WAV files, tables of what they are made from, and a card into
a folder, the same wherever it runs. Recordings of people have licences; these have ours.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from relviz import files
from relviz.audio import SAMPLE_RATE
from relviz.corpora import cued, synthetic
from relviz.corpora.tokens import Vowel

__all__ = ["AMERICAN", "CUED", "LICENCE", "PARTS", "SEED", "american", "independent", "write"]

LICENCE = "CC BY 4.0"
"""Of everything in the data set."""

SEED = 1904
"""Of both draws: no shipped network was trained or tested on them."""

CUED, AMERICAN = 240, 3
"""Vowels with independent cues, and talkers of each sex who say the American vowels."""

PARTS = 3
"""Equal parts of a cue's range, which are the classes."""

_CARD = """\
# Vowels with known answers

{count} synthetic vowels, 16 kHz, 16 bits, one channel, {megabytes:.1f} MB. Nobody was recorded:
every sound is computed from the numbers that stand beside its name, so what a measurement or a
network makes of it can be held against the truth.

Made by `relviz data synthesise` of relviz {version}, from seed {seed}.
Licence: {licence}, https://creativecommons.org/licenses/by/4.0/.
Credit: The relviz authors, https://github.com/relviz/relviz

## cues.csv: {cued} vowels whose cues are independent

Every cue is drawn by itself from its range, so no cue tells another. Each sound lasts half a
second.

| Column | What it is |
|---|---|
| file | the sound, from this folder |
{cues}
| F0_class, F1_class ... | the part of the range, 0 to {last}; parts are equal in octaves or dB |

For: does a network use a cue? `relviz.load("cues-F1")` tells the parts of F1 and can use nothing
else; cues-F0, cues-F2, cues-F3, cues-tilt and cues-noise likewise (chapter 12 of the book).

## vowels.csv: {american} American English vowels

Twelve vowels by {talkers} talkers, from a Klatt synthesiser, drawn around the means of men and
women in Table V of Hillenbrand and others (1995). F0 and formants of a talker go together, as in
speech.

| Column | What it is |
|---|---|
| file | the sound, from this folder |
| talker | m01 ... and w01 ... |
| sex | M or F |
| vowel | ae, ah, aw, eh, ei, er, ih, iy, oa, oo, uh or uw |
| F0, F1, F2, F3 | Hz |
| start, end | seconds between which the vowel lasts |

For: how well do pitch trackers and formant analyses do, on these and on relevance signals
(chapter 8)?

## What it cannot show

No person's voice, no consonants, no noise of a room: what holds here need not hold for speech.
"""


def independent(count: int = CUED) -> tuple[cued.CuedVowel, ...]:
    """Return the vowels whose cues are independent.

    Parameters
    ----------
    count : int
        How many of them, from the first.

    Returns
    -------
    tuple of CuedVowel
        Of half a second.

    Notes
    -----
    Explained in chapter 12 of the book.

    Examples
    --------
    >>> [vowel.name for vowel in independent(2)]
    ['1904-000000', '1904-000001']
    """
    return cued.draw(CUED, SEED)[:count]


def american(each: int = AMERICAN) -> tuple[Vowel, ...]:
    """Return the American vowels.

    Parameters
    ----------
    each : int
        How many men, and how many women.

    Returns
    -------
    tuple of Vowel
        All twelve vowels of each.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> len(american(1))
    24
    """
    return synthetic.vowel_corpus(tuple(synthetic.MEANS["M"]), each, each, SEED)


def write(folder: Path | str) -> Path:
    """Write the data set.

    Parameters
    ----------
    folder : Path or str
        Where; made if need be. Files of these names are replaced, others stay.

    Returns
    -------
    Path
        The folder, with ``README.md``, ``cues.csv``, ``vowels.csv`` and the sounds.

    Raises
    ------
    WriteError
        Where the folder takes no files.
    MissingExtraError
        Without Praat, which ``relviz[speech]`` brings.

    Examples
    --------
    >>> import tempfile
    >>> sorted(path.name for path in write(tempfile.mkdtemp()).iterdir())
    ['README.md', 'cues', 'cues.csv', 'vowels', 'vowels.csv']
    """
    from relviz import __version__

    top = files.folder(folder)
    vowels, tokens = independent(), american()
    size = _sounds(top / "cues", ((each.name, each.wave()) for each in vowels))
    size += _sounds(top / "vowels", ((each.name, each.wave()) for each in tokens))
    files.write_text(top / "cues.csv", _table(list(map(_of_cues, vowels))))
    files.write_text(top / "vowels.csv", _table(list(map(_of_token, tokens))))
    cues = [
        f"| {name} | {cue.unit}, {cue.low:g} to {cue.high:g} |" for name, cue in cued.CUES.items()
    ]
    card = _CARD.format(
        count=len(vowels) + len(tokens),
        megabytes=size / 1e6,
        version=__version__,
        seed=SEED,
        licence=LICENCE,
        cued=len(vowels),
        cues="\n".join(cues),
        last=PARTS - 1,
        american=len(tokens),
        talkers=2 * AMERICAN,
    )
    files.write_text(top / "README.md", card)
    return top


def _sounds(folder: Path, sounds: Iterable[tuple[str, NDArray[np.float32]]]) -> int:
    """Write sounds as WAV; return their bytes."""
    files.folder(folder)
    size = 0
    for name, samples in sounds:
        whole = io.BytesIO()
        rounded = np.round(samples * 32767).astype(np.int16)
        soundfile.write(whole, rounded, SAMPLE_RATE, format="WAV")
        with files.replacing(folder / f"{name}.wav") as draft:
            draft.write_bytes(whole.getvalue())
        size += len(whole.getvalue())
    return size


def _of_cues(vowel: cued.CuedVowel) -> dict[str, Any]:
    """One row: values as the synthesis has them, to a thousandth, and their classes."""
    values = {name: vowel.cue(name) for name in cued.CUES}
    classes = {
        f"{name}_class": int(np.searchsorted(cue.edges(PARTS)[1:-1], values[name]))
        for name, cue in cued.CUES.items()
    }
    rounded = {name: round(value, 3) for name, value in values.items()}
    return {"file": f"cues/{vowel.name}.wav"} | rounded | classes


def _of_token(token: Vowel) -> dict[str, Any]:
    about = {"talker": token.talker, "sex": token.sex, "vowel": token.vowel}
    measures = {name: getattr(token, name.lower()) for name in ("F0", "F1", "F2", "F3")}
    times = {"start": token.start, "end": token.end}
    return {"file": f"vowels/{token.name}.wav"} | about | measures | times


def _table(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
