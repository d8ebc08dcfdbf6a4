"""Shipped weights with their model cards: networks in files that hold no code, never pickles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import torch

from relviz import _cards, statistics
from relviz._errors import MissingFileError, ParameterError
from relviz._text import code, markdown
from relviz.audio import SAMPLE_RATE, shown
from relviz.networks import Architecture, RawWaveformCNN
from relviz.signals import Normalise

__all__ = [
    "FOLDS",
    "MODEL",
    "SEEDS",
    "WEIGHTS",
    "Metadata",
    "TrainedCNN",
    "card",
    "load",
    "replicates",
]

MODEL = "model.safetensors"
"""What a run's folder calls its network."""

WEIGHTS = Path(__file__).parent / "weights"
"""Where the shipped networks lie."""

_CUES = ("F0", "F1", "F2", "F3", "tilt", "noise", "F0-F1", "F1-F2", "F3-tone", "sex", "shuffled")
"""What the networks with a known answer tell."""

SEEDS: Mapping[str, tuple[str, ...]] = {
    "phones": ("phones-0", "phones-1", "phones-2"),
    "phones-shuffled": ("phones-shuffled-0", "phones-shuffled-1", "phones-shuffled-2"),
    "speakers": ("speakers-0", "speakers-1", "speakers-2"),
    "speakers-shuffled": ("speakers-shuffled-0",),
    **{f"cues-{what}": tuple(f"cues-{what}-{seed}" for seed in range(3)) for what in _CUES},
}
"""The shipped networks: what each learnt -> its training seeds; the first goes by that name too."""

FOLDS = ("phones-0", *(f"phones-fold-{fold}" for fold in range(1, 5)))
"""Shipped phone networks, by fold: each speaker of the corpus is a stranger to one of them."""


@dataclass(frozen=True)
class Metadata:
    """What a trained network is and how it came to be.

    Parameters
    ----------
    study : str
        "phones", "speakers" or "cues".
    classes : tuple of str
        The names of its outputs.
    normalise : {"window", "utterance", "none"}
        What its windows went through, for `relviz.relevance_signal`.
    sample_rate : int
        Hz.
    recipe : mapping
        How it was trained.
    about : mapping
        On what.
    scores : mapping
        How well it does.

    Examples
    --------
    >>> Metadata("speakers", ("anna", "ben"))
    Metadata(study='speakers', classes=('anna', 'ben'), normalise='window', sample_rate=16000)
    """

    study: str
    classes: tuple[str, ...]
    normalise: Normalise = "window"
    sample_rate: int = SAMPLE_RATE
    recipe: Mapping[str, Any] = field(default_factory=dict, repr=False)
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scores: Mapping[str, Any] = field(default_factory=dict, repr=False)


class TrainedCNN(RawWaveformCNN):
    """A network of Table 1 that knows its classes and its history, in `metadata`.

    Parameters
    ----------
    architecture : Architecture
        Its row of Table 1.
    metadata : Metadata
        What it is; it has as many scores as there are classes.

    Examples
    --------
    >>> net = load("phones")
    >>> net.metadata.study, len(net.metadata.classes)
    ('phones', 40)
    """

    _quiet = True

    def __init__(self, architecture: Architecture, metadata: Metadata) -> None:
        super().__init__(architecture, len(metadata.classes))
        self.metadata = metadata


def load(network: str | Path = "phones") -> TrainedCNN:
    """Return a trained network in eval mode, float32, with its classes and card in `.metadata`.

    Parameters
    ----------
    network : str or Path
        "phones" or "speakers"; one training seed of them, such as "phones-1"; a phone network that
        other speakers are strangers to, "phones-fold-1" to "phones-fold-4"; a control,
        "phones-shuffled" or "speakers-shuffled", which learnt permuted labels by heart; a network
        with a known answer, such as "cues-F1", which tells where F1 of a generated vowel lies and
        can tell it by nothing else; or a path, to a .safetensors file or to the folder of a run of
        `relviz train`. No code is loaded from any of them.

    Returns
    -------
    TrainedCNN
        In eval mode.

    Raises
    ------
    ParameterError
        Naming file and field, for what is no network of relviz's: its header is checked before
        anything is made of it, and its weights must be finite.
    MissingFileError
        If there is none.

    Notes
    -----
    Explained in chapter 4 of the book; the appendix has the cards of all shipped networks.

    Examples
    --------
    >>> load("speakers").window
    8000
    """
    path = _path(network)
    try:
        architecture, fields = _cards.contents(path)
        with torch.random.fork_rng(devices=[]):  # the weights it is born with are thrown away
            net = TrainedCNN(architecture, _metadata(fields))
        with safetensors.safe_open(path, framework="pt") as file:
            net.load_state_dict({name: file.get_tensor(name) for name in net.state_dict()})
        for name, weight in net.named_parameters():
            if not torch.isfinite(weight).all():
                raise _cards.CardError(f"{name} has weights that are NaN or infinite")
    except _cards.CardError as reason:
        raise _refusal(path, str(reason)) from reason
    except safetensors.SafetensorError as error:
        raise _refusal(path, str(error).rstrip(".")) from error
    return net.eval()


def replicates(network: str = "phones") -> tuple[TrainedCNN, ...]:
    """Return all training seeds of a shipped network.

    Parameters
    ----------
    network : str
        One of `SEEDS`.

    Returns
    -------
    tuple of TrainedCNN
        The one that goes by the network's name first.

    Raises
    ------
    ParameterError
        For a network that is not shipped.

    Notes
    -----
    Used from chapter 6 of the book on.

    Examples
    --------
    >>> len(replicates("phones"))
    3
    """
    if network not in SEEDS:
        raise ParameterError(f"{network!r} is not shipped: use one of {', '.join(SEEDS)}.")
    return tuple(load(name) for name in SEEDS[network])


def _path(network: str | Path) -> Path:
    names = [*SEEDS, *(name for seeds in SEEDS.values() for name in seeds), *FOLDS]
    if network in names:
        first = SEEDS.get(str(network), (str(network),))[0]
        return WEIGHTS / f"{first}.safetensors"
    path = Path(network).expanduser()
    path = path / MODEL if path.is_dir() else path
    if not path.is_file():
        raise MissingFileError(
            f"{shown(path)} is not there: name a .safetensors file, a run's folder, or one of "
            f"{', '.join(SEEDS)}."
        )
    return path


def _refusal(path: Path, reason: str) -> ParameterError:
    return ParameterError(
        f"{shown(path)} holds no network of relviz's ({reason}): name a file that `relviz train` "
        "wrote."
    )


def _metadata(fields: Mapping[str, Any]) -> Metadata:
    rest = {name: value for name, value in fields.items() if name != "architecture"}
    return Metadata(**{**rest, "classes": tuple(fields["classes"])})


def card(network: str | Path = "phones") -> str:
    """Return the model card of a shipped network, or of a run, as a Markdown table.

    Parameters
    ----------
    network : str or Path
        As in `load`.

    Returns
    -------
    str
        A table of two columns. What it quotes of the file is text: no mark, tag or link of it is
        one.

    Raises
    ------
    ParameterError
        Where `load` raises it.
    MissingFileError
        Where `load` raises it.

    Notes
    -----
    The appendix of the book, on data and models, shows them all.

    References
    ----------
    Mitchell et al., "Model cards for model reporting", 2019, 10.1145/3287560.3287596.

    Examples
    --------
    >>> print(card("phones").splitlines()[2])
    | Load | `relviz.load('phones')` |
    """
    path = _path(network)
    net = load(path)
    metadata = net.metadata
    shuffled = bool(metadata.recipe.get("shuffle_labels"))
    texts = _TEXTS[f"{metadata.study}-shuffled" if shuffled else metadata.study]
    parameters = f"{sum(each.numel() for each in net.parameters()):,}".replace(",", " ")
    rows = {
        "Load": code(f"relviz.load({str(network)!r})"),
        "Network": f"{texts['what']} {len(metadata.classes)} classes, {parameters} parameters, "
        f"{path.stat().st_size / 1e6:.1f} MB. Windows are normalised per {metadata.normalise}.",
        "Data": _data(metadata.about),
        "Licence": _licence(metadata.about) if path.parent == WEIGHTS else "",
        "Training": _training(metadata),
        "Scores": "<br>".join(_scores(metadata.scores)) or "none",
        "Spread": _spread(network),
        "All speakers": _in_turn(network),
        "Use": texts["use"],
        "Limits": texts["limits"],
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items() if text)]
    return "\n".join(lines)


_CREDIT = (
    "LibriSpeech (Panayotov et al., 2015, 10.1109/ICASSP.2015.7178964), read by LibriVox "
    "volunteers, CC BY 4.0"
)
"""Of shipped networks whose files do not name the `credit` of their corpora."""

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "phones": {
        "what": "Table 1's phone network: which phone is at the centre of 250 ms of speech.",
        "use": "Teaching, and research into what such networks listen to.",
        "limits": "Read American English only, recorded at home by adults; labels come from forced "
        "alignment, whose boundaries are off by some 10 ms, so the scores are agreement with an "
        "aligner. A few hours of speech from a couple of dozen speakers: no speech recogniser.",
    },
    "phones-shuffled": {
        "what": "The control to Table 1's phone network, which learnt labels by heart that had "
        "been permuted among the frames.",
        "use": "Only as a control: what it shows is not knowledge of phones.",
        "limits": "It tells phones apart hardly better than guessing: compare its scores with "
        "those of `phones`.",
    },
    "speakers": {
        "what": "Table 1's speaker network: who speaks these 500 ms of speech.",
        "use": "Teaching, and research into what such networks listen to.",
        "limits": "It knows its speakers from one session each, so room and microphone may be what "
        "it tells apart: compare the scores within and across sessions, and those of `relviz "
        "evaluate speakers` through another channel. No use for identifying people: it knows only "
        "the readers it was trained on, and names one of them for any voice.",
    },
    "cues": {
        "what": "Table 1's phone network with fewer hidden units, which tells a cue of a generated "
        "vowel, or two, from 250 ms of it.",
        "use": "To try on it what claims to say what a network listens to: here that is known, as "
        "every cue of its vowels was drawn by itself.",
        "limits": "It knows generated vowels alone. That its label needs the cue does not say that "
        "nothing else moves it: a mistake may go by another cue.",
    },
    "cues-shuffled": {
        "what": "The control to the networks with a known answer, which learnt labels by heart "
        "that had been permuted among the frames.",
        "use": "Only as a control: there is no cue that it knows.",
        "limits": "It tells cues apart hardly better than guessing.",
    },
    "speakers-shuffled": {
        "what": "The control to Table 1's speaker network, which learnt labels by heart that had "
        "been permuted among the frames.",
        "use": "Only as a control: what it shows is not knowledge of voices.",
        "limits": "It tells speakers apart hardly better than guessing: compare its scores with "
        "those of `speakers`.",
    },
}


def _licence(about: Mapping[str, Any]) -> str:
    """Of the shipped networks; a file from elsewhere says nothing of its own."""
    credit = markdown(about["credit"]) if "credit" in about else _CREDIT
    return (
        "The weights come with relviz, under its licence (BSD 3-Clause). They were trained on "
        f"{credit}."
    )


def _data(about: Mapping[str, Any]) -> str:
    groups = [
        f"{markdown(name)}: {group['utterances']} utterances of {len(group['speakers'])} speakers"
        + (f" ({markdown(', '.join(group['speakers']))})" if len(group["speakers"]) <= 6 else "")
        for name, group in about.items()
        if isinstance(group, Mapping) and "utterances" in group
    ]
    recordings = markdown(about.get("recordings", "not said"))
    rule = [f"Rule: {markdown(about['rule'])}."] if "rule" in about else []
    return "<br>".join([recordings, *groups, *rule])


def _training(metadata: Metadata) -> str:
    training = metadata.scores.get("training", {})
    text = f"seed {metadata.recipe.get('seed', 'unknown')}"
    if "command" in metadata.about:
        text += f": {code(metadata.about['command'])}"
    if training:
        text += (
            f"; best of the validations after {training['best_step']:.0f} of "
            f"{training['steps']:.0f} steps ({100 * training['valid_accuracy']:.1f} %), "
            f"{training['seconds'] / 60:.0f} min"
        )
    return text + "."


def _scores(scores: Mapping[str, Any]) -> list[str]:
    lines = []
    for test, values in scores.items():
        if values.get("by_speaker"):
            speakers = {who: _values(each) for who, each in values["by_speaker"].items()}
            lines += _over_speakers(test, speakers)
            continue
        lines += [
            f"{markdown(_measure(test, name))} {100 * score['value']:.1f} % "
            f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}], {score['trials']} utterances"
            for name, score in values.items()
            if isinstance(score, Mapping) and "trials" in score
        ]
    return lines


def _values(scores: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: score["value"]
        for name, score in scores.items()
        if isinstance(score, Mapping) and "trials" in score
    }


def _over_speakers(test: str, speakers: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Write the mean over speakers of each measure, its interval, and the two extremes."""
    lines = []
    for name in dict.fromkeys(name for values in speakers.values() for name in values):
        values = [100 * each[name] for each in speakers.values() if name in each]
        mean = statistics.bootstrap(values)
        text = f"{markdown(_measure(test, name))} {mean.value:.1f} %"
        if len(values) == 1:
            lines.append(f"{text} over 1 speaker")
        else:
            lines.append(
                f"{text} [{mean.low:.1f}, {mean.high:.1f}] over {len(values)} speakers, of whom "
                f"the lowest has {min(values):.1f} and the highest {max(values):.1f} %"
            )
    return lines


def _measure(test: str, name: str) -> str:
    return f"{test}: {name.replace('_', ' ')}"


def _spread(network: str | Path) -> str:
    """Say how the scores vary over the training seeds of a shipped network."""
    name = str(network)
    seeds = next((all_ for first, all_ in SEEDS.items() if name in (first, *all_)), ())
    if len(seeds) < 2:
        return ""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        scores = _cards.contents(_path(seed)).fields["scores"]
        for test, values in scores.items():
            speakers = [_values(each) for each in values.get("by_speaker", {}).values()]
            for measure, value in _values(values).items():
                if speakers:
                    value = sum(each[measure] for each in speakers) / len(speakers)
                found.setdefault(_measure(test, measure), []).append(100 * value)
    return f"over the {len(seeds)} seeds:<br>" + "<br>".join(
        f"{label} {min(values):.1f} to {max(values):.1f} %" for label, values in found.items()
    )


def _in_turn(network: str | Path) -> str:
    """Say how all speakers of the corpus fare, each with the networks that did not hear them."""
    names = dict.fromkeys((*SEEDS["phones"], *FOLDS))
    if str(network) not in ("phones", *names):
        return ""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name in names:
        for test, values in _cards.contents(_path(name)).fields["scores"].items():
            for who, scores in values.get("by_speaker", {}).items():
                for measure, value in _values(scores).items():
                    of_one = found.setdefault(test, {}).setdefault(who, {})
                    of_one.setdefault(measure, []).append(value)
    lines = [
        line
        for test, people in found.items()
        for line in _over_speakers(
            test,
            {
                who: {measure: sum(values) / len(values) for measure, values in each.items()}
                for who, each in people.items()
            },
        )
    ]
    by = ", ".join(map(code, names))
    return "<br>".join([f"in turn, each with those of {by} that did not hear them:", *lines])
