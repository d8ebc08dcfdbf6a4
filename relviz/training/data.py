"""What a network is trained on: one memory-mapped file of audio, and labelled frames in it.

Windows are cut from the file when a batch asks for them; no window is ever stored. A frame lies
every 10 ms and is the centre of its window; beyond the ends of an utterance there are zeros.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relviz import files
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import PHONES, store
from relviz.corpora.speech import Alignment, Utterance, frame_labels
from relviz.signals import Normalise, standardise

__all__ = [
    "GAP",
    "STEP",
    "Audio",
    "Data",
    "Frames",
    "label_phones",
    "label_speakers",
    "order",
    "pack",
    "shuffle_labels",
    "subset",
]

STEP = SAMPLE_RATE // 100
"""Samples from one frame to the next: 10 ms."""

_SAMPLES, _INDEX = "audio.int16", "index.json"

GAP = SAMPLE_RATE // 2
"""Zeros before, between and after utterances, in samples: half of the longest possible window."""


@dataclass(frozen=True, eq=False)
class Audio:
    """The utterances of a corpus in one file.

    Parameters
    ----------
    samples : ndarray of int16, (total,)
        Memory-mapped; full scale is 32768, `GAP` zeros around utterances.
    names : tuple of str, (utterances,)
        Of the utterances.
    starts, lengths : ndarray of int64, (utterances,)
        In samples.
    means, deviations : ndarray of float64, (utterances,)
        Of the waveform in full scale, for the normalisation "utterance".

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> len(audio.samples) == 16000 + 2 * GAP, audio.centres(0)[:3]
    (True, array([ 80, 240, 400]))
    """

    samples: NDArray[np.int16] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    starts: NDArray[np.int64] = field(repr=False)
    lengths: NDArray[np.int64] = field(repr=False)
    means: NDArray[np.float64] = field(repr=False)
    deviations: NDArray[np.float64] = field(repr=False)

    def centres(self, utterance: int) -> NDArray[np.int64]:
        """Frame centres of one utterance, in samples from its beginning: 80, 240, 400, ..."""
        return np.arange(STEP // 2, self.lengths[utterance], STEP)


@dataclass(frozen=True, eq=False)
class Frames:
    """Labelled frames: positions of window centres in a file of audio.

    Parameters
    ----------
    audio : Audio
        The file.
    centres : ndarray of int64, (frames,)
        Indices into `audio.samples`.
    labels : ndarray of int64, (frames,)
        Indices into the classes.
    utterances : ndarray of int32, (frames,)
        Indices into `audio.names`; the frames of an utterance come in order.

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> frames = label_speakers(audio, said, ("a",))
    >>> x, labels = frames.batch(np.array([10, 50]), window=4000, normalise="window")
    >>> x.shape, labels
    (torch.Size([2, 4000]), tensor([0, 0]))
    """

    audio: Audio
    centres: NDArray[np.int64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    utterances: NDArray[np.int32] = field(repr=False)

    def __len__(self) -> int:
        return len(self.centres)

    def take(self, which: NDArray) -> Frames:
        """Keep some of the frames: indices, or a mask."""
        return Frames(self.audio, self.centres[which], self.labels[which], self.utterances[which])

    def batch(
        self, which: NDArray, window: int, normalise: Normalise, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """Cut and normalise the windows of some frames.

        which: (batch,) indices of frames. window: samples, at most 2 * `GAP`; the centre is sample
        window // 2, as in `relviz.relevance_signal`, whose normalisations these are too.
        Returns windows (batch, window) float32 and labels (batch,) int64 on `device`.
        """
        if not 0 < window <= 2 * GAP:
            raise ParameterError(f"a window of {window} samples is not within 1 to {2 * GAP}.")
        starts = self.centres[which] - window // 2
        cut = np.lib.stride_tricks.sliding_window_view(self.audio.samples, window)[starts]
        x = torch.from_numpy(cut).to(device).float() / 32768
        if normalise == "window":
            x = standardise(x)
        elif normalise == "utterance":
            number = self.utterances[which]
            place = np.arange(window) + (starts - self.audio.starts[number])[:, None]
            inside = (place >= 0) & (place < self.audio.lengths[number, None])
            mean = torch.from_numpy(self.audio.means[number, None]).to(x)
            deviation = torch.from_numpy(self.audio.deviations[number, None]).to(x)
            x = (x - mean) / deviation * torch.from_numpy(inside).to(x)
        return x, torch.from_numpy(self.labels[which]).to(device)


@dataclass(frozen=True, eq=False)
class Data:
    """What a study trains, validates and is scored on; no utterance is in two of these.

    Parameters
    ----------
    classes : tuple of str
        What there is to be told apart.
    train, valid : Frames
        To learn from, and to choose by.
    tests : mapping of str to Frames
        Such as {"held-out speakers": frames}.
    references : mapping of str to ndarray
        Utterance's name -> the phones said in it, as indices into `classes`, the last of which is
        silence (only for phones).
    speakers : mapping of str to str
        Utterance's name -> speaker.
    about : mapping of str
        What was divided how, for the model card; JSON values only.
    sexes : mapping of str to str
        Speaker -> "F" or "M", as far as the corpus says.

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> frames = label_speakers(audio, said, ("a",))
    >>> data = Data(("a",), frames, frames, {})
    >>> len(data.fingerprint)
    16
    """

    classes: tuple[str, ...]
    train: Frames
    valid: Frames
    tests: Mapping[str, Frames]
    references: Mapping[str, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    speakers: Mapping[str, str] = field(default_factory=dict, repr=False)
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sexes: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def fingerprint(self) -> str:
        """A digest of classes, frames, labels and samples drawn from the audio."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        for frames in (self.train, self.valid):
            digest.update(frames.centres.tobytes())
            digest.update(frames.labels.tobytes())
            digest.update(frames.audio.samples[frames.centres[::100]].tobytes())
        return digest.hexdigest()[:16]


def pack(
    utterances: Iterable[Utterance], cache: Path | str | None = None, progress: bool = False
) -> Audio:
    """Write the audio of utterances into one file, unless it is there already, and map it.

    Parameters
    ----------
    utterances : iterable of Utterance
        Recordings keep 16 bits; what lies outside -1 to 1 is clipped.
    cache : Path or str, optional
        Folder of such files (32 kB a second); default, `training` in the user's cache. The file is
        found again by the utterances' names and by their recordings' paths, sizes and times; one
        that is not as it was written is written again, with a warning.
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    Audio
        Memory-mapped.

    Raises
    ------
    ParameterError
        For no utterances or two of one name.
    AudioError
        For a recording that cannot be read.
    WriteError
        If the cache cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> audio.names, audio.lengths
    (('a-0-0',), array([16000]))
    """
    utterances = tuple(utterances)
    names = [utterance.name for utterance in utterances]
    if not names or len(set(names)) < len(names):
        raise ParameterError(
            f"{len(names)} utterances have {len(set(names))} names: give at least one, and each "
            "utterance once."
        )
    everything = Path(cache).expanduser() if cache else store.cache() / "training"
    for old in everything.glob("*"):  # drafts of processes that were killed
        files.sweep(old, age=files.ABANDONED)
    folder = files.folder(everything / _key(utterances))
    with files.alone(folder):  # who comes second waits, and finds it done
        files.sweep(folder)
        rows = _packed(folder, names)
        if rows is None:
            _pack(utterances, names, folder, progress)
            rows = _packed(folder, names)
    if rows is None:
        raise ParameterError(f"{folder} does not keep what is written to it: give another cache.")
    starts, lengths, means, deviations = zip(*rows, strict=True)
    return Audio(
        np.memmap(folder / _SAMPLES, dtype="<i2", mode="r"),
        tuple(names),
        np.array(starts),
        np.array(lengths),
        np.array(means),
        np.maximum(np.array(deviations), np.finfo(np.float32).tiny),
    )


def _pack(utterances: Sequence[Utterance], names: list[str], folder: Path, progress: bool) -> None:
    """Write audio and index, the index last: whoever finds it finds the audio whole."""
    from tqdm.auto import tqdm

    rows = []
    digest = hashlib.sha256()
    with files.replacing(folder / _SAMPLES) as draft, draft.open("wb") as file:

        def write(content: bytes) -> None:
            file.write(content)
            digest.update(content)

        write(bytes(2 * GAP))
        for utterance in tqdm(utterances, desc="audio", unit="file", disable=not progress):
            whole = np.clip(np.round(utterance.wave() * 32768.0), -32768, 32767)
            mean, deviation = float(whole.mean()) / 32768, float(whole.std()) / 32768
            rows.append([file.tell() // 2, len(whole), mean, deviation])
            write(whole.astype("<i2").tobytes() + bytes(2 * GAP))
    content = {"names": names, "rows": rows, "sha256": digest.hexdigest()}
    files.write_text(folder / _INDEX, json.dumps(content | {"check": _check(content)}))


def _packed(folder: Path, names: list[str]) -> list[list[float]] | None:
    """Return the index's rows; None if nothing is packed, or not as it was written."""
    samples, index = folder / _SAMPLES, folder / _INDEX
    if not index.exists():
        return None
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        said = content.pop("check")
        with samples.open("rb") as file:
            right = hashlib.file_digest(file, "sha256").hexdigest() == content["sha256"]
        if right and said == _check(content) and content["names"] == names:
            return list(content["rows"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    warnings.warn(f"{folder} is damaged: the audio is packed again.", stacklevel=3)
    return None


def _check(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _key(utterances: Sequence[Utterance]) -> str:
    digest = hashlib.sha256(b"with checksums\0")
    for utterance in utterances:
        digest.update(f"{utterance.name}\0{utterance.path}\0".encode())
        if utterance.path is None:
            digest.update(utterance.wave().tobytes())
        elif utterance.path.is_file():
            status = utterance.path.stat()
            digest.update(f"{status.st_size} {status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def label_phones(
    audio: Audio,
    names: Iterable[str],
    alignments: Mapping[str, Alignment],
    phones: Sequence[str] = PHONES,
) -> Frames:
    """Label every frame of some utterances with the phone that is spoken at its centre.

    Parameters
    ----------
    audio : Audio
        Holds the utterances.
    names : iterable of str
        Which utterances of `audio`; those without an alignment are left out.
    alignments : mapping of str to tuple of Span
        Utterance's name -> its phones.
    phones : sequence of str
        The classes, silence last.

    Returns
    -------
    Frames
        Every 10 ms.

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> from relviz.corpora import Span
    >>> spans = {"a-0-0": (Span(0.25, 0.5, "AH"),)}
    >>> np.bincount(label_phones(audio, ["a-0-0"], spans, ("AH", "SIL")).labels)
    array([25, 75])
    """
    return _frames(
        audio,
        [name for name in names if name in alignments],
        lambda name, times: frame_labels(alignments[name], times, phones),
    )


def label_speakers(audio: Audio, utterances: Iterable[Utterance], classes: Sequence[str]) -> Frames:
    """Label every frame of some utterances with their speaker, one of `classes`.

    Parameters
    ----------
    audio : Audio
        Holds the utterances.
    utterances : iterable of Utterance
        Which of them.
    classes : sequence of str
        The speakers.

    Returns
    -------
    Frames
        Every 10 ms.

    Raises
    ------
    ParameterError
        For a speaker that is no class, and for no utterances.

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> frames = label_speakers(audio, said, ("a",))
    >>> len(frames)
    100
    """
    number = {speaker: n for n, speaker in enumerate(classes)}
    speakers = {utterance.name: utterance.speaker for utterance in utterances}
    unknown = set(speakers.values()) - set(number)
    if unknown:
        raise ParameterError(
            f"speaker {min(unknown)} is not among the {len(classes)} classes: leave them out."
        )
    return _frames(
        audio,
        list(speakers),
        lambda name, times: np.full(len(times), number[speakers[name]], dtype=np.int64),
    )


def _frames(audio: Audio, names: Sequence[str], label: Any) -> Frames:
    place = {name: number for number, name in enumerate(audio.names)}
    if not names:
        raise ParameterError("there are no utterances to take frames from: add recordings.")
    centres, labels, utterances = [], [], []
    for name in names:
        number = place[name]
        inside = audio.centres(number)
        centres.append(inside + audio.starts[number])
        labels.append(label(name, inside / SAMPLE_RATE))
        utterances.append(np.full(len(inside), number, dtype=np.int32))
    return Frames(audio, *(np.concatenate(part) for part in (centres, labels, utterances)))


def order(frames: int, batch_size: int, step: int, seed: int) -> NDArray[np.int64]:
    """Return the indices of the frames in batch `step` (from 0).

    All frames come once in a random order, then all again in another. The batch depends on the
    arguments alone, so a run can be taken up at any step.

    Parameters
    ----------
    frames : int
        How many there are.
    batch_size : int
        How many a batch has.
    step : int
        From 0.
    seed : int
        Of the order.

    Returns
    -------
    ndarray of int64, (batch_size,)
        Indices of frames.

    Examples
    --------
    >>> sorted(np.concatenate([order(6, 3, step, seed=0) for step in (0, 1)]).tolist())
    [0, 1, 2, 3, 4, 5]
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = np.divmod(positions, frames)
    return np.concatenate(
        [_permutation(frames, seed, int(e))[places[epochs == e]] for e in np.unique(epochs)]
    )


@lru_cache(maxsize=2)
def _permutation(frames: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 0, epoch]).permutation(frames)


def subset(frames: Frames, size: int, seed: int) -> Frames:
    """Draw `size` of the frames without replacement, in order; all if there are no more.

    Parameters
    ----------
    frames : Frames
        To draw from.
    size : int
        How many.
    seed : int
        Of the draw.

    Returns
    -------
    Frames
        In order.

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> frames = label_speakers(audio, said, ("a",))
    >>> len(subset(frames, 10, seed=0))
    10
    """
    if size >= len(frames):
        return frames
    return frames.take(np.sort(np.random.default_rng([seed, 1]).permutation(len(frames))[:size]))


def shuffle_labels(frames: Frames, seed: int) -> Frames:
    """Permute the labels among the frames: the classes stay as frequent, but nothing can be learnt.

    Parameters
    ----------
    frames : Frames
        With their labels.
    seed : int
        Of the permutation.

    Returns
    -------
    Frames
        The same, with the labels of others.

    References
    ----------
    Zhang et al., "Understanding deep learning requires rethinking generalization", 2017.

    Examples
    --------
    >>> import tempfile
    >>> wave = np.sin(np.arange(16000, dtype=np.float32))
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> audio = pack(said, tempfile.mkdtemp())
    >>> frames = Frames(audio, *np.arange(30).reshape(3, 10))
    >>> sorted(shuffle_labels(frames, seed=0).labels.tolist()) == frames.labels.tolist()
    True
    """
    labels = frames.labels[np.random.default_rng([seed, 2]).permutation(len(frames))]
    return Frames(frames.audio, frames.centres, labels, frames.utterances)
