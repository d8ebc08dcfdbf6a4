"""relviz.attributions: every method against brute force, a closed form or its completeness."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import relviz
from relviz import attributions, networks
from relviz.attributions import METHODS, relevance
from relviz.backprop import backpropagate


def net(bias=True, seed=0):
    torch.manual_seed(seed)
    layers = (
        nn.Linear(6, 7, bias),
        nn.ReLU(),
        nn.Linear(7, 5, bias),
        nn.ReLU(),
        nn.Linear(5, 3, bias),
    )
    return nn.Sequential(*layers).double().eval().requires_grad_(False)


def convolutional():
    torch.manual_seed(1)
    return (
        nn.Sequential(
            nn.Conv1d(1, 4, 5), nn.MaxPool1d(2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8, 3)
        )
        .double()
        .eval()
    )


X = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def test_every_name_gives_relevance_of_the_inputs_shape():
    shaped = convolutional()
    x = torch.randn(2, 1, 20, dtype=torch.float64)
    options = {"occlusion": partial(attributions.occlusion, width=4)}
    for name in METHODS:
        found = relevance(shaped, x, None, options.get(name, name))
        assert found.shape == x.shape and found.dtype == x.dtype and not found.requires_grad, name
        if "smooth" not in name:  # whose noise depends on the place in the batch
            alone = relevance(shaped, x[1:], None, options.get(name, name))
            torch.testing.assert_close(found[1:], alone, msg=name)


def test_names_and_functions_are_the_same():
    for name in ("guided", "gradient", "deconvnet"):
        assert torch.equal(relevance(net(), X, 1, name), METHODS[name](net(), X, 1))
    wave = np.random.default_rng(0).standard_normal(6000)
    trained = relviz.load("phones")
    by_name = relviz.relevance_signal(trained, wave, 499, method="input x gradient")
    by_function = relviz.relevance_signal(
        trained, wave, 499, method=lambda net, x, t: x * relevance(net, x, t, "gradient")
    )
    np.testing.assert_array_equal(by_name, by_function)


def test_input_x_gradient_sums_to_the_score_without_biases():
    found = relevance(net(bias=False), X, 1, "input x gradient")
    torch.testing.assert_close(found.sum(-1), net(bias=False)(X)[:, 1])


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_are_complete(baseline):
    asked = nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    method = partial(attributions.integrated_gradients, baseline=baseline, steps=24)
    found = relevance(asked, X, None, method)
    best = asked(X).argmax(-1)
    gained = asked(X) - asked(torch.full_like(X, baseline))
    torch.testing.assert_close(
        found.sum(-1), gained.gather(-1, best[:, None])[:, 0].detach(), rtol=0, atol=1e-9
    )


def test_integrated_gradients_of_a_square_in_closed_form():
    found = relevance(lambda x: x**2, X, 1, "integrated gradients")
    expected = torch.zeros_like(X)
    expected[:, 1] = X[:, 1] ** 2
    torch.testing.assert_close(found, expected)


def test_smoothgrad_is_the_mean_over_noisy_copies():
    method = partial(attributions.smoothgrad, noise=0.3, samples=5, seed=3)
    generator = torch.Generator().manual_seed(3)
    best = net()(X).argmax(-1)
    copies = [
        X + 0.3 * torch.randn(X.shape, generator=generator, dtype=torch.float64) for _ in range(5)
    ]
    expected = torch.stack([relevance(net(), x, best, "gradient") for x in copies]).mean(0)
    torch.testing.assert_close(relevance(net(), X, None, method), expected)
    around = partial(method, method=attributions.guided)
    expected = torch.stack([relevance(net(), x, best) for x in copies]).mean(0)
    torch.testing.assert_close(relevance(net(), X, None, around), expected)
    before = torch.get_rng_state()
    relevance(net(), X, None, "guided smoothgrad")
    assert torch.equal(torch.get_rng_state(), before)


def test_occlusion_is_brute_force():
    found = relevance(net(), X, 2, partial(attributions.occlusion, width=2, step=1))
    expected = torch.zeros_like(X)
    for i, x in enumerate(X):
        for n in range(6):
            lost = []
            for start in range(max(0, n - 1), min(n, 4) + 1):
                silent = x.clone()
                silent[start : start + 2] = 0
                lost.append((net()(x)[2] - net()(silent)[2]) / 2)
            expected[i, n] = torch.stack(lost).mean()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        relevance(net(), X[0], 2, partial(attributions.occlusion, width=2, step=1)), expected[0]
    )


def test_gradcam_by_hand():
    asked, x = convolutional(), torch.randn(2, 1, 20, dtype=torch.float64)
    activity = asked[0](x).detach().requires_grad_()
    score = asked[4](asked[3](asked[2](asked[1](activity))))[:, 1].sum()
    (slopes,) = torch.autograd.grad(score, activity)
    seen = (slopes.mean(-1, keepdim=True) * activity).sum(1).clamp(min=0).detach()
    expected = F.interpolate(seen[:, None], 20, mode="linear", align_corners=False)
    torch.testing.assert_close(relevance(asked, x, 1, "gradcam"), expected)


def lrp_by_hand(layers, x, target, gamma):
    """Layer by layer, as the rule is written: R_j = sum_k a_j w'_jk / z'_k R_k."""
    activities = [x]
    for weight, bias in layers:
        activities.append(np.maximum(activities[-1] @ weight.T + bias, 0))
    weight, bias = layers[-1]
    relevances = np.zeros_like(weight @ activities[-2])
    relevances[target] = (weight @ activities[-2] + bias)[target]
    for number in reversed(range(len(layers))):
        weight, bias = layers[number]
        if number:  # not in the first layer
            weight = weight + gamma * np.maximum(weight, 0)
            bias = bias + gamma * np.maximum(bias, 0)
        a = activities[number]
        z = weight @ a + bias
        relevances = a * (weight.T @ (relevances / z))
    return relevances


@pytest.mark.parametrize("gamma", [0.0, 0.25, 2.0])
def test_lrp_layer_by_layer(gamma):
    layers = [(m.weight.numpy(), m.bias.numpy()) for m in net() if isinstance(m, nn.Linear)]
    found = relevance(net(), X, 1, partial(attributions.lrp, gamma=gamma))
    for x, row in zip(X.numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(row, lrp_by_hand(layers, x, 1, gamma), rtol=1e-6, atol=1e-9)
    free = relevance(net(bias=False), X, 1, partial(attributions.lrp, gamma=gamma))
    torch.testing.assert_close(free.sum(-1), net(bias=False)(X)[:, 1], rtol=1e-6, atol=1e-8)


def as_weights(asked):
    """The same network without biases: each is a weight from a constant input that stays 1."""
    layers = [m for m in asked if isinstance(m, nn.Linear)]
    twin = []
    for layer in layers:
        weight = torch.cat([layer.weight, layer.bias[:, None]], dim=1)
        if layer is not layers[-1]:
            weight = torch.cat([weight, torch.eye(weight.shape[1])[-1:].double()])
        plain = nn.Linear(weight.shape[1], len(weight), bias=False).double()
        plain.weight.data = weight.detach().clone()
        twin += [plain, nn.ReLU()]
    return nn.Sequential(*twin[:-1])


@pytest.mark.parametrize("gamma", [0.0, 0.25, 2.0])
def test_in_lrp_a_bias_is_a_weight_with_constant_input(gamma):
    """As Montavon et al. (2019) count it, 0 among the units; so nothing is lost to biases."""
    method = partial(attributions.lrp, gamma=gamma)
    found = relevance(net(), X, 1, method)
    ones = torch.ones(len(X), 1, dtype=X.dtype)
    with_ones = relevance(as_weights(net()), torch.cat([X, ones], dim=1), 1, method)
    torch.testing.assert_close(found, with_ones[:, :-1], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(with_ones.sum(-1), net()(X)[:, 1], rtol=1e-6, atol=1e-8)


def test_lrp_leaves_the_network_alone():
    asked = net()
    before = copy.deepcopy(asked.state_dict())
    relevance(asked, X, 1, "lrp")
    assert all(torch.equal(before[name], value) for name, value in asked.state_dict().items())
    assert not any(m._forward_hooks for m in asked.modules())


SMOOTH = {
    "GELU": (F.gelu, lambda x: torch.special.ndtr(x) + x * torch.exp(-(x**2) / 2) / 2.50662827463),
    "SiLU": (F.silu, lambda x: torch.sigmoid(x) * (1 + x * (1 - torch.sigmoid(x)))),
    "ELU": (F.elu, lambda x: torch.where(x > 0, 1.0, torch.exp(x))),
    "Softplus": (F.softplus, torch.sigmoid),
    "LeakyReLU": (lambda x: F.leaky_relu(x, 0.2), lambda x: 0.2 + 0.8 * (x > 0).to(x.dtype)),
    "PReLU": (
        lambda x: F.prelu(x, torch.tensor([0.3], dtype=x.dtype)),
        lambda x: 0.3 + 0.7 * (x > 0).to(x.dtype),
    ),
    "ReLU6": (F.relu6, lambda x: ((x > 0) & (x < 6)).to(x.dtype)),
    "clamp(0, 20)": (lambda x: x.clamp(0, 20), lambda x: (x > 0).to(x.dtype)),
    "ReLU": (torch.relu, lambda x: (x > 0).to(x.dtype)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_activations_by_choice_in_closed_form(name):
    activation, slope = SMOOTH[name]
    weights = torch.randn(2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5))

    def asked(x):
        return activation(activation(x @ weights[0]) @ weights[1])

    found = relevance(asked, X, 2, smooth="clamp")
    first = X @ weights[0]
    second = activation(first) @ weights[1]
    g = torch.zeros_like(X)
    g[:, 2] = 1
    g = (g.clamp(min=0) * slope(second)) @ weights[1].T
    expected = (g.clamp(min=0) * slope(first)) @ weights[0].T
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_several_inputs_give_several_relevances():
    a, b = torch.randn(2, 3, 6, dtype=torch.float64)
    first, second = relevance(lambda a, b: torch.relu(a * 2 - b), (a, b), 1)
    expected = torch.zeros_like(a)
    expected[:, 1] = (2 * a - b > 0)[:, 1].double()
    torch.testing.assert_close(first, 2 * expected)
    torch.testing.assert_close(second, -expected)
    with pytest.raises(ValueError, match=r"x is a tuple of 2, which 'occlusion' does not take"):
        relevance(lambda a, b: a + b, (a, b), 1, "occlusion")


def test_relevance_at_a_hidden_layer():
    asked = net()
    found = relevance(asked, X, 1, layer="1")
    hidden = asked[1](asked[0](X))
    torch.testing.assert_close(found, relevance(asked[2:], hidden, 1))
    slopes, activity = backpropagate(asked, X, 1, "gradient", layer="1")
    torch.testing.assert_close(activity, hidden)
    torch.testing.assert_close(slopes, relevance(asked[2:], hidden, 1, "gradient"))


def test_classes_by_name_and_frames():
    trained = relviz.load("phones")
    x = torch.randn(2, trained.window, generator=torch.Generator().manual_seed(0))
    number = trained.metadata.classes.index("IY")
    assert torch.equal(relevance(trained, x, "IY"), relevance(trained, x, number))
    with pytest.raises(ValueError, match="target 'IX' is not one of the network's 40 classes"):
        relevance(trained, x, "IX")
    torch.manual_seed(0)
    convolution, out = nn.Conv1d(1, 5, 3), nn.Linear(5, 4)

    def frames(x):
        return out(torch.relu(convolution(x[:, None])).mT)

    x = torch.randn(3, 12)
    one = relevance(frames, x, (4, 2))
    torch.testing.assert_close(one, relevance(frames, x, lambda scores: scores[:, 4, 2]))
    assert one[:, :4].abs().sum() == 0 and one[:, 4:7].abs().sum() > 0
    total = sum(relevance(frames, x, (frame, 2), "gradient") for frame in range(10))
    torch.testing.assert_close(relevance(frames, x, 2, "gradient"), total)


REFUSED = {
    "method 'best' is unknown: use one of guided": dict(method="best"),
    "smooth 'yes' is unknown: use refuse or clamp": dict(smooth="yes"),
    "deconvnet does not look at what came from below": dict(method="deconvnet", smooth="clamp"),
    "smooth and layer are for guided, gradient and deconvnet, not for 'lrp'": dict(
        method="lrp", smooth="clamp"
    ),
    "there is no layer 'top': use one of 0, 1, 2": dict(layer="top"),
    "the method returned relevance of shape": dict(method=lambda net, x, target: x[0]),
    "the method returned NaN or infinite relevance": dict(method=lambda net, x, target: x / 0),
    "steps is 0: give 1 or more": dict(method=partial(attributions.integrated_gradients, steps=0)),
    "samples is 0 and noise 0.1": dict(method=partial(attributions.smoothgrad, samples=0)),
    "width is 9 and step 4: give a width from 1 to the 6": dict(
        method=partial(attributions.occlusion, width=9)
    ),
    "gamma is -1: give 0 or more": dict(method=partial(attributions.lrp, gamma=-1)),
    "the network has no Conv1d: name the layer": dict(method="gradcam"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_right_is_refused(message):
    with pytest.raises(relviz.RelvizError, match=message):
        relevance(net(), X, 1, **REFUSED[message])


POLES = {
    "the square root of 0": lambda x: (x * 0).square().sum(-1, keepdim=True).sqrt() + x,
    "a power at 0": lambda x: (x * 0) ** 0.3 + x,
    "the arc cosine of 1": lambda x: torch.acos(x * 0 + 1) + x,
    "the logarithm of 0": lambda x: -(x * 0 + 1e-320).log() + x,
}


@pytest.mark.parametrize("cause", POLES)
def test_relevance_that_is_no_number_is_refused_by_its_cause(cause):
    message = f"relevance is NaN or infinite, most likely of {cause}"
    with pytest.raises(ValueError, match=message):
        relevance(POLES[cause], X, 1, "gradient")
    with pytest.raises(ValueError, match=message):
        relevance(lambda x: torch.relu(POLES[cause](x)), X, 1)


def spectrum(magnitude):
    torch.manual_seed(0)
    convolution = nn.Conv1d(65, 3, 3).requires_grad_(False)

    def asked(x):
        window = torch.hann_window(128)
        z = torch.stft(x, 128, 64, window=window, center=False, return_complex=True)
        return convolution(magnitude(z)).mean(-1)

    return asked


def test_windows_without_a_slope_are_never_counted_as_zeros():
    wave = np.random.default_rng(0).standard_normal(8000)
    root = spectrum(lambda z: (z.real**2 + z.imag**2).sqrt())
    with pytest.raises(ValueError, match="most likely of the square root of 0"):
        relviz.relevance_signal(root, wave, target=1, method="gradient", window=800)
    inside = relviz.relevance_signal(
        root, wave, target=1, method="gradient", window=800, centres=(400, 7600)
    )
    same = relviz.relevance_signal(
        spectrum(torch.abs), wave, target=1, method="gradient", window=800, centres=(400, 7600)
    )
    np.testing.assert_allclose(inside, same, atol=1e-4 * np.abs(same).max())


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(["window", "utterance", "none"]))
def test_signals_follow_what_the_network_says_of_its_normalisation(seed, normalise):
    asked = networks.build(networks.Architecture((networks.Conv(3, 9, 4),), 5, 60), 3, seed=0)
    asked.metadata = type("Metadata", (), {"normalise": normalise})()
    wave = np.random.default_rng(seed).standard_normal(300) + 0.5
    np.testing.assert_array_equal(
        relviz.relevance_signal(asked, wave, 7),
        relviz.relevance_signal(asked, wave, 7, normalise=normalise),
    )
