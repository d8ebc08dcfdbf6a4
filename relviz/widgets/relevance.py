"""The relevance explorer: what networks hear in recordings, by rule, hop and network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from relviz import acoustics, audio
from relviz._errors import ParameterError
from relviz.attributions import Attribution, Method, find
from relviz.corpora import Vowel, to_hear
from relviz.signals import (
    check_rate,
    network_rate,
    network_window,
    relevance_signal,
    stride,
)
from relviz.widgets.frame import Explorer, pack, script, style

__all__ = [
    "LONGEST",
    "NAMES",
    "Recording",
    "RelevanceExplorer",
    "vowel",
]

LONGEST = 30.0
"""Seconds of a reader's own file."""

NAMES: Mapping[str, str] = {
    "guided": "guided backpropagation",
    "gradient": "plain gradient",
    "deconvnet": "deconvnet",
}
"""What the rules are called on the page."""


@dataclass(frozen=True)
class Recording:
    """A recording to choose.

    Parameters
    ----------
    says : str
        What is said.
    talker : str
        By whom.
    wave : ndarray, (samples,)
        The waveform.
    cursor : float, optional
        Where the cursor starts, in seconds.
    sample_rate : int, optional
        In Hz; default, that of the explorer, which resamples what has another.

    Examples
    --------
    >>> Recording("ah", "m01", np.zeros(8000), cursor=0.25).cursor
    0.25
    """

    says: str
    talker: str
    wave: NDArray[np.floating]
    cursor: float | None = None
    sample_rate: int | None = None


def vowel(token: Vowel, margin: float = 0.1) -> Recording:
    """Return a vowel to choose, long enough for every network of Table 1.

    Parameters
    ----------
    token : Vowel
        As `relviz.corpora.to_hear` gives it; the cursor starts at its steady state.
    margin : float
        Seconds around it, or what makes up 0.52 s.

    Returns
    -------
    Recording
        At 16 kHz.

    Examples
    --------
    >>> from relviz import corpora
    >>> token = corpora.vowel_corpus(["ah"], men=1, women=0)[0]
    >>> recording = vowel(token)
    >>> recording.says, len(recording.wave) >= 8320
    ('ah', True)
    """
    token = to_hear(token)
    size = round(max(token.end - token.start + 2 * margin, 0.52) * audio.SAMPLE_RATE)
    start = round((token.start + token.end) / 2 * audio.SAMPLE_RATE) - size // 2
    wave = audio.frame(token.wave(), size, [start])[0]
    cursor = token.steady - start / audio.SAMPLE_RATE
    return Recording(token.vowel, token.talker, wave, cursor, audio.SAMPLE_RATE)


def _common_rate(networks: Mapping[str, Callable]) -> int:
    rates = {network_rate(net) or audio.SAMPLE_RATE for net in networks.values()}
    if len(rates) > 1:
        named = " and ".join(map(str, sorted(rates)))
        raise ParameterError(f"the networks hear at {named} Hz: make an explorer for each rate.")
    return rates.pop()


def _at(recording: Recording, sample_rate: int) -> Recording:
    rate = recording.sample_rate or sample_rate
    wave = audio.resample(np.asarray(recording.wave), rate, sample_rate)
    return replace(recording, wave=wave, sample_rate=sample_rate)


class RelevanceExplorer(Explorer):
    """Recordings and what networks hear in them: waveforms, spectra, F0, sound.

    All combinations are computed when the explorer is made, and travel with it. With a kernel,
    readers can take any hop and a file of their own.

    Parameters
    ----------
    recordings : sequence of Recording
        What can be chosen, each pair of `says` and `talker` once.
    networks : mapping of str to callable
        As in `relviz.relevance_signal`, by the names to show.
    methods : sequence of str, or mapping of str to callable
        Names of methods of `relviz.relevance`, or functions of your own by the names to show; the
        first is shown first.
    hops : sequence of int
        In samples; the first is shown first.
    sample_rate : int, optional
        Hz, of recordings that do not say theirs, and that at which every network hears; default,
        what the networks say, else 16 kHz.
    floor, ceiling : float
        Of the F0 searched, in Hz.
    progress : bool
        Show a bar.

    Raises
    ------
    ParameterError
        Where there is nothing to choose from, for networks that hear at another rate or at several,
        and where `relviz.relevance_signal` raises it.
    AudioError
        Where `relviz.relevance_signal` raises it.

    Notes
    -----
    A recording that is shorter than a network's window stands between zeros. Used in chapters 4 to
    8 of the book.
    """

    _esm = script("relevance.js")
    _css = style()

    data = traitlets.Bytes().tag(sync=True)
    says = traitlets.Unicode().tag(sync=True)
    talker = traitlets.Unicode().tag(sync=True)
    network = traitlets.Unicode().tag(sync=True)
    method = traitlets.Unicode().tag(sync=True)
    hop = traitlets.Int().tag(sync=True)

    def __init__(
        self,
        recordings: Sequence[Recording],
        networks: Mapping[str, Callable],
        *,
        methods: Sequence[Method] | Mapping[str, Method | Attribution] = ("guided", "gradient"),
        hops: Sequence[int] = (97, 160),
        sample_rate: int | None = None,
        floor: float = 75.0,
        ceiling: float = 500.0,
        progress: bool = False,
    ) -> None:
        if not (recordings and networks and methods and hops):
            raise ParameterError("the explorer needs a recording, a network, a method and a hop.")
        pairs = [(each.says, each.talker) for each in recordings]
        if len(set(pairs)) < len(pairs):
            raise ParameterError("two recordings have the same words and talker: name them apart.")
        sample_rate = sample_rate or _common_rate(networks)
        for name, net in networks.items():
            check_rate(net, sample_rate, f"the network {name!r}")
        recordings = [_at(each, sample_rate) for each in recordings]
        self._floor, self._ceiling = floor, ceiling
        by_name = methods if isinstance(methods, Mapping) else {name: name for name in methods}
        self._methods = {name: find(method) for name, method in by_name.items()}
        self._networks, self._recordings, self._rate = dict(networks), list(recordings), sample_rate
        signals: dict[str, NDArray] = {}
        f0: dict[str, Any] = {}
        for key, wave in self._signals(hops, progress):
            signals[key], f0[key] = wave, self._f0(wave)
        about = {
            "rate": sample_rate,
            "limits": [floor, ceiling],
            "longest": LONGEST,
            "recordings": [
                {"says": r.says, "talker": r.talker, "cursor": r.cursor} for r in recordings
            ],
            "networks": [
                {"name": name, "stride": stride(net), "window": network_window(net)}
                for name, net in networks.items()
            ],
            "methods": [[method, NAMES.get(method, method)] for method in self._methods],
            "hops": [int(hop) for hop in hops],
            "f0": f0,
        }
        first = recordings[0]
        super().__init__(
            data=pack(about, signals, fine=[k for k in signals if "/" not in k]),
            says=first.says,
            talker=first.talker,
            network=next(iter(networks)),
            method=next(iter(self._methods)),
            hop=int(hops[0]),
        )

    def _signals(
        self, hops: Sequence[int], progress: bool
    ) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Each recording as "number", each relevance as "number/network/method/hop"."""
        combinations: Iterable[tuple[int, str, str, int]] = [
            (i, name, method, int(hop))
            for i in range(len(self._recordings))
            for name in self._networks
            for method in self._methods
            for hop in hops
        ]
        if progress:
            from tqdm.auto import tqdm

            combinations = tqdm(combinations, desc="explorer", unit="signal")
        for i, recording in enumerate(self._recordings):
            yield f"{i}", np.asarray(recording.wave, dtype=np.float64)
        for i, name, method, hop in combinations:
            wave = self._recordings[i].wave
            yield f"{i}/{name}/{method}/{hop}", self._relevance(wave, name, method, hop)

    def _relevance(self, wave: NDArray, name: str, method: str, hop: int) -> NDArray[np.float64]:
        net = self._networks[name]
        with warnings.catch_warnings():
            # the explorer says itself what a hop that shares a factor with the stride does
            warnings.filterwarnings("ignore", message="hop_length .* shares the factor")
            return relevance_signal(
                net,
                wave,
                hop,
                method=self._methods[method],
                centres=(0, len(wave) - 1),  # all of it, be it shorter than a window
                progress=False,
            )

    def _f0(self, wave: NDArray) -> dict[str, Any]:
        with warnings.catch_warnings():
            # the page shows the contour and its limits; a relevance signal need not be a voice
            warnings.simplefilter("ignore", acoustics.F0Warning)
            times, f0 = acoustics.f0_contour(
                wave, self._rate, floor=self._floor, ceiling=self._ceiling
            )
        return {
            "start": float(times[0]) if len(times) else 0.0,
            "step": float(times[1] - times[0]) if len(times) > 1 else 0.01,
            "hertz": [None if np.isnan(hertz) else round(float(hertz), 1) for hertz in f0],
        }

    def answer(self, question: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list[bytes]]:
        """Answer "relevance": of a recording (its number) or of the samples that came along."""
        if question.get("ask") != "relevance":
            return super().answer(question, buffers)
        number = question["recording"]
        if number is None:
            wave = np.frombuffer(buffers[0], dtype="<f4")
            if len(wave) > LONGEST * self._rate:
                raise ParameterError(
                    f"The file lasts {len(wave) / self._rate:.0f} s: cut it to {LONGEST:.0f} s."
                )
        else:
            wave = np.asarray(self._recordings[number].wave)
        wave = audio.check(wave, "the file" if number is None else "the recording")
        signal = self._relevance(wave, question["network"], question["method"], question["hop"])
        contours = {"f0": self._f0(signal), "original": self._f0(wave)}
        return contours, [signal.astype("<f4").tobytes()]
