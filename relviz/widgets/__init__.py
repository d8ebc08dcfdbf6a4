"""Explorers: things that answer, in a notebook and on a page without a kernel."""

from relviz.widgets.relevance import Recording, RelevanceExplorer, vowel

__all__ = ["Recording", "RelevanceExplorer", "vowel"]
