"""The networks of Table 1 forward and back without autograd, for many windows at a time.

Autograd keeps what every operation has seen, and gathers and scatters at poolings. Here

- positions are contiguous in their channels, so that a convolution is one product after another,
  the first too, whose channels are the samples of a stride;
- a pooling and the rectifier behind it are one pass over memory, and so is their way back;
- the way back through a convolution, but for the first, visits only what the rule lets through;
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
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from relviz._targets import Choice
from relviz.networks import ChannelsLast, RawWaveformCNN

__all__ = ["Weights", "call", "finite", "parts", "relevance", "scores", "weights"]

AT_ONCE = 256_000
"""Samples of the windows whose memory a processor's cache holds."""

_ON_GPU = 512
"""Windows at a time where more are better."""


class Conv(NamedTuple):
    """A convolution: forward kernels, bias, and the kernels of the way back.

    The first reads each stride of samples as the channels of one position, zeros filling up its
    last, and so steps by one as the others do. The way back is a convolution, too, or a row for
    each filter, whose multiples are added.
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
    plain = size <= 256 and all(  # places are bytes
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
    compiled = _compiled(parts[0])
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
            Conv(_last(w), b, _rows(w) if i and compiled else _last(w.flip(-1).transpose(0, 1)))
            for i, (w, b) in enumerate(zip(kernels, parts[1:-4:2], strict=True))
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
        rows = x.detach().reshape(-1, known.window)
        found = rows.new_empty(len(rows), len(known.out[1]))
        room = _Room(known, rows, backwards=False)
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
        rows = x.detach().reshape(-1, known.window)
        found = torch.empty_like(rows, memory_format=torch.contiguous_format)
        room = _Room(known, rows)
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


def _compiled(of: Tensor) -> ModuleType | None:
    """`relviz._kernels` if it computes with such tensors; numba takes half a second to load."""
    if of.device.type != "cpu" or of.dtype not in (torch.float32, torch.float64):
        return None
    from relviz import _kernels

    return None if _kernels.DISABLED else _kernels


def _last(kernels: Tensor) -> Tensor:
    """Kernels as a two-dimensional convolution takes them, channels last."""
    return kernels.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _rows(kernels: Tensor) -> Tensor:
    """Kernels as (filters, kernel_size * channels)."""
    return kernels.transpose(1, 2).flatten(1).contiguous()


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
        self.layers: list[_Layer] = []
        for conv in known.convs:
            channels, heard, _, size = conv.kernels.shape
            before, length = positions, positions - size + 1
            positions = length // known.pool
            rectified = rows.new_empty(self.windows, positions, channels)
            below = rows.new_empty(0)
            if backwards and conv.back.ndim == 2:
                below = rows.new_empty(self.windows, before, heard)
            elif backwards:  # zeros stay at both ends, and where pooling left a rest
                below = rows.new_empty(self.windows, length + 2 * (size - 1), channels)
                below[:, : size - 1] = 0
                below[:, size - 1 + positions * known.pool :] = 0
            places = torch.empty_like(rectified, dtype=torch.uint8)
            self.layers.append(_Layer(rectified, places, below))


class _Layer(NamedTuple):
    """Memory of a convolution, its pooling and its rectifier.

    rectified: what comes out. places: the first place of each maximum. below: what the way back
    writes to, gradients of what the convolution hears or of what it says.
    """

    rectified: Tensor
    places: Tensor
    below: Tensor

    def of(self, count: int) -> _Layer:
        """The memory of so many windows."""
        return _Layer(*(each[:count] for each in self))


class _Kept(NamedTuple):
    """What the way back needs of the way there, beside what a room keeps."""

    hidden: Tensor
    scores: Tensor


def _fitted(rows: Tensor, size: int) -> Tensor:
    """Rows of a size, cut or with zeros at their ends; as they are where it is theirs."""
    return rows if rows.shape[-1] == size else F.pad(rows, (0, size - rows.shape[-1]))


def _convolved(x: Tensor, kernels: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve (windows, positions, channels)."""
    found = F.conv2d(x.unsqueeze(1).permute(0, 3, 1, 2), kernels, bias)
    return found.permute(0, 2, 3, 1).squeeze(1)


def _forward(known: Weights, rows: Tensor, room: _Room) -> _Kept:
    x = _fitted(rows, room.samples).unflatten(-1, (-1, known.stride))
    for conv, memory in zip(known.convs, room.layers, strict=True):
        layer = memory.of(len(rows))
        _pool(_convolved(x, conv.kernels, conv.bias), layer, known.pool)
        x = layer.rectified
    weight, bias = known.hidden
    hidden = torch.addmm(bias, x.transpose(1, 2).flatten(1), weight.T).relu_()
    weight, bias = known.out
    return _Kept(hidden, torch.addmm(bias, hidden, weight.T))


def _backward(known: Weights, kept: _Kept, classes: Tensor, rule: str, room: _Room) -> Tensor:
    g = known.out[0][classes]
    _rectify(g, kept.hidden, rule)
    positions = room.layers[-1].rectified.shape[1]
    g = (g @ known.hidden[0]).unflatten(1, (-1, positions)).transpose(1, 2).contiguous()
    for conv, memory in zip(reversed(known.convs), reversed(room.layers), strict=True):
        g = _down(g, memory.of(len(g)), conv.back, known.pool, rule)
    return _fitted(g.flatten(1), known.window)


def _pool(x: Tensor, layer: _Layer, size: int) -> None:
    """Max-pooling and the rectifier behind it."""
    compiled = _compiled(x)
    if compiled:
        compiled.pool(size)(*_arrays(x.contiguous(), layer.rectified, layer.places))
        return
    first, *others = _places(x, layer.rectified.shape[1], size)
    layer.rectified.copy_(first)
    layer.places.zero_()
    for place, value in enumerate(others, start=1):
        layer.places.masked_fill_(value > layer.rectified, place)
        torch.maximum(layer.rectified, value, out=layer.rectified)
    layer.rectified.clamp_(min=0)


def _down(g: Tensor, layer: _Layer, kernels: Tensor, size: int, rule: str) -> Tensor:
    """The way back through a rectifier, its pooling and its convolution; g is used up."""
    compiled, shut = _compiled(g), (rule != "gradient", rule != "deconvnet")
    if compiled and kernels.ndim == 2:
        compiled.scatter(*_arrays(g, *layer, kernels), size, *shut)
        return layer.below
    begin = kernels.shape[-1] - 1
    if compiled:
        compiled.unpool(*_arrays(g, *layer), begin, size, *shut)
    else:
        _rectify(g, layer.rectified, rule)
        for place, out in enumerate(_places(layer.below[:, begin:], g.shape[1], size)):
            torch.mul(g, layer.places == place, out=out)
    return _convolved(layer.below, kernels)


def _arrays(*tensors: Tensor) -> list[NDArray]:
    """The same memory as numpy's arrays."""
    return [each.numpy() for each in tensors]


def _places(found: Tensor, positions: int, size: int) -> tuple[Tensor, ...]:
    """The first, second, ... of what each pooling covers, as views, without what is left over."""
    return found[:, : positions * size].unflatten(1, (positions, size)).unbind(2)


def _rectify(g: Tensor, x: Tensor, rule: str) -> None:
    """Let through, in place, what a rule does at a rectifier that has said x."""
    if rule != "gradient":
        g.clamp_(min=0)
    if rule != "deconvnet":
        torch.ops.aten.threshold_backward.grad_input(g, x, 0, grad_input=g)
