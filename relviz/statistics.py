"""_Numbers with intervals: one `Interval`, and the ways to come by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from relviz._errors import ParameterError

__all__ = ["Interval", "bootstrap", "prediction_interval", "t_interval", "wilson"]

_Number = TypeVar("_Number", float, NDArray[np.float64])


@dataclass(frozen=True)
class Interval(Generic[_Number]):
    """A value with the ends of an interval around it.

    It unpacks, ``value, low, high = interval``, and is written with the format of its numbers.

    Parameters
    ----------
    value : float or ndarray
        What was found.
    low, high : float or ndarray
        The ends, in the unit and shape of `value`; NaN where nothing is known of them.

    Examples
    --------
    >>> share = Interval(0.236, 0.2214, 0.2506)
    >>> print(share)
    0.236 [0.221, 0.251]
    >>> f"{share:.1%}"
    '23.6% [22.1%, 25.1%]'
    >>> value, low, high = share
    """

    value: _Number
    low: _Number
    high: _Number

    def __iter__(self) -> Iterator[_Number]:
        return iter((self.value, self.low, self.high))

    def __str__(self) -> str:
        if np.ndim(self.value):
            return f"{self.value} [{self.low}, {self.high}]"
        return format(self, ".3g")

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def wilson(
    share: float, trials: float, confidence: float = 0.95, *, variance: float | None = None
) -> Interval[float]:
    """Give the share of successes in independent trials Wilson's score interval.

    Parameters
    ----------
    share : float
        Successes over trials, from 0 to 1; or the mean of several units' shares.
    trials : float
        How many independent trials, above 0; or how many units.
    confidence : float
        How often such intervals hold the true probability, from 0 to 1.
    variance : float, optional
        Of the units' shares, a sum of squares over their number. Default: that of units which
        succeed or fail as a whole, share times (1 - share), the largest.

    Returns
    -------
    Interval
        Within 0 to 1. It has a width even where all trials succeeded, or none.

    Raises
    ------
    ParameterError
        For a share outside 0 to 1, no trials, a confidence outside 0 to 1 and a variance below 0.

    References
    ----------
    Wilson (1927), 10.1080/01621459.1927.10502953.

    Notes
    -----
    A talker who says five words is a unit with a share, not five trials. Units are worth
    ``units * (units * share * (1 - share) + z**2 / 2) / (units * variance + z**2 / 2)`` trials, z
    being 1.96 for 95 %: as many as they are where each succeeds or fails as a whole, more the less
    they differ. Of units that are all right nothing is known of how they differ, and they count
    once. The summand is the least with which an interval's lower end does not rise when one more
    trial of a unit fails. Explained in chapter 8 of the book.

    Examples
    --------
    >>> print(wilson(1.0, 45))
    1 [0.921, 1]
    >>> print(wilson(0.8, 45, variance=0.02))
    0.8 [0.728, 0.857]
    """
    if not 0 <= share <= 1:
        raise ParameterError(f"share is {share:g}: give successes / trials, from 0 to 1.")
    if not 0 < trials < np.inf:
        raise ParameterError(f"trials is {trials:g}: give a number above 0.")
    if variance is None:
        variance = share * (1 - share)
    if not 0 <= variance < np.inf:
        raise ParameterError(f"variance is {variance:g}: give that of the shares, 0 or more.")
    z = float(special.ndtri(_upper(confidence)))
    known = trials * share * (1 - share), trials * variance
    trials *= (known[0] + z**2 / 2) / (known[1] + z**2 / 2)
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials)
    half *= float(np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)))
    # the ends are the share itself where all trials or none succeeded, rounding aside
    low = 0.0 if share == 0 else min(max(centre - half, 0.0), share)
    high = 1.0 if share == 1 else max(min(centre + half, 1.0), share)
    return Interval(float(share), float(low), float(high))


def t_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Give a mean the interval of Student's t distribution.

    Parameters
    ----------
    values : array_like, (units, ...)
        One row for each independent unit, such as a talker.
    confidence : float
        How often such intervals hold the true mean, if values are normal; from 0 to 1.

    Returns
    -------
    Interval
        The mean over units, in the shape of one unit's values. Of a single unit the ends are NaN.

    Raises
    ------
    ParameterError
        For no units and for a confidence outside 0 to 1.

    See Also
    --------
    prediction_interval : where one more unit would lie, which is wider.

    Examples
    --------
    >>> print(t_interval([1.0, 2.0, 3.0]))
    2 [-0.484, 4.48]
    """
    x = _units(values)
    return _around(x, np.sqrt(1 / len(x)), confidence)


def prediction_interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Give a mean the interval in which one more unit of the same kind would lie.

    Parameters
    ----------
    values : array_like, (units, ...)
        One row for each independent unit, such as an untrained network.
    confidence : float
        How often one more unit lies within, if values are normal; from 0 to 1.

    Returns
    -------
    Interval
        The mean over units, in the shape of one unit's values. Of a single unit the ends are NaN.

    Raises
    ------
    ParameterError
        For no units and for a confidence outside 0 to 1.

    See Also
    --------
    t_interval : where the mean lies, which is narrower.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> print(prediction_interval([1.0, 2.0, 3.0]))
    2 [-2.97, 6.97]
    """
    x = _units(values)
    return _around(x, np.sqrt(1 + 1 / len(x)), confidence)


def bootstrap(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], Any] | None = None,
    *,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Give a statistic of independent units its interval, by drawing units with replacement.

    Parameters
    ----------
    values : array_like, (units, ...)
        One row for each independent unit, such as an utterance or a speaker, of numbers that can be
        added: what is drawn is summed up.
    statistic : callable, optional
        A function of sums over units, (draws, ...), that returns one row a draw. Default: the mean
        over units. A rate such as errors over phones is ``lambda s: s[:, 0] / s[:, 1]``.
    draws : int
        How often as many units as there are are drawn, 1 or more.
    seed : int
        Of the draws. The same seed draws the same units of every table of as many.
    confidence : float
        Share of the draws within the interval, from 0 to 1: the ends are percentiles.

    Returns
    -------
    Interval
        The statistic of all units as they are, in the shape of one row of what `statistic` returns.
        Of a single unit the ends are NaN.

    Raises
    ------
    ParameterError
        For no units, no draws and for a confidence outside 0 to 1.

    Notes
    -----
    Percentiles: a statistic that is biased in small samples may lie outside. Where all units are
    alike the interval is a point, though nobody knows what one more unit would be; of a share that
    is 0 or 1 take `wilson`. Units, not what they hold, have to be independent: frames of one
    utterance, or utterances of one speaker, are not.

    References
    ----------
    Efron (1979), 10.1214/aos/1176344552.

    Examples
    --------
    Two errors in ten phones, one in twenty, none in fifteen:

    >>> print(bootstrap([[2, 10], [1, 20], [0, 15]], lambda s: s[:, 0] / s[:, 1]))
    0.0667 [0, 0.2]
    """
    x = _units(values)
    if draws < 1:
        raise ParameterError(f"draws is {draws}: give 1 or more.")
    tail = 100 * _upper(confidence)
    size = len(x)
    drawn = np.random.default_rng(seed).integers(size, size=(draws, size))
    # how often each unit is drawn, so that a draw is a row of one matrix product
    places = drawn + size * np.arange(draws)[:, None]
    counts = np.bincount(places.ravel(), minlength=draws * size).reshape(draws, size)
    sums = (counts @ x.reshape(size, -1)).reshape(draws, *x.shape[1:])

    def of(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(totals / size if statistic is None else statistic(totals))

    value = of(x.sum(axis=0, keepdims=True))[0]
    if size == 1:
        return _interval(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    low, high = np.percentile(of(sums), [100 - tail, tail], axis=0)
    return _interval(value, low, high)


def _upper(confidence: float) -> float:
    """Return the probability below the upper end: the rest is shared out between the two."""
    if not 0 < confidence < 1:
        raise ParameterError(f"confidence is {confidence:g}: give one between 0 and 1, as 0.95.")
    return 0.5 + confidence / 2


def _units(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim < 1 or len(x) < 1:
        raise ParameterError(f"values have shape {x.shape}: give one row for each unit, 1 or more.")
    return x


def _around(x: NDArray[np.float64], factor: float, confidence: float) -> Interval:
    """Put `factor` deviations, by Student's t, to both sides of the mean."""
    mean, upper = x.mean(axis=0), _upper(confidence)
    if len(x) == 1:
        return _interval(mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan))
    half = special.stdtrit(len(x) - 1, upper) * x.std(axis=0, ddof=1) * factor
    return _interval(mean, mean - half, mean + half)


def _interval(*ends: Any) -> Interval:
    """Make plain numbers of what has no shape."""
    return Interval(*(np.asarray(end) if np.ndim(end) else float(end) for end in ends))
