"""The paper's experiments and ours, as functions that return tables."""

from relviz._extras import require

require("joblib", "pandas")

from relviz.studies import (
    bands,
    cues,
    hand,
    layers,
    phones,
    recognition,
    speakers,
    trials,
    unheard,
    vowel_signals,
    vowel_tables,
    vowels,
)

__all__ = [
    "bands",
    "cues",
    "hand",
    "layers",
    "phones",
    "recognition",
    "speakers",
    "trials",
    "unheard",
    "vowel_signals",
    "vowel_tables",
    "vowels",
]
