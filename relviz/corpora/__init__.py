"""Speech to try things on: recordings found or fetched, and synthetic speech with known answers.

`registry` knows every corpus and what one asks of any of them; `store` finds and downloads; `aev`
reads the American English Vowels (see `tokens`), `librispeech`, `speechocean762` and `timit` read
utterances (see `speech`), `splits` divides them, `alignment` finds their phones, `synthetic`
speaks, and `lesson` writes a data set that may be shared.
Nothing is downloaded unless asked for, and every corpus says where it came from.
"""

from relviz.corpora import alignment, librispeech, speechocean762, timit
from relviz.corpora.aev import to_hear, vowels
from relviz.corpora.alignment import Alignments, align
from relviz.corpora.corpus import Corpus, CorpusError, Source
from relviz.corpora.registry import CORPORA, Status, fetch, find, load, locate, status
from relviz.corpora.speech import (
    PHONES,
    Alignment,
    Span,
    SpeechCorpus,
    Utterance,
    frame_labels,
)
from relviz.corpora.splits import other_sessions, split_speakers, split_utterances
from relviz.corpora.synthetic import (
    Sentence,
    sentence,
    sentences,
    spoken,
    voices,
    vowel,
    vowel_corpus,
)
from relviz.corpora.tokens import TABLE2, VOWELS, Measures, Vowel, VowelCorpus

__all__ = [
    "CORPORA",
    "PHONES",
    "TABLE2",
    "VOWELS",
    "Alignment",
    "Alignments",
    "Corpus",
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
    "find",
    "frame_labels",
    "librispeech",
    "load",
    "locate",
    "other_sessions",
    "sentence",
    "sentences",
    "speechocean762",
    "split_speakers",
    "split_utterances",
    "spoken",
    "status",
    "timit",
    "to_hear",
    "voices",
    "vowel",
    "vowel_corpus",
    "vowels",
]
