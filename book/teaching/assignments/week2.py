# %% [markdown]
# # Week 2: a relevance signal from nothing but the gradient
#
# Chapters 3 and 4. About three hours. Fill in the cells that say `YOUR CODE HERE`;
# the cells below them are tests that you can run. When it is marked, further tests run.
#
# Nothing here needs recordings.

# %%
from math import gcd

import numpy as np
import torch

import relviz
from relviz import networks
from relviz.corpora import synthetic

rng = np.random.default_rng(2)
net = networks.build(networks.PHONE_CNN, 40, seed=0)
wave = synthetic.vowel_corpus(["ah"], men=1, women=0)[0].wave()[:6000]

# %% [markdown]
# ## 1 Three rules (4 points)
#
# `x` is what came to a rectifier from below, `g` the gradient that comes from above.
# Return what goes on downwards under each rule: `"gradient"`, `"deconvnet"` and
# `"guided"`.


# %% solution rules
def back(rule, x, g):
    ### BEGIN SOLUTION
    passed = np.ones_like(g)
    if rule != "deconvnet":
        passed = passed * (x > 0)
    if rule != "gradient":
        passed = passed * (g > 0)
    return g * passed
    ### END SOLUTION


# %% tests test-rules 4
x = np.array([2.0, -1.0, 3.0, -4.0])
g = np.array([1.0, 1.0, -1.0, -1.0])
assert back("gradient", x, g).tolist() == [1, 0, -1, 0]
### BEGIN HIDDEN TESTS
assert back("deconvnet", x, g).tolist() == [1, 1, 0, 0]
assert back("guided", x, g).tolist() == [1, 0, 0, 0]
for rule in ("gradient", "deconvnet", "guided"):
    x = torch.tensor(rng.normal(size=50))
    v = torch.tensor(rng.normal(size=50))
    truth = relviz.relevance(
        lambda z, v=v: (z.relu() * v).sum(-1, keepdim=True),
        x[None],
        0,
        rule,
    )
    assert np.allclose(back(rule, x.numpy(), v.numpy()), truth[0].numpy())
### END HIDDEN TESTS

# %% [markdown]
# ## 2 Which images stay? (2 points)
#
# Windows a hop apart are averaged. Return at multiples of how many hertz images stay
# for a grid of the given period, in samples. Where the answer is the sample rate,
# nothing stays.


# %% solution images
def images(hop, period, rate=16000):
    ### BEGIN SOLUTION
    return rate / gcd(hop, period)
    ### END SOLUTION


# %% tests test-images 2
assert images(160, 10) == 1600
### BEGIN HIDDEN TESTS
assert images(97, 10) == images(97, 270) == 16000
assert images(164, 10) == 8000
assert images(45, 270) == 16000 / 45
### END HIDDEN TESTS

# %% [markdown]
# ## 3 One window (4 points)
#
# Return the gradient of the winning score with respect to a window, `(samples,)`,
# scaled to unit RMS. The window goes into the network with zero mean and unit variance
# (divide by N, not by N - 1), and the gradient is with respect to *that*. Use
# `torch.autograd.grad` alone.


# %% solution window
def window_relevance(net, window):
    ### BEGIN SOLUTION
    x = torch.tensor(window, dtype=torch.float32)
    x = (x - x.mean()) / x.std(unbiased=False)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(net(x[None]).max(), x)
    f = gradient.double().numpy()
    return f / np.sqrt(np.mean(f**2))
    ### END SOLUTION


# %% tests test-window 4
f = window_relevance(net, wave[1000:5000])
assert f.shape == (4000,)
assert np.isclose(np.mean(f**2), 1)
### BEGIN HIDDEN TESTS
for begin in (0, 700, 1333):
    part = wave[begin : begin + 4000]
    truth = relviz.relevance_signal(net, part, method="gradient", centres=(2000, 2000))
    assert np.allclose(window_relevance(net, part), truth, atol=1e-3)
### END HIDDEN TESTS

# %% [markdown]
# ## 4 The whole recording (6 points)
#
# Windows centred at samples 0, `hop`, 2 `hop`, ... of the recording, with zeros beyond
# its ends. A window of N samples that is centred at c begins at c - N // 2. Add all
# relevances at their places, and divide each sample by how many windows cover it.
# Compare with `relviz.relevance_signal(..., method="gradient")`.


# %% solution signal
def signal(net, wave, hop):
    ### BEGIN SOLUTION
    n = net.window
    padded = np.pad(wave, (n // 2, n))
    total, count = np.zeros(len(padded)), np.zeros(len(padded))
    for begin in range(0, len(wave), hop):
        total[begin : begin + n] += window_relevance(net, padded[begin : begin + n])
        count[begin : begin + n] += 1
    kept = slice(n // 2, n // 2 + len(wave))
    return total[kept] / np.maximum(count[kept], 1)
    ### END SOLUTION


# %% tests test-signal 6
found = signal(net, wave, 997)
assert found.shape == wave.shape
### BEGIN HIDDEN TESTS
for hop in (997, 1201):
    truth = relviz.relevance_signal(net, wave, hop, method="gradient")
    assert np.corrcoef(signal(net, wave, hop), truth)[0, 1] > 0.9999
    assert np.allclose(signal(net, wave, hop), truth, atol=1e-2)
### END HIDDEN TESTS
