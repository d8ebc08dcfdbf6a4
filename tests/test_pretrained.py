"""relviz.pretrained: the shipped networks are what their cards say, and are read without pickle."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from markdown_it import MarkdownIt

import relviz
from relviz import networks, pretrained, statistics
from relviz._errors import ParameterError
from relviz.corpora import PHONES
from relviz.pretrained import FOLDS, SEEDS, WEIGHTS, Metadata, card, load, replicates
from relviz.studies import unheard
from relviz.training import STANDARD, weights

NAMES = list(dict.fromkeys([*(name for seeds in SEEDS.values() for name in seeds), *FOLDS]))


def test_what_is_shipped_is_what_can_be_loaded():
    assert sorted(path.stem for path in WEIGHTS.glob("*.safetensors")) == sorted(NAMES)
    assert all(path.stat().st_size <= 4e6 for path in WEIGHTS.iterdir())
    assert relviz.load is load and load().metadata.recipe == load("phones").metadata.recipe


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_network(name):
    net = load(name)
    assert name.startswith(net.metadata.study)
    assert net.architecture == STANDARD[net.metadata.study].architecture
    assert not net.training and {p.dtype for p in net.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in net.parameters())
    classes = net.metadata.classes
    if net.metadata.study == "phones":
        assert classes == PHONES
    else:
        assert len(classes) in ((164,) if name.startswith("speakers") else (2, 3, 9))
    x = torch.randn(3, net.window, generator=torch.Generator().manual_seed(0))
    assert net(x).shape == (3, len(classes)) and torch.isfinite(net(x)).all()
    r = relviz.relevance(net, x)
    assert r.shape == x.shape and (r.flatten(1).abs().amax(1) > 0).all()  # no dead network
    kind, _, number = name.rpartition("-")
    if kind == "phones-fold":
        assert net.metadata.about["fold"] == FOLDS.index(name) == int(number)
        assert net.metadata.recipe == load(FOLDS[0]).metadata.recipe  # seed and all
    else:
        assert net.metadata.recipe["seed"] == SEEDS[kind].index(name) == int(number)
    if kind == "phones":
        assert net.metadata.about["fold"] == 0
    assert bool(net.metadata.recipe.get("shuffle_labels")) == ("shuffled" in name)


def test_seeds_are_other_networks():
    for name, seeds in SEEDS.items():
        nets = replicates(name)
        assert len(nets) == len(seeds)
        for one, other in itertools.pairwise(nets):
            assert not torch.equal(one.filters, other.filters)
    with pytest.raises(ValueError, match="'cats' is not shipped: use one of phones, "):
        replicates("cats")


def test_every_speaker_is_a_stranger_to_one_fold():
    divisions = [load(name).metadata.about for name in FOLDS]
    parts = ("train", "valid", "test")
    everybody = {who for part in parts for who in divisions[0][part]["speakers"]}
    tested = [who for division in divisions for who in division["test"]["speakers"]]
    assert len(tested) == len(set(tested)) and set(tested) == everybody
    for name, division in zip(FOLDS, divisions, strict=True):
        sets = [set(division[part]["speakers"]) for part in parts]
        assert sum(map(len, sets)) == len(everybody) and set.union(*sets) == everybody
        scored = load(name).metadata.scores["held-out speakers"]["by_speaker"]
        assert set(scored) == sets[2]
    for one, other in itertools.combinations(FOLDS, 2):
        assert not torch.equal(load(one).filters, load(other).filters)


def test_what_the_networks_reach():
    """What the book builds on; the scores themselves are in the cards."""
    for seed in dict.fromkeys((*SEEDS["phones"], *FOLDS)):
        scores = load(seed).metadata.scores["held-out speakers"]
        assert scores["frame_accuracy"]["value"] > 0.6
        assert 0 < scores["phone_error_rate"]["low"] < scores["phone_error_rate"]["high"] < 0.6
    for seed in SEEDS["speakers"]:
        scores = load(seed).metadata.scores
        assert scores["within session"]["utterance_accuracy"]["value"] > 0.9
        assert scores["across sessions"]["utterance_accuracy"]["value"] > 0.7
    shuffled = load("speakers-shuffled").metadata.scores
    assert shuffled["within session"]["utterance_accuracy"]["value"] < 0.1
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
    rows = dict(re.findall(r"^\| ([\w ]+) \| (.*) \|$", text, flags=re.M))
    wanted = {"Load", "Network", "Data", "Licence", "Training", "Scores", "Use", "Limits"}
    assert wanted <= rows.keys()
    assert ("Spread" in rows) == (not name.startswith(("speakers-shuffled", "phones-fold")))
    phones = name.startswith("phones") and "shuffled" not in name
    assert ("All speakers" in rows) == phones
    credit = "vowels that relviz generates" if name.startswith("cues") else "CC BY 4.0"
    assert credit in rows["Licence"] and "relviz train" in rows["Training"]
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
    assert "Licence" not in card(tmp_path)  # that of the shipped ones is not a stranger's
    with pytest.raises(FileNotFoundError, match=r"nowhere is not there: name a .* phones, "):
        load(tmp_path / "nowhere")
    state = torch.random.get_rng_state()
    load("phones")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_pickle_is_refused_unopened(tmp_path):
    path = tmp_path / "model.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="holds no network of relviz's "):
        load(path)
    with safetensors.safe_open(pretrained.WEIGHTS / f"{NAMES[0]}.safetensors", "np") as file:
        assert all(file.get_tensor(k).dtype == np.float16 for k in file.keys())  # noqa: SIM118


SMALL = networks.Architecture((networks.Conv(4, 30, 10),), hidden=3, window=400)

FULL = Metadata(
    "speakers",
    ("anna", "ben"),
    recipe={"study": "speakers", "seed": 4, "shuffle_labels": False, "subset": None},
    about={
        "recordings": "None.",
        "rule": "none",
        "skipped": {"no transcript": 2},
        "command": "relviz train speakers --out RUN",
        "train": {"utterances": 3, "speakers": ["anna", "ben"]},
    },
    scores={
        "held out": {"accuracy": {"value": 0.5, "low": float("nan"), "high": 0.9, "trials": 4}},
        "training": {
            "steps": 3.0,
            "seconds": 1.5,
            "best_step": 2.0,
            "valid_accuracy": 0.5,
            "log": {"step": [1.0], "loss": [2.0]},
        },
    },
)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A whole file, with every field that a card shows."""
    path = tmp_path / "mine.safetensors"
    weights.save(networks.build(SMALL, classes=2, seed=0), FULL, path)
    return path


def change(path: Path, act: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    """Change the header of a file, tensors and fields, and leave its weights."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    fields = {name: json.loads(text) for name, text in header["__metadata__"].items()}
    act(header, fields)
    header["__metadata__"] = {name: json.dumps(value) for name, value in fields.items()}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def refused(path: Path) -> str:
    """The reason of both refusals, which name the file and the way out."""
    reasons = set()
    for act in (load, card):
        with pytest.raises(ParameterError) as refusal:
            act(path)
        text = str(refusal.value)
        start, end = (
            f"{path} holds no network of relviz's (",
            "): name a file that `relviz train` wrote.",
        )
        assert text.startswith(start) and text.endswith(end)
        reasons.add(text[len(start) : -len(end)])
    (reason,) = reasons
    return reason


def put(at: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    """Set a field: its names, with dots between."""

    def act(header: dict[str, Any], fields: dict[str, Any]) -> None:
        *way, last = at.split(".")
        place: Any = fields
        for name in way:
            place = place[int(name) if name.isdigit() else name]
        place[last] = value

    return act


def drop(name: str) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    return lambda header, fields: fields.pop(name)


def test_a_card_counts_speakers_where_the_file_has_them(mine):
    def score(value: float) -> dict[str, Any]:
        return {"accuracy": {"value": value, "low": 0.0, "high": 1.0, "trials": 2}, "frames": 9}

    assert "held out: accuracy 50.0 % [nan, 90.0], 4 utterances" in card(mine)
    values = {"7": 0.2, "8": 0.5, "9": 0.8}
    by_speaker = {who: score(value) for who, value in values.items()}
    change(mine, put("scores.held out.by_speaker", by_speaker))
    mean = statistics.bootstrap([*values.values()])
    assert (
        f"held out: accuracy 50.0 % [{100 * mean.low:.1f}, {100 * mean.high:.1f}] over 3 "
        "speakers, of whom the lowest has 20.0 and the highest 80.0 %"
    ) in card(mine)
    change(mine, put("scores.held out.by_speaker", {"7": score(0.2)}))
    assert "accuracy 20.0 % over 1 speaker" in card(mine)


def test_a_card_says_what_the_study_finds():
    """Of the file alone, as `relviz evaluate phones` has it of recordings."""
    found = unheard.over_speakers(unheard.on_cards({"mine": load("phones-1")}))
    measures = ("frame accuracy", "phone error rate")
    for (_, row), measure in zip(found.iterrows(), measures, strict=True):
        assert (
            f"held-out speakers: {measure} {100 * row['mean'].value:.1f} % "
            f"[{100 * row['mean'].low:.1f}, {100 * row['mean'].high:.1f}] over "
            f"{row['speakers']} speakers, of whom the lowest has {100 * row['lowest']:.1f} and the "
            f"highest {100 * row['highest']:.1f} %"
        ) in card("phones-1")
    nets = {name: load(name) for name in dict.fromkeys((*SEEDS["phones"], *FOLDS))}
    found = unheard.over_speakers(unheard.on_cards(nets)).set_index("network")
    for name in ("phones", "phones-2", "phones-fold-3"):
        (row,) = re.findall(r"^\| All speakers \| (.*) \|$", card(name), flags=re.M)
        assert all(f"`{each}`" in row for each in nets)
        for (_, turn), measure in zip(found.loc[unheard.IN_TURN].iterrows(), measures, strict=True):
            mean = turn["mean"]
            assert (
                f"held-out speakers: {measure} {100 * mean.value:.1f} % [{100 * mean.low:.1f}, "
                f"{100 * mean.high:.1f}] over {turn['speakers']} speakers, of whom the lowest has "
                f"{100 * turn['lowest']:.1f} and the highest {100 * turn['highest']:.1f} %"
            ) in row


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (put("sample_rate", 8000), "sample_rate is 8000, not 16000"),
        (put("sample_rate", "16k"), 'sample_rate is "16k", not 16000'),
        (put("sample_rate", True), "sample_rate is true, not 16000"),
        (put("sample_rate", 16000.0), "sample_rate is 16000.0, not 16000"),
        (put("normalise", "loud"), 'normalise is "loud", none of window, utterance, none'),
        (put("study", ["phones"]), 'study is ["phones"], none of phones, speakers, cues'),
        (put("study", "phones"), "study is not the recipe's"),
        (put("classes", ["anna", "anna"]), "classes has anna twice"),
        (put("classes", ["anna", 2]), "classes is no list of texts"),
        (put("classes", "ab"), "classes is no list of texts"),
        (put("classes", []), "classes is empty"),
        (put("classes", ["a", "\x1b[2J"]), r"classes has '\x1b[2J', which is no name"),
        (put("classes", ["a", " "]), "classes has ' ', which is no name"),
        (put("classes", ["a", "b", "c"]), "classifier.2.weight has the shape [2, 3], not [3, 3]"),
        (drop("classes"), "classes is missing"),
        (drop("study"), "study is missing"),
        (drop("architecture"), "architecture is missing"),
        (put("colour", "red"), "colour is no field of this version"),
        (put("architecture", []), "architecture is no mapping"),
        (put("architecture.convs", []), "architecture.convs is not a list of 1 to 32 convolutions"),
        (
            put("architecture.convs.0.filters", 50_000_000),
            "its network has 3350000011 parameters, more than 50000000",
        ),
        (
            put("architecture.convs.0.filters", 5),
            "features.0.weight has the shape [4, 1, 30], not [5, 1, 30]",
        ),
        (
            put("architecture.convs.0.stride", 0),
            "architecture.convs[0].stride is not from 1 to 50000000",
        ),
        (
            put("architecture.convs.0.kernel_size", 3.5),
            "architecture.convs[0].kernel_size is no whole number",
        ),
        (put("architecture.window", 1 << 40), "architecture.window is not from 1 to 960000"),
        (
            put("architecture.window", 20),
            "in its architecture, a window of 20 samples leaves 20 for conv1, whose kernel needs "
            "30",
        ),
        (put("architecture.depth", 3), "architecture.depth is no field of this version"),
        (lambda _, fields: fields["architecture"].pop("hidden"), "architecture.hidden is missing"),
        (put("recipe", "quick"), "recipe is no mapping"),
        (put("recipe.seed", "4"), "recipe.seed is no whole number"),
        (put("recipe.shuffle_labels", 1), "recipe.shuffle_labels is neither true nor false"),
        (put("recipe.steps", [1]), "recipe.steps is not one value"),
        (put("about", None), "about is no mapping"),
        (put("about.rule", 3), "about.rule is no text"),
        (put("about.corpora", "timit"), "about.corpora is no list of texts"),
        (put("about.parts", ["../../etc"]), "about.parts has '../../etc', which is no name"),
        (put("about.every", 1), f"about.every is not from 2 to {1 << 53}"),
        (put("about.fold", "0"), "about.fold is no whole number"),
        (put("about.train.speakers", None), "about.train.speakers is no list of texts"),
        (put("about.train.utterances", -1), "about.train.utterances is not from 0 to 900719925474"),
        (put("scores.held out", 3), "scores.held out is no mapping"),
        (put("scores.held out.accuracy.low", None), "scores.held out.accuracy.low is no number"),
        (put("scores.held out.by_speaker", 3), "scores.held out.by_speaker is no mapping"),
        (
            put("scores.held out.by_speaker", {"7": {"accuracy": {"value": 0.5, "trials": "2"}}}),
            "scores.held out.by_speaker.7.accuracy.trials is no whole number",
        ),
        (put("scores.training.steps", "3"), "scores.training.steps is no number"),
        (put("scores.training.log.loss", []), "scores.training.log has columns of several lengths"),
        (lambda header, _: header.pop("features.0.bias"), "the tensor features.0.bias is missing"),
        (
            lambda header, _: header.update(extra=header["features.0.bias"]),
            "extra is no tensor of its network",
        ),
        (
            lambda header, _: header["features.0.bias"].update(dtype="I32"),
            'features.0.bias has numbers of type "I32"',
        ),
        (
            lambda header, _: header["features.0.bias"].update(dtype=["F32"]),
            'features.0.bias has numbers of type ["F32"]',
        ),
        (
            lambda header, _: header["features.0.bias"].update(shape=None),
            "features.0.bias has the shape null, not [4]",
        ),
        (
            lambda header, _: header["features.0.bias"].update(dtype="F16"),
            "it has 1116 bytes of weights, not 1108",
        ),
    ],
)
def test_one_schema_for_what_a_file_says_of_itself(mine, act, reason):
    change(mine, act)
    found = refused(mine)
    assert found == reason or (len(reason) > 50 and found.startswith(reason))


def test_nothing_is_built_before_the_header_is_right(mine, monkeypatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a network was built, or a tensor read")

    monkeypatch.setattr(pretrained, "TrainedCNN", never)
    monkeypatch.setattr(safetensors, "safe_open", never)
    for filters in (5, 50_000_000):
        change(mine, put("architecture.convs.0.filters", filters))
        refused(mine)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is no safetensors file, or was cut off"),
        (b"\xff" * 8, "it is no safetensors file, or was cut off"),
        (b"\x02" + bytes(7) + b"{", "it is no safetensors file, or was cut off"),
        (b"\x02" + bytes(7) + b"[]", "its header is no mapping"),
        (b"\x02" + bytes(7) + b"{}", "architecture is missing"),
        (b"\x02" + bytes(7) + b"\xff\xfe", "its header is no JSON"),
        (
            (1 << 20).to_bytes(8, "little") + b"[" * (1 << 20),
            "its header is no JSON",
        ),
        ((9 << 20).to_bytes(8, "little") + bytes(9 << 20), "its header has 9437184 bytes, more"),
        (b"\x0d" + bytes(7) + b'{"a":1,"a":2}', "its header says something twice"),
        (b"<html>not here</html>", "it is no safetensors file, or was cut off"),
    ],
)
def test_what_is_no_safetensors_file(tmp_path, data, reason):
    path = tmp_path / "stranger.safetensors"
    path.write_bytes(data)
    assert refused(path).startswith(reason)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers(mine, value):
    net = networks.build(SMALL, classes=2, seed=0)
    with torch.no_grad():
        net.features[0].bias[2] = value
    weights.save(net, FULL, mine)
    assert refused(mine) == "features.0.bias has weights that are NaN or infinite"


def test_a_file_that_was_cut_off_or_goes_on(mine):
    whole = mine.read_bytes()
    for data in (whole[:-1], whole + b"x"):
        mine.write_bytes(data)
        assert re.fullmatch(r"it has \d+ bytes of weights, not 1116", refused(mine))


def test_a_card_needs_no_field_that_a_file_may_leave_out(mine):
    def bare(header: dict[str, Any], fields: dict[str, Any]) -> None:
        for name in ("recipe", "about", "scores", "normalise", "sample_rate"):
            del fields[name]

    change(mine, bare)
    assert load(mine).metadata == Metadata("speakers", ("anna", "ben"))
    rows = card(mine)
    assert "| Data | not said |" in rows and "| Training | seed unknown. |" in rows


def test_a_card_shows_what_a_file_says_and_does_not_do_it(mine):
    """As GitHub, Jupyter and the book show it: HTML allowed, links made of addresses."""
    evil = "<img src=x onerror=alert(1)> [a](javascript:b) `|` **c** http://evil.example \n\n# d"

    def everywhere(header: dict[str, Any], fields: dict[str, Any]) -> None:
        fields["about"] |= {
            "recordings": evil,
            "rule": evil,
            "command": evil,
            evil: {"utterances": 1, "speakers": [evil]},
        }
        fields["scores"][evil] = {evil: {"value": 1, "low": 0, "high": 1, "trials": 1}}

    plain = tags(card(mine))
    change(mine, everywhere)
    found = tags(card(mine))
    assert found.count("<tr>") == plain.count("<tr>")
    assert set(found) <= set(plain) and "onerror" in card(mine)
    strange = mine.rename(mine.with_name("a`|<img src=x onerror=b>$.safetensors"))
    assert set(tags(card(strange))) <= set(plain)


def tags(text: str) -> list[str]:
    says = MarkdownIt("gfm-like", {"html": True, "linkify": True})
    return re.findall(r"<[^>]*>", says.render(text))
