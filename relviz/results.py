"""Datasets that `relviz explain FOLDER` writes, as tables: plain in pandas, lazy in Dask.

A dataset is a folder ::

    dataset.json                        what it was made with, and the version of this layout
    files/bucket=../....parquet         a row a recording
    frames/bucket=../....parquet        a row every 10 ms of a recording
    signals/bucket=../....flac          relevance signals, where they were asked for
    failures.parquet                    recordings that could not be explained, and why

A recording is in it when its row under `files` is. Any reader of Parquet can read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relviz._errors import ParameterError
from relviz._extras import require
from relviz._text import printable

require("dask", "pandas", "pyarrow")

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BANDS", "CUES", "SCHEMA", "Results", "frames_schema", "open", "recordings_schema"]

SCHEMA = 1
"""Version of the layout and of the columns."""

BANDS = ((80, 250), (250, 1000), (1000, 2000), (2000, 3500), (3500, 5000), (5000, 7000))
"""Hz, in which spectral relevance is summed."""

CUES = ("F0", "F1", "F2", "F3", "tilt")
"""Of which each is changed by itself."""


def frames_schema() -> pa.Schema:
    """Return the columns of `frames`.

    Returns
    -------
    pyarrow.Schema
        ``path`` of the recording below the folder; ``time`` in s; ``f0``, ``f1`` to ``f3`` of
        ``recording`` and ``relevance`` in Hz, NaN where there is none; ``class``, its
        ``posterior``, and ``confidence`` (1 less the entropy of the posteriors in units of its
        largest).

    Examples
    --------
    >>> frames_schema().names[:2]
    ['path', 'time']
    """
    import pyarrow as pa

    numbers = [
        f"{cue}_{of}" for of in ("recording", "relevance") for cue in ("f0", "f1", "f2", "f3")
    ]
    return pa.schema(
        [
            ("path", pa.string()),
            ("time", pa.float64()),
            *((name, pa.float32()) for name in numbers),
            ("class", pa.string()),
            ("posterior", pa.float32()),
            ("confidence", pa.float32()),
        ],
        metadata={"relviz": str(SCHEMA)},
    )


def recordings_schema() -> pa.Schema:
    """Return the columns of `files`.

    Returns
    -------
    pyarrow.Schema
        ``path``; ``seconds``; ``sha256``, ``bytes`` and ``modified`` (ns) of the recording's file;
        ``frames``, how many; ``class`` that wins most frames, ``share`` of the frames in which it
        does, and the mean ``confidence``; ``f0_agreement``, the share of voiced frames in which the
        relevance has the recording's F0 within a semitone; ``band_LOW_HIGH``, the share of the
        spectral relevance's energy; and ``nats_CUE``, how far the posteriors move when one cue is
        changed, NaN where that was not asked.

    Examples
    --------
    >>> recordings_schema().names[0]
    'path'
    """
    import pyarrow as pa

    return pa.schema(
        [
            ("path", pa.string()),
            ("seconds", pa.float64()),
            ("sha256", pa.string()),
            ("bytes", pa.int64()),
            ("modified", pa.int64()),
            ("frames", pa.int64()),
            ("class", pa.string()),
            ("share", pa.float32()),
            ("confidence", pa.float32()),
            ("f0_agreement", pa.float32()),
            *((f"band_{low}_{high}", pa.float32()) for low, high in BANDS),
            *((f"nats_{cue}", pa.float32()) for cue in CUES),
        ],
        metadata={"relviz": str(SCHEMA)},
    )


@dataclass(frozen=True)
class Results:
    """A dataset of explained recordings.

    Parameters
    ----------
    folder : Path
        Where it lies.
    settings : dict
        What it was made with: network, method, hop length ...

    Examples
    --------
    >>> Results(Path("heard"), {"network": "phones"}).settings["network"]
    'phones'
    """

    folder: Path
    settings: dict[str, Any] = field(repr=False)

    def recordings(self) -> pd.DataFrame:
        """Return a row a recording, sorted by path; see `recordings_schema`."""
        return self._read("files").sort_values("path", ignore_index=True)

    def frames(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return all frames in memory, sorted by path and time; see `frames_schema`."""
        wanted = None if columns is None else list(dict.fromkeys(["path", "time", *columns]))
        # frames of a recording whose row is missing are those of a worker that was stopped
        found = self._read("frames", wanted)
        found = found[found["path"].isin(self._read("files", ["path"])["path"])]
        return found.sort_values(["path", "time"], ignore_index=True)

    def lazy(self, kind: str = "frames") -> Any:
        """Return `frames` or `files` as a Dask DataFrame, which reads when it is computed.

        Frames of a recording whose worker was stopped before its row was written are among them.
        """
        import dask.dataframe as dd

        if kind not in ("frames", "files"):
            raise ParameterError(f"kind {kind!r} is unknown: use frames or files.")
        # of buckets Dask would make a column, and take "12" for a number where others are "1e"
        return dd.read_parquet(self.folder / kind, dataset={"partitioning": None})

    def failures(self) -> pd.DataFrame:
        """Return which recordings could not be explained at the last call that ended, and why."""
        import pandas as pd

        path = self.folder / "failures.parquet"
        return pd.read_parquet(path) if path.exists() else pd.DataFrame(columns=["path", "reason"])

    def _read(self, kind: str, columns: list[str] | None = None) -> pd.DataFrame:
        import pyarrow.dataset as ds

        schema = frames_schema() if kind == "frames" else recordings_schema()
        place = self.folder / kind
        if not place.is_dir():
            return schema.empty_table().to_pandas()
        found: pd.DataFrame = (
            ds.dataset(place, schema=schema, format="parquet").to_table(columns=columns).to_pandas()
        )
        return found


def open(folder: str | Path) -> Results:  # as `relviz.results.open(DIR)` reads
    """Open a dataset that `relviz explain FOLDER --out DIR` wrote.

    Parameters
    ----------
    folder : str or Path
        The DIR.

    Returns
    -------
    Results
        Tables are read when they are asked for.

    Raises
    ------
    ParameterError
        For a folder that is no such dataset, or one of another version.

    Examples
    --------
    >>> open("nowhere")
    Traceback (most recent call last):
    relviz._errors.ParameterError: nowhere holds no dataset.json: give a folder that relviz \
explain FOLDER --out has written.
    """
    folder = Path(folder)
    try:
        settings = json.loads((folder / "dataset.json").read_text())
    except (OSError, ValueError):
        raise ParameterError(
            f"{printable(str(folder))} holds no dataset.json: give a folder that relviz explain "
            "FOLDER --out has written."
        ) from None
    version = settings.get("schema") if isinstance(settings, dict) else None
    if version != SCHEMA:
        raise ParameterError(
            f"{printable(str(folder))} has version {printable(str(version))} of the layout, and "
            f"this relviz reads version {SCHEMA}: read it with the version that wrote it."
        )
    return Results(folder, settings)
