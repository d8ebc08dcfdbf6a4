"""What a network hears in one recording: relevance, its analysis, the decision, and controls."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz import acoustics, audio
from relviz._errors import MissingExtraError, ParameterError
from relviz._text import printable
from relviz.asking import Asked, asked
from relviz.attributions import Attribution, Method
from relviz.explanation._names import GRADIENT, PERMUTED, RELEVANCE, UNTRAINED
from relviz.signals import Normalise, batches, forecast, log_posteriors, relevance_signal
from relviz.spectral import SpectralMap, spectral_relevance

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LONGEST", "STEP", "Explanation", "explain"]

LONGEST = 60.0
"""Seconds that one report holds."""

STEP = 0.01
"""Seconds from frame to frame of every analysis."""

_ASKED = 6
"""Places in a recording at which cues are changed."""

_CHANGED = 20
"""How many changes there are, about."""


@dataclass(frozen=True)
class Explanation:
    """What a network hears in a recording. Plain arrays and tables; `html` makes a page of them.

    Parameters
    ----------
    name : str
        Of the recording.
    about : Asked
        The network.
    method : str
        By which relevance was computed.
    hop_length : int
        Samples between its windows.
    wave : ndarray, (samples,), float32
        At the network's rate.
    signals : mapping of str to ndarray, (samples,), float64
        "relevance", the relevance signal; "plain gradient", the same network's gradient; and
        "untrained network", the method on a copy with random weights, or, where these cannot be
        drawn, "permuted network", on one whose weights have changed places.
    times : ndarray, (frames,)
        Seconds, every 10 ms.
    posteriors : ndarray, (frames, classes)
        Of the window around each time.
    frames : DataFrame
        A row a time: ``time``; ``class``, ``posterior`` and ``confidence`` (1 less the entropy of
        the posteriors in units of its largest); and for the recording and each signal ``f0 ...``,
        ``f1 ...`` to ``f3 ...`` in Hz, NaN where there is none.
    agreement : DataFrame
        A row a signal: ``f0``, the share of voiced frames in which its F0 is within a semitone of
        the recording's, and ``f1`` to ``f3``, the shares within 15 %.
    effects : DataFrame
        What one changed cue does to this decision, in the mean over its sizes: ``network``,
        ``cue``, ``nats``, ``changed`` and ``noise nats``, as of `relviz.studies.cues.effects`;
        empty where too few frames are voiced. Bands that the network does not hear are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from relviz.corpora import vowel
    >>> found = explain(vowel(120, (500, 1500, 2500)), "phones", sample_rate=16000, effects=False)
    >>> found.posteriors.shape[1], sorted(found.signals)
    (40, ['plain gradient', 'relevance', 'untrained network'])
    """

    name: str
    about: Asked
    method: str
    hop_length: int
    wave: NDArray[np.float32] = field(repr=False)
    signals: Mapping[str, NDArray[np.float64]] = field(repr=False)
    times: NDArray[np.float64] = field(repr=False)
    posteriors: NDArray[np.float64] = field(repr=False)
    frames: pd.DataFrame = field(repr=False)
    agreement: pd.DataFrame = field(repr=False)
    effects: pd.DataFrame = field(repr=False)

    @property
    def sample_rate(self) -> int:
        """At which the recording is here, and the network hears, in Hz."""
        return self.about.sample_rate

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.wave) / self.sample_rate

    @property
    def checksum(self) -> str:
        """SHA-256 of the samples, as they are here."""
        return hashlib.sha256(self.wave.astype("<f4").tobytes()).hexdigest()

    def named(self, number: int) -> str:
        """Return what a class is called."""
        return self.about.classes[number] if self.about.classes else str(number)

    def spectral(self, signal: str = RELEVANCE) -> SpectralMap:
        """Return the spectral relevance map of one of the signals."""
        return spectral_relevance(self.signals[signal], self.sample_rate)

    def decisions(self) -> pd.DataFrame:
        """Return the stretches in which one class wins, with their means."""
        import pandas as pd

        run = (self.frames["class"] != self.frames["class"].shift()).cumsum()
        half = STEP / 2
        rows = [
            {
                "start": part["time"].iloc[0] - half,
                "end": part["time"].iloc[-1] + half,
                "class": part["class"].iloc[0],
                "posterior": part["posterior"].mean(),
                "confidence": part["confidence"].mean(),
            }
            for _, part in self.frames.groupby(run)
        ]
        return pd.DataFrame(rows)

    def html(self) -> str:
        """Return a page that holds everything and asks nobody for anything."""
        from relviz.explanation._report import page

        return page(self)

    def _repr_html_(self) -> str | None:
        try:
            from relviz.explanation._report import framed
        except MissingExtraError:  # a notebook shows what `print` does
            return None
        return framed(self)


def explain(
    recording: str | Path | ArrayLike,
    net: str | Path | Callable[..., Any] | Asked = "phones",
    *,
    sample_rate: float | None = None,
    method: Method | Attribution = "guided",
    hop_length: int = 97,
    window: int | None = None,
    normalise: Normalise | None = None,
    network_rate: int | None = None,
    name: str | None = None,
    start: float = 0.0,
    seconds: float | None = None,
    effects: bool = True,
    pad: bool = False,
    progress: bool | None = False,
) -> Explanation:
    """Explain what a network hears in a recording, beside the controls that could refute it.

    Parameters
    ----------
    recording : str, Path or array_like, (samples,)
        A file of any format that `relviz.audio.read` reads, or samples.
    net : str, Path, callable or Asked
        As in `asked`.
    sample_rate : float, optional
        Of samples, in Hz; default, the network's. They are resampled where it differs.
    method : str or callable
        As in `relviz.relevance`.
    hop_length : int
        As in `relviz.relevance_signal`.
    window, normalise, network_rate
        Of the network, where it does not say them itself; as in `asked`.
    name : str, optional
        Of the recording; default, the file's.
    start, seconds : float
        The stretch of it, at most `LONGEST`; default, all.
    effects : bool
        Also change one cue at a time and ask how far the decision moves.
    pad : bool
        Take a recording that is shorter than the network's window, too: it stands between zeros.
    progress : bool, optional
        As in `relviz.relevance_signal`.

    Returns
    -------
    Explanation
        Arrays, tables, and the page.

    Raises
    ------
    ParameterError
        For a network that cannot be asked, and for a recording that is longer than a report holds.
    AudioError
        For a recording that cannot be read, or is shorter than the network's window without `pad`.

    References
    ----------
    Muckenhirn et al. (2019), sections 3 and 4; the controls are ours.

    Examples
    --------
    >>> from relviz.corpora import vowel
    >>> found = explain(vowel(120, (500, 1500, 2500)), "phones", sample_rate=16000, effects=False)
    >>> found.about.name, round(found.seconds, 1)
    ('phones', 0.4)
    """
    about = (
        net
        if isinstance(net, Asked)
        else asked(net, sample_rate=network_rate, window=window, normalise=normalise)
    )
    wave, called = _samples(recording, about.sample_rate, sample_rate, name)
    wave = _stretch(wave, about, called, start, seconds, pad)
    given = dict(window=about.window, normalise=about.normalise, hop_length=hop_length)
    signals = {RELEVANCE: _signal(about.net, wave, method, progress, **given)}
    if method != "gradient":
        signals[GRADIENT] = _signal(about.net, wave, "gradient", progress, **given)
    control = about.control()
    controls: dict[str, Asked] = {}
    if control is not None:
        controls[UNTRAINED if control[0] == "untrained" else PERMUTED] = control[1]
    for each, copied in controls.items():
        signals[each] = _signal(copied.net, wave, method, progress, **given)
    times, posteriors = posteriors_of(about, wave)
    frames = frames_of(about, wave, signals, times, posteriors)
    return Explanation(
        called,
        about,
        method if isinstance(method, str) else getattr(method, "__name__", "method"),
        hop_length,
        wave,
        signals,
        times,
        posteriors,
        frames,
        agreement_of(frames, signals),
        effects_of(about, controls, wave, called, frames, effects),
    )


def _samples(
    recording: Any, rate: int, sample_rate: float | None, name: str | None
) -> tuple[NDArray[np.float32], str]:
    if isinstance(recording, (str, Path)):
        return audio.read(recording, rate), name or Path(recording).name
    wave = audio.check(recording, "the recording")
    return audio.resample(wave, sample_rate or rate, rate), name or "recording"


def _stretch(
    wave: NDArray[np.float32],
    about: Asked,
    name: str,
    start: float,
    seconds: float | None,
    pad: bool,
) -> NDArray[np.float32]:
    rate, lasts, name = about.sample_rate, len(wave) / about.sample_rate, printable(name)
    if not 0 <= start < lasts:
        raise ParameterError(
            f"{name} lasts {lasts:.1f} s: a stretch of it cannot start at {start:g} s."
        )
    wave = wave[round(start * rate) :]
    if seconds is not None:
        wave = wave[: max(round(seconds * rate), 1)]
    if len(wave) > LONGEST * rate:
        raise ParameterError(
            f"{name} lasts {len(wave) / rate:.0f} s, and a report holds {LONGEST:.0f}: choose a "
            "stretch by start and seconds (--start, --seconds), or explain its folder."
        )
    return long_enough(audio.check(wave, name), about, name, pad)


def long_enough(
    wave: NDArray[np.float32], about: Asked, name: str, pad: bool
) -> NDArray[np.float32]:
    """Return a recording, or refuse one that is shorter than a window and not to be padded."""
    if len(wave) < about.window and not pad:
        raise audio.AudioError(
            f"{name} has {len(wave)} samples, fewer than the {about.window} that {about.name} "
            "hears: use a longer recording, or pad=True (--pad), which puts zeros around it."
        )
    return wave


def forecast_of(
    about: Asked,
    seconds: float,
    method: Method | Attribution,
    hop_length: int,
    effects: bool,
    controls: bool = True,
) -> float:
    """Return how long the network will take for a recording, by trying it on a few windows."""

    def lasts(windows: float, how: Any) -> float:
        return forecast(about.net, max(1, round(windows)), method=how, window=about.window)

    copies = 2 if controls and about.control() is not None else 1
    found = copies * lasts(seconds * about.sample_rate / hop_length, method)
    if controls and method != "gradient":
        found += lasts(seconds * about.sample_rate / hop_length, "gradient")
    asked_again = copies * _ASKED * 2 * _CHANGED if effects else 0  # each change, and its noise
    return found + lasts(seconds / STEP + asked_again, None)


def _signal(net: Any, wave: NDArray, method: Any, progress: bool | None, **given: Any) -> NDArray:
    centres = (0, len(wave) - 1)  # all of it, be it shorter than a window
    return relevance_signal(net, wave, method=method, centres=centres, progress=progress, **given)


def posteriors_of(about: Asked, wave: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return posteriors of windows centred every 10 ms."""
    step = round(STEP * about.sample_rate)
    centres = np.arange(step // 2, len(wave), step)
    rows = []
    for _, windows in batches(
        about.net,
        wave,
        centres - about.window // 2,
        window=about.window,
        normalise=about.normalise,
    ):
        rows.append(np.exp(log_posteriors(about.net, windows)))
    return centres / about.sample_rate, np.concatenate(rows)


def frames_of(
    about: Asked,
    wave: NDArray,
    signals: Mapping[str, NDArray],
    times: NDArray,
    posteriors: NDArray,
) -> pd.DataFrame:
    """Return a row a time: the decision, and F0 and formants of the recording and the signals."""
    import pandas as pd

    top = posteriors.argmax(axis=1)
    entropy = -(posteriors * np.log(np.maximum(posteriors, 1e-300))).sum(axis=1)
    columns: dict[str, Any] = {
        "time": times,
        "class": [about.classes[n] if about.classes else str(n) for n in top],
        "posterior": posteriors.max(axis=1),
        "confidence": 1 - entropy / np.log(max(posteriors.shape[1], 2)),
    }
    for name, signal in {"recording": wave, **signals}.items():
        columns[f"f0 {name}"] = _f0(signal, about.sample_rate, times)
        for number, formant in enumerate(_formants(signal, about.sample_rate, times).T, start=1):
            columns[f"f{number} {name}"] = formant
    return pd.DataFrame(columns)


def _f0(signal: NDArray, rate: int, times: NDArray) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", acoustics.F0Warning)  # a relevance signal need be no voice
        at, f0 = acoustics.f0_contour(signal, rate)
    if not len(at):
        return np.full(len(times), np.nan)
    nearest = np.clip(np.searchsorted(at, times - STEP / 2), 0, len(at) - 1)
    return np.where(np.abs(at[nearest] - times) <= STEP, f0[nearest], np.nan)


_TOGETHER = 1000
"""Frames whose formants are looked for at a time: those of an hour would be gigabytes."""


def _formants(signal: NDArray, rate: int, times: NDArray) -> NDArray[np.float64]:
    """Formants of 25 ms around each time; none where there is nothing to analyse."""
    length = round(0.025 * rate)
    wave, taper = np.asarray(signal, dtype=np.float64), np.hamming(length)
    starts = np.round(times * rate).astype(int) - length // 2
    found = np.empty((len(times), 3))
    for i in range(0, len(times), _TOGETHER):
        windows = audio.frame(wave, length, starts[i : i + _TOGETHER]) * taper
        found[i : i + _TOGETHER] = acoustics.frame_formants(windows, rate, count=3)
    return found


def agreement_of(frames: pd.DataFrame, signals: Iterable[str]) -> pd.DataFrame:
    """Return, of each signal, the share of voiced frames with the recording's F0 and formants."""
    import pandas as pd

    voiced = frames["f0 recording"].notna()
    rows = []
    for name in signals:
        row: dict[str, Any] = {"signal": name}
        for cue, within in (("f0", 2 ** (1 / 12)), ("f1", 1.15), ("f2", 1.15), ("f3", 1.15)):
            ratio = frames[f"{cue} {name}"] / frames[f"{cue} recording"]
            near = (ratio <= within) & (ratio >= 1 / within)  # False where either is missing
            row[cue] = near[voiced].mean() if voiced.any() else np.nan
        rows.append(row)
    return pd.DataFrame(rows).set_index("signal")


def effects_of(
    about: Asked,
    controls: Mapping[str, Asked],
    wave: NDArray,
    name: str,
    frames: pd.DataFrame,
    wanted: bool,
) -> pd.DataFrame:
    """Return what one changed cue does to the decision; empty where that cannot be asked."""
    import pandas as pd

    from relviz.studies import cues

    voiced = frames.loc[frames["f0 recording"].notna(), "time"].to_numpy()
    if not wanted or len(voiced) < _ASKED:
        return pd.DataFrame()
    places = voiced[np.linspace(0, len(voiced) - 1, _ASKED + 2).round().astype(int)[1:-1]]
    rate = about.sample_rate
    recording = cues.Recording(
        name, name, wave.astype(np.float64), tuple(map(float, places)), sample_rate=rate
    )
    sizes = {"F0": (-4, 4), "F1": (-15, 15), "F2": (-15, 15), "F3": (-15, 15), "tilt": (-3, 3)}
    # bands that the network hears
    noises = {f"noise, {low:g} to {high:g} Hz" for low, high in cues.BANDS if 2 * high < rate}
    changes = [
        each for each in cues.CHANGES if each.cue in noises or each.size in sizes.get(each.cue, ())
    ]
    networks = {about.name: about.network}
    networks |= {each: copied.network for each, copied in controls.items()}
    found = cues.effects(networks, [recording], [*changes, *cues.CONTROLS], jobs=1)
    order = list(dict.fromkeys(found["cue"]))
    means = found.groupby(["network", "cue"], sort=False)[["nats", "changed", "noise nats"]].mean()
    return means.reset_index().sort_values(
        ["network", "cue"], key=lambda c: c.map(order.index) if c.name == "cue" else c != about.name
    )
