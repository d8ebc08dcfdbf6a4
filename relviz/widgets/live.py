"""The live explorer: the trained networks in the reader's browser, on the reader's own voice."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import product
from math import gcd
from typing import Any

import numpy as np
import torch
import traitlets
from numpy.typing import ArrayLike, NDArray

from relviz import _engine, audio, networks, pretrained
from relviz._errors import ParameterError
from relviz.attributions import Method
from relviz.signals import batches, relevance_signal, stride
from relviz.widgets.frame import Explorer, pack, script, style

__all__ = [
    "EXAMPLES",
    "LONGEST",
    "METHODS",
    "NETWORKS",
    "SHIFTS",
    "STEP",
    "UNTRAINED",
    "LiveExplorer",
    "hop",
    "newborn",
    "synthetic_vowels",
]

UNTRAINED = "untrained"
"""The phone network with the weights that it was born with."""

NETWORKS = ("phones", "speakers", UNTRAINED)
"""Names of the networks, as `relviz.load` and the page's folder `live/` have them."""

METHODS: Mapping[Method, str] = {
    "guided": "guided backpropagation",
    "gradient": "plain gradient",
}
"""Methods of `relviz.relevance`, and what they are called on the page."""

SHIFTS = (1, 4, 16, 64)
"""How many windows may cover each sample."""

STEP = 160
"""Samples between the windows whose probabilities are shown over time: 10 ms."""

LONGEST = 4.0
"""Seconds of a recording or of a reader's own file."""


EXAMPLES: Mapping[str, str] = {
    "AA": "odd", "AE": "at", "AH": "hut", "AO": "ought", "AW": "cow", "AY": "hide", "B": "be",
    "CH": "cheese", "D": "deep", "DH": "thee", "EH": "red", "ER": "hurt", "EY": "ate",
    "F": "fee", "G": "green", "HH": "he", "IH": "it", "IY": "eat", "JH": "gee", "K": "key",
    "L": "lee", "M": "me", "N": "knee", "NG": "ping", "OW": "oat", "OY": "toy", "P": "pea",
    "R": "read", "S": "sea", "SH": "she", "T": "tea", "TH": "theta", "UH": "hood", "UW": "two",
    "V": "veal", "W": "we", "Y": "yield", "Z": "zoo", "ZH": "seizure",
}  # fmt: skip
"""A word for each phone, mostly those of the CMU pronouncing dictionary."""


def hop(window: int, total_stride: int, shifts: int) -> int:
    """Return the hop at which about so many windows cover each sample.

    Parameters
    ----------
    window, total_stride : int
        Of the network, in samples.
    shifts : int
        How many windows; one is windows side by side, where there is nothing to average.

    Returns
    -------
    int
        In samples: the nearest to window / shifts that shares no factor with the network's stride,
        so that its grid is averaged away.

    Examples
    --------
    >>> hop(4000, 270, 1), hop(4000, 270, 41)
    (4000, 97)
    """
    if shifts == 1:
        return window
    wanted = window / shifts
    fits = [n for n in range(1, window) if gcd(n, total_stride) == 1]
    return min(fits, key=lambda n: (abs(n - wanted), n))


def newborn() -> pretrained.TrainedCNN:
    """Return the phone network as it was before its training.

    Returns
    -------
    TrainedCNN
        In eval mode, with the classes of the phone network, and weights that half precision holds,
        as the shipped ones do.

    Examples
    --------
    >>> newborn().window
    4000
    """
    classes = pretrained.load("phones").metadata.classes
    born = networks.build(networks.PHONE_CNN, len(classes), seed=0).half().float()
    with torch.random.fork_rng(devices=[]):  # other weights, which are thrown away
        net = pretrained.TrainedCNN(networks.PHONE_CNN, pretrained.Metadata("phones", classes))
    net.load_state_dict(born.state_dict())
    return net.eval()


def synthetic_vowels() -> dict[str, NDArray[np.float32]]:
    """Synthesise the recordings that come with the explorer.

    Returns
    -------
    dict of str to ndarray, (samples,)
        What it is called, and a waveform of float32 at 16 kHz.

    Examples
    --------
    >>> list(synthetic_vowels())
    ['“ee”, a woman', '“ah”, a man', '“oh”, a man']
    """
    from relviz.corpora import synthetic

    found = {}
    # the first is one that the phone network names as its name says
    chosen = {"“ee”, a woman": ("F", "iy"), "“ah”, a man": ("M", "ah"), "“oh”, a man": ("M", "oa")}
    for number, (name, (sex, vowel)) in enumerate(chosen.items()):
        f0, *formants = synthetic.MEANS[sex][vowel]
        wave = synthetic.token(f0, formants, sex, 0.05, 0.45)
        # a room is never quite silent, and in exact silence relevance hangs on rounding
        noise = np.random.default_rng(number).standard_normal(len(wave), dtype=np.float32)
        found[name] = wave + np.float32(3e-4) * noise
    return found


class LiveExplorer(Explorer):
    """Sounds and what networks hear in them, computed in the reader's browser.

    Parameters
    ----------
    vowels : mapping of str to array_like, (samples,), optional
        Recordings to begin with, at 16 kHz, of 0.5 to 4 s; None takes three synthetic vowels.
        Probabilities and relevance of these travel with the explorer. Files and the microphone need
        the graphs that `relviz.export` writes, in the site's folder, or a kernel.
    floor, ceiling : float
        Of the F0 searched, in Hz; the reader may choose others.

    Raises
    ------
    ParameterError
        Where there is no recording, and for limits that leave nothing to search.
    AudioError
        For one that cannot be used.

    Notes
    -----
    The page Live of the book, and chapter 13, show it.
    """

    _esm = script("live.js")
    _css = style()

    data = traitlets.Bytes().tag(sync=True)
    network = traitlets.Unicode().tag(sync=True)
    method = traitlets.Unicode().tag(sync=True)
    sound = traitlets.Unicode().tag(sync=True)
    shifts = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        vowels: Mapping[str, ArrayLike] | None = None,
        *,
        floor: float = 75.0,
        ceiling: float = 500.0,
    ) -> None:
        if not 0 < floor < ceiling:
            raise ParameterError(
                f"floor {floor} Hz and ceiling {ceiling} Hz make no search: give 0 < floor < "
                "ceiling."
            )
        given = synthetic_vowels() if vowels is None else vowels
        if not given:
            raise ParameterError("the explorer needs a recording: leave `vowels` out for its own.")
        self._networks = {
            name: newborn() if name == UNTRAINED else pretrained.load(name) for name in NETWORKS
        }
        longest = max(net.window for net in self._networks.values())
        signals: dict[str, NDArray] = {}
        for name, samples in given.items():
            wave = signals[name] = audio.check(samples, f"the recording {name!r}", longest)
            if len(wave) > LONGEST * audio.SAMPLE_RATE:
                raise audio.AudioError(
                    f"the recording {name!r} lasts {len(wave) / audio.SAMPLE_RATE:.1f} s: cut it "
                    f"to {LONGEST:.0f} s."
                )
            for network, net in self._networks.items():
                key = f"{name}/{network}"
                centres = np.arange(0, len(wave), STEP)
                signals[key] = self._probabilities(network, wave, centres).ravel()
                for method, count in product(METHODS, SHIFTS):
                    space = hop(net.window, stride(net), count)
                    relevance = self._relevance(network, wave, space, None, method)
                    signals[f"{key}/{method}/{count}"] = relevance
        about = {
            "rate": audio.SAMPLE_RATE,
            "step": STEP,
            "longest": LONGEST,
            "limits": [floor, ceiling],
            "shifts": SHIFTS,
            "sounds": list(given),
            "methods": list(METHODS.items()),
            "examples": EXAMPLES,
            "networks": [
                {
                    "name": name,
                    "classes": net.metadata.classes,
                    "window": net.window,
                    "stride": stride(net),
                }
                for name, net in self._networks.items()
            ],
        }
        super().__init__(
            data=pack(about, signals, fine=list(given)),
            network=NETWORKS[0],
            method=next(iter(METHODS)),
            sound=next(iter(given)),
            shifts=16,
        )

    def _probabilities(
        self, network: str, wave: NDArray[np.float32], centres: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Probabilities of the classes in the windows around samples, (windows, classes)."""
        net = self._networks[network]
        found = batches(net, wave, centres - net.window // 2, batch_size=len(centres))
        with torch.no_grad():
            return np.concatenate(
                [_engine.call(net, windows).softmax(-1).numpy() for _, windows in found]
            )

    def _relevance(
        self,
        network: str,
        wave: NDArray[np.float32],
        hop: int,
        centres: tuple[int, int] | None,
        method: Method,
    ) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            # one shift shows what aliasing is: the explorer says so itself
            warnings.filterwarnings("ignore", message="hop_length .* shares the factor")
            net = self._networks[network]
            # on a busy machine a bar would stand above the explorer, in the page, too
            return relevance_signal(net, wave, hop, method=method, centres=centres, progress=False)

    def answer(self, question: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list[bytes]]:
        """Answer "probabilities" or "relevance" of the samples that came along, (samples,) float32.

        The question names the network and the method, and of the windows the first's centre, the
        hop between them (samples) and their count.
        """
        ask = question.get("ask")
        if ask not in ("probabilities", "relevance"):
            return super().answer(question, buffers)
        wave = np.frombuffer(buffers[0], dtype="<f4")
        if len(wave) > LONGEST * audio.SAMPLE_RATE:
            raise ParameterError(
                f"The sound lasts {len(wave) / audio.SAMPLE_RATE:.1f} s: cut it to {LONGEST:.0f} s."
            )
        wave = audio.check(wave, "the sound")
        network, first, hop = question["network"], int(question["first"]), int(question["hop"])
        last = first + (int(question["count"]) - 1) * hop
        found: NDArray
        if ask == "probabilities":
            found = self._probabilities(network, wave, np.arange(first, last + 1, hop))
        else:
            found = self._relevance(network, wave, hop, (first, last), question["method"])
        return {}, [found.astype("<f4").tobytes()]
