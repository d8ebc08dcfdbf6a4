# %% [markdown]
# # Week 3: frequencies, and what counts as right
#
# Chapters 5 and 8. About two hours. Fill in the cells that say `YOUR CODE HERE`;
# the cells below them are tests that you can run. When it is marked, further tests run.
#
# Nothing here needs recordings.

# %%
import numpy as np
import torch

from relviz import statistics

rng = np.random.default_rng(3)

# %% [markdown]
# ## 1 Gradient of a spectrum (4 points)
#
# `f` is the gradient of a score with respect to N real samples. Return the gradient
# $G_k$ with respect to the one-sided spectrum, bins 0 to N // 2, with the samples
# staying real. Mind the bins that have no twin, for even and odd N.


# %% solution gradient
def spectrum_gradient(f):
    ### BEGIN SOLUTION
    n = len(f)
    factor = np.full(n // 2 + 1, 2.0)
    factor[0] = 1
    if n % 2 == 0:
        factor[-1] = 1
    return factor * np.fft.rfft(f) / n
    ### END SOLUTION


# %% tests test-gradient 4
assert np.allclose(spectrum_gradient(np.array([1.0, 0, 0, 0])), [0.25, 0.5, 0.25])
### BEGIN HIDDEN TESTS
for n in (16, 21):
    f = rng.normal(size=n)
    bins = torch.tensor(np.fft.rfft(rng.normal(size=n)), requires_grad=True)
    score = (torch.fft.irfft(bins, n=n) * torch.tensor(f)).sum()
    (truth,) = torch.autograd.grad(score, bins)
    assert np.allclose(spectrum_gradient(f), truth.numpy())
### END HIDDEN TESTS

# %% [markdown]
# ## 2 The steepest step (3 points)
#
# At one bin the gradient is the complex number `G`. Return by how much the score
# changes, to first order, for a step of length `size` in the direction `angle`
# (radians).


# %% solution step
def step(G, size, angle):
    ### BEGIN SOLUTION
    return size * abs(G) * np.cos(angle - np.angle(G))
    ### END SOLUTION


# %% tests test-step 3
assert np.isclose(step(2 + 0j, 0.1, 0.0), 0.2)
### BEGIN HIDDEN TESTS
assert np.isclose(step(3j, 0.1, np.pi / 2), 0.3)
assert np.isclose(step(3j, 0.1, 0.0), 0)
assert np.isclose(step(1 + 1j, 1.0, 5 * np.pi / 4), -np.sqrt(2))
### END HIDDEN TESTS

# %% [markdown]
# ## 3 Right (4 points)
#
# Chapter 8's protocol. An estimate is right when it lies within one deviation of the
# token's own measurement. Where no human could measure (the truth is NaN), the token is
# left out; where the analysis found nothing (the estimate is NaN), it is wrong. Return
# the share of right tokens.


# %% solution right
def share_right(estimates, truths, deviations):
    ### BEGIN SOLUTION
    known = ~np.isnan(truths)
    error = np.abs(estimates - truths)[known]
    return float(np.mean(error <= np.broadcast_to(deviations, known.shape)[known]))
    ### END SOLUTION


# %% tests test-right 4
made = share_right(
    np.array([100.0, 130.0]),
    np.array([110.0, 110.0]),
    np.array([15.0, 15.0]),
)
assert made == 0.5
### BEGIN HIDDEN TESTS
nan = np.nan
made = share_right(
    np.array([100.0, nan, 90.0, nan]),
    np.array([110.0, 110.0, nan, nan]),
    np.full(4, 10.0),
)
assert made == 0.5
### END HIDDEN TESTS

# %% [markdown]
# ## 4 Witnesses (5 points)
#
# `right` is `(talkers, vowels)`, of zeros and ones. Return how many independent
# witnesses it is worth by chapter 8's rule, with $z = 1.96$ and the variance of the
# talkers' shares as a mean of squares.


# %% solution witnesses
def witnesses(right):
    ### BEGIN SOLUTION
    shares = np.mean(right, axis=1)
    n, p, v, z = len(shares), shares.mean(), shares.var(), 1.96
    return float(n * (n * p * (1 - p) + z**2 / 2) / (n * v + z**2 / 2))
    ### END SOLUTION


# %% tests test-witnesses 5
assert np.isclose(witnesses(np.ones((45, 5))), 45)
### BEGIN HIDDEN TESTS
whole = np.repeat([[1], [0], [1], [1]], 5, axis=1)
assert np.isclose(witnesses(whole), 4)
mixed = (rng.uniform(size=(40, 5)) < 0.7).astype(float)
assert 40 < witnesses(mixed) <= 40 * (40 * 0.25 + 1.9208) / 1.9208
p, v = mixed.mean(), mixed.mean(axis=1).var()
low = statistics.wilson(p, 40, variance=v).low
assert np.isclose(statistics.wilson(p, witnesses(mixed)).low, low, atol=1e-4)
### END HIDDEN TESTS
