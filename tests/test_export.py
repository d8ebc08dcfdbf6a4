"""relviz.export: the graph gives what torch gives, run by ONNX's own runtime."""

import copy
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relviz
from relviz import audio, networks
from relviz.corpora import synthetic
from relviz.export import forward_graph, guided_graph, rules_graph
from relviz.networks import Architecture, Conv
from tools import live as tool


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def agree(net, run, windows):
    """Hold one run of the graph against torch; returns the relevance.

    Where two values of a pooling all but tie, the order of sums decides which of them wins, in
    torch too, whose float32 and float64 differ there. That happens in one window out of a
    thousand: one out of ten may differ, a little. Where relevance is what is left of larger numbers
    that cancel, torch's own float32 is off as well, and as far as ten times that is let through.
    """
    x = torch.as_tensor(windows, dtype=torch.float32)
    given = {"windows": x.numpy()}
    if any(value.name == "least" for value in run.get_inputs()):
        given["least"] = np.array(0, dtype=np.float32)  # guided backpropagation
    probabilities, winner, relevance = run.run(None, given)
    with torch.no_grad():
        expected = net(x).softmax(-1)
    assert relevance.shape == x.shape and winner.shape == x.shape[:1]
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    best = expected.max(-1).values
    # where two classes all but tie, either may win; relevance is then the named one's
    named = expected.gather(1, torch.from_numpy(winner)[:, None])[:, 0]
    assert (best - named < 1e-6).all()
    classes = torch.from_numpy(winner)
    truth = relviz.relevance(net, x, classes).numpy()
    exact = relviz.relevance(copy.deepcopy(net).double(), x.double(), classes).numpy()
    largest = np.abs(truth).max(axis=1).clip(1e-30)
    difference, rounding = (np.abs(y - truth).max(axis=1) / largest for y in (relevance, exact))
    assert (difference > 1e-5 + 10 * rounding).sum() <= len(x) // 10, difference
    assert (difference <= 0.1).all(), difference
    return relevance


@pytest.fixture(scope="module", params=["phones", "speakers"])
def shipped(request):
    net = relviz.load(request.param)
    return net, session(guided_graph(net))


def standardised(wave, window, starts):
    frames = audio.frame(wave, window, starts)
    return (frames - frames.mean(1, keepdims=True)) / frames.std(1, keepdims=True)


@pytest.mark.slow
def test_vowels(shipped):
    """With the faint noise of any room: see the next test."""
    net, run = shipped
    tokens = [(f0, formants) for f0, *formants in synthetic.MEANS["F"].values()]
    wave = np.concatenate([synthetic.vowel(*token, duration=0.5) for token in tokens])
    wave = wave + 1e-3 * np.random.default_rng(0).standard_normal(len(wave))
    found = agree(net, run, standardised(wave, net.window, range(0, 60000, 1499)))
    assert (np.abs(found).max(axis=1) > 0).all()


@pytest.mark.parametrize("method", ["guided", "gradient"])
def test_the_rule_is_chosen_at_each_call(method):
    net = relviz.load("phones")
    run = session(rules_graph(net))
    f0, *formants = synthetic.MEANS["F"]["iy"]
    wave = synthetic.vowel(f0, formants, duration=0.5)
    wave = wave + 1e-3 * np.random.default_rng(0).standard_normal(len(wave))
    x = torch.tensor(standardised(wave, net.window, [500, 2111]), dtype=torch.float32)
    lowest = np.finfo(np.float32).min if method == "gradient" else 0
    given = {"windows": x.numpy(), "least": np.array(lowest, dtype=np.float32)}
    _, winner, relevance = run.run(None, given)
    truth = relviz.relevance(net, x, torch.from_numpy(winner), method=method).numpy()
    scale = np.abs(truth).max(axis=1, keepdims=True)
    np.testing.assert_allclose(relevance / scale, truth / scale, atol=1e-5)
    assert (relevance < 0).any()


def test_speech_without_noise(shipped):
    """Where nothing sounds, many values of a pooling all but tie, and many windows differ a little:

    by up to 7 % of the maximum, as torch's float32 and float64 do.
    """
    net, run = shipped
    wave = synthetic.sentence("The quiet judge hung his brown jacket by the door.", "Male1").wave
    windows = standardised(wave, net.window, range(0, 20000, 499))
    (found,) = run.run(["relevance"], {"windows": windows})
    truth = relviz.relevance(net, torch.from_numpy(windows)).numpy()
    for one, other in zip(found, truth, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.99


def test_noise(shipped):
    net, run = shipped
    agree(net, run, np.random.default_rng(0).standard_normal((7, net.window)))


def test_silence(shipped):
    """Here every pooling has three equal values: the first of them wins, as in torch."""
    net, run = shipped
    found = agree(net, run, np.zeros((2, net.window)))
    assert (np.abs(found).max(axis=1) > 0).all()


@pytest.mark.parametrize("level", [1.0, -3.0])
def test_what_is_constant(level):
    """Where sums are exact, whatever their order: whole numbers in the first layer."""
    net = networks.build(Architecture((Conv(3, 5, 2), Conv(4, 3, 1)), 6, 200), 3, seed=1)
    with torch.no_grad():
        first = net.features[0]
        first.weight.copy_((8 * first.weight).round())
        first.bias.copy_((8 * first.bias).round())
    agree(net, session(guided_graph(net)), np.full((2, net.window), level))


def test_one_window_is_what_it_is_among_others(shipped):
    net, run = shipped
    windows = np.random.default_rng(1).standard_normal((3, net.window))
    together = agree(net, run, windows)
    alone = [agree(net, run, window[None])[0] for window in windows]
    np.testing.assert_allclose(alone, together, atol=1e-6 * np.abs(together).max())


def test_the_graph_says_what_its_classes_are(shipped):
    net, run = shipped
    about = {k: json.loads(v) for k, v in run.get_modelmeta().custom_metadata_map.items()}
    assert tuple(about["classes"]) == net.metadata.classes
    assert (about["normalise"], about["window"]) == (net.metadata.normalise, net.window)


def test_shipped_weights_take_two_bytes_each():
    net = relviz.load("phones")
    model = guided_graph(net)
    assert {c.data_type for c in model.graph.initializer} == {
        onnx.TensorProto.FLOAT16,
        onnx.TensorProto.INT64,
    }
    parameters = sum(p.numel() for p in net.parameters())
    assert 2 * parameters < model.ByteSize() < 2 * parameters + 5000


def test_other_weights_stay_as_they_are():
    net = networks.build(Architecture((Conv(2, 5, 2),), 4, 40), 3, seed=0)
    kinds = {c.data_type for c in guided_graph(net).graph.initializer}
    assert onnx.TensorProto.FLOAT in kinds and onnx.TensorProto.FLOAT16 not in kinds


@st.composite
def architectures(draw):
    convs, pool = [], draw(st.integers(1, 3))
    field = 1
    for _ in range(draw(st.integers(1, 3))):
        convs.append(
            Conv(draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 4)))
        )
    for conv in reversed(convs):  # samples that one output of the last pooling hears
        field = (field * pool - 1) * conv.stride + conv.kernel_size
    # up to a step more than that: what strides and poolings leave unheard differs each time
    window = field + draw(st.integers(0, 60))
    return Architecture(tuple(convs), draw(st.integers(1, 6)), window, pool)


def test_the_way_forward_alone_gives_the_same(shipped):
    net, run = shipped
    windows = np.random.default_rng(1).standard_normal((3, net.window)).astype(np.float32)
    model = forward_graph(net)
    assert [output.name for output in model.graph.output] == ["probabilities", "winner"]
    assert json.loads(model.metadata_props[0].value) == list(net.metadata.classes)
    found = session(model).run(None, {"windows": windows})
    for one, other in zip(found, run.run(None, {"windows": windows})[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    # the weights are what both weigh
    assert model.ByteSize() < guided_graph(net).ByteSize() < 1.02 * model.ByteSize()


@pytest.mark.slow
@given(architectures(), st.integers(2, 5), st.integers(0, 2**31), st.integers(1, 4))
@settings(max_examples=60)
def test_any_architecture(architecture, classes, seed, count):
    net = networks.build(architecture, classes, seed)
    x = torch.randn(count, net.window, generator=torch.Generator().manual_seed(seed))
    agree(net, session(guided_graph(net)), x)


def test_without_onnx_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    net = networks.build(Architecture((Conv(2, 5, 2),), 4, 40), 3, seed=0)
    with pytest.raises(ImportError, match=r"^onnx is not installed: .*'relviz\[book\] @ git"):
        guided_graph(net)


@pytest.mark.slow
def test_the_tool_writes_the_graphs_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "FOLDER", tmp_path / "live")
    monkeypatch.setattr(tool, "MARK", tmp_path / "live.sha256")
    tool.main()
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "live").iterdir()}
    assert set(written) == {f"{name}.onnx" for name in tool.NETWORKS}
    assert "up to date" not in capsys.readouterr().out
    net = relviz.load("speakers")
    run = onnxruntime.InferenceSession(tmp_path / "live" / "speakers.onnx")
    agree(net, run, np.random.default_rng(0).standard_normal((3, net.window)))
    run = onnxruntime.InferenceSession(tmp_path / "live" / "untrained.onnx")
    outputs = ["probabilities", "winner", "relevance"]  # the page plays it beside the trained one's
    assert [output.name for output in run.get_outputs()] == outputs
    assert [each.name for each in run.get_inputs()] == ["windows", "least"]
    tool.main()
    assert "up to date" in capsys.readouterr().out
    assert written == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "live").iterdir()}
    (tmp_path / "live" / "phones.onnx").unlink()
    tool.main()
    assert (tmp_path / "live" / "phones.onnx").is_file()


@pytest.mark.slow
def test_the_tool_refuses_a_graph_that_is_not_the_network():
    other = guided_graph(relviz.load("phones-1")).SerializeToString()
    with pytest.raises(SystemExit, match=r"^phones\.onnx is not the network: its relevance is "):
        tool.check("phones", other, relviz.load("phones"))
    other = forward_graph(relviz.load("phones-1")).SerializeToString()
    with pytest.raises(SystemExit, match=r"^phones\.onnx is not the network: its probabilities "):
        tool.check("phones", other, relviz.load("phones"))
