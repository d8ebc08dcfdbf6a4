"""Waveforms in: read, resample, check, frame. The one place where bad audio is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz._errors import RelvizError
from relviz._headers import header
from relviz._text import printable

__all__ = [
    "CANCELLED",
    "FASTEST",
    "LOUDEST",
    "SAMPLE_RATE",
    "SLOWEST",
    "AudioError",
    "check",
    "duration",
    "frame",
    "read",
    "resample",
    "shown",
]

SAMPLE_RATE = 16000
"""Hz; every network of the book hears speech at this rate."""

SLOWEST, FASTEST = 1000, 768000
"""Hz; a header that says another rate is wrong, and would turn kilobytes into gigabytes."""

LOUDEST = 8.0
"""Peak of floating point samples beyond which they were never scaled to -1 to 1."""

CANCELLED = 0.4
"""Channels cancel where their mean keeps less of their energy: 1 where they are the same, 0.5 where
they have nothing in common, 0 in opposite phase."""


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


def read(
    path: str | Path,
    sample_rate: int = SAMPLE_RATE,
    minimum: int = 1,
    channel: int | None = None,
) -> NDArray[np.float32]:
    """Read a wav, flac, ogg, mp3, SPHERE or other libsndfile file as mono float32.

    Channels are averaged, unless they cancel; another rate is resampled (see `resample`). What
    libsndfile does not know goes through ffmpeg, where that is installed.

    Parameters
    ----------
    path : Path or str
        The file.
    sample_rate : int
        Hz, of what is returned.
    minimum : int
        The fewest samples that are enough, at `sample_rate`.
    channel : int, optional
        The one to take, 0 the first; default, the mean of all.

    Returns
    -------
    ndarray of float32, (samples,)
        Within about -1 to 1.

    Raises
    ------
    AudioError
        Naming the file, if it is missing, unreadable, or ends before its header says, for a channel
        that it has not, silence that would unpack to gigabytes, and for what `check` refuses.

    Warns
    -----
    UserWarning
        Where the channels cancel each other, so that the stronger is taken, and where floating
        point samples are in the range of 16-bit integers, so that they are divided by 32768.

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
    path = Path(path).expanduser()
    name = shown(path)
    if not path.is_file():
        raise AudioError(f"{name} is not a file: check the path.")
    if path.name.startswith("._"):
        raise AudioError(
            f"{name} holds what a Mac notes of a file, no sound: read {path.name[2:]} beside it."
        )
    channels, rate = _decoded(path, name)
    wave = _one_channel(_within_one(channels, name), channel, name)
    return check(resample(check(wave, name), rate, sample_rate), name, minimum)


def duration(path: str | Path) -> float:
    """Return how long a file says it is, without decoding it.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    AudioError
        If it is missing or no audio.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
    >>> soundfile.write(path, 0.1 * np.sin(np.arange(800)), 8000)
    >>> duration(path)
    0.1
    """
    import soundfile

    try:
        with Path(path).expanduser().open("rb") as file:
            return float(soundfile.info(file).duration)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{shown(path)} cannot be read as audio: check the path.") from error


def shown(path: str | Path) -> str:
    r"""Return a path as text that can be printed, whatever bytes its name has.

    Parameters
    ----------
    path : Path or str
        A file's.

    Returns
    -------
    str
        Bytes that are no UTF-8, and characters that are not visible, appear as \\xNN.

    Examples
    --------
    >>> print(shown(b"caf\xe9.wav".decode("utf-8", "surrogateescape")))
    caf\xe9.wav
    """
    return printable(os.fsencode(path).decode("utf-8", "backslashreplace"))


def _decoded(path: Path, name: str) -> tuple[NDArray[np.float32], int]:
    """Decode a file whole, (samples, channels) and its rate; refuse one that ends early."""
    import soundfile

    said = header(path)
    try:
        # libsndfile opens names of any bytes by number only
        with path.open("rb") as opened, soundfile.SoundFile(said.mended or opened) as file:
            rate, promised = file.samplerate, said.samples
            if not SLOWEST <= rate <= FASTEST:
                raise AudioError(
                    f"{name} says that it has {rate} samples a second: give a recording of "
                    f"{SLOWEST} to {FASTEST}."
                )
            if promised is None and said.mended is None and 0 < file.frames < _UNKNOWN:
                promised = file.frames
            blocks, failed = _blocks(file, name, max(_SPARE, _DENSE * path.stat().st_size))
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        if not said.ends:
            raise AudioError(f"{name} breaks off after its head: get it again.") from error
        found = _by_ffmpeg(path)
        if found is not None:
            return found
        why = getattr(error, "error_string", str(error)).removeprefix("Error : ").rstrip(".")
        raise AudioError(
            f"{name} cannot be read as audio ({why}): convert it, as with "
            f"ffmpeg -i {name} {Path(name).with_suffix('.wav').name}."
        ) from error
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    held = len(samples) / rate
    if promised is not None and len(samples) < promised - _SLACK * rate:
        raise AudioError(
            f"{name} holds {held:.1f} of {promised / rate:.1f} s: it was cut off, so get it again."
        )
    if failed or not said.ends:
        raise AudioError(f"{name} breaks off after {held:.1f} s: get it again.")
    return samples, rate


_UNKNOWN = 1 << 40  # of libsndfile, for streams that do not say how long they are
_SLACK = 0.1  # seconds: decoders cut what an encoder has added at both ends
_BLOCK = 1 << 20  # samples of all channels


_SPARE = 50_000_000  # samples of all channels, 200 MB, that any file may have
_DENSE = 150  # of them a byte: low-rate speech in stereo has 130, digital silence in FLAC 450


def _blocks(file: Any, name: str, most: int) -> tuple[list[NDArray[np.float32]], bool]:
    """Read to the end, or as far as it goes, but at most `most`; whether it broke off there."""
    import soundfile

    blocks = []
    length = max(1, _BLOCK // file.channels)
    while True:
        block = np.full((length, file.channels), np.nan, dtype=np.float32)
        try:
            blocks.append(file.read(out=block))
        except soundfile.LibsndfileError as error:
            # what was decoded before is in the block; the rest is as it was
            blocks.append(block[: np.isfinite(block).any(axis=1).sum()])
            if not sum(map(len, blocks)):
                raise
            # a stream of unknown length cannot be wound to its end, which is no fault of it
            return blocks, "fseek" not in str(error)
        if len(blocks[-1]) < length:
            return blocks, False
        if len(blocks) * length * file.channels > most:
            seconds = len(blocks) * length / file.samplerate
            raise AudioError(
                f"{name} goes on after {seconds:.0f} s, of which it needs less than a byte for "
                f"{_DENSE} samples: it is silence nearly throughout, so cut it to what is said."
            )


def _by_ffmpeg(path: Path) -> tuple[NDArray[np.float32], int] | None:
    """Decode with ffmpeg what libsndfile does not know; None where it is not there or fails too."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    import soundfile

    command = [program, "-v", "error", "-xerror", "-nostdin", "-i", os.fspath(path.absolute())]
    done = subprocess.run([*command, "-vn", "-f", "wav", "-"], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        return None
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "decoded.wav"
        wav.write_bytes(done.stdout)
        try:
            samples, rate = soundfile.read(wav, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            return None
    return samples, rate


def _within_one(channels: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Bring floating point samples in the range of 16-bit integers to -1 to 1, and say so."""
    highest, lowest = np.nanmax(channels, initial=0), np.nanmin(channels, initial=0)
    peak = float(max(highest, -lowest))
    if not np.isfinite(peak) or peak <= LOUDEST:
        return channels
    if peak > 32768:
        raise AudioError(
            f"{name} has samples of up to {peak:g}: divide them by the largest number of the "
            "format that they came from."
        )
    warnings.warn(
        f"{name} has samples of up to {peak:g}, the range of 16-bit integers: they were divided by "
        "32768.",
        stacklevel=3,
    )
    return channels / np.float32(32768)


def _one_channel(
    channels: NDArray[np.float32], channel: int | None, name: str
) -> NDArray[np.float32]:
    """Take one channel, or the mean of all; where they cancel, the stronger, and say so."""
    count = channels.shape[1]
    if channel is not None:
        if not 0 <= channel < count:
            raise AudioError(f"{name} has no channel {channel}: choose from 0 to {count - 1}.")
        return channels[:, channel]
    mixed = channels.mean(axis=1)
    if count == 1 or not np.isfinite(channels).all():
        return mixed
    energies = np.array([_energy(each) for each in channels.T])
    left = _energy(mixed)
    if left >= CANCELLED * energies.mean():
        return mixed
    stronger = int(energies.argmax())
    warnings.warn(
        f"{name} has {count} channels that cancel each other (their mean keeps "
        f"{left / energies.mean():.0%} of the energy): channel {stronger}, the strongest, was "
        "taken; channel= chooses.",
        stacklevel=3,
    )
    return channels[:, stronger]


def _energy(wave: NDArray[np.float32]) -> float:
    """Mean square about the mean, a piece at a time: an hour's would take as much memory again."""
    mean = wave.mean()
    pieces = (wave[at : at + _BLOCK] - mean for at in range(0, len(wave), _BLOCK))
    return sum(float(np.square(piece, dtype=np.float64).sum()) for piece in pieces) / len(wave)


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
    if not len(first):
        return np.empty((0, length), dtype=wave.dtype)
    begin = int(first.min())
    stretch = cut(wave, begin, int(first.max()) + length)
    return np.lib.stride_tricks.sliding_window_view(stretch, length)[first - begin].copy()


def cut(wave: NDArray, begin: int, end: int) -> NDArray:
    """Return the samples from `begin` to `end` of a signal, with zeros outside it.

    Parameters
    ----------
    wave : ndarray, (samples,)
        The signal, of which no more is read than is needed: it may be a memory-mapped file.
    begin, end : int
        May be negative or beyond the end; `end` itself is left out.

    Returns
    -------
    ndarray, (end - begin,)
        Of the same dtype.

    Examples
    --------
    >>> cut(np.array([1, 2, 3]), -2, 5)
    array([0, 0, 1, 2, 3, 0, 0])
    """
    length = len(wave)
    inside = wave[min(max(begin, 0), length) : min(max(end, 0), length)]
    before = min(max(-begin, 0), end - begin)
    return np.pad(inside, (before, end - begin - before - len(inside)))
