"""Signal analysis in the browser against the library, numpy and scipy."""

import numpy as np
import pytest
import scipy.signal

from relviz import acoustics

RATE = 16000
SEEDS = range(4)


def speechlike(seed, samples=800):
    """Noise through three resonances, with pulses: what the formants' models are made for."""
    rng = np.random.default_rng(seed)
    source = 0.05 * rng.standard_normal(samples)
    source[:: int(rng.integers(60, 160))] += 1
    for hertz in rng.uniform([300, 900, 2200], [800, 2000, 3500]):
        radius = np.exp(-np.pi * 80 / RATE)
        a = [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2]
        source = scipy.signal.lfilter([1], a, source)
    return source / np.abs(source).max()


@pytest.mark.parametrize("size", [1, 2, 8, 64, 1024])
@pytest.mark.parametrize("sign", [-1, 1])
def test_fft(module, size, sign):
    rng = np.random.default_rng(size)
    z = rng.standard_normal(size) + 1j * rng.standard_normal(size)
    code = """
    const [re, im] = [Float64Array.from(args[0]), Float64Array.from(args[1])];
    m.fft(re, im, args[2]);
    return [Array.from(re), Array.from(im)];
    """
    re, im = module("dsp.js", code, z.real.tolist(), z.imag.tolist(), sign)
    expected = np.fft.fft(z) if sign < 0 else np.fft.ifft(z) * size
    np.testing.assert_allclose(np.array(re) + 1j * np.array(im), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("samples", "n"), [(16, 16), (100, 128), (1, 8), (400, 1024)])
def test_rfft_and_magnitude_fill_up_with_zeros(module, samples, n):
    frame = np.random.default_rng(n).standard_normal(samples)
    code = """
    const { re, im } = m.rfft(args[0], args[1]);
    return [Array.from(re), Array.from(im), Array.from(m.magnitude(args[0], args[1]))];
    """
    re, im, size = map(np.array, module("dsp.js", code, frame.tolist(), n))
    expected = np.fft.rfft(frame, n)
    np.testing.assert_allclose(re + 1j * im, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(size, np.abs(expected), rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", ["hann", "hamming", "boxcar"])
@pytest.mark.parametrize("size", [2, 16, 63, 400])
def test_windows(module, name, size):
    found = module("dsp.js", "return Array.from(m.taper(...args))", name, size)
    np.testing.assert_allclose(found, scipy.signal.get_window(name, size), rtol=0, atol=1e-14)


@pytest.mark.parametrize("centre", [-30, 0, 3, 50, 98, 99, 140])
@pytest.mark.parametrize("size", [1, 16, 21])
def test_a_frame_has_zeros_beyond_the_ends(module, centre, size):
    rng = np.random.default_rng(size)
    wave, window = rng.standard_normal(100), rng.uniform(0.5, 1, size)
    code = "return Array.from(m.frameAt(args[0], args[1], Float64Array.from(args[2])))"
    found = module("dsp.js", code, wave.tolist(), centre, window.tolist())
    padded = np.pad(wave, 200)
    start = 200 + centre - size // 2
    np.testing.assert_allclose(found, window * padded[start : start + size], rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_spectrum_at_a_time_is_the_librarys(module, seed):
    wave = speechlike(seed)
    code = """
    const window = m.taper("hamming", 400);
    return args[1].map((t) => Array.from(m.magnitude(m.frameAt(args[0], t * 16000, window), 1024)));
    """
    times = [0.0, 0.0123, 0.025, 0.05]
    found = module("dsp.js", code, wave.tolist(), times)
    for time, spectrum in zip(times, found, strict=True):
        _, expected = acoustics.short_term_spectrum(wave, RATE, time)
        np.testing.assert_allclose(spectrum, expected, rtol=0, atol=1e-10 * expected.max())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("order", [1, 4, 16])
def test_linear_prediction(module, seed, order):
    frame = speechlike(seed, 400) * scipy.signal.get_window("hamming", 400)
    found = module("dsp.js", "return Array.from(m.lpc(...args).a)", frame.tolist(), order)
    np.testing.assert_allclose(found, acoustics.lpc(frame, order), rtol=1e-6, atol=1e-8)
    # the independent route: the normal equations, solved as such
    r = np.correlate(frame, frame, "full")[399 : 400 + order]
    normal = r[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
    expected = np.concatenate([[1], -np.linalg.solve(normal, r[1:])])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_envelope_is_the_librarys(module, seed):
    frame = speechlike(seed, 400) * scipy.signal.get_window("hamming", 400)
    found = module("dsp.js", "return Array.from(m.envelope(args[0]))", frame.tolist())
    _, expected = acoustics.lp_envelope(frame, RATE)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_silence_has_no_envelope(module):
    assert module("dsp.js", "return [m.lpc(args[0]), m.envelope(args[0])]", [0] * 40) == [None] * 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spectrogram_is_frames_every_step(module, seed):
    wave = speechlike(seed, 1000)
    code = """
    const { columns, bins, step } = m.spectrogram(args[0], { size: 256, step: 100, n: 512 });
    return { columns: columns.map((c) => Array.from(c)), bins, step };
    """
    found = module("dsp.js", code, wave.tolist())
    padded = np.pad(wave, (128, 256))
    frames = np.array([padded[at : at + 256] for at in range(0, 1000, 100)])
    expected = np.abs(np.fft.rfft(frames * scipy.signal.get_window("hann", 256), 512))
    assert (found["bins"], found["step"]) == (257, 100)
    np.testing.assert_allclose(found["columns"], expected, rtol=0, atol=1e-11)


def test_decibels(module):
    code = "return args.map((a) => Array.from(m.decibels(...a)))"
    values = [0, 1e-9, 0.5, 2.0]
    plain, floor, top, silent = module(
        "dsp.js", code, [values], [values, -20], [values, -60, 4], [[0, 0]]
    )
    half = 20 * np.log10(0.25)
    np.testing.assert_allclose(plain, [-60, -60, half, 0])
    np.testing.assert_allclose(floor, [-20, -20, half, 0])
    np.testing.assert_allclose(top, [-60, -60, 20 * np.log10(0.125), half + 6.020599913])
    assert silent == [-60, -60]
