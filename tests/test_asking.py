"""Which network is asked, by every way to name one."""

import pytest
import torch
from torch import nn

import relviz
from relviz import RelvizError, networks
from relviz.asking import asked

MINE = """
import torch
from torch import nn

class Narrow(nn.Module):
    sample_rate, window, normalise = 8000, 1600, "none"
    classes = ["no", "yes"]
    def __init__(self, filters=4):
        super().__init__()
        self.conv, self.top = nn.Conv1d(1, filters, 64, 32), nn.Linear(filters, 2)
    def forward(self, x):
        return self.top(torch.relu(self.conv(x[:, None])).mean(-1))

net = Narrow()
def make(): return Narrow(5)
def scores(x): return x[..., :3]
number = 7
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_of_tests.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return "mine_of_tests"


def test_a_shipped_network_says_all_itself():
    about = asked("phones")
    assert (about.name, about.sample_rate, about.window) == ("phones", 16000, 4000)
    assert about.normalise == relviz.load("phones").metadata.normalise
    assert about.classes == tuple(relviz.load("phones").metadata.classes)


@pytest.mark.parametrize("place", ["net", "make", "Narrow"])
def test_a_network_or_what_makes_it_in_a_module_of_ones_own(mine, place):
    about = asked(f"{mine}:{place}")
    assert isinstance(about.net, nn.Module)
    assert not about.net.training
    assert (about.sample_rate, about.window, about.normalise) == (8000, 1600, "none")
    assert about.classes == ("no", "yes")


def test_a_function_of_samples_is_the_network_itself(mine):
    about = asked(f"{mine}:scores", window=400, sample_rate=22050)
    assert about.net(torch.zeros(2, 400)).shape == (2, 3)
    assert about.sample_rate == 22050
    assert about.untrained() is None


def test_what_is_given_wins_over_what_the_network_says(mine):
    about = asked(f"{mine}:net", window=800, sample_rate=16000, normalise="window")
    assert (about.sample_rate, about.window, about.normalise) == (16000, 800, "window")


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("nowhere_at_all:net", "the module nowhere_at_all cannot be imported"),
        ("{mine}:absent", "the module has no 'absent'"),
        ("{mine}:number", "is a int, and no network"),
        ("{mine}:scores", r"does not say how many samples it hears: give window \(--window\)"),
        ("neither", "neither is not there"),
    ],
)
def test_refusals_name_the_place(mine, place, sentence):
    with pytest.raises(RelvizError, match=sentence):
        asked(place.format(mine=mine))


def test_the_untrained_copy_has_nothing_of_the_network():
    net = networks.build(networks.PHONE_CNN, 4, seed=3)
    copy = asked(net).untrained()
    for one, other in zip(net.parameters(), copy.parameters(), strict=True):
        assert not (one == other).any()
