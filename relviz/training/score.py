"""Scores: frame accuracy, phone error rate, utterance accuracy, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from relviz import _engine, statistics
from relviz.networks import RawWaveformCNN
from relviz.signals import Normalise
from relviz.statistics import Interval
from relviz.training.data import Data, Frames
from relviz.training.decoding import learn_decoder, phone_errors, tune

__all__ = [
    "frame_accuracy",
    "log_posteriors",
    "rate",
    "report",
    "score_phones",
    "score_utterances",
    "utterance_accuracy",
]

_EVERY = 5
"""Frames from one window of an utterance to the next when a speaker is told: 50 ms of its 500."""


def log_posteriors(
    net: RawWaveformCNN,
    frames: Frames,
    normalise: Normalise = "window",
    device: torch.device | str = "cpu",
    batch_size: int = 256,
    progress: bool = False,
) -> NDArray[np.float32]:
    """Return the logarithm of the posteriors of every frame.

    Parameters
    ----------
    net : RawWaveformCNN
        Is put into eval mode.
    frames : Frames
        What to hear.
    normalise : str
        As in `relviz.relevance_signal`.
    device : torch.device or str
        Where to compute.
    batch_size : int
        Windows at a time.
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    ndarray of float32, (frames, classes)
        In the order of the frames.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.corpora import Utterance
    >>> from relviz.networks import PHONE_CNN, build
    >>> from relviz.training.data import label_speakers, pack
    >>> said = [Utterance("a-0-0", "a", "0", samples=np.sin(np.arange(1600, dtype=np.float32)))]
    >>> frames = label_speakers(pack(said, tempfile.mkdtemp()), said, ("a",))
    >>> log_posteriors(build(PHONE_CNN, 40, seed=0), frames).shape
    (10, 40)
    """
    from tqdm.auto import tqdm

    net = net.to(device).eval()
    found = []
    starts = range(0, len(frames), batch_size)
    with torch.inference_mode():
        for start in tqdm(starts, desc="scoring", unit="batch", disable=not progress):
            which = np.arange(start, min(start + batch_size, len(frames)))
            x, _ = frames.batch(which, net.window, normalise, device)
            found.append(_engine.call(net, x).log_softmax(-1).cpu().numpy())
    return np.concatenate(found)


def _by_utterance(frames: Frames, values: NDArray) -> dict[str, NDArray]:
    """Split (frames, ...) by utterance: name -> rows in order of time."""
    cuts = np.flatnonzero(np.diff(frames.utterances)) + 1
    names = [frames.audio.names[n] for n in frames.utterances[np.concatenate([[0], cuts])]]
    return dict(zip(names, np.split(values, cuts), strict=True))


def _within(frames: Frames) -> NDArray[np.int64]:
    """Return the number of each frame in its utterance, from 0."""
    first = np.flatnonzero(np.diff(frames.utterances, prepend=-1))
    return np.arange(len(frames)) - np.repeat(first, np.diff(first, append=len(frames)))


def rate(counts: ArrayLike) -> Interval[float]:
    """Return sum / sum over utterances, with a bootstrap interval over utterances (2000 draws).

    Frames and phones of one utterance are not independent, so utterances are drawn. Few test
    speakers are not drawn: the interval holds for these speakers, not for others.

    Parameters
    ----------
    counts : array_like, (utterances, 2)
        What is counted, and out of how many.

    Returns
    -------
    Interval
        A rate between 0 and 1 (an error rate may exceed 1) and its 95 % interval; of a single
        utterance the ends are NaN.

    Examples
    --------
    >>> print(rate([(2, 10), (1, 20), (0, 15)]))
    0.0667 [0, 0.2]
    """
    return statistics.bootstrap(counts, lambda sums: sums[:, 0] / sums[:, 1])


def frame_accuracy(frames: Frames, log_posteriors: NDArray) -> Interval[float]:
    """Return the share of frames whose most probable class is theirs, with its interval.

    Parameters
    ----------
    frames : Frames
        With their labels.
    log_posteriors : ndarray, (frames, classes)
        Of these frames.

    Returns
    -------
    Interval
        By utterances, see `rate`.

    Examples
    --------
    >>> from relviz.training.data import Audio, Frames
    >>> audio = Audio(None, ("a", "b"), *np.zeros((4, 2), dtype=np.int64))
    >>> frames = Frames(audio, np.arange(3), np.array([0, 0, 1]), np.array([0, 0, 1]))
    >>> frame_accuracy(frames, np.log([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])).value
    0.6666666666666666
    """
    return rate(_hits(frames, log_posteriors))


def utterance_accuracy(frames: Frames, log_posteriors: NDArray) -> Interval[float]:
    """Return the share of utterances whose log posteriors, summed over windows, name their class.

    Parameters
    ----------
    frames : Frames
        With their labels, one class an utterance.
    log_posteriors : ndarray, (frames, classes)
        Of these frames.

    Returns
    -------
    Interval
        Wilson's, over utterances.

    References
    ----------
    Muckenhirn et al. (2018), 10.1109/ICASSP.2018.8462165: speakers by raw waveforms.

    Examples
    --------
    >>> from relviz.training.data import Audio, Frames
    >>> audio = Audio(None, ("a", "b"), *np.zeros((4, 2), dtype=np.int64))
    >>> frames = Frames(audio, np.arange(3), np.array([0, 0, 1]), np.array([0, 0, 1]))
    >>> utterance_accuracy(frames, np.log([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])).value
    1.0
    """
    sums = _by_utterance(frames, log_posteriors.astype(np.float64))
    true = _by_utterance(frames, frames.labels)
    right = sum(int(sums[name].sum(axis=0).argmax() == true[name][0]) for name in sums)
    return statistics.wilson(right / len(sums), len(sums))


def score_phones(
    net: RawWaveformCNN,
    data: Data,
    normalise: Normalise = "window",
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> dict[str, Any]:
    """Score a phone network on each of `data.tests`: frame accuracy and phone error rate.

    Frame accuracy counts all frames and silence as one of the classes; the error rate does not. The
    decoder learns from the labels trained on and is tuned on validation utterances.

    Parameters
    ----------
    net : RawWaveformCNN
        To be scored.
    data : Data
        Of `relviz.training.sets.phones`.
    normalise : str
        As in `relviz.relevance_signal`.
    device : torch.device or str
        Where to compute.
    progress : bool
        Show tqdm bars.

    Returns
    -------
    dict
        JSON values: per test the scores with intervals and number of utterances, the same by
        speaker, and the decoder.

    Notes
    -----
    Explained in chapter 6 of the book, phone classification.

    Examples
    --------
    Of the shipped network:

    >>> import relviz
    >>> relviz.load("phones").metadata.scores["held-out speakers"]["frame_accuracy"].keys()
    dict_keys(['value', 'low', 'high', 'trials'])
    """
    silence = len(data.classes) - 1
    labels = _by_utterance(data.train, data.train.labels)
    decoder = learn_decoder(
        labels.values(), len(data.classes), [data.references[name] for name in labels]
    )
    valid = _some_utterances(data.valid, 20)
    rows = _by_utterance(valid, log_posteriors(net, valid, normalise, device))
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
        rows = _by_utterance(frames, found)
        errors = np.array(phone_errors(decoder, rows, data.references, silence))
        hits = _hits(frames, found)
        speakers = np.array([data.speakers[name] for name in rows])
        scores[test] = {
            **_phone_scores(hits, errors),
            "by_speaker": {
                str(speaker): _phone_scores(hits[speakers == speaker], errors[speakers == speaker])
                for speaker in dict.fromkeys(speakers)
            },
            "frames": len(frames),
            "phones": int(errors[:, 1].sum()),
        }
    return scores


def score_utterances(
    net: RawWaveformCNN,
    data: Data,
    normalise: Normalise = "window",
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> dict[str, Any]:
    """Score a network that tells one class an utterance on each of `data.tests`.

    Speakers, or the known cues of vowels, by windows 50 ms apart.

    Parameters
    ----------
    net : RawWaveformCNN
        To be scored.
    data : Data
        Of `relviz.training.sets.speakers` or `relviz.training.known.cues`.
    normalise : str
        As in `relviz.relevance_signal`.
    device : torch.device or str
        Where to compute.
    progress : bool
        Show tqdm bars.

    Returns
    -------
    dict
        JSON values: utterance accuracy and frame accuracy with intervals and number of utterances.

    Notes
    -----
    Explained in chapter 7 of the book, speaker identification.

    Examples
    --------
    Of the shipped network:

    >>> import relviz
    >>> sorted(relviz.load("speakers").metadata.scores["within session"])
    ['frame_accuracy', 'frames', 'utterance_accuracy']
    """
    scores = {}
    for test, everything in data.tests.items():
        frames = everything.take(_within(everything) % _EVERY == 0)
        found = log_posteriors(net, frames, normalise, device, progress=progress)
        trials = len(np.unique(frames.utterances))
        scores[test] = {
            "utterance_accuracy": _score(utterance_accuracy(frames, found), trials),
            "frame_accuracy": _score(frame_accuracy(frames, found), trials),
            "frames": len(frames),
        }
    return scores


def report(scores: Mapping[str, Any]) -> str:
    """Write scores as lines to read, each with its 95 % interval and number of utterances.

    Parameters
    ----------
    scores : mapping
        What `score_phones` and `score_utterances` return.

    Returns
    -------
    str
        A line a score.

    Examples
    --------
    >>> accuracy = {"value": 0.671, "low": 0.66, "high": 0.682, "trials": 3}
    >>> report({"within session": {"frame_accuracy": accuracy}})
    'within session: frame accuracy 67.1 % [66.0, 68.2], 3 utterances'
    """
    lines = []
    for test, values in scores.items():
        for name, value in values.items():
            if isinstance(value, Mapping) and "trials" in value:
                percent = [100 * value[end] for end in ("value", "low", "high")]
                lines.append(
                    "{}: {} {:.1f} % [{:.1f}, {:.1f}], {} utterances".format(
                        test, name.replace("_", " "), *percent, value["trials"]
                    )
                )
    return "\n".join(lines)


def _hits(frames: Frames, log_posteriors: NDArray) -> NDArray[np.int64]:
    """Count of every utterance (the frames that are right, all of them): (utterances, 2)."""
    right = _by_utterance(frames, log_posteriors.argmax(axis=1) == frames.labels)
    return np.array([(each.sum(), len(each)) for each in right.values()], dtype=np.int64)


def _phone_scores(hits: NDArray, errors: NDArray) -> dict[str, Any]:
    return {
        "frame_accuracy": _score(rate(hits), len(hits)),
        "phone_error_rate": _score(rate(errors), len(errors)),
    }


def _score(interval: Interval[float], trials: int) -> dict[str, float | int]:
    """Write an interval and the utterances it comes from as a card has them."""
    return {**vars(interval), "trials": trials}


def _some_utterances(frames: Frames, count: int) -> Frames:
    """Keep the frames of `count` utterances, evenly spread."""
    numbers = np.unique(frames.utterances)
    if len(numbers) > count:
        numbers = numbers[np.linspace(0, len(numbers) - 1, count).astype(np.int64)]
    return frames.take(np.isin(frames.utterances, numbers))
