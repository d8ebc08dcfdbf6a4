"""The engine against autograd, which knows nothing of it, and against torch's own layers."""

import copy
import os
import platform
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import relviz
from relviz import _engine, networks, signals
from relviz._errors import ParameterError
from relviz.audio import AudioError
from relviz.corpora import librispeech
from relviz.networks import PHONE_CNN, SPEAKER_CNN, Architecture, Conv

OTHERS = {
    "one convolution": Architecture(convs=(Conv(5, 12, 4),), hidden=7, window=400),
    "kernel of no whole strides": Architecture(
        convs=(Conv(6, 11, 4), Conv(5, 3, 1)), hidden=7, window=401
    ),
    "kernel shorter than its stride": Architecture(
        convs=(Conv(6, 3, 4), Conv(5, 3, 1)), hidden=7, window=403
    ),
    "pooling of 2": Architecture(
        convs=(Conv(6, 10, 5), Conv(5, 4, 1), Conv(4, 2, 1)), hidden=7, window=400, pool=2
    ),
    "no pooling": Architecture(convs=(Conv(6, 10, 5), Conv(5, 4, 1)), hidden=7, window=200, pool=1),
}


def by_autograd(net: nn.Module, x: torch.Tensor, classes: torch.Tensor, rule: str) -> torch.Tensor:
    """Backpropagation with hooks on the modules of a copy, as captum does it."""
    net = copy.deepcopy(net)

    def hook(module: nn.Module, below: tuple, above: tuple) -> tuple:
        if rule == "guided":
            return (below[0].clamp(min=0),)
        return (above[0].clamp(min=0),) if rule == "deconvnet" else below

    for layer in net.modules():
        if isinstance(layer, nn.ReLU):
            layer.register_full_backward_hook(hook)
    leaf = x.clone().requires_grad_()
    chosen = net(leaf).gather(-1, classes[:, None]).sum()
    return torch.autograd.grad(chosen, leaf)[0]


def signal_by_windows(net, wave, hop, rule, target, how):
    """Overlap-add, one window at a time."""
    length = net.window
    if how == "utterance":
        wave = (wave - wave.mean()) / wave.std()
    total, count = np.zeros(len(wave) + 2 * length), np.zeros(len(wave) + 2 * length)
    padded = np.pad(wave, length)
    for start in np.arange(0, len(wave), hop) - length // 2 + length:
        row = padded[start : start + length].copy()
        if how == "window":
            row = (row - row.mean()) / (row.std() if np.ptp(row) > 0 else 1)
        x = torch.from_numpy(row.astype(np.float32))[None]
        classes = net(x).argmax(-1) if target is None else torch.tensor([target])
        row = by_autograd(net, x, classes, rule)[0].double().numpy()
        rms = np.sqrt(np.mean(row**2))
        total[start : start + length] += row / rms if rms > 0 else row
        count[start : start + length] += 1
    inside = slice(length, length + len(wave))
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)[inside]


def error(found, right) -> float:
    found, right = np.asarray(found), np.asarray(right)
    return float(np.abs(found - right).max() / np.abs(right).max())


def speechlike(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose level changes, with digital silence in it."""
    rng = np.random.default_rng(seed)
    wave = rng.standard_normal(samples) * np.interp(
        np.arange(samples), np.linspace(0, samples, 20), rng.random(20)
    )
    wave[samples // 3 : samples // 2] = 0
    return wave


@pytest.mark.parametrize("rule", ["guided", "gradient", "deconvnet"])
@pytest.mark.parametrize("architecture", [PHONE_CNN, SPEAKER_CNN, *OTHERS.values()])
def test_windows_agree_with_autograd(architecture, rule, monkeypatch):
    net = networks.build(architecture, classes=9, seed=1)
    monkeypatch.setattr(_engine, "AT_ONCE", 7 * net.window)  # memory is used again, and a rest is 2
    x = torch.randn(37, net.window, generator=torch.Generator().manual_seed(2))
    classes = torch.arange(37) % 9
    assert _engine.weights(net) is not None
    found = relviz.relevance(net, x, classes, rule)
    assert error(found, by_autograd(net, x, classes, rule)) < 1e-5


@pytest.mark.parametrize("rule", ["guided", "gradient", "deconvnet"])
@pytest.mark.parametrize("architecture", OTHERS.values(), ids=OTHERS)
def test_what_is_not_compiled_is_the_same(architecture, rule, monkeypatch):
    """As a GPU computes it, or numbers of 16 bits."""
    net = networks.build(architecture, classes=9, seed=1)
    x = torch.randn(5, net.window, generator=torch.Generator().manual_seed(2))
    right = relviz.relevance(net, x, 3, rule)
    scores = _engine.scores(net, x)
    monkeypatch.setattr(_engine, "_compiled", lambda tensor: None)
    torch.testing.assert_close(relviz.relevance(net, x, 3, rule), right, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(_engine.scores(net, x), scores)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_agree_with_autograd(dtype):
    net = networks.build(OTHERS["pooling of 2"], classes=9, seed=1).to(dtype)
    x = torch.randn(5, net.window, generator=torch.Generator().manual_seed(2)).to(dtype)
    assert _engine.weights(net) is not None
    found = relviz.relevance(net, x, 3, "guided")
    assert found.dtype == dtype
    right = by_autograd(net, x, torch.full((5,), 3), "guided")
    most = 1e-12 if dtype == torch.float64 else 0.1
    assert error(found.double(), right.double()) < most


@pytest.mark.parametrize("rule", ["guided", "gradient", "deconvnet"])
@pytest.mark.parametrize("architecture", [PHONE_CNN, SPEAKER_CNN])
def test_relevance_is_zero_where_the_network_cannot_hear(architecture, rule):
    """Zero, and no rounding: poolings leave samples at the end of a window over."""
    net = networks.build(architecture, classes=9, seed=1)
    last = networks.geometry(architecture)[-1]
    reach = (last.length - 1) * last.step + last.receptive_field
    assert reach < net.window
    x = torch.randn(20, net.window, generator=torch.Generator().manual_seed(2))
    found = relviz.relevance(net, x, 3, rule)
    assert found[:, :reach].any() and not found[:, reach:].any()


@pytest.mark.parametrize("architecture", [PHONE_CNN, SPEAKER_CNN, *OTHERS.values()])
def test_scores_agree_with_the_layers(architecture):
    net = networks.build(architecture, classes=9, seed=1)
    x = torch.randn(2, 19, net.window, generator=torch.Generator().manual_seed(2))
    found = _engine.scores(net, x)
    assert found.shape == (2, 19, 9)
    with torch.no_grad():
        assert error(found, net(x)) < 1e-5
    assert not found.requires_grad


@pytest.mark.slow
@pytest.mark.parametrize("how", ["window", "utterance", "none"])
@pytest.mark.parametrize("rule", ["guided", "gradient", "deconvnet"])
@pytest.mark.parametrize("name", ["phones", "speakers"])
def test_signal_agrees_with_one_window_at_a_time(name, rule, how):
    net = relviz.load(name)
    wave = speechlike(14_000)
    found = relviz.relevance_signal(net, wave, 197, method=rule, normalise=how)
    assert error(found, signal_by_windows(net, wave, 197, rule, None, how)) < 1e-5


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["phones", "speakers"])
def test_signal_of_a_recording_agrees_with_one_window_at_a_time(name):
    net = relviz.load(name)
    corpus = librispeech.utterances()
    wave = corpus.utterances[0].wave()[:20_000].astype(np.float64)
    # in synthetic speech two places of a pooling are equal but for a rounding; in a batch, even of
    # autograd's, other sums are rounded otherwise, and the other place is the first maximum
    batch_size = 1 if corpus.source.origin == "synthetic" else 64
    found = relviz.relevance_signal(net, wave, target=3, batch_size=batch_size)
    assert error(found, signal_by_windows(net, wave, 97, "guided", 3, "window")) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0.0, 0.5, 1000.0])
def test_an_offset_or_a_drift_costs_nothing(offset):
    net = networks.build(OTHERS["pooling of 2"], 4, seed=0)
    wave = np.random.default_rng(0).standard_normal(6000)
    for added in (np.full(6000, offset), offset * np.linspace(-1, 1, 6000)):
        heard = (wave + added).astype(np.float32)
        found = relviz.relevance_signal(net, heard, 13, method="gradient", target=1)
        right = signal_by_windows(net, heard.astype(np.float64), 13, "gradient", 1, "window")
        # Outside of the recording all is equal, and a product may round equals differently: then
        # a pooling has no first maximum that two ways of computing would agree on.
        inside = slice(net.window, -net.window)
        assert error(found[inside], right[inside]) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_silence_is_silence_whatever_lies_around_it(offset):
    net = networks.build(OTHERS["no pooling"], 4, seed=0)  # see above: silence is all equal
    heard = (speechlike(6000) + offset).astype(np.float32)
    found = relviz.relevance_signal(net, heard, 13, method="gradient", target=1)
    right = signal_by_windows(net, heard.astype(np.float64), 13, "gradient", 1, "window")
    assert error(found, right) < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:hop_length")
@given(
    hop=st.integers(1, 60),
    samples=st.integers(400, 1500),
    batch_size=st.integers(1, 40),
    how=st.sampled_from(["window", "utterance", "none"]),
)
@settings(max_examples=25)
def test_any_hop_length_and_batch_agree(hop, samples, batch_size, how):
    # 64 bits: of the millions of maxima that 1,500 windows take, a few tie in 32
    net = networks.build(OTHERS["kernel of no whole strides"], 4, seed=0).double()
    assert _engine.weights(net) is not None
    wave = np.random.default_rng(samples).standard_normal(samples + 1)
    given = dict(target=2, normalise=how, scale="none")
    found = relviz.relevance_signal(net, wave, hop, batch_size=batch_size, **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_engine, "weights", lambda net: None)
        right = relviz.relevance_signal(net, wave, hop, **given)
    assert error(found, right) < 1e-12


def listened(net):
    net.features[2].register_forward_hook(lambda *_: None)


def leaky(net):
    net.features[2] = nn.LeakyReLU()


def wide(net):
    net.architecture = replace(net.architecture, pool=300)
    net.features[1], net.features[4], net.features[7] = (nn.MaxPool1d(300) for _ in range(3))


def padded(net):
    net.features[1] = nn.MaxPool1d(3, padding=1)


def own_forward(net):
    net.forward = lambda x: 2 * networks.RawWaveformCNN.forward(net, x)


def half(net):
    net.classifier.double()


@pytest.mark.parametrize("change", [listened, leaky, padded, wide, own_forward, half])
def test_another_network_goes_through_autograd(change):
    net = networks.build(PHONE_CNN, 4, seed=0)
    assert _engine.weights(net) is not None
    change(net)
    assert _engine.weights(net) is None
    assert _engine.scores(net, torch.zeros(1, net.window)) is None


def test_a_subclass_with_its_own_forward_goes_through_autograd():
    class Doubled(networks.RawWaveformCNN):
        def forward(self, x):
            return 2 * super().forward(x)

    net = Doubled(PHONE_CNN, 4).eval()
    x = torch.randn(1, net.window)
    assert _engine.weights(net) is None
    with torch.no_grad():
        assert torch.equal(_engine.call(net, x), net(x))


def test_weights_are_never_behind_a_training():
    net = networks.build(OTHERS["pooling of 2"], 4, seed=0)
    x = torch.randn(3, net.window)
    before = _engine.call(net, x)
    with torch.no_grad():
        net.features[0].weight.data.mul_(2)
        after = net(x)
    assert error(_engine.call(net, x), after) < 1e-5
    assert error(before, after) > 1e-2


def test_a_score_that_is_no_number_is_refused_in_the_same_words():
    net = networks.build(PHONE_CNN, 4, seed=0)
    with torch.no_grad():
        net.classifier[2].bias.fill_(float("nan"))
    with pytest.raises(ParameterError, match="score is NaN or infinite"):
        relviz.relevance(net, torch.zeros(1, net.window), 1)
    with torch.no_grad():
        net.classifier[2].bias.fill_(0)
        net.features[0].weight.fill_(float("inf"))
    with pytest.raises(ParameterError, match="NaN or infinite"):
        relviz.relevance_signal(net, speechlike(6000), 997, target=1)


@pytest.mark.parametrize("target", [9, -1, "nobody"])
def test_a_class_that_is_none_is_refused(target):
    net = networks.build(PHONE_CNN, 9, seed=0)
    with pytest.raises(ParameterError, match="class"):
        relviz.relevance(net, torch.zeros(1, net.window), target)
    with pytest.raises(ParameterError, match="class"):
        relviz.relevance_signal(net, speechlike(6000), 997, target=target)


def test_blocks_are_the_signal_and_read_a_file_in_slices(tmp_path, monkeypatch):
    net = networks.build(OTHERS["pooling of 2"], 4, seed=0)
    monkeypatch.setattr(signals, "_STRETCH", 3000)
    wave = speechlike(20_000).astype(np.float32)
    wave.tofile(tmp_path / "wave.f32")
    mapped = np.memmap(tmp_path / "wave.f32", dtype=np.float32, mode="r")
    right = relviz.relevance_signal(net, wave, 97, target=1)
    begins, parts = zip(*signals.relevance_blocks(net, mapped, 97, target=1), strict=True)
    assert len(parts) > 3
    assert begins == tuple(np.cumsum([0, *map(len, parts[:-1])]))
    assert np.array_equal(np.concatenate(parts), right)


def test_blocks_refuse_what_the_signal_refuses(monkeypatch):
    net = networks.build(OTHERS["pooling of 2"], 4, seed=0)
    monkeypatch.setattr(signals, "_STRETCH", 1000)
    wave = np.ones(5000)
    with pytest.raises(AudioError, match="silent"):
        signals.relevance_blocks(net, wave)
    wave[3000] = np.nan
    with pytest.raises(AudioError, match="first at index 3000"):
        signals.relevance_blocks(net, wave)
    with pytest.raises(AudioError, match="int64 samples"):
        signals.relevance_blocks(net, np.arange(5000))


@pytest.mark.parametrize(
    ("numbers", "are"),
    [
        ([1.0, -2.0], True),
        ([3e38, 3e38], True),  # whose sum is none
        ([1.0, np.nan], False),
        ([np.inf, 0.0], False),
        ([np.inf, -np.inf], False),
        ([], True),
    ],
)
def test_finite_is_what_each_number_is(numbers, are):
    assert _engine.finite(torch.tensor(numbers, dtype=torch.float32)) == are


FAULTS = """
import resource, numpy, relviz
net = relviz.load("speakers")
wave = numpy.random.default_rng(0).standard_normal(16000).astype("float32")
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    relviz.relevance_signal(net, wave, target=0, progress=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_a_layer_gave_back_is_not_fetched_anew():
    """In a process of its own, as what was given back before would count, too."""
    theirs = {name: value for name, value in os.environ.items() if "MALLOC_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, env=theirs
    )
    assert min(map(int, done.stdout.split())) < 2000  # pages; else 6,000 and more each time
