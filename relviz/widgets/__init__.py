"""Explorers: things that answer, in a notebook and on a page without a kernel."""

from relviz._extras import require

require("anywidget", "ipywidgets", "traitlets")

from relviz.widgets.knob import KnobExplorer
from relviz.widgets.live import LiveExplorer
from relviz.widgets.relevance import Recording, RelevanceExplorer, vowel
from relviz.widgets.relu import ReluExplorer
from relviz.widgets.wirtinger import WirtingerExplorer

__all__ = [
    "KnobExplorer",
    "LiveExplorer",
    "Recording",
    "RelevanceExplorer",
    "ReluExplorer",
    "WirtingerExplorer",
    "vowel",
]
