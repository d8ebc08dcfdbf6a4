"""Which network is asked, by every way to name one."""

import pytest
import torch
from torch import nn

import relviz
from relviz import RelvizError, networks, signals
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
class Layers(nn.Module):
    def __init__(self, count):
        super().__init__()
class Channel(Narrow):
    classes = 2
    def forward(self, x):
        assert x.ndim == 3 and x.shape[1] == 1
        return super().forward(x[:, 0])
class Tapered(Narrow):
    def __init__(self):
        super().__init__()
        self.register_buffer("taper", torch.hann_window(64))
channel, tapered = Channel(), Tapered()
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
        ("{mine}:Layers", "is a class that wants arguments: give a network of it, or a function"),
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


def test_a_network_of_one_channel_gets_it(mine):
    about = asked(f"{mine}:channel")
    assert isinstance(about.network, networks.Described) and about.network.channel
    x = torch.randn(4, 1600)
    assert torch.equal(about.net(x), about.net.net(x[:, None]))
    assert (about.sample_rate, about.window, about.normalise) == (8000, 1600, "none")
    assert about.classes == ()  # a number names nothing
    assert relviz.relevance_signal(about.net, torch.randn(1700).numpy()).shape == (1700,)


def test_a_network_that_takes_neither_shape_is_named():
    def picky(x):
        raise RuntimeError("I want more.")

    with pytest.raises(RelvizError) as refused:
        asked(picky, window=400)
    assert str(refused.value) == (
        "picky cannot be called with (batch, samples), here (3, 400) (I want more): give the "
        "window that it hears, or wrap it (relviz.networks.Described)."
    )
    with pytest.raises(RelvizError, match="hears windows of 4000 samples"):
        asked("phones", window=400)


def test_training_mode_is_left_alone(mine):
    net = nn.Sequential(nn.Linear(400, 3), nn.BatchNorm1d(3)).train()
    about = asked(net, window=400)
    assert net.training and not about.net.training
    assert torch.equal(about.net[0].weight, net[0].weight)
    assert net[1].num_batches_tracked == 0
    with pytest.raises(RelvizError, match="is in training mode, where its batch normalisation"):
        asked(lambda x: net(x), window=400)


def test_the_network_says_what_was_given(mine):
    about = asked(f"{mine}:net")
    assert about.network is about.net  # it says all itself
    other = asked(f"{mine}:net", window=800, sample_rate=16000, normalise="window").network
    assert (other.window, other.sample_rate, other.normalise) == (800, 16000, "window")
    assert signals.network_rate(other) == 16000
    assert signals.normalisation(other) == "window"
    x = torch.randn(2, 800)
    assert torch.equal(other(x), about.net(x))
    shipped = asked("phones")
    assert shipped.network is shipped.net


def test_a_control_is_untrained_or_permuted(mine):
    kind, copied = asked(f"{mine}:net").control()
    assert kind == "untrained" and copied.window == 1600
    about = asked(f"{mine}:tapered")
    kind, copied = about.control(seed=3)
    assert kind == "permuted"  # nobody draws its taper
    weights = [each.net.conv.weight.flatten() for each in (about, copied)]
    assert torch.equal(*(each.sort()[0] for each in weights)) and not torch.equal(*weights)
    assert asked(f"{mine}:scores", window=400).control() is None
