"""relviz: see what a network that hears raw speech listens to.

The rooms, ground floor first: `audio`, `networks`, `backprop`, `signals`, `spectral`, `filters`,
`acoustics`, `controls`, `pretrained`, `export`, `images`, `corpora`, `training`, `studies`,
`plots`, `widgets`, `cli`.
Importing `relviz` is light: torch, numpy, scipy's FFT and safetensors only; librosa, parselmouth,
pandas and matplotlib load where they are used.
"""

import importlib
from types import ModuleType

from relviz.backprop import relevance
from relviz.pretrained import load
from relviz.signals import relevance_signal
from relviz.spectral import spectral_relevance

__version__ = "0.1.0.dev0"

__all__ = ["load", "relevance", "relevance_signal", "spectral_relevance"]

_ROOMS = (
    "acoustics",
    "audio",
    "controls",
    "corpora",
    "export",
    "filters",
    "images",
    "networks",
    "plots",
    "pretrained",
    "studies",
    "training",
    "widgets",
)


def __getattr__(name: str) -> ModuleType:
    """Load a room when it is first named, as in `relviz.studies.vowels`."""
    if name in _ROOMS:
        return importlib.import_module(f"relviz.{name}")
    raise AttributeError(f"module 'relviz' has no attribute {name!r}")
