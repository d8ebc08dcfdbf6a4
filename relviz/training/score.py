"""Scores: frame accuracy, phone error rate by Viterbi decoding, utterance accuracy, intervals.

Phone error rate: (substitutions + deletions + insertions) / phones said. As usual for 39 classes,
silence counts as no phone: repeats of a phone are first merged, then silence is taken out, in what
was decoded and in what was said.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from relviz._errors import ParameterError
from relviz.networks import RawWaveformCNN
from relviz.signals import Normalise
from relviz.training.data import Data, Frames

ACOUSTIC_WEIGHTS = (0.4, 0.6, 0.8, 1.0, 1.3, 1.7)
PENALTIES = (-2.0, 0.0, 2.0)
"""What `tune` tries on validation utterances."""

FLOOR = -25.0
"""Log scaled likelihoods are cut there, so that no frame outweighs a forbidden transition."""

HOP = 5
"""Frames from one window of an utterance to the next when a speaker is told: 50 ms of its 500."""

LONGEST = 10
"""Frames, the longest minimum duration."""


@dataclass(frozen=True)
class Score:
    """A rate between 0 and 1 (an error rate may exceed 1), its 95 % interval and its trials."""

    value: float
    low: float
    high: float
    trials: int

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def log_posteriors(
    net: RawWaveformCNN,
    frames: Frames,
    normalise: Normalise = "window",
    device: torch.device | str = "cpu",
    batch_size: int = 256,
    progress: bool = False,
) -> NDArray[np.float32]:
    """Return the logarithm of the posteriors of every frame, (frames, classes), in float32."""
    from tqdm.auto import tqdm

    net = net.to(device).eval()
    found = []
    starts = range(0, len(frames), batch_size)
    with torch.inference_mode():
        for start in tqdm(starts, desc="scoring", unit="batch", disable=not progress):
            which = np.arange(start, min(start + batch_size, len(frames)))
            x, _ = frames.batch(which, net.window, normalise, device)
            found.append(net(x).log_softmax(-1).cpu().numpy())
    return np.concatenate(found)


def by_utterance(frames: Frames, values: NDArray) -> dict[str, NDArray]:
    """Split (frames, ...) by utterance: name -> rows in order of time."""
    cuts = np.flatnonzero(np.diff(frames.utterances)) + 1
    names = [frames.audio.names[n] for n in frames.utterances[np.concatenate([[0], cuts])]]
    return dict(zip(names, np.split(values, cuts), strict=True))


@dataclass(frozen=True, eq=False)
class Decoder:
    """Phones from posteriors, by a phone bigram with minimum durations.

    priors: (classes,) of the frames trained on. bigram: (classes + 1, classes + 1), the
    probability of the column's phone after the row's; the last row is the beginning, the last
    column the end of an utterance; rows add up to 1. minimum, mean: (classes,) durations in frames.
    acoustic_weight: exponent of posterior / prior; its inverse is the weight of the bigram.
    penalty: positive values make phones stay longer, so that fewer are inserted; in nats.
    """

    priors: NDArray[np.float64] = field(repr=False)
    bigram: NDArray[np.float64] = field(repr=False)
    minimum: NDArray[np.int64] = field(repr=False)
    mean: NDArray[np.float64] = field(repr=False)
    acoustic_weight: float = 1.0
    penalty: float = 0.0

    def decode(self, log_posteriors: ArrayLike) -> NDArray[np.int64]:
        """Return the best phone of each frame: (frames, classes) to (frames,).

        Each phone is a chain of states, one a frame of its minimum duration, the last of which may
        repeat. Raises ValueError for fewer frames than the shortest phone lasts.
        """
        import librosa

        scaled = np.asarray(log_posteriors, dtype=np.float64) - np.log(self.priors)
        if len(scaled) < self.minimum.min():
            raise ParameterError(
                f"{len(scaled)} frames are fewer than the shortest phone lasts: give the whole "
                "utterance."
            )
        scaled = np.maximum(scaled - scaled.max(axis=1, keepdims=True), FLOOR)
        phones = np.repeat(np.arange(len(self.minimum)), self.minimum)
        end = len(phones)
        likelihoods = np.zeros((end + 1, len(scaled) + 1))
        likelihoods[:end, :-1] = np.exp(self.acoustic_weight * scaled.T)[phones]
        likelihoods[end, -1] = 1.0  # a last frame that only the end of the utterance can speak
        beginning, transition = self._states()
        states = librosa.sequence.viterbi(likelihoods, transition, p_init=beginning)
        return phones[np.minimum(states[:-1], end - 1)]

    def _states(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the probabilities of the first state and of every transition."""
        lasts = np.cumsum(self.minimum) - 1
        firsts = lasts - self.minimum + 1
        end = int(lasts[-1]) + 1
        transition = np.eye(end + 1, k=1)
        transition[end, end] = 1.0
        # a geometric duration beyond the minimum, with the mean that was seen
        leave = 1 / (self.mean - self.minimum + 1) * np.exp(-self.penalty)
        leave = np.clip(leave, 1e-6, 1 - 1e-6)
        targets = np.append(firsts, end)
        for phone, last in enumerate(lasts):
            transition[last] = 0.0
            transition[last, targets] = leave[phone] * self.bigram[phone]
            transition[last, last] += 1 - leave[phone]
        beginning = np.zeros(end + 1)
        beginning[targets] = self.bigram[-1]
        return beginning, transition


def learn_decoder(
    labels: Iterable[NDArray[np.int64]],
    classes: int,
    references: Iterable[NDArray[np.int64]] | None = None,
) -> Decoder:
    """Learn priors, bigram and durations from the utterances trained on.

    labels: the phone of every frame, one array an utterance. references: the phones said in each;
    default, the labels without repeats. Counts start at 1 (priors, between phones; a phone does
    not follow itself). The minimum duration is the 5th percentile of those seen, at most `LONGEST`.
    """
    labels = [np.asarray(each) for each in labels]
    said = [merge(each) for each in labels] if references is None else list(references)
    priors = np.bincount(np.concatenate(labels), minlength=classes) + 1.0
    counts = np.ones((classes + 1, classes + 1))
    np.fill_diagonal(counts, 0.0)
    for sequence in said:
        path = [classes, *merge(sequence), classes]
        np.add.at(counts, (path[:-1], path[1:]), 1)
    counts[classes, classes] = 0.0  # an utterance has phones
    durations: list[list[int]] = [[] for _ in range(classes)]
    for each in labels:
        for phone, run in groupby(each.tolist()):
            durations[phone].append(len(list(run)))
    seen = [each or [1] for each in durations]
    minimum = np.array([int(np.clip(np.percentile(each, 5), 1, LONGEST)) for each in seen])
    mean = np.array([np.mean(np.maximum(each, m)) for each, m in zip(seen, minimum, strict=True)])
    return Decoder(priors / priors.sum(), counts / counts.sum(axis=1, keepdims=True), minimum, mean)


def tune(
    decoder: Decoder,
    log_posteriors: Mapping[str, NDArray],
    references: Mapping[str, NDArray[np.int64]],
    silence: int | None,
    progress: bool = False,
) -> Decoder:
    """Choose acoustic weight and penalty by the phone error rate on validation utterances."""
    from tqdm.auto import tqdm

    trials = [
        replace(decoder, acoustic_weight=weight, penalty=penalty)
        for weight in ACOUSTIC_WEIGHTS
        for penalty in PENALTIES
    ]
    errors = [
        sum(distance for distance, _ in phone_errors(trial, log_posteriors, references, silence))
        for trial in tqdm(trials, desc="decoder", unit="trial", disable=not progress)
    ]
    return trials[int(np.argmin(errors))]


def phone_errors(
    decoder: Decoder,
    log_posteriors: Mapping[str, NDArray],
    references: Mapping[str, NDArray[np.int64]],
    silence: int | None,
) -> list[tuple[int, int]]:
    """Return (edit distance, phones said) of every utterance in `log_posteriors`."""
    found = []
    for name, rows in log_posteriors.items():
        said = phone_sequence(references[name], silence)
        found.append(
            (edit_distance(phone_sequence(decoder.decode(rows), silence), said), len(said))
        )
    return found


def merge(labels: ArrayLike) -> list[int]:
    """Merge repeats: [3, 3, 5, 5, 3] to [3, 5, 3]."""
    return [int(label) for label, _ in groupby(np.asarray(labels).tolist())]


def phone_sequence(labels: ArrayLike, silence: int | None) -> list[int]:
    """Merge repeats, then take out silence."""
    return [label for label in merge(labels) if label != silence]


def edit_distance(found: Sequence[Hashable], said: Sequence[Hashable]) -> int:
    """Return the fewest substitutions, deletions and insertions that make one of the other."""
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(found, said))


def rate(numerators: ArrayLike, denominators: ArrayLike) -> Score:
    """Return sum / sum over utterances, with a bootstrap interval over utterances (2000 draws).

    Frames and phones of one utterance are not independent, so utterances are drawn. Few test
    speakers are not drawn: the interval holds for these speakers, not for others.
    """
    top = np.asarray(numerators, dtype=np.float64)
    bottom = np.asarray(denominators, dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(top), size=(2000, len(top)))
    low, high = np.percentile(top[draws].sum(axis=1) / bottom[draws].sum(axis=1), [2.5, 97.5])
    return Score(float(top.sum() / bottom.sum()), float(low), float(high), len(top))


def proportion(right: int, trials: int) -> Score:
    """Return right / trials with Wilson's score interval."""
    from scipy import stats

    interval = stats.binomtest(right, trials).proportion_ci(method="wilson")
    return Score(right / trials, float(interval.low), float(interval.high), trials)


def frame_accuracy(frames: Frames, log_posteriors: NDArray) -> Score:
    """Return the share of frames whose most probable class is theirs; trials are utterances."""
    right = by_utterance(frames, log_posteriors.argmax(axis=1) == frames.labels)
    return rate([each.sum() for each in right.values()], [len(each) for each in right.values()])


def utterance_accuracy(frames: Frames, log_posteriors: NDArray) -> Score:
    """Return the share of utterances whose log posteriors, summed over windows, name their class.

    Source: Muckenhirn et al. (2018), 10.1109/ICASSP.2018.8462165: speakers by raw waveforms.
    """
    sums = by_utterance(frames, log_posteriors.astype(np.float64))
    true = by_utterance(frames, frames.labels)
    right = sum(int(sums[name].sum(axis=0).argmax() == true[name][0]) for name in sums)
    return proportion(right, len(sums))


def score_phones(
    net: RawWaveformCNN,
    data: Data,
    normalise: Normalise = "window",
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> dict[str, Any]:
    """Score a phone network on each of `data.tests`: frame accuracy and phone error rate.

    Frame accuracy counts all frames and silence as one of the classes; the error rate does not.
    The decoder learns from the labels trained on and is tuned on validation utterances. Returns
    JSON values: per test the scores with intervals, the same by speaker, and the decoder.
    """
    silence = len(data.classes) - 1
    labels = by_utterance(data.train, data.train.labels)
    decoder = learn_decoder(
        labels.values(), len(data.classes), [data.references[name] for name in labels]
    )
    valid = _some_utterances(data.valid, 20)
    rows = by_utterance(valid, log_posteriors(net, valid, normalise, device))
    decoder = tune(decoder, rows, data.references, silence, progress)
    scores: dict[str, Any] = {
        "decoder": {
            "acoustic_weight": decoder.acoustic_weight,
            "penalty": decoder.penalty,
            "minimum_frames": dict(zip(data.classes, decoder.minimum.tolist(), strict=True)),
        }
    }
    for test, frames in data.tests.items():
        found = log_posteriors(net, frames, normalise, device, progress=progress)
        rows = by_utterance(frames, found)
        errors = np.array(phone_errors(decoder, rows, data.references, silence))
        right = by_utterance(frames, found.argmax(axis=1) == frames.labels)
        hits = np.array([(each.sum(), len(each)) for each in right.values()])
        speakers = np.array([data.speakers[name] for name in rows])
        scores[test] = {
            "frame_accuracy": vars(rate(*hits.T)),
            "phone_error_rate": vars(rate(*errors.T)),
            "by_speaker": {
                str(speaker): {
                    "frame_accuracy": vars(rate(*hits[speakers == speaker].T)),
                    "phone_error_rate": vars(rate(*errors[speakers == speaker].T)),
                }
                for speaker in dict.fromkeys(speakers)
            },
            "frames": len(frames),
            "phones": int(errors[:, 1].sum()),
        }
    return scores


def score_speakers(
    net: RawWaveformCNN,
    data: Data,
    normalise: Normalise = "window",
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> dict[str, Any]:
    """Score a speaker network on each of `data.tests`, by windows `HOP` frames apart.

    Returns JSON values: utterance accuracy and frame accuracy with intervals.
    """
    scores = {}
    for test, everything in data.tests.items():
        frames = everything.take(np.arange(0, len(everything), HOP))
        found = log_posteriors(net, frames, normalise, device, progress=progress)
        scores[test] = {
            "utterance_accuracy": vars(utterance_accuracy(frames, found)),
            "frame_accuracy": vars(frame_accuracy(frames, found)),
            "frames": len(frames),
        }
    return scores


def _some_utterances(frames: Frames, count: int) -> Frames:
    """Keep the frames of `count` utterances, evenly spread."""
    numbers = np.unique(frames.utterances)
    if len(numbers) > count:
        numbers = numbers[np.linspace(0, len(numbers) - 1, count).astype(np.int64)]
    return frames.take(np.isin(frames.utterances, numbers))


def report(scores: Mapping[str, Any]) -> str:
    """Write scores as lines to read, each with its 95 % interval and number of utterances."""
    lines = []
    for test, values in scores.items():
        for name, value in values.items():
            if isinstance(value, dict) and value.keys() == Score.__dataclass_fields__.keys():
                score = Score(**value)
                lines.append(f"{test}: {name.replace('_', ' ')} {score}, {score.trials} utterances")
    return "\n".join(lines)
