"""Ordinary speech analysis, for recordings and relevance signals alike: F0, LP, formants.

Two changes to speech itself stand beside it, another F0 and a notch: see chapter 9.

What is not there is NaN, never 0: F0 of an unvoiced frame, a formant that no root gives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from relviz import audio
from relviz._errors import ParameterError


def f0_contour(
    wave: ArrayLike,
    sample_rate: float,
    *,
    floor: float = 75.0,
    ceiling: float = 500.0,
    step: float = 0.01,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """F0 over time by Praat's autocorrelation method.

    wave: (samples,). floor, ceiling: of the F0 searched, in Hz. step: seconds between frames.
    Returns (times in s, F0 in Hz), each (frames,), F0 NaN where unvoiced; empty arrays if the wave
    is shorter than the three periods of `floor` that Praat needs. Raises ValueError for more than
    one channel and for limits that leave nothing to search.
    Source: Boersma (1993), through praat-parselmouth.
    """
    if not 0 < floor < ceiling < np.inf or step <= 0:
        raise ParameterError(
            f"floor {floor} Hz, ceiling {ceiling} Hz and step {step} s make no search: give 0 < "
            "floor < ceiling and a step above 0."
        )
    sound = _sound(wave, sample_rate)
    # Praat refuses what is shorter than its window; half a sample keeps rounding out of it.
    if sound.duration + 0.5 / sample_rate < 3.0 / floor:
        return np.empty(0), np.empty(0)
    pitch = sound.to_pitch_ac(time_step=step, pitch_floor=floor, pitch_ceiling=ceiling)
    f0 = np.asarray(pitch.selected_array["frequency"], dtype=np.float64)
    return np.asarray(pitch.xs()), np.where(f0 > 0, f0, np.nan)


def median_f0(
    wave: ArrayLike,
    sample_rate: float,
    span: tuple[float, float] | None = None,
    **settings: Any,
) -> float:
    """Median F0 in Hz of the voiced frames whose time lies in `span` (seconds); NaN if none does.

    settings: those of `f0_contour`. Source: as there.
    """
    times, f0 = f0_contour(wave, sample_rate, **settings)
    first, last = (-np.inf, np.inf) if span is None else span
    voiced = f0[(times >= first) & (times <= last) & ~np.isnan(f0)]
    return float(np.median(voiced)) if len(voiced) else float("nan")


class F0Agreement(NamedTuple):
    """How well one F0 contour follows another; shares from 0 to 1, NaN where there are no frames.

    Parameters
    ----------
    found : float
        Of the frames where the reference is voiced, the share in which the other has its F0.
    extra : float
        Of the frames where the reference is unvoiced, the share in which the other is voiced.
    """

    found: float
    extra: float


def f0_agreement(reference: ArrayLike, contour: ArrayLike, semitones: float = 1.0) -> F0Agreement:
    """Compare an F0 contour with that of a reference, frame by frame.

    Parameters
    ----------
    reference, contour : array_like, (frames,)
        F0 in Hz at the same times, NaN where unvoiced, as `f0_contour` returns it.
    semitones : float
        How far F0 may be off. A frame in which the contour has no F0 does not agree.

    Returns
    -------
    F0Agreement
        The shares `found` and `extra`.

    Raises
    ------
    ParameterError
        For contours of two lengths.

    Notes
    -----
    Explained in chapters 6 and 7 of the book.

    Examples
    --------
    >>> f0_agreement([100, 100, 100, np.nan, np.nan], [101, 200, np.nan, 90, np.nan])
    F0Agreement(found=0.3333333333333333, extra=0.5)
    """
    true, f0 = np.asarray(reference, dtype=np.float64), np.asarray(contour, dtype=np.float64)
    if true.shape != f0.shape:
        raise ParameterError(
            f"the reference has shape {true.shape}, the contour {f0.shape}: give F0 at the same "
            "times."
        )
    voiced = ~np.isnan(true)
    near = np.abs(12 * np.log2(f0[voiced] / true[voiced])) <= semitones  # NaN is not near
    extra = ~np.isnan(f0[~voiced])
    return F0Agreement(*(float(x.mean()) if len(x) else float("nan") for x in (near, extra)))


def autocorrelation(frames: ArrayLike, max_lag: int | None = None) -> NDArray[np.float64]:
    """Autocorrelation of the last axis at lags 0 to `max_lag` (default: all), by FFT, unscaled.

    frames: (..., samples). Returns (..., max_lag + 1).
    """
    x = np.asarray(frames, dtype=np.float64)
    lags = x.shape[-1] - 1 if max_lag is None else max_lag
    n = scipy.fft.next_fast_len(x.shape[-1] + lags, real=True)
    power = np.abs(scipy.fft.rfft(x, n)) ** 2
    return scipy.fft.irfft(power, n)[..., : lags + 1]


def pre_emphasise(wave: ArrayLike, coefficient: float = 0.97) -> NDArray[np.float64]:
    """y[n] = x[n] - coefficient * x[n - 1], which lifts the spectrum by up to 6 dB an octave."""
    return scipy.signal.lfilter([1.0, -coefficient], [1.0], np.asarray(wave, dtype=np.float64))


def lpc(frame: ArrayLike, order: int = 16) -> NDArray[np.float64]:
    """Linear prediction by the autocorrelation method: (order + 1,) coefficients of A(z), a[0] = 1.

    frame: (samples,), already windowed. NaN throughout if the frame is silent or predicts itself
    exactly, so that the equations have no solution.
    Source: Makhoul (1975), 10.1109/PROC.1975.9792; solved by scipy's Levinson recursion.
    """
    r = autocorrelation(frame, order)
    if not (np.isfinite(r).all() and r[0] > 0):
        return np.full(order + 1, np.nan)
    try:
        predictor = scipy.linalg.solve_toeplitz(r[:-1], r[1:])
    except np.linalg.LinAlgError:
        return np.full(order + 1, np.nan)
    return np.concatenate([[1.0], -predictor])


def lp_envelope(
    frame: ArrayLike, sample_rate: float, *, order: int = 16, n_fft: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spectral envelope of a windowed frame by linear prediction, in the units of its |DFT|.

    frame: (samples,). Returns (frequencies in Hz, envelope), each (n_fft // 2 + 1,).
    Source: Makhoul (1975), 10.1109/PROC.1975.9792.
    """
    a = lpc(frame, order)
    gain = np.sqrt(max(float(autocorrelation(frame, order) @ a), 0.0))
    frequencies = scipy.fft.rfftfreq(n_fft, 1 / sample_rate)
    return frequencies, gain / np.abs(scipy.fft.rfft(a, n_fft))


def short_term_spectrum(
    wave: ArrayLike,
    sample_rate: float,
    centre: float,
    *,
    length: float = 0.025,
    n_fft: int = 1024,
    window: str = "hamming",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Magnitude spectrum of one frame around `centre` (seconds), as in figure 5 of the paper.

    wave: (samples,). length: of the frame in seconds. Returns (frequencies in Hz, |DFT|), each
    (n_fft // 2 + 1,). Raises ValueError if n_fft is shorter than the frame.
    """
    frame = _frames(wave, sample_rate, np.array([centre]), length, window)[0]
    if n_fft < len(frame):
        raise ParameterError(f"n_fft is {n_fft}, shorter than the frame's {len(frame)} samples.")
    return scipy.fft.rfftfreq(n_fft, 1 / sample_rate), np.abs(scipy.fft.rfft(frame, n_fft))


def frame_formants(
    frame: ArrayLike,
    sample_rate: float,
    *,
    order: int = 16,
    count: int = 4,
    max_bandwidth: float = 500.0,
    lowest: float = 90.0,
) -> NDArray[np.float64]:
    """Formants of one windowed frame: frequencies of the LP poles, in Hz, (count,), NaN-padded.

    Poles with a bandwidth of `max_bandwidth` Hz or more, or a frequency below `lowest` Hz or within
    as much of the Nyquist frequency, are no formants. Ascending; all NaN where LP fails.
    """
    formants = np.full(count, np.nan)
    a = lpc(frame, order)
    if np.isnan(a).any():
        return formants
    poles = np.roots(a)
    poles = poles[poles.imag > 0]
    frequencies = np.angle(poles) * sample_rate / (2 * np.pi)
    bandwidths = -np.log(np.abs(poles)) * sample_rate / np.pi
    keep = (bandwidths < max_bandwidth) & (frequencies > lowest)
    keep &= frequencies < sample_rate / 2 - lowest
    found = np.sort(frequencies[keep])[:count]
    formants[: len(found)] = found
    return formants


def formants(
    wave: ArrayLike,
    sample_rate: float,
    centre: float,
    *,
    frames: int = 10,
    step: float = 0.01,
    length: float = 0.025,
    pre_emphasis: float = 0.0,
    window: str = "hamming",
    **settings: Any,
) -> NDArray[np.float64]:
    """Formants around `centre` (seconds): the median over `frames` frames, `step` seconds apart.

    wave: (samples,). length: of a frame in seconds. pre_emphasis: coefficient, 0 for none.
    settings: those of `frame_formants`. Returns (count,) Hz; NaN where no frame has the formant.
    Source: Muckenhirn et al. (2019), section 4.2.2 (16th order, 10 frames around the centre); the
    paper says "averaged", the median is ours: one frame that misses a formant shifts all above it.
    """
    signal = pre_emphasise(wave, pre_emphasis) if pre_emphasis else np.asarray(wave)
    centres = centre + (np.arange(frames) - (frames - 1) / 2) * step
    rows = np.array(
        [
            frame_formants(frame, sample_rate, **settings)
            for frame in _frames(signal, sample_rate, centres, length, window)
        ]
    )
    some = ~np.isnan(rows).all(axis=0)
    result = np.full(rows.shape[1], np.nan)
    result[some] = np.nanmedian(rows[:, some], axis=0)
    return result


def shift_f0(
    wave: ArrayLike,
    sample_rate: float,
    factor: float,
    *,
    floor: float = 75.0,
    ceiling: float = 500.0,
) -> NDArray[np.float64]:
    """Return the wave with its F0 multiplied by `factor`, as long as before, (samples,).

    Periods are moved closer together or apart and not stretched, so formants stay roughly where
    they are. floor, ceiling: of the F0 in the wave, in Hz. What is unvoiced stays as it is.
    Raises ValueError for a factor that is not above 0 and for limits that leave nothing to search.
    Source: Moulines and Charpentier (1990), 10.1016/0167-6393(90)90021-Z, through praat-parselmouth
    (To Manipulation, Get resynthesis (overlap-add)).
    """
    if not 0 < factor < np.inf or not 0 < floor < ceiling < np.inf:
        raise ParameterError(
            f"factor {factor}, floor {floor} Hz and ceiling {ceiling} Hz make no voice: give a "
            "factor above 0 and 0 < floor < ceiling."
        )
    from parselmouth.praat import call

    sound = _sound(wave, sample_rate)
    manipulation = call(sound, "To Manipulation", 0.01, floor, ceiling)
    tier = call(manipulation, "Extract pitch tier")
    call(tier, "Multiply frequencies", sound.xmin, sound.xmax, factor)
    call([tier, manipulation], "Replace pitch tier")
    samples = call(manipulation, "Get resynthesis (overlap-add)").values[0]
    return np.pad(samples, (0, max(0, sound.n_samples - len(samples))))[: sound.n_samples]


def notch(
    wave: ArrayLike, sample_rate: float, low: float, high: float, *, order: int = 4
) -> NDArray[np.float64]:
    """Return the wave without what lies from `low` to `high` Hz, (samples,), phases as they were.

    A Butterworth band-stop filter, run forwards and backwards: 6 dB down at both limits.
    Raises ValueError for limits that are not in order within 0 and the Nyquist frequency.
    """
    if not 0 < low < high < sample_rate / 2:
        raise ParameterError(
            f"no band from {low} to {high} Hz: give 0 < low < high < {sample_rate / 2:g} Hz."
        )
    sections = scipy.signal.butter(order, (low, high), "bandstop", fs=sample_rate, output="sos")
    return scipy.signal.sosfiltfilt(sections, np.asarray(wave, dtype=np.float64))


def _frames(
    wave: ArrayLike, sample_rate: float, centres: NDArray, length: float, window: str
) -> NDArray[np.float64]:
    """Windowed frames of `length` seconds around `centres` (seconds), zeros beyond the ends."""
    size = round(length * sample_rate)
    if np.ndim(wave) != 1 or size < 1 or len(centres) < 1:
        raise ParameterError(
            f"wave has shape {np.shape(wave)}, frames {size} samples, and there are {len(centres)} "
            "of them: give one signal, (samples,), and at least one frame of one sample."
        )
    starts = np.round(centres * sample_rate).astype(int) - size // 2
    frames = audio.frame(np.asarray(wave, dtype=np.float64), size, starts)
    return frames * scipy.signal.get_window(window, size)


def _sound(wave: ArrayLike, sample_rate: float) -> Any:
    import parselmouth

    samples = np.asarray(wave, dtype=np.float64)
    if samples.ndim != 1 or len(samples) == 0:
        raise ParameterError(f"wave has shape {samples.shape}: give one signal, (samples,).")
    return parselmouth.Sound(samples, sampling_frequency=sample_rate)
