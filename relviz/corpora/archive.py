"""Download an archive, go on where a download stopped, and unpack only what is listed."""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from tqdm.auto import tqdm

from relviz._errors import RelvizError
from relviz._extras import require

require("requests")

import requests

__all__ = ["ArchiveError", "download", "fetch", "unpack", "unzip"]

_CHUNK = 1 << 16
_TIMEOUT = 60
"""Seconds without a byte after which a download counts as broken."""


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
    url: str, folder: Path, listed: Mapping[str, str], retries: int = 2, progress: bool = False
) -> None:
    """Download a tar or zip archive and put its listed files into `folder`.

    The download lies beside `folder` in a hidden file until everything is done, so that the next
    call goes on with it. The files are unpacked and checked in a temporary folder; only if all of
    them are right does any of them move to its place.

    Parameters
    ----------
    url : str
        Of the archive.
    folder : Path
        Where the files go; its parent must be there.
    listed : mapping of str to str
        Path below the archive's one top folder -> SHA-256; whatever else it holds is left out.
    retries : int
        How often to try again.
    progress : bool
        Show a tqdm bar in bytes.

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
    for left in range(retries, -1, -1):
        try:
            download(url, draft, progress)
            break
        except requests.RequestException:
            if not left:
                raise
    try:
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as unpacked:
            (unzip if url.endswith(".zip") else unpack)(draft, Path(unpacked), listed)
            for name in listed:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(unpacked) / name).replace(folder / name)
    except ArchiveError:
        draft.unlink()
        raise
    draft.unlink()


def download(url: str, path: Path, progress: bool = False) -> None:
    """Download to `path`, going on behind the bytes that it has already.

    Parameters
    ----------
    url : str
        What to download.
    path : Path
        Where to; what has arrived stays there after a failure.
    progress : bool
        Show a tqdm bar in bytes.

    Raises
    ------
    requests.RequestException
        If it breaks off.

    Examples
    --------
    >>> download("nowhere:/x", Path("x.part"))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    requests.exceptions.InvalidSchema: No connection adapters were found
    """
    begun = path.stat().st_size if path.exists() else 0
    asked = {"Range": f"bytes={begun}-"} if begun else {}
    with requests.get(url, headers=asked, stream=True, timeout=_TIMEOUT) as answer:
        if begun and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is left to send
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            begun = 0
        rest = int(answer.headers.get("Content-Length", 0))
        with (
            path.open("ab" if begun else "wb") as file,
            tqdm(
                desc=url.rpartition("/")[2],
                total=begun + rest or None,
                initial=begun,
                unit="B",
                unit_scale=True,
                disable=not progress,
            ) as bar,
        ):
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))


def unpack(path: Path, folder: Path, listed: Mapping[str, str]) -> None:
    """Unpack the listed files of a tar archive into `folder`, without their top folder.

    Parameters
    ----------
    path : Path
        The archive.
    folder : Path
        Where the files go.
    listed : mapping of str to str
        Path below the archive's one top folder -> SHA-256.

    Raises
    ------
    ArchiveError
        If a member points out of the folder, if a listed file is missing or does not have its
        SHA-256, or if the archive is broken.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "note.txt").write_text("1")
    >>> with tarfile.open(folder / "corpus.tar.gz", "w:gz") as archive:
    ...     archive.add(folder / "note.txt", "top/a/note.txt")
    >>> digest = hashlib.sha256(b"1").hexdigest()
    >>> unpack(folder / "corpus.tar.gz", folder, {"a/note.txt": digest})
    >>> (folder / "a" / "note.txt").read_text()
    '1'
    """
    found = set()
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                tarfile.data_filter(member, str(folder))
                name = member.name.removeprefix("./").partition("/")[2]
                content = archive.extractfile(member) if member.isfile() else None
                if content is None or name not in listed:
                    continue
                data = content.read()
                if hashlib.sha256(data).hexdigest() != listed[name]:
                    raise ArchiveError(
                        f"holds {member.name} without the listed SHA-256 (truncated or changed)"
                    )
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
                found.add(name)
    except tarfile.FilterError as error:
        raise ArchiveError(f"is not to be trusted ({error})") from error
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the archive
        raise ArchiveError(f"is no whole tar archive ({error})") from error
    absent = [name for name in listed if name not in found]
    if absent:
        raise ArchiveError(
            f"lacks {len(absent)} of {len(listed)} listed files, such as {absent[0]}"
        )


_MOST = 1 << 28
"""Bytes, the most that a zip's listed member may say it has: no recording here comes near."""


def unzip(path: Path, folder: Path, listed: Mapping[str, str]) -> None:
    """Unpack the listed files of a zip archive into `folder`, without their top folder.

    Parameters
    ----------
    path : Path
        The archive.
    folder : Path
        Where the files go.
    listed : mapping of str to str
        Path below the archive's one top folder -> SHA-256.

    Raises
    ------
    ArchiveError
        If a listed file is missing or does not have its SHA-256, or if the archive is broken.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with zipfile.ZipFile(folder / "corpus.zip", "w") as archive:
    ...     archive.writestr("top/a/note.txt", "1")
    >>> unzip(folder / "corpus.zip", folder, {"a/note.txt": hashlib.sha256(b"1").hexdigest()})
    >>> (folder / "a" / "note.txt").read_text()
    '1'
    """
    found = set()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.partition("/")[2]
                if name not in listed:  # what points out of the folder is not, either
                    continue
                if member.file_size > _MOST:
                    raise ArchiveError(f"says that {member.filename} has {member.file_size} bytes")
                data = archive.read(member)
                if hashlib.sha256(data).hexdigest() != listed[name]:
                    raise ArchiveError(
                        f"holds {member.filename} without the listed SHA-256 (truncated or changed)"
                    )
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
                found.add(name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ArchiveError(f"is no whole zip archive ({error})") from error
    absent = [name for name in listed if name not in found]
    if absent:
        raise ArchiveError(
            f"lacks {len(absent)} of {len(listed)} listed files, such as {absent[0]}"
        )
