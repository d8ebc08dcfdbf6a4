"""Tones that stand for phones: two seconds of 16 kHz from a few speakers, labelled exactly."""

import numpy as np
import pytest
import torch

from relviz.corpora import Span, Utterance
from relviz.networks import Architecture, Conv
from relviz.training import Recipe
from relviz.training.data import Data, label_phones, pack

CLASSES = ("LOW", "HIGH", "SIL")
TINY = Architecture(convs=(Conv(8, 30, 10), Conv(8, 7, 1)), hidden=16, window=1000)
RECIPE = Recipe(
    architecture=TINY,
    steps=60,
    batch_size=32,
    learning_rate=3e-3,
    dropout=0.2,
    autocast="off",
    validate_every=7,
    patience=100,
)


def utterance(name, speaker, seed):
    """Silence, then tones of 0.1 to 0.2 s at 400 or 1500 Hz, in noise."""
    rng = np.random.default_rng(seed)
    spans, pieces, time = [], [], 0.0
    for number in range(14):
        label = "SIL" if number in (0, 13) else ("LOW", "HIGH")[number % 2]
        samples = int(rng.integers(10, 20)) * 160 + int(rng.integers(160))
        t = np.arange(samples) / 16000
        hertz = {"LOW": 400, "HIGH": 1500, "SIL": 0}[label] * rng.uniform(0.9, 1.1)
        pieces.append(0.3 * np.sin(2 * np.pi * hertz * t + rng.uniform(0, 6)))
        spans.append(Span(time, time + samples / 16000, label))
        time += samples / 16000
    wave = np.concatenate(pieces)
    wave += 0.01 * rng.standard_normal(len(wave))
    return Utterance(name, speaker, "0", samples=wave.astype(np.float32), spoken=tuple(spans))


def utterances(count=12):
    return [utterance(f"u{n}", f"s{n % 4}", n) for n in range(count)]


def make_data(cache, count=12):
    everything = utterances(count)
    audio = pack(everything, cache)
    alignments = {each.name: each.spoken for each in everything}
    names = [each.name for each in everything]

    def frames(some):
        return label_phones(audio, some, alignments, CLASSES)

    cut = count - 4
    return Data(
        CLASSES,
        frames(names[:cut]),
        frames(names[cut : cut + 2]),
        {"held-out speakers": frames(names[cut + 2 :])},
        {
            name: np.array([CLASSES.index(span.label) for span in spans])
            for name, spans in alignments.items()
        },
        {each.name: each.speaker for each in everything},
        {"recordings": "tones"},
    )


@pytest.fixture(scope="module")
def one_thread():
    """Bit for bit the same is only what the same number of threads computes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def data(cache):
    return make_data(cache)
