"""relviz.training.decoding: the best path and error rates against values worked out by hand."""

import itertools

import numpy as np
import pytest

from relviz.training import decoding, score
from relviz.training.decoding import Decoder


def uniform(classes, minimum, **changes):
    """A decoder that prefers nothing: equal priors, any phone after any other."""
    bigram = np.ones((classes + 1, classes + 1)) - np.eye(classes + 1)
    bigram /= bigram.sum(axis=1, keepdims=True)
    minimum = np.array(minimum)
    return Decoder(np.full(classes, 1 / classes), bigram, minimum, minimum + 1.0, **changes)


def sure(labels, classes=3, confidence=0.9):
    """Posteriors that favour a phone in each frame."""
    labels = np.asarray(labels)
    rows = np.full((len(labels), classes), (1 - confidence) / (classes - 1))
    rows[np.arange(len(labels)), labels] = confidence
    return np.log(rows)


@pytest.mark.slow
def test_decoding_follows_clear_posteriors():
    said = [2, 2, 2, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    np.testing.assert_array_equal(uniform(3, [2, 2, 2]).decode(sure(said)), said)


@pytest.mark.slow
def test_minimum_durations_hold():
    minimum = np.array([4, 1, 3])
    decoder = uniform(3, minimum)
    for seed in range(20):
        rows = np.log(np.random.default_rng(seed).dirichlet(np.full(3, 0.05), 30) + 1e-30)
        found = decoder.decode(rows)
        assert len(found) == 30
        for phone, run in itertools.groupby(found.tolist()):
            assert len(list(run)) >= minimum[phone]
    # one frame of 0 amid 1 cannot be believed, three of 2 can
    assert 0 not in decoder.decode(sure([1, 1, 1, 0, 1, 1, 1]))
    assert 2 in decoder.decode(sure([1, 1, 2, 2, 2, 1, 1]))


def test_decoding_is_the_best_of_all_paths():
    """Against every segmentation of six frames, scored by the definition."""
    rng = np.random.default_rng(1)
    bigram = rng.dirichlet(np.ones(4), 4)
    np.fill_diagonal(bigram[:3, :3], 0)
    bigram[3, 3] = 0
    bigram /= bigram.sum(axis=1, keepdims=True)
    minimum, mean = np.array([2, 1, 3]), np.array([3.0, 2.5, 4.0])
    priors = np.array([0.5, 0.2, 0.3])
    for seed in range(5):
        rows = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), 6))
        decoder = Decoder(priors, bigram, minimum, mean, acoustic_weight=0.8, penalty=0.3)
        leave = np.exp(-0.3) / (mean - minimum + 1)
        best, path = -np.inf, None
        for labels in itertools.product(range(3), repeat=6):
            runs = [(phone, len(list(run))) for phone, run in itertools.groupby(labels)]
            if any(length < minimum[phone] for phone, length in runs):
                continue
            phones = [phone for phone, _ in runs]
            total = np.log(bigram[3, phones[0]])
            for (phone, length), after in zip(runs, [*phones[1:], 3], strict=True):
                total += (length - minimum[phone]) * np.log(1 - leave[phone])
                total += np.log(leave[phone]) + np.log(bigram[phone, after])
            total += 0.8 * sum(rows[t, k] - np.log(priors[k]) for t, k in enumerate(labels))
            if total > best:
                best, path = total, labels
        np.testing.assert_array_equal(decoder.decode(rows), path)


def test_a_decoder_learns_counts_and_durations():
    labels = [np.array([2] * 5 + [0] * 3 + [1] * 4 + [2] * 5)] * 9
    decoder = decoding.learn_decoder(labels, 3)
    # nine times 2-0, and one: nine times 2-end, and one; 2-1 only by the one
    np.testing.assert_allclose(decoder.bigram[2], [10 / 21, 1 / 21, 0, 10 / 21])
    np.testing.assert_allclose(decoder.bigram.sum(axis=1), 1)
    assert decoder.bigram[3, 3] == 0  # an utterance is not empty
    np.testing.assert_allclose(decoder.priors, np.array([28, 37, 91]) / 156)
    assert decoder.minimum.tolist() == [3, 4, 5] and decoder.mean.tolist() == [3, 4, 5]


def test_phone_error_rate_by_hand():
    """Silence is 2. Said 0 1 0 1; decoded 0 1 1 0 without silence: distance 2 of 4."""
    decoder = uniform(3, [1, 1, 1])
    decoded = [2, 0, 0, 1, 2, 1, 1, 0, 2]
    np.testing.assert_array_equal(decoder.decode(sure(decoded, confidence=0.999)), decoded)
    said = {"a": np.array([2, 0, 1, 2, 0, 1]), "b": np.array([0, 0, 1])}
    rows = {"a": sure(decoded, confidence=0.999), "b": sure([0, 0, 1], confidence=0.999)}
    errors = decoding.phone_errors(decoder, rows, said, silence=2)
    assert errors == [(2, 4), (0, 2)]
    found = score.rate(errors)
    assert found.value == pytest.approx(2 / 6) and found.low == 0 and found.high == 0.5
    assert decoding.phone_sequence([2, 1, 1, 2, 1], 2) == [1, 1]  # a pause parts two phones
    assert decoding.edit_distance([1, 2, 3], [1, 3, 4]) == 2


def test_tuning_takes_the_fewest_errors():
    noisy = sure([0, 0, 0, 1, 0, 0, 0, 0], confidence=0.8)
    decoder = uniform(3, [1, 1, 1])
    tuned = decoding.tune(decoder, {"a": noisy}, {"a": np.array([0])}, silence=None)
    ((errors, _),) = decoding.phone_errors(tuned, {"a": noisy}, {"a": np.array([0])}, None)
    assert errors == 0


def test_too_short_to_decode():
    with pytest.raises(ValueError, match="fewer than the shortest phone"):
        uniform(3, [2, 2, 2]).decode(sure([0]))
