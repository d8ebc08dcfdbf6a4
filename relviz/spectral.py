"""Spectral relevance: from the gradient of every sample to that of every frequency.

A network's score y has the real gradient f[n] = dy/dx[n]. Let the input come from its spectrum,
x = irfft(X) or x = istft(X). How does y change with X? Two answers, both here:

paper
    Eq. (4) of Muckenhirn et al. (2019): the inverse DFT of f, which is the Wirtinger derivative
    dy/dX[k] of a real signal, whose bins come in conjugate pairs. For the STFT, the inverse DFT of
    every windowed frame of f.
exact
    dy/da + j dy/db for X = a + jb, what autograd returns through `irfft` and `istft`. It knows that
    a real signal's bins come in pairs (twice the value at all but the first and the Nyquist bin),
    and that istft divides by the sum of squared windows.

For the DFT, exact[k] = c_k conj(paper[k]), c_k = 1 at DC and Nyquist and 2 elsewhere: the maps
differ in these two bins only. For the STFT they agree up to a constant where the squared windows
sum to one (interior frames of a Hann window with hop M/4, say) and differ elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from relviz._errors import ParameterError

__all__ = [
    "Form",
    "SpectralMap",
    "dft_relevance",
    "one_sided_factor",
    "spectral_relevance",
    "stft_relevance",
]

_BLOCK = 1 << 22
"""Values of frames that are held at once: 32 MB."""

Form = Literal["paper", "exact"]
"""Which of the two answers."""


class SpectralMap(NamedTuple):
    """A spectral relevance map.

    Parameters
    ----------
    frequencies : ndarray, (bins,)
        In Hz.
    times : ndarray, (frames,)
        In s.
    magnitude : ndarray, (bins, frames)
        ``|g|``.
    """

    frequencies: NDArray[np.float64]
    times: NDArray[np.float64]
    magnitude: NDArray[np.float64]


def dft_relevance(f: ArrayLike, form: Form = "paper") -> NDArray[np.complex128]:
    """Return the relevance of every DFT bin of x, given f = dy/dx.

    Parameters
    ----------
    f : array_like, (..., N)
        Real.
    form : {"paper", "exact"}
        See the module.

    Returns
    -------
    ndarray, (..., N // 2 + 1)
        g, complex, for bins 0 to N // 2.

    Raises
    ------
    ParameterError
        For what is complex, empty or not finite, and for an unknown form.

    References
    ----------
    Muckenhirn et al. (2019), eq. (3) and (4), for "paper"; for "exact" the gradient that
    `torch.fft.irfft(X, n=N)` passes back.

    Notes
    -----
    Explained in chapter 5 of the book.

    Examples
    --------
    >>> dft_relevance([1.0, 0.0, 0.0, 0.0])
    array([0.25-0.j, 0.25-0.j, 0.25-0.j])
    >>> dft_relevance([1.0, 0.0, 0.0, 0.0], "exact").real
    array([0.25, 0.5 , 0.25])
    """
    gradient = _real(f)
    _check(form)
    n = gradient.shape[-1]
    spectrum = scipy.fft.rfft(gradient, norm="forward")  # DFT(f) / N
    return spectrum.conj() if form == "paper" else one_sided_factor(n) * spectrum


def one_sided_factor(n: int) -> NDArray[np.float64]:
    """Return how many bins of a whole DFT each bin of a real signal stands for.

    Parameters
    ----------
    n : int
        Samples of the signal.

    Returns
    -------
    ndarray, (n // 2 + 1,)
        c_k: 1 at DC and Nyquist, 2 where bins pair up.

    Notes
    -----
    Explained in chapter 5 of the book.

    Examples
    --------
    >>> one_sided_factor(4), one_sided_factor(5)
    (array([1., 2., 1.]), array([1., 2., 2.]))
    """
    factor = np.full(n // 2 + 1, 2.0)
    factor[0] = 1.0
    if n % 2 == 0:
        factor[-1] = 1.0
    return factor


def stft_relevance(
    f: ArrayLike,
    window: ArrayLike,
    hop_length: int,
    *,
    n_fft: int | None = None,
    form: Form = "paper",
) -> NDArray[np.complex128]:
    """Return the relevance of every STFT bin of x, given f = dy/dx.

    Frame m is centred on sample m * hop_length, as `torch.stft` and `librosa.stft` have it with
    `center=True` and zeros beyond the ends.

    Parameters
    ----------
    f : array_like, (..., samples)
        Real.
    window : array_like, (M,)
        Real.
    hop_length : int
        Samples between frames.
    n_fft : int, optional
        DFT length, at least M (default M); the window is then zero-padded on both sides.
    form : {"paper", "exact"}
        "exact" is what `torch.istft(X, n_fft, hop_length, window=window, length=samples)` passes
        back.

    Returns
    -------
    ndarray, (..., n_fft // 2 + 1, 1 + (samples - n_fft % 2) // hop_length)
        g, complex.

    Raises
    ------
    ParameterError
        For "exact", where the windows leave a sample uncovered, since there x is not defined; for
        what is complex, empty or not finite, and for a hop, window, DFT length or form that cannot
        be.

    References
    ----------
    Muckenhirn et al. (2019), end of section 3.2; Caracalla and Roebel (2017).

    Notes
    -----
    Explained in chapter 5 of the book.

    Examples
    --------
    >>> stft_relevance(np.ones(1000), np.hanning(400), 100).shape
    (201, 11)
    """
    g: NDArray[np.complex128] = _filled(_stft_blocks(f, window, hop_length, n_fft, form))
    return g


def _stft_blocks(
    f: ArrayLike, window: ArrayLike, hop_length: int, n_fft: int | None, form: Form
) -> Iterator[tuple[int, NDArray[np.complex128]]]:
    """Yield how many frames there are, and some after the other: an hour needs little at once."""
    gradient = _real(f)
    _check(form)
    taper = _padded_window(window, n_fft)
    if not isinstance(hop_length, (int, np.integer)) or hop_length < 1:
        raise ParameterError(
            f"hop_length is {hop_length!r}: give a whole number of samples, 1 or more."
        )
    samples, n = gradient.shape[-1], len(taper)
    count = 1 + (samples - n % 2) // hop_length  # as torch.stft counts
    if form == "exact":
        gradient = gradient / _squared_windows(taper, hop_length, count, samples)
    edges = [(0, 0)] * (gradient.ndim - 1) + [
        (n // 2, max(0, (count - 1) * hop_length + n - samples))
    ]
    padded = np.pad(gradient, edges)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n, axis=-1)
    frames = frames[..., : (count - 1) * hop_length + 1 : hop_length, :]
    some = max(1, _BLOCK // max(1, frames[..., :1, :].size))
    for start in range(0, count, some):
        block = frames[..., start : start + some, :]
        yield count, np.swapaxes(dft_relevance(block * taper, form), -1, -2)


def _filled(blocks: Iterable[tuple[int, NDArray[Any]]]) -> NDArray[Any]:
    """Put blocks of frames into one array, which alone is there twice at no time."""
    start = 0
    for count, block in blocks:
        if start == 0:
            whole = np.empty((*block.shape[:-1], count), dtype=block.dtype)
        whole[..., start : start + block.shape[-1]] = block
        start += block.shape[-1]
    return whole


def spectral_relevance(
    f: ArrayLike,
    sample_rate: float,
    *,
    length: float = 0.025,
    step: float = 0.005,
    window: str = "hann",
    n_fft: int | None = None,
    form: Form = "paper",
) -> SpectralMap:
    """Return the spectral relevance map ``|g|`` of a relevance signal, in Hz and seconds.

    Parameters
    ----------
    f : array_like, (samples,)
        The gradient or relevance signal.
    sample_rate : float
        In Hz.
    length, step : float
        Of the analysis window and between frames, in s (25 ms as in the paper).
    window : str
        A name that `scipy.signal.get_window` knows.
    n_fft : int, optional
        DFT length in samples; default, the next fast length.
    form : {"paper", "exact"}
        See the module.

    Returns
    -------
    SpectralMap
        `frequencies`, `times`, `magnitude`.

    Raises
    ------
    ParameterError
        For more than one signal, and as `stft_relevance`.

    References
    ----------
    Muckenhirn et al. (2019), section 3.2, eq. (4).

    Notes
    -----
    Explained in chapter 5 of the book.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> frequencies, times, magnitude = spectral_relevance(tone, 16000)
    >>> frequencies[magnitude[:, 100].argmax()]
    np.float64(1000.0)
    """
    import scipy.signal  # heavier than all the rest of this room

    gradient = _real(f)
    if gradient.ndim != 1:
        raise ParameterError(f"f has shape {gradient.shape}: give one signal, (samples,).")
    size, hop_length = round(length * sample_rate), round(step * sample_rate)
    taper = scipy.signal.get_window(window, max(size, 1))
    n = scipy.fft.next_fast_len(size, real=True) if n_fft is None else n_fft
    blocks = _stft_blocks(gradient, taper, hop_length, n, form)
    magnitude = _filled((count, np.abs(g)) for count, g in blocks)
    return SpectralMap(
        scipy.fft.rfftfreq(n, 1 / sample_rate),
        np.arange(magnitude.shape[-1]) * hop_length / sample_rate,
        magnitude,
    )


def _real(f: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(f)
    if array.ndim == 0 or array.shape[-1] == 0 or np.iscomplexobj(array):
        raise ParameterError("f must be a real array with at least one sample along its last axis.")
    if not np.isfinite(array).all():
        raise ParameterError("f holds NaN or infinite values: repair the gradient first.")
    return array.astype(np.float64, copy=False)


def _check(form: str) -> None:
    if form not in get_args(Form):
        raise ParameterError(f"form {form!r} is unknown: use paper or exact.")


def _padded_window(window: ArrayLike, n_fft: int | None) -> NDArray[np.float64]:
    """Put the window in the middle of n_fft samples, where `torch.stft` puts it."""
    taper = np.asarray(window, dtype=np.float64)
    if taper.ndim != 1 or len(taper) == 0 or not np.isfinite(taper).all():
        raise ParameterError("window must be a one-dimensional array of finite values.")
    n = len(taper) if n_fft is None else n_fft
    if n < len(taper):
        raise ParameterError(f"n_fft is {n}, shorter than the window's {len(taper)} samples.")
    left = (n - len(taper)) // 2
    return np.pad(taper, (left, n - len(taper) - left))


def _squared_windows(
    taper: NDArray[np.float64], hop_length: int, count: int, samples: int
) -> NDArray[np.float64]:
    """Sum over frames of the squared window at every sample, (samples,), by which istft divides."""
    n = len(taper)
    total = np.zeros(n + max((count - 1) * hop_length, samples))
    for m in range(count):
        total[m * hop_length : m * hop_length + n] += taper**2
    total = total[n // 2 : n // 2 + samples]
    if total.min() < 1e-11:  # torch.istft's own limit
        raise ParameterError(
            f"windows of {n} samples every {hop_length} leave sample {int(total.argmin())} "
            "uncovered: "
            "the exact form needs a smaller hop or a window that does not vanish there."
        )
    return total
