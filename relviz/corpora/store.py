"""Where recordings live and how they get there.

A corpus is looked for in the folder that RELVIZ_DATA names, then in the user's cache; `fetch`
downloads it, each file checked against the SHA-256 list that ships with the package. Whoever
finds nothing falls back on `relviz.corpora.synthetic`, and says so.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pooch  # type: ignore[import-untyped]
import requests
from tqdm.auto import tqdm

from relviz._errors import RelvizError
from relviz.corpora import archive

VARIABLE = "RELVIZ_DATA"
"""The environment variable that names a folder with one folder per corpus inside."""

TITLES = {
    "aev": "American English Vowels (Hillenbrand et al., 1995)",
    "mini-librispeech": "LibriSpeech (Panayotov et al., 2015)",
    "timit": "TIMIT (Garofolo et al., 1993)",
}

URLS: dict[str, dict[str, str]] = {
    "aev": {
        ".wav": "https://raw.githubusercontent.com/fancompute/wavetorch/927ad02/data/vowels/",
        ".dat": "https://raw.githubusercontent.com/kleinschmidt/hdp-bayes-vowels/"
        "1ef03eac63323f33b8ee31af8bc5294042de2d00/hillenbrand-data/",
    },
    "mini-librispeech": {".tar.gz": "https://www.openslr.org/resources/31/"},
}
"""Per corpus that can be fetched, the folder on the web that holds its files, by their suffix."""

ARCHIVES = {"mini-librispeech": "train-clean-5.tar.gz"}
"""The corpora that come as one archive, whose files the package lists."""

FOLDERS = {"mini-librispeech": "LibriSpeech"}
"""A corpus' folder below RELVIZ_DATA and the cache, where it is not named like the corpus."""

RETRIES = 2
PARALLEL = 8


class CorpusError(RelvizError, RuntimeError):
    """Recordings that are missing, wrong or out of reach; one sentence with the way out."""


@dataclass(frozen=True)
class Source:
    """Where a corpus came from.

    origin: "RELVIZ_DATA", "cache", "download", "given" by the caller, or "synthetic" (no folder).
    """

    origin: str
    folder: Path | None = None
    corpus: str = "aev"

    def describe(self) -> str:
        """One sentence for the top of a page, without the folder: it differs by machine."""
        if self.origin == "synthetic":
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
        return f"Recordings: {TITLES[self.corpus]}, {ways[self.origin]}."

    def __str__(self) -> str:
        return self.describe()


@dataclass(frozen=True)
class Status:
    """What is here of one corpus: a row of `relviz data status`."""

    corpus: str
    origin: str
    folder: Path
    present: int
    expected: int
    wrong: int

    def __str__(self) -> str:
        if self.origin == "synthetic":
            return (
                f"{self.corpus}: no recordings, synthetic speech stands in; `relviz data fetch "
                f"{self.corpus}` downloads {self.expected} files to {self.folder}"
            )
        checked = f"{self.wrong} of them wrong" if self.wrong else "all with the listed SHA-256"
        return (
            f"{self.corpus}: {self.present} of {self.expected} files in {self.folder} "
            f"({self.origin}), {checked}"
        )


def cache() -> Path:
    """Return the user's cache folder of relviz (it need not exist)."""
    return Path(pooch.os_cache("relviz"))


def cached(corpus: str) -> Path:
    """Return the folder of a corpus in the user's cache (it need not exist)."""
    return cache() / FOLDERS.get(corpus, corpus)


def checksums(corpus: str) -> dict[str, str]:
    """Return file name -> SHA-256 of every file of a corpus, from the list in the package.

    Raises CorpusError for an unknown corpus.
    """
    if corpus not in URLS:
        raise CorpusError(f"There is no corpus {corpus!r}: choose from {', '.join(URLS)}.")
    text = resources.files("relviz.corpora").joinpath(f"{corpus}.sha256").read_text()
    return {name: digest for digest, name in map(str.split, text.splitlines())}


def locate(corpus: str, download: bool = False, progress: bool = False) -> Source | None:
    """Find a corpus: RELVIZ_DATA, else the user's cache, else None.

    A folder counts as soon as one listed file lies in it (any part of LibriSpeech will do);
    `missing` says what it lacks.
    download: complete the cache with `fetch` when RELVIZ_DATA does not hold the corpus.
    Raises CorpusError if RELVIZ_DATA names no folder, if the corpus is unknown or a download fails.
    """
    home = _home(corpus)
    if home is not None and _begun(corpus, home):
        return Source("RELVIZ_DATA", home, corpus)
    folder = cached(corpus)
    if download and missing(corpus, folder):
        return Source("download", fetch(corpus, folder, progress), corpus)
    return Source("cache", folder, corpus) if _begun(corpus, folder) else None


def missing(corpus: str, folder: Path) -> list[str]:
    """Return the listed files of a corpus that `folder` lacks."""
    return [name for name in checksums(corpus) if not (folder / name).is_file()]


def verify(corpus: str, folder: Path) -> list[str]:
    """Return the files in `folder` whose SHA-256 is not the listed one (absent: see `missing`)."""
    return [
        name
        for name, digest in checksums(corpus).items()
        if (folder / name).is_file()
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]


def status() -> list[Status]:
    """Return one row per corpus: where it is found, how much of it, and how many files are wrong.

    Reads and checks every file that is here. Raises CorpusError if RELVIZ_DATA names no folder.
    """
    rows = []
    for corpus in URLS:
        source = locate(corpus) or Source("synthetic", None, corpus)
        folder = source.folder or cached(corpus)
        expected = len(checksums(corpus))
        present = expected - len(missing(corpus, folder))
        wrong = len(verify(corpus, folder))
        rows.append(Status(corpus, source.origin, folder, present, expected, wrong))
    return rows


def fetch(
    corpus: str,
    folder: Path | str | None = None,
    progress: bool = False,
    base_urls: Mapping[str, str] | None = None,
) -> Path:
    """Download what `folder` lacks of a corpus, or has wrong, and return the folder.

    folder: default, the user's cache; what RELVIZ_DATA names is only ever read.
    progress: show a tqdm bar, one step a file, or in bytes for an archive.
    base_urls: file suffix -> folder on the web that ends in "/"; default `URLS[corpus]`.
    Each file is downloaded under a temporary name and moved into place once its SHA-256 is right;
    files that are here and right are not fetched again, and stay after a failure or Ctrl-C.
    An archive (see `relviz.corpora.archive`) goes on where its download stopped.
    Raises CorpusError, naming the URL, at the first file that cannot be had after `RETRIES` more
    tries, or naming the folder if it cannot be written to.
    """
    listed = checksums(corpus)
    bases = base_urls or URLS[corpus]
    folder = cached(corpus) if folder is None else Path(folder).expanduser()
    if corpus in ARCHIVES:
        _fetch_archive(corpus, bases[".tar.gz"] + ARCHIVES[corpus], folder, progress)
        return folder
    urls = {name: bases[Path(name).suffix] + Path(name).name for name in listed}
    try:
        for parent in {(folder / name).parent for name in listed}:
            parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(_reason(corpus, "", folder, error)) from error
    shelf = pooch.create(folder, base_url="", registry=listed, urls=urls, retry_if_failed=RETRIES)
    log: logging.Logger = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)
    pool = ThreadPoolExecutor(PARALLEL)
    try:
        jobs: dict[Future[str], str] = {
            pool.submit(shelf.fetch, name, processor=_readable): name for name in listed
        }
        with tqdm(total=len(jobs), desc=corpus, unit="file", disable=not progress) as bar:
            for job in as_completed(jobs):
                failure = job.exception()
                if failure is not None:
                    raise CorpusError(
                        _reason(corpus, urls[jobs[job]], folder, failure)
                    ) from failure
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
        log.setLevel(level)
    return folder


def _fetch_archive(corpus: str, url: str, folder: Path, progress: bool) -> None:
    if not missing(corpus, folder) and not verify(corpus, folder):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        archive.fetch(url, folder, checksums(corpus), RETRIES, progress)
    except archive.ArchiveError as error:
        raise CorpusError(
            f"{url} {error}: run `relviz data fetch {corpus}` again later."
        ) from error
    except (requests.RequestException, OSError) as error:
        raise CorpusError(_reason(corpus, url, folder, error)) from error


def remedy(corpus: str, folder: Path) -> str:
    """Say how to repair a corpus in `folder`: the end of an error's sentence."""
    command = f"run `relviz data fetch {corpus}`"
    if folder == cached(corpus):
        return command
    return f"put it there, or unset {VARIABLE} and {command}"


def _home(corpus: str) -> Path | None:
    """Return the folder of a corpus below RELVIZ_DATA, or None if that is not set."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    home = Path(named).expanduser()
    if not home.is_dir():
        raise CorpusError(
            f"{VARIABLE} names {named}, which is not a folder: correct it, or unset {VARIABLE}."
        )
    return home / FOLDERS.get(corpus, corpus)


def _begun(corpus: str, folder: Path) -> bool:
    if corpus in ARCHIVES and any(folder.glob("*/*/*/*.flac")):
        return True
    return any((folder / name).is_file() for name in checksums(corpus))


def _readable(path: str, action: str, _: object) -> str:
    """Give a file that pooch has just moved into place the usual mode; its own is private."""
    if action != "fetch":
        Path(path).chmod(0o644)
    return path


def _reason(corpus: str, url: str, folder: Path, error: BaseException) -> str:
    """Say in one sentence why a file could not be fetched, and the way out."""
    again = f"what has arrived is kept, so run `relviz data fetch {corpus}` again later"
    if isinstance(error, requests.HTTPError):
        return f"{url} answers {error.response.status_code} {error.response.reason}: {again}."
    if isinstance(error, requests.RequestException):
        return f"{url} cannot be downloaded ({type(error).__name__}): go online; {again}."
    if isinstance(error, OSError):
        return (
            f"{error.filename or folder} cannot be written ({error.strerror or error}): make room "
            f"or permit it, and run `relviz data fetch {corpus}` again."
        )
    return f"{url} does not have the listed SHA-256 (truncated or changed): {again}."
