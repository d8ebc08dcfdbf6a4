"""What counts as a rectifier, however it is spelt and wherever it is called."""

import threading
import warnings

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from relviz.attributions import relevance

WEIGHTS = [
    torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(i))
    for i, shape in enumerate([(7, 6), (7, 7), (3, 7)])
]


def by_hand(x, target=1):
    """Two guided ReLUs in closed form."""
    a, b, c = WEIGHTS
    first = x @ a.T
    second = first.clamp(min=0) @ b.T
    g = c[target].expand(len(x), 7)
    g = (g * (second > 0)).clamp(min=0) @ b
    return (g * (first > 0)).clamp(min=0) @ a


def network(rectify):
    a, b, c = WEIGHTS
    return lambda x: rectify(rectify(x @ a.T) @ b.T) @ c.T


@torch.jit.script
def scripted_relu(h):
    return torch.relu(h)


@torch.jit.script
def scripted_clamp(h):
    return torch.clamp(h, min=0.0)


@torch.jit.script
def scripted_clip(h):
    return torch.clamp(h, 0.0, 20.0)


def in_a_thread(function):
    def call(h):
        found = []
        thread = threading.Thread(target=lambda: found.append(function(h)))
        thread.start()
        thread.join()
        return found[0]

    return call


def traced(h):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(lambda h: F.relu(h), h.detach())(h)


ZERO = torch.zeros((), dtype=torch.float64)
EXACT = {
    "relu": torch.relu,
    "method": lambda h: h.relu(),
    "in place": lambda h: h.clone().relu_(),
    "in place on a part": lambda h: (
        torch.cat([h[:, :3].clone(), h[:, 3:]], 1).index_select(1, torch.arange(7)).relu_()
    ),
    "clamp by name": lambda h: torch.clamp(input=h, min=0),
    "clamp with a tensor by name": lambda h: torch.clamp(input=h, min=ZERO),
    "clamp to numpy's zero": lambda h: h.clamp(0.0, None),
    "maximum by name": lambda h: torch.maximum(input=h, other=ZERO),
    "maximum, reversed": lambda h: torch.maximum(ZERO, h),
    "maximum with other zeros": lambda h: torch.maximum(h, torch.zeros(1, 7, dtype=h.dtype)),
    "fmax": lambda h: torch.fmax(h, ZERO),
    "threshold": lambda h: F.threshold(h, 0, 0),
    "aten": lambda h: torch.ops.aten.clamp_min(h, 0),
    "scripted": scripted_relu,
    "scripted clamp": scripted_clamp,
    "traced": traced,
    "in a thread": in_a_thread(torch.relu),
    "under vmap": torch.vmap(torch.relu),
    "under vmap, clamp": torch.vmap(lambda h: h.clamp(min=0)),
    "checkpointed": lambda h: checkpoint(torch.relu, h, use_reentrant=False),
    "checkpointed maximum": lambda h: checkpoint(
        lambda h: torch.maximum(h, ZERO), h, use_reentrant=False
    ),
    "checkpointed clamp": lambda h: checkpoint(lambda h: h.clamp(min=ZERO), h, use_reentrant=False),
}
DISGUISED = {
    "h - min(h, 0)": lambda h: h - h.clamp(max=0),
    "h - min(h, 0), by minimum": lambda h: h - torch.minimum(h, ZERO),
    "sign": lambda h: h * (1 + torch.sign(h)) / 2,
    "sgn": lambda h: h * (1 + h.sgn()) / 2,
    "abs": lambda h: (h + h.abs()) / 2,
    "root of the square": lambda h: (h + (h * h).sqrt()) / 2,
    "root of the power": lambda h: (h + (h**2) ** 0.5) / 2,
    "where": lambda h: torch.where(h > 0, h, 0.0),
    "where of both": lambda h: torch.where(h >= 0, h, 0.2 * h),
    "where of numbers": lambda h: h * torch.where(h > 0, 1.0, 0.2),
    "ELU by hand": lambda h: torch.where(h > 0, h, h.exp() - 1),
    "mask": lambda h: h * (h > 0),
    "mask as numbers": lambda h: (h > 0).to(h.dtype) * h,
    "mask of the detached": lambda h: h * (h.detach() > 0),
    "mask without gradients": lambda h: h * gate(h),
    "heaviside": lambda h: h * torch.heaviside(h.detach(), ZERO),
    "division by a mask": lambda h: h / torch.where(h > 0, 1.0, 5.0),
    "masked_fill": lambda h: h.masked_fill(h < 0, 0),
    "index": lambda h: torch.index_put(h, [h < 0], ZERO),
    "maximum of a stack": lambda h: torch.stack([h, torch.zeros_like(h)]).amax(0),
    "max of a stack": lambda h: torch.stack([torch.zeros_like(h), h]).max(0).values,
    "leaky maximum": lambda h: torch.maximum(h, 0.1 * h),
    "clamp above": lambda h: torch.relu(h).clamp(max=20),
    "clamp below something": lambda h: h.clamp(min=-1),
    "clamp in a thread": in_a_thread(lambda h: h.clamp(min=0)),
    "SiLU by hand": lambda h: h * torch.sigmoid(h),
    "GELU by hand": lambda h: 0.5 * h * (1 + torch.erf(h / 2**0.5)),
}
REFUSED = {
    "clip": lambda h: h.clamp(0, 20),
    "clip by name": lambda h: torch.clamp(input=h, min=0, max=20),
    "clip by tensors": lambda h: h.clamp(ZERO, ZERO + 20),
    "clip in place": lambda h: h.clone().clamp_(0, 20),
    "clip in place on a part": lambda h: h.clone()[:, :].clamp_(0, 20),
    "scripted clip": scripted_clip,
    "hardtanh in place on a part": lambda h: F.hardtanh(h.clone()[:, :], inplace=True),
    "leaky in place": lambda h: F.leaky_relu(h.clone(), 0.2, inplace=True),
}


def gate(h):
    with torch.no_grad():
        return 0.5 + 0.5 * torch.sign(h)


INPUTS = st.integers(0, 2**31).map(
    lambda seed: torch.randn(
        4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
)


@settings(max_examples=60)
@given(x=INPUTS, spelling=st.sampled_from(sorted(EXACT)), other=st.sampled_from(sorted(EXACT)))
def test_a_relu_is_one_however_it_is_spelt(x, spelling, other):
    a, b, c = WEIGHTS
    first, second = EXACT[spelling], EXACT[other]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        found = relevance(lambda x: second(first(x @ a.T) @ b.T) @ c.T, x, 1)
    torch.testing.assert_close(found, by_hand(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("spelling", EXACT)
def test_each_spelling_at_zero_and_below(spelling):
    x = torch.tensor([[-1.0, 0.0, 2.0, 0.0, 1.0, -3.0, 0.5]], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = relevance(EXACT[spelling], x, lambda h: h)
    assert found.tolist() == [[0, 0, 1, 0, 1, 0, 1]]


@pytest.mark.parametrize("spelling", DISGUISED)
def test_what_may_be_a_rectifier_is_not_passed_in_silence(spelling):
    x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.warns(UserWarning, match="a choice between values .* keeps its plain gradient"):
        relevance(network(lambda h: DISGUISED[spelling](torch.relu(h) - 0.1)), x, 1)


@pytest.mark.parametrize("spelling", REFUSED)
def test_what_is_another_rectifier_is_refused(spelling):
    x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="'guided' is defined for ReLU only"):
        relevance(network(lambda h: REFUSED[spelling](torch.relu(h))), x, 1)


@pytest.mark.parametrize("depth", [5, 40])
def test_a_checkpointed_block_is_run_twice(depth):
    runs = []

    def block(h):
        runs.append(1)
        for _ in range(depth):
            h = torch.relu(h) * torch.ones(7, dtype=h.dtype)
            h = torch.where(torch.tensor(True), h, h).clamp(min=ZERO)
        return h

    x = torch.randn(4, 7, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relevance(lambda x: checkpoint(block, x, use_reentrant=False), x, 1)
    assert len(runs) == 2


def test_a_reentrant_checkpoint_is_refused_with_the_way_out():
    x = torch.randn(2, 7)

    def net(x):
        return torch.relu(checkpoint(torch.tanh, x, use_reentrant=True))

    message = r"checkpoints with use_reentrant=True.*pass use_reentrant=False"
    with pytest.raises(ValueError, match=message):
        relevance(net, x, 1, "gradient")
    with (
        pytest.warns(UserWarning, match="custom autograd function CheckpointFunctionBackward"),
        pytest.raises(ValueError, match=message),
    ):
        relevance(net, x, 1, "guided")


def test_what_lies_beside_the_way_raises_no_alarm():
    torch.manual_seed(0)
    embedding, out = nn.Embedding(9, 1), nn.Linear(7, 3)
    padding = torch.tensor([1.0] * 5 + [0.0] * 2)

    def net(x):
        places = torch.arange(7)
        shift = embedding((places[:, None] - places[None]).clamp(-4, 4) + 4)[..., 0]
        weight = (torch.eye(7) + shift).clamp(-1, 1).abs()
        h = torch.relu(x @ weight) * padding  # a mask that does not depend on x
        h = h.masked_fill(padding == 0, 0.0)
        return out(h / h.detach().std())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relevance(net, torch.randn(4, 7), 1)


@pytest.mark.parametrize("options", [{}, {"proj_size": 3}, {"dtype": torch.float64}])
def test_first_states_of_zeros_raise_no_alarm(options):
    net = nn.LSTM(6, 5, batch_first=True, **options)
    x = torch.randn(2, 8, 6, dtype=options.get("dtype", torch.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with")
        relevance(lambda x: net(torch.relu(x))[0][:, -1], x, 1)


def test_zeros_that_broadcast_and_promote_leave_the_network_as_it_is():
    def net(x):
        wide = torch.maximum(x.sum(1, keepdim=True), torch.zeros(3, dtype=torch.float64))
        return wide.sum(1, keepdim=True)

    x = torch.ones(4, 4)
    for method in ("guided", "gradient", "deconvnet"):
        assert torch.equal(relevance(net, x, 0, method), torch.full((4, 4), 3.0)), method
    assert net(x).dtype == torch.float64


@settings(max_examples=20)
@given(x=INPUTS, spelling=st.sampled_from(sorted(EXACT)))
def test_deconvnet_and_gradient_of_every_spelling(x, spelling):
    a, b, c = WEIGHTS
    net = network(EXACT[spelling])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        plain = relevance(net, x, 1, "gradient")
        above = relevance(net, x, 1, "deconvnet")
    expected = relevance(network(torch.relu), x, 1, "gradient")
    torch.testing.assert_close(plain, expected, rtol=0, atol=1e-12)
    g = (c[1].expand(len(x), 7).clamp(min=0) @ b).clamp(min=0) @ a
    torch.testing.assert_close(above, g, rtol=0, atol=1e-12)
