"""relviz: see what a network that hears raw speech listens to.

The rooms, ground floor first: `files`, `statistics`, `tasks`, `audio`, `networks`, `backprop`,
`attributions`, `signals`, `spectral`, `filters`, `acoustics`, `controls`, `pretrained`, `export`,
`crepe`, `corpora`, `images`, `training`, `studies`, `plots`, `widgets`,
`results`, `explanation`, `cli`.
Importing `relviz` loads nothing else: a room and what it needs load when they are first named.
"""

import importlib
from typing import TYPE_CHECKING, Any

from relviz._errors import RelvizError

if TYPE_CHECKING:  # what `__getattr__` brings, for type checkers and editors
    from relviz.attributions import relevance
    from relviz.explanation import explain
    from relviz.pretrained import load
    from relviz.signals import relevance_signal
    from relviz.spectral import spectral_relevance

__version__ = "0.1.0.dev0"

__all__ = ["RelvizError", "explain", "load", "relevance", "relevance_signal", "spectral_relevance"]

_FACE = {
    "explain": "explanation",
    "load": "pretrained",
    "relevance": "attributions",
    "relevance_signal": "signals",
    "spectral_relevance": "spectral",
}
_ROOMS = (
    "acoustics",
    "asking",
    "attributions",
    "audio",
    "backprop",
    "cli",
    "controls",
    "corpora",
    "crepe",
    "explanation",
    "export",
    "files",
    "filters",
    "images",
    "networks",
    "plots",
    "pretrained",
    "results",
    "signals",
    "spectral",
    "statistics",
    "studies",
    "tasks",
    "training",
    "widgets",
)


def __getattr__(name: str) -> Any:
    """Load a room when it is first named, as in `relviz.studies.vowels`."""
    if name in _FACE:
        value = getattr(importlib.import_module(f"relviz.{_FACE[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return importlib.import_module(f"relviz.{name}")
    raise AttributeError(f"module 'relviz' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public face and every room, loaded or not."""
    return sorted({*globals(), *_FACE, *_ROOMS})
