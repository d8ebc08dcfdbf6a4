"""The knob explorer: a vowel synthesiser in the page, and networks that answer as it is turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from numpy.typing import NDArray

from relviz import audio, pretrained
from relviz._errors import ParameterError
from relviz.corpora import cued, synthetic
from relviz.corpora.cued import CUES
from relviz.pretrained import TrainedCNN
from relviz.signals import standardise
from relviz.widgets.frame import Explorer, pack, script, style
from relviz.widgets.live import EXAMPLES, UNTRAINED, newborn

__all__ = [
    "DURATION",
    "NETWORKS",
    "SHOWN",
    "STEPS",
    "UNTRAINED",
    "VOICES",
    "WORDS",
    "KnobExplorer",
    "apart",
    "network",
    "preset",
    "probabilities",
    "ranges",
    "wave",
]

NETWORKS = ("phones", "speakers", *(f"cues-{name}" for name in CUES), UNTRAINED)
"""What can be asked: names as `relviz.load` and the page's folder `live/` have them."""

SHOWN = ("phones", "cues-F1", "cues-F0", UNTRAINED)
"""Those that are asked to begin with."""

STEPS: Mapping[str, float] = {
    "F0": 1.0,
    "F1": 5.0,
    "F2": 10.0,
    "F3": 10.0,
    "tilt": 0.5,
    "noise": 1.0,
}
"""By how much a press of a key turns each knob, in the units of `relviz.corpora.cued.CUES`."""

WORDS: Mapping[str, str] = {
    "iy": "heed", "ih": "hid", "ei": "hayed", "eh": "head", "ae": "had", "ah": "hod",
    "aw": "hawed", "oa": "hoed", "oo": "hood", "uw": "who’d", "uh": "hud", "er": "heard",
}  # fmt: skip
"""A word for each vowel of `relviz.corpora.synthetic.MEANS`."""

VOICES: Mapping[str, str] = {"M": "a man", "F": "a woman"}
"""Whose means there are."""

DURATION = 0.6
"""Seconds of a vowel: it fills the longest window."""

_OTHERS = 30
"""Vowels whose mutual distance is the yardstick."""


def network(name: str) -> TrainedCNN:
    """Return one of the networks that can be asked.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.

    Returns
    -------
    TrainedCNN
        In eval mode; the untrained one is `relviz.widgets.live.newborn`.

    Raises
    ------
    ParameterError
        For another name.

    Examples
    --------
    >>> network("untrained").window
    4000
    """
    if name not in NETWORKS:
        raise ParameterError(f"{name!r} is no network here: use one of {', '.join(NETWORKS)}.")
    return newborn() if name == UNTRAINED else pretrained.load(name)


def preset(vowel: str = "iy", sex: str = "M") -> dict[str, float]:
    """Return the cues of a mean American vowel.

    Parameters
    ----------
    vowel : str
        One of `WORDS`.
    sex : str
        "M" or "F".

    Returns
    -------
    dict of str to float
        A value for each of `relviz.corpora.cued.CUES`, on the steps of its knob; tilt and noise,
        which the tables do not have, in the middle of their ranges.

    Examples
    --------
    >>> preset("iy", "M")
    {'F0': 139.0, 'F1': 345.0, 'F2': 2320.0, 'F3': 3000.0, 'tilt': -2.0, 'noise': -25.0}
    """
    if vowel not in WORDS or sex not in VOICES:
        raise ParameterError(
            f"there is no vowel {vowel!r} of {sex!r}: use one of {', '.join(WORDS)}, and "
            f"{' or '.join(VOICES)}."
        )
    means = dict(zip(("F0", "F1", "F2", "F3"), synthetic.MEANS[sex][vowel], strict=True))
    middle = {name: (CUES[name].low + CUES[name].high) / 2 for name in ("tilt", "noise")}
    return {name: _stepped(name, value) for name, value in (means | middle).items()}


def ranges() -> dict[str, tuple[float, float]]:
    """Return how far each knob turns.

    Returns
    -------
    dict of str to tuple of float
        Lowest and highest value: the range from which vowels are drawn, and all presets.

    Examples
    --------
    >>> ranges()["F1"]
    (280.0, 920.0)
    """
    presets = [preset(vowel, sex) for vowel in WORDS for sex in VOICES]
    found = {}
    for name, cue in CUES.items():
        values = [cue.low, cue.high, *(each[name] for each in presets)]
        found[name] = (_stepped(name, min(values)), _stepped(name, max(values)))
    return found


def _stepped(name: str, value: float) -> float:
    return STEPS[name] * round(value / STEPS[name])


def wave(values: Mapping[str, float]) -> NDArray[np.float32]:
    """Make the vowel of some cues, as the page does.

    Parameters
    ----------
    values : mapping of str to float
        Of each of `relviz.corpora.cued.CUES`.

    Returns
    -------
    ndarray, (samples,)
        `DURATION` long, at 16 kHz.

    Examples
    --------
    >>> wave(preset("ah", "F")).shape
    (9600,)
    """
    formants = (values["F1"], values["F2"], values["F3"], *cued.HIGHER)
    f0, tilt, noise = (values[name] for name in ("F0", "tilt", "noise"))
    return cued.synthesise(f0, formants, tilt, noise, duration=DURATION).astype(np.float32)


def probabilities(net: TrainedCNN, waves: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Return what a network hears in the middle of vowels.

    Parameters
    ----------
    net : TrainedCNN
        Such as `network` gives.
    waves : sequence of ndarray, (samples,)
        At 16 kHz, each at least as long as its window.

    Returns
    -------
    ndarray, (waves, classes)
        Probabilities, by the window around the middle, standardised.

    Examples
    --------
    >>> probabilities(network("phones"), [wave(preset())]).shape
    (1, 40)
    """
    length = net.window
    cut = [each[(start := (len(each) - length) // 2) : start + length] for each in waves]
    with torch.inference_mode():
        scores = net(standardise(torch.from_numpy(np.stack(cut))))
    return scores.double().softmax(-1).numpy()


def apart(rows: NDArray[np.float64]) -> float:
    """Return how far decisions lie apart: the mean divergence from one to another.

    Parameters
    ----------
    rows : ndarray, (decisions, classes)
        Probabilities.

    Returns
    -------
    float
        Kullback-Leibler divergence in nats, over all ordered pairs.

    Examples
    --------
    >>> round(apart(np.array([[0.9, 0.1], [0.1, 0.9]])), 3)
    1.758
    """
    logs = np.log(np.maximum(rows, 1e-300))
    crossed = rows @ logs.T
    divergences = np.diag(crossed)[:, None] - crossed
    return float(divergences.sum() / (len(rows) * (len(rows) - 1)))


class KnobExplorer(Explorer):
    """A vowel with six knobs, and what networks make of it while one is turned.

    Traits `values`, a number for each of `relviz.corpora.cued.CUES`, and `shown`, some of
    `NETWORKS`, follow the page and lead it.

    Parameters
    ----------
    vowel : str
        One of `WORDS`, to begin with.
    sex : str
        "M" or "F".
    shown : sequence of str
        Of `NETWORKS`, those that are asked to begin with.

    Raises
    ------
    ParameterError
        For a vowel that there is not.
    traitlets.TraitError
        For values that the knobs do not have, and for networks that there are not.

    Notes
    -----
    What the networks hear in the presets travels with the explorer; all else needs the graphs that
    `relviz.export` writes, in the site's folder, or a kernel. The page Live of the book shows it.
    """

    _esm = script("knob.js")
    _css = style()

    data = traitlets.Bytes().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    shown = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, vowel: str = "eh", sex: str = "M", *, shown: Sequence[str] = SHOWN) -> None:
        start = preset(vowel, sex)
        self._networks = {name: network(name) for name in NETWORKS}
        presets = {f"{each}/{voice}": preset(each, voice) for each in WORDS for voice in VOICES}
        said = [wave(values) for values in presets.values()]
        drawn = [one.wave() for one in cued.draw(_OTHERS, seed=7, duration=DURATION)]
        heard = {name: probabilities(net, [*said, *drawn]) for name, net in self._networks.items()}
        about = {
            "vowels": dict(WORDS),
            "voices": dict(VOICES),
            "presets": presets,
            "knobs": [
                {"name": name, "unit": CUES[name].unit, "step": STEPS[name], "range": limits}
                for name, limits in ranges().items()
            ],
            "networks": [
                {
                    "name": name,
                    "classes": net.metadata.classes,
                    "window": net.window,
                    "apart": apart(heard[name][len(said) :]),
                }
                for name, net in self._networks.items()
            ],
            "examples": EXAMPLES,
            "fixed": {
                "rate": audio.SAMPLE_RATE,
                "duration": DURATION,
                "fade": cued.FADE,
                "level": cued.LEVEL,
                "higher": cued.HIGHER,
                "bandwidth": [cued.bandwidth(0.0), cued.bandwidth(1.0) - cued.bandwidth(0.0)],
                "filter": cued.noise_filter().tolist(),
            },
        }
        signals = {name: rows[: len(said)].ravel() for name, rows in heard.items()}
        super().__init__(data=pack(about, signals, fine=NETWORKS), values=start, shown=list(shown))

    @traitlets.validate("values")
    def _check_values(self, proposal: Any) -> dict[str, float]:
        values = proposal["value"]
        for name, (low, high) in ranges().items():
            value = values.get(name)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise traitlets.TraitError(
                    f"{name} is {value!r}: give {low:g} to {high:g} {CUES[name].unit}."
                )
        if len(values) > len(CUES):
            raise traitlets.TraitError(f"there are no knobs but {', '.join(CUES)}.")
        return {name: float(values[name]) for name in CUES}

    @traitlets.validate("shown")
    def _check_shown(self, proposal: Any) -> list[str]:
        names = proposal["value"]
        unknown = [name for name in names if name not in NETWORKS]
        if unknown:
            raise traitlets.TraitError(
                f"{unknown[0]!r} is no network here: use some of {', '.join(NETWORKS)}."
            )
        return [name for name in NETWORKS if name in names]

    def answer(self, question: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list[bytes]]:
        """Answer "probabilities" of the vowel that came along, (samples,) float32, by a network."""
        if question.get("ask") != "probabilities":
            return super().answer(question, buffers)
        name = question["network"]
        net = self._networks.get(name) or network(name)  # which refuses what there is not
        heard = audio.check(np.frombuffer(buffers[0], dtype="<f4"), "the vowel", net.window)
        return {}, [probabilities(net, [heard])[0].astype("<f4").tobytes()]
