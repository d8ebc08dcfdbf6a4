"""What the first layer sees: the paper's two analyses of its kernels (section 2)."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from relviz._errors import ParameterError


def cumulative_response(
    filters: ArrayLike, sample_rate: float, n_fft: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eq. (1): the sum over filters of their magnitude spectra, each of unit norm.

    filters: (n_f, kW) kernels f_k. n_fft: DFT length; kernels are zero-padded to it. All-zero
    kernels add nothing. The norm is taken over the n_fft // 2 + 1 bins that are returned.
    Returns (frequencies in Hz, F_cum), each (n_fft // 2 + 1,).
    Source: Muckenhirn et al. (2019), eq. (1).
    """
    magnitude = np.abs(_spectra(filters, n_fft))
    norm = np.linalg.norm(magnitude, axis=-1, keepdims=True)
    unit = np.divide(magnitude, norm, out=np.zeros_like(magnitude), where=norm > 0)
    return scipy.fft.rfftfreq(n_fft, 1 / sample_rate), unit.sum(axis=0)


def dictionary_response(
    x: ArrayLike, filters: ArrayLike, sample_rate: float, n_fft: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eq. (2): |sum_k <x, f_k> DFT[f_k]|, what the filters together respond to in x.

    x: (..., kW), one frame or many. filters: (n_f, kW). n_fft: DFT length of the kernels.
    Returns (frequencies in Hz, (n_fft // 2 + 1,)) and s, (..., n_fft // 2 + 1).
    Raises ValueError if a frame is not as long as a kernel.
    Source: Muckenhirn et al. (2019), eq. (2).
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
