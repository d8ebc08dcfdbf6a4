"""Speech to try things on: recordings found or fetched, and synthetic speech with known answers.

`relviz.corpora.store` finds and downloads, `aev` reads the American English Vowels, `synthetic`
speaks. Nothing is downloaded unless asked for, and every corpus says where it came from.
"""

from relviz.corpora.aev import TABLE2, VOWELS, Measures, Vowel, VowelCorpus, vowels
from relviz.corpora.store import CorpusError, Source, Status, fetch, locate, status, verify
from relviz.corpora.synthetic import (
    PHONES,
    Sentence,
    sentence,
    sentences,
    voices,
    vowel,
    vowel_corpus,
)

__all__ = [
    "PHONES",
    "TABLE2",
    "VOWELS",
    "CorpusError",
    "Measures",
    "Sentence",
    "Source",
    "Status",
    "Vowel",
    "VowelCorpus",
    "fetch",
    "locate",
    "sentence",
    "sentences",
    "status",
    "verify",
    "voices",
    "vowel",
    "vowel_corpus",
    "vowels",
]
