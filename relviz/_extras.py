"""What relviz needs besides its core: who installs it alone hears which extra brings the rest."""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from relviz._errors import MissingExtraError

__all__ = ["EXTRAS", "hushed", "require"]

SOURCE = "git+https://github.com/relviz/relviz"
"""Where relviz comes from: whoever took its name, which nobody holds on an index, is not it."""

EXTRAS = {
    "speech": (
        "joblib",
        "librosa",
        "matplotlib",
        "pandas",
        "parselmouth",
        "pooch",
        "pyarrow",
        "requests",
    ),
    "book": (
        "IPython",
        "anywidget",
        "captum",
        "ipywidgets",
        "matplotlib_inline",
        "ndf",
        "onnx",
        "skimage",
        "traitlets",
    ),
    "cluster": ("cloudpickle", "dask", "distributed"),
    "train": ("pocketsphinx", "rapidfuzz"),
}
"""Extra -> the modules it brings; the others bring those of `speech`, too."""


def require(*modules: str) -> None:
    """Refuse to go on without modules that an extra of relviz brings.

    To be called before they are imported: at the top of a room that is of no use without them, or
    in the function that needs them. It finds modules without running them.

    Parameters
    ----------
    *modules : str
        Names as imported, of those in `EXTRAS`.

    Raises
    ------
    MissingExtraError
        If one is not installed; the sentence names the extra.

    Examples
    --------
    >>> require("pandas")
    """
    for module in modules:
        extra = next(extra for extra, names in EXTRAS.items() if module in names)
        if not _installed(module):
            raise MissingExtraError(
                f"{module} is not installed: pip install 'relviz[{extra}] @ {SOURCE}' brings it."
            )


def _installed(module: str) -> bool:
    if module in sys.modules:  # where None says: there is no such module
        return sys.modules[module] is not None
    return importlib.util.find_spec(module) is not None


@contextmanager
def hushed(name: str, level: int) -> Iterator[None]:
    """Let a library's logger say nothing below `level` while the block runs.

    Its own level, and not that of its handlers, which several loggers may share.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
