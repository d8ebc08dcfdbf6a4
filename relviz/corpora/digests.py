"""What the files of a corpus are checked by: SHA-256 of files, or of the samples in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from relviz import audio

__all__ = ["file_digest", "other_formats", "sample_digest"]

_FORMATS = (".wav", ".flac")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        In hexadecimal digits.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> _ = path.write_text("1")
    >>> file_digest(path)[:8]
    '6b86b273'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sample_digest(path: Path) -> str:
    """Return the SHA-256 of a recording's samples, the same as wav and as FLAC.

    Parameters
    ----------
    path : Path
        The recording.

    Returns
    -------
    str
        In hexadecimal digits, of 16-bit little-endian samples at 16 kHz; "" for what is none.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, soundfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("a.wav", "a.flac"):
    ...     soundfile.write(folder / name, np.arange(3, dtype=np.int16), 16000)
    >>> sample_digest(folder / "a.wav") == sample_digest(folder / "a.flac")
    True
    """
    try:
        samples = np.round(audio.read(path) * 32768).astype("<i2")
    except audio.AudioError:
        return ""
    return hashlib.sha256(samples.tobytes()).hexdigest()


def other_formats(path: Path) -> tuple[Path, ...]:
    """Return a recording's path, and those that it has as wav or FLAC.

    Parameters
    ----------
    path : Path
        Of a recording, or of anything else.

    Returns
    -------
    tuple of Path
        The one given first; of what is no such recording, only that one.

    Examples
    --------
    >>> [each.name for each in other_formats(Path("1.WAV"))]
    ['1.WAV', '1.wav', '1.flac']
    """
    if path.suffix.lower() not in _FORMATS:
        return (path,)
    return tuple(dict.fromkeys([path, *map(path.with_suffix, _FORMATS)]))
