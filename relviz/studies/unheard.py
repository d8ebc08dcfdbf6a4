"""Phones of people whom training did not hear: how a network does on each, and on people at large.

Utterances of one person are alike, so an interval over utterances of three people holds for these
three. Here people are counted: cross-validation, in which every speaker of a corpus is left out of
one training, has as many as the corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from relviz import statistics
from relviz._errors import ParameterError
from relviz.pretrained import TrainedCNN
from relviz.training import score, sets

__all__ = ["IN_TURN", "by_speaker", "on_cards", "over_speakers"]

IN_TURN = "all in turn"
"""The row over the speakers of all networks, each by those that did not hear them."""


def by_speaker(
    networks: Mapping[str, TrainedCNN],
    corpus: sets.Speech = "librispeech",
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    cache: Path | str | None = None,
    jobs: int = -1,
    progress: bool = False,
) -> pd.DataFrame:
    """Score phone networks on each speaker whom their training did not hear.

    Parameters
    ----------
    networks : mapping of str to TrainedCNN
        By name. Their `metadata` say who trained and who validated: all others test.
    corpus : str
        As in `relviz.training.sets.phones`.
    parts : sequence of str, optional
        Of LibriSpeech; default, all that have transcripts here.
    root, cache, jobs
        As in `relviz.training.sets.phones`.
    progress : bool
        Show bars.

    Returns
    -------
    DataFrame
        One row a network and speaker: ``network``, ``speaker``, ``utterances``, ``accuracy`` (of
        frames) and ``error`` (phone error rate), from 0 to 1, though an error rate may exceed 1;
        ``control``, whether the network learnt shuffled labels.

    Raises
    ------
    ParameterError
        For a network of other classes, or whose file does not say who trained.

    Notes
    -----
    The decoder is each network's own: learnt from who trained, tuned on who validated.

    Examples
    --------
    >>> import relviz
    >>> by_speaker({"speakers": relviz.load("speakers")})
    Traceback (most recent call last):
    relviz._errors.ParameterError: speakers tells no phones apart: name a phone network.
    """
    for name, net in networks.items():
        if net.metadata.study != "phones":
            raise ParameterError(f"{name} tells no phones apart: name a phone network.")
    rows = []
    for name, net in networks.items():
        data = sets.phones(corpus, parts, root, cache, jobs, progress, division=net.metadata.about)
        if net.metadata.classes != data.classes:
            raise ParameterError(
                f"{name} tells {len(net.metadata.classes)} other classes apart than the "
                f"{len(data.classes)} phones of {corpus}: name a network of these."
            )
        found = score.score_phones(net, data, net.metadata.normalise, progress=progress)
        rows += _rows(name, net, found)
    return pd.DataFrame(rows)


def on_cards(networks: Mapping[str, TrainedCNN]) -> pd.DataFrame:
    """Return what the files of phone networks say of each speaker: no recordings are needed.

    Parameters
    ----------
    networks : mapping of str to TrainedCNN
        By name; those that tell phones apart.

    Returns
    -------
    DataFrame
        As of `by_speaker`, whose scores were written down when the network was trained.

    Notes
    -----
    Used by the book's appendix, data and model cards.

    Examples
    --------
    >>> from relviz import pretrained
    >>> on_cards({name: pretrained.load(name) for name in pretrained.SEEDS["phones"]}).shape
    (15, 6)
    """
    return pd.DataFrame(
        [row for name, net in networks.items() for row in _rows(name, net, net.metadata.scores)]
    )


def _rows(name: str, net: TrainedCNN, scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        dict(
            network=name,
            speaker=speaker,
            utterances=values["frame_accuracy"]["trials"],
            control=bool(net.metadata.recipe.get("shuffle_labels")),
            accuracy=values["frame_accuracy"]["value"],
            error=values["phone_error_rate"]["value"],
        )
        for speaker, values in scores[sets.HELD_OUT]["by_speaker"].items()
    ]


def over_speakers(table: pd.DataFrame) -> pd.DataFrame:
    """Return means over speakers, with intervals, and the best and the worst of them.

    Parameters
    ----------
    table : DataFrame
        Of `by_speaker`.

    Returns
    -------
    DataFrame
        One row a network and ``score`` ("accuracy", "error"): ``speakers``, ``mean`` (an
        `relviz.statistics.Interval`, by drawing speakers; its ends are NaN for one), ``lowest`` and
        ``highest``. Where networks left different speakers out, `IN_TURN` comes last; controls have
        no part in it.

    Examples
    --------
    >>> rows = [("a", "7", 0.5, 0.6), ("a", "9", 0.7, 0.4), ("b", "8", 0.6, 0.5)]
    >>> columns = ["network", "speaker", "accuracy", "error"]
    >>> found = over_speakers(pd.DataFrame(rows, columns=columns).assign(control=False))
    >>> last = found.to_dict("records")[-2]
    >>> last["network"], last["speakers"], round(last["mean"].value, 2), last["lowest"]
    ('all in turn', 3, 0.6, 0.5)
    """
    scores = ["accuracy", "error"]
    groups = {str(name): some for name, some in table.groupby("network", sort=False)}
    trained = table[~table["control"]]
    left_out = trained.groupby("network")["speaker"].agg(frozenset)
    if left_out.nunique() > 1:
        groups[IN_TURN] = trained.groupby("speaker", sort=False)[scores].mean().reset_index()
    rows = []
    for name, some in groups.items():
        for which in scores:
            values = some[which].to_numpy(np.float64)
            mean = statistics.bootstrap(values)
            row = dict(network=name, score=which, speakers=len(values), mean=mean)
            rows.append(row | dict(lowest=values.min(), highest=values.max()))
    return pd.DataFrame(rows)
