"""Networks and forced alignment against phones that people marked: TIMIT's free sample.

The networks learnt from forced alignment, so what they are scored with elsewhere is what another
program says. Here `frames` counts how often they name the phone that a person heard, beside the
alignment that taught them and the one answer that is right most often, and `boundaries` how far
the alignment puts a boundary from where a person put it.

Hands and dictionaries write differently (`relviz.corpora.timit.TO_CMU`): TIMIT labels the closure
of a stop by itself. It is folded both ways, into its stop, as a dictionary has it, and into
silence, as 39 classes have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from relviz import corpora, pretrained
from relviz._errors import ParameterError
from relviz.corpora import PHONES, Alignment, CorpusError, SpeechCorpus, Utterance, timit
from relviz.corpora.alignment import common_boundaries
from relviz.pretrained import TrainedCNN
from relviz.studies.phones import group_of
from relviz.training import score
from relviz.training.data import label_speakers, pack

__all__ = [
    "ALIGNMENT",
    "CLOSURES",
    "ONE",
    "SILENCE",
    "TWO_PHONES",
    "accept",
    "boundaries",
    "frames",
    "spread",
]

ALIGNMENT = "forced alignment"
"""What the networks learnt from."""

ONE = "the same phone always"
"""The floor: the one phone that is right most often."""

TWO_PHONES, SILENCE = "between two phones", "beside silence"
"""The two halves of all boundaries."""

CLOSURES: tuple[timit.Closures, ...] = get_args(timit.Closures)
"""Both ways to count the closures of stops."""

_LABELS = (*(label for label in timit.TO_CMU if label != "h#"), "h#")
_ACCEPT = np.array([[phone in timit.TO_CMU[label] for phone in PHONES] for label in _LABELS])
_ACCEPT.flags.writeable = False


def accept(spans: Alignment, times: ArrayLike, closures: timit.Closures) -> NDArray[np.bool_]:
    """Say which phones are right at some times.

    Parameters
    ----------
    spans : tuple of Span
        By hand, with TIMIT's 61 labels.
    times : array_like, (times,)
        Seconds.
    closures : {"stop", "silence"}
        Where the closure of a stop counts.

    Returns
    -------
    ndarray of bool, (times, 40)
        In the order of `relviz.corpora.PHONES`. Two are right in a flap and in the vowel of
        "roses", none in a glottal stop.

    Examples
    --------
    >>> from relviz.corpora import Span
    >>> spans = (Span(0.0, 0.25, "tcl"), Span(0.25, 0.5, "t"), Span(0.5, 0.75, "dx"))
    >>> right = accept(spans, [0.1, 0.3, 0.6], "silence")
    >>> [[PHONES[n] for n in np.flatnonzero(row)] for row in right]
    [['SIL'], ['T'], ['D', 'T']]
    """
    folded = timit.fold_closures(spans, closures)
    return _ACCEPT[corpora.frame_labels(folded, times, _LABELS)]


def frames(
    networks: Mapping[str, TrainedCNN] | None = None,
    corpus: SpeechCorpus | None = None,
    jobs: int = -1,
    cache: Path | str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Count the 10 ms frames whose phone is the one that a person heard.

    Parameters
    ----------
    networks : mapping of str to TrainedCNN, optional
        Phone networks by name; default, the three that are shipped.
    corpus : SpeechCorpus, optional
        Default, TIMIT's sample.
    jobs : int
        Processes for the alignment, -1 for one a core.
    cache : Path or str, optional
        Where audio and alignments are kept; default, in the user's cache.
    progress : bool
        Show bars.

    Returns
    -------
    DataFrame
        A row a network, then `ALIGNMENT` and `ONE`, each with both foldings and each group of
        phones that occurs, "all" first: columns ``labels``, ``closures``, ``phones``, ``frames``,
        ``accuracy``, ``low`` and ``high``, the ends of a 95 % interval over speakers.

    Raises
    ------
    CorpusError
        Without recordings: synthetic speech was labelled by nobody.
    ParameterError
        For a network that tells something else apart.

    Notes
    -----
    The appendix of the book, on data and models, shows the table.

    Examples
    --------
    >>> from relviz.corpora import Source
    >>> frames(corpus=SpeechCorpus((), Source("synthetic")))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    relviz.corpora.corpus.CorpusError: TIMIT's sample is not here: ...
    """
    corpus = _sample(corpus)
    if networks is None:
        networks = {name: pretrained.load(name) for name in pretrained.SEEDS["phones"]}
    by_hand = {each.name: timit.alignment(each, 61) for each in corpus.utterances}
    named = _named(networks, corpus, cache, progress)
    named[ALIGNMENT] = _aligned(corpus, {n: len(v) for n, v in _first(named).items()}, jobs, cache)
    rows = []
    for closures in CLOSURES:
        right = {
            name: accept(by_hand[name], _times(len(found)), closures)
            for name, found in _first(named).items()
        }
        # the phone that would be right most often
        best = int(np.sum([each.sum(axis=0) for each in right.values()], axis=0).argmax())
        answers = named | {ONE: {name: np.full(len(each), best) for name, each in right.items()}}
        for labels, found in answers.items():
            rows += _rows(labels, closures, corpus.utterances, right, found)
    return pd.DataFrame(rows)


def boundaries(
    corpus: SpeechCorpus | None = None,
    jobs: int = -1,
    cache: Path | str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Compare where forced alignment and a person put the boundaries between phones.

    Compared are boundaries between two phones that follow each other in both; closures belong to
    their stops.

    Parameters
    ----------
    corpus : SpeechCorpus, optional
        Default, TIMIT's sample.
    jobs : int
        Processes, -1 for one a core.
    cache : Path or str, optional
        See `relviz.corpora.align`.
    progress : bool
        Show a bar.

    Returns
    -------
    DataFrame
        A row a boundary: columns ``speaker``, ``utterance``, ``before`` and ``after`` (groups of
        phones, such as stops) and ``late``, in seconds, negative where the alignment is early.

    Raises
    ------
    CorpusError
        Without recordings.

    Notes
    -----
    The appendix of the book, on data and models, shows their spread.

    Examples
    --------
    >>> from relviz.corpora import Source
    >>> boundaries(SpeechCorpus((), Source("synthetic")))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    relviz.corpora.corpus.CorpusError: TIMIT's sample is not here: ...
    """
    corpus = _sample(corpus)
    aligned = corpora.align(corpus.utterances, jobs, cache, progress).spans
    group = group_of()
    rows = [
        (each.speaker, each.name, group[before], group[after], late)
        for each in corpus.utterances
        if each.name in aligned
        for before, after, late in common_boundaries(
            _as_found(timit.alignment(each, 61), aligned[each.name]), aligned[each.name]
        )
    ]
    return pd.DataFrame(rows, columns=["speaker", "utterance", "before", "after", "late"])


def spread(table: pd.DataFrame, least: int = 50) -> pd.DataFrame:
    """Return how far off boundaries are, by kind.

    Parameters
    ----------
    table : DataFrame
        What `boundaries` returns.
    least : int
        Boundaries that a kind must have to be a row of its own.

    Returns
    -------
    DataFrame
        A row a kind, the largest first, after "all", `TWO_PHONES` and `SILENCE`: columns
        ``boundary``, ``number``, ``late`` (the median), ``median`` and ``percentile_90`` of the
        distance, all in milliseconds, and ``within_20`` ms, a share.

    Examples
    --------
    >>> row = dict(speaker="a", utterance="a-1", before="vowels", after="stops")
    >>> table = pd.DataFrame([{**row, "late": late} for late in (-0.01, 0.0, 0.03)])
    >>> print(*spread(table, least=3)[["boundary", "number", "median"]].iloc[-1])
    vowels to stops 3 10.0
    """
    kinds = table["before"] + " to " + table["after"]
    silent = (table[["before", "after"]] == "silence").any(axis=1)
    groups = {"all": table, TWO_PHONES: table[~silent], SILENCE: table[silent]}
    counts = kinds.value_counts()
    groups |= {kind: table[kinds == kind] for kind in counts.index[counts >= least]}
    return pd.DataFrame(
        [
            {
                "boundary": name,
                "number": len(rows),
                "late": 1000 * rows["late"].median(),
                "median": 1000 * rows["late"].abs().median(),
                "percentile_90": 1000 * rows["late"].abs().quantile(0.9),
                "within_20": (rows["late"].abs() <= 0.02).mean(),
            }
            for name, rows in groups.items()
        ]
    )


def _sample(corpus: SpeechCorpus | None) -> SpeechCorpus:
    corpus = corpora.load("timit-sample") if corpus is None else corpus
    if corpus.source.origin == "synthetic":
        raise CorpusError(
            "TIMIT's sample is not here: run `relviz data fetch timit-sample`, which shows its "
            "licence first."
        )
    return corpus


def _times(count: int) -> NDArray[np.floating]:
    """Return the centres of an utterance's frames, in seconds, as networks are trained on them."""
    return (np.arange(count) + 0.5) * 0.01


def _named(
    networks: Mapping[str, TrainedCNN],
    corpus: SpeechCorpus,
    cache: Path | str | None,
    progress: bool,
) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Return which phone each network names: network -> utterance -> (frames,)."""
    audio = pack(corpus.utterances, Path(cache) / "audio" if cache else None, progress)
    speakers = sorted({each.speaker for each in corpus.utterances})
    heard = label_speakers(audio, corpus.utterances, speakers)
    cuts = np.flatnonzero(np.diff(heard.utterances)) + 1
    names = [audio.names[number] for number in heard.utterances[np.append(0, cuts)]]
    found = {}
    for name, net in networks.items():
        if set(net.metadata.classes) != set(PHONES):
            raise ParameterError(
                f"{name} tells {len(net.metadata.classes)} other classes apart than the "
                f"{len(PHONES)} phones of relviz.corpora.PHONES: name a phone network."
            )
        order = np.array([PHONES.index(phone) for phone in net.metadata.classes])
        rows = score.log_posteriors(net, heard, net.metadata.normalise, progress=progress)
        found[name] = dict(zip(names, np.split(order[rows.argmax(axis=1)], cuts), strict=True))
    return found


def _first(
    named: Mapping[str, Mapping[str, NDArray[np.int64]]],
) -> Mapping[str, NDArray[np.int64]]:
    return next(iter(named.values()))


def _aligned(
    corpus: SpeechCorpus, counts: Mapping[str, int], jobs: int, cache: Path | str | None
) -> dict[str, NDArray[np.int64]]:
    spans = corpora.align(corpus.utterances, jobs, cache).spans
    return {
        name: corpora.frame_labels(spans[name], _times(count))
        for name, count in counts.items()
        if name in spans
    }


def _rows(
    labels: str,
    closures: str,
    utterances: Sequence[Utterance],
    right: Mapping[str, NDArray[np.bool_]],
    found: Mapping[str, NDArray[np.int64]],
) -> list[dict[str, object]]:
    """Count hits and frames of each speaker, over all phones and by group."""
    group = group_of()
    kinds = ["all", *dict.fromkeys(group.values())]
    kind = np.array([kinds.index(group[phone]) for phone in PHONES])
    speakers = sorted({each.speaker for each in utterances})
    counts = np.zeros((len(kinds), len(speakers), 2))
    for each in utterances:
        if each.name not in found:
            continue
        allowed, answer = right[each.name], found[each.name]
        scored = allowed.any(axis=1)
        hit = allowed[np.arange(len(answer)), answer]
        of_kind = kind[allowed.argmax(axis=1)]
        for number in range(len(kinds)):
            which = scored & ((of_kind == number) | (number == 0))
            counts[number, speakers.index(each.speaker)] += hit[which].sum(), which.sum()
    rows = []
    for name, several in zip(kinds, counts, strict=True):
        if not several[:, 1].any():
            continue
        interval = score.rate(several[several[:, 1] > 0])
        rows.append(
            dict(labels=labels, closures=closures, phones=name, frames=int(several[:, 1].sum()))
            | dict(accuracy=interval.value, low=interval.low, high=interval.high)
        )
    return rows


def _as_found(by_hand: Alignment, found: Alignment) -> Alignment:
    """Write hand labels as a dictionary does; where it has two ways, the one found at that time."""
    spans = []
    for span in timit.fold_closures(by_hand, "stop"):
        ways = timit.TO_CMU[span.label]
        if not ways:
            continue
        middle = (span.start + span.end) / 2
        (here,) = corpora.frame_labels(found, [middle])
        label = PHONES[here] if PHONES[here] in ways else ways[0]
        spans.append(span._replace(label=label))
    return tuple(spans)
