"""Speech to try things on: recordings found or fetched, and synthetic speech with known answers.

`relviz.corpora.store` finds and downloads, `aev` reads the American English Vowels, `librispeech`
and `timit` read utterances (see `speech`), `alignment` finds their phones, `synthetic` speaks.
Nothing is downloaded unless asked for, and every corpus says where it came from.
"""

from relviz.corpora import alignment, librispeech, timit
from relviz.corpora.aev import TABLE2, VOWELS, Measures, Vowel, VowelCorpus, vowels
from relviz.corpora.alignment import Alignments, align
from relviz.corpora.speech import (
    Alignment,
    Span,
    SpeechCorpus,
    Utterance,
    frame_labels,
    other_sessions,
    split_speakers,
    split_utterances,
)
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
    "Alignment",
    "Alignments",
    "CorpusError",
    "Measures",
    "Sentence",
    "Source",
    "Span",
    "SpeechCorpus",
    "Status",
    "Utterance",
    "Vowel",
    "VowelCorpus",
    "align",
    "alignment",
    "fetch",
    "frame_labels",
    "librispeech",
    "locate",
    "other_sessions",
    "sentence",
    "sentences",
    "split_speakers",
    "split_utterances",
    "status",
    "timit",
    "verify",
    "voices",
    "vowel",
    "vowel_corpus",
    "vowels",
]
