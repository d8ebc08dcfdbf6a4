"""Files that are whole or not there: what a killed process leaves behind can be read."""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from relviz._errors import RelvizError, WriteError

__all__ = ["ABANDONED", "alone", "folder", "probe", "remove", "replacing", "sweep", "write_text"]

ABANDONED = 3600.0
"""Seconds: a draft that nobody has written to for so long is nobody's."""

_LOCK = ".lock"
_DRAFT = re.compile(r"\..+\.\d+-\d+\.part", re.DOTALL)

_UNWRITABLE = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EINVAL,
    errno.EIO,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
    errno.ESTALE,
}
"""What a file system says when it takes no file; the network's errors, say, are not among them."""


def folder(path: Path | str) -> Path:
    """Return a folder, made with all above it if it is not there.

    Parameters
    ----------
    path : Path or str
        ``~`` is the user's home.

    Returns
    -------
    Path
        It, expanded.

    Raises
    ------
    WriteError
        Where none can be made.

    Examples
    --------
    >>> import tempfile
    >>> folder(Path(tempfile.mkdtemp()) / "runs" / "first").is_dir()
    True
    """
    path = Path(path).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def probe(path: Path | str) -> None:
    """See at the start of long work that its result can be written, and leave nothing behind.

    Parameters
    ----------
    path : Path or str
        The file that is to be written; if it is there, it stays as it is.

    Raises
    ------
    WriteError
        If it cannot.

    Examples
    --------
    >>> import tempfile
    >>> probe(Path(tempfile.mkdtemp()) / "table.csv")
    """
    path = Path(path).expanduser()
    sweep(path.parent, age=ABANDONED)
    draft = _draft(path)
    try:
        draft.write_bytes(bytes(1))
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def remove(path: Path | str) -> None:
    """Remove a file, if it is there.

    Parameters
    ----------
    path : Path or str
        The file.

    Raises
    ------
    WriteError
        Where its folder keeps what it has.

    Examples
    --------
    >>> remove("nowhere.txt")
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(Path(path), error) from error


@contextmanager
def alone(folder: Path | str, busy: str | None = None) -> Iterator[None]:
    """Keep a folder to this thread while the block lasts, and no longer than this process lives.

    The thread that has it may take it again.

    Parameters
    ----------
    folder : Path or str
        It must be there.
    busy : str, optional
        The sentence with which another process' folder is refused; default, it is waited for.

    Raises
    ------
    WriteError
        Where somebody else has it, or nothing can be written.

    Yields
    ------
    None
        With the folder to itself.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with alone(folder, "Somebody else writes there: wait."):
    ...     write_text(Path(folder) / "note.txt", "mine")
    """
    lock = FileLock(Path(folder) / _LOCK, is_singleton=True)
    try:
        lock.acquire(timeout=-1 if busy is None else 0)
    except Timeout as error:
        raise WriteError(busy) from error
    except OSError as error:
        raise _unwritable(Path(folder), error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the place of `path` when the block ends.

    The content reaches the disk before the name changes. If the block raises, `path` stays as it
    was and the draft is removed.

    Parameters
    ----------
    path : Path or str
        The file to write or to replace. Its folder must be there; ``~`` is the user's home.

    Raises
    ------
    WriteError
        Where the file cannot be written: a full disk, a folder that has gone or takes no files.

    Yields
    ------
    Path
        The draft, in the same folder: a hidden name, with those of this process and thread in it,
        so that two that write the same file do not meet. It ends in ``.part``, whatever `path` ends
        in.

    Notes
    -----
    A process that is killed leaves its draft behind; `sweep` removes it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.txt"
    >>> with replacing(path) as draft:
    ...     _ = draft.write_text("1 2 3")
    ...     path.exists()
    False
    >>> path.read_text()
    '1 2 3'
    """
    path = Path(path).expanduser()
    draft = _draft(path)
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        ours = error.filename is None or Path(error.filename) in (draft, path)
        unwritten = error.errno == errno.ENOENT and draft.parent.is_dir()  # the block's own fault
        if isinstance(error, RelvizError) or error.errno not in _UNWRITABLE:
            raise
        if unwritten or not ours:
            raise
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.part")


def _unwritable(path: Path, error: OSError) -> WriteError:
    reason = (error.strerror or str(error)).lower()
    if error.errno == errno.EEXIST:
        reason = "a file has its name"
    if error.errno == errno.ENOENT:
        reason = f"{path.parent} is not there"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    way = "make room and run this again" if full else "choose another place"
    return WriteError(f"{path} cannot be written ({reason}): {way}.")


def write_text(path: Path | str, text: str) -> None:
    """Write a text file as a whole, in UTF-8.

    Parameters
    ----------
    path : Path or str
        The file to write or to replace.
    text : str
        All of its content.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_text(path, "whole")
    >>> path.read_text()
    'whole'
    """
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def sweep(folder: Path | str, age: float = 0.0) -> None:
    """Remove the drafts that killed processes left in a folder.

    Parameters
    ----------
    folder : Path or str
        Where `replacing` has written; a folder that is not there holds no drafts.
    age : float
        Seconds: younger drafts stay, since another process may be writing them.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".table.csv.123-123.part").touch()
    >>> sweep(folder)
    >>> list(folder.iterdir())
    []
    """
    for draft in Path(folder).glob(".*.part"):
        with suppress(FileNotFoundError):
            if _DRAFT.fullmatch(draft.name) and time.time() - draft.stat().st_mtime >= age:
                draft.unlink()
