# %% [markdown]
# # Week 4: controls, and a known answer
#
# Chapters 9 and 12. About two hours. Fill in the cells that say `YOUR CODE HERE`;
# the cells below them are tests that you can run. When it is marked, further tests run.
#
# Nothing here needs recordings: vowels are generated, and the networks come with
# `relviz`.

# %%
import numpy as np
import torch

import relviz
from relviz import controls, signals
from relviz.corpora import cued

rng = np.random.default_rng(4)

# %% [markdown]
# ## 1 How alike? (2 points)
#
# Return the cosine of two signals: 1 if one is a positive multiple of the other, near 0
# if they have nothing to do with each other.


# %% solution cosine
def cosine(a, b):
    ### BEGIN SOLUTION
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))
    ### END SOLUTION


# %% tests test-cosine 2
assert np.isclose(cosine(np.array([1.0, 2.0]), np.array([2.0, 4.0])), 1)
### BEGIN HIDDEN TESTS
a, b = rng.normal(size=(2, 100)) + 1
assert np.isclose(cosine(a, b), controls.cosine(a, b))
assert np.isclose(cosine(a, -3 * a), -1)
### END HIDDEN TESTS

# %% [markdown]
# ## 2 How far did the answer move? (4 points)
#
# `before` and `after` are scores (before the softmax), `(sounds, classes)`. Return
# chapter 12's $D$ in nats, mean over the sounds. It must not fail for scores as large
# as 1000.


# %% solution nats
def nats(before, after):
    ### BEGIN SOLUTION
    p = torch.as_tensor(before, dtype=torch.float64).log_softmax(-1)
    q = torch.as_tensor(after, dtype=torch.float64).log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())
    ### END SOLUTION


# %% tests test-nats 4
same = rng.normal(size=(5, 3))
assert np.isclose(nats(same, same), 0)
### BEGIN HIDDEN TESTS
assert np.isclose(nats(same, same + 7), 0)
p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
assert np.isclose(nats(np.log(p), np.log(q)), np.log(0.5 / 0.3))
assert np.isclose(nats(np.log(q), np.log(p)), 0.9 * np.log(1.8) + 0.1 * np.log(0.2))
assert np.isclose(nats(np.array([[1000.0, 0.0]]), np.array([[0.0, 0.0]])), np.log(2))
### END HIDDEN TESTS

# %% [markdown]
# ## 3 One cue of another vowel (5 points)
#
# `vowels` are generated vowels of `relviz.corpora.cued`. Give each vowel one cue of the
# next one (the last takes the first one's), hold all else, and return by how many nats
# the network's answer moves. `heard` cuts out what the network hears.


# %%
def heard(net, vowels):
    """Return the windows around the vowels' steady states, (vowels, samples)."""
    begin = [round(v.steady * 16000) - net.window // 2 for v in vowels]
    cut = [v.wave()[n : n + net.window] for v, n in zip(vowels, begin, strict=True)]
    return signals.standardise(torch.from_numpy(np.stack(cut)))


# %% solution effect
def effect(net, vowels, cue):
    ### BEGIN SOLUTION
    others = [*vowels[1:], vowels[0]]
    pairs = zip(vowels, others, strict=True)
    changed = [one.with_cue(cue, other.cue(cue)) for one, other in pairs]
    with torch.inference_mode():
        return nats(net(heard(net, vowels)), net(heard(net, changed)))
    ### END SOLUTION


# %% tests test-effect 5
vowels = cued.draw(12, seed=5)
net = relviz.load("cues-F1")
assert effect(net, vowels, "F1") > 1
### BEGIN HIDDEN TESTS
for name in ("cues-F0", "cues-F1", "cues-F2"):
    own = name.removeprefix("cues-")
    moved = {c: effect(relviz.load(name), vowels, c) for c in ("F0", "F1", "F2")}
    assert moved[own] > 1
    assert all(n < 0.5 * moved[own] for c, n in moved.items() if c != own)
same = [vowels[0]] * 4
assert np.isclose(effect(net, same, "F1"), 0, atol=1e-6)
### END HIDDEN TESTS

# %% [markdown]
# ## 4 The league's score (4 points)
#
# `uses` are a measure's values for networks that use a cue, `ignores` those for
# networks that do not. Return how often the measure is right: the share of pairs in
# which it is higher for the network that uses the cue. A tie counts one half.


# %% solution league
def right(uses, ignores):
    ### BEGIN SOLUTION
    uses, ignores = np.asarray(uses)[:, None], np.asarray(ignores)
    return float(np.mean((uses > ignores) + 0.5 * (uses == ignores)))
    ### END SOLUTION


# %% tests test-league 4
assert right([2.0, 3.0], [1.0, 0.0]) == 1
### BEGIN HIDDEN TESTS
assert right([1.0], [1.0]) == 0.5
assert right([1.0, 3.0], [2.0, 3.0]) == 0.375
assert np.isclose(right(rng.normal(size=300), rng.normal(size=300)), 0.5, atol=0.08)
### END HIDDEN TESTS
