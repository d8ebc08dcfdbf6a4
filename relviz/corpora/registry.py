"""Every corpus that relviz knows, by its name, and what one asks of any of them.

A new corpus is one file, which reads it and ends in its `Corpus`, and one entry here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relviz.audio import shown
from relviz.corpora import aev, librispeech, speechocean762, store, timit
from relviz.corpora.corpus import UNKNOWN, Corpus, CorpusError, Source

__all__ = ["CORPORA", "Status", "fetch", "find", "load", "locate", "status"]

CORPORA: dict[str, Corpus] = {
    corpus.name: corpus
    for corpus in (
        aev.CORPUS,
        librispeech.CORPUS,
        speechocean762.CORPUS,
        timit.SAMPLE,
        timit.CORPUS,
    )
}
"""Name -> corpus, all there are."""


@dataclass(frozen=True)
class Status:
    """What is here of one corpus: a row of `relviz data status`.

    Parameters
    ----------
    corpus : Corpus
        Which one.
    source : Source or None
        Where it is; None where it is not.
    folder : Path
        Its folder, or the one that it would be fetched into.
    present : int
        Listed files that are here.
    expected : int
        Listed files.
    wrong : int
        Listed files that are here with another SHA-256.
    unchecked : int
        Listed files that are here and of which no SHA-256 is known.

    Examples
    --------
    >>> print(Status(CORPORA["aev"], None, Path("aev"), 0, 1119, 0))
    aev: no recordings, synthetic speech stands in; `relviz data fetch aev` downloads 1119 files \
to aev
    """

    corpus: Corpus
    source: Source | None
    folder: Path
    present: int
    expected: int
    wrong: int
    unchecked: int = 0

    def __str__(self) -> str:
        name = self.corpus.name
        if self.source is None and not self.corpus.addresses:
            return f"{name}: no recordings; it needs a licence ({self.corpus.licence})"
        if self.source is None:
            files = self.corpus.size if self.corpus.unlisted else f"{self.expected} files"
            return (
                f"{name}: no recordings, synthetic speech stands in; `relviz data fetch {name}` "
                f"downloads {files} to {shown(self.folder)}"
            )
        if not self.expected:
            return f"{name}: in {shown(self.folder)} ({self.source.origin}), unchecked"
        checked = f"{self.wrong} of them wrong" if self.wrong else "all with the listed SHA-256"
        if self.unchecked:
            checked += f", but {self.unchecked} of which none is known"
        return (
            f"{name}: {self.present} of {self.expected} files in {shown(self.folder)} "
            f"({self.source.origin}), {checked}"
        )


def find(corpus: str | Corpus) -> Corpus:
    """Return the corpus of a name.

    Parameters
    ----------
    corpus : str or Corpus
        One of `CORPORA`; a corpus of your own is returned as it is.

    Returns
    -------
    Corpus
        All that is known of it.

    Raises
    ------
    CorpusError
        For an unknown name.

    Examples
    --------
    >>> find("aev").title
    'American English Vowels (Hillenbrand et al., 1995)'
    """
    if isinstance(corpus, Corpus):
        return corpus
    if corpus not in CORPORA:
        raise CorpusError(f"There is no corpus {corpus!r}: choose from {', '.join(CORPORA)}.")
    return CORPORA[corpus]


def load(
    corpus: str | Corpus,
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    download: bool = False,
    progress: bool = False,
) -> Any:
    """Read a corpus, or synthetic speech in its place if there are no recordings.

    Parameters
    ----------
    corpus : str or Corpus
        One of `CORPORA`.
    parts : sequence of str, optional
        What to read of it, such as vowels or LibriSpeech's "train-clean-5"; default, all of it.
    root : Path or str, optional
        Where it is; default, what RELVIZ_DATA names, else the user's cache.
    download : bool
        Fetch into the user's cache what is not here.
    progress : bool
        Show a bar meanwhile.

    Returns
    -------
    VowelCorpus or SpeechCorpus
        What was read; its `source` says where it came from.

    Raises
    ------
    CorpusError
        For an unknown corpus or part, for broken files, and for what `locate` raises.

    Examples
    --------
    >>> tokens = load("aev", ["ah"]).tokens
    >>> len(tokens), tokens[0].talker, tokens[0].vowel
    (93, 'm01', 'ah')
    """
    return find(corpus).load(parts, root, download, progress)


def locate(corpus: str | Corpus, download: bool = False, progress: bool = False) -> Source | None:
    """Find a corpus: RELVIZ_DATA, else the user's cache, else None.

    Parameters
    ----------
    corpus : str or Corpus
        One of `CORPORA`.
    download : bool
        Complete the cache when RELVIZ_DATA does not hold the corpus.
    progress : bool
        Show a bar meanwhile.

    Returns
    -------
    Source or None
        Where it is; None where it is not. A folder counts as soon as one file of it is there.

    Raises
    ------
    CorpusError
        If RELVIZ_DATA names no folder, if the corpus is unknown or a download fails.

    Examples
    --------
    >>> source = locate("aev")
    >>> source is None or source.corpus is CORPORA["aev"]
    True
    """
    return store.locate(find(corpus), download, progress)


def fetch(corpus: str | Corpus, folder: Path | str | None = None, progress: bool = False) -> Path:
    """Download what is missing or wrong of a corpus; see `relviz.corpora.store.fetch`.

    Parameters
    ----------
    corpus : str or Corpus
        One of `CORPORA`.
    folder : Path or str, optional
        Where to; default, the user's cache.
    progress : bool
        Show a bar.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CorpusError
        For an unknown corpus, one that needs a licence, and a download that fails.

    Examples
    --------
    >>> fetch("radio")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    relviz.corpora.corpus.CorpusError: There is no corpus 'radio': choose from aev, ..., timit.
    """
    return store.fetch(find(corpus), folder, progress)


def status() -> list[Status]:
    """Return one row per corpus: where it is found, how much of it, and how many files are wrong.

    Returns
    -------
    list of Status
        In the order of `CORPORA`. Every listed file that is here is read and checked.

    Raises
    ------
    CorpusError
        If RELVIZ_DATA names no folder.

    Examples
    --------
    >>> [row.corpus.name for row in status()] == list(CORPORA)
    True
    """
    rows = []
    for corpus in CORPORA.values():
        source = store.locate(corpus)
        folder = (source and source.folder) or store.cached(corpus)
        listed, missing = store.checksums(corpus), set(store.missing(corpus, folder))
        present = len(listed) - len(missing)
        wrong = len(store.verify(corpus, folder))
        unchecked = sum(listed[name] == UNKNOWN for name in listed.keys() - missing)
        rows.append(Status(corpus, source, folder, present, len(listed), wrong, unchecked))
    return rows
