"""What moves Table 2? Train and score every trial, one change at a time, over three seeds.

    python tools/trials.py train RUNS      21 networks, two at a time, half an hour
    python tools/trials.py score RUNS      F0, F1, F2 and formant contrast of each, half an hour
    python tools/trials.py write RUNS      the two tables of the book's appendix

Needs the recordings (RELVIZ_DATA). Each step goes on where it was stopped. RUNS also holds the runs
that were shipped, phones-0, phones-1, phones-2, with their snapshots, if their length is to be
among the trials.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import torch
from tqdm import tqdm

from relviz import corpora, networks, pretrained
from relviz.corpora import PHONES
from relviz.studies import vowels
from relviz.training import Data, Recipe, fit, sets

TABLES = Path(__file__).parent.parent / "book" / "appendix" / "trials"
SEEDS = (0, 1, 2)
STEPS = 600
SNAPSHOTS = (100, 300)
BASE = Recipe(steps=STEPS, patience=STEPS)
CHANGES: dict[str, dict[str, Any]] = {
    "base": {},
    "SGD, momentum 0.9": {"optimiser": "sgd", "learning_rate": 0.05},
    "AdamW, weight decay 0.1": {"optimiser": "adamw", "weight_decay": 0.1},
    "dropout 0.3": {"dropout": 0.3},
    "speed 0.85 to 1.15": {"speed": 0.15},
    "normalised per utterance": {"normalise": "utterance"},
    "not normalised": {"normalise": "none"},
}
"""Base: Adam, 1e-3 with cosine decay, no regularisation, windows normalised one by one."""
LONG = (1000, 4000)
PHONE_OF_VOWEL = {"ah": "AA", "eh": "EH", "iy": "IY", "oa": "OW", "uw": "UW"}

Signals = dict[str, list[Callable[..., Any]]]


def slug(text: str) -> str:
    """Turn a trial's name into one for a file."""
    return "".join(c if c.isalnum() else "-" for c in text)


def folder(runs: Path, change: str, seed: int) -> Path:
    """Where a trial's run lies."""
    return runs / f"{slug(change)}-{seed}"


def run(runs: Path, data: Data, change: str, seed: int) -> str:
    """Train one network, unless it is there, on one thread."""
    torch.set_num_threads(1)
    recipe = replace(BASE, seed=seed, **CHANGES[change])
    fit(recipe, data, folder(runs, change, seed), "cpu", snapshots=SNAPSHOTS)
    return f"{change}, seed {seed}"


def train(runs: Path) -> None:
    """Train every trial that is not there yet, two at a time."""
    data = sets.phones(parts=("train-clean-5", "train-clean-100"), progress=True)
    tasks = [(change, seed) for seed in SEEDS for change in CHANGES]
    work = joblib.Parallel(2, return_as="generator")(
        joblib.delayed(run)(runs, data, change, seed) for change, seed in tasks
    )
    for done in tqdm(work, total=len(tasks), desc="networks"):
        tqdm.write(done)


def trained(runs: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield every trial of training: its name and its networks, one a seed."""
    for change in CHANGES:
        paths = [folder(runs, change, seed) for seed in SEEDS]
        if change == "base":
            for step in SNAPSHOTS:
                some = [path / f"step-{step:06d}.safetensors" for path in paths]
                yield f"{step} steps", [pretrained.load(path) for path in some]
        yield change, [pretrained.load(path) for path in paths]
    for step in LONG:
        some = [runs / f"phones-{seed}" / f"step-{step:06d}.safetensors" for seed in SEEDS]
        if all(path.is_file() for path in some):
            yield f"shipped recipe, {step} of 7000 steps", [pretrained.load(p) for p in some]


def trials(runs: Path) -> Iterator[tuple[str, str, Signals, dict[str, Any]]]:
    """Yield (group, trial, signals, options of `vowels.estimates`) for all that is scored."""
    nets: dict[str, list[Any]] = {
        "shipped": list(pretrained.replicates("phones")),
        "shuffled labels": list(pretrained.replicates("phones-shuffled")),
        "untrained": [networks.build(networks.PHONE_CNN, 40, seed) for seed in SEEDS],
    }
    both = ("guided", "gradient")

    def signals(replicates: list[Any], method: Any, **options: Any) -> list[Callable[..., Any]]:
        return [vowels.Relevance(net, method, **options) for net in replicates]

    yield "control", "original recording", {"original": [vowels.original]}, {}
    yield "control", "white noise", {"original": [vowels.noise]}, {}
    for name, some in nets.items():
        for label, options in (("hop 97", {}), ("one window", {"hop_length": None})):
            yield "network", f"{name}, {label}", {m: signals(some, m, **options) for m in both}, {}
    # from here on every third talker must do
    for name, some in trained(runs):
        yield "training", name, {m: signals(some, m) for m in both}, {"every": 3}
    for name, some in nets.items():
        yield "shifts", f"{name}, hop 97", {m: signals(some, m) for m in both}, {"every": 3}
        dense = {"gradient": signals(some, "gradient", hop_length=7)}
        yield "shifts", f"{name}, hop 7", dense, {"every": 3}
        if name == "shuffled labels":
            continue
        for label, options in (
            ("hop 160", {"hop_length": 160}),
            ("hop 61", {"hop_length": 61}),
            ("over 60 ms to each side", {"reach": 0.06}),
            ("over 240 ms to each side", {"reach": 0.24}),
            ("target: the true phone", {"target": "true"}),
        ):
            changed = {m: signals(some, m, **options) for m in both}
            yield "shifts", f"{name}, {label}", changed, {"every": 3}
        for order in (12, 20):
            options = {"settings": vowels.Settings(order=order), "every": 3}
            yield "LP", f"{name}, order {order}", {m: signals(some, m) for m in both}, options


def estimates(signals: Signals, options: dict[str, Any]) -> pd.DataFrame:
    """Run `vowels.estimates`, vowel by vowel where the target is the vowel's own phone.

    options: for `vowels.estimates`; and "every", to hear only every so many of the talkers.
    """
    corpus = corpora.vowels()
    options = dict(options)
    heard = sorted({t.talker for t in corpus.tokens})[:: options.pop("every", 1)]
    corpus = replace(corpus, tokens=tuple(t for t in corpus.tokens if t.talker in heard))
    run = partial(vowels.estimates, progress=True, **options)
    functions = [f for replicates in signals.values() for f in replicates]
    if not any(getattr(f, "target", None) == "true" for f in functions):
        return run(signals, corpus)
    # a vowel alone has no other vowels to contrast it with
    found = []
    for vowel, phone in PHONE_OF_VOWEL.items():
        tokens = tuple(t for t in corpus.tokens if t.vowel == vowel)
        aimed: Signals = {
            name: [replace(f, target=PHONES.index(phone)) for f in replicates]
            for name, replicates in signals.items()
        }
        found.append(run(aimed, replace(corpus, tokens=tokens)))
    return pd.concat(found, ignore_index=True)


def score(runs: Path) -> None:
    """Score every trial that is not scored yet."""
    scored = runs / "scored"
    scored.mkdir(exist_ok=True)
    everything = list(trials(runs))
    for number, (group, trial, signals, options) in enumerate(everything):
        path = scored / f"{group}-{slug(trial)}.csv"
        if path.is_file():
            continue
        print(f"{number + 1} of {len(everything)}: {trial}", flush=True)
        found = estimates(signals, options)
        right = vowels.score(found)
        right = right[(right["sex"] == "both") & (right["vowel"] == "mean")]
        right = right.rename(columns={"accuracy": "value"}).drop(columns=["sex", "vowel"])
        contrast = vowels.contrast(found).rename(columns={"contrast": "value"})
        contrast["measure"] = contrast.pop("formant") + " contrast"
        table = pd.concat([right, contrast], ignore_index=True)
        table.insert(0, "group", group)
        table.insert(1, "trial", trial)
        table = table.rename(columns={"signal": "method"})
        draft = path.with_suffix(".part")
        table.to_csv(draft, index=False, float_format="%.4f")
        draft.replace(path)


def write(runs: Path) -> None:
    """Join the scores, and what the trainings reached, into the book's two tables."""
    TABLES.mkdir(exist_ok=True)
    paths = [runs / "scored" / f"{group}-{slug(trial)}.csv" for group, trial, _, _ in trials(runs)]
    everything = pd.concat([pd.read_csv(path) for path in paths], ignore_index=True)
    everything.to_csv(TABLES / "scores.csv", index=False)
    rows = []
    for change in CHANGES:
        for seed in SEEDS:
            log = pd.read_csv(folder(runs, change, seed) / "log.csv")
            rows.append({"trial": change, "seed": seed, **log.iloc[-1]})
    pd.DataFrame(rows).drop(columns="seconds").to_csv(TABLES / "trainings.csv", index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["train", "score", "write"])
    parser.add_argument("runs", type=Path)
    given = parser.parse_args()
    {"train": train, "score": score, "write": write}[given.step](given.runs)
