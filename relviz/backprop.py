"""Gradient, deconvnet and guided backpropagation (GBP): the rules, on the graph of one call.

The three rules differ only at a rectifier (Springenberg et al. 2015, figure 1). With the gradient
g that arrives from above and the value x that came from below, what goes on downwards is ::

    gradient    g where x > 0
    deconvnet   g where g > 0
    guided      g where x > 0 and g > 0

and 0 elsewhere. A call of a network builds a graph of its own, whose nodes are walked once; each
that is a rectifier, however it was spelt, gets a hook that applies the rule when autograd comes by.
The network is never touched, other threads may use it meanwhile, and on a GPU the hooks run where
autograd runs.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from relviz import _engine, _targets
from relviz._errors import ParameterError
from relviz._guard import Facts, Slice, watched
from relviz._layers import listen
from relviz._rectifiers import between, judge
from relviz._targets import chosen

__all__ = ["Rule", "Smooth", "Target", "backpropagate", "score", "winning"]

Target = _targets.Target
"""What is to be explained. None: the winning class of each item (of each frame, where there are
frames); an int: a class; a str: a class by its name; (frame, class): a class in one frame of a
network whose scores are (batch, frames, classes); an integer tensor of the scores' shape less the
classes; or a function of what the network returns."""

Rule = Literal["guided", "gradient", "deconvnet"]
"""What happens to the gradient at a rectifier."""

Smooth = Literal["refuse", "clamp"]
"""What a rule does at a smooth activation."""


def backpropagate(
    net: Callable[..., Any],
    x: Tensor | tuple[Tensor, ...],
    target: Target = None,
    rule: Rule = "guided",
    smooth: Smooth = "refuse",
    layer: str | None = None,
) -> tuple[Tensor, ...]:
    """Return d score / d x under a rule, one tensor for each input.

    Parameters
    ----------
    net : callable
        From one or more tensors to scores, left exactly as it was.
    x : Tensor or tuple of Tensor
        What the network takes, of any floating dtype, any shape and device.
    target : None, int, str, tuple, Tensor or callable
        The score to explain, as in `relviz.relevance`.
    rule : {"guided", "gradient", "deconvnet"}
        What a rectifier lets through.
    smooth : {"refuse", "clamp"}
        What guided does at activations that rectify but are no ReLU.
    layer : str, optional
        Name of a module of `net`: the gradient is then taken at what this layer says, not at x.

    Returns
    -------
    tuple of Tensor
        Of the shapes of the inputs; or one, of what the layer says, and then that itself.

    Raises
    ------
    ParameterError
        For what `relviz.relevance` refuses.

    References
    ----------
    Springenberg et al. (2015), section 3.4. Explained in chapter 3 of the book.

    Examples
    --------
    >>> import torch
    >>> from relviz.backprop import backpropagate
    >>> backpropagate(lambda x: torch.relu(x), torch.tensor([[-1.0, 2.0]]), target=1)
    (tensor([[0., 1.]]),)
    """
    _check(rule, smooth)
    inputs = _inputs(x)
    choice = _targets.choice(target, net, inputs[0].shape[:-1])
    if choice is not None and layer is None and len(inputs) == 1:
        quick = _engine.relevance(net, inputs[0], choice, rule)
        if quick is not None and _engine.finite(quick):
            return (quick,)
    asked = (net, inputs, target, rule, smooth, layer)
    with torch.inference_mode(False), torch.enable_grad():
        found = _descend(*asked)
        if found is None:
            with _without_cudnn():
                found = _descend(*asked)
    assert found is not None
    return found


def score(net: Callable[..., Any], x: Tensor, target: Target = None) -> Tensor:
    """Return the score of `target` for every item of x, without a gradient.

    Parameters
    ----------
    net : callable
        From x to scores.
    x : Tensor, (batch, ...)
        Items; the first dimension counts them.
    target : None, int, str, tuple, Tensor or callable
        As in `relviz.relevance`; scores of several frames are summed, as a gradient sums them.

    Returns
    -------
    Tensor, (batch,)
        One score an item.

    Raises
    ------
    ParameterError
        For what `relviz.relevance` refuses, and for a target function whose scores do not begin
        with the items.

    Examples
    --------
    >>> import torch
    >>> from relviz.backprop import score
    >>> score(lambda x: 2 * x, torch.eye(2), target=1)
    tensor([0., 2.])
    """
    with torch.no_grad():
        output = _engine.scores(net, x)
        if output is None:
            output, _ = watched(net, x)
        scores = chosen(output, target, x.shape, net)
    if scores.ndim == 0 or len(scores) != len(x):
        raise ParameterError(
            f"the scores to explain have shape {tuple(scores.shape)} for {len(x)} items: give a "
            "target that leaves one or more for each item."
        )
    return scores.reshape(len(x), -1).sum(-1)


def winning(net: Callable[..., Any], x: Tensor, target: Target = None) -> Target:
    """Return a target with the class that wins at x in the place of None, to hold it elsewhere.

    Parameters
    ----------
    net : callable
        From x to scores.
    x : Tensor
        What the network takes.
    target : None, int, str, tuple, Tensor or callable
        As in `relviz.relevance`; all but None stay as they are.

    Returns
    -------
    int, str, tuple, Tensor or callable
        For None an integer tensor of the scores' shape less the classes.

    Raises
    ------
    ParameterError
        For scores in which no class can win.

    Examples
    --------
    >>> import torch
    >>> winning(lambda x: x, torch.tensor([[1.0, 3.0], [2.0, 0.0]]))
    tensor([1, 0])
    """
    if target is not None:
        return target
    with torch.no_grad():
        output = _engine.scores(net, x)
        if output is None:
            output, _ = watched(net, x)
        chosen(output, None, x.shape, net)  # refuses what is no tensor of scores
    return output.argmax(-1)


_CUDNN = threading.Lock()


@contextmanager
def _without_cudnn() -> Iterator[None]:
    """Let torch compute what cuDNN would: a recurrent layer has no gradient there in eval mode."""
    with _CUDNN:  # the switch is one for all threads, and must be found as it was left
        before, torch.backends.cudnn.enabled = torch.backends.cudnn.enabled, False
        try:
            yield
        finally:
            torch.backends.cudnn.enabled = before


def _descend(
    net: Callable[..., Any],
    inputs: tuple[Tensor, ...],
    target: Target,
    rule: Rule,
    smooth: Smooth,
    layer: str | None,
) -> tuple[Tensor, ...] | None:
    """Do what `backpropagate` says; None where cuDNN computed a recurrent layer."""
    leaves = tuple(each.detach().clone().requires_grad_() for each in inputs)
    # The network gets copies, since one that begins in place may not write to a leaf.
    copies = tuple(each.clone() for each in leaves)
    ends: tuple[Tensor, ...] = leaves
    if layer is None:
        output, facts = watched(net, *copies)
    else:
        (output, end), facts = watched(_with_layer(net, layer), *copies)
        ends = (end,)
    if facts.cudnn_rnn:
        return None
    explained = chosen(output, target, inputs[0].shape, net)
    if rule != "gradient" and explained.grad_fn is not None:
        _apply(rule, smooth, explained.grad_fn, ends, facts)
    gradients = _gradients(explained, ends)
    return gradients if layer is None else (*gradients, ends[0].detach())


def _with_layer(net: Any, layer: str) -> Callable[..., tuple[Any, Tensor]]:
    return lambda *inputs: listen(net, layer, inputs, stop=False)


def _check(rule: str, smooth: str) -> None:
    if rule not in get_args(Rule):
        raise ParameterError(f"rule {rule!r} is unknown: use one of {', '.join(get_args(Rule))}.")
    if smooth not in get_args(Smooth):
        raise ParameterError(f"smooth {smooth!r} is unknown: use refuse or clamp.")
    if smooth == "clamp" and rule == "deconvnet":
        raise ParameterError(
            "deconvnet does not look at what came from below, so smooth='clamp' means nothing to "
            "it: use guided."
        )


def _inputs(x: Any) -> tuple[Tensor, ...]:
    inputs = x if isinstance(x, tuple) else (x,)
    if not inputs:
        raise ParameterError("x is an empty tuple: give the tensors that the network takes.")
    for each in inputs:
        if not isinstance(each, Tensor) or not each.is_floating_point():
            kind = each.dtype if isinstance(each, Tensor) else type(each).__name__
            raise ParameterError(f"x is {kind}: give a floating point torch tensor.")
        if not _engine.finite(each):
            raise ParameterError("x holds NaN or infinite values: repair the input first.")
    return inputs


def _apply(rule: str, smooth: str, root: Any, ends: Sequence[Tensor], facts: Facts) -> None:
    """Put the rule at every rectifier between the ends and the score; refuse or warn of others."""
    nodes = between(root, {get_gradient_edge(end).node for end in ends})
    met = not nodes  # where nothing lies between, nothing need be said
    for node in nodes:
        verdict = judge(node, facts)
        if verdict is None:
            continue
        if verdict.kind == "relu":
            met = True
            _hook(node, rule, facts, verdict.kind)
        elif verdict.kind == "smooth":
            if smooth == "refuse":
                raise ParameterError(
                    f"{rule!r} is defined for ReLU only and this network uses {verdict.name}: use "
                    "method='gradient', give smooth='clamp', or replace the activation."
                )
            met = True
            _hook(node, rule, facts, verdict.kind)
        elif verdict.kind == "hidden":
            raise ParameterError(
                f"{rule!r} cannot see the rectifiers inside {verdict.name}: pass the network as it "
                "was before torch.jit or torch.compile fused it."
            )
        elif verdict.kind == "custom":
            _warn(f"the custom autograd function {verdict.name} keeps its own backward: {rule!r}.")
        else:
            _warn(
                f"a choice between values ({verdict.name}) keeps its plain gradient under "
                f"{rule!r}: if it is a rectifier, write it as torch.relu."
            )
    if not met:
        _warn(f"no ReLU lies between x and the score: {rule!r} equals the gradient here.")


def _hook(node: Any, rule: str, facts: Facts, judged: str) -> None:
    """Put guided or deconvnet at one rectifier."""
    number = node._sequence_nr()
    part = facts.slices.get(number)
    zeros = facts.zeros.get(number if part is None else number - 1)
    if part is not None:
        _hook_part(node, rule, part, zeros)
    elif rule == "deconvnet":
        node.register_hook(_clamp_only)
    elif judged == "relu" and zeros is None:
        node.register_hook(_clamp_below)
    elif zeros is None:
        node.register_prehook(_clamp)
    else:  # autograd lets gradients through where a clamp or a maximum is at 0

        def prehook(above: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
            (g,) = _clamp(above)
            return (None if g is None else g.masked_fill(zeros, 0),)

        node.register_prehook(prehook)


def _hook_part(node: Any, rule: str, part: Slice, zeros: Tensor | None) -> None:
    """Put guided or deconvnet at a rectifier in place on a part of a tensor."""

    def prehook(above: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        (g,) = above
        if g is None:
            return (None,)
        g, inside = part.of(g)
        inside.clamp_(min=0)
        if zeros is not None:
            inside.masked_fill_(zeros, 0)
        return (g,)

    def hook(below: Sequence[Tensor | None], above: Sequence[Tensor | None]) -> tuple:
        return (*prehook(above), *below[1:]) if below[0] is not None else tuple(below)

    if rule == "guided":
        node.register_prehook(prehook)
    else:
        zeros = None
        node.register_hook(hook)


def _clamp_below(below: Sequence[Tensor | None], above: Sequence[Tensor | None]) -> None:
    """Clamp what a ReLU has let through: the order does not matter, and this memory is its own."""
    for g in below:
        if g is not None:
            g.clamp_(min=0)


def _clamp_only(below: Sequence[Tensor | None], above: Sequence[Tensor | None]) -> tuple:
    """The deconvnet: what arrives, clamped, whatever came from below."""
    (g,) = _clamp(above)
    return tuple(
        each if each is None or g is None else g.sum_to_size(each.shape).to(each.dtype)
        for each in below
    )


def _clamp(gradients: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    return tuple(None if g is None else g.clamp(min=0) for g in gradients)


def _gradients(explained: Tensor, ends: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """d score / d ends, summed over the items of the score."""
    found: Sequence[Tensor | None] = [None] * len(ends)
    if explained.requires_grad:
        ones = torch.ones_like(explained)
        try:
            found = torch.autograd.grad(explained, ends, ones, allow_unused=True)
        except RuntimeError as error:
            if "checkpoint is incompatible" in str(error).lower():
                raise ParameterError(
                    "the network checkpoints with use_reentrant=True, which torch.autograd.grad "
                    "does not go through: pass use_reentrant=False to torch.utils.checkpoint."
                ) from error
            raise
    if all(each is None for each in found):
        raise ParameterError(
            "the score does not depend on x through differentiable operations: take no_grad, "
            "inference_mode, detach and numpy out of the network's call."
        )
    gradients = tuple(
        torch.zeros_like(end) if each is None else each
        for each, end in zip(found, ends, strict=True)
    )
    if not all(torch.isfinite(each).all() for each in gradients):
        raise ParameterError(_not_finite(explained.grad_fn, ends))
    return gradients


_POLES = {
    "Sqrt": "the square root of 0",
    "Rsqrt": "the square root of 0",
    "Pow": "a power at 0",
    "Log": "the logarithm of 0",
    "Log2": "the logarithm of 0",
    "Log10": "the logarithm of 0",
    "Acos": "the arc cosine of 1",
    "Asin": "the arc sine of 1",
    "Atanh": "the area tangent of 1",
    "Atan2": "the angle of 0",
    "Angle": "the angle of 0",
    "Std": "the deviation of equal values",
    "Norm": "the norm of a zero vector",
    "LinalgVectorNorm": "the norm of a zero vector",
    "Div": "a division by 0",
    "Reciprocal": "a division by 0",
}


def _not_finite(root: Any, ends: Sequence[Tensor]) -> str:
    """The sentence for a gradient that is not a number, with what in the graph may be the cause."""
    nodes = between(root, {get_gradient_edge(end).node for end in ends})
    names = [each.name().rstrip("0123456789").removesuffix("Backward") for each in nodes]
    # Functions without a slope somewhere come before divisions, which are everywhere.
    causes = [_POLES[name] for name in _POLES if name in names]
    cause = f", most likely of {causes[0]}" if causes else ""
    return (
        f"relevance is NaN or infinite{cause}, where the network has no slope (a silent frame of "
        "an STFT, say): add a small constant inside it, as in sqrt(power + 1e-12), or keep such "
        "input out."
    )


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=5)
