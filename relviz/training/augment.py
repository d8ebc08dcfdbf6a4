"""What a window may go through before it is learnt from: another speed, another microphone, noise.

Every window of a batch has draws of its own, which depend on seed and step alone. Another level
is not among them: a network whose windows are normalised does not hear it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from relviz.audio import SAMPLE_RATE

__all__ = ["add_noise", "filtered", "played"]


def played(x: Tensor, speeds: ArrayLike, window: int) -> Tensor:
    """Play windows faster or slower around their middle, by linear interpolation.

    Parameters
    ----------
    x : Tensor, (batch, samples)
        Recordings, long enough: `window` times the highest speed.
    speeds : array_like, (batch,)
        Above 1 is faster, and higher.
    window : int
        Samples to return.

    Returns
    -------
    Tensor, (batch, window)
        Sample ``window // 2`` is sample ``samples // 2`` of `x`.

    References
    ----------
    Ko et al., "Audio augmentation for speech recognition", Interspeech 2015,
    10.21437/Interspeech.2015-711.

    Examples
    --------
    >>> played(torch.arange(9.0)[None], [2.0], window=4)
    tensor([[0., 2., 4., 6.]])
    """
    speed = torch.as_tensor(np.asarray(speeds), dtype=torch.float32, device=x.device)
    place = torch.arange(window, dtype=torch.float32, device=x.device) - window // 2
    # a place beyond the end by rounding is the end
    place = (x.shape[-1] // 2 + speed[:, None] * place).clamp(0, x.shape[-1] - 1)
    before = place.long().clamp(max=x.shape[-1] - 2)
    rest = (place - before).to(x.dtype)
    return torch.lerp(x.gather(-1, before), x.gather(-1, before + 1), rest)


def filtered(x: Tensor, levels: ArrayLike) -> Tensor:
    """Hear windows through microphones: a smooth response for each, without delay.

    Parameters
    ----------
    x : Tensor, (batch, samples)
        At 16 kHz.
    levels : array_like, (batch, points)
        Gains in dB at points that lie evenly on the mel scale from 0 to 8 kHz; between them they go
        on straight.

    Returns
    -------
    Tensor, (batch, samples)
        Filtered, by multiplying spectra: what leaves at one end of a window enters at the other.

    Examples
    --------
    >>> x = torch.ones(1, 100)
    >>> filtered(x, [[20.0, 0.0]])[0, :2]
    tensor([10., 10.])
    """
    decibels = np.asarray(levels, dtype=np.float64)
    hertz = np.fft.rfftfreq(x.shape[-1], 1 / SAMPLE_RATE)
    mel = np.log1p(hertz / 700)
    points = np.linspace(0, np.log1p(SAMPLE_RATE / 2 / 700), decibels.shape[-1])
    gains = 10 ** (np.stack([np.interp(mel, points, each) for each in decibels]) / 20)
    response = torch.as_tensor(gains, dtype=x.dtype, device=x.device)
    return torch.fft.irfft(torch.fft.rfft(x) * response, n=x.shape[-1])


def add_noise(x: Tensor, noise: Tensor, ratios: ArrayLike) -> Tensor:
    """Add noise to windows at signal-to-noise ratios in dB; silence stays silent.

    Parameters
    ----------
    x, noise : Tensor, (batch, samples)
        Windows, and what is added at another level.
    ratios : array_like, (batch,)
        In dB, by the powers of the whole windows.

    Returns
    -------
    Tensor, (batch, samples)
        The sums.

    Examples
    --------
    >>> add_noise(torch.ones(1, 4), torch.tensor([[2.0, -2, 2, -2]]), [20.0])
    tensor([[1.1000, 0.9000, 1.1000, 0.9000]])
    """
    gain = torch.as_tensor(10 ** (-np.asarray(ratios) / 20), dtype=x.dtype, device=x.device)
    level = x.square().mean(-1).sqrt() / noise.square().mean(-1).sqrt()
    return x + noise * (gain * level)[:, None]
