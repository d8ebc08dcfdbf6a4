"""What does a network listen to? Change one cue of speech, hold the rest, see the decision move.

A `Change` is one such cue: F0, a formant, the spectral tilt, a band, or the phases. `effect` makes
it in recordings and asks a network before and after. How large a movement is says little by itself,
so the same is asked of changes that a listener to that cue would not mind (`CONTROLS`), of noise
with the energy and the spectrum of the change, and of another token of the same talker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from relviz import acoustics, audio, statistics, tasks
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import Vowel
from relviz.signals import (
    LONG,
    Normalise,
    batches,
    forecast,
    log_posteriors,
    network_rate,
    network_window,
)
from relviz.studies.phones import GROUPS, Speech

__all__ = [
    "BANDS",
    "CHANGES",
    "CONTROLS",
    "OTHER",
    "Change",
    "Recording",
    "effect",
    "effects",
    "kept",
    "measured",
    "of_speech",
    "of_vowels",
    "table",
]

_KEPT = Path(__file__).parent / "cues.csv"

_VOWELS = frozenset((*GROUPS["vowels"], *GROUPS["diphthongs"]))

OTHER = "another token of the talker"
"""The yardstick: how far two decisions about one voice lie apart."""

BANDS: tuple[tuple[float, float], ...] = (
    *((80.0, 250.0), (250.0, 1000.0), (1000.0, 2000.0)),
    *((2000.0, 3500.0), (3500.0, 5000.0), (5000.0, 7000.0)),
)
"""Hz: around F0; around F1; around F2; and what lies above, in three parts."""


@dataclass(frozen=True)
class Recording:
    """Speech, and where in it a network is asked.

    Parameters
    ----------
    name : str
        Such as "m01ah".
    talker : str
        Intervals count talkers.
    wave : ndarray, (samples,)
        At `sample_rate`.
    times : tuple of float
        Seconds: windows are centred there.
    ceiling : float
        Hz, below which the talker has five formants.
    sample_rate : int
        In Hz, at which cues are changed. A network hears what comes of it at its own.

    Examples
    --------
    >>> Recording("tone", "nobody", np.zeros(8000), (0.25,)).ceiling
    5500.0
    """

    name: str
    talker: str
    wave: NDArray = field(repr=False)
    times: tuple[float, ...]
    ceiling: float = 5500.0
    sample_rate: int = SAMPLE_RATE


@dataclass(frozen=True)
class Change:
    """One cue that is changed by so much.

    Parameters
    ----------
    cue : str
        Such as "F1".
    size : float
        In the `unit`.
    unit : str
        Such as "semitones".
    make : callable
        Takes a `Recording`; returns its wave, changed, of the same length.

    Examples
    --------
    >>> str(CHANGES[0])
    'F0, -6 semitones'
    """

    cue: str
    size: float
    unit: str
    make: Callable[[Recording], NDArray] = field(repr=False)

    def __str__(self) -> str:
        """Return the cue, and by how much it is changed."""
        return f"{self.cue}, {self.size:+g} {self.unit}" if self.unit else self.cue


def _f0(semitones: float, recording: Recording) -> NDArray:
    return acoustics.shift_f0(recording.wave, recording.sample_rate, 2 ** (semitones / 12))


def _formant(number: int | None, percent: float, recording: Recording) -> NDArray:
    factor = 1 + percent / 100 if percent > 0 else 1 / (1 - percent / 100)
    return acoustics.shift_formant(
        recording.wave, recording.sample_rate, factor, number, ceiling=recording.ceiling
    )


def _tilt(slope: float, recording: Recording) -> NDArray:
    return acoustics.tilt(recording.wave, recording.sample_rate, slope)


def _band(low: float, high: float, recording: Recording) -> NDArray:
    return acoustics.replace_band(recording.wave, recording.sample_rate, low, high)


def _phases(spread: float, recording: Recording) -> NDArray:
    return acoustics.disperse(recording.wave, recording.sample_rate, spread / 1000)


def _level(decibels: float, recording: Recording) -> NDArray:
    return recording.wave * 10 ** (decibels / 20)


def _later(milliseconds: float, recording: Recording) -> NDArray:
    by = round(milliseconds * recording.sample_rate / 1000)
    return np.pad(recording.wave, (by, 0))[: len(recording.wave)]


_FORMANTS: Mapping[str, int | None] = {"F1": 1, "F2": 2, "F3": 3, "all formants": None}

CHANGES: tuple[Change, ...] = (
    *(Change("F0", s, "semitones", partial(_f0, s)) for s in (-6, -4, -2, -1, 1, 2, 4, 6)),
    *(
        Change(cue, percent, "%", partial(_formant, number, percent))
        for cue, number in _FORMANTS.items()
        for percent in (-25, -15, -7, 7, 15, 25)
    ),
    *(Change("tilt", s, "dB per octave", partial(_tilt, s)) for s in (-6, -3, 3, 6)),
    *(
        Change(f"noise, {low:g} to {high:g} Hz", 1, "", partial(_band, low, high))
        for low, high in BANDS
    ),
)
"""A percentage below 0 divides: -25 % is to be divided by 1.25."""

CONTROLS: tuple[Change, ...] = (
    Change("resynthesis, nothing changed", 0, "", partial(_f0, 0)),
    Change("later", 3, "ms", partial(_later, 3)),
    Change("level", -12, "dB", partial(_level, -12)),
    Change("phases", 5, "ms", partial(_phases, 5)),
)
"""Whoever listens to the cues above need not mind these."""


def of_vowels(tokens: Sequence[Vowel]) -> list[Recording]:
    """Return vowel tokens as recordings, in which a network is asked at the steady state.

    Parameters
    ----------
    tokens : sequence of Vowel
        With their sexes, which say where formants are looked for.

    Returns
    -------
    list of Recording
        In their order.

    Examples
    --------
    >>> from relviz import corpora
    >>> of_vowels(corpora.vowel_corpus(["ah"], men=1, women=1))[1].ceiling
    5500.0
    """
    return [
        Recording(t.name, t.talker, t.wave(), (t.steady,), 5000.0 if t.sex == "M" else 5500.0)
        for t in tokens
    ]


def of_speech(speech: Speech, count: int = 6) -> list[Recording]:
    """Return utterances as recordings, in which a network is asked at the longest vowels.

    Parameters
    ----------
    speech : Speech
        Such as `relviz.studies.phones.unheard` gives; those with too few vowels are left out.
    count : int
        How many vowels of each utterance.

    Returns
    -------
    list of Recording
        In their order.

    Raises
    ------
    ParameterError
        If no utterance has so many vowels.

    Examples
    --------
    >>> from relviz.studies.phones import unheard
    >>> some = of_speech(unheard(["nobody"], seconds=2))
    >>> len(some[0].times)
    6
    """
    found = []
    for each in speech.utterances:
        spans = [span for span in speech.alignments[each.name] if span.label in _VOWELS]
        longest = sorted(spans, key=lambda span: span.start - span.end)[:count]
        if len(longest) == count:
            times = sorted((span.start + span.end) / 2 for span in longest)
            ceiling = 5000.0 if each.sex == "M" else 5500.0
            found.append(Recording(each.name, each.speaker, each.wave(), tuple(times), ceiling))
    if not found:
        raise ParameterError(f"no utterance has {count} vowels: ask for fewer.")
    return found


def effect(
    net: Callable[[torch.Tensor], Any],
    recordings: Sequence[Recording],
    change: Change,
    *,
    window: int | None = None,
    normalise: Normalise | None = None,
) -> pd.DataFrame:
    """Ask how far a network's decisions move when one cue is changed.

    Parameters
    ----------
    net : callable
        Any network of windows, (batch, window) to scores of classes, (batch, classes) or (batch,
        frames, classes), of which the middle frame counts.
    recordings : sequence of Recording
        Such as `of_vowels` returns.
    change : Change
        One of `CHANGES` or `CONTROLS`, or one of yours.
    window, normalise
        As in `relviz.relevance_signal`; what the network says itself need not be given.

    Returns
    -------
    DataFrame
        As of `effects`, without the column ``network``.

    Raises
    ------
    ParameterError
        For no recordings, a network that does not say how much it hears, and a change that leaves
        another length.

    Examples
    --------
    >>> from relviz import corpora, networks
    >>> net = networks.build(networks.PHONE_CNN, 40)
    >>> some = of_vowels(corpora.vowel_corpus(["ah", "iy"], men=1, women=1))
    >>> found = effect(net, some, CONTROLS[2])
    >>> bool(found.query("cue == 'level'")["nats"].max() < 1e-6)  # windows are normalised
    True
    """
    found = effects({"": net}, recordings, [change], window=window, normalise=normalise, jobs=1)
    return found.drop(columns="network")


def effects(
    networks: Mapping[str, Callable[[torch.Tensor], Any]],
    recordings: Sequence[Recording],
    changes: Sequence[Change] | None = None,
    *,
    window: int | None = None,
    normalise: Normalise | None = None,
    jobs: int = -1,
    progress: bool = False,
) -> pd.DataFrame:
    """Ask how far the decisions of networks move, change by change.

    Parameters
    ----------
    networks : mapping of str to callable
        By name, as in `effect`.
    recordings : sequence of Recording
        Asked before and after.
    changes : sequence of Change, optional
        Each by itself; default, `CHANGES` and `CONTROLS`.
    window, normalise
        As in `relviz.relevance_signal`.
    jobs : int
        Worker processes, which change the recordings; see `relviz.tasks.run`.
    progress : bool
        Show a bar.

    Returns
    -------
    DataFrame
        A row a network, change and recording: ``network``, ``change``, ``cue``, ``size``,
        ``talker``, ``recording``; ``nats``, the Kullback-Leibler divergence of the posteriors after
        from those before, and ``changed``, the share of windows whose class is another one;
        ``noise nats`` and ``noise changed``, the same of noise in the place of the change, with its
        energy and its magnitudes at every frequency, at random phases. Last, `OTHER`: from one
        recording of a talker to the next, whose noise is NaN; not of talkers with one recording.

    Raises
    ------
    ParameterError
        For no recordings, a network that does not say how much it hears, and a change that leaves
        another length.

    References
    ----------
    Kullback and Leibler (1951), 10.1214/aoms/1177729694.

    Notes
    -----
    Cues are changed at the rate of the recordings, and what comes of it is resampled to that of
    each network: so a change above what a network of 8 kHz hears moves nothing, and one of 48 kHz
    hears nothing above the recordings' band. Beyond a recording's ends, and around one that is
    shorter than the window, there are zeros.

    Examples
    --------
    >>> from relviz import corpora, networks
    >>> net = networks.build(networks.PHONE_CNN, 40)
    >>> some = of_vowels(corpora.vowel_corpus(["ah", "iy"], men=1, women=1))
    >>> found = effects({"untrained": net}, some, CHANGES[:1], jobs=1)
    >>> found["change"].unique().tolist()
    ['F0, -6 semitones', 'another token of the talker']
    """
    if not recordings:
        raise ParameterError("there are no recordings: give one or more.")
    changes = (*CHANGES, *CONTROLS) if changes is None else changes
    asked = partial(_log_posteriors, window=window, normalise=normalise)
    waves = [np.asarray(each.wave, dtype=np.float64) for each in recordings]
    for net in networks.values():  # a network that cannot be asked is refused before the work
        asked(net, waves[:1], recordings[:1])
    rows = []
    title = "changes"
    if progress:
        # as it is, after each change, and after its noise
        windows = sum(len(each.times) for each in recordings) * (1 + 2 * len(changes))
        seconds = sum(
            forecast(net, windows, method=None, window=window) for net in networks.values()
        )
        title += f", {tasks.lasting(seconds)} for the networks" if seconds > LONG else ""
    before: dict[str, list[NDArray[np.float64]]] = {}
    made = tasks.run(
        partial(_changed, recordings), changes, jobs=jobs, progress=progress, title=title
    )
    for change, after in zip(changes, made, strict=True):
        # only now, when the bar is there
        before = before or {name: asked(net, waves, recordings) for name, net in networks.items()}
        noises = [
            _noise(one, two, i) for i, (one, two) in enumerate(zip(waves, after, strict=True))
        ]
        for name, net in networks.items():
            moved, shaken = (asked(net, some, recordings) for some in (after, noises))
            for each, p, q, r in zip(recordings, before[name], moved, shaken, strict=True):
                row: dict[str, Any] = dict(network=name, change=str(change), cue=change.cue)
                row.update(size=change.size, talker=each.talker, recording=each.name)
                row.update(_moved(p, q))
                row.update({f"noise {key}": value for key, value in _moved(p, r).items()})
                rows.append(row)
    before = before or {name: asked(net, waves, recordings) for name, net in networks.items()}
    for name in networks:
        told = zip(recordings, before[name], strict=True)
        for talker, group in groupby(
            sorted(told, key=lambda x: x[0].talker), lambda x: x[0].talker
        ):
            own = [*group]
            if len(own) > 1:
                for (each, p), (_, q) in zip(own, [*own[1:], own[0]], strict=True):
                    row = dict(network=name, change=OTHER, cue=OTHER, size=np.nan)
                    row.update(talker=talker, recording=each.name)
                    rows.append(row | _moved(p, q))
    return pd.DataFrame(rows)


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Return means over talkers, with intervals.

    Parameters
    ----------
    found : DataFrame
        Of `effects`.

    Returns
    -------
    DataFrame
        A row a network and change: ``network``, ``change``, ``cue``, ``size``, ``talkers``; and as
        `relviz.statistics.Interval`, by drawing talkers: ``nats``, ``noise nats``, ``changed``,
        ``noise changed``, and ``share``, of the nats of `OTHER` (NaN where there is none).

    Examples
    --------
    >>> rows = [("a", "F0", "m1", 0.2, 1.0), ("a", "F0", "m2", 0.4, 0.0)]
    >>> rows += [("a", OTHER, "m1", 1.0, 1.0), ("a", OTHER, "m2", 2.0, 1.0)]
    >>> columns = ["network", "change", "talker", "nats", "changed"]
    >>> found = pd.DataFrame(rows, columns=columns).assign(cue="F0", size=1.0)
    >>> found = found.assign(**{"noise nats": 0.1, "noise changed": 0.0})
    >>> row = table(found).iloc[0]
    >>> round(row["nats"].value, 3), round(row["share"].value, 3)
    (0.3, 0.2)
    """
    numbers = ["nats", "noise nats", "changed", "noise changed"]
    rows = []
    for network, of_network in found.groupby("network", sort=False):
        other = of_network[of_network["change"] == OTHER].groupby("talker")["nats"].mean()
        for change, some in of_network.groupby("change", sort=False):
            values = some.groupby("talker")[numbers].mean()
            row: dict[str, Any] = dict(network=network, change=change, talkers=len(values))
            row.update(cue=some["cue"].iloc[0], size=some["size"].iloc[0])
            for number in numbers:
                row[number] = statistics.bootstrap(values[number].to_numpy())
            pairs = pd.concat([values["nats"], other], axis=1, join="inner").to_numpy()
            row["share"] = statistics.Interval(np.nan, np.nan, np.nan)
            if len(pairs):
                row["share"] = statistics.bootstrap(pairs, lambda sums: sums[:, 0] / sums[:, 1])
            rows.append(row)
    return pd.DataFrame(rows)


def kept() -> pd.DataFrame:
    """Return what `relviz evaluate cues` found of the shipped networks, on both corpora.

    Returns
    -------
    DataFrame
        A row a corpus, network and change: ``corpus``, ``network``, ``change``, ``cue``, ``size``,
        ``talkers``; ``nats``, ``changed``, ``share`` with ``nats_low``, ``nats_high`` and so on;
        ``noise nats``.

    Examples
    --------
    >>> sorted(kept()["corpus"].unique())
    ['aev', 'librispeech']
    """
    return pd.read_csv(_KEPT)


def measured(recordings: Sequence[Recording], change: Change) -> pd.DataFrame:
    """Measure what a change did: F0 and formants before and after, where the network is asked.

    Parameters
    ----------
    recordings : sequence of Recording
        To be changed.
    change : Change
        How.

    Returns
    -------
    DataFrame
        A row a recording: ``recording``, ``talker``, and ``f0``, ``f1``, ``f2``, ``f3``, after over
        before; NaN where there is none.

    Examples
    --------
    >>> from relviz import corpora
    >>> some = of_vowels(corpora.vowel_corpus(["ah"], men=1, women=0))
    >>> four = next(c for c in CHANGES if str(c) == "F0, +4 semitones")
    >>> measured(some, four)["f0"].round(2).tolist()
    [1.26]
    """
    rows = []
    for each, wave in zip(recordings, _changed(recordings, change), strict=True):
        before, after = (_measures(one, each) for one in (each.wave, wave))
        ratio = dict(zip(("f0", "f1", "f2", "f3"), after / before, strict=True))
        rows.append(dict(recording=each.name, talker=each.talker) | ratio)
    return pd.DataFrame(rows)


def _measures(wave: NDArray, recording: Recording) -> NDArray[np.float64]:
    rate = recording.sample_rate
    found = [
        [
            acoustics.median_f0(wave, rate, (t - 0.05, t + 0.05), filtered=True),
            *acoustics.formants(wave, rate, t, count=3, pre_emphasis=0.97),
        ]
        for t in recording.times
    ]
    return np.median(found, axis=0)


def _changed(recordings: Sequence[Recording], change: Change) -> list[NDArray[np.float64]]:
    waves = [np.asarray(change.make(each), dtype=np.float64) for each in recordings]
    for each, wave in zip(recordings, waves, strict=True):
        if wave.shape != np.shape(each.wave):
            raise ParameterError(
                f"{change} makes {each.name} {wave.shape} samples in the place of "
                f"{np.shape(each.wave)}: let the change keep the length."
            )
    return waves


def _noise(before: NDArray, after: NDArray, seed: int) -> NDArray[np.float64]:
    """The recording with what a change added to it, at phases that are drawn."""
    spectrum = np.fft.rfft(after - before)
    turns = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(spectrum))
    return before + np.fft.irfft(spectrum * np.exp(1j * turns), len(before))


def _log_posteriors(
    net: Callable[[torch.Tensor], Any],
    waves: Sequence[NDArray],
    recordings: Sequence[Recording],
    window: int | None,
    normalise: Normalise | None,
) -> list[NDArray[np.float64]]:
    """(windows, classes) of every recording."""
    found = []
    length = network_window(net, window)
    for wave, each in zip(waves, recordings, strict=True):
        rate = network_rate(net) or SAMPLE_RATE
        heard = audio.resample(audio.check(wave), each.sample_rate, rate)
        starts = np.round(np.multiply(each.times, rate)).astype(np.int64) - length // 2
        some = batches(net, heard, starts, window=length, normalise=normalise)
        found.append(np.concatenate([log_posteriors(net, windows) for _, windows in some]))
    return found


def _moved(before: NDArray, after: NDArray) -> dict[str, float]:
    divergence = (np.exp(before) * (before - after)).sum(axis=1)
    return dict(
        nats=float(divergence.mean()),
        changed=float(np.mean(before.argmax(axis=1) != after.argmax(axis=1))),
    )
