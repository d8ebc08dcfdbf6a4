"""Table 2 to look at: as the paper printed it, in its layout, and in a line a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from relviz.corpora import TABLE2

__all__ = ["PAPER", "layout", "paper", "summary"]

PAPER = {
    ("f0", "F"): (93, 91, 91, 94, 92),
    ("f0", "M"): (92, 90, 89, 93, 90),
    ("f1", "F"): (90, 92, 93, 91, 93),
    ("f1", "M"): (88, 92, 92, 89, 93),
    ("f2", "F"): (94, 94, 94, 95, 94),
    ("f2", "M"): (94, 93, 94, 94, 93),
}
"""Table 2 as printed, in percent, for the vowels of `corpora.TABLE2`: GBP of the phone network."""


def paper() -> pd.DataFrame:
    """Return the paper's Table 2 in the columns of `relviz.studies.vowels.score`.

    Returns
    -------
    DataFrame
        Without intervals, which the paper does not give.

    Examples
    --------
    >>> paper().query("vowel == 'mean' and sex == 'both'")[["measure", "accuracy"]].round(3)
       measure  accuracy
    36      f0     0.915
    37      f1     0.913
    38      f2     0.939
    """
    rows = []
    for (measure, sex), percents in PAPER.items():
        for vowel, percent in zip(TABLE2, percents, strict=True):
            rows.append((measure, sex, vowel, percent / 100))
        rows.append((measure, sex, "mean", float(np.mean(percents)) / 100))
    table = pd.DataFrame(rows, columns=["measure", "sex", "vowel", "accuracy"])
    means = table[table["vowel"] == "mean"].groupby("measure", as_index=False)["accuracy"].mean()
    table = pd.concat([table, means.assign(sex="both", vowel="mean")], ignore_index=True)
    table.insert(0, "signal", "paper (GBP, TIMIT)")
    table.insert(1, "pre_emphasis", np.nan)
    return table


def layout(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out percentages as the paper does.

    Parameters
    ----------
    table : DataFrame
        What `relviz.studies.vowels.score`, `relviz.studies.vowels.table2` or `paper` return, or
        several of them concatenated.

    Returns
    -------
    DataFrame
        Rows: signal, pre-emphasis, measure, sex; columns: vowels.

    Examples
    --------
    >>> layout(paper()).shape
    (6, 6)
    """
    wide = table.assign(
        accuracy=100 * table["accuracy"], pre_emphasis=table["pre_emphasis"].map(_emphasis)
    )
    return _pivot(wide[wide["sex"] != "both"], ["measure", "sex"], "vowel", "accuracy")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up in one line a signal: mean accuracy of each measure, its interval and range.

    Parameters
    ----------
    table : DataFrame
        As for `layout`.

    Returns
    -------
    DataFrame
        Cells of text in percent, as "97.2 [95.8, 98.2]", with " (96.1-98.0)" after them for the
        lowest and highest of several replicates.

    Examples
    --------
    >>> summary(paper()).iloc[0].tolist()
    ['91.5', '91.3', '93.9']
    """
    means = table[(table["sex"] == "both") & (table["vowel"] == "mean")]
    cells = means.assign(
        cell=[_cell(row) for row in means.to_dict("records")],
        pre_emphasis=means["pre_emphasis"].map(_emphasis),
        measure=means["measure"].str.upper(),
    )
    return _pivot(cells, [], "measure", "cell")


def _pivot(table: pd.DataFrame, index: list[str], columns: str, values: str) -> pd.DataFrame:
    """Pivot without sorting, and without names above the columns."""
    keys = ["signal", "pre_emphasis", *index]
    wide = table.set_index([*keys, columns])[values].unstack(columns)
    wide = wide.reindex(table.set_index(keys).index.unique())
    return wide[list(dict.fromkeys(table[columns]))].rename_axis(columns=None)


def _emphasis(coefficient: float) -> str:
    return "?" if np.isnan(coefficient) else f"{coefficient:g}" if coefficient else "none"


def _cell(row: Mapping[Any, Any]) -> str:
    text = f"{100 * row['accuracy']:.1f}"
    if pd.notna(row.get("low")):
        text += f" [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
        lowest, highest = f"{100 * row['lowest']:.0f}", f"{100 * row['highest']:.0f}"
        if lowest != highest:
            text += f" ({lowest}-{highest})"
    return text
