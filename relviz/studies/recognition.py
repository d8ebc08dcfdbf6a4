"""Are words left in a relevance signal? Phone error rates of a recogniser that never saw one.

Muckenhirn et al. (2019), section 4.3, find the relevance signals of their phone network
intelligible and those of their speaker network not. Here that becomes a number. Compare each with
the recording itself, with untrained networks and with the right phones in the wrong order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from relviz import audio, statistics
from relviz._errors import ParameterError
from relviz._extras import require
from relviz.corpora import PHONES, Alignment
from relviz.training.decoding import edit_distance

__all__ = ["BACKWARDS", "error_rates", "phone_loop", "phones_between", "recognition"]

BACKWARDS = "recording, text backwards"
"""The floor of `recognition`: what chance gives, with the right phones in the wrong order."""


def phones_between(
    alignment: Alignment, start: float, end: float
) -> tuple[float, float, list[str]]:
    """Find the phones that are said as a whole within a stretch of an utterance.

    Parameters
    ----------
    alignment : sequence of Span
        When each phone of the utterance is said.
    start, end : float
        Of the stretch, in seconds.

    Returns
    -------
    begin, end : float
        Of these phones, in seconds.
    labels : list of str
        Their labels without silences.

    Raises
    ------
    ParameterError
        If there is none.

    Notes
    -----
    Used in chapter 7 of the book.

    Examples
    --------
    >>> from relviz.corpora import Span
    >>> cat = [Span(0.2, 0.3, "K"), Span(0.3, 0.5, "AE"), Span(0.5, 0.6, "T")]
    >>> phones_between(cat, 0.1, 0.55)
    (0.2, 0.5, ['K', 'AE'])
    """
    inside = [span for span in alignment if span.start >= start and span.end <= end]
    labels = [span.label for span in inside if span.label != PHONES[-1]]
    if not labels:
        raise ParameterError(f"no phone lies within {start} to {end} s: take a longer stretch.")
    return inside[0].start, inside[-1].end, labels


def phone_loop(signal: ArrayLike) -> list[str]:
    """Recognise phones, and nothing but phones: pocketsphinx's phone loop with its phone bigrams.

    Parameters
    ----------
    signal : array_like, (samples,)
        At 16 kHz; its scale does not matter, nor does a constant filter, since the cepstral mean of
        the signal is subtracted.

    Returns
    -------
    list of str
        Labels of `relviz.corpora.PHONES` without silences and noises.

    Raises
    ------
    CorpusError
        Without pocketsphinx.
    AudioError
        For a silent signal.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> from relviz.corpora import sentence
    >>> len(phone_loop(sentence("Birds sing above our yellow house.", "Male1").wave)) > 8
    True
    """
    samples = audio.check(signal, "the signal")
    loud = 0.1 * samples / np.sqrt(np.mean(samples**2, dtype=np.float64))
    sound = (np.clip(loud, -1, 1) * 32767).astype("<i2").tobytes()
    decoder = _recogniser()
    decoder.reinit_feat()  # else the first frames depend on the signal before
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    found = [segment.word for segment in decoder.seg() or ()]
    return [phone for phone in found if phone in PHONES[:-1]]


@lru_cache(maxsize=1)
def _recogniser() -> Any:
    require("pocketsphinx")
    import pocketsphinx

    return pocketsphinx.Decoder(
        allphone=f"{pocketsphinx.get_model_path()}/en-us/en-us-phone.lm.bin",
        lm=None,
        lw=2.0,  # this weight and these beams as CMU Sphinx's manual has them for phone loops
        beam=1e-20,
        pbeam=1e-20,
        cmn="batch",
        loglevel="FATAL",
    )


def recognition(
    signals: Mapping[str, Sequence[ArrayLike]], said: Sequence[Sequence[str]]
) -> pd.DataFrame:
    """Count the errors of `phone_loop` in several signals of the same stretches of speech.

    Parameters
    ----------
    signals : dict of str to sequence of array_like
        Name -> one signal a stretch, (samples,) each; the recordings first.
    said : sequence of sequence of str
        The phones of each stretch, in the same order.

    Returns
    -------
    DataFrame
        A row a signal and stretch: columns ``signal``, ``stretch``, ``errors`` (substitutions,
        deletions and insertions) and ``phones`` (said). Last comes a floor, `BACKWARDS`: what was
        recognised in the first signal, scored against what is said from its end to its beginning.

    Raises
    ------
    ParameterError
        Where the numbers of stretches differ or there are fewer than two.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((2, 16000))
    >>> table = recognition({"noise": noise}, [["K", "AE", "T"], ["D", "AO", "G"]])
    >>> table["signal"].tolist()[::2]
    ['noise', 'recording, text backwards']
    """
    if len(said) < 2 or any(len(several) != len(said) for several in signals.values()):
        raise ParameterError(
            f"there are {len(said)} texts for {[len(each) for each in signals.values()]} signals: "
            "give two stretches or more, and every signal of each."
        )
    found = {name: [phone_loop(each) for each in several] for name, several in signals.items()}
    trials = [(name, several, list(said)) for name, several in found.items()]
    trials += [(BACKWARDS, trials[0][1], [each[::-1] for each in said])] if trials else []
    rows = [
        (name, stretch, edit_distance(heard, phones), len(phones))
        for name, several, truth in trials
        for stretch, (heard, phones) in enumerate(zip(several, truth, strict=True))
    ]
    return pd.DataFrame(rows, columns=["signal", "stretch", "errors", "phones"])


def error_rates(table: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Return the phone error rate of every signal, and by how much it exceeds that of another.

    Parameters
    ----------
    table : DataFrame
        What `recognition` returns.
    reference : str, optional
        The other: one of the signals, default the first.

    Returns
    -------
    DataFrame
        A row a signal: columns ``signal``, ``error_rate`` (may exceed 1), ``low``, ``high``, then
        ``more``, ``more_low``, ``more_high`` for the difference. Intervals are 95 %, by drawing
        stretches with replacement, the same ones for both signals of a difference.

    See Also
    --------
    relviz.statistics.bootstrap : the intervals.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> columns = ["signal", "stretch", "errors", "phones"]
    >>> rows = [("a", 0, 1, 10), ("a", 1, 3, 10), ("b", 0, 2, 10), ("b", 1, 4, 10)]
    >>> error_rates(pd.DataFrame(rows, columns=columns))[["signal", "error_rate", "more"]]
      signal  error_rate  more
    0      a         0.2   0.0
    1      b         0.3   0.1
    """
    names = list(dict.fromkeys(table["signal"]))
    counts = [
        table.pivot(index="stretch", columns="signal", values=column)[names].to_numpy(float)
        for column in ("errors", "phones")
    ]
    stretches = np.stack(counts, axis=1)  # (stretches, 2, signals)
    base = 0 if reference is None else names.index(reference)
    rate = statistics.bootstrap(stretches, lambda s: s[:, 0] / s[:, 1])
    more = statistics.bootstrap(
        stretches, lambda s: s[:, 0] / s[:, 1] - s[:, 0, [base]] / s[:, 1, [base]]
    )
    return pd.DataFrame(
        {
            "signal": names,
            "error_rate": rate.value,
            "low": rate.low,
            "high": rate.high,
            "more": more.value,
            "more_low": more.low,
            "more_high": more.high,
        }
    )
