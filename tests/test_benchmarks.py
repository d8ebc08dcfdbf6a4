"""The measurements of speed run, and what they compare is equal. How fast it is, no test asks."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import __main__ as bench
from benchmarks import relevance, timing
from tests.book.toc import ROOT

MEASURED = ROOT / "book" / "appendix" / "speed" / "measured.csv"
PARTS = [part for part in bench.PARTS if part != "explorers"]  # tests/book has the built pages


def keys(found: pd.DataFrame) -> list[tuple]:
    """Which rows a table has; a small run leaves the second core to the other tests."""
    here = found[(found["threads"] == 1) & (found["part"] != "explorers")]
    return [*here[timing.KEYS].fillna("").itertuples(index=False, name=None)]


@pytest.mark.slow
def test_a_small_run_is_whole_finite_and_equal():
    """One test, or each worker would measure."""
    small = timing.table(bench.measure(PARTS, small=True))
    assert keys(small) == keys(pd.read_csv(MEASURED))  # what the page is made of
    for row in small.itertuples():
        numbers = [row.value, row.value_low, row.value_high, row.ratio, row.ratio_low]
        if row.note.startswith(timing.UNMEASURED):
            assert np.isnan(numbers).all()
            continue
        assert bool(row.unit) == np.isfinite(row.value) or row.what == "cores", row
        assert bool(row.of) == np.isfinite(row.ratio), row
        assert np.isfinite(row.value) or np.isfinite(row.ratio) or row.note, row
        if np.isfinite(row.ratio):
            assert 0 <= row.ratio_low <= row.ratio <= row.ratio_high
    rows = small[small["what"].str.startswith("difference") & (small["device"] == "cpu")]
    assert len(rows) == 8  # two batches, a signal and posteriors, of two networks
    assert (rows["value"] <= 1e-5).all(), rows
    profiled = small[small["part"] == "profile"]
    shares = profiled[profiled["of"] == relevance.SHARE].groupby("network")["ratio"].sum()
    assert np.allclose(shares, 1, atol=1e-6)
    computed = profiled[profiled["what"] == "products that are computed"]["ratio"]
    assert len(computed) == 2 and computed.between(0.5, 0.7).all()  # the way there, and a little


def test_calls_take_turns_and_the_first_round_does_not_count():
    order = []
    work = {name: lambda name=name: order.append(name) for name in "ab"}
    times = timing.rounds(work, 60, most=2)
    assert order == list("ab" + "aabb" * 2)  # short calls warm up in their own turn, too
    assert {name: len(spent) for name, spent in times.items()} == {"a": 2, "b": 2}
    assert len(timing.rounds(work, 60, most=1)["a"]) == 1


@pytest.mark.parametrize(
    ("seconds", "least", "count"),
    [(1000, 1, 40), (3, 1, 1), (4, 5, 5), (1, 5, 2)],
    ids=["as many as fit", "no more", "the least", "a busy machine"],
)
def test_rounds_end_in_time(monkeypatch, seconds, least, count):
    """By a clock that a call takes a second of, and each look at it another."""
    monkeypatch.setattr(timing.time, "perf_counter", itertools.count(1).__next__)
    times = timing.rounds({"a": lambda: None}, seconds, least=least)
    assert times == {"a": [1] * count}


def test_ratios_are_of_the_same_round():
    assert timing.over([2, 30, 6], [1, 10, 6]) == timing.middle([2, 3, 1])
    assert tuple(timing.middle([1, 2, 3, 4, 5])) == (3, 2, 4)


def test_a_row_becomes_a_line():
    rows = [timing.Row("hour", "relevance signal", "phones", ratio=timing.middle([2, 2, 2]))]
    found = timing.table([*rows, timing.Row("machine", "processor", note="fast")])
    assert list(found["ratio"].fillna(0)) == [2, 0]
    said = "\n".join(bench.lines(found))
    assert "relevance signal phones" in said and "fast" in said


def test_products_of_a_window_are_counted_like_torchs():
    """Forward and back are as many operations, and torch counts the way forward."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    import relviz
    from benchmarks.relevance import products

    for name in ("phones", "speakers"):
        net = relviz.load(name)
        with FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, net.window))
        assert products(net) == pytest.approx(2 * counter.get_total_flops(), rel=0.01)


@pytest.mark.slow
def test_an_unknown_part_is_named():
    command = [sys.executable, "-m", "benchmarks", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no part is called speed: there are windows, profile" in done.stderr
