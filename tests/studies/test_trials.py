"""relviz.studies.trials: the trials of the book's page, their recipes, their tables."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relviz import networks, pretrained
from relviz.corpora import PHONES, Source, VowelCorpus, vowel_corpus
from relviz.corpora.tokens import deviations
from relviz.studies import trials as study
from relviz.studies import vowels
from tests.training.conftest import RECIPE, make_data

TABLES = Path(__file__).parents[2] / "book" / "appendix" / "trials"
METHODS = {"original", "guided", "gradient"}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of runs in which every network is there, though none was trained."""
    net = networks.build(networks.PHONE_CNN, 40)
    monkeypatch.setattr(pretrained, "load", lambda path: net)
    monkeypatch.setattr(pretrained, "replicates", lambda name: (net,) * 3)
    for seed in study.SEEDS:
        for step in study.LONG:
            snapshot = tmp_path / f"phones-{seed}" / f"step-{step:06d}.safetensors"
            snapshot.parent.mkdir(exist_ok=True)
            snapshot.touch()
    return tmp_path


@pytest.fixture(scope="module")
def corpus():
    tokens = vowel_corpus()
    some = tuple(t for t in tokens if t.talker in {"m01", "m02", "w01"})
    return VowelCorpus(some, Source("synthetic"), deviations(tokens))


def test_the_page_has_these_trials_in_this_order(runs):
    page = pd.read_csv(TABLES / "scores.csv")[["group", "trial", "method"]].drop_duplicates()
    here = [(t.group, t.name, m) for t in study.trials(runs) for m in t.signals]
    assert here == [*page.itertuples(index=False, name=None)]


def test_shipped_runs_are_trials_only_if_they_are_there(runs):
    (runs / "phones-1" / "step-002000.safetensors").unlink()
    names = [trial.name for trial in study.trials(runs) if trial.group == "training"]
    assert "shipped recipe, 8000 of 14000 steps" in names
    assert "shipped recipe, 2000 of 14000 steps" not in names


def test_names_of_files_differ(runs):
    paths = [study._scored(runs, trial) for trial in study.trials(runs)]
    assert len(set(paths)) == len(paths)
    assert paths[0].name == "control-original-recording.csv"


def test_signals_have_the_length_of_the_wave(runs):
    """Of one replicate of each; shorter reaches make it quick."""
    wave = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    for trial in study.trials(runs):
        assert set(trial.signals) <= METHODS and trial.every in (1, 3)
        function = next(iter(trial.signals.values()))[0]
        if isinstance(function, vowels.Relevance) and function.hop_length is not None:
            function = replace(function, reach=1e-3)
        assert function(wave, 2000).shape == wave.shape


def test_a_change_changes_only_what_it_says():
    for change, options in study.CHANGES.items():
        assert study.recipe(change, 2) == replace(study.BASE, seed=2, **options)
    assert study.recipe("normalised per utterance", 0).normalise == "utterance"
    assert study.recipe("base", 0) == study.BASE
    assert study.BASE.steps > max(study.SNAPSHOTS)


@pytest.mark.slow
def test_training_makes_a_run_of_each_and_goes_on(tmp_path, monkeypatch):
    small = replace(RECIPE, steps=3, validate_every=2)
    monkeypatch.setattr(study, "BASE", small)
    monkeypatch.setattr(study, "CHANGES", {"base": {}, "SGD, momentum 0.9": {"optimiser": "sgd"}})
    monkeypatch.setattr(study, "SEEDS", (0, 1))
    monkeypatch.setattr(study, "SNAPSHOTS", (2,))
    runs, load = tmp_path / "runs", partial(make_data, tmp_path, 8)
    study.train(runs, load, jobs=1)
    names = ["SGD--momentum-0-9-0", "SGD--momentum-0-9-1", "base-0", "base-1"]
    assert sorted(path.name for path in runs.iterdir()) == names
    assert all((runs / name / "step-000002.safetensors").is_file() for name in names)
    before = (runs / "base-0" / "model.safetensors").stat().st_mtime_ns
    study.train(runs, load, jobs=1)
    assert (runs / "base-0" / "model.safetensors").stat().st_mtime_ns == before


def test_the_true_phone_is_asked_for_vowel_by_vowel(corpus, monkeypatch):
    asked = []

    def spy(signals, corpus, **_):
        (function,) = signals["guided"]
        asked.extend((t.vowel, PHONES[function.target]) for t in corpus.tokens)
        return pd.DataFrame({"token": [t.name for t in corpus.tokens]})

    monkeypatch.setattr(vowels, "estimates", spy)
    net = networks.build(networks.PHONE_CNN, 40)
    trial = study.Trial("shifts", "true", {"guided": [vowels.Relevance(net)]}, 2, true_phone=True)
    found = study.estimates(trial, corpus)
    assert sorted(set(asked)) == [("ah", "AA"), ("eh", "EH"), ("iy", "IY"), ("oa", "OW"),
                                  ("uw", "UW")]  # fmt: skip
    talkers = {name[:3] for name in found["token"]}
    assert talkers == {"m01", "w01"}  # every second one


@pytest.mark.slow
def test_scores_become_the_pages_tables(tmp_path, monkeypatch, corpus):
    settings = vowels.Settings(order=12)
    some = [
        study.Trial("control", "recording", {"original": [vowels.original]}),
        study.Trial("LP", "noise, order 12", {"original": [vowels.noise]}, 2, settings),
    ]
    monkeypatch.setattr(study, "trials", lambda runs: iter(some))
    monkeypatch.setattr(study, "CHANGES", {"base": {}, "dropout 0.3": {}})
    for change, seed in ((c, s) for c in study.CHANGES for s in study.SEEDS):
        folder = study._folder(tmp_path, change, seed)
        folder.mkdir()
        log = pd.read_csv(TABLES / "trainings.csv").drop(columns=["trial", "seed"]).head(2)
        log.assign(step=[300, 600 + seed], seconds=1.0).to_csv(folder / "log.csv", index=False)
    study.score(tmp_path, corpus, jobs=1)
    study.write(tmp_path, tmp_path / "tables")
    scores = pd.read_csv(tmp_path / "tables" / "scores.csv")
    assert list(scores.columns) == list(pd.read_csv(TABLES / "scores.csv").columns)
    assert scores.groupby("trial", sort=False)["measure"].unique().map(list).tolist() == [
        ["f0", "f1", "f2", "f1 contrast", "f2 contrast"],
        ["f0", "f1", "f2"],
    ]
    f0 = scores[scores["measure"] == "f0"].groupby("trial")["value"].min()
    assert f0["recording"] == 1 and f0["noise, order 12"] < 0.5
    reached = pd.read_csv(tmp_path / "tables" / "trainings.csv")
    assert list(reached.columns) == list(pd.read_csv(TABLES / "trainings.csv").columns)
    assert reached["step"].tolist() == [600, 601, 602] * 2
    # what is scored stays
    monkeypatch.setattr(study, "estimates", None)
    study.score(tmp_path, corpus)
