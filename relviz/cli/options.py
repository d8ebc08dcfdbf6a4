"""What options of several commands have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token
from cyclopts.validators import Number

__all__ = ["Count", "File", "Folder", "at_home"]


def at_home(text: str) -> str:
    """Expand ``~``, which no shell expands after ``=``; an unknown user's stays as it is."""
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        return text


def _path(_: Any, tokens: Sequence[Token]) -> Path:
    return Path(at_home(tokens[0].value))


Count = Annotated[int, Parameter(metavar="N", validator=Number(gte=1))]
"""1 or more."""

Folder = Annotated[Path, Parameter(metavar="FOLDER", converter=_path)]

File = Annotated[Path, Parameter(metavar="FILE", converter=_path)]
