"""relviz.training.recipe: what cannot be right is refused, what is written is read back."""

import json
from dataclasses import asdict, replace

import pytest

from relviz._errors import ParameterError
from relviz.training.recipe import STANDARD, Recipe
from tests.training.conftest import RECIPE, TINY


@pytest.mark.parametrize("recipe", [*STANDARD.values(), RECIPE])
def test_through_json_and_back(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(asdict(recipe)))) == recipe


def test_refusals():
    for changes, words in (
        (dict(optimiser="magic"), "optimiser 'magic' is unknown: use one of adam, adamw, sgd"),
        (dict(steps=0), "steps is 0: give 1 or more"),
        (dict(dropout=1.0), "dropout is 1.0: give 0 or more, below 1"),
        (dict(ema=1.0), "ema is 1.0: give 0 or more, below 1"),
        (dict(smoothing=-0.1), "smoothing is -0.1: give 0 or more, below 1"),
        (dict(noise=1.5), "noise is 1.5: give a probability"),
        (dict(response=50.0), "response is 50.0: give 0 to 40 dB"),
        (dict(speed=0.6), "speed is 0.6: give a share from 0 to 0.5"),
        (dict(architecture=replace(TINY, window=15000), speed=0.1), "give at most 14545"),
        (dict(learning_rate=0.0), "a rate above 0"),
        (dict(seed=-1), "seed is -1"),
        (dict(subset=0), "subset is 0"),
        (dict(per_class=0), "per_class is 0: give 1 frame or more, or None for all"),
        (dict(steps=8.0), "steps is 8.0: give a whole number"),
        (dict(batch_size=True), "batch_size is True: give a whole number"),
        (dict(learning_rate="fast"), "learning_rate is 'fast': give a number"),
        (dict(shuffle_labels=1), "shuffle_labels is 1: give True or False"),
        (dict(seed=2**63), "less than"),
        (dict(architecture={"hidden": 4}), "give an Architecture"),
        (dict(architecture=replace(TINY, window=16001)), "hears 16001 samples"),
    ):
        with pytest.raises(ValueError, match=words):
            Recipe(**changes)


def test_fields_of_another_version_are_named():
    said = json.loads(json.dumps(asdict(RECIPE)))
    less = {name: value for name, value in said.items() if name != "dropout"}
    for fields, words in (
        ([said], "the recipe is no mapping of fields"),
        (said | {"momentum": 0.9}, "the recipe's momentum is unknown to this version"),
        (less, "the recipe's dropout is missing"),
        (said | {"architecture": None}, "the recipe's architecture cannot be"),
        (said | {"architecture": said["architecture"] | {"convs": [{}]}}, "cannot be"),
        (said | {"architecture": said["architecture"] | {"window": "1000"}}, "window is '1000'"),
        (said | {"steps": None}, "steps is None"),
    ):
        with pytest.raises(ParameterError, match=words):
            Recipe.from_dict(fields)
