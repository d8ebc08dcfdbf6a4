"""Table 2: whether F0, F1 and F2 of a relevance signal match what was measured by hand.

The protocol, as Muckenhirn et al. (2019), section 4.2.2, can only mean it: for every token of the
American English Vowels, F0 and formants are estimated around the steady state (the mean of two
judges' times); an estimate is right when it lies within one standard deviation, of that vowel and
sex over the database, of that token's own hand measurement. Tokens whose value was not measurable
are left out of that measure; an estimate that fails (NaN) is wrong. From how many windows the
signals were made, the paper does not say.

A network that hears at another rate than the recordings' 16 kHz is given them at its own, and its
relevance is measured there, in the same Hz and s.

A signal that is no evidence of learning can pass: compare every row with the original recording
above it and with the untrained networks below. The signals are those of
`relviz.studies.vowel_signals`; `relviz.studies.vowel_tables` lays the scores out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relviz import acoustics, audio, statistics, tasks
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import Vowel, VowelCorpus, vowels
from relviz.signals import LONG
from relviz.statistics import Interval
from relviz.studies.vowel_signals import (
    Relevance,
    SignalFunction,
    noise,
    original,
    standard_signals,
)
from relviz.studies.vowel_tables import PAPER, layout, paper, summary

__all__ = [
    "FORMANTS",
    "MEASURES",
    "PAPER",
    "PRE_EMPHASES",
    "Relevance",
    "Settings",
    "SignalFunction",
    "contrast",
    "estimates",
    "layout",
    "noise",
    "original",
    "paper",
    "score",
    "standard_signals",
    "summary",
    "table2",
]

MEASURES = ("f0", "f1", "f2")
"""What is measured: F0 and two formants."""

FORMANTS = ("f1", "f2")
"""Those that have a contrast."""

PRE_EMPHASES = (0.97, 0.0)
"""Coefficients of the filter before linear prediction; 0 for none."""


@dataclass(frozen=True)
class Settings:
    """Analysis settings, the same for every signal; chosen on the original recordings alone.

    Parameters
    ----------
    f0_floor, f0_ceiling : float
        Of the F0 searched, in Hz, as in `relviz.acoustics.f0_contour`.
    f0_reach : float
        Seconds: F0 is the median over +-f0_reach around the steady state.
    order, frames, step, length, max_bandwidth
        As in `relviz.acoustics.formants`; times in seconds, the bandwidth in Hz.
    contrast_length : float
        Seconds, of the frame at the steady state whose spectrum `contrast` takes levels from: long
        enough to part harmonics.
    contrast_band : float
        Hz to either side of a formant, for its level: wide enough to hold one harmonic.

    Examples
    --------
    >>> Settings(order=12).order
    12
    """

    f0_floor: float = 75.0
    f0_ceiling: float = 500.0
    f0_reach: float = 0.05
    order: int = 16
    frames: int = 10
    step: float = 0.01
    length: float = 0.025
    max_bandwidth: float = 500.0
    contrast_length: float = 0.1
    contrast_band: float = 150.0


def table2(
    signals: Mapping[str, SignalFunction | Sequence[SignalFunction]] | None = None,
    corpus: VowelCorpus | None = None,
    *,
    settings: Settings = Settings(),
    pre_emphases: Sequence[float] = PRE_EMPHASES,
    jobs: int = -1,
    progress: bool = False,
) -> pd.DataFrame:
    """Return Table 2 for any signals: accuracy per signal, pre-emphasis, measure, sex and vowel.

    Parameters
    ----------
    signals : dict of str to SignalFunction or sequence of SignalFunction, optional
        Name -> function, or a sequence of functions that are replicates of one row (seeds). None
        takes `standard_signals()`.
    corpus : VowelCorpus, optional
        None takes the five vowels of the paper; ``corpus.source`` says which data it was.
    settings : Settings
        Of the analysis.
    pre_emphases : sequence of float
        Coefficients, 0 for none.
    jobs : int
        Worker processes, -1 for one a core.
    progress : bool
        Show a bar.

    Returns
    -------
    DataFrame
        What `score` returns, for `estimates` of the same arguments.

    Raises
    ------
    ParameterError
        For no signals, no pre-emphases, a corpus without tokens, and a function that changes the
        length of a signal.

    References
    ----------
    Muckenhirn et al. (2019), section 4.2.2 and Table 2.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> from dataclasses import replace
    >>> corpus = vowels()
    >>> few = replace(corpus, tokens=corpus.tokens[:2])
    >>> table = table2({"recording": original}, few, pre_emphases=[0.0], jobs=1)
    >>> list(table.columns)[:6]
    ['signal', 'pre_emphasis', 'measure', 'sex', 'vowel', 'n']
    """
    return score(
        estimates(
            signals,
            corpus,
            settings=settings,
            pre_emphases=pre_emphases,
            jobs=jobs,
            progress=progress,
        )
    )


def estimates(
    signals: Mapping[str, SignalFunction | Sequence[SignalFunction]] | None = None,
    corpus: VowelCorpus | None = None,
    *,
    settings: Settings = Settings(),
    pre_emphases: Sequence[float] = PRE_EMPHASES,
    jobs: int = -1,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure F0, F1 and F2 of every signal at every token's steady state.

    Parameters
    ----------
    signals, corpus, settings, pre_emphases, jobs, progress
        As for `table2`.

    Returns
    -------
    DataFrame
        One row a signal, replicate, pre-emphasis and token: columns ``signal``, ``replicate``,
        ``pre_emphasis``, ``token``, ``talker``, ``sex``, ``vowel``, and for each measure ``f0``
        (estimate), ``f0_true`` (by hand), ``f0_sd`` (the tolerance), all in Hz; and
        ``f1_contrast``, ``f2_contrast`` in dB, what `contrast` takes means of, and ``f1_pairs``,
        ``f2_pairs``, from how many other vowels each comes; the same for every pre-emphasis.

    Raises
    ------
    ParameterError
        As for `table2`.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> from dataclasses import replace
    >>> corpus = vowels()
    >>> few = replace(corpus, tokens=corpus.tokens[:2])
    >>> table = estimates({"noise": noise}, few, pre_emphases=[0.0], jobs=1)
    >>> table["token"].tolist() == [token.name for token in few.tokens]
    True
    """
    rows = standard_signals() if signals is None else signals
    if not rows:
        raise ParameterError("signals is empty: give at least one name -> function.")
    if not pre_emphases:
        raise ParameterError("pre_emphases is empty: give at least one coefficient, 0 for none.")
    if corpus is None:
        corpus = vowels()
    if not corpus.tokens:
        raise ParameterError("the corpus has no tokens: load some with relviz.corpora.vowels().")
    chunks = list(_chunks(rows, corpus.tokens))
    analyse = partial(_analyse, settings=settings, pre_emphases=tuple(pre_emphases))
    title = "signals x tokens"
    if progress:
        relevances = [each.function for each in chunks if isinstance(each.function, Relevance)]
        seconds = sum(each.lasts(len(corpus.tokens)) for each in dict.fromkeys(relevances))
        seconds /= min(tasks.workers(jobs), len(chunks))
        title += f", {tasks.lasting(seconds)}" if seconds > LONG else ""
    found = tasks.run(analyse, chunks, jobs=jobs, progress=progress, title=title, unit="chunk")
    frames = []
    for chunk, estimated in zip(chunks, found, strict=True):
        frame = pd.DataFrame(estimated)
        frame.insert(0, "signal", chunk.signal)
        frame.insert(1, "replicate", chunk.replicate)
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    spreads = [corpus.deviations[key] for key in zip(table["vowel"], table["sex"], strict=True)]
    for measure in MEASURES:
        table[f"{measure}_sd"] = [getattr(spread, measure) for spread in spreads]
    return table


class _Chunk(NamedTuple):
    """Work for one process: one signal at some tokens, and where these have other formants."""

    signal: str
    replicate: int
    function: SignalFunction
    tokens: Sequence[Vowel]
    elsewhere: Sequence[Mapping[str, list[float]]]


_CHUNK = 31  # tokens a task: a third of the talkers of one vowel, seconds of work for a network


def _chunks(
    rows: Mapping[str, SignalFunction | Sequence[SignalFunction]], tokens: Sequence[Vowel]
) -> Iterator[_Chunk]:
    elsewhere = _elsewhere(tokens)
    for name, functions in rows.items():
        replicates = [functions] if callable(functions) else functions
        for replicate, function in enumerate(replicates):
            for i in range(0, len(tokens), _CHUNK):
                some = tokens[i : i + _CHUNK]
                yield _Chunk(name, replicate, function, some, [elsewhere[t.name] for t in some])


def _analyse(
    chunk: _Chunk, settings: Settings, pre_emphases: tuple[float, ...]
) -> list[dict[str, Any]]:
    """Estimates of one signal at some tokens, in a worker process."""
    found = []
    rate = getattr(chunk.function, "sample_rate", SAMPLE_RATE)
    for token, others in zip(chunk.tokens, chunk.elsewhere, strict=True):
        wave = audio.resample(token.wave(), SAMPLE_RATE, rate)
        signal = np.asarray(chunk.function(wave, round(token.steady * rate)))
        if signal.shape != wave.shape:
            raise ParameterError(
                f"a signal function turned {wave.shape} samples of {token.name} into "
                f"{signal.shape}: it must keep the length."
            )
        span = (token.steady - settings.f0_reach, token.steady + settings.f0_reach)
        with warnings.catch_warnings():
            # a relevance signal need not be a voice: its F0 is scored, not believed
            warnings.simplefilter("ignore", acoustics.F0Warning)
            f0 = acoustics.median_f0(
                signal, rate, span, floor=settings.f0_floor, ceiling=settings.f0_ceiling
            )
        same = {
            "token": token.name,
            "talker": token.talker,
            "sex": token.sex,
            "vowel": token.vowel,
            "f0": f0,
        }
        rest = {f"{measure}_true": getattr(token, measure) for measure in MEASURES}
        rest |= _contrasts(signal, token, others, settings, rate)
        for pre_emphasis in pre_emphases:
            f1, f2 = acoustics.formants(
                signal,
                rate,
                token.steady,
                pre_emphasis=pre_emphasis,
                frames=settings.frames,
                step=settings.step,
                length=settings.length,
                order=settings.order,
                count=2,
                max_bandwidth=settings.max_bandwidth,
            )
            found.append({"pre_emphasis": pre_emphasis, **same, "f1": f1, "f2": f2, **rest})
    return found


def _elsewhere(tokens: Sequence[Vowel]) -> dict[str, dict[str, list[float]]]:
    """Where each token's talker has the formants of other vowels: token -> formant -> Hz."""
    by_talker: dict[str, list[Vowel]] = {}
    for token in tokens:
        by_talker.setdefault(token.talker, []).append(token)
    return {
        token.name: {
            formant: [
                getattr(other, formant)
                for other in by_talker[token.talker]
                if other.vowel != token.vowel
            ]
            for formant in FORMANTS
        }
        for token in tokens
    }


def _contrasts(
    signal: NDArray,
    token: Vowel,
    others: Mapping[str, list[float]],
    settings: Settings,
    rate: int = SAMPLE_RATE,
) -> dict[str, float]:
    """Level of a signal's spectrum at a token's formants over that at other vowels', in dB.

    With it, from how many other vowels that is a mean: a token that is near to others must not
    count for as much as one that is far from all, or a fixed spectrum would not cancel.
    """
    frequencies, magnitude = acoustics.short_term_spectrum(
        signal,
        rate,
        token.steady,
        length=settings.contrast_length,
        n_fft=round(2048 * rate / SAMPLE_RATE),  # bins as far apart at every rate
        window="hann",
    )

    def level(centre: float) -> float:
        power = magnitude[np.abs(frequencies - centre) <= settings.contrast_band] ** 2
        return 10 * float(np.log10(power.mean())) if power.any() else np.nan

    found = {}
    for formant in FORMANTS:
        here = getattr(token, formant)
        # nearer than two bands, both would measure the same
        far = [f for f in others[formant] if abs(f - here) > 2 * settings.contrast_band]
        levels = [level(f) for f in far]
        found[f"{formant}_contrast"] = level(here) - float(np.mean(levels)) if levels else np.nan
        found[f"{formant}_pairs"] = len(levels)
    return found


def score(estimates: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy of estimates, per signal, pre-emphasis, measure, sex and vowel.

    Parameters
    ----------
    estimates : DataFrame
        What `estimates` returns.

    Returns
    -------
    DataFrame
        Columns ``signal``, ``pre_emphasis``, ``measure``, ``sex`` (F, M, or "both"), ``vowel`` (or
        "mean" over vowels), ``n`` (tokens times replicates), ``accuracy``, ``low`` and ``high``
        (95 % interval), ``lowest`` and ``highest`` (over replicates); accuracies from 0 to 1. Means
        weigh vowels and sexes equally.

    Notes
    -----
    The interval is `relviz.statistics.wilson`'s of as many units as there are talkers, with the
    variance of their shares, since vowels of a talker, and replicates on a token, are not
    independent. One rule serves every row, those where all is right, too. Explained in chapter 8 of
    the book.

    Examples
    --------
    >>> made_up = pd.DataFrame({"signal": "a", "replicate": 0, "pre_emphasis": 0.0, "sex": "F",
    ...     "vowel": "iy", "talker": ["w01", "w02"], "f0": [200.0, 300.0], "f0_true": 210.0,
    ...     "f0_sd": 20.0, "f1": 0.0, "f1_true": 0.0, "f1_sd": 1.0, "f2": 0.0, "f2_true": 0.0,
    ...     "f2_sd": 1.0})
    >>> score(made_up).query("measure == 'f0' and sex == 'both'")[["vowel", "accuracy"]]
      vowel  accuracy
    0  mean       0.5
    1    iy       0.5
    """
    rows = []
    for measure in MEASURES:
        known = estimates.dropna(subset=f"{measure}_true")
        error = (known[measure] - known[f"{measure}_true"]).abs()
        known = known.assign(right=(error <= known[f"{measure}_sd"]).astype(float))
        for (signal, pre_emphasis), group in known.groupby(["signal", "pre_emphasis"], sort=False):
            for sex, by_sex in [("both", group), *group.groupby("sex", sort=True)]:
                for vowel, cell in [("mean", by_sex), *by_sex.groupby("vowel", sort=True)]:
                    rows.append(
                        {
                            "signal": signal,
                            "pre_emphasis": pre_emphasis,
                            "measure": measure,
                            "sex": sex,
                            "vowel": vowel,
                            **_accuracy(cell),
                        }
                    )
    order = {name: i for i, name in enumerate(dict.fromkeys(estimates["signal"]))}
    table = pd.DataFrame(rows)
    # Rows in the order of the signals given, and pre-emphasised first.
    return table.sort_values(
        ["signal", "pre_emphasis"],
        key=lambda column: column.map(order) if column.name == "signal" else -column,
        kind="stable",
        ignore_index=True,
    )


def _accuracy(cell: pd.DataFrame) -> dict[str, float]:
    accuracy = _mean(cell)
    talkers = cell.groupby("talker")["right"].mean()
    _, low, high = statistics.wilson(accuracy, len(talkers), variance=float(talkers.var(ddof=0)))
    by_replicate = [_mean(part) for _, part in cell.groupby("replicate")]
    return {
        "n": len(cell),
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "lowest": min(by_replicate),
        "highest": max(by_replicate),
    }


def contrast(estimates: pd.DataFrame) -> pd.DataFrame:
    """Return the formant contrast: how much stronger a signal is at its own formants.

    For two vowels of the *same talker*, one formant of which lies in two places: the level of each
    vowel's signal at its own place, minus that at the other's, and of both the mean. A talker's
    contrast is the mean over all pairs of vowels whose places are more than two
    `Settings.contrast_band` apart. A signal whose spectrum is the same whatever is spoken gets
    exactly 0 dB, however it is shaped, since in each pair one vowel's loss is the other's gain; a
    negative contrast says that the signal is weakest at the formants, and is as far from chance as
    a positive one.

    Parameters
    ----------
    estimates : DataFrame
        What `estimates` returns.

    Returns
    -------
    DataFrame
        Columns ``signal``, ``formant``, ``n`` (tokens times replicates), ``contrast`` (mean over
        talkers, dB), ``low``, ``high`` (95 % t interval over talkers), ``lowest``, ``highest`` (the
        same mean, of single replicates).

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> made_up = pd.DataFrame({"signal": "a", "replicate": 0, "pre_emphasis": 0.0,
    ...     "talker": ["w01", "w02", "w03"], "f1_contrast": [1.0, 2.0, 3.0], "f1_pairs": 4,
    ...     "f2_contrast": 0.0, "f2_pairs": 4})
    >>> contrast(made_up)[["signal", "formant", "n", "contrast"]]
      signal formant  n  contrast
    0      a      f1  3       2.0
    1      a      f2  3       0.0
    """
    once = estimates[estimates["pre_emphasis"] == estimates["pre_emphasis"].iloc[0]]
    rows = []
    for signal, group in once.groupby("signal", sort=False):
        for formant in FORMANTS:
            known = group.dropna(subset=f"{formant}_contrast")
            talkers = _over_pairs(known, formant)
            mean = Interval(np.nan, np.nan, np.nan)
            if len(talkers):
                mean = statistics.t_interval(talkers)
            replicates = [
                _over_pairs(part, formant).mean() for _, part in known.groupby("replicate")
            ]
            rows.append(
                {
                    "signal": signal,
                    "formant": formant,
                    "n": len(known),
                    "contrast": mean.value,
                    "low": mean.low,
                    "high": mean.high,
                    "lowest": min(replicates, default=np.nan),
                    "highest": max(replicates, default=np.nan),
                }
            )
    return pd.DataFrame(rows)


def _over_pairs(known: pd.DataFrame, formant: str) -> pd.Series:
    """Mean contrast of each talker over pairs of vowels, each pair seen from both."""
    pairs = known[f"{formant}_pairs"]
    sums = (pairs * known[f"{formant}_contrast"]).groupby(known["talker"]).sum()
    return sums / pairs.groupby(known["talker"]).sum()


def _mean(cell: pd.DataFrame) -> float:
    """Mean over tokens in each vowel and sex, then over these."""
    return float(cell.groupby(["vowel", "sex"])["right"].mean().mean())
