"""relviz.training.score: accuracies by hand, and what is written down of them."""

import json

import numpy as np

from relviz.networks import build
from relviz.training import score
from relviz.training.data import Frames
from tests.training.conftest import TINY


def test_utterance_accuracy_sums_over_windows(data):
    audio = data.train.audio
    frames = Frames(
        audio,
        audio.starts[[0, 0, 0, 1, 1]],
        np.array([0, 0, 0, 1, 1]),
        np.array([0, 0, 0, 1, 1], dtype=np.int32),
    )
    posteriors = np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.9, 0.1], [0.3, 0.7]])
    found = score.utterance_accuracy(frames, np.log(posteriors))
    assert found.value == 0.5
    assert score.frame_accuracy(frames, np.log(posteriors)).value == 0.4


def test_intervals_over_utterances():
    draws = score.rate([(1, 2)] * 50)
    assert (draws.value, draws.low, draws.high) == (0.5, 0.5, 0.5)


def test_a_report_says_what_was_found():
    said = {"value": 0.671, "low": 0.66, "high": 0.682, "trials": 3}
    scores = {"within session": {"frame_accuracy": said, "frames": 7}, "training": {"steps": 5}}
    assert (
        score.report(scores) == "within session: frame accuracy 67.1 % [66.0, 68.2], 3 utterances"
    )


def test_scores_of_a_network_are_json(data):
    net = build(TINY, 3, seed=0)
    scores = score.score_phones(net, data)
    test = json.loads(json.dumps(scores))["held-out speakers"]
    assert test["frame_accuracy"]["trials"] == 2 and 0 <= test["frame_accuracy"]["value"] <= 1
    assert set(test["by_speaker"]) == {"s2", "s3"}
    assert test["phones"] == 24
    lines = score.report(scores).splitlines()
    assert lines[0].startswith("held-out speakers: frame accuracy ")
    assert lines[1].startswith("held-out speakers: phone error rate ")
    assert len(score.log_posteriors(net, data.valid)) == len(data.valid)
