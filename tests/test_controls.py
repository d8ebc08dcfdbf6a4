"""Controls against closed forms (a linear network knows what it loses), brute force and scipy."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial import distance
from torch import nn

import relviz
from relviz import controls, networks

NAMES = ("features.0", "features.3", "features.6", "classifier.0", "classifier.2")
rng = np.random.default_rng(9)


@pytest.fixture(scope="module")
def net():
    return networks.build(networks.PHONE_CNN, 5, seed=3)


@pytest.fixture(scope="module")
def linear():
    """(..., 24) to (..., 3) in double precision, without bias: its rows are its gradients."""
    layer = nn.Linear(24, 3, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(rng.normal(size=(3, 24))))
    return layer


@pytest.fixture(scope="module")
def bent():
    """A small network with a rectifier, in double precision."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(24, 7), nn.ReLU(), nn.Linear(7, 3)).double()


def inputs(*shape):
    return torch.from_numpy(np.random.default_rng(1).normal(size=shape))


def changed(one, other):
    """Names of the layers whose weights differ."""
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return {name.rpartition(".")[0] for (name, a), b in pairs if not torch.equal(a, b)}


# --- randomisation


def test_layers_are_those_with_weights_from_input_to_output(net):
    assert controls.layers(net) == NAMES
    assert controls.layers(nn.Linear(2, 2)) == ("",)
    assert controls.layers(nn.ReLU()) == ()


def test_randomised_changes_the_named_layers_of_a_copy(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    fresh = controls.randomised(net, ["features.3", "classifier.2"])
    assert changed(net, fresh) == {"features.3", "classifier.2"}
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert type(fresh) is type(net) and not fresh.training
    assert changed(net, controls.randomised(net, "features")) == set(NAMES[:3])
    assert changed(net, controls.randomised(net, [])) == set()


def test_weights_depend_on_the_seed_and_the_layer_alone(net):
    alone = controls.randomised(net, ["features.3"], seed=4)
    among = controls.randomised(net, NAMES, seed=4)
    assert torch.equal(alone.features[3].weight, among.features[3].weight)
    assert torch.equal(alone.features[3].bias, among.features[3].bias)
    assert not changed(among, controls.randomised(net, reversed(NAMES), seed=4))
    assert changed(among, controls.randomised(net, NAMES, seed=5)) == set(NAMES)
    twins = controls.randomised(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), ["0", "1"])
    assert not torch.equal(twins[0].weight, twins[1].weight)


def test_weights_are_distributed_as_torch_draws_them(net):
    weight = controls.randomised(net, ["classifier.0"]).classifier[0].weight.detach()
    bound = weight.shape[1] ** -0.5  # torch's default: uniform within 1 / sqrt(fan in)
    assert weight.abs().max() <= bound
    assert stats.kstest(weight.ravel().numpy(), stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_the_random_state_is_left_alone(net):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    controls.randomised(net, NAMES)
    assert torch.equal(torch.rand(3), expected)


def test_running_statistics_are_reset_and_ties_and_dtype_are_kept():
    norm = nn.BatchNorm1d(2).double().eval()
    norm.running_mean.fill_(5.0)
    fresh = controls.randomised(norm, [""])
    assert fresh.running_mean.tolist() == [0.0, 0.0] and fresh.weight.dtype == torch.float64
    tied = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    tied[2].weight = tied[0].weight
    fresh = controls.randomised(tied, ["2"])
    assert fresh[2].weight is fresh[0].weight and not torch.equal(fresh[0].weight, tied[0].weight)


def test_randomised_refuses():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(ValueError, match=r"there is no layer '1' with weights: use 0\."):
        controls.randomised(net, ["1"])
    with pytest.raises(ValueError, match=r"seed is -1: give 0 or more"):
        controls.randomised(net, ["0"], seed=-1)

    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(1))

    with pytest.raises(ValueError, match=r"layer '0' is a Scale, whose factor no reset_parameters"):
        controls.randomised(nn.Sequential(Scale()), ["0"])


def test_cascade_goes_from_the_output_down(net):
    steps = list(controls.cascade(net, seed=2))
    assert [name for name, _ in steps] == list(reversed(NAMES))
    for i, (_, fresh) in enumerate(steps):
        assert changed(net, fresh) == set(NAMES[len(NAMES) - 1 - i :])
    assert not changed(steps[-1][1], controls.randomised(net, NAMES, seed=2))


def test_independent_changes_one_layer_to_what_the_cascade_draws(net):
    last = dict(controls.cascade(net, seed=2))[NAMES[0]]
    for name, fresh in controls.independent(net, seed=2):
        assert changed(net, fresh) == {name}
        assert torch.equal(fresh.get_submodule(name).weight, last.get_submodule(name).weight)


def by_hand(net, seed, places):
    """The permuted copy, made by a loop of its own over named parameters."""
    state = {name: value.clone() for name, value in net.state_dict().items()}
    for place, layer in enumerate(NAMES):
        if layer in places:
            draw = np.random.default_rng([seed, place])
            for name in (f"{layer}.weight", f"{layer}.bias"):
                numbers = state[name].numpy().ravel()
                moved = numbers[draw.permutation(len(numbers))].reshape(state[name].shape)
                state[name] = torch.from_numpy(moved)
    return state


@pytest.mark.parametrize("names", [None, ["features.3"], ["classifier"]])
def test_permuted_is_what_a_loop_by_hand_makes(net, names):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = controls.permuted(net, names, seed=2).state_dict()
    places = [n for n in NAMES if names is None or n.startswith(names[0])]
    right = by_hand(net, 2, places)
    assert all(torch.equal(found[name], right[name]) for name in right)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    moved = {
        name.rpartition(".")[0] for name in right if not torch.equal(found[name], before[name])
    }
    assert moved == set(places)


def test_permuted_keeps_every_moment_and_depends_on_the_seed_alone(net):
    one, same, other = (controls.permuted(net, seed=seed) for seed in (1, 1, 2))
    assert changed(one, same) == set()
    assert changed(one, other) == set(NAMES)
    for a, b in zip(net.parameters(), one.parameters(), strict=True):
        assert torch.equal(a.flatten().sort()[0], b.flatten().sort()[0])
    state = torch.random.get_rng_state()
    controls.permuted(net)
    assert torch.equal(state, torch.random.get_rng_state())


def test_permuted_leaves_statistics_or_measures_them_on_a_sample():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4), nn.LeakyReLU(), nn.Dropout(0.5), nn.Conv1d(4, 3, 3)
    )
    net[1].running_mean.normal_()
    net.eval()
    sample = torch.randn(9, 1, 40)
    stale = controls.permuted(net, seed=1)
    assert torch.equal(stale[1].running_mean, net[1].running_mean)
    healthy = controls.permuted(net, seed=1, sample=sample)
    heard = stale[0](sample)  # the same convolution
    np.testing.assert_allclose(healthy[1].running_mean, heard.mean((0, 2)).detach(), rtol=1e-5)
    variance = heard.var((0, 2), unbiased=True).detach()
    np.testing.assert_allclose(healthy[1].running_var, variance, rtol=1e-5)
    assert healthy[1].momentum == net[1].momentum
    assert not any(layer.training for layer in healthy.modules())
    assert controls.permuted(net.train(), sample=sample).training
    with pytest.raises(ValueError, match=r"a sample of shape \(1, 4\) has no variance to measure"):
        controls.permuted(
            nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)), sample=torch.ones(1, 4)
        )


def test_permuted_takes_layers_that_nobody_can_draw():
    class Gain(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.arange(50.0))

    net = Gain()
    with pytest.raises(ValueError, match="no reset_parameters draws"):
        controls.untrained(net)
    assert sorted(controls.permuted(net).gain.tolist()) == list(range(50))
    assert net.gain.tolist() == list(range(50))


def test_permuted_refuses(net):
    with pytest.raises(ValueError, match="there is no layer 'conv'"):
        controls.permuted(net, ["conv"])
    with pytest.raises(ValueError, match="seed is -1: give 0 or more"):
        controls.permuted(net, seed=-1)


def test_cascades_of_permutations(net):
    steps = dict(controls.cascade(net, 4, controls.permuted))
    assert list(steps) == list(reversed(NAMES))
    assert changed(steps["classifier.0"], net) == {"classifier.0", "classifier.2"}
    assert changed(steps[NAMES[0]], controls.permuted(net, seed=4)) == set()
    alone = dict(controls.independent(net, 4, controls.permuted))
    assert changed(alone["features.3"], net) == {"features.3"}


# --- likeness


def test_cosine_agrees_with_scipy():
    a, b = rng.normal(size=(2, 3, 9))
    expected = [1 - distance.cosine(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(controls.cosine(a, b), expected, rtol=1e-12)
    np.testing.assert_allclose(controls.cosine(torch.tensor(a), b[0])[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(controls.cosine(a, -3 * a), -1, rtol=1e-12)
    assert np.isnan(controls.cosine(a, 0 * b)).all()


def test_spearman_agrees_with_scipy_ties_too():
    a, b = rng.integers(0, 5, size=(2, 4, 30))
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(controls.spearman(a, b), expected, rtol=1e-12)
    x = rng.normal(size=20)
    assert controls.spearman(x, np.exp(x)) == pytest.approx(1)
    assert controls.spearman(x, -(x**3)) == pytest.approx(-1)
    assert np.isnan(controls.spearman(x, np.ones(20)))


@pytest.mark.parametrize("measure", [controls.cosine, controls.spearman])
def test_likeness_refuses_different_lengths(measure):
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(4,\) cannot be compared"):
        measure(np.ones((2, 3)), np.ones(4))
    with pytest.raises(ValueError, match="cannot be compared"):
        measure(1.0, 1.0)


def test_class_sensitivity_of_a_linear_network_is_that_of_its_rows(linear):
    found = controls.class_sensitivity(linear, inputs(4, 24), [2, 0, 1], "gradient")
    rows = linear.weight.detach().numpy()[[2, 0, 1]]
    expected = 1 - distance.squareform(distance.pdist(rows, "cosine"))
    assert found.shape == (4, 3, 3)
    np.testing.assert_allclose(found, np.broadcast_to(expected, (4, 3, 3)), atol=1e-12)


def test_class_sensitivity_passes_method_and_measure_on(bent):
    x = inputs(24)
    one, two = (relviz.relevance(bent, x, target, "guided") for target in (0, 2))
    found = controls.class_sensitivity(bent, x, [0, 2], similarity=controls.spearman)
    assert found[0, 1] == pytest.approx(float(controls.spearman(one, two)))
    with pytest.raises(ValueError, match="targets has 1 classes: give two or more"):
        controls.class_sensitivity(bent, x, [0])


# --- units


@pytest.mark.parametrize("samples", [24, 25])
@pytest.mark.parametrize("domain", ["time", "frequency"])
def test_energy_sums_to_that_of_the_signal(samples, domain):
    x = rng.normal(size=(2, samples))
    units = controls.energy(x, 6, domain)
    assert units.shape == (2, 6)
    np.testing.assert_allclose(units.sum(-1), np.sum(x**2, -1), rtol=1e-12)


def test_energy_by_brute_force():
    x = rng.normal(size=24)
    blocks = [np.sum(x[i : i + 4] ** 2) for i in range(0, 24, 4)]
    np.testing.assert_allclose(controls.energy(x, 6), blocks, rtol=1e-12)
    power = np.abs([np.sum(x * np.exp(-2j * np.pi * k * np.arange(24) / 24)) for k in range(24)])
    folded = [sum(power[j] ** 2 for j in {k, -k % 24}) / 24 for k in range(13)]
    np.testing.assert_allclose(controls.energy(x, 13, "frequency"), folded, rtol=1e-9)


@pytest.mark.parametrize(("size", "units"), [(24, 5), (7, 7), (10, 1), (4000, 33)])
def test_units_are_as_equal_as_can_be(size, units):
    widths = controls.energy(np.ones(size), units)
    assert widths.sum() == size and widths.min() >= 1 and np.ptp(widths) <= 1


def test_a_sinusoid_lies_in_its_band():
    x = np.cos(2 * np.pi * 100 * np.arange(4000) / 4000)  # bin 100 of 2001
    bands = controls.energy(x, 29, "frequency")  # 69 bins each
    assert bands.argmax() == 1 and bands[1] == pytest.approx(2000)


@pytest.mark.parametrize("samples", [24, 23])
@pytest.mark.parametrize("domain", ["time", "frequency"])
def test_contribution_is_what_a_linear_network_loses(samples, domain):
    layer = nn.Linear(samples, 3).double()  # its bias drops out of a difference
    x = inputs(4, samples)
    f = layer.weight.detach()[1]
    expected = controls.occlusion(layer, x, 5, 1, domain)
    np.testing.assert_allclose(controls.contribution(x, f, 5, domain), expected, atol=1e-12)
    np.testing.assert_allclose(expected.sum(-1), (x @ f).numpy(), atol=1e-12)


def test_baselines(linear):
    x = inputs(2, 24)
    found = controls.baselines(x, 6, "frequency", seed=1)
    np.testing.assert_array_equal(found["energy"], controls.energy(x, 6, "frequency"))
    again = controls.baselines(x, 6, "frequency", seed=1)["random"]
    np.testing.assert_array_equal(found["random"], again)
    assert found["random"].shape == (2, 6)
    assert (found["random"] != controls.baselines(x, 6, seed=2)["random"]).any()


@pytest.mark.parametrize("samples", [24, 25])
@pytest.mark.parametrize("domain", ["time", "frequency"])
def test_keep_splits_a_signal_in_two(samples, domain):
    x = inputs(3, samples).float()
    kept = rng.random((3, 5)) < 0.5
    part, rest = controls.keep(x, kept, domain), controls.keep(x, torch.tensor(~kept), domain)
    assert part.shape == x.shape and part.dtype == torch.float32
    torch.testing.assert_close(part + rest, x)
    torch.testing.assert_close(controls.keep(x, np.ones(5, bool), domain), x)
    assert not controls.keep(x, np.zeros(5, bool), domain).any()
    alike = controls.energy(part, 5, domain)
    np.testing.assert_allclose(alike, controls.energy(x, 5, domain) * kept, atol=1e-5)


def test_keep_takes_many_masks_of_one_signal():
    x = inputs(24)
    for domain in ("time", "frequency"):
        many = controls.keep(x, np.eye(6, dtype=bool), domain)
        assert many.shape == (6, 24)
        torch.testing.assert_close(many.sum(0), x)


# --- deletion, insertion, occlusion


@pytest.mark.parametrize("domain", ["time", "frequency"])
def test_curves_of_a_linear_network_are_known(linear, domain):
    x = inputs(3, 24)
    f = linear.weight.detach()[2]
    parts = controls.contribution(x, f, 6, domain)
    whole = (x @ f).numpy()
    gone = np.cumsum(-np.sort(-parts, axis=-1), axis=-1)
    gone = np.concatenate([np.zeros((3, 1)), gone], axis=-1)
    fraction, score = controls.deletion(linear, x, parts, 2, domain)
    np.testing.assert_allclose(fraction, np.arange(7) / 6)
    np.testing.assert_allclose(score, whole[:, None] - gone, atol=1e-12)
    _, score = controls.insertion(linear, x, parts, 2, domain)
    np.testing.assert_allclose(score, gone, atol=1e-12)


def test_no_order_beats_contributions_in_a_linear_network(linear):
    x = inputs(24)
    parts = controls.contribution(x, linear.weight[0], 4)
    orders = np.array(list(itertools.permutations(range(4))))
    many = x.expand(len(orders), 24)
    lost = controls.area(controls.deletion(linear, many, orders, 0))
    won = controls.area(controls.insertion(linear, many, orders, 0))
    best_lost = controls.area(controls.deletion(linear, x, parts, 0))
    best_won = controls.area(controls.insertion(linear, x, parts, 0))
    assert best_lost == pytest.approx(lost.min()) and best_won == pytest.approx(won.max())


@pytest.mark.parametrize("insert", [False, True])
def test_curves_by_brute_force(bent, insert):
    x, importance = inputs(2, 24), rng.random((2, 4))
    function = controls.insertion if insert else controls.deletion
    found = function(bent, x, importance, torch.tensor([1, 2]))
    for item in range(2):
        order = np.argsort(-importance[item])
        for k in range(5):
            heard = x[item].clone()
            for unit in order[k:] if insert else order[:k]:
                heard[6 * unit : 6 * unit + 6] = 0
            assert found.score[item, k] == pytest.approx(bent(heard)[1 + item].item())


def test_occlusion_by_brute_force(bent):
    x = inputs(24)
    found = controls.occlusion(bent, x, 4, 1, "frequency")
    for unit, bins in enumerate([(0, 3), (3, 6), (6, 9), (9, 13)]):
        spectrum = np.fft.rfft(x.numpy())
        spectrum[slice(*bins)] = 0
        without = torch.from_numpy(np.fft.irfft(spectrum, 24))
        assert found[unit] == pytest.approx((bent(x) - bent(without))[1].item())


def test_steps_targets_shapes_and_batches(bent):
    x, importance = inputs(2, 3, 24), rng.random((2, 3, 8))
    whole = controls.deletion(bent, x, importance)
    assert whole.score.shape == (2, 3, 9) and whole.score.dtype == np.float64
    np.testing.assert_allclose(whole.score[..., 0], bent(x).max(-1).values.detach().numpy())
    few = controls.deletion(bent, x, importance, steps=3, batch_size=2)
    np.testing.assert_allclose(few.fraction, [0, 2 / 8, 5 / 8, 1])
    np.testing.assert_allclose(few.score, whole.score[..., [0, 2, 5, 8]])
    winners = bent(x).argmax(-1)
    np.testing.assert_allclose(controls.deletion(bent, x, importance, winners).score, whole.score)
    alone = controls.deletion(bent, x[1, 2], importance[1, 2], int(winners[1, 2]))
    np.testing.assert_allclose(alone.score, whole.score[1, 2])
    empty = bent(torch.zeros(24).double()).detach().numpy()
    np.testing.assert_allclose(whole.score[..., -1], empty[winners])
    assert controls.occlusion(bent, x, 5, 0).shape == (2, 3, 5)


def test_equals_go_in_their_order(linear):
    curve = controls.deletion(linear, inputs(24), np.zeros(4), 0)
    ordered = controls.deletion(linear, inputs(24), np.array([4, 3, 2, 1]), 0)
    np.testing.assert_array_equal(curve.score, ordered.score)


def test_area_is_that_of_trapezia():
    fraction = np.array([0, 0.25, 1])
    score = np.array([[1.0, 1, 1], [1, 0, 0]])
    np.testing.assert_allclose(controls.area(controls.Curve(fraction, score)), [1, 0.125])


def test_interventions_leave_no_graph_and_call_no_gradient(bent):
    def net(x):
        assert not torch.is_grad_enabled()
        return bent(x)

    controls.deletion(net, inputs(24).requires_grad_(), np.ones(3), 0)
    assert bent[0].weight.grad is None


def test_interventions_refuse(linear):
    x = inputs(2, 24)
    with pytest.raises(ValueError, match=r"importance has shape \(3, 4\) and x \(2, 24\)"):
        controls.deletion(linear, x, np.ones((3, 4)), 0)
    with pytest.raises(ValueError, match="importance holds NaN or infinite values"):
        controls.insertion(linear, x, np.full((2, 4), np.nan), 0)
    for steps in (0, 5):
        with pytest.raises(ValueError, match=rf"steps is {steps}: give a number from 1 to the 4"):
            controls.deletion(linear, x, np.ones((2, 4)), 0, steps=steps)
    with pytest.raises(ValueError, match="target 3 is not one of the network's 3 classes"):
        controls.deletion(linear, x, np.ones((2, 4)), 3)
    with pytest.raises(ValueError, match=r"target has shape \(3,\): give one class for each item"):
        controls.occlusion(linear, x, 4, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="units is 25: give a number from 1 to 24"):
        controls.energy(x, 25)
    with pytest.raises(ValueError, match="units is 14: give a number from 1 to 13"):
        controls.occlusion(linear, x, 14, 0, "frequency")
    with pytest.raises(ValueError, match="domain 'cepstrum' is unknown: use time or frequency"):
        controls.energy(x, 4, "cepstrum")


class Gain(nn.Linear):
    """A layer with a parameter of its own, which `nn.Linear.reset_parameters` does not know."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.gain = nn.Parameter(torch.ones(sizes[1]))

    def forward(self, x):
        return super().forward(x) * self.gain


class Whole(Gain):
    """The same, drawing everything."""

    def reset_parameters(self):
        super().reset_parameters()
        if hasattr(self, "gain"):
            nn.init.normal_(self.gain)


REPARAMETRISED = {
    "plain": lambda layer: layer,
    "weight_norm": nn.utils.weight_norm,
    "parametrizations.weight_norm": nn.utils.parametrizations.weight_norm,
    "spectral_norm": nn.utils.spectral_norm,
    "parametrizations.spectral_norm": nn.utils.parametrizations.spectral_norm,
    "orthogonal": nn.utils.parametrizations.orthogonal,
    "pruned": lambda layer: nn.utils.prune.l1_unstructured(layer, "weight", 0.5),
    "pruned twice": lambda layer: nn.utils.prune.random_unstructured(
        nn.utils.prune.l1_unstructured(layer, "weight", 0.5), "weight", 0.2
    ),
    "whole": lambda layer: Whole(6, 6),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("kind", REPARAMETRISED)
def test_no_trained_number_is_left_in_a_reparametrised_layer(kind):
    torch.manual_seed(0)
    net = nn.Sequential(
        REPARAMETRISED[kind](nn.Linear(6, 6)), nn.ReLU(), REPARAMETRISED[kind](nn.Linear(6, 6))
    )
    net = net.eval().requires_grad_(False)
    x = torch.randn(4, 6)
    before = net(x)
    fresh = controls.randomised(net, controls.layers(net), seed=1)
    trained = torch.cat([each.flatten() for each in net.state_dict().values()])
    for name, value in fresh.state_dict().items():
        assert not torch.isin(value, trained).any(), name
    assert controls.layers(net) == ("0", "2")
    assert torch.equal(net(x), before) and not torch.equal(fresh(x), before)
    again = controls.randomised(net, ["2"], seed=1)
    assert torch.equal(again[0](x), net[0](x)) and torch.equal(again[2].weight, fresh[2].weight)
    shuffled = controls.permuted(net, seed=1)
    for place in (0, 2):  # the weights that it computes with, in another order
        sorted_ = [each[place].weight.detach().flatten().sort()[0] for each in (net, shuffled)]
        assert torch.equal(*sorted_) and not torch.equal(shuffled[place].weight, net[place].weight)
    assert torch.equal(net(x), before)


def test_batch_statistics_without_parameters_are_layers_too():
    net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4, affine=False))
    net[1].running_mean.fill_(3.0)
    net[1].num_batches_tracked.fill_(7)
    assert controls.layers(net) == ("0", "1")
    fresh = controls.randomised(net, ["1"])
    assert fresh[1].running_mean.tolist() == [0.0] * 4 and fresh[1].num_batches_tracked == 0


class Constant(nn.Module):
    def __init__(self, persistent):
        super().__init__()
        self.register_buffer("taper", torch.hann_window(6), persistent=persistent)

    def forward(self, x):
        return x * self.taper


def test_what_would_be_left_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"layer '0' is a Gain whose .* does not draw gain, so"):
        controls.randomised(nn.Sequential(Gain(6, 3)), ["0"])
    with pytest.raises(ValueError, match=r"taper no reset_parameters draws.*persistent=False"):
        controls.randomised(nn.Sequential(Constant(True)), ["0"])
    assert controls.layers(nn.Sequential(Constant(False), nn.Linear(6, 2))) == ("1",)
    with_graph = nn.Sequential(nn.Linear(6, 3))
    with_graph[0].kept = with_graph[0].weight * 2
    with pytest.raises(ValueError, match=r"cannot be copied .* call it once under torch.no_grad"):
        controls.randomised(with_graph, ["0"])


def test_controls_of_frames_sum_them_as_relevance_does():
    torch.manual_seed(0)
    convolution, out = nn.Conv1d(1, 5, 3), nn.Linear(5, 4)

    def net(x):
        return out(torch.relu(convolution(x[:, None])).mT)

    x = torch.randn(2, 12)
    with torch.no_grad():
        silent = x.clone()
        silent[:, 6:] = 0
        lost = net(x) - net(silent)
    for target, expected in (
        (1, lost[..., 1].sum(-1)),
        ((4, 1), lost[:, 4, 1]),
        (lambda scores: scores[:, 4, 1], lost[:, 4, 1]),
        (torch.full((2, 10), 1), lost[..., 1].sum(-1)),
    ):
        found = controls.occlusion(net, x, 2, target)[:, 1]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
        curve = controls.deletion(net, x, np.tile([0.0, 1.0], (2, 1)), target)
        np.testing.assert_allclose(curve.score[:, 0] - curve.score[:, 1], found, atol=1e-6)
    best = net(x).argmax(-1)
    np.testing.assert_allclose(
        controls.occlusion(net, x, 2), controls.occlusion(net, x, 2, best), atol=1e-6
    )


ODD = {
    r"returns \d scores for x of shape \(\d, 12\), one an item": lambda x: x.sum(1),
    "returns a tuple, not a tensor of class scores": lambda x: (x, 0),
    "returns a dict, not a tensor of class scores": lambda x: {"logits": x},
    "scores are torch.complex64": lambda x: x * 1j,
}


@pytest.mark.parametrize("message", ODD)
def test_odd_scores_are_refused_alike_everywhere(message):
    net, x = ODD[message], torch.randn(2, 12)
    wave = np.random.default_rng(0).standard_normal(60)
    for target in (None, 0):
        for call in (
            lambda target=target: relviz.relevance(net, x, target, "gradient"),
            lambda target=target: controls.occlusion(net, x, 2, target),
            lambda target=target: controls.insertion(net, x, controls.energy(x, 2), target),
        ):
            with pytest.raises(relviz.RelvizError, match=message):
                call()
    tuples = {"a tuple": lambda x: (x, 0), "a dict": lambda x: {"logits": x}}
    for kind, odd in tuples.items():
        with pytest.raises(relviz.RelvizError, match=f"returns {kind}, not a tensor"):
            relviz.relevance_signal(odd, wave, 7, window=12)
