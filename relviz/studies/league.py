"""Which measure can tell what a network listens to? Each is tried where the answer is known.

The networks are those of `relviz.training.known`: each tells one cue of a generated vowel, or two,
and its label follows from nothing else. A measure gives one number for a cue and a network. It is
right about a cue if its number is higher for a network that uses the cue than for one that does
not, be that another of these networks, an untrained one, or one that learnt shuffled labels.

Beside what the paper and this book measure stand the measures that audio explanations are commonly
scored by. They ask how well a mask serves, and give a network one number, whatever the cue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from relviz import _engine, audio, controls, networks, pretrained, spectral, statistics, tasks
from relviz._errors import ParameterError
from relviz.attributions import relevance
from relviz.audio import SAMPLE_RATE
from relviz.corpora import cued
from relviz.corpora.cued import CUES, NOISE_BAND, TONE, TONE_LEVEL, CuedVowel
from relviz.signals import check_rate, standardise
from relviz.studies import cues as effects
from relviz.studies import layers, vowels
from relviz.studies.vowel_signals import Relevance
from relviz.training.known import planted

__all__ = [
    "ANSWERS",
    "BANDS",
    "COLUMNS",
    "FAMILIES",
    "kept",
    "known",
    "measure",
    "named",
    "right",
    "tokens",
]

COLUMNS = (*CUES, "tone")
"""What a network may listen to: the cues, and the planted tone."""

ANSWERS: Mapping[str, tuple[str, ...]] = {
    **{f"cues-{cue}": (cue,) for cue in CUES},
    "cues-F0-F1": ("F0", "F1"),
    "cues-F1-F2": ("F1", "F2"),
    "cues-F3-tone": ("F3", "tone"),
    "cues-shuffled": (),
    "untrained": (),
}
"""Network -> what it uses."""

BANDS: Mapping[str, tuple[float, float]] = {
    "F0": (80.0, 280.0),
    "F1": (280.0, 820.0),
    "F2": (950.0, 1900.0),
    "F3": (2150.0, 3500.0),
    "noise": NOISE_BAND,
    "tone": (TONE - 100, TONE + 100),
}
"""Hz: where a cue lies, as somebody would look for it; the tilt is nowhere."""

_LAYERS = ("relu1", "relu2", "relu3", "hidden", "scores")

_SLOW = ("integrated gradients", "smoothgrad", "guided smoothgrad", "occlusion")
"""Methods that ask a network many times for one window."""

_MANY, _SOME, _FEW = 120, 24, 8
"""Vowels for what takes no time, for relevance signals, and for what takes long."""

Found = dict[str, dict[str, float]]
"""Measure -> cue -> number."""


def tokens(count: int, seed: int = 7) -> tuple[CuedVowel, ...]:
    """Return vowels that no network was trained or scored on, half of them with the tone.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        Of the draw; 0 to 2 are those of the training.

    Returns
    -------
    tuple of CuedVowel
        Half a second each.

    Examples
    --------
    >>> [vowel.tone for vowel in tokens(2)]
    [-inf, -20.0]
    """
    odd = np.random.default_rng([seed, 1]).random(count) < 0.5
    return tuple(planted(cued.draw(count, seed), odd))


def known() -> dict[str, nn.Module]:
    """Return the networks whose answer is known, and those that know nothing.

    Returns
    -------
    dict of str to Module
        Such as "cues-F1-0"; three seeds of each of `ANSWERS`.

    Examples
    --------
    >>> len(known())
    33
    """
    found: dict[str, nn.Module] = {}
    for answer in ANSWERS:
        if answer != "untrained":
            seeds = zip(pretrained.SEEDS[answer], pretrained.replicates(answer), strict=True)
            found.update(seeds)
    first = pretrained.load("cues-F1")
    for seed in range(3):
        classes = len(first.metadata.classes)
        found[f"untrained-{seed}"] = networks.build(first.architecture, classes, seed)
    return found


def measure(
    nets: Mapping[str, nn.Module],
    families: Sequence[str] | None = None,
    *,
    jobs: int = -1,
    progress: bool = False,
    done: pd.DataFrame | None = None,
    write: Callable[[pd.DataFrame], Any] | None = None,
) -> pd.DataFrame:
    """Take every measure of every network.

    Parameters
    ----------
    nets : mapping of str to Module
        Such as `known` gives.
    families : sequence of str, optional
        Some of `FAMILIES`; default, all.
    jobs : int
        Worker processes; see `relviz.tasks.run`.
    progress : bool
        Show a bar.
    done : DataFrame, optional
        What an earlier call found, which is not done again. Only rows of these networks and
        families are kept of it.
    write : callable, optional
        Gets the table so far after every network and family.

    Returns
    -------
    DataFrame
        A row a network and measure: ``network``, ``family``, ``measure``, a column for each of
        `COLUMNS` (NaN where the measure says nothing of that cue), and ``seconds``, what the
        family took of a core for each vowel.

    Raises
    ------
    ParameterError
        For `done` without these columns, or with other things than numbers in them; and for a
        network that does not hear at 16 kHz, as the vowels are made.

    Examples
    --------
    >>> net = networks.build(networks.PHONE_CNN, 4, seed=0)
    >>> found = measure({"untrained-0": net}, ["bands"], jobs=1)
    >>> found["measure"].tolist()
    ['band taken away', 'band alone']
    """
    for name, net in nets.items():
        check_rate(net, SAMPLE_RATE, f"the network {name!r}")
    todo = [(name, family) for name in nets for family in families or FAMILIES]
    if done is not None:
        done = _own(done, todo)
        had = set(zip(done["network"], done["family"], strict=True))
        todo = [each for each in todo if each not in had]
    parts = [] if done is None else [done]
    made = tasks.run(
        partial(_taken, dict(nets)), todo, jobs=jobs, progress=progress, title="league"
    )
    for part in made:
        parts.append(part)
        if write is not None:
            write(pd.concat(parts, ignore_index=True))
    return pd.concat(parts, ignore_index=True)


def _own(done: pd.DataFrame, todo: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Rows of what is asked for, out of a table that may be anybody's."""
    numbers = [*COLUMNS, "seconds"]
    wanted = ["network", "family", "measure", *numbers]
    missing = [column for column in wanted if column not in done]
    if missing:
        raise ParameterError(
            f"what was done has no column {missing[0]!r}: name a file that the league wrote, or "
            "one that is not there."
        )
    if not all(pd.api.types.is_numeric_dtype(done[column]) for column in numbers):
        raise ParameterError("what was done holds texts for numbers: name another file.")
    pairs = pd.Series([*zip(done["network"], done["family"], strict=True)], index=done.index)
    return done.loc[pairs.isin(todo), wanted]


def _taken(nets: Mapping[str, nn.Module], task: tuple[str, str]) -> pd.DataFrame:
    name, family = task
    began = time.process_time()
    count, take = FAMILIES[family]
    found = take(nets[name].eval(), tokens(count))
    seconds = (time.process_time() - began) / count
    rows = [
        {"network": name, "family": family, "measure": each}
        | {cue: values.get(cue, np.nan) for cue in COLUMNS}
        | {"seconds": seconds}
        for each, values in found.items()
    ]
    return pd.DataFrame(rows)


def right(table: pd.DataFrame) -> pd.DataFrame:
    """Say how often each measure is right about each cue.

    Parameters
    ----------
    table : DataFrame
        Of `measure`.

    Returns
    -------
    DataFrame
        A row a measure and cue: ``family``, ``measure``, ``cue``; ``right``, an
        `relviz.statistics.Interval` over networks that use the cue, of the share of those that do
        not and score lower (0.5 is chance; ties count half); ``seeds``, of how many networks that
        use this cue alone the number is above that of every network that does not use it; ``of``
        how many; ``seconds`` a vowel. A network that tells the noise is not asked about the tone,
        which lies in its band.

    Examples
    --------
    >>> rows = [("cues-F1-0", 2.0), ("cues-F2-0", 1.0), ("untrained-0", 3.0)]
    >>> made_up = pd.DataFrame(rows, columns=["network", "F1"])
    >>> made_up = made_up.assign(family="a", measure="b", seconds=0.1)
    >>> found = right(made_up).iloc[0]
    >>> print(found["right"].value, found["seeds"], found["of"])
    0.5 0 1
    """
    rows = []
    for (family, name), some in table.groupby(["family", "measure"], sort=False):
        kinds = some["network"].str.rsplit("-", n=1).str[0]
        for cue in (each for each in COLUMNS if each in some):
            values = some.assign(kind=kinds)[["kind", cue]].dropna()
            if cue == "tone":
                values = values[values["kind"] != "cues-noise"]
            uses = values["kind"].map(lambda kind, cue=cue: cue in ANSWERS[kind])
            with_it, without = values[uses], values.loc[~uses, cue].to_numpy()
            if not len(with_it) or not len(without):
                continue
            above = with_it[cue].to_numpy()[:, None]
            shares = np.mean((above > without) + 0.5 * (above == without), axis=1)
            alone = with_it["kind"].map(lambda kind: len(ANSWERS[kind]) == 1).to_numpy()
            alone = alone | (cue == "tone")  # which no network uses alone
            rows.append(
                dict(family=family, measure=name, cue=cue)
                | dict(right=statistics.bootstrap(shares), seeds=int((shares[alone] == 1).sum()))
                | dict(of=int(alone.sum()), seconds=some["seconds"].mean())
            )
    return pd.DataFrame(rows)


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Say how often a measure is highest, within one network, for the cue that it uses.

    This is all that somebody has who asks one network: no other whose answer is known.

    Parameters
    ----------
    table : DataFrame
        Of `measure`.

    Returns
    -------
    DataFrame
        A row a measure that speaks of several cues: ``family``, ``measure``, ``named``, of how many
        networks that use one cue it is the highest; ``of`` how many; ``cues``, how many it tells
        apart. The tone, which lies in the band of the noise, is not held against the noise.

    Examples
    --------
    >>> rows = [("cues-F1-0", 2.0, 1.0), ("cues-F2-0", 2.0, 1.0)]
    >>> made_up = pd.DataFrame(rows, columns=["network", "F1", "F2"])
    >>> found = named(made_up.assign(family="a", measure="b")).iloc[0]
    >>> print(found["named"], "of", found["of"])
    1 of 2
    """
    kinds = table["network"].str.rsplit("-", n=1).str[0]
    rows = []
    for (family, name), some in table.groupby(["family", "measure"], sort=False):
        values = some[[cue for cue in COLUMNS if cue in some]].dropna(axis=1, how="all")
        answers = [ANSWERS[kind] for kind in kinds[some.index]]
        asked = [
            (answer[0], row.drop("tone", errors="ignore") if answer == ("noise",) else row)
            for answer, (_, row) in zip(answers, values.iterrows(), strict=True)
            if len(answer) == 1 and answer[0] in values
        ]
        if len(values.columns) > 1 and values.nunique(axis=1).max() > 1:
            hits = sum(str(row.idxmax()) == answer for answer, row in asked)
            found = dict(family=family, measure=name, named=hits, of=len(asked))
            rows.append(found | dict(cues=len(values.columns)))
    return pd.DataFrame(rows)


_KEPT = Path(__file__).parent / "league.csv"


def kept() -> pd.DataFrame:
    """Return what `relviz evaluate league` measured of the shipped networks.

    Returns
    -------
    DataFrame
        Of `measure`.

    Examples
    --------
    >>> list(kept().columns)[:3]
    ['network', 'family', 'measure']
    """
    return pd.read_csv(_KEPT)


def _windows(vowels_: Sequence[CuedVowel], length: int) -> Tensor:
    """What a network hears at every vowel's steady state, zeros beyond it: (vowels, length)."""
    cut = [
        audio.frame(vowel.wave(), length, [round(vowel.steady * SAMPLE_RATE) - length // 2])
        for vowel in vowels_
    ]
    return standardise(torch.from_numpy(np.concatenate(cut)))


def _log_posteriors(net: nn.Module, x: Tensor) -> NDArray[np.float64]:
    with torch.inference_mode():
        return _engine.call(net, x).double().log_softmax(-1).numpy()


def _by_relevance(
    net: nn.Module, vowels_: Sequence[CuedVowel], method: Any, hop_length: int | None
) -> Found:
    """Table 2's accuracies, contrasts and shares of one kind of relevance signal."""
    signals: dict[bytes, NDArray[np.float64]] = {}
    asked = Relevance(net, method, hop_length)

    def signal(wave: NDArray[np.float32], centre: int) -> NDArray[np.float64]:
        return signals.setdefault(wave.tobytes(), asked(wave, centre))

    table = vowels.estimates({"": signal}, cued.corpus(vowels_), pre_emphases=[0.0], jobs=1)
    accuracy = vowels.score(table).query("sex == 'both' and vowel == 'mean'")
    found = {
        "found as in Table 2": dict(
            zip(accuracy["measure"].str.upper(), accuracy["accuracy"], strict=True)
        )
    }
    contrast = vowels.contrast(table).set_index("formant")["contrast"]
    found["contrast"] = {"F1": contrast["f1"], "F2": contrast["f2"]}
    waves = [signals[vowel.wave().tobytes()] for vowel in vowels_]
    found["contrast"]["F0"] = _own_period(waves, vowels_)
    for form in ("paper", "exact"):
        found[f"share of spectral relevance, {form} form"] = _shares(waves, form)
    return found


def _middle(signal: NDArray, length: int) -> NDArray:
    start = (len(signal) - length) // 2
    return signal[start : start + length]


def _own_period(signals: Sequence[NDArray], vowels_: Sequence[CuedVowel]) -> float:
    """Autocorrelation at a vowel's own period, over that at the periods of the others."""
    from relviz import acoustics

    lags = [round(SAMPLE_RATE / vowel.f0) for vowel in vowels_]
    found = []
    for i, signal in enumerate(signals):
        rows = acoustics.autocorrelation(_middle(signal, SAMPLE_RATE // 10), max(lags))
        others = [rows[lag] for j, lag in enumerate(lags) if j != i]
        found.append((rows[lags[i]] - np.mean(others)) / rows[0] if rows[0] else 0.0)
    return float(np.mean(found))


def _shares(signals: Sequence[NDArray], form: Any) -> dict[str, float]:
    """Of the spectral relevance of the middle quarter second, the part in a cue's band."""
    middle = np.stack([_middle(signal, 4000) for signal in signals])
    power = np.abs(spectral.dft_relevance(middle * np.hanning(4000), form)) ** 2
    total = power.sum(axis=-1, keepdims=True)
    power = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
    frequencies = np.fft.rfftfreq(4000, 1 / SAMPLE_RATE)
    return {
        cue: float(power[:, (frequencies >= low) & (frequencies < high)].sum(axis=-1).mean())
        for cue, (low, high) in BANDS.items()
    }


def _bands(net: nn.Module, vowels_: Sequence[CuedVowel]) -> Found:
    """What the winner's log posterior loses without a band, and keeps with the band alone."""
    x = _windows(vowels_, int(net.window))  # type: ignore[arg-type]
    before = _log_posteriors(net, x)
    winners = before.argmax(axis=-1)
    frequencies = torch.fft.rfftfreq(x.shape[-1], 1 / SAMPLE_RATE)
    spectrum = torch.fft.rfft(x)
    lost: dict[str, float] = {}
    alone: dict[str, float] = {}
    for cue, (low, high) in BANDS.items():
        inside = (frequencies >= low) & (frequencies < high)
        for values, mask in ((lost, ~inside), (alone, inside)):
            after = _log_posteriors(net, torch.fft.irfft(spectrum * mask, n=x.shape[-1]))
            values[cue] = float(np.mean([row[w] for row, w in zip(after, winners, strict=True)]))
    base = float(before.max(axis=-1).mean())
    return {
        "band taken away": {cue: base - value for cue, value in lost.items()},
        "band alone": alone,
    }


def _masks(net: nn.Module, vowels_: Sequence[CuedVowel]) -> Found:
    """How well a mask serves that keeps what guided backpropagation calls relevant."""
    x = _windows(vowels_, int(net.window))  # type: ignore[arg-type]
    f = relevance(net, x, method="guided")
    before = np.exp(_log_posteriors(net, x))
    winners = before.argmax(axis=-1)[:, None]

    def posterior(y: Tensor) -> Tensor:
        return net(y).softmax(-1)

    numbers: dict[str, float] = {}
    for domain in ("time", "frequency"):
        rank = controls.energy(f, 40, domain)
        for name, curve in (("deletion", controls.deletion), ("insertion", controls.insertion)):
            with torch.inference_mode():
                found = curve(posterior, x, rank, None, domain, steps=10)
            sign = -1 if name == "deletion" else 1  # for deletion lower is better
            numbers[f"{name} in {domain}"] = sign * float(controls.area(found).mean())
    rank = controls.energy(f, 40, "frequency")
    best = np.argsort(np.argsort(-rank, axis=-1), axis=-1) < 8
    kept_, left = (
        np.exp(_log_posteriors(net, controls.keep(x, mask, "frequency"))) for mask in (best, ~best)
    )
    was, mask, rest = (
        np.take_along_axis(each, winners, -1)[:, 0] for each in (before, kept_, left)
    )
    numbers["average increase"] = float(np.mean(mask > was))
    numbers["average drop"] = -float(np.mean(np.maximum(0, was - mask) / was))
    numbers["faithfulness"] = float(np.mean(was - rest))
    numbers["fidelity-in"] = float(np.mean(kept_.argmax(axis=-1) == winners[:, 0]))
    return {name: dict.fromkeys(COLUMNS, value) for name, value in numbers.items()}


def _values(vowels_: Sequence[CuedVowel]) -> NDArray[np.float64]:
    """Numbers to read or to change, one column a cue: logarithms of Hz, dB, and 1 for the tone."""
    columns = [np.array([vowel.cue(cue) for vowel in vowels_]) for cue in CUES]
    logs = [
        np.log(c) if CUES[cue].unit == "Hz" else c for cue, c in zip(CUES, columns, strict=True)
    ]
    return np.stack([*logs, np.array([float(vowel.tone > -100) for vowel in vowels_])], axis=1)


def _units(net: nn.Module, layer: str, x: Tensor) -> NDArray[np.float64]:
    """Mean activity of each channel of a layer: (vowels, channels)."""
    with torch.inference_mode():
        heard = networks.Until(net, layer)(x)
    heard = heard.mean(-1) if heard.ndim == 3 else heard
    return heard.double().numpy()


def _probes(net: nn.Module, vowels_: Sequence[CuedVowel]) -> Found:
    """How much of each cue can be read off each layer."""
    x, values = _windows(vowels_, int(net.window)), _values(vowels_)  # type: ignore[arg-type]
    names = [vowel.name for vowel in vowels_]
    found = {}
    for layer in _LAYERS:
        read = layers.probe(_units(net, layer, x), values, names)
        unread = ((values - read) ** 2).mean(axis=0) / values.var(axis=0)
        found[f"probe of {layer}"] = dict(zip(COLUMNS, 1 - unread, strict=True))
    return found


def _pushes(net: nn.Module, vowels_: Sequence[CuedVowel]) -> Found:
    """Push a layer as a cue would, and in random directions that are spread as its activity is."""
    x, values = _windows(vowels_, int(net.window)), _values(vowels_)  # type: ignore[arg-type]
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    design = np.column_stack([np.ones(len(x)), scaled])
    before = _log_posteriors(net, x)
    rng = np.random.default_rng(0)
    found = {}
    for layer in ("relu1", "relu2", "relu3"):
        units = _units(net, layer, x)
        slopes = np.linalg.lstsq(design, units, rcond=None)[0][1:]
        spread = np.linalg.cholesky(np.cov(units.T) + 1e-9 * units.var() * np.eye(units.shape[1]))
        randoms = rng.standard_normal((20, units.shape[1])) @ spread.T

        def moved(push: NDArray, layer: str = layer) -> float:
            with _pushed(net, layer, push):
                return _nats(before, _log_posteriors(net, x))

        aimless = [push / np.linalg.norm(push) for push in randoms]
        ratios = []
        for own in slopes:
            length = float(np.linalg.norm(own))
            chance = np.mean([moved(length * each) for each in aimless])
            ratios.append(float(np.log(moved(own) / chance)))
        found[f"push of {layer}, over random ones"] = dict(zip(COLUMNS, ratios, strict=True))
    return found


@contextmanager
def _pushed(net: nn.Module, layer: str, push: NDArray) -> Iterator[None]:
    """Add something to every position of a layer, as long as the context lasts."""
    module = net.get_submodule(networks.Until(net, layer).layer)
    more = torch.from_numpy(push).float()[:, None]
    handle = module.register_forward_hook(lambda _module, _inputs, output: output + more)
    try:
        yield
    finally:
        handle.remove()


def _nats(before: NDArray, after: NDArray) -> float:
    return float((np.exp(before) * (before - after)).sum(axis=-1).mean())


def _counterfactual(net: nn.Module, vowels_: Sequence[CuedVowel]) -> Found:
    """Give a vowel one cue of another, synthesised anew, and all else as it was."""
    length = int(net.window)  # type: ignore[arg-type]
    before = _log_posteriors(net, _windows(vowels_, length))
    others = [*vowels_[1:], vowels_[0]]
    whole = _nats(before, np.roll(before, -1, axis=0))
    nats: dict[str, float] = {}
    changed: dict[str, float] = {}
    for cue in COLUMNS:
        swapped = [
            replace(one, tone=-np.inf if one.tone > -100 else TONE_LEVEL)
            if cue == "tone"
            else one.with_cue(cue, other.cue(cue))
            for one, other in zip(vowels_, others, strict=True)
        ]
        after = _log_posteriors(net, _windows(swapped, length))
        nats[cue] = _nats(before, after)
        changed[cue] = float(np.mean(before.argmax(-1) != after.argmax(-1)))
    return {
        "one cue changed, nats": nats,
        "one cue changed, share of another vowel": {k: v / whole for k, v in nats.items()},
        "one cue changed, decisions": changed,
    }


_ON_RECORDINGS = {
    "F0": ("F0, -4 semitones", "F0, +4 semitones"),
    "F1": ("F1, -25 %", "F1, +25 %"),
    "F2": ("F2, -25 %", "F2, +25 %"),
    "F3": ("F3, -15 %", "F3, +15 %"),
    "tilt": ("tilt, -3 dB per octave", "tilt, +3 dB per octave"),
}


def _as_recordings(net: nn.Module, vowels_: Sequence[CuedVowel]) -> Found:
    """The same by analysis and resynthesis, as it is done with recordings."""
    recordings = [
        effects.Recording(v.name, v.name, v.wave().astype(np.float64), (v.steady,)) for v in vowels_
    ]
    changes = {str(each): each for each in effects.CHANGES}
    low, high = BANDS["noise"]
    made = {cue: [changes[name] for name in names] for cue, names in _ON_RECORDINGS.items()}
    made["noise"] = [effects.Change("no noise", 1, "", partial(_without, low, high))]
    made["tone"] = [effects.Change("no tone", 1, "", partial(_without, *BANDS["tone"]))]
    nats = {}
    for cue, several in made.items():
        found = effects.effects({"": net}, recordings, several, jobs=1)
        nats[cue] = float(found[found["cue"] != effects.OTHER]["nats"].mean())
    return {"one cue changed by analysis, nats": nats}


def _without(low: float, high: float, recording: effects.Recording) -> NDArray[np.float64]:
    from relviz import acoustics

    return acoustics.notch(recording.wave, SAMPLE_RATE, low, high)


FAMILIES: Mapping[str, tuple[int, Callable[[nn.Module, Sequence[CuedVowel]], Found]]] = {
    "guided, one window": (_SOME, partial(_by_relevance, method="guided", hop_length=None)),
    "guided, hop 97": (_SOME, partial(_by_relevance, method="guided", hop_length=97)),
    "guided, hop 7": (_FEW, partial(_by_relevance, method="guided", hop_length=7)),
    "gradient, one window": (_SOME, partial(_by_relevance, method="gradient", hop_length=None)),
    "gradient, hop 97": (_SOME, partial(_by_relevance, method="gradient", hop_length=97)),
    **{
        f"{method}, hop 97": (
            _FEW if method in _SLOW else _SOME,
            partial(_by_relevance, method=method, hop_length=97),
        )
        for method in ("deconvnet", "input x gradient", "lrp", "gradcam", *_SLOW)
    },
    "bands": (_MANY, _bands),
    "masks": (_SOME, _masks),
    "probes": (_MANY, _probes),
    "pushes": (_SOME, _pushes),
    "counterfactual": (_MANY, _counterfactual),
    "counterfactual, by analysis": (_SOME, _as_recordings),
}
"""Family of measures -> on how many vowels, and how."""
