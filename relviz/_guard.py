"""Watches one forward pass: what a network must not do while it is asked, and what its graph omits.

A network that draws random numbers, or that moves numbers of its own (batch statistics, a power
iteration), answers another question at every call. No attribute says so reliably, and a network
may be wrapped in anything; but every operation passes torch's dispatcher. So the guard looks at the
operations of the call itself, refuses those that are random or move what was there before, and puts
back what was moved.

Two things by which a rectifier is known stand in no graph: a bound that is a tensor of zeros, and a
mask that was computed from x (`h * (h > 0)`), which autograd takes for a constant. The guard notes
both under the sequence number of the operation, which is that of its node in the graph.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from relviz._errors import ParameterError

__all__ = ["Facts", "Slice", "is_zero", "watched"]


class Slice(NamedTuple):
    """An operation in place on a view, which autograd hides inside a node of the whole tensor.

    whole: size and stride of the tensor. part: size, stride and offset of the view in it.
    """

    operation: str
    whole: tuple[torch.Size, tuple[int, ...]]
    part: tuple[torch.Size, tuple[int, ...], int]

    def of(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Copy a gradient of the whole; return (copy, the part of it that is the view)."""
        copied = gradient.new_empty_strided(*self.whole).copy_(gradient)
        return copied, copied.as_strided(*self.part)


class Facts(NamedTuple):
    """What the graph of a call does not show, by the sequence numbers of its nodes.

    zeros: of a clamp at 0 or a maximum with 0, where the other operand is 0 itself (None: nowhere).
    two_sided: clamps with a lower bound of at most 0 and an upper one.
    steps: operations that join a mask computed from x with something differentiable.
    slices: operations in place on a view; what else is noted of one has the number before its own.
    cudnn_rnn: whether cuDNN computed a recurrent layer: it has a gradient of it in training alone.
    """

    zeros: dict[int, Tensor | None]
    two_sided: set[int]
    steps: set[int]
    slices: dict[int, Slice]
    cudnn_rnn: bool


def watched(net: Callable[..., Any], *inputs: Tensor) -> tuple[Any, Facts]:
    """Call a network; return its output and what the graph does not show of the call.

    Raises ParameterError if the call draws random numbers and uses them, or moves batch statistics
    or any other tensor that was there before, which is then put back. Work that the network hands
    to threads of its own is not seen.
    """
    if _is_quiet(net):
        return net(*inputs), Facts({}, set(), set(), {}, False)
    if isinstance(net, nn.Module) and any(map(is_lazy, net.parameters())):
        raise ParameterError(
            "the network has lazy layers, which have no weights yet: call it once first."
        )
    guard = _Guard(inputs)
    try:
        with guard:
            output = net(*inputs)
            guard.refuse_random(_tensors((output,)))
    finally:
        moved = guard.put_back()
    if moved:
        raise ParameterError(
            f"the network moves numbers of its own ({moved}) whenever it is called, so no two "
            "calls agree (they were put back): call net.eval() first, or take the update out."
        )
    return output, Facts(guard.zeros, guard.two_sided, guard.steps, guard.slices, guard.cudnn_rnn)


_QUIET = {
    *(nn.Sequential, nn.Linear, nn.Conv1d, nn.Conv2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d),
    *(nn.AvgPool2d, nn.Flatten, nn.Identity, nn.Sigmoid, nn.Tanh),
}


def _is_quiet(net: Any) -> bool:
    """Whether a network is made of nothing but layers of which all is known: no need to watch.

    They draw nothing, move nothing, and their graphs show all; classes of our own say so by the
    attribute `_quiet`, which subclasses do not inherit here. At a single window, watching costs as
    much as the rest.
    """
    if not isinstance(net, nn.Module):
        return False
    for layer in net.modules():
        kind = type(layer)
        known = kind in _QUIET or (kind is nn.ReLU and not layer.inplace)
        if not known and not kind.__dict__.get("_quiet", False):
            return False
        if layer._forward_hooks or layer._forward_pre_hooks or "forward" in layer.__dict__:
            return False
    return True


def is_zero(value: Any) -> bool:
    """Whether a bound is the constant 0, as a number or as a tensor without a gradient."""
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.any())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


_RANDOM, _DEPENDS, _STEP = "random", "depends", "step"
"""Marks of tensors that autograd does not follow. Random: drawn, so what uses it is random.
Depends: computed from x out of autograd's sight. Step: a mask or a sign, computed from x."""

_COMPARISONS = {
    *("gt", "ge", "lt", "le", "eq", "ne", "greater", "less", "isnan", "isinf", "signbit"),
    *("logical_and", "logical_or", "logical_not", "logical_xor", "isposinf", "isneginf"),
    *("heaviside", "bitwise_and", "bitwise_or", "bitwise_not", "isfinite"),
}
_ROUNDED = {"sign", "sgn", "ceil", "floor", "round", "trunc"}  # steps, if autograd is off
_BOUNDS = {"clamp", "clamp_", "clamp_min", "clamp_min_", "maximum", "fmax"}
_SWITCHES = {"dropout_p", "dropout", "train", "training"}
_FRESH = {"lift", "lift_fresh", "lift_fresh_copy"}  # torch.tensor(...) within the call


class _Kind(NamedTuple):
    """What matters about an operation; found once for each."""

    name: str
    random: bool
    switches: tuple[tuple[int, str, Any], ...]  # keep it from drawing when 0 or False
    written: tuple[tuple[int, str, Any], ...]  # arguments that it writes over
    statistics: bool
    fresh: bool  # whether its output is new memory
    cuts: bool  # whether its output has no gradient, even where its input has one


@functools.cache
def _kind(func: Any) -> _Kind:
    schema, name = func._schema, func.overloadpacket.__name__
    arguments = list(enumerate(schema.arguments))
    return _Kind(
        name,
        torch.Tag.nondeterministic_seeded in func.tags,
        tuple((i, a.name, a.default_value) for i, a in arguments if a.name in _SWITCHES),
        tuple((i, a.name, None) for i, a in arguments if a.alias_info and a.alias_info.is_write),
        "batch_norm" in name and any(a.name == "running_mean" for _, a in arguments),
        name in _FRESH or any(each.alias_info is None for each in schema.returns),
        name in _COMPARISONS or name in ("detach", "detach_"),
    )


class _Guard(TorchDispatchMode):
    _calls = itertools.count()

    def __init__(self, inputs: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.zeros: dict[int, Tensor | None] = {}
        self.two_sided: set[int] = set()
        self.steps: set[int] = set()
        self.slices: dict[int, Slice] = {}
        self.cudnn_rnn = False
        # Memory made within the call. What was there before is alive until its end, so that an
        # address in this set cannot be its.
        self._made = {_address(each) for each in inputs}
        self._before: list[tuple[str, Tensor, Tensor]] = []
        self._call = next(self._calls)  # marks of one call mean nothing in the next
        self._number = self._cloned = -1
        self._drew = ""  # the operation that drew last
        self._marking = False  # whether anything bears a mark; until then nobody looks for one

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        kind = _kind(func)
        self._count(kind, args)
        random = kind.random and not any(
            _argument(place, args, kwargs) in (0, False) for place in kind.switches
        )
        if random and any(each.requires_grad for each in _tensors((args, kwargs))):
            raise _draws(kind.name)
        if kind.statistics:
            _refuse_statistics(kind.name, func, args, kwargs)
        for place in kind.written:
            self._keep(kind.name, _argument(place, args, kwargs), (args, kwargs))
        if kind.name in _BOUNDS and torch.is_grad_enabled():
            self._note_bound(kind.name, args, kwargs)
        if kind.name == "_cudnn_rnn":
            self.cudnn_rnn = True
        output = func(*args, **kwargs)
        if kind.fresh:
            for each in _tensors((output,)):
                self._made.add(_address(each))
        if random:
            self._drew = kind.name
            self._mark(output, _RANDOM)
        elif self._marking or kind.cuts or not torch.is_grad_enabled():
            self._follow(kind, _tensors((args, kwargs)), output)
        return output

    def _count(self, kind: _Kind, args: tuple) -> None:
        """Find the number of the node that autograd has just made for an operation."""
        following = torch._C._autograd._get_sequence_nr()
        self._number = following - 1
        if kind.written and following == self._cloned and args[0]._base is None:
            self._number -= 1  # autograd keeps a clone of what is written over, a node of its own
        if kind.name == "clone":
            self._cloned = following

    def refuse_random(self, tensors: Iterable[Tensor]) -> None:
        """Refuse the use of numbers that were drawn."""
        if self._marking and _RANDOM in {self._mark_of(each) for each in tensors}:
            raise _draws(self._drew)

    def put_back(self) -> str:
        """Undo what was written over; name the operations that moved something, "" if none did."""
        moved = []
        with torch.no_grad():
            for name, tensor, before in reversed(self._before):
                if not torch.equal(tensor, before):
                    moved.append(name)
                    tensor.detach().copy_(before)
        return ", ".join(dict.fromkeys(reversed(moved)))

    def _keep(self, name: str, target: Any, given: Any) -> None:
        """Remember what an operation is about to write over, if it was there before the call."""
        for each in _tensors((target,)):
            if each.numel() and _address(each) not in self._made:
                self._before.append((name, each, each.detach().clone()))
            whole = each._base
            followed = torch.is_grad_enabled() and any(t.requires_grad for t in _tensors(given))
            if whole is not None and followed:
                offset = int(each.storage_offset() - whole.storage_offset())
                self.slices[self._number + 1] = Slice(
                    name,
                    (whole.shape, whole.stride()),
                    (each.shape, each.stride(), offset),
                )

    def _note_bound(self, name: str, args: tuple, kwargs: dict) -> None:
        """Note a clamp at 0 or a maximum with 0, and where what it bounds is 0 itself."""
        x, lower = args[0], _argument((1, "min", None), args, kwargs)
        pairs = [(x, lower)]
        if name in ("maximum", "fmax"):
            pairs.append((lower, x))
        elif _argument((2, "max", None), args, kwargs) is not None:
            if lower is not None and x.requires_grad and bool(torch.as_tensor(lower <= 0).any()):
                self.two_sided.add(self._number)
            return
        for value, bound in pairs:
            if value.requires_grad and is_zero(bound):
                shape = torch.broadcast_shapes(value.shape, getattr(bound, "shape", ()))
                zeros = (value.detach() == 0).expand(shape)
                self.zeros[self._number] = zeros if bool(zeros.any()) else None
                return

    def _follow(self, kind: _Kind, given: list[Tensor], output: Any) -> None:
        """Hand marks on from what an operation takes to what it gives."""
        followed, marks = False, set()
        for each in given:
            if each.requires_grad:
                followed = followed or not each.is_leaf
            elif hasattr(each, "_relviz_mark"):
                marks.add(self._mark_of(each))
        if _RANDOM in marks:
            raise _draws(self._drew)
        if followed and torch.is_grad_enabled() and not kind.cuts:
            if _STEP in marks:
                self.steps.add(self._number)
        elif followed or marks - {None}:
            step = kind.name in _COMPARISONS or kind.name in _ROUNDED
            only = marks == {_STEP} and not followed
            self._mark(output, _STEP if step or only else _DEPENDS)

    def _mark(self, output: Any, mark: str) -> None:
        self._marking = True
        for each in _tensors((output,)):
            each._relviz_mark = (self._call, mark)  # type: ignore[attr-defined]

    def _mark_of(self, tensor: Tensor) -> str | None:
        call, mark = getattr(tensor, "_relviz_mark", (None, None))
        return mark if call == self._call else None


def _refuse_statistics(name: str, func: Any, args: tuple, kwargs: dict) -> None:
    places = {a.name: (i, a.name, None) for i, a in enumerate(func._schema.arguments)}
    training = places.get("training", places.get("train"))
    moves = "update" in name or (training is not None and _argument(training, args, kwargs))
    if moves and _argument(places["running_mean"], args, kwargs) is not None:
        raise ParameterError(
            "the network is in training mode, where its batch normalisation moves its statistics "
            "and lets the items of a batch interact: call net.eval() first."
        )


def _draws(name: str) -> ParameterError:
    return ParameterError(
        f"the network draws random numbers while it is called ({name}), so no two calls agree: "
        "call net.eval() first, or take the randomness out."
    )


def _argument(place: tuple[int, str, Any], args: tuple, kwargs: dict) -> Any:
    number, name, default = place
    return args[number] if number < len(args) else kwargs.get(name, default)


def _address(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse tensors and their like have no storage
        return 0


def _tensors(tree: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dicts."""
    if isinstance(tree, Tensor):
        return [tree]
    found: list[Tensor] = []
    for each in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(each, Tensor):
            found.append(each)
        elif isinstance(each, (tuple, list, dict)):
            found += _tensors(each)
    return found
