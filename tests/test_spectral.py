"""relviz.spectral against autograd through irfft and istft, brute force and finite differences."""

import tracemalloc

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relviz import spectral

SEEDS = st.integers(0, 2**32 - 1)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))


def score(x):
    """A curved function of a signal, so that its gradient is none in particular."""
    return (torch.sin(x).cumsum(-1) * torch.cos(3 * x)).sum()


def gradient(x):
    leaf = x.detach().clone().requires_grad_()
    return torch.autograd.grad(score(leaf), leaf)[0].numpy()


@settings(max_examples=40)
@given(n=st.integers(1, 65), seed=SEEDS)
def test_dft_exact_equals_autograd_through_irfft(n, seed):
    x = torch.tensor(np.random.default_rng(seed).standard_normal(n))
    spectrum = torch.fft.rfft(x).requires_grad_()
    (expected,) = torch.autograd.grad(score(torch.fft.irfft(spectrum, n=n)), spectrum)
    close(spectral.dft_relevance(gradient(x), "exact"), expected.numpy())


@settings(max_examples=40)
@given(n=st.integers(1, 40), seed=SEEDS)
def test_dft_paper_is_equation_4_by_brute_force(n, seed):
    f = np.random.default_rng(seed).standard_normal((2, n))
    k, m = np.arange(n // 2 + 1)[:, None], np.arange(n)
    expected = (f[:, None, :] * np.exp(2j * np.pi * k * m / n)).sum(-1) / n
    close(spectral.dft_relevance(f), expected)
    close(spectral.dft_relevance(f), np.fft.ifft(f)[:, : n // 2 + 1])


@settings(max_examples=20)
@given(n=st.integers(1, 40), seed=SEEDS)
def test_forms_differ_by_conjugate_and_one_sided_factor(n, seed):
    f = np.random.default_rng(seed).standard_normal(n)
    exact = spectral.dft_relevance(f, "exact")
    close(exact, spectral.one_sided_factor(n) * spectral.dft_relevance(f, "paper").conj())


def test_exact_is_the_slope_of_the_score():
    """Central differences in the real and imaginary part of one bin: no autograd at all."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(16)
    spectrum, step = np.fft.rfft(x), 1e-5
    g = spectral.dft_relevance(gradient(torch.tensor(x)), "exact")
    for k in (0, 3, 8):
        slopes = []
        for direction in (1, 1j):
            y = []
            for sign in (1, -1):
                moved = spectrum.copy()
                moved[k] += sign * step * direction
                y.append(score(torch.tensor(np.fft.irfft(moved, 16))).item())
            slopes.append((y[0] - y[1]) / (2 * step))
        assert g[k] == pytest.approx(slopes[0] + 1j * slopes[1], abs=1e-7)


@st.composite
def stft_cases(draw):
    size = draw(st.integers(2, 24))
    n_fft = size + draw(st.integers(0, 9))
    hop = draw(st.integers(1, max(1, size // 2)))
    samples = draw(st.integers(n_fft + 1, 90))
    kind = draw(st.sampled_from(["hann", "hamming", "boxcar", "random"]))
    rng = np.random.default_rng(draw(SEEDS))
    if kind == "random":
        window = rng.uniform(0.2, 1.0, size)
    else:
        window = scipy.signal.get_window(kind, size) + (0.01 if kind == "hann" else 0)
    return window, n_fft, hop, rng.standard_normal(samples)


@settings(max_examples=60)
@given(case=stft_cases())
def test_stft_exact_equals_autograd_through_istft(case):
    window, n_fft, hop, samples = case
    x, w = torch.tensor(samples), torch.tensor(window)
    options = dict(n_fft=n_fft, hop_length=hop, win_length=len(w), window=w)
    spectrum = torch.stft(x, **options, pad_mode="constant", return_complex=True).requires_grad_()
    try:
        back = torch.istft(spectrum, **options, length=len(x))
    except RuntimeError:  # torch, too, refuses a sample that no window covers
        with pytest.raises(ValueError, match="uncovered"):
            spectral.stft_relevance(samples, window, hop, n_fft=n_fft, form="exact")
        return
    np.testing.assert_allclose(back.detach().numpy(), samples, atol=1e-9)
    (expected,) = torch.autograd.grad(score(back), spectrum)
    f = gradient(back)
    close(spectral.stft_relevance(f, window, hop, n_fft=n_fft, form="exact"), expected.numpy())


@settings(max_examples=20)
@given(case=stft_cases())
def test_stft_paper_is_the_inverse_dft_of_every_frame(case):
    window, n_fft, hop, f = case
    g = spectral.stft_relevance(f, window, hop, n_fft=n_fft)
    left = (n_fft - len(window)) // 2
    for m in range(g.shape[1]):
        frame = np.zeros(n_fft)
        for i, w in enumerate(window):
            n = m * hop - n_fft // 2 + left + i
            frame[left + i] = w * f[n] if 0 <= n < len(f) else 0
        close(g[:, m], np.fft.ifft(frame)[: n_fft // 2 + 1])
    close(
        np.conj(g) * n_fft,
        torch.stft(
            torch.tensor(f),
            n_fft,
            hop,
            len(window),
            torch.tensor(window),
            pad_mode="constant",
            return_complex=True,
        ).numpy(),
    )


def test_batches_go_along():
    f = np.random.default_rng(0).standard_normal((3, 2, 100))
    window = np.hanning(16) + 0.1
    for form in ("paper", "exact"):
        g = spectral.stft_relevance(f, window, 4, form=form)
        assert g.shape == (3, 2, 9, 26)
        close(g[2, 1], spectral.stft_relevance(f[2, 1], window, 4, form=form))


def test_forms_agree_inside_for_a_hann_window_with_hop_m_over_4():
    f = np.random.default_rng(0).standard_normal(800)
    window = scipy.signal.get_window("hann", 64)
    ratio = np.abs(spectral.stft_relevance(f, window, 16, form="exact")) / np.abs(
        spectral.stft_relevance(f, window, 16)
    )
    inside = ratio[1:-1, 4:-4]
    np.testing.assert_allclose(inside, 2 / 1.5, rtol=1e-9)  # c_k over the sum of squared windows
    loose = np.abs(spectral.stft_relevance(f, window, 28, form="exact")) / np.abs(
        spectral.stft_relevance(f, window, 28)
    )
    assert loose[1:-1, 4:-4].max() / loose[1:-1, 4:-4].min() > 1.5


def test_map_of_a_tone():
    rate = 16000
    tone = np.cos(2 * np.pi * 1000 * np.arange(rate) / rate)
    frequencies, times, magnitude = spectral.spectral_relevance(tone, rate)
    assert magnitude.shape == (len(frequencies), len(times))
    assert np.all(frequencies[magnitude[:, 20:-20].argmax(axis=0)] == 1000)
    np.testing.assert_allclose(np.diff(times), 0.005)
    assert (frequencies[0], frequencies[-1]) == (0, 8000)


REFUSED = {
    "f must be a real array": lambda: spectral.dft_relevance([1j]),
    "f must be a real array with at least one": lambda: spectral.dft_relevance([]),
    "f holds NaN": lambda: spectral.dft_relevance([1.0, np.nan]),
    "form 'right' is unknown: use paper or exact": lambda: spectral.dft_relevance([1.0], "right"),
    "hop_length is 0: give a whole number": lambda: spectral.stft_relevance(
        np.ones(9), np.ones(4), 0
    ),
    "window must be a one-dimensional": lambda: spectral.stft_relevance(np.ones(9), [[1.0]], 1),
    "n_fft is 3, shorter than the window's 4": lambda: spectral.stft_relevance(
        np.ones(9), np.ones(4), 2, n_fft=3
    ),
    "windows of 4 samples every 6 leave sample 2 uncovered": lambda: spectral.stft_relevance(
        np.ones(20), np.ones(4), 6, form="exact"
    ),
    r"f has shape \(2, 9\): give one signal": lambda: spectral.spectral_relevance(
        np.ones((2, 9)), 16000
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_right_is_refused(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


@pytest.mark.parametrize("form", ["paper", "exact"])
def test_blocks_of_frames_are_one_map(monkeypatch, form):
    """However few frames are held at once."""
    f = np.random.default_rng(0).standard_normal((2, 3, 3001))
    window = scipy.signal.get_window("hann", 400)
    whole = spectral.stft_relevance(f, window, 100, form=form)
    mapped = spectral.spectral_relevance(f[0, 0], 16000, form=form)
    for size in (1, 400 * 6 * 7, 10**9):
        monkeypatch.setattr(spectral, "_BLOCK", size)
        np.testing.assert_array_equal(spectral.stft_relevance(f, window, 100, form=form), whole)
        again = spectral.spectral_relevance(f[0, 0], 16000, form=form)
        np.testing.assert_array_equal(again.magnitude, mapped.magnitude)


@pytest.mark.slow
def test_an_hour_needs_little_more_than_its_map():
    """Beyond the result: the signal twice and one block of frames, here 30 MB for ten minutes."""
    f = np.random.default_rng(0).standard_normal(600 * 16000)
    tracemalloc.start()
    found = spectral.spectral_relevance(f, 16000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < found.magnitude.nbytes + 2 * f.nbytes + 12 * 8 * spectral._BLOCK
