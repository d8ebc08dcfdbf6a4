"""Measure what the two sample reports say, as their authors would have done.

Both use synthetic speech only, so that every reader gets the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

import relviz
from relviz import networks, pretrained, signals, statistics
from relviz.corpora import cued, synthetic
from relviz.corpora.corpus import Source
from relviz.corpora.tokens import VowelCorpus, deviations
from relviz.studies import vowel_signals, vowels

SEEDS = 3
TALKERS = 5  # of each sex, for the report on Table 2
VOWELS = 96  # generated ones, eight a talker, for the report on one cue


def relevance(net: torch.nn.Module, wave: np.ndarray, centre: int) -> np.ndarray:
    """Return the guided relevance signal around a token's steady state, hop 97."""
    around = (max(0, centre - 2200), centre + 2200)
    return relviz.relevance_signal(net, wave, centres=around, progress=False)


def table2() -> dict[str, float]:
    """How often F0 is right in guided relevance, beside a ceiling and a floor."""
    tokens = synthetic.vowel_corpus(["ah", "eh"], men=TALKERS, women=TALKERS)
    spread = deviations(synthetic.vowel_corpus(["ah", "eh"]))
    corpus = VowelCorpus(tokens, Source("synthetic"), spread)
    born = [networks.build(networks.PHONE_CNN, 40, seed) for seed in range(SEEDS)]
    rows = {
        "recording": vowel_signals.original,
        "noise": vowel_signals.noise,
        "trained": [partial(relevance, net) for net in pretrained.replicates("phones")],
        "untrained": [partial(relevance, net) for net in born],
    }
    table = vowels.table2(rows, corpus, pre_emphases=[0.0], jobs=1)
    chosen = table.query("measure == 'f0' and sex == 'both' and vowel == 'mean'")
    found = {"tokens": len(tokens), "talkers": 2 * TALKERS, "seeds": SEEDS}
    for row in chosen.itertuples():
        found |= {
            f"{row.signal}": row.accuracy,
            f"{row.signal}-low": row.low,
            f"{row.signal}-high": row.high,
        }
    return found


def heard(net: torch.nn.Module, tokens: list) -> torch.Tensor:
    """Return what a network hears of generated vowels, (vowels, samples)."""
    begin = round(tokens[0].steady * 16000) - net.window // 2
    cut = np.stack([token.wave()[begin : begin + net.window] for token in tokens])
    return signals.standardise(torch.from_numpy(cut))


def moved(net: torch.nn.Module, tokens: list, change: Callable) -> statistics.Interval:
    """Return by how many nats a change moves a network, over talkers."""
    with torch.inference_mode():
        before = net(heard(net, tokens)).double().log_softmax(-1)
        after = net(heard(net, [change(token) for token in tokens])).double()
    after = after.log_softmax(-1)
    nats = (before.exp() * (before - after)).sum(-1).numpy()
    return statistics.bootstrap(nats.reshape(-1, 8).mean(axis=1))


CHANGES = {
    "F0": lambda v: v.with_cue("F0", v.f0 * 2 ** (4 / 12)),
    "F1": lambda v: v.with_cue("F1", v.f1 * 1.15),
}


def one_cue() -> dict[str, float]:
    """How far F0 and F1 move the phone network, and networks whose answer is known."""
    tokens = list(cued.draw(VOWELS, seed=2026))
    nets = {f"phones-{i}": net for i, net in enumerate(pretrained.replicates("phones"))}
    nets |= {name: relviz.load(name) for name in ("cues-F0", "cues-F1")}
    nets["untrained"] = networks.build(networks.PHONE_CNN, 40, seed=0)
    found: dict[str, float] = {"vowels": VOWELS, "voices": VOWELS // 8}
    for name, net in nets.items():
        for cue, change in CHANGES.items():
            value = moved(net, tokens, change)
            found |= {
                f"{name}-{cue}": value.value,
                f"{name}-{cue}-low": value.low,
                f"{name}-{cue}-high": value.high,
            }
    return found


def measure() -> dict[str, float]:
    """Return all numbers of both reports by name."""
    return table2() | one_cue()


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:16} {value:.3f}")
