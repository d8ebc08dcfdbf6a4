"""Signals of a vowel, to be held against what was measured by hand: recording, noise, relevance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from relviz import networks
from relviz.attributions import Attribution, Method, find
from relviz.audio import SAMPLE_RATE
from relviz.backprop import Target
from relviz.signals import Normalise, forecast, network_rate, relevance_signal

__all__ = ["Relevance", "SignalFunction", "noise", "original", "standard_signals"]

SignalFunction = Callable[[NDArray[np.float32], int], NDArray]
"""From a token's wave and its steady state, a sample index, to a signal of the same length. Wave
and index are at the function's attribute `sample_rate`, where it has one, else at 16 kHz."""


def original(wave: NDArray[np.float32], centre: int) -> NDArray[np.float32]:
    """Return the recording itself: the ceiling of every other row.

    A ceiling for how well an analysis agrees with what was measured by hand, which for formants is
    not independent of it: the database's are peaks of LPC spectra, corrected in an editor.

    Parameters
    ----------
    wave : ndarray, (samples,)
        A token at 16 kHz.
    centre : int
        Sample index of its steady state, which does not matter here.

    Returns
    -------
    ndarray, (samples,)
        The same.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> original(np.ones(3, dtype=np.float32), 1)
    array([1., 1., 1.], dtype=float32)
    """
    return wave


def noise(wave: NDArray[np.float32], centre: int) -> NDArray[np.float64]:
    """Return white noise, the same for a token each time: what chance gives.

    Parameters
    ----------
    wave : ndarray, (samples,)
        A token at 16 kHz; its length counts.
    centre : int
        Sample index of its steady state.

    Returns
    -------
    ndarray, (samples,)
        Of unit variance.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> noise(np.ones(3, dtype=np.float32), 1).shape
    (3,)
    """
    return np.random.default_rng([len(wave), centre]).standard_normal(len(wave))


@dataclass(frozen=True)
class Relevance:
    """A network's relevance signal as a `SignalFunction`.

    Parameters
    ----------
    net : callable
        Any network.
    method : str or callable
        As in `relviz.relevance_signal`.
    hop_length : int, optional
        Samples between windows whose centres lie within +-reach seconds of the steady state; None
        takes the one window that is centred there. (The paper does not say how many it took; from
        one window our networks do not come near its table.)
    reach : float
        Seconds.
    target : None, int, str, tuple or callable
        As in `relviz.relevance`; None, the winning one of every window.
    window, normalise
        As in `relviz.relevance_signal`.

    Notes
    -----
    A token that is shorter than the network's window stands between zeros. Explained in chapters 4
    and 8 of the book.

    Examples
    --------
    >>> net = networks.build(networks.PHONE_CNN, 40)
    >>> wave = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    >>> Relevance(net, hop_length=None)(wave, 4000).shape
    (8000,)
    """

    net: Callable[[Tensor], Any] = field(repr=False)
    method: Method | Attribution = "guided"
    hop_length: int | None = 97
    reach: float = 0.12
    target: Target = None
    window: int | None = None
    normalise: Normalise | None = None

    @property
    def sample_rate(self) -> int:
        """At which the network hears, in Hz."""
        return network_rate(self.net) or SAMPLE_RATE

    def lasts(self, tokens: int) -> float:
        """Return how many seconds so many tokens will take, as `relviz.signals.forecast` finds."""
        span = round(2 * self.reach * self.sample_rate)
        windows = tokens * (1 if self.hop_length is None else 1 + span // self.hop_length)
        return forecast(self.net, windows, self.target, self.method, window=self.window)

    def __call__(self, wave: NDArray[np.float32], centre: int) -> NDArray[np.float64]:
        hop_length, centres = 97, (centre, centre)
        if self.hop_length is not None:
            hop_length, reach = self.hop_length, round(self.reach * self.sample_rate)
            # A multiple of the hop below the centre, so that one window is centred on it.
            first = centre - min(reach, centre) // hop_length * hop_length
            centres = (first, min(centre + reach, len(wave) - 1))
        return relevance_signal(
            self.net,
            wave,
            hop_length,
            target=self.target,
            method=self.method,
            window=self.window,
            centres=centres,
            normalise=self.normalise,
            progress=False,
        )


def standard_signals(
    trained: Mapping[str, Sequence[Callable[[Tensor], Any]]] | None = None,
    seeds: int = 4,
    architecture: networks.Architecture = networks.PHONE_CNN,
    classes: int = 40,
    methods: Sequence[Method] = ("guided", "gradient"),
) -> dict[str, Sequence[SignalFunction]]:
    """Return the rows that belong beside each other: original, noise, networks, their controls.

    Each network gives two rows a method: from one window, and averaged with hop 97.

    Parameters
    ----------
    trained : dict of str to sequence of callable, optional
        Name -> networks (replicates, such as training seeds).
    seeds : int
        How many untrained networks stand beside them; 0 where `trained` brings controls of its own,
        such as `relviz.controls.untrained` makes.
    architecture : Architecture
        Of the untrained networks.
    classes : int
        Of the untrained networks.
    methods : sequence of str
        As in `relviz.relevance`.

    Returns
    -------
    dict of str to sequence of SignalFunction
        Name of a row -> its replicates, as `relviz.studies.vowels.table2` takes them.

    Raises
    ------
    ParameterError
        For a method that there is not.

    Notes
    -----
    Explained in chapter 8 of the book.

    Examples
    --------
    >>> list(standard_signals(seeds=1))[:3]
    ['original recording', 'white noise', 'untrained, GBP, hop 97']
    """
    nets = dict(trained or {})
    if seeds:
        nets["untrained"] = [networks.build(architecture, classes, seed) for seed in range(seeds)]
    rows: dict[str, Sequence[SignalFunction]] = {
        "original recording": [original],
        "white noise": [noise],
    }
    for method in methods:
        find(method)  # refuses an unknown one before the work
        label = "GBP" if method == "guided" else method
        for hop, shifts in ((97, "hop 97"), (None, "one window")):
            for name, replicates in nets.items():
                rows[f"{name}, {label}, {shifts}"] = [
                    Relevance(net, method, hop) for net in replicates
                ]
    return rows
