"""From a corpus to what a study trains, validates and is scored on, by rules fixed beforehand.

Phones: one speaker of nine is scored on, or a fold of the speakers, and one of nine of the others
validates; TIMIT has its standard lists (train, dev, core test), its sample has none.
Speakers: sessions of at least `SESSION` utterances make a speaker known. One utterance of ten, or
one of all, is scored on within session, and one of the others validates; utterances of the same
speakers in other sessions are scored on across sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from relviz import corpora
from relviz._errors import ParameterError
from relviz.corpora import Alignment, CorpusError, Source, Utterance, pronunciations, timit
from relviz.corpora.splits import in_order
from relviz.training.data import Data, Frames, label_phones, label_speakers, pack

__all__ = [
    "ACROSS",
    "FOLDS",
    "HELD_OUT",
    "SESSION",
    "WITHIN",
    "Speech",
    "phones",
    "reasons",
    "speakers",
]

Speech = Literal["librispeech", "speechocean762", "timit", "timit-sample", "synthetic"]
"""What a study can be done on."""

SESSION = 2
"""Utterances that a session must have for its speaker to be known from it: one is a sample."""

FOLDS = 5
"""Into how many the speakers of the phone study are divided for cross-validation."""

HELD_OUT = "held-out speakers"
"""The phone study's test."""

WITHIN = "within session"
"""The speaker study's test on other utterances of the sessions trained on."""

ACROSS = "across sessions"
"""The speaker study's test on other sessions of the same speakers."""


def phones(
    corpus: Speech = "librispeech",
    parts: Sequence[str] | None = ("train-clean-5",),
    root: Path | str | None = None,
    cache: Path | str | None = None,
    jobs: int = -1,
    progress: bool = False,
    dictionary: Path | str | None = None,
    fold: int | None = None,
    division: Mapping[str, Any] | None = None,
) -> Data:
    """Gather labelled frames for the phone study, on speakers that training does not hear.

    Parameters
    ----------
    corpus : str
        "librispeech", "speechocean762", "timit", "timit-sample" or "synthetic".
    parts : sequence of str, or None
        Of LibriSpeech; None, all that are here.
    root : Path or str, optional
        Where the corpus is; TIMIT is looked for below RELVIZ_DATA, too.
    cache : Path or str, optional
        See `relviz.training.data.pack`.
    jobs : int
        Processes for the alignment of LibriSpeech, whose times are cached.
    progress : bool
        Show bars.
    dictionary : Path or str, optional
        Words of your own for the alignment, see `relviz.corpora.pronunciations.read`.
    fold : int, optional
        Which fifth of the speakers tests, from 0 to 4, for cross-validation: the five together test
        everybody once. Default, one speaker of nine tests. TIMIT has its lists.
    division : mapping of str, optional
        In the place of a rule, ``about`` of a network's `relviz.pretrained.Metadata`: who trained
        and validated there does so here, and all others test. Not beside a fold, nor for TIMIT.

    Returns
    -------
    Data
        39 phones and silence; of TIMIT and its sample, 39 classes, by hand.

    Raises
    ------
    CorpusError
        For what is not there.
    ParameterError
        For an unknown corpus, for a fold that there is not, and for a division that does not say
        who trained.

    Notes
    -----
    Explained in chapter 6 of the book, phone classification.

    Examples
    --------
    >>> phones("radio")
    Traceback (most recent call last):
    relviz._errors.ParameterError: corpus 'radio' is unknown: use one of librispeech, \
speechocean762, timit, timit-sample, synthetic.
    """
    alignments: Mapping[str, Alignment]
    skipped: Mapping[str, str] = {}
    classes: tuple[str, ...] = corpora.PHONES
    if fold is not None and division is not None:
        raise ParameterError("fold and division both say who tests: give one of them.")
    if corpus == "timit":
        if fold is not None:
            raise ParameterError("TIMIT has lists of its own and no folds: leave fold out.")
        lists = ("train", "dev", "core-test")
        (train, source), (valid, _), (test, _) = (_load(corpus, (part,), root) for part in lists)
        rule = "TIMIT's lists: train, 50 speakers of dev, core test"
        usable = (*train, *valid, *test)
        alignments = {each.name: timit.alignment(each) for each in usable}
        classes = timit.PHONES_39
    else:
        everything, source = _load(corpus, parts, root)
        if corpus == "timit-sample" and source.origin != "synthetic":
            alignments = {each.name: timit.alignment(each) for each in everything}
            classes = timit.PHONES_39
        else:
            alignments, skipped = _aligned(everything, jobs, progress, dictionary)
        usable = tuple(each for each in everything if each.name in alignments)
        if not usable:
            raise CorpusError(_why_none(skipped))
        if division is not None:
            train, valid, test = _as_before(usable, division)
            rule = "as before: who neither trained nor validated tests"
        else:
            train, valid, test, rule = _by_rule(usable, fold)
    audio = pack(usable, cache, progress)  # once for all divisions
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
        _about((source,), rule, skipped, train=train, valid=valid, test=test)
        | ({} if fold is None else {"fold": fold}),
    )


def _by_rule(
    utterances: Sequence[Utterance], fold: int | None
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...], tuple[Utterance, ...], str]:
    if fold is None:
        rest, test = corpora.split_speakers(utterances)
        which = "the middle one of nine speakers"
    else:
        rest, test = corpora.split_speakers(utterances, FOLDS, fold)
        which = f"fold {fold} of {FOLDS} of the speakers"
    train, valid = corpora.split_speakers(rest)
    rule = f"{which} of a part, by number, tests; the middle one of nine others validates"
    return train, valid, test, rule


def _as_before(
    utterances: Sequence[Utterance], division: Mapping[str, Any]
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...], tuple[Utterance, ...]]:
    groups: dict[str, tuple[Utterance, ...]] = {}
    for name in ("train", "valid"):
        who = division.get(name)
        if not isinstance(who, Mapping) or not who.get("speakers"):
            raise ParameterError(
                f"the division does not say which speakers are its {name!r}: take that of a "
                "network which `relviz train` wrote."
            )
        groups[name] = tuple(each for each in utterances if each.speaker in who["speakers"])
        if not groups[name]:
            raise CorpusError(
                f"None of the speakers of the division's {name!r} is here: load their corpus."
            )
    known = {each.speaker for some in groups.values() for each in some}
    others = tuple(each for each in utterances if each.speaker not in known)
    if not others:
        raise CorpusError("Training has heard all speakers that are here: load others.")
    return groups["train"], groups["valid"], others


def speakers(
    corpus: Speech | Sequence[Speech] = "librispeech",
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    cache: Path | str | None = None,
    progress: bool = False,
    every: int | None = 10,
) -> Data:
    """Gather labelled frames for the speaker study, within and across sessions.

    Parameters
    ----------
    corpus : str or sequence of str
        "librispeech", "speechocean762" (its adults), "timit", "timit-sample", "synthetic", or
        several, whose speakers are then told apart together.
    parts : sequence of str, optional
        The parts of LibriSpeech that make speakers known; default, all that are here. Other
        sessions are looked for in all parts. In TIMIT and synthetic speech there are none.
    root : Path or str, optional
        Where the corpus is, or the folder that holds them all; TIMIT is looked for below
        RELVIZ_DATA, too.
    cache : Path or str, optional
        See `relviz.training.data.pack`.
    progress : bool
        Show bars.
    every : int, optional
        Of so many utterances of a speaker one tests, and one of the others validates; None, one of
        all tests and another validates, as in the paper.

    Returns
    -------
    Data
        A class a speaker; of several corpora "librispeech:19", and a test of each besides those of
        all, unless these are of one.

    Raises
    ------
    CorpusError
        For what is not there, and for a speaker with too few utterances.
    ParameterError
        For an unknown corpus, and for parts of several.

    Notes
    -----
    Explained in chapter 7 of the book, speaker identification.

    References
    ----------
    Muckenhirn et al. (2019), section 4.1, for one utterance that tests and one that validates.

    Examples
    --------
    >>> speakers("radio")
    Traceback (most recent call last):
    relviz._errors.ParameterError: corpus 'radio' is unknown: use one of librispeech, \
speechocean762, timit, timit-sample, synthetic.
    """
    names: tuple[Speech, ...] = (corpus,) if isinstance(corpus, str) else tuple(corpus)
    if every is not None and every < 2:
        raise ParameterError(
            f"every is {every}: give 2 or more, or None for one utterance of each speaker."
        )
    if parts is not None and len(names) != 1:
        raise ParameterError("parts are of one corpus: name one, or leave them out.")
    found = {name: _known(name, parts, root, several=len(names) > 1) for name in names}
    known = tuple(each for some, _, _ in found.values() for each in some)
    others = tuple(each for _, some, _ in found.values() for each in some)
    rest, test = corpora.split_utterances(known, every)
    train, valid = corpora.split_utterances(rest, min(every, _fewest(rest)) if every else None)
    classes = tuple(sorted({each.speaker for each in known}, key=in_order))
    audio = pack((*known, *others), cache, progress)
    groups = {WITHIN: test} | ({ACROSS: others} if others else {})
    if len(names) > 1:
        groups |= {
            f"{how}, {name}": some
            for how, everything in tuple(groups.items())
            for name in names
            if (some := tuple(each for each in everything if each.name.startswith(f"{name}:")))
            and len(some) < len(everything)
        }
    how_many = "ten utterances of a speaker, by name, one tests and one of the others validates"
    if every != 10:
        how_many = how_many.replace("ten", str(every) if every else "all")
    return Data(
        classes,
        label_speakers(audio, train, classes),
        label_speakers(audio, valid, classes),
        {name: label_speakers(audio, some, classes) for name, some in groups.items()},
        speakers={each.name: each.speaker for each in (*known, *others)},
        about=_about(
            tuple(source for _, _, source in found.values()),
            f"of {how_many}; sessions of fewer than {SESSION} utterances test across sessions",
            {},
            train=train,
            valid=valid,
            within=test,
            across=others,
        )
        | {
            "corpora": list(names),
            "every": every,
            "parts": None if parts is None else list(parts),
        },
        sexes={each.speaker: each.sex for each in known if each.sex},
    )


def speakers_of(
    about: Mapping[str, Any],
    root: Path | str | None = None,
    cache: Path | str | None = None,
    progress: bool = False,
) -> Data:
    """Gather the frames that a speaker network was trained on, as its file tells.

    Parameters
    ----------
    about : mapping of str
        Of the network's `relviz.pretrained.Metadata`.
    root, cache, progress
        As for `speakers`.

    Returns
    -------
    Data
        As of `speakers`, whose divisions depend on names alone.

    Raises
    ------
    ParameterError
        For a file that does not say what the network was trained on.
    CorpusError
        For what is not there.

    Examples
    --------
    >>> speakers_of({})
    Traceback (most recent call last):
    relviz._errors.ParameterError: the network's file does not say which corpora it learnt from: \
name a speaker network that `relviz train` wrote.
    """
    names, parts, every = (about.get(name) for name in ("corpora", "parts", "every"))
    if not names or not all(each in get_args(Speech) for each in names):
        raise ParameterError(
            "the network's file does not say which corpora it learnt from: name a speaker network "
            "that `relviz train` wrote."
        )
    return speakers(tuple(names), parts, root, cache, progress, every)


def _known(
    corpus: Speech, parts: Sequence[str] | None, root: Path | str | None, several: bool
) -> tuple[tuple[Utterance, ...], tuple[Utterance, ...], Source]:
    """Return the utterances that make speakers known, those of other sessions, and the source."""
    others: tuple[Utterance, ...] = ()
    if corpus in ("timit", "timit-sample"):  # one sitting a speaker
        known, source = _load(corpus, ("train",) if corpus == "timit" else None, root)
    elif corpus == "speechocean762":  # of which nobody is heard in another sitting
        known, source = _load(corpus, parts or ("adults",), root)
    else:
        everything, source = _load(corpus, parts, root)
        sizes = Counter((each.speaker, each.session) for each in everything)
        least = 1 if source.origin == "synthetic" else SESSION
        known = tuple(each for each in everything if sizes[each.speaker, each.session] >= least)
        elsewhere, _ = _load(corpus, None, root)
        others = corpora.other_sessions(known, elsewhere)
    if several:  # two corpora may have a speaker 1001 each
        known, others = (
            tuple(
                replace(each, name=f"{corpus}:{each.name}", speaker=f"{corpus}:{each.speaker}")
                for each in some
            )
            for some in (known, others)
        )
    return known, others, source


def _load(
    corpus: Speech, parts: Sequence[str] | None, root: Path | str | None
) -> tuple[tuple[Utterance, ...], Source]:
    if corpus == "synthetic":
        return corpora.spoken(), Source("synthetic")
    if corpus not in get_args(Speech):
        raise ParameterError(
            f"corpus {corpus!r} is unknown: use one of {', '.join(get_args(Speech))}."
        )
    # the registry's name is that of the part which can be fetched
    name = "mini-librispeech" if corpus == "librispeech" else corpus
    loaded = corpora.load(name, parts, root)
    return loaded.utterances, loaded.source


def _aligned(
    utterances: Sequence[Utterance], jobs: int, progress: bool, dictionary: Path | str | None
) -> tuple[Mapping[str, Alignment], Mapping[str, str]]:
    """Return when phones are spoken, and why that is not known of some."""
    if all(each.spoken for each in utterances):
        return {each.name: each.spoken for each in utterances if each.spoken}, {}
    own = None if dictionary is None else pronunciations.read(dictionary)
    found = corpora.align(utterances, jobs=jobs, progress=progress, dictionary=own)
    return found.spans, found.skipped


_LACKS = "not in the dictionary: "
"""How `relviz.corpora.align` begins to say that of an utterance, before the words."""


def reasons(skipped: Mapping[str, int]) -> str:
    """Say in a few words why utterances were left out.

    Parameters
    ----------
    skipped : mapping of str to int
        Reason -> utterances, as in `Data.about`.

    Returns
    -------
    str
        Such as "1 no transcript"; at most five of the words that no dictionary has are named.

    Examples
    --------
    >>> reasons({"no transcript": 2, "not in the dictionary: brillig": 1})
    '2 no transcript, 1 with words that are not in the dictionary (brillig)'
    """
    plain = [f"{n} {why}" for why, n in skipped.items() if not why.startswith(_LACKS)]
    lists = {why: n for why, n in skipped.items() if why.startswith(_LACKS)}
    if lists:
        words = list(dict.fromkeys(", ".join(w.removeprefix(_LACKS) for w in lists).split(", ")))
        named = ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")
        plain.append(f"{sum(lists.values())} with words that are not in the dictionary ({named})")
    return ", ".join(plain)


def _why_none(skipped: Mapping[str, str]) -> str:
    """Say why nothing is left to learn from, and the way out that fits."""
    if set(skipped.values()) <= {"no transcript"}:
        return "No utterance has a transcript: choose parts that have them."
    lacks = any(why.startswith(_LACKS) for why in skipped.values())
    way = "give a dictionary that has their words" if lacks else "give transcripts of the sound"
    return (
        f"None of the {len(skipped)} utterances can be aligned "
        f"({reasons(Counter(skipped.values()))}): {way}."
    )


def _fewest(utterances: Iterable[Utterance]) -> int:
    return min(Counter(each.speaker for each in utterances).values())


def _about(
    sources: Sequence[Source],
    rule: str,
    skipped: Mapping[str, str],
    **groups: Sequence[Utterance],
) -> dict[str, Any]:
    """Say what was divided how, in JSON values, for the model card."""
    return {
        "recordings": " ".join(source.describe() for source in sources),
        "rule": rule,
        "skipped": dict(Counter(skipped.values())),
    } | {
        name: {
            "utterances": len(group),
            "speakers": sorted({each.speaker for each in group}, key=in_order),
        }
        for name, group in groups.items()
    }
