"""The paper's experiments, as functions that return tables."""

from relviz.studies import layers, phones, speakers, vowels

__all__ = ["layers", "phones", "speakers", "vowels"]
