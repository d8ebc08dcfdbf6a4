"""The compiled functions against torch's layers and their gradients."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from relviz import _kernels

SHAPES = st.tuples(*(st.integers(1, most) for most in (3, 5, 9, 4)))
"""Windows, positions that come out, channels, and size of the pooling."""

# few values, so that maxima are shared and zeros are met
VALUES = np.array([-2, -1, -0.0, 0, 1, 2, np.nan, np.inf], dtype=np.float32)


def drawn(values, shape, seed):
    return np.random.default_rng(seed).choice(values, shape)


def pooled(x, size, positions):
    rectified = np.full((len(x), positions, x.shape[2]), 7, x.dtype)
    places = np.full(rectified.shape, 7, np.uint8)
    _kernels.pool(size)(x, rectified, places)
    return rectified, places


@settings(max_examples=40)
@given(SHAPES, st.integers(0, 3), st.integers(0, 99), st.sampled_from([np.float32, np.float64]))
def test_pool_is_the_first_maximum_and_nan_stays(shape, rest, seed, dtype):
    windows, positions, channels, size = shape
    x = drawn(VALUES, (windows, positions * size + rest % size, channels), seed).astype(dtype)
    rectified, places = pooled(x, size, positions)
    by_torch = F.max_pool1d(torch.from_numpy(x).mT, size).relu().mT.numpy()
    assert np.array_equal(rectified, by_torch, equal_nan=True)
    covered = x[:, : positions * size].reshape(windows, positions, size, channels)
    known = ~np.isnan(rectified)
    assert np.array_equal(places[known], covered.argmax(2)[known])


@settings(max_examples=40)
@given(SHAPES, st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 99))
def test_both_ways_back_are_the_transposed_convolution(shape, kernel_size, positive, active, seed):
    """What is let through, by a mask and torch's own transposed convolution."""
    windows, positions, channels, size = shape
    rng, heard = np.random.default_rng(seed), 2
    length = positions * size + seed % size
    rectified, places = pooled(rng.standard_normal((windows, length, channels)), size, positions)
    g = drawn([-1.5, 0.0, 0.5, 2.0], rectified.shape, seed)
    kernels = rng.standard_normal((channels, heard, kernel_size))

    shut = (positive & (g <= 0)) | (active & (rectified <= 0))
    right = np.zeros((windows, length, channels))
    for at in np.argwhere(~shut):
        window, position, channel = at
        right[window, position * size + places[tuple(at)], channel] = g[tuple(at)]

    margin = kernel_size - 1
    spread = np.full((windows, length + 2 * margin, channels), np.nan)
    settings = (size, positive, active)
    _kernels.unpool(g, rectified, places, spread, margin, *settings)
    assert np.array_equal(spread[:, margin:][:, : positions * size], right[:, : positions * size])
    assert np.isnan(spread[:, :margin]).all()
    assert np.isnan(spread[:, margin + positions * size :]).all()

    below = np.full((windows, length + margin, heard), np.nan)
    rows = np.ascontiguousarray(kernels.transpose(0, 2, 1)).reshape(channels, -1)
    _kernels.scatter(g, rectified, places, below, rows, *settings)
    by_torch = F.conv_transpose1d(torch.from_numpy(right).mT, torch.from_numpy(kernels)).mT
    np.testing.assert_allclose(below, by_torch.numpy(), rtol=1e-12, atol=1e-12)


def test_a_gradient_that_is_no_number_is_not_hidden():
    ones, first = np.ones((1, 1, 2)), np.zeros((1, 1, 2), np.uint8)
    g = np.array([[[np.nan, -1.0]]])
    spread, below = np.zeros((1, 1, 2)), np.zeros((1, 1, 1))
    _kernels.unpool(g, ones, first, spread, 0, 1, True, True)
    _kernels.scatter(g, ones, first, below, np.ones((2, 1)), 1, True, True)
    assert np.isnan(spread[0, 0, 0]) and spread[0, 0, 1] == 0
    assert np.isnan(below).all()


def test_without_a_folder_to_write_to_it_compiles_all_the_same(monkeypatch):
    njit, asked = numba.njit, []

    def nowhere(*, cache=False, **how):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**how)

    monkeypatch.setattr(numba, "njit", nowhere)
    fill = _kernels._compiled(_fill)
    numbers = np.zeros(2)
    fill(numbers)
    assert asked == [False, True] and numbers.tolist() == [3, 3]


def _fill(numbers):
    numbers[:] = 3


SLOW = """
import relviz, torch
from relviz import _engine
net = relviz.load("phones")
assert _engine._compiled(torch.zeros(1)) is None
print(relviz.relevance(net, torch.randn(2, 4000), 0).shape)
"""


@pytest.mark.slow
def test_where_numba_is_told_not_to_compile_torch_computes():
    done = subprocess.run(
        [sys.executable, "-c", SLOW],
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert done.stdout == "torch.Size([2, 4000])\n", done.stderr


HEARD = """
import resource, sys, relviz, torch
if "full" in sys.argv:  # no file may become longer
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
x = torch.linspace(-1, 1, 8000).reshape(2, 4000)
print(relviz.relevance(relviz.load("phones"), x, 0).double().sum().item())
"""


@pytest.mark.slow
def test_a_full_disk_and_a_broken_file_cost_time_alone(tmp_path):
    def heard(folder, *how):
        done = subprocess.run(
            [sys.executable, "-c", HEARD, *how],
            capture_output=True,
            text=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / folder)},
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    right = heard("whole")
    assert heard("none", "full") == right
    kept = list((tmp_path / "whole").rglob("*.nb?"))
    assert len(kept) >= 6  # an index and a function each
    for path in kept:
        path.write_bytes(path.read_bytes()[:30])
    assert heard("whole") == right


def test_what_is_wrong_with_the_call_is_said():
    with pytest.raises(numba.TypingError):
        _kernels.unpool(None, None, None, None, 0, 1, True, True)


def test_nothing_holds_the_interpreters_lock(monkeypatch):
    asked = []
    monkeypatch.setattr(numba, "njit", lambda **how: asked.append(how) or (lambda function: None))
    _kernels._compiled(_fill)
    assert asked and all(how["nogil"] for how in asked)
