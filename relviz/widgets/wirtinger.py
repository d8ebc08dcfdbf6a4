"""The Wirtinger explorer: two readings of the relevance of a short-time spectrum, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike, NDArray

from relviz import spectral
from relviz._errors import ParameterError
from relviz.widgets.frame import Explorer, script, style

__all__ = [
    "LENGTHS",
    "LONGEST",
    "SAMPLES",
    "WINDOWS",
    "WirtingerExplorer",
    "autograd",
]

SAMPLES = 256
"""Samples of a signal to choose."""

LONGEST = 512
"""Samples of a signal that is given."""

WINDOWS = ("hann", "hamming", "boxcar")
"""Windows to choose."""

LENGTHS = (16, 32, 64, 128)
"""Their lengths in samples."""


class WirtingerExplorer(Explorer):
    """A gradient signal, a window and a hop, and what both forms of `stft_relevance` make of it.

    Traits, which follow the page and lead it: `kind`, a signal's name; `window`, as
    `scipy.signal.get_window` names it; `length` and `hop`, samples; `drawn`, (samples,).

    Parameters
    ----------
    signal : array_like, (samples,), optional
        Real, 16 to 512 samples, a piece of a gradient to begin with; it is scaled to a maximum of
        1, since factors do not depend on scale. Without it, the reader chooses among signals of 256
        samples, or draws one.

    Raises
    ------
    ParameterError
        For a signal that is not real and finite, too short, too long or all zero.
    traitlets.TraitError
        For a choice that there is not.

    Notes
    -----
    Used in chapter 5 of the book.

    References
    ----------
    Muckenhirn et al. (2019), section 3.2; see `relviz.spectral`.
    """

    _esm = script("wirtinger.js")
    _css = style()

    signals = traitlets.Dict().tag(sync=True)
    kind = traitlets.Unicode().tag(sync=True)
    window = traitlets.Enum(WINDOWS, "hann").tag(sync=True)
    length = traitlets.Enum(LENGTHS, 64).tag(sync=True)
    hop = traitlets.Int(16, min=4, max=max(LENGTHS)).tag(sync=True)
    drawn = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(self, signal: ArrayLike | None = None) -> None:
        given = None if signal is None else _piece(signal)
        signals = _choices(SAMPLES if given is None else len(given))
        if given is not None:
            signals = {"given": given, **signals}
        lists = {kind: np.round(values, 5).tolist() for kind, values in signals.items()}
        first = next(iter(lists))
        self._samples = len(lists[first])
        super().__init__(signals=lists, kind=first, drawn=[0.0] * self._samples)

    @traitlets.validate("kind")
    def _check_kind(self, proposal: Any) -> str:
        names = [*self.signals, "drawn"]
        if proposal["value"] not in names:
            raise traitlets.TraitError(
                f"kind {proposal['value']!r} is unknown: use one of {', '.join(names)}."
            )
        return proposal["value"]

    @traitlets.validate("drawn")
    def _check_drawn(self, proposal: Any) -> list[float]:
        values = proposal["value"]
        if len(values) != self._samples or not np.isfinite(values).all():
            raise traitlets.TraitError(
                f"drawn must be {self._samples} finite numbers, one for each sample."
            )
        return values

    def answer(self, question: dict[str, Any], buffers: list[bytes]) -> tuple[dict, list[bytes]]:
        """Answer "check": how far the page's maps are from the library's and from autograd's.

        buffers: the signal (float64), the page's paper form and, where it is defined, its exact
        form (complex128, frames first). Each answer is the greatest difference of two complex
        values, relative to the greatest magnitude.
        """
        if question.get("ask") != "check":
            return super().answer(question, buffers)
        import scipy.signal

        window = scipy.signal.get_window(question["window"], question["length"])
        hop = question["hop"]
        f, paper, *exact = (np.frombuffer(b, t) for b, t in zip(buffers, _TYPES, strict=False))
        found = {"paper": _apart(paper, spectral.stft_relevance(f, window, hop))}
        if exact:
            library = spectral.stft_relevance(f, window, hop, form="exact")
            found["exact"] = _apart(exact[0], library)
            found["autograd"] = _apart(exact[0], autograd(f, window, hop))
        return found, []


_TYPES = ("<f8", "<c16", "<c16")


def autograd(f: NDArray, window: NDArray, hop: int) -> NDArray[np.complex128]:
    """Return the gradient that `torch.istft` passes back, given that of its samples.

    Parameters
    ----------
    f : ndarray, (samples,)
        Real.
    window : ndarray, (M,)
        M is even.
    hop : int
        In samples.

    Returns
    -------
    ndarray, (M // 2 + 1, frames)
        Complex.

    Raises
    ------
    RuntimeError
        Where the windows leave samples uncovered.

    Examples
    --------
    >>> autograd(np.ones(64), np.ones(16), 8).shape
    (9, 9)
    """
    import torch

    taper, length = torch.tensor(window), len(window)
    frames = 1 + len(f) // hop
    bins = torch.zeros(length // 2 + 1, frames, dtype=torch.complex128, requires_grad=True)
    samples = torch.istft(bins, length, hop, window=taper, length=len(f))
    (gradient,) = torch.autograd.grad(samples, bins, torch.tensor(f))
    return gradient.numpy()


def _apart(page: NDArray, library: NDArray) -> float:
    """Greatest difference of the page's values (frames first, flat), relative to the greatest."""
    shown = page.reshape(library.shape[::-1]).T
    return float(np.abs(shown - library).max() / (np.abs(library).max() or 1.0))


def _piece(signal: ArrayLike) -> NDArray[np.float64]:
    f = np.asarray(signal)
    if f.ndim != 1 or not 16 <= len(f) <= LONGEST:
        raise ParameterError(
            f"signal has shape {f.shape}: give one signal of 16 to {LONGEST} samples."
        )
    if np.iscomplexobj(f) or not np.isfinite(f).all():
        raise ParameterError(
            "signal holds NaN, infinite or complex values: repair the gradient first."
        )
    if not f.any():
        raise ParameterError("signal is zero everywhere: give a gradient that is not.")
    return f.astype(np.float64) / np.abs(f).max()


def _choices(n: int) -> dict[str, NDArray[np.float64]]:
    """The signals of n samples among which a reader chooses, each with a maximum of about 1."""
    t = np.arange(n)
    impulse = (t == 2 * n // 5).astype(float)
    noise = np.random.default_rng(0).standard_normal(n)
    return {
        "chirp": np.cos(np.pi * t**2 / (2 * n)),  # from 0 to half of the sample rate
        "noise": noise / np.abs(noise).max(),
        "impulse": impulse,
        "sinusoid": np.cos(2 * np.pi * 0.11 * t),
        "comb": np.mean([np.cos(2 * np.pi * k * t / 20) for k in range(1, 10)], axis=0),
    }
