"""The paper's experiments, as functions that return tables."""

from relviz.studies import vowels

__all__ = ["vowels"]
