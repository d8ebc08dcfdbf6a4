"""relviz.pretrained: the shipped networks are what their cards say, and are read without pickle."""

import itertools
import re

import numpy as np
import pytest
import safetensors
import torch

import relviz
from relviz import networks, pretrained
from relviz.corpora import PHONES
from relviz.pretrained import SEEDS, WEIGHTS, Metadata, card, load, replicates
from relviz.training import weights

NAMES = [name for seeds in SEEDS.values() for name in seeds]


def test_what_is_shipped_is_what_can_be_loaded():
    assert sorted(path.stem for path in WEIGHTS.glob("*.safetensors")) == sorted(NAMES)
    assert all(path.stat().st_size <= 4e6 for path in WEIGHTS.iterdir())
    assert relviz.load is load and load().metadata.recipe == load("phones").metadata.recipe


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_network(name):
    net = load(name)
    speakers = name.startswith("speakers")
    assert net.architecture == (networks.SPEAKER_CNN if speakers else networks.PHONE_CNN)
    assert not net.training and {p.dtype for p in net.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in net.parameters())
    classes = net.metadata.classes
    assert len(classes) >= 36 if speakers else classes == PHONES
    x = torch.randn(3, net.window, generator=torch.Generator().manual_seed(0))
    assert net(x).shape == (3, len(classes)) and torch.isfinite(net(x)).all()
    r = relviz.relevance(net, x)
    assert r.shape == x.shape and (r.flatten(1).abs().amax(1) > 0).all()  # no dead network
    seed = NAMES.index(name) - NAMES.index(SEEDS[name.rpartition("-")[0]][0])
    assert net.metadata.recipe["seed"] == seed
    assert bool(net.metadata.recipe.get("shuffle_labels")) == ("shuffled" in name)


def test_seeds_are_other_networks():
    for name, seeds in SEEDS.items():
        nets = replicates(name)
        assert len(nets) == len(seeds)
        for one, other in itertools.pairwise(nets):
            assert not torch.equal(one.filters, other.filters)
    with pytest.raises(ValueError, match="'cats' is not shipped: use one of phones, "):
        replicates("cats")


def test_what_the_networks_reach():
    """What the book builds on; the scores themselves are in the cards."""
    for seed in SEEDS["phones"]:
        scores = load(seed).metadata.scores["held-out speakers"]
        assert scores["frame_accuracy"]["value"] > 0.6
        assert 0 < scores["phone_error_rate"]["low"] < scores["phone_error_rate"]["high"] < 0.6
    speakers = load("speakers").metadata.scores
    assert speakers["within session"]["utterance_accuracy"]["value"] >= 0.98
    shuffled = load("phones-shuffled").metadata.scores
    assert shuffled["held-out speakers"]["frame_accuracy"]["value"] < 0.2
    log = load("phones").metadata.scores["training"]["log"]
    assert len(log["step"]) == len(log["valid_accuracy"]) > 10
    assert (
        max(log["valid_accuracy"]) == load("phones").metadata.scores["training"]["valid_accuracy"]
    )


@pytest.mark.parametrize("name", [*SEEDS, *NAMES])
def test_cards_say_what_a_reader_must_know(name):
    text = card(name)
    rows = dict(re.findall(r"^\| (\w+) \| (.*) \|$", text, flags=re.M))
    wanted = {"Load", "Network", "Data", "Licence", "Training", "Scores", "Use", "Limits"}
    assert wanted <= rows.keys()
    assert ("Spread" in rows) == (not name.startswith("speakers"))
    assert "CC BY 4.0" in rows["Licence"] and "relviz train" in rows["Training"]
    assert "/" not in rows["Data"] and "%" in rows["Scores"] and "[" in rows["Scores"]


def test_load_takes_files_and_runs_and_refuses_the_rest(tmp_path):
    shape = networks.Architecture((networks.Conv(4, 30, 10),), hidden=3, window=400)
    net = networks.build(shape, classes=2, seed=0)
    metadata = Metadata(
        "phones", ("A", "B"), recipe={"seed": 4}, about={"recordings": "None.", "rule": "none"}
    )
    weights.save(net, metadata, tmp_path / "model.safetensors")
    for path in (tmp_path, str(tmp_path / "model.safetensors")):
        again = load(path)
        assert again.metadata == metadata and again.architecture == shape
        x = torch.ones(1, 400)
        assert torch.equal(again(x), net(x))
    assert "seed 4." in card(tmp_path) and "Spread" not in card(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere is not there: name a .* phones, "):
        load(tmp_path / "nowhere")
    state = torch.random.get_rng_state()
    load("phones")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_pickle_is_refused_unopened(tmp_path):
    path = tmp_path / "model.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"holds no network of relviz's \(SafetensorError\)"):
        load(path)
    with safetensors.safe_open(pretrained.WEIGHTS / f"{NAMES[0]}.safetensors", "np") as file:
        assert all(file.get_tensor(k).dtype == np.float16 for k in file.keys())  # noqa: SIM118
