"""`relviz data`: what recordings are here, fetching, checking, aligning and synthesising them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from relviz._text import printable
from relviz.cli.options import Count, File, Folder
from relviz.corpora import registry, store
from relviz.corpora.corpus import UNKNOWN, CorpusError

if TYPE_CHECKING:
    from relviz.corpora.pronunciations import Pronunciations

__all__ = ["align", "check", "fetch", "status", "synthesise"]

_CORPORA = registry.CORPORA
_HELP = "; ".join(
    f"{name}: {corpus.title} ({corpus.size or 'yours, by licence: --root of relviz train'})"
    for name, corpus in _CORPORA.items()
)


def status() -> None:
    """Print one line a corpus."""
    for row in registry.status():
        print(row)


_Corpus = Annotated[str, Parameter(choices=tuple(_CORPORA), help=_HELP)]
_Spoken = Annotated[
    str, Parameter(choices=tuple(name for name in _CORPORA if name != "aev"), help="Its name.")
]
_Parts = Annotated[tuple[str, ...], Parameter(metavar="PART", show_default="all that are here")]
_Jobs = Annotated[int, Parameter(metavar="N", show_default="-1, all cores")]


def fetch(
    corpus: _Corpus,
    /,
    *,
    folder: Folder | None = None,
) -> None:
    """Download a corpus.

    Parameters
    ----------
    corpus
        Its name.
    folder
        Put it there instead of the user's cache.
    """
    found = registry.find(corpus)
    if found.addresses:
        print(
            printable(f"{found.title} comes under its licence: {found.licence}."), file=sys.stderr
        )
    if found.unlisted:
        known = sum(digest != UNKNOWN for digest in store.checksums(found).values())
        print(f"The SHA-256 of {known} files are known; others come unchecked.", file=sys.stderr)
    where = registry.fetch(corpus, folder, progress=True)
    print(printable(f"{corpus} is in {where}"))
    if folder:
        print(printable(f"Set RELVIZ_DATA={where.parent} to use it."))


def check(
    corpus: _Corpus,
    /,
    *,
    root: Folder | None = None,
    part: _Parts = (),
    dictionary: File | None = None,
    most: Count = 20,
    jobs: _Jobs = -1,
) -> None:
    """Read a corpus once and list what is there, missing, left out and wrong.

    Parameters
    ----------
    corpus
        Its name.
    root
        Where it is.
    part
        Part of it, may be repeated.
    dictionary
        How words are said that the aligner does not know, in the format of CMUdict.
    most
        Lines of a kind; what cannot be used is always listed whole.
    jobs
        Worker processes.
    """
    from relviz.corpora.check import check as read

    own = _dictionary(dictionary)
    report = read(corpus, part or None, root, own, jobs, progress=True)
    print(printable(report.source.describe()))
    print(*report.lines(most), sep="\n")
    wrong = sum(bool(each.wrong) for each in report.recordings) + len(report.changed)
    if wrong:
        raise CorpusError(f"{wrong} files of {corpus} cannot be used: they are listed last.")


def align(
    corpus: _Spoken,
    /,
    *,
    out: Folder,
    root: Folder | None = None,
    part: _Parts = (),
    dictionary: File | None = None,
    jobs: _Jobs = -1,
) -> None:
    """Write when each phone is spoken, a TextGrid for each utterance.

    Parameters
    ----------
    corpus
        Its name.
    out
        Folder of the TextGrids, made if need be.
    root
        Where it is.
    part
        Part of it, may be repeated.
    dictionary
        How words are said that the aligner does not know, in the format of CMUdict.
    jobs
        Worker processes.
    """
    from relviz import corpora, files
    from relviz.corpora import textgrid

    own = _dictionary(dictionary)
    loaded = corpora.load(corpus, part or None, root)
    print(printable(loaded.source.describe()), file=sys.stderr)
    busy = f"{out} is being filled by another process: wait for it, or take another folder."
    with files.alone(files.folder(out), busy):
        files.sweep(out)
        found = corpora.align(loaded.utterances, jobs, progress=True, dictionary=own)
        for name, spans in found.spans.items():
            textgrid.write(out / f"{name}.TextGrid", spans)
    for name, why in found.skipped.items():
        print(printable(f"{name} is left out: {why}."), file=sys.stderr)
    print(
        printable(f"{len(found.spans)} TextGrids are in {out}, {len(found.skipped)} are left out")
    )


def synthesise(*, out: Folder) -> None:
    """Write a data set of synthetic vowels that may be shared.

    Parameters
    ----------
    out
        Folder of the sounds, their tables and a card, made if need be.
    """
    from relviz.corpora import lesson

    top = lesson.write(out)
    sounds = sum(1 for _ in top.glob("*/*.wav"))
    print(printable(f"{sounds} sounds, {lesson.LICENCE}, are in {top}: see its README.md"))


def _dictionary(path: Path | None) -> Pronunciations | None:
    from relviz.corpora import pronunciations

    return None if path is None else pronunciations.read(path)
