"""Controls: is a relevance signal about the network, its training and its classes, or not?

Three kinds of question, and none of them asks how a picture looks.

randomise
    Does relevance change when what the network has learnt is overwritten, all layers from the
    output down (`cascade`) or one alone (`independent`)? `untrained` and `permuted` make the copies
    that have nothing left of it.
compare
    Does it differ between classes (`class_sensitivity`)? `cosine` and `spearman` say by how much
    two signals differ.
intervene
    Does the score fall when what is called relevant is taken away (`deletion`), rise when it is put
    back (`insertion`), and by how much for every piece (`occlusion`)?

Pieces are called units: blocks of samples ("time") or bands of DFT bins ("frequency"), `units` of
them, as equal as they can be, first to last. What is taken away is replaced by 0, the mean of a
standardised window. Arrays and tensors are taken alike; items may have any leading shape.
Source: Adebayo et al. (2018) for the first two; Samek et al. (2017), 10.1109/TNNLS.2016.2599820,
and Petsiuk et al. (2018) for the last. Chapter 9 of the book explains them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from relviz._errors import ParameterError
from relviz.attributions import Attribution, Method, relevance
from relviz.backprop import Target, score, winning

__all__ = [
    "Array",
    "Curve",
    "Domain",
    "Similarity",
    "area",
    "baselines",
    "cascade",
    "class_sensitivity",
    "contribution",
    "cosine",
    "deletion",
    "energy",
    "independent",
    "insertion",
    "keep",
    "layers",
    "occlusion",
    "permuted",
    "randomised",
    "spearman",
    "untrained",
]

Domain = Literal["time", "frequency"]
"""What the units are: blocks of samples or bands of DFT bins."""

Array = ArrayLike | Tensor
"""What is taken: arrays and tensors alike."""

Net = TypeVar("Net", bound=nn.Module)
Similarity = Callable[[Array, Array], NDArray[np.float64]]
"""From two signals, (..., samples), to how alike they are, (...)."""


class Curve(NamedTuple):
    """Scores while units go or come.

    Parameters
    ----------
    fraction : ndarray, (steps + 1,)
        Of the units, from 0 to 1.
    score : ndarray, (..., steps + 1)
        What the network says then.

    Examples
    --------
    >>> import numpy as np
    >>> Curve(np.array([0.0, 0.5, 1.0]), np.array([3.0, 1.0, 0.0])).score[0].item()
    3.0
    """

    fraction: NDArray[np.float64]
    score: NDArray[np.float64]


def layers(net: nn.Module) -> tuple[str, ...]:
    """Return the names of the layers that hold numbers of their own, in order of registration.

    Parameters
    ----------
    net : nn.Module
        For networks built as a sequence, as those of `relviz.networks`, the order is input to
        output.

    Returns
    -------
    tuple of str
        Names of the modules that have parameters, or buffers that a saved network holds (batch
        statistics). A layer with a parametrization (weight norm) is one layer.

    Raises
    ------
    ParameterError
        For what is no nn.Module, and for lazy layers without weights.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> from torch import nn
    >>> layers(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.BatchNorm1d(2)))
    ('0', '2')
    """
    if not isinstance(net, nn.Module):
        raise ParameterError(
            f"net is a {type(net).__name__}, whose layers nobody can list: give the "
            "torch.nn.Module that it calls."
        )
    if any(map(is_lazy, net.parameters())):
        raise ParameterError(
            "the network has lazy layers, which have no weights yet: call it once first."
        )
    return tuple(
        name
        for name, layer in net.named_modules()
        if ".parametrizations" not in f".{name}"
        and (_own(layer) or parametrize.is_parametrized(layer))
    )


def _own(layer: nn.Module) -> dict[str, Tensor]:
    """Parameters and saved buffers of a module itself."""
    kept = {
        name: buffer
        for name, buffer in layer.named_buffers(recurse=False)
        if name not in layer._non_persistent_buffers_set
    }
    return dict(layer.named_parameters(recurse=False)) | kept


def randomised(net: Net, names: Sequence[str], seed: int = 0) -> Net:
    """Return a copy of `net` whose layers `names` have new random weights; `net` stays as it is.

    Parameters
    ----------
    net : nn.Module
        Any network whose layers can draw their weights anew.
    names : sequence of str
        Out of `layers(net)`, or of modules that hold some of them, such as "features".
    seed : int
        The weights are drawn by each layer's `reset_parameters`, and depend on `seed` and the place
        of the layer alone: the same layer gets the same weights, whichever others are drawn. The
        global random state is left as it was.

    Returns
    -------
    nn.Module
        No trained number is left in these layers. Weight norm, spectral norm, pruning and other
        parametrizations are gone from them in the copy, which has plain weights there.

    Raises
    ------
    ParameterError
        For a name without weights, a seed below 0, and a layer that has numbers which its
        `reset_parameters` does not draw.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    >>> other = randomised(net, ["2"], seed=1)
    >>> [bool((a.weight == b.weight).any()) for a, b in ((net[0], other[0]), (net[2], other[2]))]
    [True, False]
    """
    fresh, chosen = _copied(net, names, seed)
    modules = dict(fresh.named_modules())
    for place, name in chosen:
        _redraw(modules[name], name, np.random.SeedSequence([seed, place]))
    return fresh


def _copied(net: Net, names: Sequence[str] | None, seed: int) -> tuple[Net, list[tuple[int, str]]]:
    """A copy of a network, and of which of its layers something is asked: (place, name)."""
    if seed < 0:
        raise ParameterError(f"seed is {seed}: give 0 or more.")
    known = layers(net)
    chosen: set[str] = set(known if names is None else ())
    for name in [names] if isinstance(names, str) else names or ():
        inside = {each for each in known if each == name or each.startswith(f"{name}.")}
        if not inside:
            raise ParameterError(
                f"there is no layer {name!r} with weights: use {', '.join(known)}."
            )
        chosen |= inside
    try:
        fresh = copy.deepcopy(net)
    except RuntimeError as error:  # a weight that a hook computed in the last call, with its graph
        raise ParameterError(
            f"the network cannot be copied ({str(error).split('. ')[0].rstrip('.')}): call it once "
            "under torch.no_grad() first."
        ) from error
    return fresh, [(place, name) for place, name in enumerate(known) if name in chosen]


def _redraw(layer: nn.Module, name: str, seed: np.random.SeedSequence) -> None:
    """Draw all numbers of a layer anew; refuse where one would be left."""
    _make_plain(layer)
    draw = copy.deepcopy(layer).cpu()  # so that the weights do not depend on the device
    own = _own(draw)
    reset: Any = getattr(draw, "reset_parameters", None) or getattr(draw, "_reset_parameters", None)
    if not callable(reset):  # torch's attention has the second name
        raise ParameterError(
            f"layer {name!r} is a {type(layer).__name__}, whose {', '.join(own)} no "
            "reset_parameters draws: give it one, or register a constant buffer with "
            "persistent=False."
        )
    with torch.no_grad():
        for value in own.values():  # whatever still has these values afterwards was not drawn
            value.fill_(float("nan") if value.is_floating_point() else _UNDRAWN)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        reset()
    left = [
        each
        for each, value in _own(draw).items()
        if bool((value.isnan() if value.is_floating_point() else value == _UNDRAWN).any())
    ]
    if left:
        raise ParameterError(
            f"layer {name!r} is a {type(layer).__name__} whose reset_parameters does not draw "
            f"{', '.join(left)}, so trained numbers would be left: let it draw them."
        )
    with torch.no_grad():
        for each, value in _own(layer).items():
            value.copy_(_own(draw)[each])


_UNDRAWN = 101  # fits all integers, and no counter begins here


def _make_plain(layer: nn.Module) -> None:
    """Take weight norm, spectral norm, pruning and parametrizations out, keeping the weight."""
    for hook in [*layer._forward_pre_hooks.values()]:
        if isinstance(hook, WeightNorm):
            nn.utils.remove_weight_norm(layer, hook.name)
        elif isinstance(hook, SpectralNorm):
            nn.utils.remove_spectral_norm(layer, hook.name)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(layer, hook._tensor_name)
    if parametrize.is_parametrized(layer):
        # torch's own removal changes the class, which copies of a parametrized layer share.
        originals = cast("nn.ModuleDict", layer.parametrizations)
        values = {name: (getattr(layer, name), each) for name, each in originals.items()}
        del layer.parametrizations
        layer.__class__ = parametrize.type_before_parametrizations(layer)
        for name, (value, each) in values.items():
            if isinstance(
                getattr(each, "original", getattr(each, "original0", None)), nn.Parameter
            ):
                layer.register_parameter(name, nn.Parameter(value.detach().clone()))
            else:
                layer.register_buffer(name, value.detach().clone())


def untrained(net: Net, seed: int = 0) -> Net:
    """Return a copy of `net` with new random weights in every layer; `net` stays as it is.

    The control that any statement about a trained network should stand beside.

    Parameters
    ----------
    net : nn.Module
        As `randomised` takes it.
    seed : int
        Fixes the weights, as in `randomised`.

    Returns
    -------
    nn.Module
        Nothing trained is left in it.

    Raises
    ------
    ParameterError
        Where `randomised` raises it.

    References
    ----------
    Adebayo et al. (2018), section 3.1.

    Examples
    --------
    >>> from torch import nn
    >>> net = nn.Linear(3, 2)
    >>> bool((untrained(net).weight == net.weight).any())
    False
    """
    return randomised(net, layers(net), seed)


def permuted(
    net: Net,
    names: Sequence[str] | None = None,
    seed: int = 0,
    *,
    sample: Tensor | None = None,
) -> Net:
    """Return a copy of `net` whose weights have changed places, layer by layer; `net` stays.

    A network that knows nothing, and whose weights are distributed as training left them: beside
    `untrained`, it tells what is owed to the size of the weights and what to their order.

    Parameters
    ----------
    net : nn.Module
        Any network; its layers need no `reset_parameters`.
    names : sequence of str, optional
        Which layers, as in `randomised`; default, all.
    seed : int
        Fixes the orders. Each depends on `seed` and the place of the layer alone.
    sample : Tensor, (items, ...), optional
        Inputs, such as windows of speech, on which batch normalisation measures its means and
        variances anew. Without it they stay as training left them, for signals that no longer
        occur, and such a copy may be sick: chapter 13 of the book shows one.

    Returns
    -------
    nn.Module
        Each of its parameters holds the numbers of the original in a random order, so that their
        sum, their variance and all other moments are the same. A parameter of one number, and what
        is no parameter, stay as they are. Weight norm, spectral norm, pruning and other
        parametrizations are gone, as in `randomised`: the weights that they made are permuted.

    Raises
    ------
    ParameterError
        For a name without weights, a seed below 0, and a sample from which no variance can be
        taken.

    Notes
    -----
    Explained in chapter 13 of the book.

    References
    ----------
    Adebayo et al. (2018), section 3, whose randomisation draws new weights; the permutation is
    that of permutation tests.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 2))
    >>> other = permuted(net, seed=1)
    >>> bool((other[0].weight == net[0].weight).all())
    False
    >>> torch.equal(other[0].weight.flatten().sort()[0], net[0].weight.flatten().sort()[0])
    True
    """
    fresh, chosen = _copied(net, names, seed)
    modules = dict(fresh.named_modules())
    for place, name in chosen:
        layer = modules[name]
        _make_plain(layer)
        rng = np.random.default_rng([seed, place])
        with torch.no_grad():
            for value in layer.parameters(recurse=False):
                order = torch.from_numpy(rng.permutation(value.numel())).to(value.device)
                value.copy_(value.flatten()[order].view_as(value))
    if sample is not None:
        _recalibrate(fresh, sample)
    return fresh


def _recalibrate(net: nn.Module, sample: Tensor) -> None:
    """Let batch normalisation measure its statistics on a sample, and nothing else be trained."""
    norms = [
        each
        for each in net.modules()
        if isinstance(each, nn.modules.batchnorm._BatchNorm) and each.track_running_stats
    ]
    before = [(each, each.training) for each in net.modules()]
    momenta = [each.momentum for each in norms]
    net.eval()
    for each in norms:
        each.reset_running_stats()
        each.momentum = None  # the plain mean of what is seen
        each.training = True
    try:
        with torch.no_grad():
            net(sample)
    except ValueError as error:  # of torch, for one value a channel
        raise ParameterError(
            f"a sample of shape {tuple(sample.shape)} has no variance to measure ({error}): give "
            "more items."
        ) from error
    for each, momentum in zip(norms, momenta, strict=True):
        each.momentum = momentum
    for module, training in before:
        module.training = training


def cascade(
    net: Net, seed: int = 0, how: Callable[[Net, Sequence[str], int], Net] = randomised
) -> Iterator[tuple[str, Net]]:
    """Yield a copy for every layer, output first: it and all above it have random weights.

    Parameters
    ----------
    net : nn.Module
        As `randomised` takes it.
    seed : int
        Fixes the weights, as in `randomised`.
    how : callable
        `randomised` or `permuted`: what becomes of the layers that were reached.

    Yields
    ------
    name : str
        The layer that was reached.
    copy : nn.Module
        The last one has nothing left of `net`; of `permuted`, nothing in its place.

    Raises
    ------
    ParameterError
        Where `randomised` raises it.

    Notes
    -----
    Explained in chapter 9 of the book.

    References
    ----------
    Adebayo et al. (2018), section 3.1, cascading randomisation.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> [name for name, _ in cascade(net)]
    ['2', '0']
    """
    names = layers(net)
    for i in reversed(range(len(names))):
        yield names[i], how(net, names[i:], seed)


def independent(
    net: Net, seed: int = 0, how: Callable[[Net, Sequence[str], int], Net] = randomised
) -> Iterator[tuple[str, Net]]:
    """Yield a copy for every layer, output first: it alone has random weights.

    Parameters
    ----------
    net : nn.Module
        As `randomised` takes it.
    seed : int
        Fixes the weights, which are those that `cascade` draws.
    how : callable
        As in `cascade`.

    Yields
    ------
    name : str
        The layer that was reached.
    copy : nn.Module
        All its other layers are those of `net`.

    Raises
    ------
    ParameterError
        Where `randomised` raises it.

    Notes
    -----
    Explained in chapter 9 of the book.

    References
    ----------
    Adebayo et al. (2018), section 3.2, independent randomisation.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> copies = dict(independent(net))
    >>> torch.equal(copies["2"][0].weight, net[0].weight)
    True
    """
    for name in reversed(layers(net)):
        yield name, how(net, [name], seed)


def cosine(a: Array, b: Array) -> NDArray[np.float64]:
    """Return the cosine of the angle between signals, from -1 to 1.

    Parameters
    ----------
    a, b : array_like or Tensor, (..., n)
        Of one length along the last axis.

    Returns
    -------
    ndarray, (...)
        NaN where a signal is zero throughout.

    Raises
    ------
    ParameterError
        For shapes that cannot be compared.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> cosine([[1.0, 0.0], [1.0, 1.0]], [1.0, 1.0]).round(3)
    array([0.707, 1.   ])
    """
    first, second = _pair(a, b)
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    products = np.sum(first * second, axis=-1)
    return np.divide(products, lengths, out=np.full(lengths.shape, np.nan), where=lengths > 0)


def spearman(a: Array, b: Array) -> NDArray[np.float64]:
    """Return the rank correlation of signals, from -1 to 1; equal values share ranks.

    Parameters
    ----------
    a, b : array_like or Tensor, (..., n)
        Of one length along the last axis.

    Returns
    -------
    ndarray, (...)
        NaN where a signal is constant.

    Raises
    ------
    ParameterError
        For shapes that cannot be compared.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> spearman([1.0, 2.0, 9.0], [[0.0, 1.0, 2.0], [5.0, 3.0, 1.0]]).round(3)
    array([ 1., -1.])
    """
    ranks = [stats.rankdata(signal, axis=-1) for signal in _pair(a, b)]
    centred = [rank - (rank.shape[-1] + 1) / 2 for rank in ranks]
    return cosine(*centred)


def _pair(a: Array, b: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = _array(a), _array(b)
    if first.ndim == 0 or second.ndim == 0 or first.shape[-1] != second.shape[-1]:
        raise ParameterError(
            f"shapes {first.shape} and {second.shape} cannot be compared: give signals of one "
            "length along the last axis."
        )
    first, second = np.broadcast_arrays(first, second)
    return first, second


def class_sensitivity(
    net: Callable[[Tensor], Any],
    x: Tensor,
    targets: Sequence[int],
    method: Method | Attribution = "guided",
    similarity: Similarity = cosine,
) -> NDArray[np.float64]:
    """Return how alike the relevances of several classes are for the same input.

    Parameters
    ----------
    net : callable
        As `relviz.relevance` takes it.
    x : Tensor, (..., samples)
        As `relviz.relevance` takes it.
    targets : sequence of int
        Classes, two or more.
    method : str or callable
        As in `relviz.relevance`.
    similarity : callable
        Of two signals, such as `cosine` or `spearman`.

    Returns
    -------
    ndarray, (..., targets, targets)
        Where all entries are near 1, relevance does not say which class is being explained.

    Raises
    ------
    ParameterError
        For fewer than two targets and for what `relviz.relevance` refuses.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> net = nn.Linear(2, 3, bias=False)
    >>> net.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> class_sensitivity(net, torch.ones(2), [0, 1, 2], "gradient")
    array([[1., 0., 1.],
           [0., 1., 0.],
           [1., 0., 1.]])
    """
    if len(targets) < 2:
        raise ParameterError(f"targets has {len(targets)} classes: give two or more to compare.")
    maps = torch.stack([relevance(net, x, int(target), method) for target in targets], dim=-2)
    return similarity(maps.unsqueeze(-2), maps.unsqueeze(-3))


def energy(signal: Array, units: int, domain: Domain = "time") -> NDArray[np.float64]:
    """Return the energy of a signal in every unit, its squares summed.

    Parameters
    ----------
    signal : array_like or Tensor, (..., samples)
        Of a relevance signal, energy is how much of it lies where; of the input, it is the baseline
        that knows nothing of any network.
    units : int
        How many pieces.
    domain : {"time", "frequency"}
        Whether they are blocks of samples or bands of DFT bins.

    Returns
    -------
    ndarray, (..., units)
        In frequency the squares are those of the one-sided spectrum, scaled so that the units sum
        to the energy of the signal in both domains (Parseval).

    Raises
    ------
    ParameterError
        For a number of units that there cannot be, and for an unknown domain.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> energy([1.0, 2.0, 0.0, 3.0], units=2)
    array([5., 9.])
    >>> energy([1.0, 2.0, 0.0, 3.0], units=2, domain="frequency").sum().item()
    14.0
    """
    values = _array(signal)
    return contribution(values, values, units, domain)


def contribution(x: Array, f: Array, units: int, domain: Domain = "time") -> NDArray[np.float64]:
    """Return the first-order contribution of every unit of x to the score.

    Parameters
    ----------
    x, f : array_like or Tensor, (..., samples)
        Input and gradient.
    units : int
        How many pieces.
    domain : {"time", "frequency"}
        Whether they are blocks of samples or bands of DFT bins.

    Returns
    -------
    ndarray, (..., units)
        The sum of f[n] x[n] over a block, or of Re(conj(F[k]) X[k]) c[k] / N over a band (c = 1 at
        DC and Nyquist, else 2). It is what a linear network's score loses when the unit is taken
        away; the units sum to that of all samples.

    Raises
    ------
    ParameterError
        For shapes that do not fit, a number of units that there cannot be, and an unknown domain.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> contribution([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 0.0, 1.0], units=2)
    array([1., 4.])
    """
    first, second = _pair(x, f)
    n = first.shape[-1]
    edges = _edges(n, units, domain)
    if domain == "frequency":
        spectra = np.fft.rfft(first), np.fft.rfft(second)
        products = 2 * (spectra[0] * spectra[1].conj()).real / n
        products[..., 0] /= 2
        if n % 2 == 0:
            products[..., -1] /= 2
    else:
        products = first * second
    return np.add.reduceat(products, edges[:-1], axis=-1)


def baselines(
    x: Array, units: int, domain: Domain = "time", seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """Return importances that know nothing of the network.

    Parameters
    ----------
    x : array_like or Tensor, (..., samples)
        The input.
    units : int
        How many pieces.
    domain : {"time", "frequency"}
        Whether they are blocks of samples or bands of DFT bins.
    seed : int
        Of what is drawn.

    Returns
    -------
    dict of str to ndarray, (..., units)
        "random" and "energy". What ranks units worse than these has not been shown to explain
        anything.

    Raises
    ------
    ParameterError
        As in `energy`.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> baselines([1.0, 2.0, 0.0, 3.0], units=2)["energy"]
    array([5., 9.])
    """
    loud = energy(x, units, domain)
    return {"random": np.random.default_rng(seed).random(loud.shape), "energy": loud}


def keep(x: Tensor, kept: Array, domain: Domain = "time") -> Tensor:
    """Return x with only the units that are kept, 0 in place of the others.

    Parameters
    ----------
    x : Tensor, (..., samples)
        The input.
    kept : array_like or Tensor, (..., units), bool
        Broadcast against the leading shape of x.
    domain : {"time", "frequency"}
        In frequency the bins of a band are set to 0, a filter without phase.

    Returns
    -------
    Tensor, (..., samples)
        Of the dtype of x.

    Raises
    ------
    ParameterError
        For more units than there are pieces, and for an unknown domain.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> keep(torch.arange(1.0, 7.0), [True, False, True])
    tensor([1., 2., 0., 0., 5., 6.])
    """
    flags = kept if isinstance(kept, Tensor) else torch.from_numpy(np.array(kept, dtype=bool))
    mask = flags.to(x.device, torch.bool)
    bins = x.shape[-1] if domain == "time" else x.shape[-1] // 2 + 1
    widths = np.diff(_edges(x.shape[-1], mask.shape[-1], domain))
    fine = mask.repeat_interleave(torch.from_numpy(widths).to(x.device), dim=-1, output_size=bins)
    if domain == "time":
        return x * fine
    return torch.fft.irfft(torch.fft.rfft(x) * fine, n=x.shape[-1])


def deletion(
    net: Callable[[Tensor], Any],
    x: Tensor,
    importance: Array,
    target: Target = None,
    domain: Domain = "time",
    *,
    steps: int | None = None,
    batch_size: int = 256,
) -> Curve:
    """Return the score of a target while units of x are taken away, the most important first.

    Parameters
    ----------
    net : callable
        Any torch callable from (batch, samples) to (batch, classes) scores or probabilities.
    x : Tensor, (..., samples)
        The input.
    importance : array_like or Tensor, (..., units)
        Such as `energy` of a relevance signal, `contribution`, or one of `baselines`; among equals
        the first unit goes first.
    target : None, int or Tensor
        A class, an integer tensor of the leading shape of x, or None for the winning class of x.
    domain : {"time", "frequency"}
        Whether the units are blocks of samples or bands of DFT bins.
    steps : int, optional
        Points of the curve after the first; None for one a unit.
    batch_size : int
        Inputs at a time.

    Returns
    -------
    Curve
        Over the fraction of units taken away: the sooner the score falls, the more of it hung on
        what was called important.

    Raises
    ------
    ParameterError
        For shapes that do not fit, for NaN, and for steps that are not from 1 to units.

    Notes
    -----
    Explained in chapter 9 of the book.

    References
    ----------
    Samek et al. (2017), section III; Petsiuk et al. (2018), section 3.

    Examples
    --------
    >>> net = nn.Linear(4, 1, bias=False)
    >>> net.weight.data = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
    >>> deletion(net, torch.ones(4), importance=[1.0, 2.0]).score
    array([12.,  2.,  0.])
    """
    return _curve(net, x, importance, target, domain, steps, batch_size, insert=False)


def insertion(
    net: Callable[[Tensor], Any],
    x: Tensor,
    importance: Array,
    target: Target = None,
    domain: Domain = "time",
    *,
    steps: int | None = None,
    batch_size: int = 256,
) -> Curve:
    """Return the score of a target while units of x are put into silence, the most important first.

    Parameters
    ----------
    net, x, importance, target, domain, steps, batch_size
        As in `deletion`.

    Returns
    -------
    Curve
        Over the fraction of units put in; the sooner it rises, the more of the score the important
        units carry on their own.

    Raises
    ------
    ParameterError
        As in `deletion`.

    Notes
    -----
    Explained in chapter 9 of the book.

    References
    ----------
    Petsiuk et al. (2018), section 3.

    Examples
    --------
    >>> net = nn.Linear(4, 1, bias=False)
    >>> net.weight.data = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
    >>> insertion(net, torch.ones(4), importance=[1.0, 2.0]).score
    array([ 0., 10., 12.])
    """
    return _curve(net, x, importance, target, domain, steps, batch_size, insert=True)


def _curve(
    net: Callable[[Tensor], Any],
    x: Tensor,
    importance: Array,
    target: Target,
    domain: Domain,
    steps: int | None,
    batch_size: int,
    insert: bool,
) -> Curve:
    order = _array(importance)
    if order.ndim == 0 or order.shape[:-1] != x.shape[:-1]:
        raise ParameterError(
            f"importance has shape {order.shape} and x {tuple(x.shape)}: give one row of units for "
            "each item."
        )
    if not np.isfinite(order).all():
        raise ParameterError("importance holds NaN or infinite values: they have no rank.")
    units = order.shape[-1]
    count = units if steps is None else steps
    if not 1 <= count <= units:
        raise ParameterError(f"steps is {count}: give a number from 1 to the {units} units.")
    ranks = np.argsort(np.argsort(-order, axis=-1, kind="stable"), axis=-1)
    taken = np.arange(count + 1) * units // count
    touched = ranks[..., None, :] < taken[:, None]  # (..., steps + 1, units)
    scores = _scores(net, x, touched if insert else ~touched, target, domain, batch_size)
    return Curve(taken / units, scores)


def area(curve: Curve) -> NDArray[np.float64]:
    """Return the area under every curve: for deletion lower, for insertion higher is better.

    Parameters
    ----------
    curve : Curve
        Of `deletion` or `insertion`.

    Returns
    -------
    ndarray, (...)
        By the trapezoidal rule.

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> import numpy as np
    >>> area(Curve(np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.0]))).item()
    0.5
    """
    return np.asarray(np.trapezoid(curve.score, curve.fraction, axis=-1))


def occlusion(
    net: Callable[[Tensor], Any],
    x: Tensor,
    units: int,
    target: Target = None,
    domain: Domain = "time",
    *,
    batch_size: int = 256,
) -> NDArray[np.float64]:
    """Return what the score of a target loses when one unit is taken away, for each unit.

    Parameters
    ----------
    net, x, target, domain, batch_size
        As in `deletion`.
    units : int
        How many pieces.

    Returns
    -------
    ndarray, (..., units)
        No gradient is involved, so relevance can be compared with it.

    Raises
    ------
    ParameterError
        For a number of units that there cannot be, an unknown domain, and a target that
        does not fit.

    Notes
    -----
    Explained in chapter 9 of the book.

    References
    ----------
    Zeiler and Fergus (2014), section 4.2.

    Examples
    --------
    >>> net = nn.Linear(4, 1, bias=False)
    >>> net.weight.data = torch.tensor([[1.0, 1.0, 5.0, 5.0]])
    >>> occlusion(net, torch.ones(4), units=2)
    array([ 2., 10.])
    """
    _edges(x.shape[-1], units, domain)
    kept = np.concatenate([np.ones((1, units), dtype=bool), ~np.eye(units, dtype=bool)])
    kept = np.broadcast_to(kept, (*x.shape[:-1], *kept.shape))
    scores = _scores(net, x, kept, target, domain, batch_size)
    return scores[..., :1] - scores[..., 1:]


def _scores(
    net: Callable[[Tensor], Any],
    x: Tensor,
    kept: NDArray[np.bool_],
    target: Target,
    domain: Domain,
    batch_size: int,
) -> NDArray[np.float64]:
    """Score of every item under every mask, (..., masks), for masks (..., masks, units)."""
    items, masks = x.shape[:-1], kept.shape[-2]
    flat, rows = x.reshape(-1, x.shape[-1]), kept.reshape(-1, masks, kept.shape[-1])
    if isinstance(target, Tensor):
        if target.shape[: len(items)] != items:
            raise ParameterError(
                f"target has shape {tuple(target.shape)}: give one class for each item, shape "
                f"{tuple(items)}."
            )
        fixed: Target = target.reshape(len(flat), *target.shape[len(items) :])
    else:
        fixed = winning(net, flat, target)
    found = []
    for number, (item, mask) in enumerate(zip(flat, rows, strict=True)):
        for i in range(0, masks, batch_size):
            some = keep(item, mask[i : i + batch_size], domain)
            wanted: Target = fixed
            if isinstance(fixed, Tensor):
                wanted = fixed[number].expand(len(some), *fixed[number].shape)
            found.append(score(net, some, wanted).double().cpu().numpy())
    return np.concatenate(found).reshape(*items, masks)


def _edges(samples: int, units: int, domain: str) -> NDArray[np.int64]:
    """Where units begin and end: (units + 1,) indices of samples, or of DFT bins."""
    if domain not in get_args(Domain):
        raise ParameterError(f"domain {domain!r} is unknown: use time or frequency.")
    size = samples if domain == "time" else samples // 2 + 1
    if not 1 <= units <= size:
        raise ParameterError(f"units is {units}: give a number from 1 to {size}.")
    return np.arange(units + 1) * size // units


def _array(signal: Array) -> NDArray[np.float64]:
    if isinstance(signal, Tensor):
        signal = signal.detach().cpu().numpy()
    return np.asarray(signal, dtype=np.float64)
