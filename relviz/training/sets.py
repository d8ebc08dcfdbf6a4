"""From a corpus to what a study trains, validates and is scored on, by rules fixed beforehand.

Phones: of LibriSpeech and synthetic speech, one speaker of nine is scored on, and one of nine of
the others validates; TIMIT has its standard lists (train, dev, core test).
Speakers: sessions of at least `SESSION` utterances make a speaker known. One utterance of ten is
scored on within session, one of ten of the others validates; utterances of the same speakers in
other sessions are scored on across sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from relviz import corpora
from relviz._errors import ParameterError
from relviz.corpora import CorpusError, Utterance, librispeech, timit
from relviz.corpora.speech import in_order
from relviz.training.data import Data, Frames, label_phones, label_speakers, pack

Corpus = Literal["librispeech", "timit", "synthetic"]

SESSION = 2
"""Utterances that a session must have for its speaker to be known from it: one is a sample."""

HELD_OUT = "held-out speakers"
WITHIN = "within session"
ACROSS = "across sessions"


def phones(
    corpus: Corpus = "librispeech",
    parts: Sequence[str] | None = ("train-clean-5",),
    root: Path | str | None = None,
    cache: Path | str | None = None,
    jobs: int = -1,
    progress: bool = False,
) -> Data:
    """Gather labelled frames for the phone study, on speakers that training does not hear.

    parts: of LibriSpeech; None, all that are here. root: where the corpus is, needed for TIMIT.
    cache: see `pack`. jobs: processes for the alignment of LibriSpeech, whose times are cached.
    Raises CorpusError for what is not there.
    """
    skipped: Mapping[str, str] = {}
    classes: tuple[str, ...] = corpora.PHONES
    if corpus == "timit":
        found = {part: timit.utterances(_given(root), part) for part in ("train", "dev")}
        tested = timit.utterances(_given(root), "core-test")
        train, valid, test = found["train"].utterances, found["dev"].utterances, tested.utterances
        source, rule = tested.source, "TIMIT's lists: train, 50 speakers of dev, core test"
        alignments = {each.name: timit.alignment(each) for each in (*train, *valid, *test)}
        classes = timit.PHONES_39
    else:
        everything, source = _utterances(corpus, parts, root)
        if all(each.spoken for each in everything):
            alignments = {each.name: each.spoken for each in everything if each.spoken}
        else:
            aligned = corpora.align(everything, jobs=jobs, progress=progress)
            alignments, skipped = dict(aligned.spans), aligned.skipped
        usable = tuple(each for each in everything if each.name in alignments)
        if not usable:
            raise CorpusError("No utterance has a transcript: choose parts that have them.")
        rest, test = corpora.split_speakers(usable)
        train, valid = corpora.split_speakers(rest)
        rule = (
            "the middle one of nine speakers of a part, by number, tests; of nine of the others, "
            "validates"
        )
    audio = pack((*train, *valid, *test), cache, progress)
    label = {phone: number for number, phone in enumerate(classes)}

    def frames(utterances: Iterable[Utterance]) -> Frames:
        return label_phones(audio, [each.name for each in utterances], alignments, classes)

    return Data(
        classes,
        frames(train),
        frames(valid),
        {HELD_OUT: frames(test)},
        {
            name: np.array([label[span.label] for span in spans], dtype=np.int64)
            for name, spans in alignments.items()
        },
        {each.name: each.speaker for each in (*train, *valid, *test)},
        _about(source, rule, skipped, train=train, valid=valid, test=test),
    )


def speakers(
    corpus: Corpus = "librispeech",
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    cache: Path | str | None = None,
    progress: bool = False,
) -> Data:
    """Gather labelled frames for the speaker study, within and across sessions.

    parts: the parts of LibriSpeech that make speakers known; None, all that are here. Other
    sessions are looked for in all parts. In TIMIT and synthetic speech there are none.
    Raises CorpusError for what is not there.
    """
    if corpus == "timit":
        loaded = timit.utterances(_given(root))
        known, source = loaded.utterances, loaded.source
        others: tuple[Utterance, ...] = ()
    else:
        everything, source = _utterances(corpus, parts, root)
        sizes = Counter((each.speaker, each.session) for each in everything)
        least = 1 if source.origin == "synthetic" else SESSION
        known = tuple(each for each in everything if sizes[each.speaker, each.session] >= least)
        elsewhere, _ = _utterances(corpus, None, root)
        others = corpora.other_sessions(known, elsewhere)
    rest, test = corpora.split_utterances(known)
    train, valid = corpora.split_utterances(rest, every=min(10, _fewest(rest)))
    classes = tuple(sorted({each.speaker for each in known}, key=in_order))
    audio = pack((*known, *others), cache, progress)
    tests = {WITHIN: label_speakers(audio, test, classes)}
    if others:
        tests[ACROSS] = label_speakers(audio, others, classes)
    rule = (
        "of ten utterances of a speaker, by name, one tests and one of the others validates; "
        f"sessions of fewer than {SESSION} utterances test across sessions"
    )
    return Data(
        classes,
        label_speakers(audio, train, classes),
        label_speakers(audio, valid, classes),
        tests,
        speakers={each.name: each.speaker for each in (*known, *others)},
        about=_about(source, rule, {}, train=train, valid=valid, within=test, across=others),
    )


def _utterances(
    corpus: Corpus, parts: Sequence[str] | None, root: Path | str | None
) -> tuple[tuple[Utterance, ...], corpora.Source]:
    if corpus == "synthetic":
        return librispeech.spoken(), corpora.Source("synthetic", None, librispeech.CORPUS)
    if corpus != "librispeech":
        raise ParameterError(
            f"corpus {corpus!r} is unknown: use one of {', '.join(get_args(Corpus))}."
        )
    loaded = librispeech.utterances(parts, root)
    return loaded.utterances, loaded.source


def _given(root: Path | str | None) -> Path | str:
    if root is None:
        raise CorpusError("TIMIT needs a licence: name the folder of your copy as root.")
    return root


def _fewest(utterances: Iterable[Utterance]) -> int:
    return min(Counter(each.speaker for each in utterances).values())


def _about(
    source: corpora.Source,
    rule: str,
    skipped: Mapping[str, str],
    **groups: Sequence[Utterance],
) -> dict[str, Any]:
    """Say what was divided how, in JSON values, for the model card."""
    return {
        "recordings": source.describe(),
        "rule": rule,
        "skipped": dict(Counter(skipped.values())),
    } | {
        name: {
            "utterances": len(group),
            "speakers": sorted({each.speaker for each in group}, key=in_order),
        }
        for name, group in groups.items()
    }
