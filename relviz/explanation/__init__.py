"""Recordings to reports and datasets: what a network hears, beside what could refute it."""

from relviz._extras import require

require(
    "parselmouth",
    "pandas",
    "matplotlib",
    "anywidget",
    "cloudpickle",
    "dask",
    "distributed",
    "pyarrow",
)

from relviz.asking import Asked, asked
from relviz.explanation.corpus import Done, explain_folder
from relviz.explanation.recording import Explanation, explain

__all__ = ["Asked", "Done", "Explanation", "asked", "explain", "explain_folder"]
