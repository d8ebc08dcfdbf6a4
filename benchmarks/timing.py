"""Times of calls that take turns, and the rows of a table that they become."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from relviz.statistics import Interval

SHORT = 0.05
"""Seconds: of a call below that, what the caches hold when it begins is a part."""

NAN = Interval(np.nan, np.nan, np.nan)
KEYS = ["part", "network", "device", "threads", "batch", "what"]
"""Columns that tell one row of the table from another."""

UNMEASURED = "unmeasured: "
"""How the note of a row begins that has no numbers; the reason follows."""


@dataclass(frozen=True)
class Row:
    """A line of the table: a ratio, what it is a ratio of, and the number behind it.

    Intervals are the middle half of the rounds around their median. `batch` is in windows, 0 where
    there are no batches.
    """

    part: str
    what: str
    network: str = ""
    device: str = "cpu"
    threads: int = 1
    batch: int = 0
    ratio: Interval = NAN
    of: str = ""
    value: Interval = NAN
    unit: str = ""
    rounds: int = 1
    note: str = ""


def table(rows: Iterable[Row]) -> pd.DataFrame:
    """Return rows as a data frame, the ends of their intervals in columns of their own."""
    flat = []
    for row in rows:
        fields = asdict(row)
        flat.append({key: fields[key] for key in KEYS})
        for name, last in (("ratio", "of"), ("value", "unit")):
            middle, low, high = getattr(row, name)
            ends = {name: middle, f"{name}_low": low, f"{name}_high": high}
            flat[-1] |= ends | {last: fields[last]}
        flat[-1] |= {"rounds": row.rounds, "note": row.note}
    return pd.DataFrame(flat)


def rounds(
    work: Mapping[str, Callable[[], object]],
    seconds: float,
    *,
    least: int = 3,
    most: int = 40,
    device: str = "cpu",
) -> dict[str, list[float]]:
    """Return how long each call took, in s; they take turns, so that a drift moves all of them.

    The first round warms up and does not count, unless one round is all that is asked for. A short
    call is made twice in its turn, and the second one counts: the one before it in the round has
    emptied the caches, which made whoever came after a large product look half as fast. Another
    begins while `seconds` have not passed, and up to five times as long while there are fewer than
    `least`: a busy machine must come to an end, too.
    """
    times: dict[str, list[float]] = {name: [] for name in work}
    last: dict[str, float] = {}
    warm = 0 if most == 1 else 1
    begun = time.perf_counter()
    for turn in range(most + warm):
        patience = seconds if turn >= least + warm else 5 * seconds
        if turn > warm and time.perf_counter() - begun > patience:
            break
        for name, call in work.items():
            if turn >= warm > 0 and last[name] < SHORT:
                call()
            start = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize()
            last[name] = time.perf_counter() - start
            if turn >= warm:
                times[name].append(last[name])
    return times


def middle(values: ArrayLike) -> Interval[float]:
    """Return the median and the ends of the middle half."""
    low, median, high = np.percentile(np.asarray(values, dtype=np.float64), [25, 50, 75])
    return Interval(float(median), float(low), float(high))


def over(one: Sequence[float], other: Sequence[float]) -> Interval[float]:
    """Return by how much one call takes longer than another, round by round."""
    return middle(np.asarray(one) / np.asarray(other))
