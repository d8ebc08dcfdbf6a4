"""Which network is asked: a shipped one, a run, an object, or whatever a module of yours holds."""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from relviz import controls
from relviz._errors import ParameterError, RelvizError
from relviz._guard import watched
from relviz._layers import of_itself
from relviz.audio import SAMPLE_RATE
from relviz.networks import Described
from relviz.pretrained import load
from relviz.signals import Normalise, network_rate, network_window, normalisation

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

    @property
    def network(self) -> Callable[..., Any]:
        """The network as one that says all of this itself, as studies and explorers ask it."""
        says = Described(self.net)  # reads all that it says
        if (
            (network_rate(says) or SAMPLE_RATE, normalisation(says), _classes(says))
            == (self.sample_rate, self.normalise, self.classes)
            and isinstance(says.window, int)
            and says.window == self.window
        ):
            return self.net
        return Described(
            self.net,
            sample_rate=self.sample_rate,
            window=self.window,
            normalise=self.normalise,
            classes=self.classes or None,
        )

    def untrained(self, seed: int = 0) -> nn.Module | None:
        """Return a copy with new random weights; None where there are no layers to draw anew."""
        if not isinstance(self.net, nn.Module) or not controls.layers(self.net):
            return None
        try:
            return controls.untrained(self.net, seed)
        except ParameterError:  # a layer that nobody can draw anew
            return None

    def control(self, seed: int = 0) -> tuple[str, Asked] | None:
        """Return a copy that knows nothing, and whether it is untrained or permuted.

        Permuted is one with layers that nobody can draw anew. None where there are no layers.
        """
        kind, copied = "untrained", self.untrained(seed)
        if copied is None and isinstance(self.net, nn.Module) and controls.layers(self.net):
            kind, copied = "permuted", controls.permuted(self.net, seed=seed)
        return None if copied is None else (kind, replace(self, net=copied))


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
    if isinstance(net, type):
        raise ParameterError(
            f"{name} is a class that wants arguments: give a network of it, or a function that "
            "makes one."
        )
    if isinstance(net, nn.Module) and any(each.training for each in net.modules()):
        net = _evaluated(net, name, shared=not isinstance(network, (str, Path)))
    rate = sample_rate or network_rate(net) or SAMPLE_RATE
    try:
        length = network_window(net, window)
    except ParameterError:
        raise ParameterError(
            f"{name} does not say how many samples it hears: give window (--window), or set "
            "its attribute window."
        ) from None
    how = normalisation(net, normalise)
    return Asked(_called(net, name, length), name, int(rate), length, how, _classes(net))


def _classes(net: Any) -> tuple[str, ...]:
    says = of_itself(net, "classes")
    return tuple(map(str, says)) if isinstance(says, (list, tuple)) else ()


def _evaluated(net: nn.Module, name: str, shared: bool) -> nn.Module:
    """A network in eval mode: a copy of one that somebody else has in training mode."""
    try:
        return (copy.deepcopy(net) if shared else net).eval()
    except RuntimeError as error:
        raise ParameterError(
            f"{name} is in training mode, and cannot be copied: call net.eval() first."
        ) from error


def _called(net: Callable[..., Any], name: str, length: int) -> Callable[..., Any]:
    """The network, with a dimension for its channel if that is what it takes; tried on noise."""
    noise = torch.randn(3, length, generator=torch.Generator().manual_seed(0))
    if isinstance(net, nn.Module):
        for parameter in net.parameters():
            noise = noise.to(parameter.device, parameter.dtype)
            break
    with torch.no_grad():
        try:
            watched(net, noise)
        except RelvizError:
            raise
        except Exception as error:  # whatever a network that is given another shape does
            try:
                watched(net, noise[:, None])
            except Exception:
                reason = str(error).strip().split("\n")[0].rstrip(".")
                raise ParameterError(
                    f"{name} cannot be called with (batch, samples), here {tuple(noise.shape)} "
                    f"({reason}): give the window that it hears, or wrap it "
                    "(relviz.networks.Described)."
                ) from error
        else:
            return net
    return Described(net, channel=True)


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
