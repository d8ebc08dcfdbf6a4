"""Relevance signals: the relevance of a whole utterance, window by window, overlap-added.

A network hears one window at a time (250 or 500 ms). Its relevance is written back on a grid: a
first convolution with stride 10 makes every tenth sample a special one, and poolings with stride 3
make coarser grids on top. A signal that is modulated by a grid of period P carries images of its
spectrum around every multiple of sample_rate / P (1600 Hz and multiples for P = 10 at 16 kHz),
and these images are not relevance: they are aliasing. Windows that are shifted by steps that are
not multiples of P put the grid at every phase in turn, so that the sum over windows keeps the
signal and cancels the images. Hence the default hop of 97 samples, a prime.
"""

from __future__ import annotations

import numbers
import os
import time
import warnings
from collections.abc import Callable, Iterator
from math import gcd
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from relviz import _engine, _targets, audio, tasks
from relviz._errors import ParameterError, RelvizError
from relviz._layers import of_itself
from relviz.attributions import Attribution, Method, relevance
from relviz.backprop import Rule, Target

__all__ = [
    "Normalise",
    "Scale",
    "batches",
    "check_rate",
    "forecast",
    "log_posteriors",
    "network_rate",
    "network_window",
    "normalisation",
    "relevance_blocks",
    "relevance_signal",
    "standardise",
    "stride",
]

Normalise = Literal["window", "utterance", "none"]
"""What a window goes through before the network."""

Item = TypeVar("Item")

_STRETCH = 480_000
"""Samples of a recording that are looked at or handed on at a time: half a minute."""

LONG = 10.0
"""Seconds that nobody should wait without being told."""

_FEW = 8
"""Windows that are asked for without asking first how long they take."""

_SURE = 0.5
"""Seconds that a trial lasts from which the time of all windows is told."""

_IN_CACHE = 65_536
"""Samples of windows whose float64 stay in a processor's cache."""

Scale = Literal["rms", "none"]
"""What becomes of the relevance of each window."""


def relevance_signal(
    net: Callable[[Tensor], Any],
    wave: ArrayLike,
    hop_length: int = 97,
    *,
    sample_rate: float | None = None,
    target: Target = None,
    method: Method | Attribution = "guided",
    window: int | None = None,
    normalise: Normalise | None = None,
    scale: Scale = "rms",
    centres: tuple[int, int] | None = None,
    batch_size: int = 64,
    progress: bool | None = None,
) -> NDArray[np.float64]:
    """Return the relevance of every sample of an utterance, averaged over shifted windows.

    Parameters
    ----------
    net : callable
        From (batch, window) samples to scores; see `relviz.relevance`.
    wave : array_like, (samples,)
        Floating point, at the rate the network was trained on.
    hop_length : int
        Samples between windows; it should share no factor with the network's stride.
    sample_rate : float, optional
        Of the wave, in Hz, to be sure that the network hears at it: see `check_rate`.
    target : None, int, str, tuple or callable
        As in `relviz.relevance` (None: the winning class of each window); not a tensor.
    method : str or callable
        As in `relviz.relevance`, another library's too.
    window : int, optional
        Samples the network hears; None takes `net.window`.
    normalise : {"window", "utterance", "none"}, optional
        What each window goes through before the network: zero mean and unit variance in each
        window, over all of `wave`, or nothing. None follows `net.metadata.normalise`, and takes
        "window" for a network that does not say.
    scale : {"rms", "none"}
        "rms" gives every window's relevance unit RMS, so that no window speaks louder because its
        score is steeper; "none" leaves the gradients as they are.
    centres : tuple of int, optional
        (first, last), both in samples and included: only windows centred there are used, from
        `first` on; None covers the utterance. A single window is `centres=(c, c)`. Who says where
        windows lie may give a word that is shorter than one: it then stands between zeros.
    batch_size : int
        Windows at a time.
    progress : bool, optional
        Show a bar; None shows one where a few windows of noise, tried first, say that all will take
        over ten seconds. The bar says at its start how long, as `forecast` finds it.

    Returns
    -------
    ndarray, (samples,), float64
        Each sample's sum divided by the number of windows that cover it, 0 where none does. Windows
        that reach over the ends are filled with zeros.

    Raises
    ------
    ParameterError
        For parameters that cannot be right, a rate that is not the network's, and for relevance
        that is NaN or infinite.
    AudioError
        For a wave that is silent, not finite, or shorter than a window without `centres`.

    Warns
    -----
    UserWarning
        For a hop_length that shares a factor with the network's stride.

    Notes
    -----
    Explained in chapter 4 of the book.

    References
    ----------
    Muckenhirn et al. (2019), section 3.2 (of one input; how it treats utterances it does not say);
    the average over shifts is ours.

    Examples
    --------
    >>> import numpy as np, relviz
    >>> wave = np.random.default_rng(0).standard_normal(8000)
    >>> relviz.relevance_signal(relviz.load("phones"), wave, hop_length=997).shape
    (8000,)
    """
    blocks = _begun(
        net,
        wave,
        hop_length,
        sample_rate,
        target,
        method,
        window,
        normalise,
        scale,
        centres,
        batch_size,
        progress,
    )
    return np.concatenate([block for _, block in blocks])


def relevance_blocks(
    net: Callable[[Tensor], Any],
    wave: NDArray,
    hop_length: int = 97,
    *,
    sample_rate: float | None = None,
    target: Target = None,
    method: Method | Attribution = "guided",
    window: int | None = None,
    normalise: Normalise | None = None,
    scale: Scale = "rms",
    centres: tuple[int, int] | None = None,
    batch_size: int = 64,
    progress: bool | None = None,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the relevance signal of an utterance in blocks, so that an hour takes little memory.

    Parameters
    ----------
    net : callable
        As in `relevance_signal`.
    wave : ndarray, (samples,)
        Floating point. Only slices are read, one after another: it may be a memory-mapped file.
    hop_length, sample_rate, target, method, window, normalise, scale, centres, batch_size, progress
        As in `relevance_signal`.

    Yields
    ------
    begin : int
        The sample at which the block begins.
    block : ndarray, (some,), float64
        Its relevance. Blocks follow each other without a gap, and together they are the signal
        that `relevance_signal` returns.

    Raises
    ------
    ParameterError, AudioError
        As `relevance_signal` does, before the first block where the cause is seen by then.

    Warns
    -----
    UserWarning
        As in `relevance_signal`.

    Examples
    --------
    >>> import numpy as np, relviz
    >>> from relviz.signals import relevance_blocks
    >>> wave = np.random.default_rng(0).standard_normal(8000)
    >>> blocks = relevance_blocks(relviz.load("phones"), wave, hop_length=997)
    >>> sum(len(block) for _, block in blocks)
    8000
    """
    return _begun(
        net,
        wave,
        hop_length,
        sample_rate,
        target,
        method,
        window,
        normalise,
        scale,
        centres,
        batch_size,
        progress,
    )


def _begun(
    net: Callable[[Tensor], Any],
    wave: ArrayLike,
    hop_length: int,
    sample_rate: float | None,
    target: Target,
    method: Method | Attribution,
    window: int | None,
    normalise: Normalise | None,
    scale: Scale,
    centres: tuple[int, int] | None,
    batch_size: int,
    progress: bool | None,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Refuse what cannot be right, warn of aliasing where the user calls, and begin."""
    length, how = network_window(net, window), normalisation(net, normalise)
    heard = _checked(wave, length if centres is None else 1, how)
    if sample_rate is not None:
        check_rate(net, sample_rate)
    if not isinstance(hop_length, (int, np.integer)) or hop_length < 1:
        raise ParameterError(
            f"hop_length is {hop_length!r}: give a whole number of samples, 1 or more."
        )
    if scale not in get_args(Scale):
        raise ParameterError(f"scale {scale!r} is unknown: use rms or none.")
    if isinstance(target, Tensor):
        raise ParameterError(
            "target is a tensor: give one class for all windows, None or a function."
        )
    _check_batch(batch_size)
    first, last = centres if centres is not None else (0, len(heard) - 1)
    if not 0 <= first <= last < len(heard):
        raise ParameterError(
            f"centres {(first, last)} do not lie in order within the {len(heard)} samples."
        )
    if first + hop_length <= last:
        _warn_aliasing(net, int(hop_length))
    starts = np.arange(first, last + 1, hop_length) - length // 2

    def relevances() -> Iterator[tuple[slice, Tensor]]:
        for some in _engine.parts(len(starts), batch_size):
            windows = _windows(net, heard, starts[some], length, how)
            rows = None if windows.device.type == "cpu" else _queued(net, windows, target, method)
            yield some, _relevance(net, windows, target, method) if rows is None else rows

    seconds = None
    if progress is not False and len(starts) > _FEW:
        count = len(starts)
        seconds = forecast(net, count, target, method, window=length, batch_size=batch_size)
    rows = _bar(relevances(), lambda each: len(each[1]), len(starts), progress, seconds)
    return _averaged(rows, starts, length, len(heard), scale)


class _Heard:
    """A recording in slices of float32, as a network hears it: standardised, if need be."""

    def __init__(self, wave: NDArray, mean: float = 0.0, deviation: float = 1.0) -> None:
        self.wave, self.mean, self.deviation = wave, mean, deviation
        self.dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.wave)

    def __getitem__(self, some: slice) -> NDArray[np.float32]:
        part = np.asarray(self.wave[some])
        if (self.mean, self.deviation) != (0.0, 1.0):
            part = (part - np.float64(self.mean)) / np.float64(self.deviation)
        return part.astype(np.float32, copy=False)


def _checked(wave: ArrayLike, length: int, how: Normalise) -> _Heard:
    """Look at all of a recording, a stretch at a time, and refuse what `audio.check` refuses."""
    array = np.asanyarray(wave)
    if array.ndim != 1 or len(array) <= _STRETCH or not np.issubdtype(array.dtype, np.floating):
        array = audio.check(array, minimum=length)
    stretches = [slice(i, i + _STRETCH) for i in range(0, len(array), _STRETCH)]
    lowest, highest, total, squares = np.inf, -np.inf, 0.0, 0.0
    for some in stretches:
        part = array[some].astype(np.float64)
        lowest, highest = min(lowest, part.min()), max(highest, part.max())
        total += part.sum()
    if not np.isfinite(total) or lowest == highest:
        audio.check(array, minimum=length)  # says it in its words
    if how != "utterance":
        return _Heard(array)
    mean = total / len(array)
    for some in stretches:
        squares += np.square(array[some].astype(np.float64) - mean).sum()
    return _Heard(array, mean, np.sqrt(squares / len(array)))


def _relevance(
    net: Callable[[Tensor], Any], windows: Tensor, target: Target, method: Method | Attribution
) -> Tensor:
    try:
        return relevance(net, windows, target, method)
    except Exception as error:
        _refuse_misfit(net, windows, error)
        raise


def _queued(
    net: Callable[[Tensor], Any], windows: Tensor, target: Target, method: Method | Attribution
) -> Tensor | None:
    """Relevance that a GPU may still compute while others are asked for; None for what cannot.

    It is NaN where a score is no number. Nobody looks at it here: the sums will tell.
    """
    choice = _targets.choice(target, net, windows.shape[:-1], finite=False)
    if choice is None or method not in get_args(Rule):
        return None
    chosen: list[Tensor] = []

    def choose(scores: Tensor, some: slice) -> Tensor:
        index = choice(scores, some)
        chosen.append(scores.gather(-1, index.unsqueeze(-1)))
        return index

    rows = _engine.relevance(net, windows, choose, str(method))
    # the way back knows masks and weights alone, and may be finite where the score is not
    return None if rows is None else rows + 0 * torch.cat(chosen)


def _averaged(
    found: Iterator[tuple[slice, Tensor]],
    starts: NDArray[np.int64],
    length: int,
    samples: int,
    scale: Scale,
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Overlap-add rows, and hand on what no later window reaches, divided by what covers it."""
    origin, done = min(0, int(starts[0])), 0
    total = torch.zeros(0, dtype=torch.float64)
    for some, rows in found:
        begin = int(starts[some][0])
        ready = min(begin, samples) - origin
        if ready >= _STRETCH:
            yield done, _mean(total[:ready], origin, starts, length)[done - origin :]
            total, origin = total[ready:], origin + ready
            done = origin
        missing = int(starts[some][-1]) + length - origin - len(total)
        total = torch.cat([total.to(rows.device), total.new_zeros(missing, device=rows.device)])
        places = starts[some] - origin
        for few in _engine.parts(len(rows), _together(rows)):
            _overlap_add(total, rows[few].double(), places[few], scale)
    rest = torch.cat([total, total.new_zeros(max(0, samples - origin - len(total)))])
    yield done, _mean(rest[: samples - origin], origin, starts, length)[done - origin :]


def _together(rows: Tensor) -> int:
    """How many rows at a time stay in a processor's cache in float64; on a GPU, all."""
    return max(1, _IN_CACHE // rows.shape[-1] if rows.device.type == "cpu" else len(rows))


def _overlap_add(total: Tensor, rows: Tensor, places: NDArray[np.int64], scale: Scale) -> None:
    rms = torch.linalg.vector_norm(rows, dim=-1) / rows.shape[-1] ** 0.5
    factors = torch.where((rms > 0) & (scale == "rms"), 1 / rms, 1.0)
    if rows.device.type == "cpu":
        for place, row, factor in zip(places.tolist(), rows, factors.tolist(), strict=True):
            total[place : place + len(row)].add_(row, alpha=factor)
    else:
        within = torch.arange(rows.shape[1], device=rows.device)
        where = _sent(places, rows.device)[:, None] + within
        total.index_add_(0, where.flatten(), (rows * factors[:, None]).flatten())


def _mean(
    total: Tensor, origin: int, starts: NDArray[np.int64], length: int
) -> NDArray[np.float64]:
    """Divide by how many windows cover each sample; 0 where none does."""
    sums = total.cpu().numpy()
    if not np.isfinite(sums).all():
        raise ParameterError(
            "the network's score or its relevance is NaN or infinite: look at its weights and the "
            "input."
        )
    sample = np.arange(origin, origin + len(sums))
    count = np.searchsorted(starts, sample, side="right") - np.searchsorted(
        starts, sample - length, side="right"
    )
    return np.divide(sums, count, out=np.zeros_like(sums), where=count > 0)


def batches(
    net: object,
    wave: NDArray,
    starts: NDArray[np.int64],
    *,
    window: int | None = None,
    normalise: Normalise | None = None,
    batch_size: int = 64,
    progress: bool | None = False,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Yield the windows of an utterance as a network hears them, some at a time.

    Parameters
    ----------
    net : callable
        Whose windows these are: it says their length, normalisation, dtype and device.
    wave : ndarray, (samples,)
        The utterance, as `relviz.audio.check` gives it.
    starts : ndarray, (windows,), int
        Where windows begin, in samples; beyond the ends there are zeros.
    window, normalise, batch_size, progress
        As in `relevance_signal`.

    Yields
    ------
    starts : ndarray, (some,), int
        Where these windows begin.
    windows : Tensor, (some, window)
        Standardised, of the dtype and device of the network's parameters.

    Examples
    --------
    >>> import numpy as np
    >>> wave = np.arange(10, dtype=np.float32)
    >>> [x.shape for _, x in batches(None, wave, np.array([0, 3, 6]), window=4, batch_size=2)]
    [torch.Size([2, 4]), torch.Size([1, 4])]
    """
    length, how = network_window(net, window), normalisation(net, normalise)
    _check_batch(batch_size)
    heard = _checked(wave, 1, how) if how == "utterance" else _Heard(wave)
    parts = [starts[some] for some in _engine.parts(len(starts), batch_size)]
    for part in _bar(iter(parts), len, len(starts), progress):
        yield part, _windows(net, heard, part, length, how)


def log_posteriors(net: Callable[[Tensor], Any], windows: Tensor) -> NDArray[np.float64]:
    """Return what a network says of windows, without a graph.

    Parameters
    ----------
    net : callable
        From (batch, window) samples to scores, (batch, classes), or, of a network that decides
        frame by frame, (batch, frames, classes), of which the middle frame counts.
    windows : Tensor, (batch, window)
        As `batches` gives them.

    Returns
    -------
    ndarray, (batch, classes)
        Logarithms of probabilities that add up to 1.

    Raises
    ------
    ParameterError
        For a network that returns something else.

    Examples
    --------
    >>> import torch
    >>> log_posteriors(lambda x: x, torch.zeros(1, 2)).round(3)
    array([[-0.693, -0.693]])
    """
    try:
        scores = _engine.call(net, windows)
    except Exception as error:
        _refuse_misfit(net, windows, error)
        raise
    if not isinstance(scores, Tensor) or scores.ndim not in (2, 3) or len(scores) != len(windows):
        kind = "scores" if isinstance(scores, Tensor) else f"a {type(scores).__name__}"
        shape = f" of shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else ""
        raise ParameterError(
            f"the network returns {kind}{shape} for {len(windows)} windows: wrap it, so that it "
            "returns scores, (batch, classes) or (batch, frames, classes), as "
            "relviz.networks.Described does."
        )
    if scores.ndim == 3:
        scores = scores[:, scores.shape[1] // 2]
    return scores.double().log_softmax(-1).cpu().numpy()


def _refuse_misfit(net: Callable[[Tensor], Any], windows: Tensor, error: Exception) -> None:
    """Refuse a network that fails on (batch, samples) and takes (batch, 1, samples)."""
    some = windows[:1].expand(3, -1)
    if isinstance(error, RelvizError) or _takes(net, some) or not _takes(net, some[:, None]):
        return
    raise ParameterError(
        "the network takes (batch, 1, samples) and is given (batch, samples): wrap it as "
        "relviz.networks.Described(net, channel=True)."
    ) from error


def _takes(net: Callable[[Tensor], Any], x: Tensor) -> bool:
    with torch.no_grad():
        try:
            net(x)
        except Exception:  # whatever a network does that is given another shape
            return False
    return True


def forecast(
    net: Callable[[Tensor], Any],
    windows: int,
    target: Target = None,
    method: Method | Attribution | None = "guided",
    *,
    window: int | None = None,
    batch_size: int = 64,
) -> float:
    """Return how long the relevance of so many windows will take, by trying it on a few of noise.

    Parameters
    ----------
    net : callable
        As in `relevance_signal`.
    windows : int
        How many will be asked for.
    target, window
        As in `relevance_signal`.
    method : str or callable, optional
        As in `relevance_signal`; None for the decisions alone, without relevance.
    batch_size : int
        Windows at a time. The trials grow towards it, until one has lasted half a second, or tells
        that all will be done in ten.

    Returns
    -------
    float
        Seconds; where it is not more than ten, it may be much less.

    Examples
    --------
    >>> import relviz
    >>> forecast(relviz.load("phones"), windows=40) < 60
    True
    """
    length, size, warm = network_window(net, window), 1, False
    rng = np.random.default_rng(0)
    while True:
        noise = torch.from_numpy(rng.standard_normal((size, length), dtype=np.float32))
        some = noise.to(*_place(net))
        begun = time.monotonic()
        if method is None:
            log_posteriors(net, some)
        else:
            _relevance(net, some, target, method)
        took = time.monotonic() - begun
        seconds = took * windows / size
        if seconds <= LONG or size >= min(batch_size, windows) or (warm and took > _SURE):
            return seconds
        size, warm = (2 * size if warm else 1), True  # the first may be slow as it is the first


def _windows(
    net: object, heard: _Heard, starts: NDArray[np.int64], length: int, how: Normalise
) -> Tensor:
    """Windows as a network hears them, in the dtype and on the device of its parameters."""
    device, dtype = _place(net)
    if device.type == "cpu":
        windows = torch.from_numpy(audio.frame(cast("NDArray", heard), length, starts))
    else:
        windows = _cut_there(heard, starts, length, device)
    if how == "window":
        windows = standardise(windows)
    return windows.to(dtype)


def _cut_there(
    heard: _Heard, starts: NDArray[np.int64], length: int, device: torch.device
) -> Tensor:
    """Windows cut on a device, to which a stretch is sent once, not each window that lies in it."""
    starts = np.asarray(starts, dtype=np.int64)
    first = int(starts.min())
    stretch = audio.cut(cast("NDArray", heard), first, int(starts.max()) + length)
    return _sent(stretch, device).unfold(0, length, 1)[_sent(starts - first, device)]


def _sent(values: NDArray, device: torch.device) -> Tensor:
    """Values on their way to a device, which nobody waits for."""
    here = torch.from_numpy(values)
    if device.type == "cuda":  # of what is not pinned, it would wait for the end
        here = here.pin_memory()
    return here.to(device, non_blocking=True)


def _check_batch(batch_size: int) -> None:
    if batch_size < 1:
        raise ParameterError(f"batch_size is {batch_size}: give 1 window or more.")


def network_rate(net: object) -> int | None:
    """Return the rate at which a network says that it hears.

    Parameters
    ----------
    net : callable
        Asked for `net.metadata.sample_rate`, then for `net.sample_rate`.

    Returns
    -------
    int or None
        In Hz; None where it does not say.

    Raises
    ------
    ParameterError
        For what is no whole number of Hz above 0.

    Examples
    --------
    >>> network_rate(lambda x: x) is None
    True
    """
    rate = of_itself(net, "sample_rate")
    if rate is None:
        return None
    whole = _whole(rate)
    if whole is None:
        raise ParameterError(
            f"the network's sample_rate is {rate!r}: set it to a whole number of Hz, such as 8000."
        )
    return whole


def network_window(net: object, window: int | None = None) -> int:
    """Return how many samples a network hears: what is given, or what the network says.

    Parameters
    ----------
    net : callable
        Asked for `net.window` when `window` is None.
    window : int, optional
        What is given.

    Returns
    -------
    int
        Samples.

    Raises
    ------
    ParameterError
        Where neither is a whole number above 0.

    Examples
    --------
    >>> network_window(None, 400)
    400
    """
    length = _whole(of_itself(net, "window") if window is None else window)
    if length is None:
        raise ParameterError(
            "the network does not say how many samples it hears: pass window=, e.g. window=4000."
        )
    return length


def _whole(number: Any) -> int | None:
    """A whole number above 0, of whatever type; None for anything else."""
    if isinstance(number, (Tensor, np.ndarray)) and number.ndim == 0:
        number = number.item()
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        return None
    value = float(number)
    return int(value) if value > 0 and value.is_integer() else None


def check_rate(net: object, sample_rate: float, name: str = "the network") -> None:
    """Refuse a rate that is not the one at which a network hears.

    Parameters
    ----------
    net : callable
        Says its rate in Hz as `net.metadata.sample_rate` or as `net.sample_rate`. One that does not
        say is taken to hear at 16 kHz, and the refusal says so.
    sample_rate : float
        Of a wave, in Hz.
    name : str
        How the sentence calls the network.

    Raises
    ------
    ParameterError
        If they differ.

    Examples
    --------
    >>> check_rate(None, 44100)
    Traceback (most recent call last):
    relviz._errors.ParameterError: the wave has 44100 samples a second, and the network does not \
say its rate, so that 16000 Hz is taken: set net.sample_rate, or resample the wave \
(relviz.audio.resample).
    """
    says = network_rate(net)
    rate = audio.SAMPLE_RATE if says is None else says
    if sample_rate == rate:
        return
    hears = (
        f"{name} does not say its rate, so that {rate} Hz is taken: set net.sample_rate, or "
        if says is None
        else f"{name} hears at {rate} Hz: "
    )
    raise ParameterError(
        f"the wave has {sample_rate:g} samples a second, and {hears}resample the wave "
        "(relviz.audio.resample)."
    )


def normalisation(net: object, normalise: Normalise | None = None) -> Normalise:
    """Return what a network's windows go through: what is asked for, or what the network says.

    Parameters
    ----------
    net : callable
        Asked for `net.metadata.normalise`, then for `net.normalise`, when `normalise` is None.
    normalise : {"window", "utterance", "none"}, optional
        What is asked for.

    Returns
    -------
    {"window", "utterance", "none"}
        "window" if nobody says anything.

    Raises
    ------
    ParameterError
        For any other.

    Examples
    --------
    >>> normalisation(None)
    'window'
    """
    says = of_itself(net, "normalise")
    how: Any = normalise or (says if isinstance(says, str) else "window")
    if how not in get_args(Normalise):
        raise ParameterError(f"normalise {how!r} is unknown: use window, utterance or none.")
    found: Normalise = how
    return found


def standardise(windows: Tensor) -> Tensor:
    """Return windows with zero mean and unit variance along the last axis; constant ones become 0.

    Parameters
    ----------
    windows : Tensor, (..., samples)
        Floating point.

    Returns
    -------
    Tensor, (..., samples)
        Of the same dtype, on the same device. Sums are taken in float64, so that an offset a
        thousand times the signal costs nothing.

    Examples
    --------
    >>> import torch
    >>> standardise(torch.tensor([[1.0, 3.0], [5.0, 5.0]]))
    tensor([[-1.,  1.],
            [ 0.,  0.]])
    """
    if windows.requires_grad or not windows.numel():
        return _standardised(windows)
    rows = windows.reshape(-1, windows.shape[-1])
    found = torch.empty_like(rows, memory_format=torch.contiguous_format)
    for few in _engine.parts(len(rows), _together(rows)):
        found[few] = _standardised(rows[few])
    return found.view(windows.shape)


def _standardised(windows: Tensor) -> Tensor:
    centred = windows - windows.mean(dim=-1, keepdim=True, dtype=torch.float64)
    deviation = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) / windows.shape[-1] ** 0.5
    scaled = centred * torch.where(deviation > 0, 1 / deviation, 1.0)
    return scaled.to(windows.dtype)


def stride(net: object) -> int:
    """Return the total stride of a network: the product over its convolutions and poolings.

    Parameters
    ----------
    net : callable
        Of an `nn.Module` its modules are counted, along time: their last dimension, or the largest
        stride where there are two.

    Returns
    -------
    int
        In samples; 1 for anything else, since a plain function does not say.

    Notes
    -----
    Explained in chapter 4 of the book.

    Examples
    --------
    >>> from relviz import networks
    >>> stride(networks.build(networks.SPEAKER_CNN, classes=10))
    90
    """
    product = 1
    if isinstance(net, nn.Module):
        for layer in net.modules():
            if isinstance(layer, _STRIDED):
                steps = layer.stride if isinstance(layer.stride, tuple) else (layer.stride,)
                product *= max(int(step) for step in steps)
    return product


_STRIDED = (
    nn.Conv1d,
    nn.Conv2d,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.AvgPool1d,
    nn.AvgPool2d,
)


def _warn_aliasing(net: object, hop_length: int) -> None:
    total = stride(net)
    if gcd(total, hop_length) > 1:
        # The text is the same for each hop and stride: Python's default filter shows it once.
        warnings.warn(
            f"hop_length {hop_length} shares the factor {gcd(total, hop_length)} with the "
            f"network's stride of {total}: its grid keeps its phase from window to window, and "
            "images of the spectrum (aliasing) stay in the relevance signal; take a hop_length "
            "without common factor, such as 97.",
            stacklevel=4,
        )


def _place(net: object) -> tuple[torch.device, torch.dtype]:
    """Where a network's parameters are, and their dtype."""
    parameters = net.parameters() if isinstance(net, nn.Module) else iter(())
    for parameter in parameters:
        return parameter.device, parameter.dtype
    return torch.device("cpu"), torch.float32


def _bar(
    items: Iterator[Item],
    size: Callable[[Item], int],
    total: int,
    progress: bool | None,
    seconds: float | None = None,
) -> Iterator[Item]:
    """Pass items on, with a bar if that is asked for, or if all will last; it says how long."""
    lasts = seconds is not None and seconds > LONG
    # tqdm heeds its own variable everywhere but in notebooks
    if not (lasts if progress is None else progress) or os.environ.get("TQDM_DISABLE"):
        yield from items
        return
    from tqdm.auto import tqdm

    title = f"relevance, {tasks.lasting(seconds)}" if lasts and seconds else "relevance"
    with tqdm(total=total, desc=title, unit="window") as bar:
        for item in items:
            yield item
            bar.update(size(item))
