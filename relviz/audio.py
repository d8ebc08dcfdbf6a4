"""Waveforms in: read, resample, check, frame. The one place where bad audio is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz._errors import RelvizError

__all__ = ["SAMPLE_RATE", "AudioError", "check", "frame", "read", "resample"]

SAMPLE_RATE = 16000
"""Hz; every network of the book hears speech at this rate."""


class AudioError(RelvizError, ValueError):
    """Audio that cannot be used; the message names the culprit and the way out.

    Examples
    --------
    >>> check(np.zeros(100, dtype=np.float32))
    Traceback (most recent call last):
    relviz.audio.AudioError: the waveform is silent (every sample is 0): use another recording.
    """


def check(wave: ArrayLike, name: str = "the waveform", minimum: int = 1) -> NDArray[np.float32]:
    """Return `wave` as a mono float32 array, or refuse it in one sentence.

    Parameters
    ----------
    wave : array_like, (samples,)
        Any real floating point dtype, in the range of floating point audio.
    name : str
        How the sentence calls it.
    minimum : int
        The fewest samples that are enough, such as a network's window.

    Returns
    -------
    ndarray of float32, (samples,)
        A copy.

    Raises
    ------
    AudioError
        If `wave` is not one-dimensional, holds NaN or infinity, is silent (all samples equal) or is
        shorter than `minimum`.

    Examples
    --------
    >>> check([0.25, -0.5, 0.0])
    array([ 0.25, -0.5 ,  0.  ], dtype=float32)
    """
    array = np.asarray(wave)
    if array.ndim != 1:
        raise AudioError(
            f"{name} has shape {array.shape}: give one channel as a one-dimensional array."
        )
    if np.iscomplexobj(array) or not np.issubdtype(array.dtype, np.floating):
        raise AudioError(
            f"{name} holds {array.dtype} samples: convert them to floating point between -1 and 1."
        )
    array = array.astype(np.float32)
    if len(array) < max(minimum, 1):
        raise AudioError(
            f"{name} has {len(array)} samples, fewer than the {max(minimum, 1)} that are needed: "
            "use a longer recording."
        )
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise AudioError(
            f"{name} holds {len(bad)} samples that are NaN or infinite, the first at index "
            f"{bad[0]}: repair or cut the recording."
        )
    if np.ptp(array) == 0:
        raise AudioError(f"{name} is silent (every sample is {array[0]:g}): use another recording.")
    return array


def read(path: str | Path, sample_rate: int = SAMPLE_RATE, minimum: int = 1) -> NDArray[np.float32]:
    """Read a wav, flac or other libsndfile file as mono float32.

    Channels are averaged; another rate is resampled (see `resample`).

    Parameters
    ----------
    path : Path or str
        The file.
    sample_rate : int
        Hz, of what is returned.
    minimum : int
        The fewest samples that are enough, at `sample_rate`.

    Returns
    -------
    ndarray of float32, (samples,)
        Within about -1 to 1.

    Raises
    ------
    AudioError
        Naming the file, if it is missing or unreadable, or for what `check` refuses.

    Notes
    -----
    Used in chapters 6 and 12 of the book.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
    >>> soundfile.write(path, 0.1 * np.sin(np.arange(800)), 8000)
    >>> read(path).shape
    (1600,)
    """
    import soundfile

    path = Path(path).expanduser()
    if not path.is_file():
        raise AudioError(f"{path} is not a file: check the path.")
    try:
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise AudioError(
            f"{path} cannot be read as audio ({str(error).rstrip('.')}): convert it to wav or flac."
        ) from error
    wave = check(channels.mean(axis=1), str(path))
    return check(resample(wave, rate, sample_rate), str(path), minimum)


def resample(wave: NDArray[np.float32], rate: float, new_rate: float) -> NDArray[np.float32]:
    """Resample a waveform with soxr's high-quality filter.

    Parameters
    ----------
    wave : ndarray of float32, (samples,)
        At `rate`.
    rate, new_rate : float
        Hz.

    Returns
    -------
    ndarray of float32
        At `new_rate`; `wave` itself where the two are the same.

    Examples
    --------
    >>> resample(np.sin(np.arange(800, dtype=np.float32)), 8000, 16000).shape
    (1600,)
    """
    if rate == new_rate:
        return wave
    import soxr

    return np.asarray(soxr.resample(wave, rate, new_rate, quality="HQ"), dtype=np.float32)


def frame(wave: NDArray, length: int, starts: ArrayLike) -> NDArray:
    """Cut windows that begin at `starts` out of a signal; zeros outside it.

    Parameters
    ----------
    wave : ndarray, (samples,)
        The signal.
    length : int
        Samples of a window.
    starts : array_like of int, (frames,)
        May be negative or run past the end.

    Returns
    -------
    ndarray, (frames, length)
        A copy, of the same dtype.

    Notes
    -----
    Used from chapter 1 of the book on.

    Examples
    --------
    >>> frame(np.array([1, 2, 3]), 2, [-1, 1, 2])
    array([[0, 1],
           [2, 3],
           [3, 0]])
    """
    first = np.asarray(starts, dtype=np.int64)
    before = max(0, -int(first.min(initial=0)))
    after = max(0, int(first.max(initial=0)) + length - len(wave))
    padded = np.pad(wave, (before, after))
    return np.lib.stride_tricks.sliding_window_view(padded, length)[first + before].copy()
