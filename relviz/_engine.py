"""The networks of Table 1 forward and back without autograd, for many windows at a time.

Autograd keeps what every operation has seen, and gathers and scatters at poolings. Here

- positions are contiguous in their channels, so that a convolution is one product after another,
  the first too, whose channels are the samples of a stride;
- a pooling and the rectifier behind it are maxima over three views, and their way back is a few
  products with masks of floats: neither gathers nor scatters;
- what is kept for the way back is memory that the next windows use again, few enough at a time to
  stay in the processor's cache.

What windows of one recording share is left alone. The first convolution could be computed once for
all, since zero mean and unit variance can follow it and its pooling; but that is a twentieth of the
work, and places of a pooling that are exactly equal, as recordings of few bits have them, would be
decided otherwise than in a window alone.

What is no network of Table 1, layer by layer and without hooks, goes through autograd as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relviz._targets import Choice
from relviz.networks import ChannelsLast, RawWaveformCNN

__all__ = ["Weights", "call", "finite", "parts", "relevance", "scores", "weights"]

AT_ONCE = 128_000
"""Samples of the windows whose memory a processor's cache holds."""

_ON_GPU = 512
"""Windows at a time where more are better."""


class Conv(NamedTuple):
    """A convolution: forward kernels, bias, and the kernels of the way back.

    The first reads each stride of samples as the channels of one position, zeros filling up its
    last, and so steps by one as the others do.
    """

    kernels: Tensor
    bias: Tensor
    back: Tensor


class Weights(NamedTuple):
    """What a `RawWaveformCNN` computes with. hidden and out: (weight, bias)."""

    window: int
    kernel_size: int
    stride: int
    pool: int
    convs: tuple[Conv, ...]
    hidden: tuple[Tensor, Tensor]
    out: tuple[Tensor, Tensor]


def weights(net: object) -> Weights | None:
    """Return a network's weights as the engine takes them; None for one that it does not know.

    They are taken anew at every call, which costs little and is never behind a training.
    """
    if not isinstance(net, RawWaveformCNN) or _is_hooked(net):
        return None
    if type(net).forward is not RawWaveformCNN.forward:
        return None
    layers, top = list(net.features), list(net.classifier)
    shape = [type(each) for each in (*layers, *top)]
    stages = len(net.architecture.convs)
    stage = [ChannelsLast, nn.MaxPool1d, nn.ReLU]
    if shape != [*(stage * stages), nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]:
        return None
    convs: Any = layers[0:-1:3]
    pools: Any = layers[1:-1:3]
    size = net.architecture.pool
    plain = all(
        (each.kernel_size, each.stride, each.padding, each.dilation, each.ceil_mode)
        == (size, size, 0, 1, False)
        for each in pools
    )
    if not plain or any(each.stride != (1,) for each in convs[1:]):
        return None
    parts = [each.detach() for each in net.parameters()]
    if len({(each.dtype, each.device) for each in parts}) != 1 or len(parts) != 2 * stages + 4:
        return None
    if torch.is_autocast_enabled(parts[0].device.type):
        return None
    first, stride = parts[0], int(convs[0].stride[0])
    size = first.shape[-1]
    taps = F.pad(first, (0, -size % stride)).unflatten(-1, (-1, stride))[:, 0].transpose(1, 2)
    kernels = (taps, *parts[2:-4:2])
    return Weights(
        net.window,
        size,
        stride,
        int(pools[0].kernel_size),
        tuple(
            Conv(_last(w), b, _last(w.flip(-1).transpose(0, 1)))
            for w, b in zip(kernels, parts[1:-4:2], strict=True)
        ),
        (parts[-4], parts[-3]),
        (parts[-2], parts[-1]),
    )


def call(net: Callable[[Tensor], Any], x: Tensor) -> Any:
    """Return what `net(x)` returns, without a graph; faster for a network that the engine knows."""
    found = scores(net, x)
    with torch.no_grad():
        return net(x) if found is None else found


def scores(net: object, x: Tensor) -> Tensor | None:
    """Return a network's scores without a graph; None for one that the engine does not know."""
    with torch.no_grad():
        known = _fits(net, x)
        if known is None:
            return None
        rows = x.reshape(-1, known.window)
        room = _Room(known, rows, backwards=False)
        found = rows.new_empty(len(rows), len(known.out[1]))
        for some in parts(len(rows), room.windows):
            found[some] = _forward(known, rows[some], room).scores
        return found.reshape(*x.shape[:-1], -1)


def relevance(net: object, x: Tensor, target: Choice, rule: str) -> Tensor | None:
    """Return d score / d x under a rule; None for a network that the engine does not know.

    x: (..., window). target: as `relviz._targets.choice` returns it. rule: as in
    `relviz.backprop.backpropagate`.
    """
    with torch.no_grad():
        known = _fits(net, x)
        if known is None:
            return None
        rows = x.reshape(-1, known.window)
        room = _Room(known, rows)
        found = torch.empty_like(rows, memory_format=torch.contiguous_format)
        for some in parts(len(rows), room.windows):
            kept = _forward(known, rows[some], room)
            found[some] = _backward(known, kept, target(kept.scores, some), rule, room)
        return found.reshape(x.shape)


def _is_hooked(net: nn.Module) -> bool:
    """Whether anybody listens or meddles; then every layer must be called."""
    every = torch.nn.modules.module
    return bool(
        every._global_forward_hooks
        or every._global_forward_pre_hooks
        or every._global_backward_hooks
        or every._global_backward_pre_hooks
    ) or any(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        or "forward" in layer.__dict__
        or hasattr(layer, "parametrizations")
        for layer in net.modules()
    )


def _fits(net: object, x: Any) -> Weights | None:
    """The weights of a network that the engine knows, if x is what it hears."""
    known = weights(net) if type(x) is Tensor and x.ndim else None
    if known is None or x.shape[-1] != known.window or not x.numel():
        return None
    same = (x.dtype, x.device) == (known.out[0].dtype, known.out[0].device)
    return known if same else None


def _last(kernels: Tensor) -> Tensor:
    """Kernels as a two-dimensional convolution takes them, channels last."""
    return kernels.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def parts(total: int, size: int) -> Iterator[slice]:
    """Cut so many items into slices of a size; the last may be shorter."""
    return (slice(i, min(i + size, total)) for i in range(0, total, size))


def finite(found: Tensor) -> bool:
    """Whether no number is NaN or infinite: their sum says so sooner than a look at each."""
    return bool(torch.isfinite(found.sum()) or torch.isfinite(found).all())


@cache
def _keep_memory() -> None:
    """Have Linux's C library keep what is given back to it, for the next windows.

    Each layer's output would else go back to the system, and come anew page by page. The library
    keeps twice as much as the largest block that it ever got back, of those up to 32 MB.
    """
    # nobody touches them, so they cost nothing
    torch.empty(30_000_000, dtype=torch.uint8, device="cpu")


class _Room:
    """Memory for as many windows as are computed at a time, used again and again."""

    def __init__(self, known: Weights, rows: Tensor, backwards: bool = True) -> None:
        few = _ON_GPU
        if rows.device.type == "cpu":
            _keep_memory()
            few = max(1, AT_ONCE // known.window)
        self.windows = max(1, min(len(rows), few))
        steps = (known.window - known.kernel_size) // known.stride + 1
        positions = steps + known.convs[0].kernels.shape[-1] - 1
        self.samples = positions * known.stride  # that the first convolution reads
        self.pooled: list[Tensor] = []
        self.rectified: list[Tensor] = []
        self.spread: list[Tensor] = []
        for conv in known.convs:
            channels, margin = len(conv.kernels), conv.kernels.shape[-1] - 1
            length = positions - margin
            positions = length // known.pool
            self.pooled.append(rows.new_empty(self.windows, positions, channels))
            self.rectified.append(torch.empty_like(self.pooled[-1]))
            if backwards:  # zeros stay at both ends, and where pooling left a rest
                self.spread.append(rows.new_empty(self.windows, length + 2 * margin, channels))
                self.spread[-1][:, :margin] = 0
                self.spread[-1][:, margin + positions * known.pool :] = 0


class _Kept(NamedTuple):
    """What the way back needs of the way there: the places of each pooling, and what came out."""

    places: list[tuple[Tensor, ...]]
    hidden: Tensor
    scores: Tensor


def _places(found: Tensor, positions: int, pool: int) -> tuple[Tensor, ...]:
    """The first, second, ... of what each pooling covers, as views, without what is left over."""
    return found[:, : positions * pool].unflatten(1, (positions, pool)).unbind(2)


def _fitted(rows: Tensor, size: int) -> Tensor:
    """Rows of a size, cut or with zeros at their ends; as they are where it is theirs."""
    return rows if rows.shape[-1] == size else F.pad(rows, (0, size - rows.shape[-1]))


def _convolved(x: Tensor, kernels: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve (windows, positions, channels)."""
    found = F.conv2d(x.unsqueeze(1).permute(0, 3, 1, 2), kernels, bias)
    return found.permute(0, 2, 3, 1).squeeze(1)


def _forward(known: Weights, rows: Tensor, room: _Room) -> _Kept:
    some = slice(len(rows))
    x = _fitted(rows, room.samples).unflatten(-1, (-1, known.stride))
    pooled = []
    for conv, most, rectified in zip(known.convs, room.pooled, room.rectified, strict=True):
        x = _convolved(x, conv.kernels, conv.bias)
        places = _places(x, most.shape[1], known.pool)
        pooled.append(places)
        highest = torch.maximum(places[0], places[:2][-1], out=most[some])
        for place in places[2:]:
            torch.maximum(highest, place, out=highest)
        x = torch.clamp(highest, min=0, out=rectified[some])
    weight, bias = known.hidden
    hidden = torch.addmm(bias, x.transpose(1, 2).flatten(1), weight.T).relu_()
    weight, bias = known.out
    return _Kept(pooled, hidden, torch.addmm(bias, hidden, weight.T))


def _backward(known: Weights, kept: _Kept, classes: Tensor, rule: str, room: _Room) -> Tensor:
    some = slice(len(classes))
    g = known.out[0][classes]
    _rectify(g, kept.hidden, rule)
    g = (g @ known.hidden[0]).unflatten(1, (-1, room.rectified[-1].shape[1])).transpose(1, 2)
    g = g.contiguous()
    for i in reversed(range(len(known.convs))):
        spread, kernels = room.spread[i][some], known.convs[i].back
        inner = _places(spread[:, kernels.shape[-1] - 1 :], g.shape[1], known.pool)
        _down(g, i, kept, room, inner, rule)
        g = _convolved(spread, kernels)
    return _fitted(g.flatten(1), known.window)


def _down(
    g: Tensor, i: int, kept: _Kept, room: _Room, inner: tuple[Tensor, ...], rule: str
) -> None:
    """Through a rectifier and its pooling, each gradient to the first maximum; g is used up."""
    some = slice(len(g))
    x, most = room.rectified[i][some], room.pooled[i][some]
    _rectify(g, x, rule)
    *before, left = inner
    for place, out in zip(kept.places[i][:-1], before, strict=True):
        torch.eq(place, most, out=x)  # as floats, whose products are faster than choices
        torch.mul(g, x, out=out)
        g = torch.sub(g, out, out=left)
    if not before:
        left.copy_(g)


def _rectify(g: Tensor, x: Tensor, rule: str) -> None:
    """Let through, in place, what a rule does at a rectifier that has said x."""
    if rule != "gradient":
        g.clamp_(min=0)
    if rule != "deconvnet":
        torch.ops.aten.threshold_backward.grad_input(g, x, 0, grad_input=g)
