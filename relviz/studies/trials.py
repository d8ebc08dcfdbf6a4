"""What moves Table 2? Trials of one change at a time, over three seeds: training, shifts, analysis.

Three steps, each of which goes on where it was stopped: `train` makes 21 networks, `score` takes
F0, F1, F2 and formant contrast of each, half an hour each on two cores, and `write` joins them into
the two tables that the book's page *What moves Table 2* reads. They need the recordings
(``RELVIZ_DATA``).

A folder of runs also holds those that were shipped, ``phones-0``, ``phones-1``, ``phones-2``, with
their snapshots, if their length is to be among the trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from relviz import corpora, files, networks, pretrained, tasks
from relviz.corpora import PHONES
from relviz.studies import vowels
from relviz.training import STANDARD, Data, Recipe, fit, sets

__all__ = [
    "BASE",
    "CHANGES",
    "LONG",
    "SEEDS",
    "SNAPSHOTS",
    "Trial",
    "estimates",
    "recipe",
    "score",
    "train",
    "trials",
    "write",
]

SEEDS = (0, 1, 2)
"""Of every training and every untrained network."""

BASE = Recipe(steps=600, patience=600)
"""Adam, 1e-3 with cosine decay, no regularisation, windows normalised one by one."""

CHANGES: dict[str, dict[str, Any]] = {
    "base": {},
    "SGD, momentum 0.9": {"optimiser": "sgd", "learning_rate": 0.05},
    "AdamW, weight decay 0.1": {"optimiser": "adamw", "weight_decay": 0.1},
    "dropout 0.3": {"dropout": 0.3},
    "speed 0.85 to 1.15": {"speed": 0.15},
    "normalised per utterance": {"normalise": "utterance"},
    "not normalised": {"normalise": "none"},
}
"""What each training changes of `BASE`."""

SNAPSHOTS = (100, 300)
"""Steps of the base after which its network is a trial too."""

LONG = (2000, 8000)
"""The same of the shipped runs."""

_WITHOUT_CONTRAST = ("shifts", "LP")
"""Groups whose changes are about reading formants off."""

_PHONE_OF_VOWEL = {"ah": "AA", "eh": "EH", "iy": "IY", "oa": "OW", "uw": "UW"}


@dataclass(frozen=True)
class Trial:
    """One line of the page's tables.

    Parameters
    ----------
    group : str
        The page's section: control, network, training, shifts or LP.
    name : str
        What was tried.
    signals : dict of str to sequence of SignalFunction
        Method -> replicates.
    every : int
        Every so many of the talkers are heard.
    settings : Settings
        Of the analysis.
    true_phone : bool
        Explain the vowel's own phone, not the winning class.

    Examples
    --------
    >>> Trial("control", "white noise", {"original": [vowels.noise]}).every
    1
    """

    group: str
    name: str
    signals: Mapping[str, Sequence[Callable[..., Any]]] = field(repr=False)
    every: int = 1
    settings: vowels.Settings = field(default_factory=vowels.Settings)
    true_phone: bool = False


def recipe(change: str, seed: int) -> Recipe:
    """Return the recipe of one training.

    Parameters
    ----------
    change : str
        A name of `CHANGES`.
    seed : int
        Of weights and batches.

    Returns
    -------
    Recipe
        `BASE` but for the change.

    Examples
    --------
    >>> recipe("dropout 0.3", 2).dropout
    0.3
    """
    return replace(BASE, seed=seed, **CHANGES[change])


def train(
    runs: Path,
    load: Callable[[], Data] | None = None,
    *,
    jobs: int = -1,
    progress: bool = False,
) -> None:
    """Train every network that is not there yet.

    Parameters
    ----------
    runs : Path
        The folder of runs.
    load : callable, optional
        Loads the data; called once a process. Default: LibriSpeech's train-clean-5 and
        train-clean-100.
    jobs : int
        Networks trained at a time, -1 for one a core.
    progress : bool
        Show a bar.

    Examples
    --------
    >>> train(Path("runs"), jobs=2)  # doctest: +SKIP
    """
    load = _recordings if load is None else load
    load()  # what is aligned and packed here is only read by the workers
    todo = [(change, seed) for seed in SEEDS for change in CHANGES]
    one = partial(_train_one, runs, load)
    for _ in tasks.run(one, todo, jobs=jobs, progress=progress, title="networks", unit="network"):
        pass


def _train_one(runs: Path, load: Callable[[], Data], task: tuple[str, int]) -> None:
    fit(recipe(*task), load(), _folder(runs, *task), "cpu", snapshots=SNAPSHOTS)


@lru_cache(maxsize=1)
def _recordings() -> Data:
    return sets.phones(parts=("train-clean-5", "train-clean-100"), progress=True)


def trials(runs: Path) -> Iterator[Trial]:
    """Yield everything that is scored, in the order of the page.

    Parameters
    ----------
    runs : Path
        The folder of runs, trained.

    Yields
    ------
    Trial
        Controls, networks, trainings, then shifts and linear prediction.

    Examples
    --------
    >>> next(trials(Path("runs"))).name
    'original recording'
    """
    yield Trial("control", "original recording", {"original": [vowels.original]})
    yield Trial("control", "white noise", {"original": [vowels.noise]})
    nets: dict[str, list[Any]] = {
        "shipped": list(pretrained.replicates("phones")),
        "shuffled labels": list(pretrained.replicates("phones-shuffled")),
        "untrained": [networks.build(networks.PHONE_CNN, 40, seed) for seed in SEEDS],
    }
    for name, some in nets.items():
        yield Trial("network", f"{name}, hop 97", _both(some))
        yield Trial("network", f"{name}, one window", _both(some, hop_length=None))
    # from here on every third talker must do
    for name, loaded in _trained(runs):
        yield Trial("training", name, _both(loaded), 3)
    for name, some in nets.items():
        yield from _analyses(name, some)


def _analyses(name: str, nets: Sequence[Any]) -> Iterator[Trial]:
    """Yield other shifts, targets and orders of linear prediction for one kind of network."""
    yield Trial("shifts", f"{name}, hop 97", _both(nets), 3)
    dense = _relevances(nets, "gradient", hop_length=7)
    yield Trial("shifts", f"{name}, hop 7", {"gradient": dense}, 3)
    if name == "shuffled labels":
        return
    yield Trial("shifts", f"{name}, hop 160", _both(nets, hop_length=160), 3)
    yield Trial("shifts", f"{name}, hop 61", _both(nets, hop_length=61), 3)
    yield Trial("shifts", f"{name}, over 60 ms to each side", _both(nets, reach=0.06), 3)
    yield Trial("shifts", f"{name}, over 240 ms to each side", _both(nets, reach=0.24), 3)
    yield Trial("shifts", f"{name}, target: the true phone", _both(nets), 3, true_phone=True)
    for order in (12, 20):
        yield Trial("LP", f"{name}, order {order}", _both(nets), 3, vowels.Settings(order=order))


def _relevances(nets: Sequence[Any], method: Any, **options: Any) -> list[vowels.Relevance]:
    return [vowels.Relevance(net, method, **options) for net in nets]


def _both(nets: Sequence[Any], **options: Any) -> Mapping[str, Sequence[Callable[..., Any]]]:
    """Guided backpropagation and the plain gradient."""
    return {m: _relevances(nets, m, **options) for m in ("guided", "gradient")}


def _trained(runs: Path) -> Iterator[tuple[str, list[Any]]]:
    """Yield every training's name and its networks, one a seed."""
    for change in CHANGES:
        paths = [_folder(runs, change, seed) for seed in SEEDS]
        if change == "base":
            for step in SNAPSHOTS:
                yield f"{step} steps", [pretrained.load(_snapshot(path, step)) for path in paths]
        yield change, [pretrained.load(path) for path in paths]
    for step in LONG:
        shipped = [_snapshot(runs / f"phones-{seed}", step) for seed in SEEDS]
        if all(path.is_file() for path in shipped):
            found = [pretrained.load(path) for path in shipped]
            yield f"shipped recipe, {step} of {STANDARD['phones'].steps} steps", found


def estimates(
    trial: Trial, corpus: corpora.VowelCorpus | None = None, *, jobs: int = -1
) -> pd.DataFrame:
    """Return `relviz.studies.vowels.estimates` of one trial.

    Parameters
    ----------
    trial : Trial
        What to try. Where the target is the vowel's own phone, vowels are asked one by one.
    corpus : VowelCorpus, optional
        None takes the five vowels of the paper.
    jobs : int
        Worker processes, -1 for one a core.

    Returns
    -------
    DataFrame
        Of every `every`-th talker.

    Examples
    --------
    >>> trial = Trial("control", "white noise", {"original": [vowels.noise]}, every=1000)
    >>> estimates(trial, jobs=1)["talker"].nunique()
    1
    """
    corpus = corpora.vowels() if corpus is None else corpus
    heard = sorted({token.talker for token in corpus.tokens})[:: trial.every]
    corpus = replace(corpus, tokens=tuple(t for t in corpus.tokens if t.talker in heard))
    run = partial(vowels.estimates, settings=trial.settings, jobs=jobs)
    if not trial.true_phone:
        return run(trial.signals, corpus)
    found = []
    for vowel, phone in _PHONE_OF_VOWEL.items():
        tokens = tuple(t for t in corpus.tokens if t.vowel == vowel)
        aimed = {
            name: [replace(f, target=PHONES.index(phone)) for f in replicates]  # type: ignore[type-var]
            for name, replicates in trial.signals.items()
        }
        if tokens:
            found.append(run(aimed, replace(corpus, tokens=tokens)))
    return pd.concat(found, ignore_index=True)


def score(
    runs: Path,
    corpus: corpora.VowelCorpus | None = None,
    *,
    jobs: int = -1,
    progress: bool = False,
) -> None:
    """Score every trial that is not scored yet, into the folder ``scored`` of the runs.

    Parameters
    ----------
    runs : Path
        The folder of runs, trained.
    corpus : VowelCorpus, optional
        None takes the five vowels of the paper.
    jobs : int
        Worker processes, -1 for one a core.
    progress : bool
        Show a bar.

    Examples
    --------
    >>> score(Path("runs"))  # doctest: +SKIP
    """
    (runs / "scored").mkdir(exist_ok=True)
    todo = [trial for trial in trials(runs) if not _scored(runs, trial).is_file()]
    one = partial(_score_one, runs=runs, corpus=corpus, jobs=jobs)
    for _ in tasks.run(one, todo, jobs=1, progress=progress, title="trials", unit="trial"):
        pass


def _score_one(trial: Trial, runs: Path, corpus: corpora.VowelCorpus | None, jobs: int) -> None:
    found = estimates(trial, corpus, jobs=jobs)
    right = vowels.score(found)
    right = right[(right["sex"] == "both") & (right["vowel"] == "mean")]
    right = right.rename(columns={"accuracy": "value"}).drop(columns=["sex", "vowel"])
    tables = [right]
    if trial.group not in _WITHOUT_CONTRAST:
        contrast = vowels.contrast(found).rename(columns={"contrast": "value"})
        tables.append(contrast.assign(measure=contrast.pop("formant") + " contrast"))
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "group", trial.group)
    table.insert(1, "trial", trial.name)
    table = table.rename(columns={"signal": "method"})
    with files.replacing(_scored(runs, trial)) as draft:
        table.to_csv(draft, index=False, float_format="%.4f")


def write(runs: Path, folder: Path) -> None:
    """Join the scores, and what the trainings reached, into two tables.

    Parameters
    ----------
    runs : Path
        The folder of runs, trained and scored.
    folder : Path
        Where ``scores.csv`` and ``trainings.csv`` go, made if need be.

    Examples
    --------
    >>> write(Path("runs"), Path("tables"))  # doctest: +SKIP
    """
    folder.mkdir(exist_ok=True)
    scored = pd.concat([pd.read_csv(_scored(runs, t)) for t in trials(runs)], ignore_index=True)
    with files.replacing(folder / "scores.csv") as draft:
        scored.to_csv(draft, index=False)
    rows = []
    for change in CHANGES:
        for seed in SEEDS:
            log = pd.read_csv(_folder(runs, change, seed) / "log.csv")
            rows.append({"trial": change, "seed": seed, **log.iloc[-1]})
    with files.replacing(folder / "trainings.csv") as draft:
        pd.DataFrame(rows).drop(columns="seconds").to_csv(draft, index=False)


def _slug(text: str) -> str:
    """Turn a trial's name into one for a file."""
    return "".join(c if c.isalnum() else "-" for c in text)


def _folder(runs: Path, change: str, seed: int) -> Path:
    """Where a training's run lies."""
    return runs / f"{_slug(change)}-{seed}"


def _snapshot(run: Path, step: int) -> Path:
    return run / f"step-{step:06d}.safetensors"


def _scored(runs: Path, trial: Trial) -> Path:
    return runs / "scored" / f"{trial.group}-{_slug(trial.name)}.csv"
