"""Relevance of every input value: gradient, deconvnet and guided backpropagation (GBP).

The three rules differ only at a rectifier (Springenberg et al. 2015, figure 1). With the gradient
g that arrives from above and the value x that came from below, what goes on downwards is

    gradient    g where x > 0
    deconvnet   g where g > 0
    guided      g where x > 0 and g > 0

and 0 elsewhere. Autograd computes the first with one operation, `aten.threshold_backward`, for
every way to write a ReLU (module, function, method, in place, reused, made inside `forward`). So
the rule is put there, by a dispatch mode that lives for one backward pass in one thread: the
network is never touched, and other threads may use it meanwhile.
"""

from __future__ import annotations

import functools
import inspect
import numbers
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from relviz._errors import ParameterError

Method = Literal["guided", "gradient", "deconvnet"]
Target = int | Tensor | Callable[[Tensor], Tensor] | None

# Backward operations of activations that rectify but are not ReLU: the rules do not define them.
_UNDEFINED = {
    "leaky_relu_backward": "LeakyReLU",
    "_prelu_kernel_backward": "PReLU",
    "rrelu_with_noise_backward": "RReLU",
    "elu_backward": "ELU, SELU or CELU",
    "gelu_backward": "GELU",
    "silu_backward": "SiLU",
    "mish_backward": "Mish",
    "softplus_backward": "Softplus",
    "log_sigmoid_backward": "LogSigmoid",
    "hardtanh_backward": "ReLU6 or Hardtanh",
    "hardswish_backward": "Hardswish",
    "hardsigmoid_backward": "Hardsigmoid",
    "hardshrink_backward": "Hardshrink",
    "softshrink_backward": "Softshrink",
}
_CLAMPS = {"clamp", "clamp_", "clamp_min", "clamp_min_", "clip", "clip_"}
_MAXIMA = {"maximum", "fmax", "max"}


def relevance(
    net: Callable[[Tensor], Any], x: Tensor, target: Target = None, method: Method = "guided"
) -> Tensor:
    """Relevance of every value of `x` for the score of `target`: d score / d x under `method`.

    net: any torch callable from `x` to scores whose last dimension is the class, left exactly as
        it was. x: one item or a batch, any floating dtype and device, e.g. (samples,),
        (batch, samples), (batch, channels, height, width).
    target: None for the winning class of each item; an int; an integer tensor of the scores' shape
        less its last dimension; or a function from the scores to what is to be explained.
    Returns a tensor of x's shape, dtype and device, without a graph. Where items of a batch do not
    interact, each item's relevance is what it would be alone.
    Raises ValueError for what cannot be right: unknown method, target out of range, NaN, a network
    in training mode whose dropout or batch statistics would move, and, for `guided` and
    `deconvnet`, a rectifier other than ReLU (LeakyReLU, GELU, ReLU6, ...) and compiled or scripted
    code, which hides its rectifiers. `clamp(min=0)` and the maximum with 0 count as ReLU. Warns
    where no ReLU was met and where a mask or a custom autograd function may be a rectifier in
    disguise. Sigmoid, tanh, softmax, pooling and gates are no rectifiers: they keep their gradient.
    Source: Muckenhirn et al. (2019), section 3.1; Springenberg et al. (2015), section 3.4.
    """
    if method not in get_args(Method):
        raise ParameterError(
            f"method {method!r} is unknown: use one of {', '.join(get_args(Method))}."
        )
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ParameterError(f"x is {kind}: give a floating point torch tensor.")
    if not torch.isfinite(x).all():
        raise ParameterError("x holds NaN or infinite values: repair the input first.")
    _refuse_training(net)
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        # The network gets a copy, since one that begins in place may not write to a leaf.
        if method == "gradient":
            score = _select(net(leaf.clone()), target, x.shape)
            gradient = _backward(score, leaf)
        else:
            with _WrittenAsReLU(method):
                score = _select(net(leaf.clone()), target, x.shape)
            _inspect(score.grad_fn, method)
            with _Rule(method) as rule:
                gradient = _backward(score, leaf)
            if not rule.met:
                _warn(f"no ReLU lies between x and the score: {method!r} equals the gradient here.")
    return gradient


def _backward(score: Tensor, leaf: Tensor) -> Tensor:
    """d score / d leaf, summed over the items of `score`."""
    if score.requires_grad:
        (gradient,) = torch.autograd.grad(
            score, leaf, grad_outputs=torch.ones_like(score), allow_unused=True
        )
        if gradient is not None:
            return gradient
    raise ParameterError("the score does not depend on x through differentiable operations.")


def _refuse_training(net: Any) -> None:
    """Refuse a network whose forward pass would draw dropout or move statistics."""
    for module in _modules(net):
        for name, layer in module.named_modules():
            dropout = getattr(layer, "p", 0) or getattr(layer, "dropout", 0)
            moves = (
                getattr(layer, "track_running_stats", False)  # batch normalisation
                or (isinstance(dropout, (int, float)) and dropout > 0)  # attention and RNNs too
                or getattr(layer, "n_power_iterations", 0)  # spectral normalisation
            )
            if getattr(layer, "training", False) and moves:
                raise ParameterError(
                    f"the network is in training mode and its {type(layer).__name__} "
                    f"({name or 'root'}) would make relevance random or move its statistics: call "
                    "net.eval() first."
                )


def _modules(net: Any) -> list[nn.Module]:
    """The modules in a callable: itself, a method's, a partial's, those a function refers to."""
    if isinstance(net, functools.partial):
        found = [net.func, *net.args, *net.keywords.values()]
    elif inspect.ismethod(net):
        found = [net.__self__]
    elif inspect.isfunction(net):
        names = inspect.getclosurevars(net)
        found = [*names.nonlocals.values(), *names.globals.values()]
    else:
        found = [net]
    return [part for part in found if isinstance(part, nn.Module)]


def _select(scores: Any, target: Target, given: torch.Size) -> Tensor:
    """The scores to explain, any shape; `given` is the shape of x."""
    if callable(target) and not isinstance(target, Tensor):
        chosen = target(scores)
        if not isinstance(chosen, Tensor) or not chosen.is_floating_point():
            raise ParameterError(
                "the target function must return a floating point tensor of scores."
            )
        return _finite(chosen)
    if not isinstance(scores, Tensor) or scores.ndim == 0:
        raise ParameterError(
            "the network does not return a tensor of class scores: give target a function that "
            "picks the score from what it returns."
        )
    if scores.ndim == 1 and len(given) > 1 and len(scores) == given[0]:
        raise ParameterError(
            f"the network returns {len(scores)} scores for x of shape {tuple(given)}, one an item "
            "or one a class: give target a function, such as lambda scores: scores."
        )
    classes, items = scores.shape[-1], scores.shape[:-1]
    if target is None:
        index = scores.detach().argmax(dim=-1)
    elif isinstance(target, Tensor):
        if target.shape != items or target.is_floating_point() or target.dtype == torch.bool:
            raise ParameterError(
                f"target has shape {tuple(target.shape)} and dtype {target.dtype}: give one "
                f"integer class for each item, shape {tuple(items)}."
            )
        index = target.to(scores.device, torch.int64)
    elif isinstance(target, numbers.Integral) and not isinstance(target, bool):
        index = torch.full(items, int(target), device=scores.device)
    else:
        raise ParameterError(
            f"target is {target!r}: give None, an int, an integer tensor or a function of the "
            "scores."
        )
    if index.numel() and not (0 <= int(index.min()) and int(index.max()) < classes):
        wrong = int(index.max()) if int(index.max()) >= classes else int(index.min())
        raise ParameterError(f"target {wrong} is not one of the network's {classes} classes.")
    return _finite(scores.gather(-1, index.unsqueeze(-1)).squeeze(-1))


def _finite(score: Tensor) -> Tensor:
    if not torch.isfinite(score).all():
        raise ParameterError(
            "the network's score is NaN or infinite: look at its weights and input."
        )
    return score


class _WrittenAsReLU(TorchFunctionMode):
    """Runs `clamp(min=0)` and the maximum with 0 as the ReLU that they are.

    Autograd's graph does not show these as rectifiers, so they are replaced on the way forward.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _CLAMPS and args:
            lower = args[1] if len(args) > 1 else kwargs.get("min")
            upper = args[2] if len(args) > 2 else kwargs.get("max")
            if _is_zero(lower) and upper is None:
                return torch.relu_(args[0]) if name.endswith("_") else torch.relu(args[0])
            if lower is not None and upper is not None and bool(torch.as_tensor(lower <= 0).any()):
                raise _refusal(self.method, "clamp on both sides (ReLU6 or Hardtanh)")
        if name in _MAXIMA and len(args) == 2:
            for x, other in (args, args[::-1]):
                if _is_zero(other) and isinstance(other, Tensor) and other.numel() <= x.numel():
                    return torch.relu(x)
        return func(*args, **kwargs)


def _is_zero(value: Any) -> bool:
    """Whether a bound is the constant 0, as a number or as a tensor without a gradient."""
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.any())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


class _Rule(TorchDispatchMode):
    """Applies the rule of `method` at every ReLU of the backward passes run under it."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method
        self.met = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in _UNDEFINED:
            raise _refusal(self.method, _UNDEFINED[name])
        if name != "threshold_backward":
            return func(*args, **(kwargs or {}))
        gradient, x, threshold = args
        if threshold != 0:
            raise _refusal(self.method, f"a threshold at {threshold:g}")
        self.met = True
        gradient = gradient.clamp(min=0)
        return gradient if self.method == "deconvnet" else func(gradient, x, threshold)


def _inspect(root: Any, method: Method) -> None:
    """Refuse graph nodes that hide their rectifiers; warn of those that may be one in disguise."""
    for node in _nodes(root):
        name = node.name()
        if "DifferentiableGraph" in name or "CompiledFunction" in name or "CudnnRnn" in name:
            raise ParameterError(
                f"{method!r} cannot see the rectifiers inside {name.split('::')[-1]}: pass the "
                "network as it was before torch.jit, torch.compile or cuDNN fused it."
            )
        if _is_late_relu(node, name):
            raise ParameterError(
                f"{method!r} met a ReLU written as {_plain(name)} in code that torch's function "
                "modes do not reach (torch.ops, torch.export, another thread): write it as "
                "torch.relu."
            )
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            if name != "BackwardHookFunctionBackward":  # torch's own, for hooks on modules
                _warn(
                    f"the custom autograd function {name} keeps its own backward under {method!r}."
                )
        elif _is_choice(node, name):
            _warn(
                f"a choice between values ({_plain(name)}) keeps its plain gradient under "
                f"{method!r}: if it is a rectifier, write it as torch.relu."
            )


def _plain(name: str) -> str:
    return name.rstrip("0123456789").removesuffix("Backward")


def _is_late_relu(node: Any, name: str) -> bool:
    """Whether a clamp or maximum with the constant 0 is left, which `_WrittenAsReLU` missed."""
    if _plain(name) in ("Clamp", "ClampMin"):
        return _is_zero(node._saved_min) and getattr(node, "_saved_max", None) is None
    if _plain(name) in ("Maximum", "Fmax") and sum(p is None for p, _ in node.next_functions) == 1:
        other = node._saved_other if node.next_functions[1][0] is None else node._saved_self
        return _is_zero(other)
    return False


def _is_choice(node: Any, name: str) -> bool:
    """Whether a node selects values as `torch.where(x > 0, x, 0)` or `x * (x > 0)` would."""
    operation = _plain(name)
    constants = [parent is None for parent, _ in node.next_functions]
    if operation in ("MaskedFill", "MaskedScatter", "IndexPut", "Maximum", "Minimum"):
        return True
    if operation == "Abs":
        return not node._saved_self.is_complex()  # (x + |x|) / 2; a complex modulus is no choice
    if operation == "Where":
        return any(constants)
    if operation == "Mul" and sum(constants) == 1:
        factor = node._saved_other if constants[1] else node._saved_self
        if isinstance(factor, Tensor) and bool((factor == 0).any()):
            return bool(((factor == 0) | (factor == 1)).all())
    return False


def _nodes(root: Any) -> Iterator[Any]:
    """Every node of the graph under `root`, once."""
    seen = {root}
    stack = [root] if root is not None else []
    while stack:
        node = stack.pop()
        yield node
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)


def _refusal(method: str, activation: str) -> ParameterError:
    return ParameterError(
        f"{method!r} is defined for ReLU only and this network uses {activation}: use "
        "method='gradient', or replace the activation."
    )


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
