"""Table 2: do F0, F1 and F2 of a relevance signal match what was measured by hand?

The protocol, as Muckenhirn et al. (2019), section 4.2.2, can only mean it: for every token of the
American English Vowels, F0 and formants are estimated around the steady state (the mean of two
judges' times); an estimate is right when it lies within one standard deviation, of that vowel and
sex over the database, of that token's own hand measurement. Tokens whose value was not measurable
are left out of that measure; an estimate that fails (NaN) is wrong.

A signal that is no evidence of learning can pass: compare every row with the original recording
above it and with the untrained networks below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from relviz import acoustics, networks
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.backprop import Method
from relviz.corpora import TABLE2, Vowel, VowelCorpus, vowels
from relviz.signals import Attribution, Normalise, relevance_signal

SignalFunction = Callable[[NDArray[np.float32], int], NDArray]
"""From a token's wave and its steady state, a sample index, to a signal of the same length."""

MEASURES = ("f0", "f1", "f2")
FORMANTS = ("f1", "f2")
PRE_EMPHASES = (0.97, 0.0)

PAPER = {
    ("f0", "F"): (93, 91, 91, 94, 92),
    ("f0", "M"): (92, 90, 89, 93, 90),
    ("f1", "F"): (90, 92, 93, 91, 93),
    ("f1", "M"): (88, 92, 92, 89, 93),
    ("f2", "F"): (94, 94, 94, 95, 94),
    ("f2", "M"): (94, 93, 94, 94, 93),
}
"""Table 2 as printed, in percent, for the vowels of `corpora.TABLE2`: GBP of the phone network."""


@dataclass(frozen=True)
class Settings:
    """Analysis settings, the same for every signal; chosen on the original recordings alone.

    Times in seconds, frequencies in Hz. f0_reach: F0 is the median over +-f0_reach around the
    steady state. contrast_length, contrast_band: of the frame at the steady state, and to either
    side of a formant, for the level of the spectrum there (see `contrast`): long enough to part
    harmonics, wide enough to hold one. The rest goes to `acoustics.f0_contour` and
    `acoustics.formants`.
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


def original(wave: NDArray[np.float32], centre: int) -> NDArray[np.float32]:
    """The recording itself: the ceiling of every other row."""
    return wave


def noise(wave: NDArray[np.float32], centre: int) -> NDArray[np.float64]:
    """White noise, the same for a token each time: what chance gives."""
    return np.random.default_rng([len(wave), centre]).standard_normal(len(wave))


@dataclass(frozen=True)
class Relevance:
    """A network's relevance signal as a `SignalFunction`.

    hop_length: samples between windows whose centres lie within +-reach seconds of the steady
    state; None takes the one window that is centred there, as the paper does. target: the class to
    explain;
    None, the winning one of every window. normalise: None, as the network was trained, if its
    metadata say so, else per window.
    """

    net: Callable[[Tensor], Any] = field(repr=False)
    method: Method | Attribution = "guided"
    hop_length: int | None = 97
    reach: float = 0.12
    target: int | None = None
    normalise: Normalise | None = None

    def __call__(self, wave: NDArray[np.float32], centre: int) -> NDArray[np.float64]:
        hop_length, centres = 97, (centre, centre)
        if self.hop_length is not None:
            hop_length, reach = self.hop_length, round(self.reach * SAMPLE_RATE)
            # A multiple of the hop below the centre, so that one window is centred on it.
            first = centre - min(reach, centre) // hop_length * hop_length
            centres = (first, min(centre + reach, len(wave) - 1))
        trained: Normalise = getattr(getattr(self.net, "metadata", None), "normalise", "window")
        return relevance_signal(
            self.net,
            wave,
            hop_length,
            target=self.target,
            method=self.method,
            centres=centres,
            normalise=trained if self.normalise is None else self.normalise,
        )


def standard_signals(
    trained: Mapping[str, Sequence[Callable[[Tensor], Any]]] | None = None,
    seeds: int = 4,
    architecture: networks.Architecture = networks.PHONE_CNN,
    classes: int = 40,
) -> dict[str, Sequence[SignalFunction]]:
    """The rows that belong beside each other: original, noise, trained networks, their controls.

    trained: name -> networks (replicates, such as training seeds). seeds: how many untrained
    networks of `architecture` stand beside them. Each network gives four rows: GBP and the plain
    gradient, each from one window and averaged with hop 97.
    """
    nets = dict(trained or {})
    nets["untrained"] = [networks.build(architecture, classes, seed) for seed in range(seeds)]
    rows: dict[str, Sequence[SignalFunction]] = {
        "original recording": [original],
        "white noise": [noise],
    }
    for method, label in (("guided", "GBP"), ("gradient", "gradient")):
        for hop, shifts in ((97, "hop 97"), (None, "one window")):
            for name, replicates in nets.items():
                rows[f"{name}, {label}, {shifts}"] = [
                    Relevance(net, method, hop)  # type: ignore[arg-type]
                    for net in replicates
                ]
    return rows


def table2(
    signals: Mapping[str, SignalFunction | Sequence[SignalFunction]] | None = None,
    corpus: VowelCorpus | None = None,
    *,
    settings: Settings = Settings(),
    pre_emphases: Sequence[float] = PRE_EMPHASES,
    jobs: int = -1,
    progress: bool = False,
) -> pd.DataFrame:
    """Table 2 for any signals: accuracy per signal, pre-emphasis, measure, sex and vowel.

    signals: name -> function, or a sequence of functions that are replicates of one row (seeds);
        None takes `standard_signals()`. corpus: None takes the five vowels of the paper.
    jobs: worker processes, -1 for one a core. progress: show a bar.
    Returns what `score` returns, for `estimates` of the same arguments; `corpus.source` says which
    data it was.
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
    """F0, F1 and F2 of every signal at every token's steady state, beside the hand measurements.

    Arguments as for `table2`. Returns one row a signal, replicate, pre-emphasis and token: columns
    `signal`, `replicate`, `pre_emphasis`, `token`, `talker`, `sex`, `vowel`, and for each measure
    `f0` (estimate), `f0_true` (by hand), `f0_sd` (the tolerance), all in Hz; and `f1_contrast`,
    `f2_contrast` in dB, what `contrast` takes means of, the same for every pre-emphasis.
    """
    import joblib

    rows = standard_signals() if signals is None else signals
    if not rows:
        raise ParameterError("signals is empty: give at least one name -> function.")
    if not pre_emphases:
        raise ParameterError("pre_emphases is empty: give at least one coefficient, 0 for none.")
    if corpus is None:
        corpus = vowels()
    if not corpus.tokens:
        raise ParameterError("the corpus has no tokens: load some with relviz.corpora.vowels().")
    tasks = list(_tasks(rows, corpus.tokens))
    elsewhere = _elsewhere(corpus.tokens)
    # One thread a process: a window is too little work to share out.
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1, n_jobs=jobs):
        run = joblib.Parallel(return_as="generator")
        chunks = run(
            joblib.delayed(_analyse)(
                function, tokens, settings, tuple(pre_emphases), [elsewhere[t.name] for t in tokens]
            )
            for _, _, function, tokens in tasks
        )
        if progress:
            from tqdm.auto import tqdm

            chunks = tqdm(chunks, total=len(tasks), desc="signals x tokens", unit="chunk")
        frames = []
        for (name, replicate, _, _), found in zip(tasks, chunks, strict=True):
            frame = pd.DataFrame(found)
            frame.insert(0, "signal", name)
            frame.insert(1, "replicate", replicate)
            frames.append(frame)
    table = pd.concat(frames, ignore_index=True)
    spreads = [corpus.deviations[key] for key in zip(table["vowel"], table["sex"], strict=True)]
    for measure in MEASURES:
        table[f"{measure}_sd"] = [getattr(spread, measure) for spread in spreads]
    return table


_CHUNK = 31  # tokens a task: a third of the talkers of one vowel, seconds of work for a network


def _tasks(
    rows: Mapping[str, SignalFunction | Sequence[SignalFunction]], tokens: Sequence[Vowel]
) -> Iterator[tuple[str, int, SignalFunction, Sequence[Vowel]]]:
    for name, functions in rows.items():
        replicates = [functions] if callable(functions) else functions
        for replicate, function in enumerate(replicates):
            for i in range(0, len(tokens), _CHUNK):
                yield name, replicate, function, tokens[i : i + _CHUNK]


def _analyse(
    function: SignalFunction,
    tokens: Sequence[Vowel],
    settings: Settings,
    pre_emphases: tuple[float, ...],
    elsewhere: Sequence[Mapping[str, list[float]]],
) -> list[dict[str, Any]]:
    """Estimates of one signal at some tokens, in a worker process."""
    found = []
    for token, others in zip(tokens, elsewhere, strict=True):
        wave = token.wave()
        signal = np.asarray(function(wave, round(token.steady * SAMPLE_RATE)))
        if signal.shape != wave.shape:
            raise ParameterError(
                f"a signal function turned {wave.shape} samples of {token.name} into "
                f"{signal.shape}: it must keep the length."
            )
        span = (token.steady - settings.f0_reach, token.steady + settings.f0_reach)
        f0 = acoustics.median_f0(
            signal, SAMPLE_RATE, span, floor=settings.f0_floor, ceiling=settings.f0_ceiling
        )
        contrasts = _contrasts(signal, token, others, settings)
        for pre_emphasis in pre_emphases:
            f1, f2 = acoustics.formants(
                signal,
                SAMPLE_RATE,
                token.steady,
                pre_emphasis=pre_emphasis,
                frames=settings.frames,
                step=settings.step,
                length=settings.length,
                order=settings.order,
                count=2,
                max_bandwidth=settings.max_bandwidth,
            )
            found.append(
                {
                    "pre_emphasis": pre_emphasis,
                    "token": token.name,
                    "talker": token.talker,
                    "sex": token.sex,
                    "vowel": token.vowel,
                    "f0": f0,
                    "f1": f1,
                    "f2": f2,
                    "f0_true": token.f0,
                    "f1_true": token.f1,
                    "f2_true": token.f2,
                    **contrasts,
                }
            )
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
    signal: NDArray, token: Vowel, others: Mapping[str, list[float]], settings: Settings
) -> dict[str, float]:
    """Level of a signal's spectrum at a token's formants over that at other vowels', in dB."""
    frequencies, magnitude = acoustics.short_term_spectrum(
        signal,
        SAMPLE_RATE,
        token.steady,
        length=settings.contrast_length,
        n_fft=2048,
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
    return found


def score(estimates: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of estimates, per signal, pre-emphasis, measure, sex and vowel, with intervals.

    estimates: what `estimates` returns.
    Returns columns `signal`, `pre_emphasis`, `measure`, `sex` (F, M, or "both"), `vowel` (or "mean"
    over vowels), `n` (tokens times replicates), `accuracy`, `low` and `high` (95 % interval),
    `lowest` and `highest` (over replicates); accuracies from 0 to 1. Means weigh vowels and sexes
    equally. The interval is Wilson's, with the number of independent observations estimated from
    how talkers differ, since vowels of a talker, and replicates on a token, are not independent.
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
    independent = float(len(talkers))
    variance = talkers.var() / len(talkers) if len(talkers) > 1 else 0.0
    if variance > 0:
        independent = float(np.clip(accuracy * (1 - accuracy) / variance, len(talkers), len(cell)))
    low, high = wilson(accuracy, independent)
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
    """Formant contrast: how much stronger a signal is at a token's own formants than elsewhere.

    estimates: what `estimates` returns. For each token, the level of the signal's spectrum at its
    hand-measured formant, minus the mean level where the *same talker* has that formant in the
    other vowels. A signal whose spectrum is the same whatever is spoken gets 0 dB, however it is
    shaped; a negative contrast says that the signal is weakest at the formants, and is as far from
    chance as a positive one.
    Returns columns `signal`, `formant`, `n` (tokens times replicates), `contrast` (mean over
    talkers, dB), `low`, `high` (95 % t interval over talkers), `lowest`, `highest` (of the
    replicates' means over tokens).
    """
    once = estimates[estimates["pre_emphasis"] == estimates["pre_emphasis"].iloc[0]]
    rows = []
    for signal, group in once.groupby("signal", sort=False):
        for formant in FORMANTS:
            known = group.dropna(subset=f"{formant}_contrast")
            values = known[f"{formant}_contrast"]
            talkers = values.groupby(known["talker"]).mean()
            half = np.nan
            if len(talkers) > 1:
                half = float(stats.t.ppf(0.975, len(talkers) - 1) * talkers.sem())
            replicates = values.groupby(known["replicate"]).mean()
            rows.append(
                {
                    "signal": signal,
                    "formant": formant,
                    "n": len(known),
                    "contrast": talkers.mean(),
                    "low": talkers.mean() - half,
                    "high": talkers.mean() + half,
                    "lowest": replicates.min(),
                    "highest": replicates.max(),
                }
            )
    return pd.DataFrame(rows)


def _mean(cell: pd.DataFrame) -> float:
    """Mean over tokens in each vowel and sex, then over these."""
    return float(cell.groupby(["vowel", "sex"])["right"].mean().mean())


def wilson(accuracy: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion seen in `n` independent trials.

    Source: Wilson (1927), 10.1080/01621459.1927.10502953.
    """
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    centre = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def paper() -> pd.DataFrame:
    """The paper's Table 2 in the columns of `score`, without intervals, which it does not give."""
    rows = []
    for (measure, sex), percents in PAPER.items():
        for vowel, percent in zip(TABLE2, percents, strict=True):
            rows.append((measure, sex, vowel, percent / 100))
        rows.append((measure, sex, "mean", float(np.mean(percents)) / 100))
    table = pd.DataFrame(rows, columns=["measure", "sex", "vowel", "accuracy"])
    means = table[table["vowel"] == "mean"].groupby("measure", as_index=False)["accuracy"].mean()
    table = pd.concat([table, means.assign(sex="both", vowel="mean")], ignore_index=True)
    table.insert(0, "signal", "paper (GBP, TIMIT)")
    table.insert(1, "pre_emphasis", np.nan)
    return table


def layout(table: pd.DataFrame) -> pd.DataFrame:
    """Percentages in the paper's layout: rows signal, pre-emphasis, measure, sex; columns vowels.

    table: what `score`, `table2` or `paper` return, or several of them concatenated.
    """
    wide = table.assign(
        accuracy=100 * table["accuracy"], pre_emphasis=table["pre_emphasis"].map(_emphasis)
    )
    return _pivot(wide[wide["sex"] != "both"], ["measure", "sex"], "vowel", "accuracy")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One line a signal: mean accuracy of each measure in percent, its interval and range.

    table: as for `layout`. Cells read "97.2 [95.8, 98.2]", with " (96.1-98.0)" after them for the
    lowest and highest of several replicates.
    """
    means = table[(table["sex"] == "both") & (table["vowel"] == "mean")]
    cells = means.assign(
        cell=[_cell(row) for row in means.to_dict("records")],
        pre_emphasis=means["pre_emphasis"].map(_emphasis),
        measure=means["measure"].str.upper(),
    )
    return _pivot(cells, [], "measure", "cell")


def _pivot(table: pd.DataFrame, index: list[str], columns: str, values: str) -> pd.DataFrame:
    """Pivot without sorting, and without names above the columns."""
    keys = ["signal", "pre_emphasis", *index]
    wide = table.set_index([*keys, columns])[values].unstack(columns)
    wide = wide.reindex(table.set_index(keys).index.unique())
    return wide[list(dict.fromkeys(table[columns]))].rename_axis(columns=None)


def _emphasis(coefficient: float) -> str:
    return "?" if np.isnan(coefficient) else f"{coefficient:g}" if coefficient else "none"


def _cell(row: Mapping[Any, Any]) -> str:
    text = f"{100 * row['accuracy']:.1f}"
    if pd.notna(row.get("low")):
        text += f" [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
        lowest, highest = f"{100 * row['lowest']:.0f}", f"{100 * row['highest']:.0f}"
        if lowest != highest:
            text += f" ({lowest}-{highest})"
    return text
