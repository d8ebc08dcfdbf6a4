"""Which score is to be explained: targets, the same for relevance, signals and controls."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from relviz._errors import ParameterError

__all__ = ["Choice", "Target", "choice", "chosen"]

Target = int | str | tuple[int, int | str] | Tensor | Callable[[Any], Tensor] | None
"""See `relviz.backprop.Target`."""

Choice = Callable[[Tensor, slice], Tensor]
"""From scores, (some, classes), and which items they are of, to a class for each, (some,)."""


def choice(target: Target, net: object, items: torch.Size, *, finite: bool = True) -> Choice | None:
    """Return what chooses the class to explain; None for a target that chooses no class an item.

    items: the shape of the scores less the classes. finite: whether to look at the scores, for
    which a GPU must be waited for. What is returned raises ParameterError as `chosen` does.
    """
    if isinstance(target, Tensor):
        if target.shape != items:
            return None
        target = target.reshape(-1)
    elif callable(target) or isinstance(target, tuple):
        return None

    def choose(scores: Tensor, some: slice) -> Tensor:
        index = _index(scores, target[some] if isinstance(target, Tensor) else target, net)
        if finite:
            _finite(scores.gather(-1, index.unsqueeze(-1)))
        return index

    return choose


def chosen(output: Any, target: Target, given: torch.Size, net: object = None) -> Tensor:
    """Return the scores to explain: of any shape, first the items, where there are items.

    output: what the network returned. given: the shape of x. net: asked for the classes' names, in
    `net.metadata.classes` or `net.classes`. Raises ParameterError for what cannot be right.
    """
    if callable(target) and not isinstance(target, Tensor):
        scores = target(output)
        if not isinstance(scores, Tensor) or scores.is_complex() or not scores.is_floating_point():
            raise ParameterError(
                "the target function must return a real floating point tensor of scores."
            )
        return _finite(scores)
    scores = _scores(output, given)
    if isinstance(target, tuple):
        frame, target = _pair(target)
        if scores.ndim != 3:
            raise ParameterError(
                f"target names a frame, and the scores have shape {tuple(scores.shape)}: a frame "
                "can be chosen where they are (batch, frames, classes)."
            )
        if not 0 <= frame < scores.shape[1]:
            raise ParameterError(
                f"frame {frame} is not one of the network's {scores.shape[1]} frames."
            )
        scores = scores[:, frame]
    index = _index(scores, target, net)
    return _finite(scores.gather(-1, index.unsqueeze(-1)).squeeze(-1))


def _scores(output: Any, given: torch.Size) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim == 0:
        kind = "a single number" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise ParameterError(
            f"the network returns {kind}, not a tensor of class scores: give target a function "
            "that picks the score from what it returns, or wrap it (relviz.networks.Described)."
        )
    if output.is_complex() or not output.is_floating_point():
        raise ParameterError(
            f"the network's scores are {output.dtype}: give target a function that makes real "
            "floating point scores of them."
        )
    if output.ndim == 1 and len(given) > 1 and len(output) == given[0]:
        raise ParameterError(
            f"the network returns {len(output)} scores for x of shape {tuple(given)}, one an item "
            "or one a class: give target a function, such as lambda scores: scores."
        )
    return output


def _pair(target: tuple) -> tuple[int, Any]:
    whole = [isinstance(e, numbers.Integral) and not isinstance(e, bool) for e in target]
    if len(target) != 2 or not whole[0] or not (whole[1] or isinstance(target[1], str)):
        raise ParameterError(f"target is {target!r}: give (frame, class), such as (12, 3).")
    return int(target[0]), target[1]


def _index(scores: Tensor, target: Any, net: object) -> Tensor:
    """The class to explain for every item."""
    classes, items = scores.shape[-1], scores.shape[:-1]
    if isinstance(target, str):
        target = _class(target, net)
    if target is None:
        return scores.detach().argmax(dim=-1)
    if isinstance(target, Tensor):
        if target.shape != items or target.is_floating_point() or target.dtype == torch.bool:
            raise ParameterError(
                f"target has shape {tuple(target.shape)} and dtype {target.dtype}: give one "
                f"integer class for each item, shape {tuple(items)}."
            )
        index = target.to(scores.device, torch.int64)
    elif isinstance(target, numbers.Integral) and not isinstance(target, bool):
        if not 0 <= int(target) < classes:
            raise ParameterError(f"target {target} is not one of the network's {classes} classes.")
        return torch.full(items, int(target), device=scores.device)
    else:
        raise ParameterError(
            f"target is {target!r}: give None, an int, a class's name, (frame, class), an integer "
            "tensor or a function of the scores."
        )
    if index.numel() and not (0 <= int(index.min()) and int(index.max()) < classes):
        wrong = int(index.max()) if int(index.max()) >= classes else int(index.min())
        raise ParameterError(f"target {wrong} is not one of the network's {classes} classes.")
    return index


def _class(name: str, net: object) -> int:
    names = getattr(getattr(net, "metadata", None), "classes", None) or getattr(
        net, "classes", None
    )
    if not isinstance(names, (list, tuple)):
        raise ParameterError(
            f"target is {name!r}, and the network does not name its classes: give a number, or set "
            "net.classes to their names."
        )
    if name not in names:
        raise ParameterError(
            f"target {name!r} is not one of the network's {len(names)} classes, such as "
            f"{', '.join(map(str, names[:3]))}."
        )
    return names.index(name)


def _finite(scores: Tensor) -> Tensor:
    if not torch.isfinite(scores).all():
        raise ParameterError(
            "the network's score is NaN or infinite: look at its weights and input."
        )
    return scores
