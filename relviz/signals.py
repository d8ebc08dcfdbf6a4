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

import time
import warnings
from collections.abc import Callable, Iterator
from math import gcd
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from relviz import audio
from relviz._errors import ParameterError
from relviz.attributions import Attribution, Method, relevance
from relviz.backprop import Target

__all__ = [
    "Normalise",
    "Scale",
    "batches",
    "check_rate",
    "normalisation",
    "relevance_signal",
    "standardise",
    "stride",
]

Normalise = Literal["window", "utterance", "none"]
"""What a window goes through before the network."""

_LONG = 10.0
"""Seconds that nobody should wait without being told."""

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
        `first` on; None covers the utterance. A single window is `centres=(c, c)`.
    batch_size : int
        Windows at a time.
    progress : bool, optional
        Show a bar; None shows one where the first windows say that all will take over ten seconds.

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
        For a wave that is silent, not finite or shorter than a window.

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
    if sample_rate is not None:
        check_rate(net, sample_rate)
    length = _window(net, window)
    samples = audio.check(wave, minimum=length)
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
    first, last = centres if centres is not None else (0, len(samples) - 1)
    if not 0 <= first <= last < len(samples):
        raise ParameterError(
            f"centres {(first, last)} do not lie in order within the {len(samples)} samples."
        )
    if first + hop_length <= last:
        _warn_aliasing(net, int(hop_length))

    starts = np.arange(first, last + 1, hop_length) - length // 2
    before, after = max(0, -starts[0]), max(0, starts[-1] + length - len(samples))
    total = np.zeros(before + len(samples) + after)
    count = np.zeros(len(total), dtype=np.uint32)
    for some, windows in batches(
        net,
        samples,
        starts,
        window=length,
        normalise=normalise,
        batch_size=batch_size,
        progress=progress,
    ):
        rows = relevance(net, windows, target, method).double().cpu().numpy()
        if scale == "rms":
            rms = np.sqrt(np.mean(rows**2, axis=-1, keepdims=True))
            rows = np.divide(rows, rms, out=np.zeros_like(rows), where=rms > 0)
        for start, row in zip(some + before, rows, strict=True):
            total[start : start + length] += row
            count[start : start + length] += 1
    average = np.divide(total, count, out=total, where=count > 0)
    return average[before : before + len(samples)]


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
    length, how = _window(net, window), normalisation(net, normalise)
    if batch_size < 1:
        raise ParameterError(f"batch_size is {batch_size}: give 1 window or more.")
    if how == "utterance":
        wave = standardise(torch.from_numpy(np.array(wave))).numpy()
    parts = [starts[i : i + batch_size] for i in range(0, len(starts), batch_size)]
    for part in _bar(parts, progress):  # whose time is that of what is done with each part
        windows = torch.from_numpy(audio.frame(wave, length, part))
        if how == "window":
            windows = standardise(windows)
        yield part, _like_parameters(net, windows)


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
    says = getattr(getattr(net, "metadata", None), "sample_rate", None)
    says = getattr(net, "sample_rate", None) if says is None else says
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
        Asked for `net.metadata.normalise` when `normalise` is None.
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
    how: Any = normalise or getattr(getattr(net, "metadata", None), "normalise", "window")
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
    centred = windows - windows.mean(dim=-1, keepdim=True, dtype=torch.float64)
    deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
    scaled = centred / torch.where(deviation > 0, deviation, 1.0)
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


def _window(net: object, window: int | None) -> int:
    length = getattr(net, "window", None) if window is None else window
    if not isinstance(length, (int, np.integer)) or length < 1:
        raise ParameterError(
            "the network does not say how many samples it hears: pass window=, e.g. window=4000."
        )
    return int(length)


def _warn_aliasing(net: object, hop_length: int) -> None:
    total = stride(net)
    if gcd(total, hop_length) > 1:
        # The text is the same for each hop and stride: Python's default filter shows it once.
        warnings.warn(
            f"hop_length {hop_length} shares the factor {gcd(total, hop_length)} with the "
            f"network's stride of {total}: its grid keeps its phase from window to window, and "
            "images of the spectrum (aliasing) stay in the relevance signal; take a hop_length "
            "without common factor, such as 97.",
            stacklevel=3,
        )


def _like_parameters(net: object, windows: Tensor) -> Tensor:
    """Windows in the dtype and on the device of the network's parameters."""
    parameters = net.parameters() if isinstance(net, nn.Module) else iter(())
    for parameter in parameters:
        return windows.to(parameter.device, parameter.dtype)
    return windows


def _bar(parts: list[NDArray], progress: bool | None) -> Iterator[NDArray]:
    """Pass parts on, with a bar if that is asked for, or if the first say that all will last."""
    done = 0
    if progress is None:
        progress = False
        for done, part in enumerate(parts[:2], start=1):  # the first may be slow as it is the first
            begun = time.monotonic()
            yield part
            took = time.monotonic() - begun
            if took * (len(parts) if done == 2 else 2) > _LONG:
                progress = True
                break
    if not progress:
        yield from parts[done:]
        return
    from tqdm.auto import tqdm

    with tqdm(total=len(parts), initial=done, desc="relevance", unit="batch") as bar:
        for part in parts[done:]:
            yield part
            bar.update()
