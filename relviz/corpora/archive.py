"""Download an archive, go on where a download stopped, and unpack only what is listed."""

from __future__ import annotations

import errno
import glob
import gzip
import re
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm.auto import tqdm

from relviz._errors import RelvizError
from relviz._extras import require
from relviz.corpora.corpus import UNKNOWN
from relviz.corpora.digests import file_digest
from relviz.corpora.transfer import transfer

require("requests")

import requests

__all__ = ["LARGEST", "ArchiveError", "download", "fetch", "unpack"]

LARGEST = 1 << 30
"""Bytes of an archive, unless a corpus says another number."""

_CHUNK = 1 << 16
_HEAD = 1 << 16
"""Bytes of a long name or of a PAX header; tarfile reads either into memory as a whole."""


class ArchiveError(RelvizError, ValueError):
    """An archive that does not hold the listed files; the message is the sentence's beginning.

    Examples
    --------
    >>> import tempfile
    >>> page = Path(tempfile.mkdtemp()) / "page.tar.gz"
    >>> _ = page.write_text("<html>Not here</html>")
    >>> unpack(page, page.parent, {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    relviz.corpora.archive.ArchiveError: is no whole tar archive (...)
    """


def fetch(
    url: str,
    folder: Path,
    listed: Mapping[str, str],
    retries: int = 2,
    progress: bool = False,
    most: int = LARGEST,
    unlisted: str = "",
    digest: Callable[[Path], str] = file_digest,
) -> None:
    """Download a tar or zip archive and put its listed files into `folder`.

    The download lies beside `folder` in a hidden file until everything is done, so that the next
    call goes on with it; if what an earlier call left proves wrong, all of it is fetched again. The
    files are unpacked and checked in a temporary folder; only if all of
    them are right does any of them move to its place.

    Parameters
    ----------
    url : str
        Of the archive.
    folder : Path
        Where the files go; its parent must be there, and nobody else may be fetching into it.
    listed : mapping of str to str
        Path below the archive's one top folder -> SHA-256; whatever else it holds is left out.
    retries : int
        How often to try again.
    progress : bool
        Show a tqdm bar in bytes.
    most : int
        Bytes of the archive, and of what is in it.
    unlisted : str
        A regular expression for the whole paths of what else is taken, unchecked.
    digest : callable
        What a file is checked by.

    Raises
    ------
    requests.RequestException
        After the last try.
    OSError
        Where the disk says no.
    ArchiveError
        After which nothing of the archive is kept.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "corpus"
    >>> fetch("nowhere:/corpus.tar.gz", folder, {}, retries=0)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    requests.exceptions.InvalidSchema: No connection adapters were found
    """
    draft = folder.parent / f".{url.rpartition('/')[2]}.part"
    inherited = draft.exists()
    for left in range(retries, -1, -1):
        try:
            download(url, draft, progress, most)
            break
        except requests.RequestException:
            if not left:
                raise
    try:
        prefix = f".unpacking-{folder.name}~"
        for old in folder.parent.glob(f"{glob.escape(prefix)}*"):  # of a fetch that was killed
            shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as unpacked:
            found = unpack(draft, Path(unpacked), listed, most, unlisted, digest)
            for name in sorted(found, key=listed.__contains__):  # so that these tell of all
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(unpacked) / name).replace(folder / name)
    except ArchiveError:
        draft.unlink()
        if not inherited:
            raise
        return fetch(url, folder, listed, retries, progress, most, unlisted, digest)
    draft.unlink()


def download(url: str, path: Path, progress: bool = False, most: int = LARGEST) -> None:
    """Download to `path`, going on behind the bytes that it has already.

    Parameters
    ----------
    url : str
        What to download.
    path : Path
        Where to; what has arrived stays there after a failure.
    progress : bool
        Show a tqdm bar in bytes.
    most : int
        Bytes: a server that sends more is cut short.

    Raises
    ------
    requests.RequestException
        If it breaks off, and for what `relviz.corpora.transfer.transfer` refuses.

    Examples
    --------
    >>> download("nowhere:/x", Path("x.part"))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    requests.exceptions.InvalidSchema: No connection adapters were found
    """
    name = url.rpartition("/")[2]
    with tqdm(desc=name, unit="B", unit_scale=True, disable=not progress) as bar:

        def arrived(begun: int, more: int, total: int | None) -> None:
            if not bar.n:
                bar.total = total
                bar.update(begun)
            bar.update(more)

        transfer(url, path, most, resume=True, arrived=arrived)


def unpack(
    path: Path,
    folder: Path,
    listed: Mapping[str, str],
    most: int = LARGEST,
    unlisted: str = "",
    digest: Callable[[Path], str] = file_digest,
) -> set[str]:
    """Unpack the listed files of an archive into `folder`, without their top folder.

    Parameters
    ----------
    path : Path
        The archive: a zip where its name says so, else a tar, compressed by gzip or not at all.
    folder : Path
        Where the files go.
    listed : mapping of str to str
        Path below the archive's one top folder -> SHA-256.
    most : int
        Bytes that there may be in it: all members of a tar together, those taken of a zip.
    unlisted : str
        A regular expression for the whole paths of what else is taken, unchecked.
    digest : callable
        What a file is checked by.

    Returns
    -------
    set of str
        The paths of what was unpacked.

    Raises
    ------
    ArchiveError
        If a member points out of the folder, has holes or a head of megabytes, if there is more in
        it than `most`, if a listed file is missing or does not have its SHA-256, or if the archive
        is broken.

    Examples
    --------
    >>> import hashlib, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(folder / "corpus.zip", "w") as archive:
    ...     archive.writestr("top/a/note.txt", "1")
    >>> right = hashlib.sha256(b"1").hexdigest()
    >>> unpack(folder / "corpus.zip", folder, {"a/note.txt": right})
    {'a/note.txt'}
    >>> (folder / "a" / "note.txt").read_text()
    '1'
    """
    kind = "zip" if ".zip" in path.suffixes else "tar"
    members = _zipped(path, most) if kind == "zip" else _tarred(path, folder, most)
    found = set()
    try:
        for member, opened in members:
            name = member.removeprefix("./").partition("/")[2]
            if name in listed or (_stays(name) and re.fullmatch(unlisted, name)):
                _unpack(opened(), folder / name, listed.get(name, UNKNOWN), member, digest)
                found.add(name)
    except tarfile.FilterError as error:
        raise ArchiveError(f"is not to be trusted ({error})") from error
    except ArchiveError:
        raise
    except _BROKEN as error:
        # a place before a zip's beginning is an invalid argument; all else is the disk's own no
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ArchiveError(f"is no whole {kind} archive ({error})") from error
    _whole(listed, found)
    return found


_Members = Iterator[tuple[str, Callable[[], IO[bytes]]]]
"""Path in the archive, and what opens the member; asked for before the next, or not at all."""


def _tarred(path: Path, folder: Path, most: int) -> _Members:
    with _opened(path) as content:
        counted: Any = _Counted(content, most)
        archive = tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member)  # noqa: SIM115
        for member in archive:
            tarfile.data_filter(member, str(folder))
            if member.issparse() or member.size < 0:
                raise ArchiveError(f"is not to be trusted ({member.name} has holes)")
            if member.isreg():
                yield member.name, partial(_extracted, archive, member)


def _extracted(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None  # it is a regular file
    return content


def _zipped(path: Path, most: int) -> _Members:
    left = most

    def opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
        nonlocal left
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArchiveError(f"holds {member.filename} packed in a way of few others")
        left -= member.file_size  # which zipfile does not read beyond
        if left < 0:
            raise ArchiveError(f"unpacks to more than the {most} bytes that it can have")
        return archive.open(member)

    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            yield member.filename, partial(opened, archive, member)


def _stays(name: str) -> bool:
    """Whether a path is one below the folder, whatever pattern it would match."""
    parts = PurePosixPath(name).parts
    return bool(parts) and ".." not in parts and not name.startswith("/") and "\\" not in name


def _whole(listed: Mapping[str, str], found: set[str]) -> None:
    """Refuse an archive that lacks listed files."""
    absent = [name for name in listed if name not in found]
    if absent:
        raise ArchiveError(
            f"lacks {len(absent)} of {len(listed)} listed files, such as {absent[0]}"
        )


def _unpack(
    content: IO[bytes], path: Path, right: str, name: str, digest: Callable[[Path], str]
) -> None:
    """Write one member piece by piece, and refuse another than the listed one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file, _CHUNK)
    if right != UNKNOWN and digest(path) != right:
        raise ArchiveError(f"holds {name} without the listed SHA-256 (truncated or changed)")


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    """Open an archive, compressed by gzip or not at all."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else path.open("rb")


# among them RecursionError: long chains of heads, each of another, are one in tarfile
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    zlib.error,
    ValueError,
    OverflowError,
)


class _Counted:
    """A file that may be read from its beginning on, and only so far: a megabyte can hold 1,000."""

    def __init__(self, file: gzip.GzipFile | BufferedReader, most: int) -> None:
        self._file, self._most, self._left, self._ended = file, most, most, 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        self._ended += not data
        if self._ended > 3:  # tarfile goes on for as long as a member claims to be: years
            raise EOFError("a member ends early")
        if self._left < 0:
            raise ArchiveError(f"unpacks to more than the {self._most} bytes that it can have")
        return data


class _Member(tarfile.TarInfo):
    """A head of an archive's member that claims no more than it needs."""

    @classmethod
    def frombuf(cls, *given: Any) -> _Member:
        member = super().frombuf(*given)
        heads = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, *_PAX)
        if member.size < 0 or (member.type in heads and member.size > _HEAD):
            raise ArchiveError(f"is not to be trusted (a head of {member.size} bytes)")
        if member.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveError(f"is not to be trusted ({member.name} has holes)")
        return member


_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
