"""relviz.filters: equations (1) and (2) against their definitions, written out."""

import numpy as np
import pytest

from relviz import filters


def test_equation_1_written_out():
    kernels = np.random.default_rng(0).standard_normal((5, 30))
    kernels[3] = 0
    frequencies, cumulative = filters.cumulative_response(kernels, 16000, n_fft=64)
    expected = np.zeros(33)
    for kernel in kernels[[0, 1, 2, 4]]:
        magnitude = np.array(
            [abs(sum(kernel * np.exp(-2j * np.pi * k * np.arange(30) / 64))) for k in range(33)]
        )
        expected += magnitude / np.sqrt((magnitude**2).sum())
    np.testing.assert_allclose(cumulative, expected, rtol=1e-12)
    assert (frequencies[0], frequencies[-1]) == (0, 8000)


def test_scaling_a_filter_does_not_change_equation_1():
    kernels = np.random.default_rng(0).standard_normal((3, 8))
    scaled = kernels * np.array([[1.0], [100.0], [0.01]])
    np.testing.assert_allclose(
        filters.cumulative_response(kernels, 8000)[1],
        filters.cumulative_response(scaled, 8000)[1],
    )


def test_equation_2_written_out():
    rng = np.random.default_rng(0)
    kernels, x = rng.standard_normal((5, 30)), rng.standard_normal((4, 30))
    _, response = filters.dictionary_response(x, kernels, 16000, n_fft=128)
    for row, frame in zip(response, x, strict=True):
        total = sum(np.dot(frame, kernel) * np.fft.fft(kernel, 128) for kernel in kernels)
        np.testing.assert_allclose(row, np.abs(total)[:65], rtol=1e-10)


def test_an_orthonormal_dictionary_gives_the_spectrum_of_the_frame():
    kernels = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 30)))[0]
    x = np.random.default_rng(1).standard_normal(30)
    _, response = filters.dictionary_response(x, kernels, 16000, n_fft=64)
    np.testing.assert_allclose(response, np.abs(np.fft.rfft(x, 64)), rtol=1e-9)


def test_refusals():
    with pytest.raises(ValueError, match=r"filters have shape \(30,\): give \(n_f, kW\)"):
        filters.cumulative_response(np.ones(30), 16000)
    with pytest.raises(ValueError, match="n_fft is 16, shorter than the kernels' 30 taps"):
        filters.cumulative_response(np.ones((2, 30)), 16000, n_fft=16)
    with pytest.raises(ValueError, match="x has 29 samples a frame and the kernels have 30"):
        filters.dictionary_response(np.ones(29), np.ones((2, 30)), 16000)
