"""What an explanation's signals are called."""

__all__ = ["GRADIENT", "RELEVANCE", "UNTRAINED"]

RELEVANCE, GRADIENT, UNTRAINED = "relevance", "plain gradient", "untrained network"
"""The method asked for, and its two controls."""
