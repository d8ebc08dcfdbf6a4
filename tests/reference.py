"""Guided backpropagation, layer by layer in numpy: no autograd, nothing shared with relviz.

A network is a list of layers. Each is a tuple whose first entry names it:

    ("conv", weight, bias, stride)   weight (out, in, *kernel), any number of spatial dimensions
    ("pool", size)                   max-pooling, shift = size in every spatial dimension
    ("relu",)  ("flatten",)  ("linear", weight, bias)

Arrays are single items, (channels, *space), float64.
"""

from __future__ import annotations

import itertools

import numpy as np


def forward(layers, x):
    """Scores, and what each layer needs on the way back."""
    tape = []
    for layer in layers:
        tape.append(x)
        x = _FORWARD[layer[0]](x, *layer[1:])
    return x, tape


def backward(layers, tape, gradient, method):
    """Relevance of the input under "gradient", "deconvnet" or "guided"."""
    for layer, x in zip(reversed(layers), reversed(tape), strict=True):
        if layer[0] == "relu":
            if method != "deconvnet":
                gradient = np.where(x > 0, gradient, 0)
            if method != "gradient":
                gradient = np.where(gradient > 0, gradient, 0)
        else:
            gradient = _BACKWARD[layer[0]](gradient, x, *layer[1:])
    return gradient


def relevance(layers, x, target, method):
    scores, tape = forward(layers, x)
    start = np.zeros_like(scores)
    start[scores.argmax() if target is None else target] = 1
    return backward(layers, tape, start, method)


def _positions(shape, size, stride):
    """(output index, input slice) of every place a kernel of `size` stands."""
    counts = [(n - k) // s + 1 for n, k, s in zip(shape, size, stride, strict=True)]
    for index in itertools.product(*map(range, counts)):
        window = tuple(slice(i * s, i * s + k) for i, s, k in zip(index, stride, size, strict=True))
        yield index, window
    return


def _conv(x, weight, bias, stride):
    size = weight.shape[2:]
    step = (stride,) * len(size)
    shape = [(n - k) // stride + 1 for n, k in zip(x.shape[1:], size, strict=True)]
    out = np.empty((weight.shape[0], *shape))
    flat = weight.reshape(weight.shape[0], -1)
    for index, window in _positions(x.shape[1:], size, step):
        out[(slice(None), *index)] = flat @ x[(slice(None), *window)].ravel() + bias
    return out


def _conv_back(gradient, x, weight, bias, stride):
    size = weight.shape[2:]
    out = np.zeros_like(x)
    flat = weight.reshape(weight.shape[0], -1)
    for index, window in _positions(x.shape[1:], size, (stride,) * len(size)):
        patch = (gradient[(slice(None), *index)] @ flat).reshape(weight.shape[1:])
        out[(slice(None), *window)] += patch
    return out


def _pool(x, size):
    space = (size,) * (x.ndim - 1)
    out = np.empty((x.shape[0], *[n // size for n in x.shape[1:]]))
    for index, window in _positions(x.shape[1:], space, space):
        out[(slice(None), *index)] = x[(slice(None), *window)].reshape(x.shape[0], -1).max(axis=1)
    return out


def _pool_back(gradient, x, size):
    space = (size,) * (x.ndim - 1)
    out = np.zeros_like(x)
    for index, window in _positions(x.shape[1:], space, space):
        for c in range(x.shape[0]):
            patch = x[(c, *window)]
            winner = np.unravel_index(patch.argmax(), patch.shape)
            out[(c, *window)][winner] += gradient[(c, *index)]
    return out


_FORWARD = {
    "conv": _conv,
    "pool": _pool,
    "relu": lambda x: np.where(x > 0, x, 0),
    "flatten": lambda x: x.ravel(),
    "linear": lambda x, weight, bias: weight @ x + bias,
}
_BACKWARD = {
    "conv": _conv_back,
    "pool": _pool_back,
    "flatten": lambda gradient, x: gradient.reshape(x.shape),
    "linear": lambda gradient, x, weight, bias: weight.T @ gradient,
}
