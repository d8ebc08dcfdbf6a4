"""Bands of frequency: where a signal has its level, and where speakers differ.

Muckenhirn et al. (2019), section 4.3, describe the relevance signals of their speaker network from
many examples: a peak at low frequencies, emphasis from 2 to 3.5 and from 3.5 to 5 kHz. Here that
becomes a number, the long-term level of each band, and so does how far speakers differ there, the
F-ratio of the same bands. Compare each with the recording itself and with untrained networks.
"""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from relviz import acoustics, audio
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE

__all__ = ["EDGES", "REGIONS", "band_statistics", "f_ratio", "long_term_levels"]

EDGES = np.arange(0.0, SAMPLE_RATE / 2 + 1, 250.0)
"""Edges of the bands, Hz: 32 bands of 250 Hz. The paper's regions begin and end at some of them."""

REGIONS = np.array([0.0, 250.0, 1000.0, 2000.0, 3500.0, 5000.0, 8000.0])
"""Edges of a few wide bands, Hz; 2 to 3.5 and 3.5 to 5 kHz are those that the paper names."""

_FRAME, _HOP = 0.025, 0.01
"""Seconds of an analysis frame, and from one to the next."""

_LOWEST = 2
"""Bins of a frame, 40 Hz each, that do not count: an offset fills two bins of a Hann window."""

_ACTIVE = -35.0
"""dB: a frame counts as speech when its power is no further below that of the loud frames."""


def long_term_levels(
    signal: ArrayLike, edges: ArrayLike | None = None, sample_rate: int = SAMPLE_RATE
) -> NDArray[np.float64]:
    """Return the long-term average level of each band, in dB relative to the mean over all of them.

    Powers of 25 ms Hann frames, every 12.5 ms, are averaged over time, then over the bins of a
    band, so a band does not gain by being wide; white noise has 0 dB in each. Below 60 Hz, where
    relevance signals may have an offset and speech has nothing, nothing counts.

    Parameters
    ----------
    signal : array_like, (samples,)
        A recording or a relevance signal.
    edges : array_like, (bands + 1,), optional
        Where bands begin and end, in Hz; default, `EDGES`, at another rate as far as half of it.
    sample_rate : int
        In Hz.

    Returns
    -------
    ndarray, (bands,)
        Levels in dB.

    Raises
    ------
    ParameterError
        For edges that leave a band without a bin.
    AudioError
        For a silent signal.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 3100 * np.arange(16000) / 16000)
    >>> EDGES[long_term_levels(tone).argmax()]
    np.float64(3000.0)
    """
    size, edges = round(_FRAME * sample_rate), _edges(edges, sample_rate)
    samples = audio.check(signal, "the signal", minimum=size)
    power = acoustics.long_term_spectrum(samples, sample_rate, resolution=sample_rate / size)
    frequencies = np.fft.rfftfreq(size, 1 / sample_rate)
    if size % 2 == 0:
        power[-1] *= 2  # a one-sided density counts all bins but this one twice
    density = _bands(frequencies[_LOWEST:], power[_LOWEST:], edges)
    widths = np.diff(np.asarray(edges, dtype=np.float64))
    return 10 * np.log10(density / np.average(density, weights=widths))


def band_statistics(
    wave: ArrayLike, edges: ArrayLike | None = None, sample_rate: int = SAMPLE_RATE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance over time of each band's level.

    Levels are taken in frames of 25 ms (Hann), every 10 ms, where there is speech: frames within
    35 dB of the loud ones (95th percentile). They are relative to the mean power of these frames,
    so that how loud the recording is does not count.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    edges : array_like, (bands + 1,), optional
        As in `long_term_levels`.
    sample_rate : int
        In Hz.

    Returns
    -------
    means : ndarray, (bands,)
        In dB.
    variances : ndarray, (bands,)
        In dB squared.

    Raises
    ------
    AudioError
        For a wave that is silent or shorter than two frames.

    See Also
    --------
    f_ratio : what these are for.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(16000)
    >>> means, variances = band_statistics(noise, [0, 4000, 8000])
    >>> means.shape, bool(np.abs(means).max() < 0.5)
    ((2,), True)
    """
    size, hop = round(_FRAME * sample_rate), round(_HOP * sample_rate)
    samples, edges = audio.check(wave, minimum=size + hop), _edges(edges, sample_rate)
    starts = np.arange(0, len(samples) - size + 1, hop)
    frames = audio.frame(samples, size, starts) * scipy.signal.get_window("hann", size)
    power = np.abs(np.fft.rfft(frames, axis=-1)) ** 2
    totals = power.sum(axis=-1)
    speech = power[totals >= np.percentile(totals, 95) * 10 ** (_ACTIVE / 10)]
    density = _bands(np.fft.rfftfreq(size, 1 / sample_rate), speech, edges)
    levels = 10 * np.log10(np.maximum(density / speech.mean(), 1e-12))
    return levels.mean(axis=0), levels.var(axis=0)


def f_ratio(means: ArrayLike, variances: ArrayLike) -> NDArray[np.float64]:
    """Return the F-ratio of each band: variance between speakers over that within a speaker.

    Parameters
    ----------
    means, variances : array_like, (speakers, bands)
        What `band_statistics` gives for each speaker. Variances within speakers are averaged.

    Returns
    -------
    ndarray, (bands,)
        High where speakers differ.

    Raises
    ------
    ParameterError
        For fewer than two speakers, and for shapes that differ.

    References
    ----------
    Kinnunen (2003), who compares bands for speaker recognition with it.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> f_ratio([[0.0, 5.0], [2.0, 5.0]], [[1.0, 3.0], [3.0, 9.0]])
    array([1., 0.])
    """
    between = np.asarray(means, dtype=np.float64)
    within = np.asarray(variances, dtype=np.float64)
    if between.ndim != 2 or between.shape != within.shape or len(between) < 2:
        raise ParameterError(
            f"means are {between.shape} and variances {within.shape}: give (speakers, bands) of at "
            "least two speakers for both."
        )
    return between.var(axis=0, ddof=1) / within.mean(axis=0)


def _edges(edges: ArrayLike | None, sample_rate: int) -> NDArray[np.float64]:
    if edges is None:
        edges = np.arange(0.0, sample_rate / 2 + 1, EDGES[1])
    return np.asarray(edges, dtype=np.float64)


def _bands(frequencies: NDArray, power: NDArray, edges: ArrayLike) -> NDArray[np.float64]:
    """Mean power of the bins in each band: (..., bins) to (..., bands)."""
    limits = np.asarray(edges, dtype=np.float64)
    place = np.searchsorted(limits, frequencies, side="right") - 1
    place[frequencies == limits[-1]] = len(limits) - 2  # the last band holds its upper edge
    members = place == np.arange(len(limits) - 1)[:, None]
    if not members.any(axis=1).all():
        step = frequencies[1] - frequencies[0]
        raise ParameterError(f"a band is narrower than the {step:g} Hz from bin to bin: widen it.")
    return power @ (members / members.sum(axis=1, keepdims=True)).T
