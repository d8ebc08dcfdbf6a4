"""relviz.training.recipe: what cannot be right is refused, what is written is read back."""

import json
from dataclasses import asdict, replace

import pytest

from relviz.training.recipe import STANDARD, Recipe
from tests.training.conftest import RECIPE, TINY


@pytest.mark.parametrize("recipe", [*STANDARD.values(), RECIPE])
def test_through_json_and_back(recipe):
    assert Recipe.from_dict(json.loads(json.dumps(asdict(recipe)))) == recipe


def test_refusals():
    for changes, words in (
        (dict(optimiser="magic"), "optimiser 'magic' is unknown: use one of adam, adamw, sgd"),
        (dict(steps=0), "steps is 0: give 1 or more"),
        (dict(dropout=1.0), "dropout is 1.0"),
        (dict(speed=0.6), "speed is 0.6: give a share from 0 to 0.5"),
        (dict(architecture=replace(TINY, window=15000), speed=0.1), "give at most 14545"),
        (dict(learning_rate=0.0), "a rate above 0"),
        (dict(seed=-1), "seed is -1"),
        (dict(subset=0), "subset is 0"),
        (dict(architecture=replace(TINY, window=16001)), "hears 16001 samples"),
    ):
        with pytest.raises(ValueError, match=words):
            Recipe(**changes)
