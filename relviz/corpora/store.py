"""Where recordings live and how they get there.

A corpus is looked for in the folder that RELVIZ_DATA names, then in the user's cache; `fetch`
downloads it, each file checked against the SHA-256 list that ships with the package. Whoever
finds nothing falls back on `relviz.corpora.synthetic`, and says so.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from importlib import resources
from pathlib import Path

from relviz import files
from relviz._errors import WriteError
from relviz._extras import hushed, require
from relviz.corpora.corpus import UNKNOWN, VARIABLE, Corpus, CorpusError, Source
from relviz.corpora.digests import file_digest, other_formats, sample_digest

__all__ = [
    "cache",
    "cached",
    "checksums",
    "fetch",
    "locate",
    "missing",
    "remedy",
    "retrieve",
    "verify",
]

_DRAFTS = ".fetching"
"""What is on its way into a corpus' folder."""

_RETRIES = 2
_PARALLEL = 8
_DAY = 86400


def cache() -> Path:
    """Return the user's cache folder of relviz (it need not exist).

    Returns
    -------
    Path
        As the system has it: below ``~/.cache``, ``~/Library/Caches`` or ``AppData``.

    Examples
    --------
    >>> "relviz" in cache().parts
    True
    """
    require("pooch")
    import pooch  # type: ignore[import-untyped]

    return Path(pooch.os_cache("relviz"))


def cached(corpus: Corpus) -> Path:
    """Return the folder of a corpus in the user's cache (it need not exist).

    Parameters
    ----------
    corpus : Corpus
        Which one.

    Returns
    -------
    Path
        Its folder.

    Examples
    --------
    >>> from relviz import corpora
    >>> cached(corpora.find("mini-librispeech")).name
    'LibriSpeech'
    """
    return cache() / corpus.folder


def checksums(corpus: Corpus) -> dict[str, str]:
    """Return file name -> SHA-256 of every file of a corpus, from the list in the package.

    Parameters
    ----------
    corpus : Corpus
        Which one.

    Returns
    -------
    dict of str to str
        By the path below the corpus's folder; nothing where the package lists no files, and
        `relviz.corpora.corpus.UNKNOWN` for a file that is listed without a SHA-256.

    Examples
    --------
    >>> from relviz import corpora
    >>> len(checksums(corpora.find("aev"))), len(checksums(corpora.find("timit")))
    (1119, 0)
    """
    list_ = resources.files("relviz.corpora").joinpath(f"{corpus.name}.sha256")
    text = list_.read_text() if list_.is_file() else ""
    return {name: digest for digest, name in map(str.split, text.splitlines())}


def locate(
    corpus: Corpus,
    download: bool = False,
    progress: bool = False,
    root: Path | str | None = None,
) -> Source | None:
    """Find a corpus: the folder given, else RELVIZ_DATA, else the user's cache, else None.

    A folder counts as soon as one file lies in it that is listed or fits the corpus's pattern (any
    part of LibriSpeech will do); `missing` says what it lacks.

    Parameters
    ----------
    corpus : Corpus
        Which one.
    download : bool
        Complete the cache with `fetch` when RELVIZ_DATA does not hold the corpus.
    progress : bool
        Show a bar meanwhile.
    root : Path or str, optional
        The corpus's folder, or the one it lies in, wherever that is; it is taken as it is.

    Returns
    -------
    Source or None
        Where it is; None where it is not.

    Raises
    ------
    CorpusError
        If `root` or RELVIZ_DATA names no folder, or a download fails.

    Examples
    --------
    >>> import tempfile
    >>> from relviz import corpora
    >>> print(locate(corpora.find("mini-librispeech"), root=tempfile.mkdtemp()).describe())
    Recordings: LibriSpeech (Panayotov et al., 2015), from the folder given.
    """
    if root is not None:
        folder = Path(root).expanduser()
        folder = folder / corpus.folder if (folder / corpus.folder).is_dir() else folder
        if not folder.is_dir():
            raise CorpusError(f"{folder} is not a folder: give the one that holds {corpus.folder}.")
        return Source("given", folder, corpus)
    home = _home(corpus)
    if home is not None and _begun(corpus, home):
        return Source("RELVIZ_DATA", home, corpus)
    folder = cached(corpus)
    begun = _begun(corpus, folder)
    if download and (missing(corpus, folder) or not begun):
        return Source("download", fetch(corpus, folder, progress), corpus)
    return Source("cache", folder, corpus) if begun else None


def missing(corpus: Corpus, folder: Path) -> list[str]:
    """Return the listed files of a corpus that `folder` lacks.

    Parameters
    ----------
    corpus : Corpus
        Which one.
    folder : Path
        Where to look.

    Returns
    -------
    list of str
        Their paths below the folder.

    Examples
    --------
    >>> import tempfile
    >>> from relviz import corpora
    >>> len(missing(corpora.find("aev"), Path(tempfile.mkdtemp())))
    1119
    """
    return [name for name in checksums(corpus) if _here(corpus, folder / name) is None]


def verify(corpus: Corpus, folder: Path) -> list[str]:
    """Return the files in `folder` whose SHA-256 is not the listed one (absent: see `missing`).

    Parameters
    ----------
    corpus : Corpus
        Which one.
    folder : Path
        Where to look.

    Returns
    -------
    list of str
        Their paths below the folder.

    Examples
    --------
    >>> import tempfile
    >>> from relviz import corpora
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "vowdata.dat").write_text("no table")
    >>> verify(corpora.find("aev"), folder)
    ['vowdata.dat']
    """
    wrong = []
    digest = _digests(corpus)
    for name, right in checksums(corpus).items():
        path = _here(corpus, folder / name)
        if path is not None and right != UNKNOWN and digest(path) != right:
            wrong.append(name)
    return wrong


def _here(corpus: Corpus, path: Path) -> Path | None:
    """Return a listed file; one whose samples are listed may be in another format."""
    found = other_formats(path) if corpus.samples else (path,)
    return next((each for each in found if each.is_file()), None)


def _digests(corpus: Corpus) -> Callable[[Path], str]:
    """Return what the files of a corpus are checked by."""
    return sample_digest if corpus.samples else file_digest


def fetch(corpus: Corpus, folder: Path | str | None = None, progress: bool = False) -> Path:
    """Download what `folder` lacks of a corpus, or has wrong, and return the folder.

    Each file is downloaded under a temporary name and moved into place once its SHA-256 is right;
    files that are here and right are not fetched again, and stay after a failure or Ctrl-C.
    An archive (see `relviz.corpora.archive`) goes on where its download stopped.

    Parameters
    ----------
    corpus : Corpus
        Which one.
    folder : Path or str, optional
        Default, the user's cache; what RELVIZ_DATA names is only ever read.
    progress : bool
        Show a tqdm bar, one step a file, or in bytes for an archive.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    CorpusError
        Naming the URL, at the first file that cannot be had after two more tries; naming the folder
        if it cannot be written to, or another fetch is at it; and for a corpus that needs a
        licence.

    Examples
    --------
    >>> from relviz import corpora
    >>> fetch(corpora.find("timit"))
    Traceback (most recent call last):
    relviz.corpora.corpus.CorpusError: TIMIT (Garofolo et al., 1993) is not downloaded, as it \
needs a licence (LDC93S1, from the Linguistic Data Consortium): name the folder of your own copy.
    """
    if not corpus.addresses:
        raise CorpusError(
            f"{corpus.title} is not downloaded, as it needs a licence ({corpus.licence}): name the "
            "folder of your own copy."
        )
    folder = cached(corpus) if folder is None else Path(folder).expanduser()
    busy = f"{folder} is being filled by another fetch of {corpus.name}: wait for that one."
    try:
        with files.alone(files.folder(folder), busy):
            if corpus.archive:
                _fetch_archive(corpus, folder, progress)
            else:
                _fetch_files(corpus, folder, progress)
    except WriteError as error:
        raise CorpusError(str(error)) from error
    return folder


def retrieve(url: str, sha256: str, most: int = 1 << 30) -> Path:
    """Download one file into the user's cache, unless it is there, and check it.

    Parameters
    ----------
    url : str
        Where it lies; its last part is the file's name here, too.
    sha256 : str
        What its content must have.
    most : int
        Bytes that it can have: a server that sends more is cut short.

    Returns
    -------
    Path
        The file. One with another SHA-256 is not kept.

    Raises
    ------
    CorpusError
        Naming the URL, if it cannot be had or is not the right one, or the folder that cannot be
        written to.

    Examples
    --------
    >>> import os, tempfile
    >>> from unittest import mock
    >>> digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    >>> with mock.patch.dict(os.environ, XDG_CACHE_HOME=tempfile.mkdtemp()):
    ...     cache().mkdir(parents=True)
    ...     _ = (cache() / "one.bin").write_bytes(b"1")
    ...     retrieve("https://example.org/one.bin", digest).name  # nothing is asked for
    'one.bin'
    """
    require("pooch")
    import pooch

    for draft in cache().glob("tmp*"):  # of a process that was killed; younger ones may be alive
        if draft.is_file() and time.time() - draft.stat().st_mtime > _DAY:
            files.remove(draft)
    try:
        with hushed("pooch", logging.WARNING):
            found = pooch.retrieve(
                url,
                f"sha256:{sha256}",
                fname=url.rpartition("/")[2],
                path=cache(),
                downloader=_Downloader(most),
            )
    except (ValueError, OSError) as error:  # a wrong SHA-256; the web or the disk
        raise CorpusError(_reason(None, url, cache(), error)) from error
    return Path(found)


def remedy(corpus: Corpus, folder: Path) -> str:
    """Say how to repair a corpus in `folder`: the end of an error's sentence.

    Parameters
    ----------
    corpus : Corpus
        Which one.
    folder : Path
        Where it is broken.

    Returns
    -------
    str
        A command, without a full stop.

    Examples
    --------
    >>> from relviz import corpora
    >>> remedy(corpora.find("aev"), cached(corpora.find("aev")))
    'run `relviz data fetch aev`'
    """
    command = f"run `relviz data fetch {corpus.name}`"
    if folder == cached(corpus):
        return command
    # right for what RELVIZ_DATA names as for a folder given in its place
    into = f"{command.removesuffix('`')} --folder {shlex.quote(str(folder))}`"
    return f"put it there, or {into}"


def _home(corpus: Corpus) -> Path | None:
    """Return the folder of a corpus below RELVIZ_DATA, or None if that is not set."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    home = Path(named).expanduser()
    if not home.is_dir():
        raise CorpusError(
            f"{VARIABLE} names {named}, which is not a folder: correct it, or unset {VARIABLE}."
        )
    return home / corpus.folder


def _begun(corpus: Corpus, folder: Path) -> bool:
    if corpus.pattern and any(folder.glob(corpus.pattern)):
        return True
    return any(_here(corpus, folder / name) for name in checksums(corpus))


def _fetch_files(corpus: Corpus, folder: Path, progress: bool) -> None:
    """Download the files of a corpus that lie singly, several at a time."""
    require("pooch")
    import pooch
    from tqdm.auto import tqdm

    listed = checksums(corpus)
    lacking = {*missing(corpus, folder), *verify(corpus, folder)}
    urls = {name: corpus.addresses[Path(name).suffix] + Path(name).name for name in lacking}
    drafts = folder / _DRAFTS
    shutil.rmtree(drafts, ignore_errors=True)  # those of a fetch that was killed
    for parent in {place / name for name in lacking for place in (folder, drafts)}:
        files.folder(parent.parent)
    registry = {name: listed[name] for name in lacking}
    shelf = pooch.create(
        drafts, base_url="", registry=registry, urls=urls, retry_if_failed=_RETRIES
    )

    def arrived(path: str, _: str, __: object) -> str:
        Path(path).chmod(0o644)  # pooch's own mode is private
        place = folder / Path(path).relative_to(drafts)
        Path(path).replace(place)
        return str(place)

    pool = ThreadPoolExecutor(_PARALLEL)
    try:
        with (
            hushed("pooch", logging.WARNING),
            tqdm(
                total=len(listed),
                initial=len(listed) - len(lacking),
                desc=corpus.name,
                unit="file",
                disable=not progress,
            ) as bar,
        ):
            jobs: dict[Future[str], str] = {
                pool.submit(
                    shelf.fetch, name, processor=arrived, downloader=_Downloader(corpus.most)
                ): name
                for name in lacking
            }
            for job in as_completed(jobs):
                failure = job.exception()
                if failure is not None:
                    reason = _reason(corpus, urls[jobs[job]], folder, failure)
                    raise CorpusError(reason) from failure
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        shutil.rmtree(drafts, ignore_errors=True)


def _fetch_archive(corpus: Corpus, folder: Path, progress: bool) -> None:
    """Download a corpus that comes as one archive, and unpack it."""
    require("requests")
    import requests

    from relviz.corpora import archive

    if not missing(corpus, folder) and not verify(corpus, folder):
        return
    (address,) = corpus.addresses.values()
    url = address + corpus.archive
    try:
        archive.fetch(
            url,
            folder,
            checksums(corpus),
            _RETRIES,
            progress,
            corpus.most,
            corpus.unlisted,
            _digests(corpus),
        )
    except archive.ArchiveError as error:
        raise CorpusError(
            f"{url} {error}: run `relviz data fetch {corpus.name}` again later."
        ) from error
    except (requests.RequestException, OSError) as error:
        raise CorpusError(_reason(corpus, url, folder, error)) from error


class _Downloader:
    """What pooch downloads with: bounded in bytes and time, as its own is not."""

    def __init__(self, most: int) -> None:
        self._most = most

    def __call__(self, url: str, file: str, _: object) -> None:
        from relviz.corpora.transfer import transfer

        transfer(url, Path(file), self._most)


def _reason(corpus: Corpus | None, url: str, folder: Path, error: BaseException) -> str:
    """Say in one sentence why a file could not be fetched, and the way out."""
    require("requests")
    import requests

    from relviz.corpora.transfer import TransferError

    once_more = f"run `relviz data fetch {corpus.name}` again" if corpus else "try again"
    later = f"what has arrived is kept, so {once_more} later" if corpus else f"{once_more} later"
    if isinstance(error, requests.HTTPError):
        return f"{url} answers {error.response.status_code} {error.response.reason}: {later}."
    if isinstance(error, TransferError):
        return f"{url} {error}: {later}."
    if isinstance(error, requests.RequestException):
        return f"{url} cannot be downloaded ({type(error).__name__}): go online; {later}."
    if isinstance(error, OSError):
        return (
            f"{error.filename or folder} cannot be written ({error.strerror or error}): make room "
            f"or permit it, and {once_more}."
        )
    return f"{url} does not have the listed SHA-256 (truncated or changed): {later}."
