"""What relviz refuses: one root, so that a refusal can be told from a bug.

Every message is one sentence that names the culprit and the way out. What it quotes of files and
their names is shown and never obeyed (relviz._text): a terminal would clear its screen
for a file of that name.
"""

from __future__ import annotations

from typing import Any

from relviz._text import printable

__all__ = ["MissingExtraError", "MissingFileError", "ParameterError", "RelvizError", "WriteError"]


class RelvizError(Exception):
    """Anything that relviz refuses; whatever else is raised is a bug, or the machine's own no."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(printable(a) if isinstance(a, str) else a for a in arguments))


class ParameterError(RelvizError, ValueError):
    """An argument that cannot be right."""


class MissingFileError(RelvizError, FileNotFoundError):
    """A file that is not where it was said to be."""

    def __str__(self) -> str:  # OSError shows what it was made with
        return printable(str(self.args[0]))


class WriteError(RelvizError, OSError):
    """A file or folder that cannot be written."""

    def __str__(self) -> str:
        return printable(str(self.args[0]))


class MissingExtraError(RelvizError, ImportError):
    """A library that is not installed; the sentence says which extra of relviz brings it."""
