"""`relviz completion`: what the tab key knows."""

from __future__ import annotations

from typing import Literal

from relviz.cli import app

__all__ = ["completion"]


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print the script for a shell.

    Parameters
    ----------
    shell
        Yours: echo $SHELL.
    """
    print(app.generate_completion(shell=shell))
