"""What a network says of itself, and what its layers say while it is called."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from relviz._errors import ParameterError

__all__ = ["listen", "of_itself", "said"]


def said(net: nn.Module, layer: str, *inputs: Tensor) -> Tensor:
    """Return what a layer of a network says, without computing what lies above it.

    Parameters
    ----------
    net : nn.Module
        Any network; other threads may use it meanwhile.
    layer : str
        A name out of `net.named_modules()`; if the layer is called several times, the first counts.
    *inputs : Tensor
        What the network takes.

    Returns
    -------
    Tensor
        The layer's output, with its graph.

    Raises
    ------
    ParameterError
        For a layer that there is not, that is not called, or that does not return a tensor.

    Examples
    --------
    >>> import torch
    >>> from relviz._layers import said
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    >>> said(net, "1", torch.ones(4, 3)).shape
    torch.Size([4, 5])
    """
    found = listen(net, layer, inputs, stop=True)
    return found[1]


class _Heard(Exception):  # noqa: N818 -- no error
    """The layer that was asked has spoken."""


def listen(net: Any, layer: str, inputs: Sequence[Tensor], stop: bool) -> tuple[Any, Tensor]:
    """Call a network and catch what a layer says: (output, said); the output is None if stopped."""
    modules = dict(net.named_modules()) if isinstance(net, nn.Module) else {}
    if layer not in modules:
        names = [name for name in modules if name]
        shown = f"use one of {', '.join(names)}" if names else "give a torch.nn.Module"
        raise ParameterError(f"there is no layer {layer!r}: {shown}.")
    thread = threading.get_ident()
    heard: list[Tensor] = []

    def hook(module: nn.Module, given: Any, output: Any) -> Any:
        if threading.get_ident() != thread or heard:
            return None
        if not isinstance(output, Tensor):
            raise ParameterError(
                f"layer {layer!r} returns a {type(output).__name__}, not a tensor: name one inside "
                "it, or above."
            )
        if stop:
            heard.append(output)
            raise _Heard
        # What is above gets a copy, since it may write over it (an in-place ReLU does).
        heard.append(output if output.requires_grad else output.requires_grad_())
        return output.clone()

    handle = modules[layer].register_forward_hook(hook)
    try:
        output = net(*inputs)
    except _Heard:
        output = None
    finally:
        handle.remove()
    if not heard:
        raise ParameterError(f"layer {layer!r} is not called when the network is: name another.")
    return output, heard[0]


def of_itself(net: object, what: str) -> Any:
    """What a network says of itself in its metadata or by an attribute; None where it does not.

    A layer of that name says nothing, nor does a window function, which many networks keep.
    """
    inside = net.module if isinstance(net, nn.DataParallel) else net
    for place in (getattr(inside, "metadata", None), inside, net):
        says = getattr(place, what, None)
        is_other = isinstance(says, nn.Module) or (isinstance(says, Tensor) and says.ndim)
        if says is not None and not is_other:
            return says
    return None
