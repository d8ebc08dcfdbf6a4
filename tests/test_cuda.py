"""What a GPU computes is what the CPU does: methods, others' networks, cuDNN's recurrent layers."""

import gc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import relviz
from relviz import attributions, networks
from tests.test_other_networks import NETWORKS, independent

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def phone_net():
    return networks.build(networks.PHONE_CNN, classes=4, seed=0).double()


@pytest.mark.parametrize("method", attributions.METHODS)
def test_every_method_equals_the_cpu(method):
    net = phone_net()
    x = torch.randn(2, 4000, dtype=torch.float64)
    on_cpu = relviz.relevance(net, x, 1, method)
    on_cuda = relviz.relevance(net.cuda(), x.cuda(), 1, method)
    assert on_cuda.device.type == "cuda"
    torch.testing.assert_close(on_cuda.cpu(), on_cpu)


@pytest.mark.parametrize("normalise", ["window", "utterance"])
def test_a_signal_equals_the_cpus(normalise):
    net = phone_net()
    wave = np.random.default_rng(0).standard_normal(16000)
    on_cpu = relviz.relevance_signal(net, wave, target=1, normalise=normalise)
    on_cuda = relviz.relevance_signal(net.cuda(), wave, target=1, normalise=normalise)
    assert np.abs(on_cuda - on_cpu).max() < 1e-5 * np.abs(on_cpu).max()


def test_nobody_waits_between_batches():
    net, wave = phone_net().cuda(), np.random.default_rng(0).standard_normal(64000)

    def waits(samples):
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                relviz.relevance_signal(net, wave[:samples], target=1, progress=False)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(each.message) for each in seen)

    waits(16000)  # what is loaded and pinned at first
    assert waits(16000) == waits(64000) > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_others_networks_equal_an_independent_function_on_the_cpu(name):
    net = NETWORKS[name]().double().eval()
    x = torch.randn(2, 256, dtype=torch.float64)
    expected = independent(net, x, 3)
    found = relviz.relevance(net.cuda(), x.cuda(), 3).cpu()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


class Recurrent(nn.Module):
    def __init__(self, layer, **options):
        super().__init__()
        self.layer = layer(6, 7, 2, batch_first=True, **options)
        self.last = nn.Linear(7, 3)

    def forward(self, x):
        return self.last(torch.relu(self.layer(x)[0]).mean(1))


RECURRENT = {
    "GRU": lambda: Recurrent(nn.GRU),
    "LSTM": lambda: Recurrent(nn.LSTM),
    "RNN of tanh": lambda: Recurrent(nn.RNN),
    "RNN of ReLUs": lambda: Recurrent(nn.RNN, nonlinearity="relu"),
    "GRU with dropout": lambda: Recurrent(nn.GRU, dropout=0.5),
}


@pytest.mark.parametrize("method", ["guided", "gradient", "integrated gradients"])
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_that_cudnn_has_no_gradient_of(name, method):
    net = RECURRENT[name]().double().eval()
    x = torch.randn(2, 20, 6, dtype=torch.float64)
    on_cpu = relviz.relevance(net, x, 2, method)
    on_cuda = relviz.relevance(net.cuda(), x.cuda(), 2, method)
    torch.testing.assert_close(on_cuda.cpu(), on_cpu, rtol=0, atol=1e-10)
    assert torch.backends.cudnn.enabled
    assert on_cpu.abs().max() > 0


def test_a_checkpointed_recurrent_layer():
    from torch.utils.checkpoint import checkpoint

    net = RECURRENT["GRU"]().double().eval()
    x = torch.randn(2, 20, 6, dtype=torch.float64)
    expected = relviz.relevance(net, x, 1)
    net.cuda()
    found = relviz.relevance(lambda x: checkpoint(net, x, use_reentrant=False), x.cuda(), 1)
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["GRU with dropout", "dropout"])
def test_randomness_is_refused(name):
    net = RECURRENT["GRU with dropout"]() if name != "dropout" else nn.Dropout(0.5)
    with pytest.raises(ValueError, match="draws random numbers while it is called"):
        relviz.relevance(net.cuda().train(), torch.randn(2, 20, 6, device="cuda"), 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_attention_draws_nothing(dtype):
    def attention(x):
        return F.relu(F.scaled_dot_product_attention(x, x, x)).sum((1, 2))

    x = torch.randn(2, 4, 32, 16, device="cuda", dtype=dtype)
    found = relviz.relevance(attention, x, 3)
    leaf = x.double().cpu().requires_grad_()
    (expected,) = torch.autograd.grad(attention(leaf)[:, 3].sum(), leaf)
    worst = 1e-5 if dtype == torch.float32 else 0.1
    assert (found.double().cpu() - expected).abs().max() < worst * expected.abs().max()


def test_threads_and_memory():
    net = phone_net().float().cuda()
    windows = torch.randn(16, 1, 4000, device="cuda")
    expected = [relviz.relevance(net, x, 1) for x in windows]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: relviz.relevance(net, windows[i % 16], 1), range(400)))
    for i, each in enumerate(found):
        torch.testing.assert_close(each, expected[i % 16])
    del found, each
    gc.collect()
    before = torch.cuda.memory_allocated()
    for i in range(400):
        relviz.relevance(net, windows[i % 16], 1)
    gc.collect()
    assert torch.cuda.memory_allocated() == before
