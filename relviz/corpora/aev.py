"""American English Vowels: 93 adult talkers, 12 vowels in /hVd/ words, measured by hand.

J. Hillenbrand, L. A. Getty, M. J. Clark and K. Wheeler, "Acoustic characteristics of American
English vowels", JASA 97(5), 1995, doi:10.1121/1.411872.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from relviz.corpora import store, synthetic
from relviz.corpora.corpus import Corpus, CorpusError, Source
from relviz.corpora.tokens import TABLE2, VOWELS, Vowel, VowelCorpus, deviations

__all__ = ["CORPUS", "present", "vowels"]


def vowels(
    names: Sequence[str] | None = TABLE2,
    root: Path | str | None = None,
    download: bool = False,
    progress: bool = False,
) -> VowelCorpus:
    """Load vowels of the 93 adult talkers, or as many synthetic tokens if there are no recordings.

    Parameters
    ----------
    names : sequence of str, or None
        Out of `relviz.corpora.VOWELS`; None, all of them. Default, those of the paper's Table 2.
    root : Path or str, optional
        Where the recordings are; default, what `relviz.corpora.locate` finds.
    download, progress : bool
        Fetch what is not here into the user's cache, with a bar.

    Returns
    -------
    VowelCorpus
        Tokens vowel by vowel as named, talkers in order.

    Raises
    ------
    CorpusError
        For an unknown vowel, for a recording or table that the folder lacks, and for what
        `relviz.corpora.locate` raises.

    Notes
    -----
    Chapter 8 of the book, American English Vowels, is about them.

    References
    ----------
    Hillenbrand et al. (1995), 10.1121/1.411872.

    Examples
    --------
    >>> corpus = vowels(["ah", "iy"])
    >>> len(corpus.tokens), corpus.tokens[0].talker, corpus.tokens[-1].vowel
    (186, 'm01', 'iy')
    """
    names = VOWELS if names is None else (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in VOWELS:
            raise CorpusError(f"There is no vowel {name!r}: choose from {', '.join(VOWELS)}.")
    source = store.locate(CORPUS, download, progress, root)
    if source is None or source.folder is None:
        tokens: tuple[Vowel, ...] = synthetic.vowel_corpus(names)
        return VowelCorpus(tokens, Source("synthetic", None, CORPUS), deviations(tokens))
    everything = _read_tables(source.folder)
    tokens = tuple(token for name in names for token in everything if token.vowel == name)
    absent = [token.path for token in tokens if token.path and not token.path.is_file()]
    if absent:
        raise CorpusError(_absent(source.folder, absent[0], len(absent)))
    return VowelCorpus(tokens, source, deviations(everything))


def present(source: Source) -> VowelCorpus:
    """Read the tables, and list the tokens whose recordings are here.

    Parameters
    ----------
    source : Source
        Of the corpus, with its folder.

    Returns
    -------
    VowelCorpus
        By talker, then vowel.

    Raises
    ------
    CorpusError
        Without a folder, for a missing table and a broken row.

    Examples
    --------
    >>> present(Source("synthetic"))
    Traceback (most recent call last):
    relviz.corpora.corpus.CorpusError: These vowels have no folder: find them with `locate`.
    """
    if source.folder is None:
        raise CorpusError("These vowels have no folder: find them with `locate`.")
    everything = _read_tables(source.folder)
    tokens = tuple(token for token in everything if token.path and token.path.is_file())
    return VowelCorpus(tokens, source, deviations(everything))


CORPUS = Corpus(
    name="aev",
    title="American English Vowels (Hillenbrand et al., 1995)",
    folder="aev",
    licence="(c) 1995 James Hillenbrand, distributed freely for research",
    load=vowels,
    size="22 MB",
    addresses={
        ".wav": "https://raw.githubusercontent.com/fancompute/wavetorch/927ad02/data/vowels/",
        ".dat": "https://raw.githubusercontent.com/kleinschmidt/hdp-bayes-vowels/"
        "1ef03eac63323f33b8ee31af8bc5294042de2d00/hillenbrand-data/",
    },
)
"""What the registry knows of it."""


def _read_tables(folder: Path) -> tuple[Vowel, ...]:
    """Read vowdata.dat and timedata.dat: every adult token, by talker, then vowel.

    The steady state is the mean of the two judges' times. Whether recordings exist is not looked
    at. Raises CorpusError for a missing table, a broken row, or a token without times.
    """
    measured = _read_table(folder / "vowdata.dat", 16)
    timed = _read_table(folder / "timedata.dat", 5)
    tokens = []
    for name in sorted(measured):
        if name[0] not in "mw":  # boys and girls have no recordings here
            continue
        if name not in timed:
            raise CorpusError(
                f"{folder / 'timedata.dat'} has no row for {name}: for the whole table, "
                f"{store.remedy(CORPUS, folder)}."
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


def _read_table(path: Path, columns: int) -> dict[str, tuple[float, ...]]:
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
                f"table, {store.remedy(CORPUS, path.parent)}."
            )
    return rows


def _absent(folder: Path, path: Path, count: int = 1) -> str:
    others = f" (and {count - 1} more)" if count > 1 else ""
    return f"{path} is missing{others}: {store.remedy(CORPUS, folder)}."
