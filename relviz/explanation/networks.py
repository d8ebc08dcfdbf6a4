"""Which network is asked: a shipped one, a run, an object, or whatever a module of yours holds."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from relviz import controls
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.pretrained import load
from relviz.signals import Normalise, normalisation

__all__ = ["Asked", "asked"]


@dataclass(frozen=True)
class Asked:
    """A network, and what must be known to ask it.

    Parameters
    ----------
    net : callable
        From (batch, window) samples to scores.
    name : str
        Such as "phones".
    sample_rate : int
        At which it hears, in Hz.
    window : int
        Samples it hears.
    normalise : {"window", "utterance", "none"}
        As in `relviz.relevance_signal`.
    classes : tuple of str
        Their names; empty where the network does not name them.

    Examples
    --------
    >>> asked("phones").window
    4000
    """

    net: Callable[..., Any]
    name: str
    sample_rate: int
    window: int
    normalise: Normalise
    classes: tuple[str, ...]

    def untrained(self, seed: int = 0) -> nn.Module | None:
        """Return a copy with new random weights; None where there are no layers to draw anew."""
        if not isinstance(self.net, nn.Module) or not controls.layers(self.net):
            return None
        try:
            return controls.untrained(self.net, seed)
        except ParameterError:  # a layer that nobody can draw anew
            return None


def asked(
    network: str | Path | Callable[..., Any] = "phones",
    *,
    sample_rate: int | None = None,
    window: int | None = None,
    normalise: Normalise | None = None,
) -> Asked:
    """Return a network by its name, its folder, or its place in a module.

    Parameters
    ----------
    network : str, Path or callable
        "phones" or another shipped network; a run's folder or weights file, as `relviz.load` takes
        it; "module:attribute", a network or a function or class that makes one, in a module that
        Python finds from here; or the network itself.
    sample_rate : int, optional
        In Hz; default, what the network says in `metadata.sample_rate` or `sample_rate`, else
        16 kHz.
    window : int, optional
        Samples it hears; default, what it says in `window`.
    normalise : {"window", "utterance", "none"}, optional
        Default, what it says in `metadata.normalise` or `normalise`, else "window".

    Returns
    -------
    Asked
        In eval mode where it has one.

    Raises
    ------
    ParameterError
        For what is none of these, and for a network that does not say how much it hears.

    Examples
    --------
    >>> asked("torch.nn:Identity", window=400, sample_rate=8000).name
    'torch.nn:Identity'
    """
    net: Any = network
    name = getattr(network, "__name__", type(network).__name__)
    if isinstance(network, (str, Path)):
        name = str(network)
        net = _found(name) if ":" in name and not os.path.exists(name) else load(network)
    if not callable(net):
        raise ParameterError(f"{name} is a {type(net).__name__}, and no network can be called so.")
    if isinstance(net, nn.Module):
        net = net.eval()
    about = getattr(net, "metadata", None)
    rate = sample_rate or getattr(about, "sample_rate", None) or getattr(net, "sample_rate", None)
    length = window or getattr(net, "window", None)
    if not length:
        raise ParameterError(
            f"{name} does not say how many samples it hears: give window (--window), or set "
            "its attribute window."
        )
    if normalise is None and about is None:
        normalise = getattr(net, "normalise", None)
    classes: Sequence[Any] = getattr(about, "classes", None) or getattr(net, "classes", None) or ()
    return Asked(
        net,
        name,
        int(rate or SAMPLE_RATE),
        int(length),
        normalisation(net, normalise),
        tuple(str(each) for each in classes),
    )


def _found(place: str) -> Any:
    """What "module:attribute" names, called where it makes a network without being told more."""
    module_name, _, attribute = place.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ParameterError(
            f"{place}: the module {module_name} cannot be imported ({error}): call from its folder."
        ) from error
    finally:
        sys.path.remove(os.getcwd())
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise ParameterError(f"{place}: the module has no {attribute!r}.") from None
    if isinstance(found, nn.Module) or not callable(found):
        return found
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):  # it wants arguments, so it is the network itself
        return found
    return found()
