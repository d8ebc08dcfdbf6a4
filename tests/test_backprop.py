"""relviz.backprop against a re-implementation without autograd, and against what it must refuse."""

import functools
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import relviz
from relviz import _guard, attributions, controls, networks
from tests import reference

METHODS = ("guided", "gradient", "deconvnet")


class Written(nn.Module):
    """A network given as layers for `reference`, its ReLUs written in one of many ways."""

    def __init__(self, layers, rectifier):
        super().__init__()
        self.layers = layers
        self.rectifier = rectifier
        self.reused = nn.ReLU()
        tensors = [torch.tensor(value) for layer in layers for value in layer[1:]]
        self.weights = nn.ParameterList([t for t in tensors if t.is_floating_point()])

    def forward(self, x):
        weights = iter(self.weights)
        for name, *arguments in self.layers:
            if name == "conv":
                convolve = F.conv1d if x.ndim == 3 else F.conv2d
                x = convolve(x, next(weights), next(weights), stride=arguments[2])
            elif name == "pool":
                pool = F.max_pool1d if x.ndim == 3 else F.max_pool2d
                x = pool(x, arguments[0])
            elif name == "flatten":
                x = x.flatten(1)
            elif name == "linear":
                x = F.linear(x, next(weights), next(weights))
            else:
                x = self.rectifier(self, x)
        return x


RECTIFIERS = {
    "reused nn.ReLU": lambda net, x: net.reused(x),
    "nn.ReLU made in forward": lambda net, x: nn.ReLU()(x),
    "nn.ReLU in place": lambda net, x: nn.ReLU(inplace=True)(x),
    "F.relu": lambda net, x: F.relu(x),
    "F.relu in place": lambda net, x: F.relu(x, inplace=True),
    "torch.relu": lambda net, x: torch.relu(x),
    "Tensor.relu": lambda net, x: x.relu(),
    "Tensor.relu_": lambda net, x: x.relu_(),
    "relu_ on a view": lambda net, x: x.unsqueeze(0).relu_().squeeze(0),
    "clamp": lambda net, x: torch.clamp(x, min=0),
    "clamp to a tensor": lambda net, x: torch.clamp(x, torch.zeros(())),
    "Tensor.clamp": lambda net, x: x.clamp(0),
    "Tensor.clamp_": lambda net, x: x.clamp_(min=0.0),
    "clamp_ on a view": lambda net, x: x.unsqueeze(0).clamp_(min=0).squeeze(0),
    "Tensor.clip": lambda net, x: x.clip(min=0),
    "clamp_min": lambda net, x: x.clamp_min(0),
    "threshold": lambda net, x: F.threshold(x, 0, 0),
    "maximum": lambda net, x: torch.maximum(x, torch.zeros(())),
    "max": lambda net, x: torch.max(torch.zeros(()), x),
    "fmax": lambda net, x: torch.fmax(x, torch.zeros(())),
    "clip_ on a view": lambda net, x: x.unsqueeze(0).clip_(min=0).squeeze(0),
}


@st.composite
def architectures(draw, dimensions=None):
    """Layers of a random network of one or two convolutions, and its input, all in float64."""
    space = dimensions or draw(st.sampled_from([1, 1, 2]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels, size = 1, 40 if space == 1 else 12
    x = rng.standard_normal((channels, *[size] * space))
    layers = []
    for _ in range(draw(st.integers(1, 2))):
        kernel, filters = draw(st.integers(2, 4)), draw(st.integers(2, 4))
        stride = draw(st.integers(1, 2))
        weight = rng.standard_normal((filters, channels, *[kernel] * space))
        layers.append(("conv", weight, rng.standard_normal(filters), stride))
        size, channels = (size - kernel) // stride + 1, filters
        if draw(st.booleans()) and size >= 2:
            layers.append(("pool", 2))
            size //= 2
        layers.append(("relu",))
        if size < 4:
            break
    width = channels * size**space
    layers += [
        ("flatten",),
        ("linear", rng.standard_normal((6, width)), rng.standard_normal(6)),
        ("relu",),
        ("linear", rng.standard_normal((4, 6)), rng.standard_normal(4)),
    ]
    return layers, x


@pytest.mark.slow
@settings(max_examples=30)
@given(
    case=architectures(),
    rectifier=st.sampled_from(sorted(RECTIFIERS)),
    target=st.none() | st.integers(0, 3),
)
def test_equals_layer_by_layer(case, rectifier, target):
    layers, x = case
    net = Written(layers, RECTIFIERS[rectifier])
    for method in METHODS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = attributions.relevance(net, torch.tensor(x)[None], target, method)[0].numpy()
        expected = reference.relevance(layers, x, target, method)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("rectifier", sorted(RECTIFIERS))
@pytest.mark.parametrize("space", [1, 2])
def test_every_way_to_write_a_relu(rectifier, space):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, *[13] * space))
    layers = [
        ("conv", rng.standard_normal((3, 1, *[4] * space)), rng.standard_normal(3), 1),
        ("pool", 2),
        ("relu",),
        ("flatten",),
        ("linear", rng.standard_normal((5, 3 * 5**space)), rng.standard_normal(5)),
        ("relu",),
        ("linear", rng.standard_normal((4, 5)), rng.standard_normal(4)),
    ]
    net = Written(layers, RECTIFIERS[rectifier])
    for method in METHODS:
        found = attributions.relevance(net, torch.tensor(x)[None], None, method)[0].numpy()
        expected = reference.relevance(layers, x, None, method)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    guided = attributions.relevance(net, torch.tensor(x)[None], None, "guided")
    assert not torch.equal(
        guided, attributions.relevance(net, torch.tensor(x)[None], None, "gradient")
    )


def test_the_phone_network_equals_layer_by_layer():
    net = networks.build(networks.PHONE_CNN, classes=7, seed=0).double()
    layers = []
    for module in [*net.features, *net.classifier]:
        if isinstance(module, nn.Conv1d):
            weight, bias = module.weight.detach().numpy(), module.bias.detach().numpy()
            layers.append(("conv", weight, bias, module.stride[0]))
        elif isinstance(module, nn.Linear):
            layers.append(("linear", module.weight.detach().numpy(), module.bias.detach().numpy()))
        else:
            layers.append(
                {nn.MaxPool1d: ("pool", 3), nn.ReLU: ("relu",), nn.Flatten: ("flatten",)}[
                    type(module)
                ]
            )
    x = np.random.default_rng(0).standard_normal(4000)
    found = attributions.relevance(net, torch.tensor(x)).numpy()
    expected = reference.relevance(layers, x[None], None, "guided")[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_rnn_with_built_in_relu():
    """nn.RNN makes its ReLUs in C++: unrolled by hand in numpy."""
    torch.manual_seed(0)
    rnn = nn.RNN(1, 5, nonlinearity="relu", batch_first=True).double()
    head = nn.Linear(5, 3).double()
    x = torch.randn(1, 6, dtype=torch.float64)
    found = attributions.relevance(lambda x: head(rnn(x.unsqueeze(-1))[0][:, -1]), x, 1)[0].numpy()
    w_in, w_rec = rnn.weight_ih_l0.detach().numpy(), rnn.weight_hh_l0.detach().numpy()
    bias = (rnn.bias_ih_l0 + rnn.bias_hh_l0).detach().numpy()
    h, states = np.zeros(5), []
    for value in x[0].numpy():
        pre = w_in[:, 0] * value + w_rec @ h + bias
        states.append(pre)
        h = np.maximum(pre, 0)
    gradient, expected = head.weight.detach().numpy()[1], np.zeros(6)
    for t in reversed(range(6)):
        gradient = np.where((states[t] > 0) & (gradient > 0), gradient, 0)
        expected[t] = w_in[:, 0] @ gradient
        gradient = w_rec.T @ gradient
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def small(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 5)).to(dtype).eval()


def test_targets_agree():
    net, x = small(), torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    winners = net(x).argmax(-1)
    by_none = attributions.relevance(net, x)
    torch.testing.assert_close(by_none, attributions.relevance(net, x, winners))
    by_function = attributions.relevance(net, x, lambda s: s.gather(-1, winners[:, None]))
    torch.testing.assert_close(by_none, by_function)
    torch.testing.assert_close(
        attributions.relevance(net, x, 3), attributions.relevance(net, x, torch.full((4,), 3))
    )
    for row, item in zip(by_none, x, strict=True):
        torch.testing.assert_close(row, attributions.relevance(net, item))


def test_leading_shapes():
    net, x = small(), torch.randn(2, 3, 8)
    found = attributions.relevance(net, x)
    assert found.shape == x.shape
    torch.testing.assert_close(found[1, 2], attributions.relevance(net, x[1, 2]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dtypes(dtype):
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0).to(dtype)
    x = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = attributions.relevance(net, x)
    assert found.dtype == dtype and found.shape == x.shape and found.device == x.device
    assert not found.requires_grad
    exact = attributions.relevance(net.double(), x.double(), net.double()(x.double()).argmax(-1))
    cosine = F.cosine_similarity(found.double(), exact, dim=-1)
    assert cosine.min() > (0.99 if dtype != torch.bfloat16 else 0.7)


def snapshot(net):
    return (
        {k: v.clone() for k, v in net.state_dict().items()},
        [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in net.parameters()],
        [m.training for m in net.modules()],
        [(len(m._forward_hooks), len(m._backward_hooks)) for m in net.modules()],
    )


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    net = nn.Sequential(
        nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3)
    )
    if fails:
        net.append(nn.GELU())
    net.eval()
    net[0].train()  # a mixture that must survive
    net[0].weight.requires_grad_(False)
    net[4](torch.randn(2, 6)).sum().backward()
    before = snapshot(net)
    x = torch.randn(4, 8, requires_grad=True)
    if fails:
        with pytest.raises(ValueError, match="GELU"):
            attributions.relevance(net, x)
    else:
        attributions.relevance(net, x)
    after = snapshot(net)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert x.grad is None


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_works_without_gradients_around(context):
    net = small()
    with context():
        x = torch.ones(2, 8)
        found = attributions.relevance(net, x)
    torch.testing.assert_close(found, attributions.relevance(net, torch.ones(2, 8)))


def test_first_layer_in_place_leaves_x_alone():
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 2))
    x = torch.randn(3, 8)
    before = x.clone()
    attributions.relevance(net, x)
    assert torch.equal(x, before)


def test_checkpointed_network():
    net = small()
    found = attributions.relevance(
        lambda x: torch.utils.checkpoint.checkpoint(net, x, use_reentrant=False), torch.ones(2, 8)
    )
    torch.testing.assert_close(found, attributions.relevance(net, torch.ones(2, 8)))


def test_a_second_thread_gets_plain_gradients():
    net = small()
    x = torch.randn(16, 8)
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0]
    wrong, checked = [], 0
    stop = threading.Event()

    def explain():
        while not stop.is_set():
            attributions.relevance(net, x, 0, "guided")

    thread = threading.Thread(target=explain)
    thread.start()
    try:
        for _ in range(300):
            found = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0]
            checked += 1
            wrong += [found] if not torch.equal(found, expected) else []
    finally:
        stop.set()
        thread.join()
    assert checked == 300 and not wrong
    assert not torch.equal(expected, attributions.relevance(net, x, 0, "guided"))


UNDEFINED = {
    "LeakyReLU": F.leaky_relu,
    "PReLU": nn.PReLU(),
    "RReLU": F.rrelu,
    "ELU": F.elu,
    "SELU": F.selu,
    "CELU": F.celu,
    "GELU": F.gelu,
    "SiLU": F.silu,
    "Mish": F.mish,
    "Softplus": F.softplus,
    "LogSigmoid": F.logsigmoid,
    "ReLU6": F.relu6,
    "Hardtanh": F.hardtanh,
    "Hardswish": F.hardswish,
    "Hardsigmoid": F.hardsigmoid,
    "Hardshrink": F.hardshrink,
    "Softshrink": F.softshrink,
    "clamp on both sides": lambda x: x.clamp(0, 6),
    "a threshold at 1": lambda x: F.threshold(x, 1, 0),
}


@pytest.mark.parametrize("name", sorted(UNDEFINED))
@pytest.mark.parametrize("method", ["guided", "deconvnet"])
def test_other_activations_are_refused_by_name(name, method):
    activation = UNDEFINED[name]

    def net(x):
        return activation(torch.relu(x))

    with pytest.raises(ValueError, match=f"{method}' is defined for ReLU only.*{name}.*gradient"):
        attributions.relevance(net, torch.randn(3, 4), 0, method)
    x = torch.randn(3, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(activation(torch.relu(x))[:, 0].sum(), x)
    torch.testing.assert_close(attributions.relevance(net, x, 0, "gradient"), expected)


@pytest.mark.parametrize("activation", [nn.LeakyReLU(inplace=True), nn.Hardtanh(inplace=True)])
def test_other_activations_are_refused_inside_a_view(activation):
    net = nn.Sequential(nn.Conv1d(1, 2, 3), activation, nn.Flatten(0), nn.Linear(12, 2))
    with pytest.raises(ValueError, match="is defined for ReLU only"):
        attributions.relevance(net, torch.randn(1, 8))


def test_smooth_gates_and_guards_keep_their_gradient():
    def net(x):
        return torch.sigmoid(torch.relu(x)).clamp(min=1e-6).log().tanh()

    x = torch.randn(3, 4, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (plain,) = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)
    torch.testing.assert_close(attributions.relevance(net, x, 0), plain.clamp(min=0))


def half_written(x):
    x = x.clone()
    x[x < 0] = 0
    return x


@pytest.mark.parametrize(
    "choice",
    [
        lambda x: torch.where(x > 0, x, 0.0),
        lambda x: x * (x > 0),
        lambda x: (x > 0).float() * x,
        lambda x: x.masked_fill(x < 0, 0),
        lambda x: torch.maximum(0.1 * x, x),
        lambda x: -torch.minimum(-x, torch.zeros(())),
        lambda x: (x + x.abs()) / 2,
        half_written,
    ],
)
def test_choices_are_not_passed_in_silence(choice):
    with pytest.warns(UserWarning, match="a choice .* keeps its plain gradient under 'guided'"):
        attributions.relevance(lambda x: choice(torch.relu(x) - 0.1), torch.randn(3, 4), 0)


def test_what_is_no_choice_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = small()
        net.register_full_backward_hook(lambda module, into, out_of: None)
        attributions.relevance(lambda x: net(x) * torch.ones(5), torch.randn(2, 8))
        attributions.relevance(lambda x: torch.fft.rfft(torch.relu(x)).abs(), torch.randn(2, 8))


@pytest.mark.parametrize(
    "late",
    [
        lambda x: torch.ops.aten.clamp_min(x, 0),
        lambda x: torch.ops.aten.clamp(x, 0),
        lambda x: torch.ops.aten.maximum(x, torch.zeros(())),
    ],
)
def test_a_relu_below_the_function_mode_is_exact_or_refused(late):
    x = torch.randn(3, 4)
    try:
        found = attributions.relevance(lambda x: late(torch.relu(x) - 0.1), x, 0)
    except ValueError as refusal:
        message = str(refusal)
    else:
        message = ""
        expected = attributions.relevance(lambda x: torch.relu(torch.relu(x) - 0.1), x, 0)
        torch.testing.assert_close(found, expected)
    assert not message or "met a ReLU written as" in message


def test_a_maximum_with_a_learned_zero_is_no_relu():
    threshold = torch.zeros(4, requires_grad=True)
    with pytest.warns(UserWarning, match="a choice between values .Maximum"):
        attributions.relevance(
            lambda x: torch.maximum(torch.relu(x) - 0.1, threshold), torch.randn(3, 4)
        )


def test_a_network_without_relu_is_not_passed_in_silence():
    with pytest.warns(UserWarning, match="no ReLU lies between x and the score: 'guided' equals"):
        attributions.relevance(nn.Linear(4, 2), torch.randn(3, 4))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def test_a_custom_function_is_not_passed_in_silence():
    with pytest.warns(UserWarning, match="custom autograd function DoubledBackward keeps its own"):
        attributions.relevance(lambda x: Doubled.apply(torch.relu(x)), torch.randn(3, 4))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_network_is_refused():
    scripted = torch.jit.script(small())
    for _ in range(3):  # TorchScript fuses after profiling runs
        scripted(torch.randn(2, 8, requires_grad=True))
    with pytest.raises(ValueError, match="cannot see the rectifiers inside DifferentiableGraph"):
        attributions.relevance(scripted, torch.randn(2, 8))


@pytest.mark.filterwarnings("ignore")  # torch.compile's own, about its inner workings
def test_a_compiled_network_is_exact_or_refused():
    net, x = small(), torch.randn(2, 8)
    traced = torch.compile(net, backend="eager")
    torch.testing.assert_close(attributions.relevance(traced, x), attributions.relevance(net, x))
    fused = torch.compile(net, backend="aot_eager")
    fused(torch.randn(2, 8, requires_grad=True))
    message = ""
    try:
        torch.testing.assert_close(attributions.relevance(fused, x), attributions.relevance(net, x))
    except ValueError as refusal:
        message = str(refusal)
    assert not message or "cannot see the rectifiers inside CompiledFunction" in message


SMALL = small()
BAD_CALLS = {
    "method 'LRP' is unknown: use one of guided, gradient, deconvnet": dict(method="LRP"),
    "x is torch.int64: give a floating point torch tensor": dict(x=torch.ones(2, 8).long()),
    "x is ndarray: give a floating point torch tensor": dict(x=np.ones((2, 8))),
    "x holds NaN or infinite values": dict(x=torch.full((2, 8), float("nan"))),
    "x holds NaN or infinite": dict(x=torch.full((2, 8), float("inf"))),
    "the network's score is NaN or infinite": dict(net=lambda x: SMALL(x) * float("nan")),
    "score is NaN or infinite": dict(target=lambda s: s[:, 0] / 0),
    r"returns 2 scores for x of shape \(2, 8\), one an item or one a class": dict(
        net=lambda x: SMALL(x)[:, 0]
    ),
    "target 5 is not one of the network's 5 classes": dict(target=5),
    "target -1 is not one of the network's 5 classes": dict(target=-1),
    r"target has shape \(3,\) and dtype torch.int64: .* shape \(2,\)": dict(
        target=torch.ones(3).long()
    ),
    "target has shape .* dtype torch.float32: give one integer": dict(target=torch.ones(2)),
    "target is 'a', and the network does not name its classes: give a number": dict(target="a"),
    "target is 1.5: give None, an int, a class's name": dict(target=1.5),
    "the target function must return a real floating point tensor": dict(target=lambda s: 3),
    "target function must return a real floating point": dict(target=lambda s: s[:, 0] * 1j),
    "the network's scores are torch.complex64: give target a function": dict(net=lambda x: x * 1j),
    r"target names a frame, and the scores have shape \(2, 5\)": dict(target=(0, 1)),
    r"target is \(0, 1, 2\): give \(frame, class\)": dict(target=(0, 1, 2)),
    "does not depend on x": dict(target=lambda s: torch.ones(2)),
    "the network returns a dict, not a tensor of class scores: give target": dict(
        net=lambda x: {"scores": x}
    ),
    "the score does not depend on x": dict(net=lambda x: SMALL(x.detach())),
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_what_cannot_be_right_is_refused(message):
    call = dict(net=small(), x=torch.ones(2, 8)) | BAD_CALLS[message]
    with pytest.raises(ValueError, match=message) as refusal:
        attributions.relevance(call.pop("net"), call.pop("x"), **call)
    assert str(refusal.value).count(". ") == 0 and str(refusal.value).endswith(".")


def test_integers_of_numpy_are_targets():
    x = torch.randn(2, 8)
    assert torch.equal(
        attributions.relevance(small(), x, np.int64(3)), attributions.relevance(small(), x, 3)
    )


class Called:
    """A network behind `__call__`, as users wrap them."""

    def __init__(self, net):
        self.net = net

    def __call__(self, x):
        return self.net(x)


def decorated(net):
    @functools.wraps(net.forward)
    def wrapper(x):
        return net(x)

    return wrapper


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(3))

    def forward(self, x):
        self.calls.add_(1)
        return x


WRAPPERS = {
    "module": lambda net: net,
    "method": lambda net: net.forward,
    "partial": functools.partial,
    "partial of a function": lambda net: functools.partial(lambda x, k: net(x) * k, k=1.0),
    "function": lambda net: lambda x: net(x),
    "function in a function": lambda net: (lambda inner: lambda x: inner(x))(lambda x: net(x)),
    "object": Called,
    "list": lambda net: (lambda nets: lambda x: sum(each(x) for each in nets))([net]),
    "dict": lambda net: (lambda nets: lambda x: nets["a"](x))({"a": net}),
    "decorator": decorated,
}
MOVING = {
    "dropout": (lambda: nn.Dropout(0.5), "draws random numbers"),
    "F.dropout in eval": (lambda: Lambda(lambda x: F.dropout(x, 0.5)), "draws random numbers"),
    "a mask that is drawn": (
        lambda: Lambda(lambda x: x * torch.bernoulli(torch.full((len(x), 1), 0.5))),
        r"draws random numbers while it is called \(bernoulli\)",
    ),
    "layerdrop": (lambda: Lambda(lambda x: x / 2 if torch.rand(()) < 0.5 else x), r"\(rand\)"),
    "batch norm": (lambda: nn.BatchNorm1d(8), "in training mode, where its batch normalisation"),
    "spectral norm": (
        lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)),
        "moves numbers of its own",
    ),
    "spectral norm, hook": (
        lambda: nn.utils.spectral_norm(nn.Linear(8, 8)),
        "moves numbers of its own",
    ),
    "counter": (Counter, r"moves numbers of its own \(add_\)"),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 8, dropout=0.1),
        "draws random numbers",
    ),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("layer", MOVING)
def test_a_network_whose_calls_do_not_agree_is_refused_and_put_back(layer, wrapper):
    make, message = MOVING[layer]
    net = nn.Sequential(make(), nn.Linear(8, 2)).train()
    before = snapshot(net)
    x = torch.randn(4, 8)
    asked = WRAPPERS[wrapper](net)
    for call in (
        lambda: attributions.relevance(asked, x),
        lambda: attributions.relevance(asked, x, method="gradient"),
        lambda: controls.deletion(asked, x, controls.energy(x, 4), 1),
        lambda: controls.occlusion(asked, x, 4, 1),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    torch.testing.assert_close(snapshot(net), before, rtol=0, atol=0)


def test_numbers_that_are_drawn_and_not_used_are_no_matter():
    def net(x):  # as transformers' wav2vec 2.0 does in eval mode
        torch.rand(())
        return SMALL(x)

    x = torch.randn(2, 8)
    assert torch.equal(attributions.relevance(net, x), attributions.relevance(SMALL, x))


def test_what_the_call_makes_itself_may_be_written_over():
    def net(x):
        made = torch.zeros(len(x), 8)
        made[:, :4] = x[:, :4]
        made += 1
        constant = torch.tensor([1.0, 2.0])
        constant[0] = 3
        return SMALL(made) * constant[0]

    assert attributions.relevance(net, torch.randn(2, 8)).abs().sum() > 0


def test_attention_and_recurrence_draw_by_themselves():
    attention = nn.MultiheadAttention(8, 2, dropout=0.1).train()
    recurrence = nn.GRU(8, 8, 2, dropout=0.1).train()
    x = torch.randn(4, 8)
    for net in (lambda x: attention(x, x, x)[0], lambda x: recurrence(x)[0]):
        with pytest.raises(ValueError, match="draws random numbers"):
            attributions.relevance(net, x)


@pytest.mark.slow
def test_four_threads_do_not_disturb_each_other():
    """Two explain, two differentiate, all with one network: 2000 calls, none wrong."""
    net, x = small(), torch.randn(16, 8)
    leaf = x.clone().requires_grad_()
    plain = torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0]
    guided = attributions.relevance(net, x, 0)
    wrong = []

    def differentiate():
        own = x.clone().requires_grad_()
        for _ in range(500):
            found = torch.autograd.grad(net(own)[:, 0].sum(), own)[0]
            wrong.extend([] if torch.equal(found, plain) else ["gradient"])

    def explain():
        for _ in range(500):
            found = attributions.relevance(net, x, 0)
            wrong.extend([] if torch.equal(found, guided) else ["guided"])

    threads = [threading.Thread(target=each) for each in (differentiate, explain) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and not torch.equal(plain, guided)


@pytest.mark.slow
@pytest.mark.slow
def test_memory_is_steady_over_2000_calls():
    """In a process of its own, after a warm-up: no more than 4 MB of 2000 graphs and hooks."""
    code = (
        "import resource, torch, relviz\n"
        "from relviz import networks\n"
        "net = networks.build(networks.PHONE_CNN, 40, seed=0)\n"
        "x = torch.randn(1, net.window)\n"
        "def used(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for _ in range(200): relviz.relevance(net, x)\n"
        "before = used()\n"
        "for _ in range(2000): relviz.relevance(net, x)\n"
        "print(used() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4096, done.stdout


def test_only_networks_of_which_all_is_known_go_unwatched():
    known = networks.build(networks.PHONE_CNN, classes=4, seed=0)
    assert _guard._is_quiet(known) and _guard._is_quiet(relviz.load("phones"))

    class Own(networks.RawWaveformCNN):
        """May do anything."""

    assert not _guard._is_quiet(Own(networks.PHONE_CNN, 4))
    for odd in (nn.BatchNorm1d(3), nn.Dropout(0.5), nn.ReLU(inplace=True), lambda x: x):
        net = nn.Sequential(nn.Linear(3, 3), odd) if isinstance(odd, nn.Module) else odd
        assert not _guard._is_quiet(net)
    hooked = nn.Sequential(nn.Linear(3, 3))
    hooked[0].register_forward_hook(lambda module, given, output: F.dropout(output))
    assert not _guard._is_quiet(hooked)
    patched = nn.Sequential(nn.Linear(3, 3))
    patched[0].forward = lambda x: F.dropout(x)
    assert not _guard._is_quiet(patched)
    with pytest.raises(ValueError, match="draws random numbers"):
        attributions.relevance(patched, torch.randn(2, 3))
