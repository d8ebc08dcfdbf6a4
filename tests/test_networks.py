"""relviz.networks: Table 1 and its geometry."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import relviz
from relviz import networks
from relviz._errors import ParameterError
from relviz.networks import PHONE_CNN, SPEAKER_CNN, Architecture, Conv


def test_table_1():
    assert [(c.kernel_size, c.stride, c.filters) for c in PHONE_CNN.convs] == [
        (30, 10, 80),
        (7, 1, 60),
        (7, 1, 60),
    ]
    assert [(c.kernel_size, c.stride, c.filters) for c in SPEAKER_CNN.convs] == [
        (30, 10, 80),
        (10, 1, 80),
    ]
    assert (PHONE_CNN.hidden, SPEAKER_CNN.hidden) == (1024, 100)
    assert (PHONE_CNN.window, SPEAKER_CNN.window) == (4000, 8000)


@pytest.mark.parametrize("architecture", [PHONE_CNN, SPEAKER_CNN])
def test_conv_then_pool_then_relu(architecture):
    net = networks.build(architecture, classes=40)
    kinds = [nn.Conv1d, nn.MaxPool1d, nn.ReLU] * len(architecture.convs) + [nn.Flatten]
    assert all(isinstance(m, kind) for m, kind in zip(net.features, kinds, strict=True))
    assert [type(m).__name__ for m in net.classifier] == ["Linear", "ReLU", "Linear"]
    pools = [(m.kernel_size, m.stride) for m in net.features if isinstance(m, nn.MaxPool1d)]
    assert pools == [(3, 3)] * len(architecture.convs)
    assert not net.training


@settings(max_examples=20)
@given(
    channels=st.integers(1, 4),
    filters=st.integers(1, 5),
    kernel_size=st.integers(1, 6),
    stride=st.integers(1, 7),
    seed=st.integers(0, 2**31),
)
def test_channels_last_is_the_same_convolution(channels, filters, kernel_size, stride, seed):
    torch.manual_seed(seed)
    ours = networks.ChannelsLast(channels, filters, kernel_size, stride).double()
    x = torch.randn(2, channels, 30, dtype=torch.float64, requires_grad=True)
    expected = nn.functional.conv1d(x, ours.weight, ours.bias, stride)
    torch.testing.assert_close(ours(x), expected)
    for inputs in (x, ours.weight, ours.bias):
        found, right = (
            torch.autograd.grad(y.square().sum(), inputs)[0] for y in (ours(x), expected)
        )
        torch.testing.assert_close(found, right)
        expected = nn.functional.conv1d(x, ours.weight, ours.bias, stride)


@pytest.mark.parametrize("architecture", [PHONE_CNN, SPEAKER_CNN])
def test_any_leading_shape(architecture):
    net = networks.build(architecture, classes=5, seed=0)
    x = torch.randn(2, 3, architecture.window)
    with torch.no_grad():
        scores = net(x)
        assert scores.shape == (2, 3, 5)
        torch.testing.assert_close(net(x[1, 2]), scores[1, 2])


def test_refuses_another_length():
    net = networks.build(PHONE_CNN, classes=5)
    with pytest.raises(ValueError, match=r"windows of 4000 samples, not \(2, 3999\)"):
        net(torch.zeros(2, 3999))
    with pytest.raises(ValueError, match="leaves 12 for conv2, whose kernel needs 20"):
        networks.geometry(Architecture((Conv(1, 4, 1), Conv(1, 20, 1)), 8, window=40))


def test_phone_geometry_by_hand():
    layers = networks.geometry(PHONE_CNN)
    assert [(x.name, x.length, x.receptive_field, x.step) for x in layers] == [
        ("conv1", 398, 30, 10),
        ("pool1", 132, 50, 30),
        ("conv2", 126, 230, 30),
        ("pool2", 42, 290, 90),
        ("conv3", 36, 830, 90),
        ("pool3", 12, 1010, 270),
    ]
    assert layers[0].milliseconds == pytest.approx(1.875)


@settings(max_examples=20)
@given(
    convs=st.lists(
        st.builds(Conv, st.just(2), st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=3
    ),
    pool=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_geometry_is_what_the_gradient_reaches(convs, pool, seed):
    """The field and the step of every layer, measured: which inputs move which output."""
    architecture = Architecture(tuple(convs), hidden=4, window=2000, pool=pool)
    layers = networks.geometry(architecture)
    # Averages in place of maxima, and positive weights, so that every input that can count does.
    stages = []
    for conv in convs:
        stages.append(nn.Conv1d(1, 1, conv.kernel_size, conv.stride, bias=False).double())
        nn.init.ones_(stages[-1].weight)
        stages.append(nn.AvgPool1d(pool, pool))
    x = torch.rand(1, 1, 2000, dtype=torch.float64, requires_grad=True)
    y = x
    for stage, layer in zip(stages, layers, strict=True):
        y = stage(y)
        assert y.shape[-1] == layer.length
        reach = []
        for position in (0, layer.length - 1):
            (gradient,) = torch.autograd.grad(y[0, 0, position], x, retain_graph=True)
            touched = np.flatnonzero(gradient[0, 0].numpy())
            reach.append((touched[0], touched[-1]))
        assert reach[0][1] - reach[0][0] + 1 == layer.receptive_field
        assert reach[1][0] - reach[0][0] == layer.step * (layer.length - 1)


def test_seeds_fix_the_weights_and_nothing_else():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    a = networks.build(PHONE_CNN, classes=3, seed=0)
    assert torch.equal(torch.rand(1), expected)
    b, c = (
        networks.build(PHONE_CNN, classes=3, seed=0),
        networks.build(PHONE_CNN, classes=3, seed=1),
    )
    assert torch.equal(a.filters, b.filters) and not torch.equal(a.filters, c.filters)
    assert a.filters.shape == (80, 30) and not a.filters.requires_grad


def by_hand(net, x):
    """Every layer of a network of two convolutions, written with torch's own functions."""
    said, y = {}, x[:, None]
    for i in (1, 2):
        conv = net.features[3 * i - 3]
        y = said[f"conv{i}"] = F.conv1d(y, conv.weight, conv.bias, conv.stride)
        y = said[f"relu{i}"] = F.max_pool1d(y, net.architecture.pool).clamp(min=0)
    first, _, last = net.classifier
    y = said["hidden"] = (y.flatten(1) @ first.weight.T + first.bias).clamp(min=0)
    said["scores"] = y @ last.weight.T + last.bias
    return said


def test_until_gives_each_layer_in_turn():
    small = Architecture((Conv(4, 9, 3), Conv(5, 3, 1)), hidden=6, window=200)
    net = networks.build(small, classes=3, seed=0).double()
    x = torch.randn(2, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = by_hand(net, x)
        for layer, value in expected.items():
            part = networks.Until(net, layer).eval()
            torch.testing.assert_close(part(x), value)
            torch.testing.assert_close(part(x[1]), value[1])  # any leading shape
        torch.testing.assert_close(networks.Until(net, "scores")(x), net(x))
    assert networks.Until(net, "relu1").window == 200
    assert networks.Until(net, "relu1").net is net  # its weights, not a copy


def test_until_of_any_network_and_its_units():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    x = torch.randn(4, 6)
    part = networks.Until(net, "1")
    torch.testing.assert_close(part(x), net[1](net[0](x)))
    unit = relviz.relevance(part, x, lambda said: said[:, 2])
    torch.testing.assert_close(unit, net[0].weight[2].detach() * (part(x)[:, 2:3] > 0))
    assert not net[1]._forward_hooks


def test_until_refuses_a_layer_that_is_not_there():
    net = networks.build(SPEAKER_CNN, classes=3, seed=0)
    with pytest.raises(
        ValueError, match="there is no layer 'relu3': use one of conv1, relu1, conv2, re"
    ):
        networks.Until(net, "relu3")


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None])
def test_shapes_are_whole_numbers(value):
    for name in ("filters", "kernel_size", "stride"):
        with pytest.raises(ParameterError, match=f"{name} is .*: give a whole number of 1 or more"):
            Conv(**(dict(filters=2, kernel_size=5, stride=2) | {name: value}))
    for name in ("hidden", "window", "pool"):
        with pytest.raises(ParameterError, match=f"{name} is .*: give a whole number of 1 or more"):
            Architecture(**(dict(convs=(), hidden=4, window=40, pool=3) | {name: value}))


def test_numpys_whole_numbers_become_pythons():
    shape = Architecture((Conv(*np.array([2, 5, 2])),), np.int32(4), np.int64(40))
    assert json.loads(json.dumps(asdict(shape)))["window"] == 40
    assert shape == Architecture((Conv(2, 5, 2),), 4, 40)


def test_described_says_what_is_given_and_else_what_the_network_says():
    inner = relviz.load("phones")
    said = networks.Described(inner)
    assert (said.sample_rate, said.window) == (16000, 4000)
    assert (said.normalise, said.classes) == (inner.metadata.normalise, inner.metadata.classes)
    x = torch.randn(3, 4000)
    assert torch.equal(said(x), inner(x)) and not said.training
    given = networks.Described(inner, sample_rate=8000, window=5, normalise="none", classes=["a"])
    assert (given.sample_rate, given.window, given.normalise) == (8000, 5, "none")
    assert given.classes == ["a"]
    odd = nn.Linear(4, 2)
    odd.register_buffer("window", torch.hann_window(4))
    odd.normalise = nn.LayerNorm(4)
    found = networks.Described(odd)
    assert (found.window, found.normalise, found.sample_rate) == (None, None, None)
    assert found.training  # as the network is


def test_described_gives_a_channel_and_takes_scores_out():
    net = networks.Described(
        lambda x: (x.shape, x.sum(-1)), window=4, channel=True, scores=lambda said: said[1]
    )
    assert torch.equal(net(torch.ones(2, 4)), torch.full((2, 1), 4.0))
    assert [*net.parameters()] == []
