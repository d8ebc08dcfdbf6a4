"""Files that are whole or not there: what a killed process leaves behind can be read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which takes the place of `path` when the block ends.

    The content reaches the disk before the name changes. If the block raises, `path` stays as it
    was and the draft is removed.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole."""
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def sweep(folder: Path, age: float = 0) -> None:
    """Remove the drafts older than `age` seconds that killed processes left in a folder."""
    for draft in folder.glob(".*.part"):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime >= age:
                draft.unlink()
