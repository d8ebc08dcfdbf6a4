"""What a corpus is: one record each; see `relviz.corpora.registry` for those there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from relviz._errors import RelvizError

__all__ = ["EMBED", "UNKNOWN", "VARIABLE", "Corpus", "CorpusError", "Loader", "Source"]

VARIABLE = "RELVIZ_DATA"
"""The environment variable that names a folder with one folder per corpus inside."""

EMBED = "RELVIZ_EMBED"
"""The environment variable that says which recordings without an open licence pages may carry."""

UNKNOWN = "-"
"""In a list of SHA-256: that of a file that must be there, though nobody could compute its own."""


class CorpusError(RelvizError, RuntimeError):
    """Recordings that are missing, wrong or out of reach; one sentence with the way out.

    Examples
    --------
    >>> from relviz import corpora
    >>> corpora.locate("radio")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    relviz.corpora.corpus.CorpusError: There is no corpus 'radio': choose from aev, ..., timit.
    """


class Loader(Protocol):
    """What reads a corpus: the same call for every one of them.

    Parameters
    ----------
    parts : sequence of str, or None
        What to read of it, such as vowels or LibriSpeech's "train-clean-5"; None, all that is here.
    root : Path or str, optional
        Where it is; default, what `relviz.corpora.locate` finds.
    download : bool
        Fetch into the user's cache what is not here.
    progress : bool
        Show a bar meanwhile.

    Returns
    -------
    VowelCorpus or SpeechCorpus
        What was read, with its `Source`. Without recordings, synthetic speech in their place.
    """

    def __call__(
        self,
        parts: Sequence[str] | None = ...,
        root: Path | str | None = ...,
        download: bool = ...,
        progress: bool = ...,
        /,
    ) -> Any: ...


@dataclass(frozen=True)
class Corpus:
    """Recordings that relviz can read, and where one gets them.

    Parameters
    ----------
    name : str
        What it is called here and on the command line; `NAME.sha256` beside this file lists its
        files, if they are known.
    title : str
        What it is called in print, with its authors.
    folder : str
        Its folder below RELVIZ_DATA and the user's cache.
    licence : str
        On what terms one may use it.
    load : Loader
        Reads it.
    size : str
        How much there is to download, for people.
    addresses : mapping of str to str
        The folder on the web, ending in "/", that holds its files, by their suffix. Without any it
        needs a licence, and is never fetched.
    archive : str
        The one archive in that folder that holds all listed files; "" where they lie singly.
    most : int
        Bytes that its archive has at most, or the largest of its files: a server that sends more is
        cut short.
    pattern : str
        Paths of its recordings, as a glob: one of them makes a folder this corpus, though it be
        another part of it than the listed one. "": one of the listed files does.
    samples : bool
        Whether the listed SHA-256 of a recording are those of its samples (16-bit, little-endian)
        and not of its file, which may then be wav or FLAC.
    unlisted : str
        A regular expression for the whole paths of what else is unpacked from its archive, without
        a SHA-256 to check it by. "": nothing.
    named : callable, optional
        Names the recordings that its own tables speak of beside some utterances of it, by their
        paths below the folder given; `relviz.corpora.check` says which are not here.
    credit : str
        How a model card names its recordings and their licence: the rest of "trained on ...".
    open : bool
        Whether its licence lets a public page play its recordings.
    instead : str
        Where it does not, what pages say of the sounds that they play in their place.

    Examples
    --------
    >>> from relviz import corpora
    >>> corpus = corpora.CORPORA["mini-librispeech"]
    >>> corpus.title, corpus.folder, corpus.licence
    ('LibriSpeech (Panayotov et al., 2015)', 'LibriSpeech', 'CC BY 4.0')
    """

    name: str
    title: str
    folder: str
    licence: str
    load: Loader
    size: str = ""
    addresses: Mapping[str, str] = field(default_factory=dict)
    archive: str = ""
    most: int = 1 << 30
    pattern: str = ""
    samples: bool = False
    unlisted: str = ""
    named: Callable[[Sequence[Any], Path], Iterator[str]] | None = None
    credit: str = ""
    open: bool = False
    instead: str = ""

    def embedded(self) -> bool:
        """Whether pages may carry its recordings: by its licence, or as `EMBED` says."""
        return self.open or self.name in os.environ.get(EMBED, "").split(",")


@dataclass(frozen=True)
class Source:
    """Where a corpus came from.

    Parameters
    ----------
    origin : str
        "RELVIZ_DATA", "cache", "download", "given" by the caller, or "synthetic" (no folder).
    folder : Path, optional
        Where it lies.
    corpus : Corpus, optional
        Which one; of synthetic speech, the one that it stands in for.

    Examples
    --------
    >>> print(Source("synthetic"))
    Synthetic speech from Praat's own synthesisers stands in for the recordings, so the numbers on \
this page are not those of human talkers. What you hear is ours, CC BY 4.0.
    """

    origin: str
    folder: Path | None = None
    corpus: Corpus | None = None

    def describe(self) -> str:
        """One sentence for the top of a page, without the folder: it differs by machine."""
        if self.origin == "synthetic" or self.corpus is None:
            return (
                "Synthetic speech from Praat's own synthesisers stands in for the recordings, "
                "so the numbers on this page are not those of human talkers."
            )
        ways = {
            "RELVIZ_DATA": f"found through {VARIABLE}",
            "cache": "from the user's cache",
            "download": "downloaded just now",
            "given": "from the folder given",
        }
        return f"Recordings: {self.corpus.title}, {ways[self.origin]}."

    def heard(self) -> str:
        """One sentence on the terms of what a page plays of it."""
        if self.origin == "synthetic" or self.corpus is None:
            return "What you hear is ours, CC BY 4.0."
        if self.corpus.open:
            return f"Licence of what you hear of them: {self.corpus.licence}."
        if self.corpus.embedded():
            return (
                f"They have no open licence ({self.corpus.licence}), and are heard here: keep this "
                "page to yourself."
            )
        return self.corpus.instead or (
            f"They have no open licence ({self.corpus.licence}): play them to nobody but yourself."
        )

    def __str__(self) -> str:
        return f"{self.describe()} {self.heard()}"
