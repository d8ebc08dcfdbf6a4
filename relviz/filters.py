"""What the first layer sees: the paper's two analyses of its kernels (section 2)."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from relviz._errors import ParameterError

__all__ = ["cumulative_response", "dictionary_response"]


def cumulative_response(
    filters: ArrayLike, sample_rate: float, n_fft: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum over filters of their magnitude spectra, each of unit norm, eq. (1).

    Parameters
    ----------
    filters : array_like, (n_f, kW)
        Kernels f_k. All-zero kernels add nothing.
    sample_rate : float
        In Hz.
    n_fft : int
        DFT length; kernels are zero-padded to it.

    Returns
    -------
    frequencies : ndarray, (n_fft // 2 + 1,)
        In Hz.
    response : ndarray, (n_fft // 2 + 1,)
        F_cum. The norm is taken over the bins that are returned.

    Raises
    ------
    ParameterError
        For kernels that are not two-dimensional or longer than `n_fft`.

    References
    ----------
    Muckenhirn et al. (2019), eq. (1).

    Notes
    -----
    Explained in chapter 2 of the book.

    Examples
    --------
    >>> frequencies, response = cumulative_response([[1.0, 0.0]], 16000, n_fft=6)
    >>> response
    array([0.5, 0.5, 0.5, 0.5])
    """
    magnitude = np.abs(_spectra(filters, n_fft))
    norm = np.linalg.norm(magnitude, axis=-1, keepdims=True)
    unit = np.divide(magnitude, norm, out=np.zeros_like(magnitude), where=norm > 0)
    return scipy.fft.rfftfreq(n_fft, 1 / sample_rate), unit.sum(axis=0)


def dictionary_response(
    x: ArrayLike, filters: ArrayLike, sample_rate: float, n_fft: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``|sum_k <x, f_k> DFT[f_k]|``, what the filters together respond to in x, eq. (2).

    Parameters
    ----------
    x : array_like, (..., kW)
        One frame or many.
    filters : array_like, (n_f, kW)
        Kernels f_k.
    sample_rate : float
        In Hz.
    n_fft : int
        DFT length of the kernels.

    Returns
    -------
    frequencies : ndarray, (n_fft // 2 + 1,)
        In Hz.
    response : ndarray, (..., n_fft // 2 + 1)
        s.

    Raises
    ------
    ParameterError
        If a frame is not as long as a kernel, and as `cumulative_response`.

    References
    ----------
    Muckenhirn et al. (2019), eq. (2).

    Notes
    -----
    Explained in chapter 2 of the book.

    Examples
    --------
    >>> frequencies, response = dictionary_response([3.0, 9.0], [[1.0, 0.0]], 16000, n_fft=4)
    >>> response
    array([3., 3., 3.])
    """
    frames, kernels = np.asarray(x, dtype=np.float64), np.asarray(filters, dtype=np.float64)
    if frames.ndim == 0 or frames.shape[-1] != kernels.shape[-1]:
        raise ParameterError(
            f"x has {frames.shape[-1] if frames.ndim else 0} samples a frame and the kernels have "
            f"{kernels.shape[-1]}: cut x into frames of one kernel's length."
        )
    response = np.abs((frames @ kernels.T) @ _spectra(kernels, n_fft))
    return scipy.fft.rfftfreq(n_fft, 1 / sample_rate), response


def _spectra(filters: ArrayLike, n_fft: int) -> NDArray[np.complex128]:
    kernels = np.asarray(filters, dtype=np.float64)
    if kernels.ndim != 2:
        raise ParameterError(f"filters have shape {kernels.shape}: give (n_f, kW).")
    if n_fft < kernels.shape[-1]:
        raise ParameterError(
            f"n_fft is {n_fft}, shorter than the kernels' {kernels.shape[-1]} taps."
        )
    return scipy.fft.rfft(kernels, n_fft)
