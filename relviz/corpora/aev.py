"""American English Vowels: 93 adult talkers, 12 vowels in /hVd/ words, measured by hand.

J. Hillenbrand, L. A. Getty, M. J. Clark and K. Wheeler, "Acoustic characteristics of American
English vowels", JASA 97(5), 1995, doi:10.1121/1.411872.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from relviz import audio
from relviz.corpora import store, synthetic
from relviz.corpora.corpus import Corpus, CorpusError, Source
from relviz.corpora.tokens import TABLE2, VOWELS, Vowel, VowelCorpus, deviations

__all__ = ["CORPUS", "check_length", "present", "to_hear", "vowels"]


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
        For an unknown vowel, for a recording or table that the folder lacks, by file and line for
        what a table cannot say, and for what `relviz.corpora.locate` raises.
    AudioError
        For a recording that is none.

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
    for token in tokens:
        check_length(token)
    return VowelCorpus(tokens, source, deviations(everything))


def to_hear(token: Vowel) -> Vowel:
    """Return the token whose sound a published page may carry: itself, or a synthetic one.

    The recordings have no open licence, so a page plays none of them, nor what was made from one,
    unless the environment variable RELVIZ_EMBED says "aev". In the place of a recording stands a
    vowel synthesised from what was measured by hand in it.

    Parameters
    ----------
    token : Vowel
        Of this corpus, or synthetic, which is returned as it is.

    Returns
    -------
    Vowel
        With the same name, talker, times, F0 and formants. Where F0, F1 or F2 was not measurable
        it has the mean of that vowel and sex, where F3 was not, that mean or 150 Hz over F2.

    Notes
    -----
    Used in chapters 1, 2, 4 to 6, 8 to 11 and 13 of the book.

    Examples
    --------
    >>> recorded = Vowel("m01ah", "m01", "M", "ah", 120, 740, 1200, 2400, 0.1, 0.4, 0.2)
    >>> heard = to_hear(recorded)
    >>> heard.f1, len(heard.wave())
    (740, 8000)
    """
    if isinstance(token, synthetic.SyntheticVowel) or CORPUS.embedded():
        return token
    measured = zip(
        (token.f0, token.f1, token.f2, token.f3),
        synthetic.MEANS[token.sex][token.vowel],
        strict=True,
    )
    f0, f1, f2, f3 = (mean if math.isnan(hertz) else hertz for hertz, mean in measured)
    f3 = max(f3, f2 + 150)
    values = vars(token) | {"f0": f0, "f1": f1, "f2": f2, "f3": f3, "path": None}
    return synthetic.SyntheticVowel(**values)


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


def check_length(token: Vowel) -> None:
    """Refuse a recording that ends before its vowel does.

    Parameters
    ----------
    token : Vowel
        One of this corpus.

    Raises
    ------
    CorpusError
        Naming the recording, and the line of the table that says where the vowel ends.
    AudioError
        For a recording that is none.

    Examples
    --------
    >>> for token in vowels(["ah"]).tokens:
    ...     check_length(token)
    """
    if token.path is None:
        return
    seconds = audio.duration(token.path)
    if seconds < token.end:
        folder = token.path.parent.parent
        path = folder / "timedata.dat"
        line = _read_table(path, 5)[token.name].line
        raise CorpusError(
            f"{token.path} ends at {seconds:.3f} s, but {path}, line {line}, says that its vowel "
            f"goes on to {token.end:.3f} s: {store.remedy(CORPUS, folder)}."
        )


CORPUS = Corpus(
    name="aev",
    title="American English Vowels (Hillenbrand et al., 1995)",
    folder="aev",
    licence="(c) 1995 James Hillenbrand, distributed freely for research",
    instead=(
        "They have no open licence, so the vowels that you hear are synthesised from what was "
        "measured in them: ours, CC BY 4.0."
    ),
    load=vowels,
    size="22 MB",
    most=1_000_000,
    addresses={
        ".wav": "https://raw.githubusercontent.com/fancompute/wavetorch/927ad02/data/vowels/",
        ".dat": "https://raw.githubusercontent.com/kleinschmidt/hdp-bayes-vowels/"
        "1ef03eac63323f33b8ee31af8bc5294042de2d00/hillenbrand-data/",
    },
)
"""What the registry knows of it."""


class _Row(NamedTuple):
    """A line of a table: its number, and what stands behind the name."""

    line: int
    cells: tuple[float, ...]


def _read_tables(folder: Path) -> tuple[Vowel, ...]:
    """Read vowdata.dat and timedata.dat: every adult token, by talker, then vowel.

    The steady state is the mean of the two judges' times. Whether recordings exist is not looked
    at. Raises CorpusError for a missing table, a row that cannot be, or one that only one of the
    tables has.
    """
    tables = folder / "vowdata.dat", folder / "timedata.dat"
    measured, timed = _read_table(tables[0], 16), _read_table(tables[1], 5)
    for path, has, lacks in ((tables[1], measured, timed), (tables[0], timed, measured)):
        for name in sorted(has.keys() - lacks.keys()):
            raise CorpusError(f"{path} has no row for {name}: {_whole(folder)}.")
    for name, row in measured.items():
        _check_measures(tables[0], name, row)
    for name, row in timed.items():
        _check_times(tables[1], name, row)
    tokens = []
    for name in sorted(measured):
        if name[0] not in "mw":  # boys and girls have no recordings here
            continue
        f0, f1, f2, f3 = (hertz or math.nan for hertz in measured[name].cells[1:5])
        start, end, *judges = (milliseconds / 1000 for milliseconds in timed[name].cells)
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


def _read_table(path: Path, columns: int) -> dict[str, _Row]:
    """Read one of the database's .dat tables: token name -> its line and the numbers after it.

    Lines before the first that begins with a token's name (the headers) are passed over.
    Raises CorpusError for what is no table, a row without `columns` columns of numbers, and a name
    that comes twice.
    """
    if not path.is_file():
        raise CorpusError(_absent(path.parent, path))
    if path.stat().st_size > CORPUS.most:
        raise CorpusError(
            f"{path} has {path.stat().st_size} bytes, too many for this table: "
            f"{store.remedy(CORPUS, path.parent)}."
        )
    rows: dict[str, _Row] = {}
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        name, *cells = line.split() or [""]
        known = re.fullmatch(r"[mwbg]\d\d[a-z]{2}", name)
        if not known and (not rows or not name):
            continue
        try:
            found = tuple(map(float, cells)) if known else ()
        except ValueError:
            found = ()
        if len(found) != columns - 1:
            raise CorpusError(
                f"{path}, line {number}, is not a name and {columns - 1} numbers: "
                f"{_whole(path.parent)}."
            )
        if name in rows:
            raise _wrong(path, number, f"has {name} again, after line {rows[name].line}")
        rows[name] = _Row(number, found)
    if not rows:
        raise CorpusError(f"{path} holds no row of a table: {store.remedy(CORPUS, path.parent)}.")
    return rows


_HIGHEST = 8000
"""Hz; half the rate of the recordings."""


def _check_measures(path: Path, name: str, row: _Row) -> None:
    """Refuse a duration that is none, and frequencies that no recording of 16 kHz can have."""
    duration, _, *formants = row.cells
    if not 0 < duration < _LONGEST:
        raise _wrong(path, row.line, f"says that {name} lasts {duration:g} ms")
    for hertz in row.cells[1:]:
        if not 0 <= hertz <= _HIGHEST:
            raise _wrong(path, row.line, f"says that {name} has {hertz:g} Hz")
    measurable = [hertz for hertz in formants[:3] if hertz]
    if any(one >= other for one, other in pairwise(measurable)):
        rising = ", ".join(f"{hertz:g}" for hertz in measurable)
        raise _wrong(path, row.line, f"says that the formants of {name} are at {rising} Hz")


_LONGEST = 10_000
"""ms of a word."""


def _check_times(path: Path, name: str, row: _Row) -> None:
    """Refuse times that are not in order; one judge alone may be off by a little, as w01ei's is."""
    start, end, *judges = row.cells
    for milliseconds in row.cells:
        if not 0 <= milliseconds < _LONGEST:
            raise _wrong(path, row.line, f"has {milliseconds:g} ms for {name}")
    if not start <= sum(judges) / 2 <= end or not start < end:
        raise _wrong(
            path,
            row.line,
            f"says that {name} begins at {start:g} ms, is steady at {sum(judges) / 2:g} and ends "
            f"at {end:g}",
        )


def _wrong(path: Path, line: int, what: str) -> CorpusError:
    return CorpusError(f"{path}, line {line}, {what}: {_whole(path.parent)}.")


def _whole(folder: Path) -> str:
    return f"for the whole table, {store.remedy(CORPUS, folder)}"


def _absent(folder: Path, path: Path, count: int = 1) -> str:
    others = f" (and {count - 1} more)" if count > 1 else ""
    return f"{path} is missing{others}: {store.remedy(CORPUS, folder)}."
