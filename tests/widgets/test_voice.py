"""dsp.js: formants and F0 in the browser are those of relviz.acoustics."""

import numpy as np
import pytest

from relviz import acoustics
from relviz.corpora import synthetic

RATE = 16000


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples)


@pytest.fixture(scope="module")
def vowels():
    """Twelve vowels of two talkers, in the noise of a quiet room."""
    return {
        f"{sex} {name}": synthetic.vowel(f0, formants, duration=0.5) + 1e-4 * noise(8000)
        for sex, vowels in synthetic.MEANS.items()
        for name, (f0, *formants) in vowels.items()
    }


def as_numbers(rows):
    """JSON has no NaN: what is not there comes as null."""
    return np.array([np.nan if v is None else v for v in np.ravel(rows)]).reshape(np.shape(rows))


def close(found, expected, **limits):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, **limits)


def test_roots(module):
    polynomials = [np.poly(noise(4, seed)) for seed in range(5)]
    polynomials += [noise(17, seed) for seed in range(20)]
    polynomials += [[1, -3, 2], [2, 0, 8], [1, 0, 0, 0, -1]]
    found = module(
        "dsp.js", "return args[0].map(m.roots);", [list(map(float, p)) for p in polynomials]
    )
    for coefficients, pairs in zip(polynomials, found, strict=True):
        given = np.array([complex(*pair) for pair in pairs])
        for root in np.roots(coefficients):
            assert np.abs(given - root).min() < 1e-7 * max(1, abs(root))
        assert len(given) == len(coefficients) - 1


def test_formants_of_frames(module, vowels):
    size = 400
    window = np.hamming(size)
    frames = [
        wave[start : start + size] * window
        for wave in vowels.values()
        for start in range(200, 7400, 700)
    ]
    found = module(
        "dsp.js",
        "return args[0].map((f) => m.frameFormants(f, 16000));",
        [f.tolist() for f in frames],
    )
    expected = [acoustics.frame_formants(frame, RATE) for frame in frames]
    assert np.isfinite(expected)[:, :2].mean() > 0.9
    close(as_numbers(found), expected, atol=0.1)


@pytest.mark.parametrize("centre", [0.0, 0.03, 0.25, 0.4137, 0.5])
def test_formants_around_a_time(module, vowels, centre):
    """Beyond the ends there are zeros, and frames of nothing else have no formants."""
    found = module(
        "dsp.js",
        "return args[0].map((w) => m.formants(w, 16000, args[1]));",
        [wave.tolist() for wave in vowels.values()],
        centre,
    )
    expected = [acoustics.formants(wave, RATE, centre) for wave in vowels.values()]
    close(as_numbers(found), expected, atol=0.1)


def test_formants_by_other_settings(module, vowels):
    wave = vowels["M ah"]
    settings = (
        "{order: 12, count: 3, maxBandwidth: 300, lowest: 200, "
        "frames: 5, step: 0.02, length: 0.03, window: 'hann'}"
    )
    found = module("dsp.js", f"return m.formants(args[0], 16000, 0.2, {settings});", wave.tolist())
    expected = acoustics.formants(
        wave, RATE, 0.2, order=12, count=3, max_bandwidth=300, lowest=200,
        frames=5, step=0.02, length=0.03, window="hann",
    )  # fmt: skip
    close(as_numbers(found), expected, atol=0.1)


def test_silence_has_no_formants(module):
    assert module("dsp.js", "return m.formants(new Float32Array(8000), 16000, 0.25);") == [None] * 4


def f0(module, waves, settings="{}"):
    """(the page's, the library's) F0 of each frame, NaN where unvoiced, over all waves."""
    found = module(
        "dsp.js",
        f"return args[0].map((w) => m.f0Contour(Float64Array.from(w), 16000, {settings}));",
        [np.asarray(wave, dtype=float).tolist() for wave in waves],
    )
    mine, praats = [], []
    for wave, contour in zip(waves, found, strict=True):
        times, expected = acoustics.f0_contour(wave, RATE, **eval(settings, {}))
        given = as_numbers(contour["hertz"])
        assert len(given) == len(times)
        if len(times):
            np.testing.assert_allclose(
                contour["start"] + np.arange(len(times)) * contour["step"], times
            )
        mine.append(given)
        praats.append(expected)
    return np.concatenate(mine), np.concatenate(praats)


def agreement(mine, praats):
    """Shares of frames: voicing alike, and F0 within 1 % where both are voiced."""
    both = ~np.isnan(mine) & ~np.isnan(praats)
    near = np.abs(mine[both] / praats[both] - 1) < 0.01
    alike = float((np.isnan(mine) == np.isnan(praats)).mean())
    return alike, float(near.mean())


def test_f0_of_vowels(module, vowels):
    mine, praats = f0(module, list(vowels.values()))
    alike, near = agreement(mine, praats)
    assert alike >= 0.99 and near == 1 and np.isfinite(mine).mean() > 0.8


def test_f0_of_speech(module):
    waves = [
        each.wave + 1e-4 * noise(len(each.wave))
        for each in map(
            synthetic.sentence, synthetic.SENTENCES[:4], ("Female1", "Male1", "Female3", "Male3")
        )
    ]
    mine, praats = f0(module, waves)
    alike, near = agreement(mine, praats)
    assert alike >= 0.98 and near >= 0.99
    assert 0.2 < np.isfinite(mine).mean() < 0.95


def test_noise_has_no_f0(module):
    mine, praats = f0(module, [noise(16000, seed) for seed in range(4)])
    assert (np.isnan(mine) == np.isnan(praats)).mean() >= 0.95 and np.isnan(mine).mean() >= 0.95


def test_silence_and_what_is_too_short_have_no_f0(module):
    mine, _ = f0(module, [np.zeros(8000), np.ones(700), noise(639), noise(3)])
    assert np.isnan(mine).all()


@pytest.mark.parametrize("hertz", [80.0, 123.4, 440.0])
def test_f0_of_harmonics(module, hertz):
    times = np.arange(8000) / RATE
    wave = sum(np.sin(2 * np.pi * k * hertz * times) / k for k in range(1, 8))
    found = module("dsp.js", "return m.f0Contour(args[0], 16000).hertz;", wave.tolist())
    np.testing.assert_allclose(as_numbers(found), hertz, rtol=1e-3)


@pytest.mark.filterwarnings("ignore::relviz.acoustics.F0Warning")  # a limit below some of them
def test_f0_between_other_limits(module, vowels):
    waves = [wave for name, wave in vowels.items() if name[0] == "F"]
    mine, praats = f0(module, waves, "{'floor': 100, 'ceiling': 180, 'step': 0.02}")
    alike, _ = agreement(mine, praats)
    assert alike >= 0.9
