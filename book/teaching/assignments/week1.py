# %% [markdown]
# # Week 1: networks that hear
#
# Chapters 1 and 2. About two hours. Fill in the cells that say `YOUR CODE HERE`;
# the cells below them are tests that you can run. When it is marked, further tests run.
#
# Nothing here needs recordings.

# %%
import numpy as np
import torch

from relviz import networks

rng = np.random.default_rng(1)

# %% [markdown]
# ## 1 Blocks (3 points)
#
# Cut a signal into blocks of `width` samples, each `shift` samples after the one
# before. Only whole blocks count. Return them as the rows of an array,
# `(blocks, width)`.


# %% solution blocks
def blocks(x, width, shift):
    ### BEGIN SOLUTION
    windows = np.lib.stride_tricks.sliding_window_view(x, width)
    return windows[::shift]
    ### END SOLUTION


# %% tests test-blocks 3
assert blocks(np.arange(7), 3, 2).tolist() == [
    [0, 1, 2],
    [2, 3, 4],
    [4, 5, 6],
]
assert blocks(np.arange(4000), 30, 10).shape == (398, 30)
### BEGIN HIDDEN TESTS
assert blocks(np.arange(8), 3, 2).tolist() == [
    [0, 1, 2],
    [2, 3, 4],
    [4, 5, 6],
]
assert blocks(np.arange(5), 5, 3).shape == (1, 5)
x = rng.normal(size=101)
assert np.array_equal(blocks(x, 7, 4)[-1], x[92:99])
### END HIDDEN TESTS

# %% [markdown]
# ## 2 The first layer (3 points)
#
# The convolution of chapter 1: every block times every filter, plus the filter's bias.
# `filters` is `(n_f, width)`, `bias` is `(n_f,)`; return `(blocks, n_f)`. One matrix
# product will do.


# %% solution first-layer
def first_layer(x, filters, bias, shift):
    ### BEGIN SOLUTION
    return blocks(x, filters.shape[1], shift) @ filters.T + bias
    ### END SOLUTION


# %% tests test-first-layer 3
found = first_layer(np.arange(5.0), np.array([[1.0, -1.0]]), np.array([0.5]), 1)
assert found.shape == (4, 1), f"give (blocks, n_f), here (4, 1), not {found.shape}"
assert np.allclose(found, -0.5)
### BEGIN HIDDEN TESTS
x, w, b = rng.normal(size=400), rng.normal(size=(8, 30)), rng.normal(size=8)
truth = torch.nn.functional.conv1d(
    torch.tensor(x)[None, None],
    torch.tensor(w)[:, None],
    torch.tensor(b),
    stride=10,
)
assert np.allclose(first_layer(x, w, b, 10), truth[0].T.numpy())
### END HIDDEN TESTS

# %% [markdown]
# ## 3 Receptive fields (4 points)
#
# `layers` is a list of pairs, kernel width and shift, from the input upwards; pooling
# counts as a layer. Return a list with the length of the receptive field, in samples,
# after each of them.


# %% solution fields
def fields(layers):
    ### BEGIN SOLUTION
    length, step, found = 1, 1, []
    for width, shift in layers:
        length += (width - 1) * step
        step *= shift
        found.append(length)
    return found
    ### END SOLUTION


# %% tests test-fields 4
assert fields([(30, 10)]) == [30]
assert fields([(30, 10), (3, 3)]) == [30, 50]
assert fields([(30, 10), (3, 3), (7, 1)]) == [30, 50, 230]
### BEGIN HIDDEN TESTS
for architecture in (networks.PHONE_CNN, networks.SPEAKER_CNN):
    layers, truth = [], []
    for layer in networks.geometry(architecture):
        if layer.name.startswith(("conv", "pool")):
            layers.append((layer.kernel_size, layer.stride))
            truth.append(layer.receptive_field)
    assert fields(layers) == truth
### END HIDDEN TESTS

# %% [markdown]
# ## 4 What equation (2) does to a block (4 points)
#
# Chapter 2 writes equation (2) as the spectrum of $P\mathbf x$. Return $P$ for a matrix
# of filters, `(n_f, width)`.
#
# Then say what an untrained network shows: for independent weights of variance
# $\sigma^2$, return the number $c$ for which $P$ is $c\,I$ on average.


# %% solution dictionary
def dictionary(filters):
    ### BEGIN SOLUTION
    return filters.T @ filters
    ### END SOLUTION


def untrained_gain(n_f, variance):
    ### BEGIN SOLUTION
    return n_f * variance
    ### END SOLUTION


# %% tests test-dictionary 4
assert np.allclose(dictionary(np.eye(4)), np.eye(4))
assert dictionary(rng.normal(size=(80, 30))).shape == (30, 30)
assert np.isscalar(untrained_gain(80, 0.5)), "give one number"
### BEGIN HIDDEN TESTS
w, x = rng.normal(size=(80, 30)), rng.normal(size=30)
slow = sum(np.dot(x, f) * np.fft.rfft(f, 64) for f in w)
assert np.allclose(np.fft.rfft(dictionary(w) @ x, 64), slow)
many = np.mean([dictionary(rng.normal(0, 0.2, (80, 6))) for _ in range(2000)], 0)
assert np.allclose(many, untrained_gain(80, 0.04) * np.eye(6), atol=0.1)
### END HIDDEN TESTS
