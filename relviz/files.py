"""Files that are whole or not there: what a killed process leaves behind can be read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replacing", "sweep", "write_text"]


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the place of `path` when the block ends.

    The content reaches the disk before the name changes. If the block raises, `path` stays as it
    was and the draft is removed.

    Parameters
    ----------
    path : Path or str
        The file to write or to replace. Its folder must be there.

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
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.part")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


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
            if time.time() - draft.stat().st_mtime >= age:
                draft.unlink()
