"""What a network is trained on: one memory-mapped file of audio, and labelled frames in it.

Windows are cut from the file when a batch asks for them; no window is ever stored. A frame lies
every 10 ms and is the centre of its window; beyond the ends of an utterance there are zeros.
"""

from __future__ import annotations

import hashlib
import json
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
from relviz.signals import Normalise

STEP = SAMPLE_RATE // 100
"""Samples from one frame to the next: 10 ms."""

GAP = SAMPLE_RATE // 2
"""Zeros before, between and after utterances, in samples: half of the longest possible window."""


@dataclass(frozen=True, eq=False)
class Audio:
    """The utterances of a corpus in one file.

    samples: (total,) int16, memory-mapped; full scale is 32768, `GAP` zeros around utterances.
    names: (utterances,). starts, lengths: (utterances,) in samples. means, deviations:
    (utterances,) of the waveform in full scale, for the normalisation "utterance".
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

    centres: (frames,) indices into `audio.samples`. labels: (frames,) indices into the classes.
    utterances: (frames,) indices into `audio.names`; the frames of an utterance come in order.
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
            x -= x.mean(dim=-1, keepdim=True)
            deviation = x.square().mean(dim=-1, keepdim=True).sqrt()
            x /= torch.where(deviation > 0, deviation, 1.0)
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

    tests: such as {"held-out speakers": frames}. speakers: utterance's name -> speaker.
    references: utterance's name -> the phones said in it, as indices into `classes`, the last of
    which is silence (only for phones).
    about: what was divided how, for the model card; JSON values only.
    """

    classes: tuple[str, ...]
    train: Frames
    valid: Frames
    tests: Mapping[str, Frames]
    references: Mapping[str, NDArray[np.int64]] = field(default_factory=dict, repr=False)
    speakers: Mapping[str, str] = field(default_factory=dict, repr=False)
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)

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

    cache: folder of such files (32 kB a second); default, `training` in the user's cache. The file
    is found again by the utterances' names and by their recordings' paths, sizes and times.
    Recordings keep 16 bits; what lies outside -1 to 1 is clipped. progress: show a tqdm bar.
    Raises ValueError for no utterances or two of one name, relviz.audio.AudioError for a recording
    that cannot be read.
    """
    from tqdm.auto import tqdm

    utterances = tuple(utterances)
    names = [utterance.name for utterance in utterances]
    if not names or len(set(names)) < len(names):
        raise ParameterError(
            f"{len(names)} utterances have {len(set(names))} names: give at least one, and each "
            "utterance once."
        )
    folder = (Path(cache).expanduser() if cache else store.cache() / "training") / _key(utterances)
    samples, index = folder / "audio.int16", folder / "index.json"
    if not index.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        files.sweep(folder, age=86400)
        rows = []
        with files.replacing(samples) as draft, draft.open("wb") as file:
            file.write(bytes(2 * GAP))
            for utterance in tqdm(utterances, desc="audio", unit="file", disable=not progress):
                whole = np.clip(np.round(utterance.wave() * 32768.0), -32768, 32767)
                mean, deviation = float(whole.mean()) / 32768, float(whole.std()) / 32768
                rows.append([file.tell() // 2, len(whole), mean, deviation])
                file.write(whole.astype("<i2").tobytes() + bytes(2 * GAP))
        # written last: whoever finds the index finds the audio whole
        files.write_text(index, json.dumps({"names": names, "rows": rows}))
    content = json.loads(index.read_text())
    starts, lengths, means, deviations = zip(*content["rows"], strict=True)
    return Audio(
        np.memmap(samples, dtype="<i2", mode="r"),
        tuple(content["names"]),
        np.array(starts),
        np.array(lengths),
        np.array(means),
        np.maximum(np.array(deviations), np.finfo(np.float32).tiny),
    )


def _key(utterances: Sequence[Utterance]) -> str:
    digest = hashlib.sha256()
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

    names: which utterances of `audio`; those without an alignment are left out.
    """
    return _frames(
        audio,
        [name for name in names if name in alignments],
        lambda name, times: frame_labels(alignments[name], times, phones),
    )


def label_speakers(audio: Audio, utterances: Iterable[Utterance], classes: Sequence[str]) -> Frames:
    """Label every frame of some utterances with their speaker, one of `classes`."""
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
    """Return the indices of the frames in batch `step` (from 0): (batch_size,).

    All frames come once in a random order, then all again in another. The batch depends on the
    arguments alone, so a run can be taken up at any step.
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
    """Draw `size` of the frames without replacement, in order; all if there are no more."""
    if size >= len(frames):
        return frames
    return frames.take(np.sort(np.random.default_rng([seed, 1]).permutation(len(frames))[:size]))


def shuffle_labels(frames: Frames, seed: int) -> Frames:
    """Permute the labels among the frames: the classes stay as frequent, but nothing can be learnt.

    Source: Zhang et al., "Understanding deep learning requires rethinking generalization", 2017.
    """
    labels = frames.labels[np.random.default_rng([seed, 2]).permutation(len(frames))]
    return Frames(frames.audio, frames.centres, labels, frames.utterances)
