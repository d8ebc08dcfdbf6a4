"""How fast relviz is on this machine: one table, ratios first.

    make bench                               all of it, to book/appendix/speed/measured.csv
    python -m benchmarks windows utterance   some of it, printed only
    python -m benchmarks --small             tiny sizes, one round: to see that it runs

Calls are interleaved round by round, so that a machine whose speed drifts moves all of them. Given
are medians, and in brackets the middle half of the rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import relviz
from benchmarks import commands, corpus, explorers, relevance
from benchmarks.timing import Row, table
from relviz.statistics import Interval

PARTS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "windows": relevance.windows,
    "profile": relevance.profile,
    "utterance": relevance.utterance,
    "hour": relevance.hour,
    "folder": corpus.folder,
    "storage": corpus.storage,
    "memory": corpus.memory,
    "scheduler": corpus.scheduler,
    "commands": commands.commands,
    "explorers": explorers.explorers,
}


def processor() -> str:
    """Return the model of this machine's processor, as it says itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _ticks() -> tuple[float, float]:
    """Processor time since the start: all of it, and what the host took; nothing but on Linux."""
    try:
        numbers = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return 0.0, 0.0
    found = [float(each) for each in numbers]
    return sum(found), found[7]


def measure(parts: Iterable[str], small: bool = False) -> Iterator[Row]:
    """Yield the rows of some parts, those about the machine last."""
    begun, load, (all_before, host_before) = time.perf_counter(), os.getloadavg()[0], _ticks()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    threads = torch.get_num_threads()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU", UserWarning)
        for part in parts:
            since = time.perf_counter()
            yield from PARTS[part](small)
            print(f"{part}: {time.perf_counter() - since:.0f} s", file=sys.stderr, flush=True)
    torch.set_num_threads(threads)
    all_after, host_after = _ticks()
    host = (host_after - host_before) / max(all_after - all_before, 1.0)
    said = {
        "processor": processor(),
        "CUDA device": device,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": f"relviz {relviz.__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    for what, note in said.items():
        yield Row("machine", what, note=note)
    counted = {
        "cores": (float(os.cpu_count() or 1), ""),
        "load before": (load, "processes that ran or waited, on average over a minute"),
        "taken by the host": (host, "share of the processor time"),
        "measuring": (time.perf_counter() - begun, "s"),
    }
    for what, (value, unit) in counted.items():
        yield Row("machine", what, value=Interval(value, value, value), unit=unit)


def lines(found: pd.DataFrame) -> Iterator[str]:
    """Yield the table as text."""

    def numbers(value: float, low: float, high: float) -> str:
        if np.isnan(value):
            return ""
        return f"{value:.3g}" if low == high else f"{value:.3g} ({low:.3g} to {high:.3g})"

    for part, rows in found.groupby("part", sort=False):
        yield f"\n{part}"
        for row in rows.itertuples():
            where = [row.network, row.device if row.device != "cpu" else ""]
            where += [f"batch {row.batch}" if row.batch else ""]
            where += [f"{row.threads} threads" if part in ("windows", "utterance") else ""]
            ratio = numbers(row.ratio, row.ratio_low, row.ratio_high)
            value = numbers(row.value, row.value_low, row.value_high)
            name = " ".join([row.what, *filter(None, where)])
            yield f"  {name:52} {ratio:26} {value:28} {row.unit} {row.note}".rstrip()


def main() -> None:
    """Measure, print, and write the table where that is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--small", action="store_true", help="tiny sizes, one round")
    parser.add_argument("--out", type=Path, help="write the table, as CSV")
    given = parser.parse_args()
    if unknown := sorted(set(given.parts) - set(PARTS)):
        parser.error(f"no part is called {unknown[0]}: there are {', '.join(PARTS)}.")
    found = table(measure(given.parts or PARTS, given.small))
    print("\n".join(lines(found)))
    if given.out:
        found.to_csv(given.out, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
