"""Linear probes: how well a number, such as F0, can be read off what a layer says.

A probe is ridge regression from a layer's units to the number, and is asked about talkers that it
has not met, since voices that it knows by heart would make any layer look knowing. What a probe
reads is *there*; whether the network uses it is another question (Belinkov 2022,
10.1162/coli_a_00422). An untrained network is the control.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz import statistics
from relviz._errors import ParameterError
from relviz.statistics import Interval

__all__ = ["PENALTIES", "explained", "probe"]

PENALTIES = tuple(10.0 ** np.arange(-2, 7))
"""Candidates for the weight of the ridge; each fold chooses by generalised cross-validation."""


def probe(
    units: ArrayLike, values: ArrayLike, talkers: Sequence[str], folds: int = 5
) -> NDArray[np.float64]:
    """Read values off a layer by ridge regression, for talkers left out of its training.

    Parameters
    ----------
    units : array_like, (tokens, units)
        What the layer says; units share one scale, so that one that hardly ever speaks stays soft.
    values : array_like, (tokens,) or (tokens, values)
        What to read, finite.
    talkers : sequence of str, (tokens,)
        Talker i of the sorted names is read in fold i % folds, by a probe that was trained on all
        others.
    folds : int
        From 2 to the number of talkers.

    Returns
    -------
    ndarray
        What was read, in the shape of `values`.

    Raises
    ------
    ParameterError
        For shapes that do not fit, for NaN, and for fewer talkers than folds.

    References
    ----------
    Alain and Bengio (2016), 10.48550/arXiv.1610.01644; the weight by Golub, Heath and Wahba (1979),
    10.1080/00401706.1979.10489751.

    Notes
    -----
    Explained in chapter 11 of the book.

    Examples
    --------
    >>> units = np.random.default_rng(0).standard_normal((40, 3))
    >>> f0 = 120 + units @ [9.0, 0.0, -5.0]
    >>> talkers = [f"t{i // 4}" for i in range(40)]
    >>> bool(np.abs(probe(units, f0, talkers) - f0).max() < 0.1)
    True
    """
    x, y = np.asarray(units, dtype=np.float64), np.asarray(values, dtype=np.float64)
    names = {name: i for i, name in enumerate(sorted(set(talkers)))}
    if x.ndim != 2 or y.ndim not in (1, 2) or not len(x) == len(y) == len(talkers):
        raise ParameterError(
            f"units {x.shape}, values {y.shape} and {len(talkers)} talkers do not fit: give one "
            "row of each for every token."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ParameterError("units or values hold NaN: leave these tokens out.")
    if not 2 <= folds <= len(names):
        raise ParameterError(
            f"{len(names)} talkers make no {folds} folds: give 2 to as many folds."
        )
    fold = np.array([names[talker] % folds for talker in talkers])
    read = np.empty_like(y)
    for k in range(folds):
        train, test = fold != k, fold == k
        read[test] = _ridge(x[train], y[train], x[test])
    return read


def explained(
    values: ArrayLike, read: ArrayLike, talkers: Sequence[str], draws: int = 1000, seed: int = 0
) -> Interval:
    """Return the share of variance explained by what was read, with its interval.

    Parameters
    ----------
    values, read : array_like, (tokens,)
        What was to be read, and what `probe` read.
    talkers : sequence of str, (tokens,)
        Talkers, not tokens, are drawn for the interval, since the tokens of one are alike.
    draws, seed : int
        Of the bootstrap.

    Returns
    -------
    Interval
        R2 and its 95 % interval over talkers: at most 1, and below 0 if the mean does better.

    Notes
    -----
    Explained in chapter 11 of the book.

    Examples
    --------
    >>> explained([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 3.0], ["a", "a", "b", "b"]).value
    0.8
    """
    y, z = np.asarray(values, dtype=np.float64), np.asarray(read, dtype=np.float64)
    _, who = np.unique(np.asarray(talkers), return_inverse=True)
    off = y - y.mean()
    sums = [np.bincount(who, part) for part in (np.ones_like(y), (y - z) ** 2, off, off**2)]

    def r2(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        count, missed, first, second = drawn.T
        return 1 - missed / (second - first**2 / count)

    return statistics.bootstrap(np.stack(sums, axis=1), r2, draws=draws, seed=seed)


def _ridge(x: NDArray, y: NDArray, new: NDArray) -> NDArray:
    """Ridge regression of y on x, centred and scaled, applied to `new`; a penalty a value."""
    mean = x.mean(axis=0)
    scale = np.sqrt(np.mean((x - mean) ** 2)) or 1.0
    left, s, right = np.linalg.svd((x - mean) / scale, full_matrices=False)
    offset = y.mean(axis=0)
    target = left.T @ (y - offset).reshape(len(y), -1)  # (components, values)
    total = ((y - offset).reshape(len(y), -1) ** 2).sum(axis=0)
    best, weights = np.full(target.shape[1], np.inf), np.zeros((len(s), target.shape[1]))
    for penalty in PENALTIES:
        kept = s**2 / (s**2 + penalty)
        # residual: what the components miss, and what lies outside all of them
        missed = total - (target**2).sum(axis=0) + (((1 - kept)[:, None] * target) ** 2).sum(axis=0)
        gcv = missed / (len(y) - 1 - kept.sum()) ** 2
        better = gcv < best
        best = np.where(better, gcv, best)
        slopes = (s / (s**2 + penalty))[:, None] * target
        weights = np.where(better, slopes, weights)
    found = ((new - mean) / scale) @ right.T @ weights
    return offset + found.reshape(len(new), *y.shape[1:])
