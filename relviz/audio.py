"""Waveforms in: read, resample, check, frame. The one place where bad audio is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz._errors import RelvizError

SAMPLE_RATE = 16000
"""Hz; every network of the book hears speech at this rate."""


class AudioError(RelvizError, ValueError):
    """Audio that cannot be used; the message names the culprit and the way out."""


def check(wave: ArrayLike, name: str = "the waveform", minimum: int = 1) -> NDArray[np.float32]:
    """Return `wave` as a mono float32 array, or refuse it in one sentence.

    wave: (samples,), any real dtype that is already in the range of floating point audio.
    minimum: the fewest samples that are enough, such as a network's window.
    Raises AudioError if `wave` is not one-dimensional, holds NaN or infinity, is silent
    (all samples equal) or is shorter than `minimum`; `name` is how the sentence calls it.
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
    """Read a wav, flac or other libsndfile file as mono float32 at `sample_rate` Hz.

    Channels are averaged; another rate is resampled (see `resample`).
    Returns (samples,), within about -1 to 1. Raises AudioError, naming the file, if it is missing
    or unreadable, or for what `check` refuses (`minimum` counts samples at `sample_rate`).
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
    """Resample (samples,) from `rate` to `new_rate` Hz with soxr's high-quality filter."""
    if rate == new_rate:
        return wave
    import soxr

    return np.asarray(soxr.resample(wave, rate, new_rate, quality="HQ"), dtype=np.float32)


def frame(wave: NDArray, length: int, starts: ArrayLike) -> NDArray:
    """Cut windows of `length` samples that begin at `starts`; zeros outside the signal.

    wave: (samples,). starts: (frames,) integers, which may be negative or run past the end.
    Returns a copy, (frames, length), of the same dtype.
    """
    first = np.asarray(starts, dtype=np.int64)
    before = max(0, -int(first.min(initial=0)))
    after = max(0, int(first.max(initial=0)) + length - len(wave))
    padded = np.pad(wave, (before, after))
    return np.lib.stride_tricks.sliding_window_view(padded, length)[first + before].copy()
