"""Phones from posteriors: a bigram with minimum durations, the best path, and its errors.

Phone error rate: (substitutions + deletions + insertions) / phones said. As usual for 39 classes,
silence counts as no phone: repeats of a phone are first merged, then silence is taken out, in what
was decoded and in what was said.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz._errors import ParameterError
from relviz._extras import require

__all__ = [
    "Decoder",
    "edit_distance",
    "learn_decoder",
    "phone_errors",
    "phone_sequence",
    "tune",
]

_ACOUSTIC_WEIGHTS = (0.4, 0.6, 0.8, 1.0, 1.3, 1.7)
_PENALTIES = (-2.0, 0.0, 2.0)
"""What `tune` tries on validation utterances."""

_FLOOR = -25.0
"""Log scaled likelihoods are cut there, so that no frame outweighs a forbidden transition."""

_LONGEST = 10
"""Frames, the longest minimum duration."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """Phones from posteriors, by a phone bigram with minimum durations.

    Parameters
    ----------
    priors : ndarray, (classes,)
        Of the frames trained on.
    bigram : ndarray, (classes + 1, classes + 1)
        The probability of the column's phone after the row's; the last row is the beginning, the
        last column the end of an utterance; rows add up to 1.
    minimum, mean : ndarray, (classes,)
        Durations in frames.
    acoustic_weight : float
        Exponent of posterior / prior; its inverse is the weight of the bigram.
    penalty : float
        Positive values make phones stay longer, so that fewer are inserted; in nats.

    Notes
    -----
    Explained in chapter 6 of the book, phone classification.

    Examples
    --------
    >>> decoder = learn_decoder([[0, 0, 1, 1, 1, 0, 0]], classes=2)
    >>> decoder.decode(np.log([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]]))
    array([0, 0, 1, 1, 1])
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
        repeat. Raises ParameterError for fewer frames than the shortest phone lasts.
        """
        require("librosa")
        import librosa

        scaled = np.asarray(log_posteriors, dtype=np.float64) - np.log(self.priors)
        if len(scaled) < self.minimum.min():
            raise ParameterError(
                f"{len(scaled)} frames are fewer than the shortest phone lasts: give the whole "
                "utterance."
            )
        scaled = np.maximum(scaled - scaled.max(axis=1, keepdims=True), _FLOOR)
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

    Parameters
    ----------
    labels : iterable of array_like, (frames,)
        The phone of every frame, one array an utterance.
    classes : int
        How many phones there are, silence among them.
    references : iterable of array_like, optional
        The phones said in each; default, the labels without repeats.

    Returns
    -------
    Decoder
        Counts start at 1 (priors, between phones; a phone does not follow itself). The minimum
        duration is the 5th percentile of those seen, at most 10 frames.

    Examples
    --------
    >>> learn_decoder([[0, 0, 1, 1, 1]], classes=2).minimum
    array([2, 3])
    """
    labels = [np.asarray(each) for each in labels]
    said = [_merge(each) for each in labels] if references is None else list(references)
    priors = np.bincount(np.concatenate(labels), minlength=classes) + 1.0
    counts = np.ones((classes + 1, classes + 1))
    np.fill_diagonal(counts, 0.0)
    for sequence in said:
        path = [classes, *_merge(sequence), classes]
        np.add.at(counts, (path[:-1], path[1:]), 1)
    counts[classes, classes] = 0.0  # an utterance has phones
    durations: list[list[int]] = [[] for _ in range(classes)]
    for each in labels:
        for phone, run in groupby(each.tolist()):
            durations[phone].append(len(list(run)))
    seen = [each or [1] for each in durations]
    minimum = np.array([int(np.clip(np.percentile(each, 5), 1, _LONGEST)) for each in seen])
    mean = np.array([np.mean(np.maximum(each, m)) for each, m in zip(seen, minimum, strict=True)])
    return Decoder(priors / priors.sum(), counts / counts.sum(axis=1, keepdims=True), minimum, mean)


def tune(
    decoder: Decoder,
    log_posteriors: Mapping[str, NDArray],
    references: Mapping[str, NDArray[np.int64]],
    silence: int | None,
    progress: bool = False,
) -> Decoder:
    """Choose acoustic weight and penalty by the phone error rate on validation utterances.

    Parameters
    ----------
    decoder : Decoder
        Where to begin.
    log_posteriors : mapping of str to ndarray, (frames, classes)
        Of the validation utterances.
    references : mapping of str to ndarray
        The phones said in each.
    silence : int or None
        The class that counts as no phone.
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    Decoder
        The one with the fewest errors; of several, the first tried.

    Examples
    --------
    >>> decoder = learn_decoder([[0, 0, 1, 1, 1]], classes=2)
    >>> rows = np.log([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
    >>> tune(decoder, {"a": rows}, {"a": np.array([0, 1])}, None).acoustic_weight
    0.4
    """
    from tqdm.auto import tqdm

    trials = [
        replace(decoder, acoustic_weight=weight, penalty=penalty)
        for weight in _ACOUSTIC_WEIGHTS
        for penalty in _PENALTIES
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
    """Return (edit distance, phones said) of every utterance in `log_posteriors`.

    Parameters
    ----------
    decoder : Decoder
        Finds the phones.
    log_posteriors : mapping of str to ndarray, (frames, classes)
        By utterance.
    references : mapping of str to ndarray
        The phones said in each.
    silence : int or None
        The class that counts as no phone.

    Returns
    -------
    list of (int, int)
        In the order of `log_posteriors`.

    Examples
    --------
    >>> decoder = learn_decoder([[0, 0, 1, 1, 1]], classes=2)
    >>> rows = np.log([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.1, 0.9]])
    >>> phone_errors(decoder, {"a": rows}, {"a": np.array([0, 1, 0])}, None)
    [(1, 3)]
    """
    found = []
    for name, rows in log_posteriors.items():
        said = phone_sequence(references[name], silence)
        found.append(
            (edit_distance(phone_sequence(decoder.decode(rows), silence), said), len(said))
        )
    return found


def phone_sequence(labels: ArrayLike, silence: int | None) -> list[int]:
    """Merge repeats, then take out silence.

    Parameters
    ----------
    labels : array_like, (frames,)
        The phone of each frame, or phones in order.
    silence : int or None
        The class that counts as no phone.

    Returns
    -------
    list of int
        The phones; a pause parts two of a kind.

    Notes
    -----
    Used in chapter 6 of the book, phone classification.

    Examples
    --------
    >>> phone_sequence([2, 1, 1, 2, 1], silence=2)
    [1, 1]
    """
    return [label for label in _merge(labels) if label != silence]


def edit_distance(found: Sequence[Hashable], said: Sequence[Hashable]) -> int:
    """Return the fewest substitutions, deletions and insertions that make one of the other.

    Parameters
    ----------
    found, said : sequence of hashable
        Phones in order.

    Returns
    -------
    int
        0 where they are the same.

    Notes
    -----
    Used in chapter 6 of the book, phone classification.

    Examples
    --------
    >>> edit_distance(["K", "AE", "T"], ["K", "AH", "T", "S"])
    2
    """
    require("rapidfuzz")
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(found, said))


def _merge(labels: ArrayLike) -> list[int]:
    """Merge repeats: [3, 3, 5, 5, 3] to [3, 5, 3]."""
    return [int(label) for label, _ in groupby(np.asarray(labels).tolist())]
