"""What a rectifier is, decided from the nodes of autograd's graph and not from how it is spelt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import torch

from relviz._guard import Facts

__all__ = ["Verdict", "between", "judge"]

SMOOTH = {
    "LeakyRelu": "LeakyReLU",
    "PreluKernel": "PReLU",
    "RreluWithNoise": "RReLU",
    "Elu": "ELU, SELU or CELU",
    "Celu": "ELU, SELU or CELU",
    "Selu": "ELU, SELU or CELU",
    "Gelu": "GELU",
    "Silu": "SiLU",
    "Mish": "Mish",
    "Softplus": "Softplus",
    "LogSigmoid": "LogSigmoid",
    "Hardtanh": "ReLU6 or Hardtanh",
    "Hardswish": "Hardswish",
    "Hardsigmoid": "Hardsigmoid",
    "Hardshrink": "Hardshrink",
    "Softshrink": "Softshrink",
}
"""Activations that rectify but are no ReLU: node -> what users call it."""

_CHOICES = {
    *("Clamp", "ClampMin", "ClampMax", "Minimum", "Fmin", "Maximum", "Fmax"),
    *("Sign", "Sgn", "Copysign"),
}
_SQUASHING = {"Sigmoid", "Tanh", "Erf", "Sign", "Softplus", "Erfc"}
_ELEMENTWISE = _SQUASHING | {"Add", "Sub", "Rsub", "Mul", "Div", "Neg", "Pow", "Exp", "Reciprocal"}


class Verdict(NamedTuple):
    """What a node is under the rules.

    kind: "relu"; "smooth", an activation that the rules do not define; "hidden", code that hides
    what it rectifies; "choice", what may be a rectifier in disguise; "custom", somebody's own
    backward. name: what the sentence about it calls it.
    """

    kind: Literal["relu", "smooth", "hidden", "choice", "custom"]
    name: str


def between(root: Any, ends: Iterable[Any]) -> list[Any]:
    """List the nodes of the graph from `root` down to `ends`, without the ends and what passes by.

    Only what lies between the input and the score takes part in relevance: positions, weights and
    first states that are clamped or masked on the side do not.
    """
    users: dict[Any, list[Any]] = {root: []}
    order = [root]
    for node in order:  # grows on the way
        for below, _ in node.next_functions:
            if below is not None:
                if below not in users:
                    users[below] = []
                    order.append(below)
                users[below].append(node)
    ends = list(ends)
    reached: set[Any] = set()
    stack = [user for end in ends for user in users.get(end, ())]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack += users[node]
    return [node for node in order if node in reached]


def judge(node: Any, facts: Facts) -> Verdict | None:
    """Say what a node is under the rules; None for what simply keeps its gradient."""
    name = node.name()
    plain = _plain(name)
    number = node._sequence_nr()
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        # torch's own, for hooks on modules, does nothing by itself
        return None if name == "BackwardHookFunctionBackward" else Verdict("custom", name)
    if name.endswith("CopySlices"):
        return _in_place(number, facts)
    if plain == "Relu" or number in facts.zeros:
        return Verdict("relu", plain)
    if plain == "Threshold":
        if node._saved_threshold == 0:
            return Verdict("relu", plain)
        return Verdict("smooth", f"a threshold at {node._saved_threshold:g}")
    if plain in SMOOTH:
        return Verdict("smooth", SMOOTH[plain])
    if "DifferentiableGraph" in name or "CompiledFunction" in name:
        return Verdict("hidden", name.split("::")[-1])
    if number in facts.two_sided:
        return Verdict("smooth", "clamp on both sides (ReLU6 or Hardtanh)")
    if plain in ("Clamp", "ClampMin") and _is_guard(node):
        return None
    if plain in _CHOICES or number in facts.steps or _is_disguised(node, plain):
        return Verdict("choice", plain)
    return None


def _is_guard(node: Any) -> bool:
    """Whether a clamp only keeps a logarithm or a root from 0, as `power.clamp(min=1e-10)` does."""
    if hasattr(node, "_raw_saved_min"):  # a tensor; in a checkpointed block it costs a call to look
        return False
    lower, upper = node._saved_min, getattr(node, "_saved_max", None)
    return upper is None and lower is not None and 0 < lower <= 1e-3


def _in_place(number: int, facts: Facts) -> Verdict | None:
    """What was done in place to a part of a tensor; its own node lies hidden in this one."""
    done = facts.slices.get(number)
    name = done.operation.removesuffix("_") if done else "CopySlices"
    plain = "".join(each.capitalize() for each in name.split("_"))
    if done is None:  # of another thread
        return Verdict("hidden", name)
    if name == "relu" or number - 1 in facts.zeros:
        return Verdict("relu", name)
    if number - 1 in facts.two_sided:
        return Verdict("smooth", "clamp on both sides (ReLU6 or Hardtanh)")
    if plain in SMOOTH or name == "threshold":
        return Verdict("smooth", SMOOTH.get(plain, "a threshold in place on a view"))
    if plain in _CHOICES or number - 1 in facts.steps or plain == "Abs":
        return Verdict("choice", plain)
    return None


def _plain(name: str) -> str:
    return name.rstrip("0123456789").removesuffix("Backward")


def _is_disguised(node: Any, plain: str) -> bool:
    """Whether a node is |x|, a maximum over a stack with constants, or x times a step of itself."""
    edges = node.next_functions
    if plain == "Abs":  # the modulus of a complex number is no choice
        return not any(each.dtype.is_complex for each in edges[0][0]._input_metadata)
    if plain in ("Sqrt", "Pow") and edges[0][0] is not None:
        return _is_root(node, plain) and _is_square(edges[0][0])
    if plain in ("Amax", "Max", "Amin", "Min") and edges[0][0] is not None:
        below = edges[0][0]
        stacked = _plain(below.name()) in ("Stack", "Cat")
        return stacked and any(each is None for each, _ in below.next_functions)
    if plain == "Mul" and len(edges) == 2:
        return _gates(_unscaled(edges[0]), edges[1]) or _gates(_unscaled(edges[1]), edges[0])
    return False


def _is_root(node: Any, plain: str) -> bool:
    return plain == "Sqrt" or (node.name() == "PowBackward0" and node._saved_exponent == 0.5)


def _is_square(node: Any) -> bool:
    plain, edges = _plain(node.name()), node.next_functions
    if plain == "Pow":
        return bool(node.name() == "PowBackward0" and node._saved_exponent == 2)
    return bool(plain == "Mul" and edges[0][0] is not None and edges[0] == edges[1])


def _unscaled(edge: tuple[Any, int]) -> tuple[Any, int]:
    """What a value is a multiple of: h of 0.5 h."""
    while edge[0] is not None and _plain(edge[0].name()) in ("Mul", "Div", "Neg"):
        below = [each for each in edge[0].next_functions if each[0] is not None]
        if len(below) != 1:
            break
        edge = below[0]
    return edge


def _gates(value: tuple[Any, int], factor: tuple[Any, int]) -> bool:
    """Whether `factor` is computed from `value` alone, element by element: SiLU or GELU by hand."""
    if value[0] is None or factor[0] is None or value == factor:
        return False
    stack, seen = [(factor, False)], set()
    while stack:
        edge, squashed = stack.pop()
        if edge == value and squashed:
            return True
        node = edge[0]
        if node is None or (node, squashed) in seen:
            continue
        seen.add((node, squashed))
        plain = _plain(node.name())
        if plain in _ELEMENTWISE:
            stack += [(each, squashed or plain in _SQUASHING) for each in node.next_functions]
    return False
