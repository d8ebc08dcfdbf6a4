"""Ordinary speech analysis, for recordings and relevance signals alike: F0, LP, formants.

Changes to speech itself stand beside it, one cue at a time: another F0, a formant elsewhere,
another tilt, a band without speech, other phases.

What is not there is NaN, never 0: F0 of an unvoiced frame, a formant that no root gives.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.signal
from numpy.typing import ArrayLike, NDArray

from relviz import audio
from relviz._errors import ParameterError
from relviz._extras import require

__all__ = [
    "LP_RATE",
    "F0Agreement",
    "F0Warning",
    "autocorrelation",
    "disperse",
    "equalise",
    "f0_agreement",
    "f0_contour",
    "formants",
    "frame_formants",
    "long_term_spectrum",
    "lp_envelope",
    "lpc",
    "median_f0",
    "notch",
    "pre_emphasise",
    "replace_band",
    "shift_f0",
    "shift_formant",
    "short_term_spectrum",
    "telephone",
    "tilt",
]


LP_RATE = 16000
"""Hz; the rate that an `order` of linear prediction is meant for: 16 is a pair of poles a kHz."""


class F0Warning(UserWarning):
    """F0 that may be another: at a limit of the search, or an octave below a strong candidate.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore", F0Warning)  # where signals need not be voices
    """


def f0_contour(
    wave: ArrayLike,
    sample_rate: float,
    *,
    floor: float = 75.0,
    ceiling: float = 500.0,
    step: float = 0.01,
    filtered: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return F0 over time, by Praat's autocorrelation method.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording or relevance signal.
    sample_rate : float
        In Hz.
    floor, ceiling : float
        Of the F0 searched, in Hz.
    step : float
        Seconds from one frame to the next.
    filtered : bool
        Take away high frequencies first, by a Gaussian that leaves 3 % at `ceiling`, and judge
        candidates as Praat does by then (its filtered autocorrelation). It errs by octaves less
        often; Praat's own limits there are 50 and 800 Hz.

    Returns
    -------
    times : ndarray, (frames,)
        In s.
    f0 : ndarray, (frames,)
        In Hz, NaN where unvoiced. Both are empty if the wave is shorter than the three periods of
        `floor` that Praat needs.

    Raises
    ------
    ParameterError
        For more than one channel, for samples that are NaN or infinite, and for limits that leave
        nothing to search.

    Warns
    -----
    F0Warning
        Where most of F0 lies at `floor` or `ceiling`, so that it may lie beyond, and where another
        candidate is nearly as good an octave above it.

    References
    ----------
    Boersma (1993), through praat-parselmouth; for `filtered`, Praat's manual, "pitch analysis by
    filtered autocorrelation".

    Notes
    -----
    Explained in chapter 4 of the book.

    Examples
    --------
    >>> pulses = np.zeros(16000)
    >>> pulses[::160] = 1.0
    >>> times, f0 = f0_contour(pulses, 16000)
    >>> np.nanmedian(f0).round(1)
    np.float64(100.0)
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
    settings: dict[str, float] = {}
    if filtered:
        sound, settings = (
            _sound(_low_passed(sound.values[0], sample_rate, ceiling), sample_rate),
            {
                "silence_threshold": 0.09,
                "voicing_threshold": 0.5,
                "octave_cost": 0.055,
            },
        )
    pitch = sound.to_pitch_ac(time_step=step, pitch_floor=floor, pitch_ceiling=ceiling, **settings)
    f0 = np.asarray(pitch.selected_array["frequency"], dtype=np.float64)
    _doubt(pitch.to_array(), floor, ceiling)
    return np.asarray(pitch.xs()), np.where(f0 > 0, f0, np.nan)


def _low_passed(wave: NDArray[np.float64], sample_rate: float, ceiling: float) -> NDArray:
    """Filter by 0.03 ** (f / ceiling) ** 2, without phase."""
    n = scipy.fft.next_fast_len(len(wave) + round(sample_rate / ceiling), real=True)
    gains = 0.03 ** ((scipy.fft.rfftfreq(n, 1 / sample_rate) / ceiling) ** 2)
    return scipy.fft.irfft(scipy.fft.rfft(wave, n) * gains, n)[: len(wave)]


_AT_BORDER = 0.03  # of the limit
_NEARLY = 0.05  # of strength, from 0 to 1
_MOST = 0.5  # of the voiced frames


def _doubt(candidates: NDArray, floor: float, ceiling: float) -> None:
    """Warn where most of F0 sits at a limit, or an octave below a candidate as strong.

    `candidates` is Praat's table, (candidates, frames), the chosen ones in its first row.
    """
    chosen = candidates[:, candidates["frequency"][0] > 0]
    if not chosen.size:
        return
    f0, strength = chosen["frequency"][0], chosen["strength"][0]
    for name, limit in (("floor", floor), ("ceiling", ceiling)):
        if (np.abs(f0 / limit - 1) < _AT_BORDER).mean() > _MOST:
            way = "lower it" if name == "floor" else "raise it"
            warnings.warn(
                f"F0 sits at the {name} of {limit:g} Hz in most frames, so it may lie beyond: "
                f"{way}.",
                F0Warning,
                stacklevel=3,
            )
    above = np.abs(12 * np.log2(np.maximum(chosen["frequency"], 1) / (2 * f0))) < 1
    rivals = np.where(above, chosen["strength"], -np.inf).max(axis=0)
    if (rivals > strength - _NEARLY).mean() > _MOST:
        warnings.warn(
            f"F0 of about {np.median(f0):.0f} Hz has a candidate an octave above it that is nearly "
            "as strong, in most frames: compare with filtered=True.",
            F0Warning,
            stacklevel=3,
        )


def median_f0(
    wave: ArrayLike,
    sample_rate: float,
    span: tuple[float, float] | None = None,
    **settings: Any,
) -> float:
    """Return the median F0 of the voiced frames within a span.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording or relevance signal.
    sample_rate : float
        In Hz.
    span : tuple of float, optional
        First and last time that count, in s; default, all.
    **settings
        Those of `f0_contour`.

    Returns
    -------
    float
        In Hz; NaN if no frame of the span is voiced.

    Raises
    ------
    ParameterError
        As `f0_contour`.

    Notes
    -----
    Used from chapter 1 of the book on.

    References
    ----------
    As for `f0_contour`.

    Examples
    --------
    >>> pulses = np.zeros(16000)
    >>> pulses[::160] = 1.0
    >>> round(median_f0(pulses, 16000, (0.2, 0.8)), 1)
    100.0
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
    """Return the autocorrelation along the last axis, by FFT, unscaled.

    Parameters
    ----------
    frames : array_like, (..., samples)
        Real.
    max_lag : int, optional
        The last lag; default, all.

    Returns
    -------
    ndarray, (..., max_lag + 1)
        At lags 0 to `max_lag`.

    Notes
    -----
    Explained in chapter 4 of the book.

    Examples
    --------
    >>> autocorrelation([1.0, 2.0, 3.0]).round(6)
    array([14.,  8.,  3.])
    """
    x = np.asarray(frames, dtype=np.float64)
    lags = x.shape[-1] - 1 if max_lag is None else max_lag
    n = scipy.fft.next_fast_len(x.shape[-1] + lags, real=True)
    power = np.abs(scipy.fft.rfft(x, n)) ** 2
    return scipy.fft.irfft(power, n)[..., : lags + 1]


def pre_emphasise(wave: ArrayLike, coefficient: float = 0.97) -> NDArray[np.float64]:
    """Return y[n] = x[n] - coefficient * x[n - 1], which lifts up to 6 dB an octave.

    Parameters
    ----------
    wave : array_like, (samples,)
        The signal x.
    coefficient : float
        Near 1; 0 changes nothing.

    Returns
    -------
    ndarray, (samples,)
        The signal y.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> pre_emphasise([1.0, 1.0, 1.0], 0.5)
    array([1. , 0.5, 0.5])
    """
    return scipy.signal.lfilter([1.0, -coefficient], [1.0], np.asarray(wave, dtype=np.float64))


def lpc(frame: ArrayLike, order: int = 16) -> NDArray[np.float64]:
    """Return the coefficients of linear prediction, by the autocorrelation method.

    Parameters
    ----------
    frame : array_like, (..., samples)
        Already windowed; one or many.
    order : int
        Of the predictor.

    Returns
    -------
    ndarray, (..., order + 1)
        A(z), a[0] = 1. NaN throughout if a frame is silent or predicts itself exactly, so that
        the equations have no solution.

    References
    ----------
    Makhoul (1975), 10.1109/PROC.1975.9792; solved by scipy's Levinson recursion.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> decay = 0.5 ** np.arange(50)
    >>> lpc(decay, 1).round(6)
    array([ 1. , -0.5])
    """
    r = autocorrelation(frame, order)
    found = np.full(r.shape, np.nan)
    for each, a in zip(r.reshape(-1, order + 1), found.reshape(-1, order + 1), strict=True):
        with contextlib.suppress(np.linalg.LinAlgError):
            if np.isfinite(each).all() and each[0] > 0:
                a[1:] = -scipy.linalg.solve_toeplitz(each[:-1], each[1:])
                a[0] = 1.0
    return found


def lp_envelope(
    frame: ArrayLike, sample_rate: float, *, order: int = 16, n_fft: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the spectral envelope of a frame by linear prediction, in the units of its ``|DFT|``.

    Parameters
    ----------
    frame : array_like, (samples,)
        Already windowed.
    sample_rate : float
        In Hz.
    order : int
        Of the predictor at 16 kHz, `LP_RATE`. A frame at a higher rate is brought there first, one
        at a lower rate gets poles in proportion, so that formants do not hang on the rate.
    n_fft : int
        Length of the DFT, at 16 kHz if the frame's rate is higher.

    Returns
    -------
    frequencies : ndarray, (n_fft // 2 + 1,)
        In Hz, up to 8 kHz or the frame's own Nyquist frequency, whichever is lower.
    envelope : ndarray, (n_fft // 2 + 1,)
        NaN where linear prediction fails.

    Raises
    ------
    ParameterError
        For a rate too low to hold a formant.

    References
    ----------
    Makhoul (1975), 10.1109/PROC.1975.9792.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> frequencies, envelope = lp_envelope(0.5 ** np.arange(50), 16000, order=1)
    >>> envelope[[0, -1]].round(2)  # 1 / (1 - 0.5) and 1 / (1 + 0.5)
    array([2.  , 0.67])
    """
    samples, rate, order = _for_lp(frame, sample_rate, order)
    a = lpc(samples, order)
    gain = np.sqrt(max(float(autocorrelation(samples, order) @ a), 0.0))
    frequencies = scipy.fft.rfftfreq(n_fft, 1 / rate)
    # a sum over samples grows with how many there are in a second
    return frequencies, sample_rate / rate * gain / np.abs(scipy.fft.rfft(a, n_fft))


def short_term_spectrum(
    wave: ArrayLike,
    sample_rate: float,
    centre: float,
    *,
    length: float = 0.025,
    n_fft: int = 1024,
    window: str = "hamming",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the magnitude spectrum of one frame.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording or relevance signal.
    sample_rate : float
        In Hz.
    centre : float
        Of the frame, in s; beyond the ends there are zeros.
    length : float
        Of the frame, in s.
    n_fft : int
        Length of the DFT, at least that of the frame.
    window : str
        A name that `scipy.signal.get_window` knows.

    Returns
    -------
    frequencies : ndarray, (n_fft // 2 + 1,)
        In Hz.
    magnitude : ndarray, (n_fft // 2 + 1,)
        ``|DFT|``.

    Raises
    ------
    ParameterError
        If `n_fft` is shorter than the frame.

    References
    ----------
    As in figure 5 of Muckenhirn et al. (2019).

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> frequencies, magnitude = short_term_spectrum(tone, 16000, 0.5)
    >>> frequencies[magnitude.argmax()]
    np.float64(1000.0)
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
    """Return the formants of windowed frames: frequencies of the poles of linear prediction.

    Parameters
    ----------
    frame : array_like, (..., samples)
        Already windowed; one or many, which together are faster.
    sample_rate : float
        In Hz.
    order : int
        Of the predictor at 16 kHz, as in `lp_envelope`.
    count : int
        How many formants.
    max_bandwidth : float
        In Hz: poles as wide or wider are no formants.
    lowest : float
        In Hz: poles below it, or within as much of the Nyquist frequency, are no formants.

    Returns
    -------
    ndarray, (..., count)
        In Hz, ascending, NaN-padded; all NaN where linear prediction fails.

    Raises
    ------
    ParameterError
        For a rate too low to hold a formant.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> t = np.arange(400) / 16000
    >>> frame = np.exp(-300 * t) * np.sin(2 * np.pi * 700 * (t + 1 / 16000))
    >>> frame_formants(frame, 16000, order=2, count=1).round()
    array([700.])
    """
    samples, sample_rate, order = _for_lp(frame, sample_rate, order)
    a = lpc(samples, order)
    known = ~np.isnan(a).any(axis=-1)
    companions = np.zeros((known.sum(), order, order))  # whose eigenvalues are the poles
    companions[:, 0] = -a[known][:, 1:]
    companions[:, np.arange(1, order), np.arange(order - 1)] = 1.0
    poles = np.linalg.eigvals(companions)
    frequencies = np.angle(poles) * sample_rate / (2 * np.pi)
    with np.errstate(divide="ignore"):  # a pole at 0 is as wide as can be
        bandwidths = -np.log(np.abs(poles)) * sample_rate / np.pi
    keep = (poles.imag > 0) & (bandwidths < max_bandwidth) & (frequencies > lowest)
    keep &= frequencies < sample_rate / 2 - lowest
    found = np.sort(np.where(keep, frequencies, np.nan), axis=-1)[:, :count]  # NaN at the end
    formants = np.full((*known.shape, count), np.nan)
    formants[known, : found.shape[-1]] = found
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
    """Return the formants around a time: the median over several frames.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording or relevance signal.
    sample_rate : float
        In Hz.
    centre : float
        Of all frames together, in s.
    frames : int
        How many.
    step : float
        Seconds from one frame to the next.
    length : float
        Of a frame, in s.
    pre_emphasis : float
        Coefficient at 16 kHz, 0 for none.
    window : str
        A name that `scipy.signal.get_window` knows.
    **settings
        Those of `frame_formants`.

    Returns
    -------
    ndarray, (count,)
        In Hz; NaN where no frame has the formant. They are the same at all rates, since a wave
        above 16 kHz is brought there first (as in `lp_envelope`).

    Raises
    ------
    ParameterError
        For a rate too low to hold a formant, and for more than one channel.

    References
    ----------
    Muckenhirn et al. (2019), section 4.2.2 (16th order, 10 frames around the centre); the paper
    says "averaged", the median is ours: one frame that misses a formant shifts all above it.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> from relviz.corpora import vowel
    >>> wave = vowel(120, (500, 1500, 2500))
    >>> np.abs(formants(wave, 16000, 0.15, count=2) - [500, 1500]) < 60
    array([ True,  True])
    """
    centres = centre + (np.arange(frames) - (frames - 1) / 2) * step
    signal, sample_rate, centres = _near(wave, sample_rate, centres, length)
    if pre_emphasis:
        # what the coefficient lifts depends on the rate; its logarithm is in proportion to it
        signal = pre_emphasise(signal, pre_emphasis ** (LP_RATE / sample_rate))
    rows = frame_formants(
        _frames(signal, sample_rate, centres, length, window), sample_rate, **settings
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
    """Return the wave with its F0 multiplied by a factor, as long as before.

    Periods are moved closer together or apart and not stretched, so formants stay roughly where
    they are. What is unvoiced stays as it is.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    factor : float
        Above 0.
    floor, ceiling : float
        Of the F0 in the wave, in Hz.

    Returns
    -------
    ndarray, (samples,)
        The changed recording.

    Raises
    ------
    ParameterError
        For a factor that is not above 0 and for limits that leave nothing to search.

    References
    ----------
    Moulines and Charpentier (1990), 10.1016/0167-6393(90)90021-Z, through praat-parselmouth
    (To Manipulation, Get resynthesis (overlap-add)).

    Notes
    -----
    Explained in chapter 9 of the book.

    Examples
    --------
    >>> pulses = np.zeros(16000)
    >>> pulses[::160] = 1.0
    >>> round(median_f0(shift_f0(pulses, 16000, 1.2), 16000))
    120
    """
    if not 0 < factor < np.inf or not 0 < floor < ceiling < np.inf:
        raise ParameterError(
            f"factor {factor}, floor {floor} Hz and ceiling {ceiling} Hz make no voice: give a "
            "factor above 0 and 0 < floor < ceiling."
        )
    require("parselmouth")
    from parselmouth.praat import call

    sound = _sound(wave, sample_rate)
    manipulation = call(sound, "To Manipulation", 0.01, floor, ceiling)
    tier = call(manipulation, "Extract pitch tier")
    call(tier, "Multiply frequencies", sound.xmin, sound.xmax, factor)
    call([tier, manipulation], "Replace pitch tier")
    samples = call(manipulation, "Get resynthesis (overlap-add)").values[0]
    return np.pad(samples, (0, max(0, sound.n_samples - len(samples))))[: sound.n_samples]


def shift_formant(
    wave: ArrayLike,
    sample_rate: float,
    factor: float,
    number: int | None = None,
    *,
    ceiling: float = 5500.0,
    max_bandwidth: float = 500.0,
) -> NDArray[np.float64]:
    """Return the wave with one formant, or all, multiplied by a factor; F0 and the rest as before.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    factor : float
        Above 0.
    number : int, optional
        Which formant, 1 for F1; default, the first four together.
    ceiling : float
        Praat's five formants are looked for below it, in Hz: 5000 for men, 5500 for women. Below
        half of a lower rate there are as many fewer.
    max_bandwidth : float
        In Hz: what is as wide or wider is no formant, and has no number.

    Returns
    -------
    ndarray, (samples,)
        The changed recording.

    Raises
    ------
    ParameterError
        For a factor that is not above 0, a number that is not from 1 to 5, and a ceiling that holds
        no five formants.

    References
    ----------
    Anderson (1978), Burg's method, through praat-parselmouth (To Formant); Klatt (1980),
    10.1121/1.383940, whose resonators have a gain of 1 at 0 Hz.

    Notes
    -----
    In each frame of 20 ms the pair of poles of a formant, as linear prediction finds it, is taken
    out by a pair of zeros and put back elsewhere, of the same bandwidth: the predictor's residual
    is not touched, and a factor of 1 changes nothing at all. Where no formant is found, or would
    come to lie beyond half of the rate, that frame keeps its own. As in a vocal tract, formants
    above one that is raised become louder. Used by `relviz.studies.cues`.

    Examples
    --------
    >>> from relviz.corpora import vowel
    >>> wave = vowel(120, (500, 1500, 2500))
    >>> moved = shift_formant(wave, 16000, 1.2, number=1)
    >>> np.abs(formants(moved, 16000, 0.15, count=2) - [600, 1500]) < 60
    array([ True,  True])
    """
    if not 0 < factor < np.inf or number not in (None, 1, 2, 3, 4, 5):
        raise ParameterError(
            f"factor {factor} of formant {number}: give a factor above 0, and a number from 1 to 5."
        )
    if not 1000 <= ceiling < np.inf:
        raise ParameterError(f"ceiling is {ceiling} Hz: give what five formants lie below, 5500.")
    numbers = (1, 2, 3, 4) if number is None else (number,)
    half = round(0.01 * sample_rate)  # frames of 20 ms that overlap by half
    window = scipy.signal.get_window("hann", 2 * half)
    before = round(0.03 * sample_rate)  # how long the filters ring
    samples = _sound(wave, sample_rate).values[0]
    padded = np.pad(samples, (before + half, before + 2 * half))  # Praat needs some length
    changed = np.zeros(len(padded))
    sound = _sound(padded, sample_rate)
    highest = min(ceiling, sample_rate / 2)
    count = round(10 * highest / ceiling) / 2  # Praat takes halves: a pole each
    track = sound.to_formant_burg(0.01, count, highest, 0.025, 50.0)
    for first in range(0, len(samples) + half, half):
        time = (first + before + half) / sample_rate
        piece = padded[first : first + before + 2 * half]
        found = [
            (frequency, bandwidth)
            for each in range(1, 6)
            if (frequency := track.get_value_at_time(each, time)) > 0  # not NaN
            and (bandwidth := track.get_bandwidth_at_time(each, time)) < max_bandwidth
        ]
        for frequency, bandwidth in (found[n - 1] for n in numbers if n <= len(found)):
            if frequency * factor < sample_rate / 2:
                zeros, poles = (
                    _resonator(f, bandwidth, sample_rate) for f in (frequency, frequency * factor)
                )
                piece = scipy.signal.lfilter(zeros / zeros.sum(), poles / poles.sum(), piece)
        changed[first + before : first + before + 2 * half] += window * piece[before:]
    return changed[before + half :][: len(samples)]


def _resonator(frequency: float, bandwidth: float, sample_rate: float) -> NDArray[np.float64]:
    """The polynomial whose roots are one pair of poles."""
    radius = np.exp(-np.pi * bandwidth / sample_rate)
    return np.array([1.0, -2 * radius * np.cos(2 * np.pi * frequency / sample_rate), radius**2])


def tilt(
    wave: ArrayLike, sample_rate: float, slope: float, *, pivot: float = 1000.0
) -> NDArray[np.float64]:
    """Return the wave with its spectrum tilted: so many dB more an octave, phases as they were.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    slope : float
        dB an octave, above 0 for a brighter sound.
    pivot : float
        In Hz; what is there keeps its level. Below a tenth of it the gain stays the same.

    Returns
    -------
    ndarray, (samples,)
        The changed recording.

    Raises
    ------
    ParameterError
        For a slope that is not finite, or a pivot that is not above 0.

    Notes
    -----
    Used by `relviz.studies.cues`.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000)
    >>> louder = tilt(tone, 16000, 6.0)  # an octave above the pivot
    >>> bool(abs(20 * np.log10(np.std(louder) / np.std(tone)) - 6) < 0.1)
    True
    """
    if not np.isfinite(slope) or not 0 < pivot < np.inf:
        raise ParameterError(
            f"slope {slope} dB an octave around {pivot} Hz: give a finite slope, and a pivot above "
            "0."
        )
    samples = np.asarray(wave, dtype=np.float64)
    size = scipy.fft.next_fast_len(len(samples) + round(0.1 * sample_rate), real=True)
    frequencies = scipy.fft.rfftfreq(size, 1 / sample_rate)
    octaves = np.log2(np.maximum(frequencies, pivot / 10) / pivot)
    gains = 10 ** (slope * octaves / 20)
    return scipy.fft.irfft(gains * scipy.fft.rfft(samples, size), size)[: len(samples)]


def disperse(wave: ArrayLike, sample_rate: float, spread: float = 0.005) -> NDArray[np.float64]:
    """Return the wave with other phases: low frequencies early, high ones late, none louder.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    spread : float
        Seconds by which half of the rate comes after 0 Hz; half of that at a quarter of the rate.
        The middle is not moved in time.

    Returns
    -------
    ndarray, (samples,)
        The changed recording: the magnitudes of its spectrum are those of `wave`, but for what
        leaves it at its ends.

    Raises
    ------
    ParameterError
        For a spread that is not finite.

    Notes
    -----
    An all-pass filter whose group delay grows with the frequency. Used by `relviz.studies.cues`.

    Examples
    --------
    >>> click = np.eye(1, 1600, 800)[0]
    >>> chirp = disperse(click, 16000, 0.01)
    >>> bool(np.abs(np.abs(np.fft.rfft(chirp)) - 1).max() < 0.2), bool(np.abs(chirp).max() < 0.2)
    (True, True)
    """
    if not np.isfinite(spread):
        raise ParameterError(f"spread is {spread} s: give some thousandths of a second.")
    samples = np.asarray(wave, dtype=np.float64)
    margin = round(2 * abs(spread) * sample_rate) + 1
    size = scipy.fft.next_fast_len(len(samples) + 2 * margin, real=True)
    frequencies = scipy.fft.rfftfreq(size, 1 / sample_rate)
    delay = spread * (frequencies / sample_rate - 0.5)  # of the phase: half of the group's
    spectrum = scipy.fft.rfft(np.pad(samples, margin), size)
    turned = scipy.fft.irfft(spectrum * np.exp(-2j * np.pi * frequencies * delay), size)
    return turned[margin : margin + len(samples)]


def replace_band(
    wave: ArrayLike, sample_rate: float, low: float, high: float, *, seed: int = 0
) -> NDArray[np.float64]:
    """Return the wave with noise in a band, as loud there from moment to moment as the wave was.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    low, high : float
        Limits of the band, in Hz.
    seed : int
        Of the noise.

    Returns
    -------
    ndarray, (samples,)
        The changed recording.

    Raises
    ------
    ParameterError
        As `notch`.

    Notes
    -----
    `notch` leaves a hole, which no speech has; noise keeps the level, followed over some 10 ms, and
    takes what was said. Used by `relviz.studies.cues`.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> noise = replace_band(tone, 16000, 500, 2000)
    >>> bool(abs(np.std(noise) / np.std(tone) - 1) < 0.1)
    True
    >>> bool(abs(np.corrcoef(tone, noise)[0, 1]) < 0.1)
    True
    """
    samples = np.asarray(wave, dtype=np.float64)
    rest = notch(samples, sample_rate, low, high)
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    noise -= notch(noise, sample_rate, low, high)
    smooth = scipy.signal.butter(1, 30, fs=sample_rate, output="sos")
    power = scipy.signal.sosfiltfilt(smooth, (samples - rest) ** 2)
    return rest + noise / noise.std() * np.sqrt(np.maximum(power, 0))


def notch(
    wave: ArrayLike, sample_rate: float, low: float, high: float, *, order: int = 4
) -> NDArray[np.float64]:
    """Return the wave without what lies in a band, phases as they were.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    low, high : float
        Limits of the band, in Hz.
    order : int
        Of the filter.

    Returns
    -------
    ndarray, (samples,)
        The filtered recording.

    Raises
    ------
    ParameterError
        For limits that are not in order within 0 and the Nyquist frequency.

    Notes
    -----
    A Butterworth band-stop filter, run forwards and backwards: 6 dB down at both limits. Explained
    in chapter 9 of the book.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> bool(np.abs(notch(tone, 16000, 500, 2000)[4000:12000]).max() < 0.01)
    True
    """
    if not 0 < low < high < sample_rate / 2:
        raise ParameterError(
            f"no band from {low} to {high} Hz: give 0 < low < high < {sample_rate / 2:g} Hz."
        )
    sections = scipy.signal.butter(order, (low, high), "bandstop", fs=sample_rate, output="sos")
    return scipy.signal.sosfiltfilt(sections, np.asarray(wave, dtype=np.float64))


_FRAMES_AT_ONCE = 1000  # whose spectra are held in memory


def long_term_spectrum(
    wave: ArrayLike, sample_rate: float, *, resolution: float = 125.0
) -> NDArray[np.float64]:
    """Return the long-term average spectrum of a recording: its power in equal bands.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    resolution : float
        Hz from one band to the next: coarse enough to show the room, the microphone and the shape
        of a voice's spectrum, but none of its harmonics.

    Returns
    -------
    ndarray, (bands,)
        Power at 0, `resolution`, ... Hz, up to half of the rate.

    Raises
    ------
    ParameterError
        For a recording shorter than a frame, and a resolution that cannot be.

    References
    ----------
    Welch (1967), 10.1109/TAU.1967.1161901; Hann windows of 1 / `resolution` seconds, by half.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> int(long_term_spectrum(tone, 16000).argmax()) * 125
    1000
    """
    samples = np.asarray(wave, dtype=np.float64)
    size = round(sample_rate / resolution) if 0 < resolution <= sample_rate / 4 else 0
    if not size or samples.ndim != 1 or len(samples) < size:
        raise ParameterError(
            f"{samples.shape} samples at {sample_rate:g} Hz have no bands of {resolution:g} Hz: "
            "give one recording of some seconds, and a resolution of some 100 Hz."
        )
    # scipy.signal.welch takes one frame after the other, four times as slowly
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size - size // 2]
    total = np.zeros(size // 2 + 1)
    for begin in range(0, len(frames), _FRAMES_AT_ONCE):
        some = frames[begin : begin + _FRAMES_AT_ONCE]
        _, power = scipy.signal.periodogram(some, sample_rate, "hann", detrend=False)
        total += power.sum(axis=0)
    return total / len(frames)


def equalise(
    wave: ArrayLike,
    sample_rate: float,
    target: ArrayLike,
    *,
    resolution: float = 125.0,
    most: float = 40.0,
) -> NDArray[np.float64]:
    """Return a recording with another long-term average spectrum, through one filter.

    Whatever stays the same in a recording, such as a microphone, a codec or a room, is then the
    same in all recordings; what the voice changes from moment to moment stays.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz.
    target : array_like, (bands,)
        What `long_term_spectrum` shall say of it, but for one factor.
    resolution : float
        As in `long_term_spectrum`.
    most : float
        dB that a band is raised or lowered beyond the median band, at most: where there was
        nothing, nothing can be raised but noise.

    Returns
    -------
    ndarray, (samples,)
        With the RMS of `wave`. The filter has linear phase, and its delay is taken out.

    Raises
    ------
    ParameterError
        For a target that is not of the wave's bands, not finite or not positive, and as
        `long_term_spectrum`.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal(32000)
    >>> steps = equalise(noise, 16000, np.linspace(1, 0.01, 65))
    >>> ratio = long_term_spectrum(steps, 16000)[[10, 50]]
    >>> bool(3 < ratio[0] / ratio[1] < 5)  # 0.845 to 0.227 in the target
    True
    """
    samples = np.asarray(wave, dtype=np.float64)
    own = long_term_spectrum(samples, sample_rate, resolution=resolution)
    wanted = np.asarray(target, dtype=np.float64)
    if wanted.shape != own.shape or not (np.isfinite(wanted) & (wanted > 0)).all():
        raise ParameterError(
            f"target has shape {wanted.shape}: give {len(own)} powers above 0, those of "
            "long_term_spectrum at the same resolution."
        )
    levels = 10 * np.log10(wanted / np.maximum(own, np.finfo(np.float64).tiny))
    levels = np.clip(levels - np.median(levels), -most, most)
    frequencies = np.linspace(0, sample_rate / 2, len(own))
    taps = scipy.signal.firwin2(
        4 * (len(own) - 1) + 1, frequencies, 10 ** (levels / 20), fs=sample_rate
    )
    shaped = scipy.signal.fftconvolve(samples, taps, mode="same")
    return shaped * np.sqrt(np.mean(samples**2) / max(np.mean(shaped**2), np.finfo(float).tiny))


def telephone(wave: ArrayLike, sample_rate: float) -> NDArray[np.float64]:
    """Return a recording as it comes out of a telephone: 300 to 3400 Hz, 8 kHz, eight bits.

    Parameters
    ----------
    wave : array_like, (samples,)
        A recording.
    sample_rate : float
        In Hz, at least 8000.

    Returns
    -------
    ndarray, (samples,)
        At the same rate, of the same length. Its peak takes all of the eight bits.

    Raises
    ------
    ParameterError
        For a lower rate.

    Notes
    -----
    The steps of the eight bits grow with the amplitude by the mu law, mu = 255.

    References
    ----------
    ITU-T Recommendations G.711 (mu law) and G.712 (the band).

    Examples
    --------
    >>> hum = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)
    >>> bool(np.abs(telephone(hum, 16000)[4000:12000]).max() < 0.05)
    True
    """
    import soxr

    samples = np.asarray(wave, dtype=np.float64)
    if sample_rate < 8000:
        raise ParameterError(f"sample_rate is {sample_rate:g} Hz: give 8000 Hz or more.")
    narrow = soxr.resample(samples, sample_rate, 8000, quality="HQ")
    sections = scipy.signal.butter(4, (300, 3400), "bandpass", fs=8000, output="sos")
    narrow = scipy.signal.sosfiltfilt(sections, narrow)
    peak = max(float(np.abs(narrow).max()), np.finfo(np.float64).tiny)
    scaled = np.log1p(255 * np.abs(narrow) / peak) / np.log(256)
    steps = np.round(127 * scaled) / 127
    narrow = np.sign(narrow) * peak * np.expm1(steps * np.log(256)) / 255
    wide = soxr.resample(narrow, 8000, sample_rate, quality="HQ")
    return np.pad(wide, (0, max(0, len(samples) - len(wide))))[: len(samples)]


def _for_lp(
    frame: ArrayLike, sample_rate: float, order: int
) -> tuple[NDArray[np.float64], float, int]:
    """A frame as linear prediction of an order at 16 kHz needs it: samples, rate and order."""
    samples = np.asarray(frame, dtype=np.float64)
    if not 0 < sample_rate < np.inf or order < 1:
        raise ParameterError(
            f"sample_rate is {sample_rate} Hz and order {order}: give a rate above 0 and an order "
            "of 1 or more."
        )
    if sample_rate > LP_RATE:
        return _resampled(samples, sample_rate), LP_RATE, order
    if sample_rate < LP_RATE:
        # an even number stays even: each formant needs a pair of poles
        share = order * sample_rate / LP_RATE
        order = max(1, round(share)) if order % 2 else 2 * round(share / 2)
        if order < 2:
            raise ParameterError(
                f"sample_rate is {sample_rate:g} Hz, too low to hold formants: record at 8000 Hz "
                "or more."
            )
    return samples, sample_rate, order


def _near(
    wave: ArrayLike, sample_rate: float, centres: NDArray, length: float
) -> tuple[NDArray[np.float64], float, NDArray]:
    """What frames around centres (s) need of a wave, at 16 kHz if its rate is higher."""
    samples = np.asarray(wave, dtype=np.float64)
    if samples.ndim != 1 or not LP_RATE < sample_rate < np.inf:
        return samples, sample_rate, centres
    margin = length + 0.05  # the filter that resamples reaches beyond the frames
    first = max(0, int((centres.min() - margin) * sample_rate))
    last = max(first + 1, int((centres.max() + margin) * sample_rate))
    return _resampled(samples[first:last], sample_rate), LP_RATE, centres - first / sample_rate


def _resampled(samples: NDArray[np.float64], sample_rate: float) -> NDArray[np.float64]:
    import soxr

    if not samples.size:
        return samples

    def one(row: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(soxr.resample(row, sample_rate, LP_RATE, quality="HQ"))

    return np.apply_along_axis(one, -1, samples)


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
    require("parselmouth")
    import parselmouth

    samples = np.asarray(wave, dtype=np.float64)
    if samples.ndim != 1 or len(samples) == 0:
        raise ParameterError(f"wave has shape {samples.shape}: give one signal, (samples,).")
    if not np.isfinite(samples).all():
        raise ParameterError("wave holds NaN or infinity, so it has no F0: repair or cut it.")
    return parselmouth.Sound(samples, sampling_frequency=sample_rate)
