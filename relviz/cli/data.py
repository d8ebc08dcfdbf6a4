"""`relviz data`: what recordings are here, and fetching them."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from relviz.cli.options import Folder
from relviz.corpora import registry

__all__ = ["fetch", "status"]

_CORPORA = registry.CORPORA
_HELP = "; ".join(
    f"{name}: {corpus.title} ({corpus.size or 'yours, by licence: --root of relviz train'})"
    for name, corpus in _CORPORA.items()
)


def status() -> None:
    """Print one line a corpus."""
    for row in registry.status():
        print(row)


def fetch(
    corpus: Annotated[str, Parameter(choices=tuple(_CORPORA), help=_HELP)],
    /,
    *,
    folder: Folder | None = None,
) -> None:
    """Download a corpus.

    Parameters
    ----------
    corpus
        Its name.
    folder
        Put it there instead of the user's cache.
    """
    found = registry.find(corpus)
    if found.addresses:
        print(f"{found.title} comes under its licence: {found.licence}.", file=sys.stderr)
    where = registry.fetch(corpus, folder, progress=True)
    print(f"{corpus} is in {where}")
    if folder:
        print(f"Set RELVIZ_DATA={where.parent} to use it.")
