"""What an explanation's signals are called."""

__all__ = ["GRADIENT", "PERMUTED", "RELEVANCE", "UNTRAINED"]

RELEVANCE, GRADIENT, UNTRAINED = "relevance", "plain gradient", "untrained network"
"""The method asked for, and its two controls."""

PERMUTED = "permuted network"
"""In the place of the untrained one, of a network with layers that nobody can draw anew."""
