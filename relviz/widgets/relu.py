"""The ReLU explorer: three backward rules on a network small enough to follow by hand."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import torch
import traitlets
from torch import nn

from relviz import attributions, backprop
from relviz.widgets.frame import Explorer, script, style

__all__ = [
    "COUNT",
    "SHAPES",
    "START",
    "ReluExplorer",
    "network",
]

SHAPES = ((2,), (3, 2), (2, 3), (1, 2))
"""The input, and the weights of the three layers: rows are units, columns what they hear."""

COUNT = sum(int(np.prod(shape)) for shape in SHAPES)
"""How many numbers that makes."""

START = (2, 1, 1, -1, 1, 0, -1, 0, -1, 1, 1, 0, 1, 0, 1, 2)
"""The first preset of relu.js: every rule gives another answer."""


def network(numbers: list[float]) -> tuple[nn.Sequential, torch.Tensor]:
    """Return the network of 16 numbers and its input.

    Parameters
    ----------
    numbers : list of float
        The input, then the weights of each layer, unit by unit: `SHAPES`.

    Returns
    -------
    net : nn.Sequential
        2 inputs, 3 units with ReLU, 2 units with ReLU, 1 score, no biases; in double precision.
    x : Tensor, (2,)
        Its input, in double precision.

    Notes
    -----
    Used in chapter 3 of the book.

    Examples
    --------
    >>> net, x = network(list(START))
    >>> net(x).shape
    torch.Size([1])
    """
    parts = np.split(np.asarray(numbers, dtype=float), np.cumsum([np.prod(s) for s in SHAPES])[:-1])
    x, *weights = (torch.tensor(part.reshape(s)) for part, s in zip(parts, SHAPES, strict=True))
    layers: list[nn.Module] = []
    for weight in weights:
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
        linear.weight.data = weight
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1]), x  # the score is not rectified


class ReluExplorer(Explorer):
    """A network of 2, 3, 2 and 1 units with all its numbers to edit, and its relevance by rule.

    Trait `numbers`, which follows the page and leads it: 16 finite numbers, as `network` takes
    them.

    Raises
    ------
    traitlets.TraitError
        For other numbers.

    Notes
    -----
    Used in chapter 3 of the book.

    References
    ----------
    Springenberg et al. (2015), figure 1; see `relviz.relevance`.
    """

    _esm = script("relu.js")
    _css = style()

    numbers = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(self) -> None:
        super().__init__(numbers=[float(v) for v in START])

    @traitlets.validate("numbers")
    def _check_numbers(self, proposal: Any) -> list[float]:
        values = proposal["value"]
        if len(values) != COUNT or not np.isfinite(values).all():
            raise traitlets.TraitError(
                f"numbers must be {COUNT} finite numbers: 2 inputs, then 6, 6 and 2 weights."
            )
        return values

    def answer(self, question: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list[bytes]]:
        """Answer "relevance" of `numbers`: the score, and each method's relevance of the input."""
        if question.get("ask") != "relevance":
            return super().answer(question, buffers)
        net, x = network(question["numbers"])
        found: dict[str, Any] = {
            method: attributions.relevance(net, x, target=0, method=method).tolist()
            for method in get_args(backprop.Rule)
        }
        return {**found, "score": net(x).detach().item()}, []
