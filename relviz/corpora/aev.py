"""American English Vowels: 93 adult talkers, 12 vowels in /hVd/ words, measured by hand.

J. Hillenbrand, L. A. Getty, M. J. Clark and K. Wheeler, "Acoustic characteristics of American
English vowels", JASA 97(5), 1995, doi:10.1121/1.411872.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from relviz import audio
from relviz.corpora import store, synthetic
from relviz.corpora.store import CorpusError, Source

VOWELS = ("ae", "ah", "aw", "eh", "ei", "er", "ih", "iy", "oa", "oo", "uh", "uw")
"""had, hod, hawed, head, haid, heard, hid, heed, boat, hood, hud, who'd."""

TABLE2 = ("ah", "eh", "iy", "oa", "uw")
"""The five vowels of the paper's Table 2."""


class Measures(NamedTuple):
    """One number for each of F0, F1, F2 and F3, in Hz; NaN where it was not measurable."""

    f0: float
    f1: float
    f2: float
    f3: float


@dataclass(frozen=True)
class Vowel:
    """One token and what was measured by hand at its steady state.

    name: such as "m01ah"; talker: "m01"; sex: "M" or "F"; vowel: one of `VOWELS`.
    f0, f1, f2, f3: Hz, NaN where not measurable. start, end, steady: seconds into the wave.
    path: the recording; None for a synthetic token, whose numbers say how it was made.
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

        Raises relviz.audio.AudioError if the recording cannot be read.
        """
        if self.path is not None:
            return audio.read(self.path)
        return synthetic.token(self.f0, (self.f1, self.f2, self.f3), self.sex, self.start, self.end)


@dataclass(frozen=True)
class VowelCorpus:
    """Tokens, where they came from, and how the whole database spreads.

    deviations: (vowel, sex) -> standard deviations (n - 1) in Hz over every adult talker.
    """

    tokens: tuple[Vowel, ...]
    source: Source
    deviations: Mapping[tuple[str, str], Measures]


def vowels(
    names: Sequence[str] = TABLE2, download: bool = False, progress: bool = False
) -> VowelCorpus:
    """Load vowels of the 93 adult talkers, or as many synthetic tokens if there are no recordings.

    names: out of `VOWELS`. Tokens come vowel by vowel as named, talkers in order.
    download, progress: see `relviz.corpora.store.locate`.
    Raises CorpusError for an unknown vowel, for a recording or table that the folder lacks, and
    for what `locate` raises.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in VOWELS:
            raise CorpusError(f"There is no vowel {name!r}: choose from {', '.join(VOWELS)}.")
    source = store.locate("aev", download, progress)
    if source is None or source.folder is None:
        tokens = synthetic.vowel_corpus(names)
        return VowelCorpus(tokens, Source("synthetic"), deviations(tokens))
    everything = read_tables(source.folder)
    tokens = tuple(token for name in names for token in everything if token.vowel == name)
    absent = [token.path for token in tokens if token.path and not token.path.is_file()]
    if absent:
        raise CorpusError(_absent(source.folder, absent[0], len(absent)))
    return VowelCorpus(tokens, source, deviations(everything))


def read_tables(folder: Path) -> tuple[Vowel, ...]:
    """Read vowdata.dat and timedata.dat: every adult token, by talker, then vowel.

    The steady state is the mean of the two judges' times. Whether recordings exist is not looked
    at. Raises CorpusError for a missing table, a broken row, or a token without times.
    """
    measured = read_table(folder / "vowdata.dat", 16)
    timed = read_table(folder / "timedata.dat", 5)
    tokens = []
    for name in sorted(measured):
        if name[0] not in "mw":  # boys and girls have no recordings here
            continue
        if name not in timed:
            raise CorpusError(
                f"{folder / 'timedata.dat'} has no row for {name}: for the whole table, "
                f"{store.remedy('aev', folder)}."
            )
        f0, f1, f2, f3 = (hertz or math.nan for hertz in measured[name][1:5])
        start, end, *judges = (milliseconds / 1000 for milliseconds in timed[name])
        sex, group = ("M", "men") if name[0] == "m" else ("F", "women")
        tokens.append(
            Vowel(
                name=name,
                talker=name[:3],
                sex=sex,
                vowel=name[3:],
                f0=f0,
                f1=f1,
                f2=f2,
                f3=f3,
                start=start,
                end=end,
                steady=sum(judges) / 2,
                path=folder / group / f"{name}.wav",
            )
        )
    return tuple(tokens)


def read_table(path: Path, columns: int) -> dict[str, tuple[float, ...]]:
    """Read one of the database's .dat tables: token name -> the numbers after it, as they stand.

    Lines that do not begin with a token's name (the headers) are passed over.
    Raises CorpusError for a missing table or a row without `columns` columns of numbers.
    """
    if not path.is_file():
        raise CorpusError(_absent(path.parent, path))
    rows = {}
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        name, *cells = line.split() or [""]
        if not re.fullmatch(r"[mwbg]\d\d[a-z]{2}", name):
            continue
        try:
            rows[name] = tuple(map(float, cells))
        except ValueError:
            cells = []
        if len(cells) != columns - 1:
            raise CorpusError(
                f"{path}, line {number}, is not a name and {columns - 1} numbers: for the whole "
                f"table, {store.remedy('aev', path.parent)}."
            )
    return rows


def deviations(tokens: Iterable[Vowel]) -> dict[tuple[str, str], Measures]:
    """Return (vowel, sex) -> standard deviations of F0 to F3 in Hz.

    n - 1 in the denominator, NaN left out, and NaN where fewer than two numbers remain.
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


def _absent(folder: Path, path: Path, count: int = 1) -> str:
    others = f" (and {count - 1} more)" if count > 1 else ""
    return f"{path} is missing{others}: {store.remedy('aev', folder)}."
