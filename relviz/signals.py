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

import warnings
from collections.abc import Callable
from math import gcd
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from relviz import audio
from relviz._errors import ParameterError
from relviz.backprop import Method, Target, relevance

Normalise = Literal["window", "utterance", "none"]
Scale = Literal["rms", "none"]
Attribution = Callable[[Callable[[Tensor], Any], Tensor, Target], Tensor]
"""Any other method: from a network, windows (batch, window) and a target to their relevance."""


def relevance_signal(
    net: Callable[[Tensor], Any],
    wave: ArrayLike,
    hop_length: int = 97,
    *,
    target: Target = None,
    method: Method | Attribution = "guided",
    window: int | None = None,
    normalise: Normalise = "window",
    scale: Scale = "rms",
    centres: tuple[int, int] | None = None,
    batch_size: int = 64,
    progress: bool = False,
) -> NDArray[np.float64]:
    """Relevance of every sample of an utterance, averaged over windows `hop_length` samples apart.

    net: any torch callable from (batch, window) samples to (batch, classes) scores.
    wave: (samples,) floating point, at the rate the network was trained on.
    hop_length: samples between windows; it should share no factor with the network's stride.
    target: as in `relevance` (None: the winning class of each window); not a tensor.
    method: as in `relevance`, or a function (net, windows, target) -> relevance of the windows'
        shape, such as another library's.
    window: samples the network hears; None takes `net.window`.
    normalise: what each window goes through before the network, as in its training: "window" (zero
        mean and unit variance in each window), "utterance" (over all of `wave`) or "none".
    scale: "rms" gives every window's relevance unit RMS, so that no window speaks louder because
        its score is steeper; "none" leaves the gradients as they are.
    centres: (first, last), both in samples and included: only windows centred there are used, from
        `first` on; None covers the utterance. A single window is `centres=(c, c)`.
    progress: show a bar.
    Returns (samples,) float64, each sample divided by the number of windows that cover it, 0 where
    none does. Windows that reach over the ends are filled with zeros.
    Raises ValueError for parameters that cannot be right and AudioError for a wave that is silent,
    not finite or shorter than a window; warns once for a hop_length that shares a factor
    with the stride.
    Source: Muckenhirn et al. (2019), section 3.2 (one window); the average over shifts is ours.
    """
    length = _window(net, window)
    samples = audio.check(wave, minimum=length)
    if not isinstance(hop_length, (int, np.integer)) or hop_length < 1:
        raise ParameterError(
            f"hop_length is {hop_length!r}: give a whole number of samples, 1 or more."
        )
    if batch_size < 1:
        raise ParameterError(f"batch_size is {batch_size}: give 1 window or more.")
    if normalise not in get_args(Normalise):
        raise ParameterError(f"normalise {normalise!r} is unknown: use window, utterance or none.")
    if scale not in get_args(Scale):
        raise ParameterError(f"scale {scale!r} is unknown: use rms or none.")
    if isinstance(target, Tensor):
        raise ParameterError(
            "target is a tensor: give one int for all windows, None or a function."
        )
    first, last = centres if centres is not None else (0, len(samples) - 1)
    if not 0 <= first <= last < len(samples):
        raise ParameterError(
            f"centres {(first, last)} do not lie in order within the {len(samples)} samples."
        )
    if first + hop_length <= last:
        _warn_aliasing(net, int(hop_length))

    if normalise == "utterance":
        samples = _standardise(samples)
    starts = np.arange(first, last + 1, hop_length) - length // 2
    before, after = max(0, -starts[0]), max(0, starts[-1] + length - len(samples))
    total = np.zeros(before + len(samples) + after)
    count = np.zeros_like(total)
    batches = [starts[i : i + batch_size] for i in range(0, len(starts), batch_size)]
    for batch in _bar(batches, progress):
        windows = audio.frame(samples, length, batch)
        if normalise == "window":
            windows = _standardise(windows)
        inputs = _like_parameters(net, windows)
        if callable(method):
            relevances = method(net, inputs, target)
            if relevances.shape != inputs.shape:
                raise ParameterError(
                    f"the method returned relevance of shape {tuple(relevances.shape)} for windows "
                    f"of shape {tuple(inputs.shape)}: it must keep the shape."
                )
        else:
            relevances = relevance(net, inputs, target, method)
        rows = relevances.detach().double().cpu().numpy()
        if scale == "rms":
            rms = np.sqrt(np.mean(rows**2, axis=-1, keepdims=True))
            rows = np.divide(rows, rms, out=np.zeros_like(rows), where=rms > 0)
        for start, row in zip(batch + before, rows, strict=True):
            total[start : start + length] += row
            count[start : start + length] += 1
    average = np.divide(total, count, out=total, where=count > 0)
    return average[before : before + len(samples)]


def stride(net: object) -> int:
    """Total stride of a network in samples: the product over its convolutions and poolings.

    Counts the modules of an `nn.Module` (along time: their last dimension, or the largest stride
    where there are two); 1 for anything else, since a plain function does not say.
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


def _standardise(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Zero mean, unit variance along the last axis; constant windows become 0."""
    centred = windows - windows.mean(axis=-1, keepdims=True, dtype=np.float64)
    deviation = centred.std(axis=-1, keepdims=True)
    scaled = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    return scaled.astype(np.float32)


def _like_parameters(net: object, windows: NDArray[np.float32]) -> Tensor:
    """The windows as a tensor of the dtype and device of the network's parameters."""
    tensor = torch.from_numpy(windows)
    parameters = net.parameters() if isinstance(net, nn.Module) else iter(())
    for parameter in parameters:
        return tensor.to(parameter.device, parameter.dtype)
    return tensor


def _bar(batches: list[NDArray], progress: bool) -> Any:
    if not progress:
        return batches
    from tqdm.auto import tqdm

    return tqdm(batches, desc="relevance", unit="batch")
