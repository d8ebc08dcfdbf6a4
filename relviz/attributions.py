"""Relevance by any method: each a function `(net, x, target) -> relevance`, known by its name.

`relevance(net, x, target, method)` calls them by name, and a function of one's own stands wherever
a name does: in `relviz.relevance_signal`, in the studies and in the explorers. To add a method,
write such a function and name it in `METHODS`; its options are arguments with defaults, to be set
with `functools.partial`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relviz import _engine
from relviz._errors import ParameterError
from relviz.backprop import Rule, Smooth, Target, backpropagate, score, winning

__all__ = [
    "METHODS",
    "Attribution",
    "Method",
    "Target",
    "deconvnet",
    "find",
    "gradcam",
    "gradient",
    "guided",
    "input_x_gradient",
    "integrated_gradients",
    "lrp",
    "occlusion",
    "relevance",
    "smoothgrad",
]

Attribution = Callable[[Callable[..., Any], Tensor, Target], Tensor]
"""A method: from a network, its input and a target to relevance of the input's shape."""

Method = Literal[
    "guided",
    "gradient",
    "deconvnet",
    "input x gradient",
    "integrated gradients",
    "smoothgrad",
    "guided smoothgrad",
    "occlusion",
    "gradcam",
    "lrp",
]
"""The methods by name."""


def relevance(
    net: Callable[..., Any],
    x: Any,
    target: Target = None,
    method: Method | Attribution = "guided",
    *,
    smooth: Smooth = "refuse",
    layer: str | None = None,
) -> Any:
    """Return the relevance of every value of `x` for the score of `target`.

    Parameters
    ----------
    net : callable
        Any torch callable from `x` to scores whose last dimension is the class, left exactly as it
        was. For several inputs it is called as `net(*x)`.
    x : Tensor or tuple of Tensor
        One item or a batch, any floating dtype and device, e.g. (samples,), (batch, samples),
        (batch, channels, height, width).
    target : None, int, str, tuple, Tensor or callable
        None for the winning class of each item; a class, by number or by its name in
        `net.metadata.classes` or `net.classes`; (frame, class) where scores are (batch, frames,
        classes); an integer tensor of the scores' shape less the classes; or a function of what the
        network returns. Scores of all frames are summed where no frame is named.
    method : str or callable
        A name out of `METHODS`, or a function (net, x, target) -> relevance.
    smooth : {"refuse", "clamp"}
        What "guided" does at GELU, SiLU, ELU, Softplus, LeakyReLU, PReLU, ReLU6 and the like, for
        which it is not defined: refuse, or clamp the gradient that arrives there at 0 and let the
        activation's own derivative follow, g -> max(g, 0) a'(x). At a ReLU that is the guided rule.
    layer : str, optional
        Name of a module of `net`: relevance of what this layer says, instead of `x`. Only for
        "guided", "gradient" and "deconvnet".

    Returns
    -------
    Tensor or tuple of Tensor
        Of the shape, dtype and device of x (of the layer's output), without a graph; a tuple for a
        tuple. Where items of a batch do not interact, each item's relevance is what it would be
        alone.

    Raises
    ------
    ParameterError
        For what cannot be right: an unknown method, a target out of range, NaN in x, score or
        relevance; a network that draws random numbers or moves its statistics; and, for "guided"
        and "deconvnet", a rectifier other than ReLU, and compiled code, which hides its rectifiers.

    Warns
    -----
    UserWarning
        Where no ReLU was met, and where a choice between values or a custom autograd function may
        be a rectifier in disguise.

    Notes
    -----
    A ReLU is one however it is spelt: as a module or function, in place, as `clamp(min=0)` or as a
    maximum with 0. Sigmoid, tanh, softmax, pooling and gates are no rectifiers and keep their
    gradient. Explained in chapters 3 and 4 of the book; chapter 10 compares the methods.

    References
    ----------
    Muckenhirn et al. (2019), section 3.1; Springenberg et al. (2015), section 3.4.

    Examples
    --------
    >>> import torch, relviz
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> relviz.relevance(net, torch.ones(5, 3), target=1).shape
    torch.Size([5, 3])
    """
    function = find(method)
    if method in ("guided", "gradient", "deconvnet"):
        rule: Rule = method
        found = backpropagate(net, x, target, rule, smooth, layer)
        return found if isinstance(x, tuple) and layer is None else found[0]
    if smooth != "refuse" or layer is not None:
        raise ParameterError(
            f"smooth and layer are for guided, gradient and deconvnet, not for {_name(method)}: "
            "leave them out."
        )
    if isinstance(x, tuple):
        raise ParameterError(
            f"x is a tuple of {len(x)}, which {_name(method)} does not take: use guided, gradient "
            "or deconvnet, or a function of the one input that is to be explained."
        )
    return _checked(function(net, x, target), x, _name(method))


def find(method: Method | Attribution) -> Attribution:
    """Return the function of a method's name; a function of your own is returned as it is.

    Parameters
    ----------
    method : str or callable
        A name out of `METHODS`, or a function (net, x, target) -> relevance.

    Returns
    -------
    callable
        (net, x, target) -> relevance.

    Raises
    ------
    ParameterError
        For an unknown name.

    Examples
    --------
    >>> find("guided") is guided
    True
    """
    if not isinstance(method, str):
        return method
    if method not in METHODS:
        raise ParameterError(f"method {method!r} is unknown: use one of {', '.join(METHODS)}.")
    return METHODS[method]


def _name(method: Any) -> str:
    return repr(method) if isinstance(method, str) else "the method"


def _checked(found: Any, x: Tensor, name: str) -> Tensor:
    if not isinstance(found, Tensor) or found.shape != x.shape:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ParameterError(
            f"{name} returned relevance of shape {shape} for x of shape {tuple(x.shape)}: it must "
            "keep the shape."
        )
    if not _engine.finite(found):
        raise ParameterError(f"{name} returned NaN or infinite relevance: look at its divisions.")
    return found.detach()


def guided(
    net: Callable[..., Any], x: Tensor, target: Target = None, smooth: Smooth = "refuse"
) -> Tensor:
    """Guided backpropagation: a rectifier lets through what is positive from above and below.

    Parameters
    ----------
    net, x, target, smooth
        As in `relevance`.

    Returns
    -------
    Tensor
        Of x's shape.

    References
    ----------
    Springenberg et al. (2015), section 3.4. Explained in chapter 3 of the book.

    Examples
    --------
    >>> import torch
    >>> guided(torch.relu, torch.tensor([[-1.0, 2.0]]), target=1)
    tensor([[0., 1.]])
    """
    return backpropagate(net, x, target, "guided", smooth)[0]


def gradient(net: Callable[..., Any], x: Tensor, target: Target = None) -> Tensor:
    """Return the plain gradient, which autograd computes.

    Parameters
    ----------
    net, x, target
        As in `relevance`.

    Returns
    -------
    Tensor
        Of x's shape.

    References
    ----------
    Simonyan et al. (2014), section 3. Explained in chapter 3 of the book.

    Examples
    --------
    >>> import torch
    >>> gradient(lambda x: x**2, torch.tensor([[1.0, 3.0]]), target=1)
    tensor([[0., 6.]])
    """
    return backpropagate(net, x, target, "gradient")[0]


def deconvnet(net: Callable[..., Any], x: Tensor, target: Target = None) -> Tensor:
    """Deconvnet: a rectifier lets through what is positive from above.

    Parameters
    ----------
    net, x, target
        As in `relevance`.

    Returns
    -------
    Tensor
        Of x's shape.

    References
    ----------
    Zeiler and Fergus (2014), section 2.1. Explained in chapter 3 of the book.

    Examples
    --------
    >>> import torch
    >>> deconvnet(torch.relu, torch.tensor([[-1.0, 2.0]]), target=0)
    tensor([[1., 0.]])
    """
    return backpropagate(net, x, target, "deconvnet")[0]


def input_x_gradient(net: Callable[..., Any], x: Tensor, target: Target = None) -> Tensor:
    """Gradient times input: the first-order share of every value in the score.

    Parameters
    ----------
    net, x, target
        As in `relevance`.

    Returns
    -------
    Tensor
        Of x's shape; sums to the score for a network without biases whose only kinks are ReLUs.

    References
    ----------
    Shrikumar et al. (2016), 10.48550/arXiv.1605.01713. Compared in chapter 10 of the book.

    Examples
    --------
    >>> import torch
    >>> input_x_gradient(lambda x: 2 * x, torch.tensor([[1.0, 3.0]]), target=1)
    tensor([[0., 6.]])
    """
    return x * gradient(net, x, target)


def integrated_gradients(
    net: Callable[..., Any],
    x: Tensor,
    target: Target = None,
    baseline: Tensor | float = 0.0,
    steps: int = 32,
) -> Tensor:
    """Integrated gradients: the mean gradient on the way from a baseline to x, times that way.

    Parameters
    ----------
    net, x, target
        As in `relevance`; for None the class that wins at x is explained all along the way.
    baseline : Tensor or float
        Where the way begins, broadcast to x; 0 is the mean of a standardised window.
    steps : int
        Points on the way (Gauss-Legendre).

    Returns
    -------
    Tensor
        Of x's shape. Its sum tends to the score at x less the score at the baseline (completeness).

    References
    ----------
    Sundararajan et al. (2017), 10.48550/arXiv.1703.01365. Compared in chapter 10 of the book.

    Examples
    --------
    >>> import torch
    >>> integrated_gradients(lambda x: x**2, torch.tensor([[1.0, 3.0]]), target=1).round()
    tensor([[0., 9.]])
    """
    import numpy as np

    if steps < 1:
        raise ParameterError(f"steps is {steps}: give 1 or more.")
    fixed = winning(net, x, target)
    way = x - torch.as_tensor(baseline, dtype=x.dtype, device=x.device)
    total = torch.zeros_like(x)
    for point, weight in zip(*np.polynomial.legendre.leggauss(steps), strict=True):
        total += float(weight) / 2 * gradient(net, x - (1 - float(point)) / 2 * way, fixed)
    return way * total


def smoothgrad(
    net: Callable[..., Any],
    x: Tensor,
    target: Target = None,
    method: Attribution = gradient,
    noise: float = 0.1,
    samples: int = 8,
    seed: int = 0,
) -> Tensor:
    """SmoothGrad: the mean relevance of noisy copies of x, around any method.

    Parameters
    ----------
    net, x, target
        As in `relevance`; for None the class that wins at x is explained in every copy.
    method : callable
        What is averaged, such as `guided`.
    noise : float
        Standard deviation of the noise, in units of x (windows have unit variance).
    samples : int
        Copies.
    seed : int
        Of the noise; the global random state is left as it was.

    Returns
    -------
    Tensor
        Of x's shape.

    References
    ----------
    Smilkov et al. (2017), 10.48550/arXiv.1706.03825. Compared in chapter 10 of the book.

    Examples
    --------
    >>> import torch
    >>> smoothgrad(lambda x: 2 * x, torch.tensor([[1.0, 3.0]]), target=1)
    tensor([[0., 2.]])
    """
    if samples < 1 or noise < 0:
        raise ParameterError(
            f"samples is {samples} and noise {noise}: give 1 or more copies and noise of 0 or more."
        )
    fixed = winning(net, x, target)
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros_like(x)
    for _ in range(samples):
        drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x)
        total += method(net, x + noise * drawn, fixed)
    return total / samples


def occlusion(
    net: Callable[..., Any],
    x: Tensor,
    target: Target = None,
    width: int = 80,
    step: int | None = None,
    batch_size: int = 64,
) -> Tensor:
    """Occlusion: what the score loses when a stretch around a sample is silenced.

    Parameters
    ----------
    net, target
        As in `relevance`.
    x : Tensor, (..., samples)
        One item or a batch, as the network takes it.
    width : int
        Samples that are set to 0 at a time.
    step : int, optional
        Samples from one stretch to the next; None for half of `width`.
    batch_size : int
        Copies of an item at a time.

    Returns
    -------
    Tensor, (..., samples)
        Each sample's mean over the stretches that hold it, per sample of the stretch. With
        stretches that do not overlap the relevance of a linear network sums to its score.

    References
    ----------
    Zeiler and Fergus (2014), section 4.2. Explained in chapter 9 of the book.

    Examples
    --------
    >>> import torch
    >>> occlusion(lambda x: x.sum(-1, keepdim=True), torch.tensor([[1.0, 3.0]]), 0, width=1, step=1)
    tensor([[1., 3.]])
    """
    step = max(width // 2, 1) if step is None else step
    if not 1 <= width <= x.shape[-1] or not 1 <= step <= width:
        raise ParameterError(
            f"width is {width} and step {step}: give a width from 1 to the {x.shape[-1]} samples, "
            "and a step from 1 to the width."
        )
    fixed = winning(net, x, target)
    single = x.ndim == 1
    items = x.unsqueeze(0) if single else x
    by_item = isinstance(fixed, Tensor) and not single
    classes = [fixed[i] if by_item else fixed for i in range(len(items))]  # type: ignore[index]
    starts = [*range(0, x.shape[-1] - width, step), x.shape[-1] - width]
    found = []
    for item, wanted in zip(items, classes, strict=True):
        whole = score(net, item.unsqueeze(0), _alike(wanted, 1))
        total, count = torch.zeros_like(item), torch.zeros_like(item)
        for i in range(0, len(starts), batch_size):
            some = starts[i : i + batch_size]
            copies = item.repeat(len(some), *[1] * item.ndim)
            for one, start in zip(copies, some, strict=True):
                one[..., start : start + width] = 0
            lost = (whole - score(net, copies, _alike(wanted, len(some)))) / width
            for start, each in zip(some, lost, strict=True):
                total[..., start : start + width] += each
                count[..., start : start + width] += 1
        found.append(total / count)
    return found[0] if single else torch.stack(found)


def _alike(target: Target, items: int) -> Target:
    """A class that was fixed for one item, for several copies of it."""
    return target.expand(items, *target.shape) if isinstance(target, Tensor) else target


def gradcam(
    net: Callable[..., Any], x: Tensor, target: Target = None, layer: str | None = None
) -> Tensor:
    """Grad-CAM in one dimension: where a layer's channels speak for the score, stretched over x.

    Parameters
    ----------
    net : nn.Module
        A network; x and target as in `relevance`.
    x : Tensor, (..., samples)
        One item or a batch.
    target : None, int, str, tuple, Tensor or callable
        As in `relevance`.
    layer : str, optional
        A module whose output is (batch, channels, positions); None for the last convolution.

    Returns
    -------
    Tensor, (..., samples)
        max(0, sum over channels of activity times mean gradient), stretched linearly from the
        layer's positions to samples; at least 0.

    References
    ----------
    Selvaraju et al. (2017), 10.1109/ICCV.2017.74, equations 1 and 2, for one dimension.

    Examples
    --------
    >>> import torch
    >>> from relviz import networks
    >>> net = networks.build(networks.PHONE_CNN, classes=3, seed=0)
    >>> gradcam(net, torch.randn(2, net.window)).shape
    torch.Size([2, 4000])
    """
    if not isinstance(net, nn.Module):
        raise ParameterError(
            f"gradcam needs a torch.nn.Module, whose layers have names, not a {type(net).__name__}."
        )
    if layer is None:
        convolutions = [n for n, each in net.named_modules() if isinstance(each, nn.Conv1d)]
        if not convolutions:
            raise ParameterError("the network has no Conv1d: name the layer to look at.")
        layer = convolutions[-1]
    slopes, activity = backpropagate(net, x, target, "gradient", layer=layer)
    if slopes.ndim != 3:
        raise ParameterError(
            f"layer {layer!r} says {tuple(slopes.shape)}: name one of (batch, channels, positions)."
        )
    seen = F.relu((slopes.mean(-1, keepdim=True) * activity).sum(1, keepdim=True))
    stretched = F.interpolate(seen, x.shape[-1], mode="linear", align_corners=False)
    return stretched.squeeze(1).reshape(x.shape)


def lrp(
    net: Callable[..., Any],
    x: Tensor,
    target: Target = None,
    gamma: float = 0.25,
    epsilon: float = 1e-9,
) -> Tensor:
    """Layer-wise relevance propagation: the gamma rule, and the plain one in the first layer.

    Parameters
    ----------
    net : nn.Module
        A network whose weights lie in convolutions and linear layers, between which there are
        ReLUs, poolings and changes of shape only. It is copied, not changed.
    x : Tensor
        As the network takes it; target as in `relevance`.
    target : None, int, str, tuple, Tensor or callable
        As in `relevance`.
    gamma : float
        How much more positive weights and biases count above the first layer; 0 gives the plain
        rule everywhere (LRP-0), which equals input times gradient.
    epsilon : float
        Keeps denominators from 0.

    Returns
    -------
    Tensor
        Of x's shape. Without biases it sums to the score, but for `epsilon`.

    Notes
    -----
    A layer's output z = W a + b is replaced by z' (z / z') with z' from weights W + gamma W+ and
    biases b + gamma b+, and the fraction held fixed: its value stays, and input times gradient is
    then the rule's relevance. A bias counts as a weight whose input is always 1, as in the source:
    what falls to it is not handed on. A pooling hands all relevance to what won.

    References
    ----------
    Montavon et al. (2019), 10.1007/978-3-030-28954-6_10, sections 10.2.3 and 10.3.2. Compared in
    chapter 10 of the book.

    Examples
    --------
    >>> import torch
    >>> lrp(torch.nn.Linear(2, 1, bias=False), torch.ones(1, 2), 0).shape
    torch.Size([1, 2])
    """
    if not isinstance(net, nn.Module):
        raise ParameterError(
            f"lrp needs a torch.nn.Module, whose layers it can see, not a {type(net).__name__}."
        )
    if gamma < 0:
        raise ParameterError(f"gamma is {gamma}: give 0 or more.")
    changed = copy.deepcopy(net)
    layers = [each for each in changed.modules() if isinstance(each, _WEIGHTED)]
    for layer in layers[1:]:
        twin = copy.deepcopy(layer)
        for value in twin.parameters():
            value.data += gamma * value.data.clamp(min=0)
        layer.register_forward_hook(partial(_propagate, twin, epsilon))
    return x * gradient(changed, x, target)


_WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def _propagate(
    twin: nn.Module, epsilon: float, layer: nn.Module, given: tuple[Tensor, ...], z: Tensor
) -> Tensor:
    """Give a layer's output another gradient, that of its twin with other weights."""
    other = twin(*given)
    with torch.no_grad():
        fraction = z / (other + torch.where(other >= 0, epsilon, -epsilon))
    return other * fraction


METHODS: dict[str, Attribution] = {
    "guided": guided,
    "gradient": gradient,
    "deconvnet": deconvnet,
    "input x gradient": input_x_gradient,
    "integrated gradients": integrated_gradients,
    "smoothgrad": smoothgrad,
    "guided smoothgrad": partial(smoothgrad, method=guided),
    "occlusion": occlusion,
    "gradcam": gradcam,
    "lrp": lrp,
}
"""Every method by its name."""
