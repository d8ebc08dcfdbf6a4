"""relviz.training.augment: other speeds, microphones and noise, against scipy and numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from relviz.training.augment import add_noise, filtered, played

RATE = 16000


def tone(hertz, samples):
    return torch.from_numpy(np.sin(2 * np.pi * hertz / RATE * np.arange(samples))).float()


@settings(max_examples=50)
@given(st.integers(2, 80), st.floats(0.5, 1.5), st.integers(0, 2**31))
def test_played_is_linear_interpolation_around_the_middle(window, speed, seed):
    longest = int(np.ceil(window * 1.5))
    x = np.random.default_rng(seed).standard_normal((2, longest)).astype(np.float32)
    places = longest // 2 + speed * (np.arange(window) - window // 2)
    expected = [np.interp(places, np.arange(longest), row) for row in x]
    found = played(torch.from_numpy(x), [speed, 1.0], window)
    np.testing.assert_allclose(found[0], expected[0], atol=2e-4)
    start = longest // 2 - window // 2
    np.testing.assert_array_equal(found[1], x[1, start : start + window])


def test_filtered_has_the_gains_at_its_points():
    levels = np.array([[12.0, -6.0, 3.0], [0.0, 0.0, 0.0]])
    hertz = 700 * np.expm1(np.linspace(0, np.log1p(8000 / 700), 3))
    middle = round(hertz[1] / 10) * 10  # a whole number of periods in 1600 samples
    x = torch.stack([tone(middle, 1600), tone(middle, 1600)])
    found = filtered(x, levels).square().mean(-1).sqrt() / x.square().mean(-1).sqrt()
    assert 20 * torch.log10(found[0]).item() == pytest.approx(-6, abs=0.1)
    torch.testing.assert_close(filtered(x, levels)[1], x[1], atol=1e-5, rtol=0)


def test_filtered_delays_nothing():
    """Zero phase: a click stays where it is, and what is around it is even."""
    click = torch.zeros(1, 1001)
    click[0, 500] = 1.0
    found = filtered(click, [[10.0, -10, 10, -10]])[0]
    assert int(found.abs().argmax()) == 500
    torch.testing.assert_close(found, found.flip(0), atol=1e-6, rtol=0)


def test_noise_is_added_at_its_ratio():
    rng = np.random.default_rng(0)
    x, noise = torch.from_numpy(rng.standard_normal((2, 3, 8000)))
    ratios = np.array([0.0, 20.0, np.inf])
    added = add_noise(3 * x, noise, ratios) - 3 * x
    power = 9 * x.square().mean(-1) / added.square().mean(-1)
    np.testing.assert_allclose(10 * torch.log10(power), ratios, atol=1e-9)
    assert not add_noise(torch.zeros(1, 100), noise[:1, :100], [5.0]).any()


def test_a_tone_of_another_speed_is_another_tone():
    """The spectrum's peak moves by the factor."""
    x = tone(1000, 5200)[None]
    hertz, power = signal.periodogram(played(x, [1.25], 4000)[0].numpy(), RATE)
    assert hertz[power.argmax()] == pytest.approx(1250, abs=4)
