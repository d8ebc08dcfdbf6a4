"""Vowels whose cues are drawn independently of each other: what a network uses of them is known.

In speech the cues go together: short vocal tracts come with high voices, and every vowel has its
formants. Here nothing tells F1 but F1, so a network that tells it from these vowels listens to it.
They are a sum of harmonics, shaped by five resonances and a slope, and a band of noise; a planted
tone may stand among them. The explorer *Turn one knob* makes the same sound in the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora.corpus import Source
from relviz.corpora.tokens import Measures, Vowel, VowelCorpus

__all__ = [
    "CUES",
    "FADE",
    "HIGHER",
    "LEVEL",
    "NOISE_BAND",
    "TOLERANCES",
    "TONE",
    "TONE_LEVEL",
    "Cue",
    "CuedVowel",
    "bandwidth",
    "corpus",
    "draw",
    "noise_filter",
    "synthesise",
    "uniform",
]


@dataclass(frozen=True)
class Cue:
    """What one cue may be.

    Parameters
    ----------
    low, high : float
        Its range, in the `unit`.
    unit : str
        "Hz", "dB", or "dB per octave".

    Examples
    --------
    >>> [round(edge) for edge in CUES["F1"].edges(3)]
    [280, 401, 573, 820]
    """

    low: float
    high: float
    unit: str

    def edges(self, bins: int) -> NDArray[np.float64]:
        """Return the edges of so many equal parts of the range: (bins + 1,).

        Equal in octaves for frequencies, in decibels for levels.
        """
        if self.unit == "Hz":
            return np.geomspace(self.low, self.high, bins + 1)
        return np.linspace(self.low, self.high, bins + 1)


CUES: Mapping[str, Cue] = {
    "F0": Cue(90.0, 280.0, "Hz"),
    "F1": Cue(280.0, 820.0, "Hz"),
    "F2": Cue(950.0, 1900.0, "Hz"),
    "F3": Cue(2150.0, 3500.0, "Hz"),
    "tilt": Cue(-6.0, 2.0, "dB per octave"),
    "noise": Cue(-40.0, -10.0, "dB"),
}
"""What is drawn; the noise is as loud as that beside the voice."""

HIGHER = (4200.0, 5200.0)
"""Hz: F4 and F5, which stay."""

NOISE_BAND = (4000.0, 6000.0)
"""Hz."""

TONE, TONE_LEVEL = 5000.0, -20.0
"""Hz, and dB beside the voice: what is planted for a network to cheat with."""

_EACH = 8
"""Vowels of a talker."""

LEVEL = 0.08
"""Root mean square of the voice, of full scale."""

FADE = 0.02
"""Seconds, of onset and offset."""

TOLERANCES = Measures(22.0, 45.0, 130.0, 150.0)
"""Hz, within which F0 and formants of a signal count as found: the spreads of American vowels."""


def bandwidth(formant: float) -> float:
    """Return the bandwidth of a formant.

    Parameters
    ----------
    formant : float
        Hz.

    Returns
    -------
    float
        Hz: 40 and 4 % of the formant.

    Examples
    --------
    >>> bandwidth(500.0)
    60.0
    """
    return 40.0 + 0.04 * formant


def uniform(count: int, seed: int) -> NDArray[np.float64]:
    """Return numbers that look drawn at random, the same in Python and in a page.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        Of the draw, 0 to 2**32 - 1.

    Returns
    -------
    ndarray, (count,)
        From 0 to 1.

    References
    ----------
    Mulberry32, a generator of 32 bits by Tommy Ettinger, in the public domain.

    Examples
    --------
    >>> uniform(2, seed=1).round(6).tolist()
    [0.627074, 0.002736]
    """
    with np.errstate(over="ignore"):
        state = np.uint32(seed) + np.uint32(0x6D2B79F5) * np.arange(1, count + 1, dtype=np.uint32)
        mixed = (state ^ (state >> np.uint32(15))) * (state | np.uint32(1))
        mixed ^= mixed + (mixed ^ (mixed >> np.uint32(7))) * (mixed | np.uint32(61))
    return (mixed ^ (mixed >> np.uint32(14))) / 2.0**32


def noise_filter() -> NDArray[np.float64]:
    """Return the filter that keeps `NOISE_BAND` of white noise.

    Returns
    -------
    ndarray, (sections, 6)
        Second-order sections of a Butterworth filter, as `scipy.signal.sosfilt` takes them.

    Examples
    --------
    >>> noise_filter().shape
    (4, 6)
    """
    return _noise_filter().copy()


@cache
def _noise_filter() -> NDArray[np.float64]:
    """Found once: to design it takes as long as to synthesise a vowel."""
    return signal.butter(4, NOISE_BAND, "bandpass", fs=SAMPLE_RATE, output="sos")


def synthesise(
    f0: float,
    formants: tuple[float, ...] = (500.0, 1500.0, 2500.0, 4200.0, 5200.0),
    tilt: float = -6.0,
    noise: float = -math.inf,
    tone: float = -math.inf,
    duration: float = 0.35,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Synthesise a vowel from its cues.

    Parameters
    ----------
    f0 : float
        Hz, of a voice whose harmonics reach up to 7900 Hz.
    formants : tuple of float
        Hz, of the resonances, with the bandwidths that `bandwidth` gives.
    tilt : float
        dB per octave, of the voice before the resonances.
    noise : float
        dB, of a band of noise from 4 to 6 kHz, beside the voice.
    tone : float
        dB, of a tone at 5 kHz, beside the voice.
    duration : float
        Seconds, with an onset and an offset of 20 ms.
    seed : int
        Of the noise, and of where in a period the voice begins.

    Returns
    -------
    ndarray, (samples,)
        At 16 kHz; the same arguments give the same samples.

    Raises
    ------
    ParameterError
        For an F0 or a duration that cannot be.

    Notes
    -----
    Explained in chapter 12 of the book.

    Examples
    --------
    >>> synthesise(120.0, duration=0.25).shape
    (4000,)
    """
    if not 20 <= f0 <= 1000:
        raise ParameterError(f"f0 is {f0} Hz: give a voice between 20 and 1000 Hz.")
    if not 0.1 <= duration <= 60:
        raise ParameterError(f"duration is {duration} s: give 0.1 to 60 seconds.")
    samples = round(duration * SAMPLE_RATE)
    times = np.arange(samples) / SAMPLE_RATE
    start = float(uniform(1, seed)[0])  # of a period
    turn = np.exp(2j * np.pi * (f0 * times + start))
    weights = _harmonics(f0, formants, tilt)
    voice, power = np.zeros(samples), turn.copy()
    for weight in weights:  # the next power of the turn is the next harmonic
        voice += weight.real * power.real - weight.imag * power.imag
        power *= turn
    wave = voice / _rms(voice)
    if noise > -math.inf:
        hiss = signal.sosfilt(_noise_filter(), 2 * uniform(samples, seed + 1) - 1)
        wave += 10 ** (noise / 20) * hiss / _rms(hiss)
    if tone > -math.inf:
        wave += 10 ** (tone / 20) * np.sqrt(2) * np.cos(2 * np.pi * TONE * times)
    ramp = np.minimum(1.0, np.minimum(times, times[::-1]) / FADE)
    return LEVEL * wave * (0.5 - 0.5 * np.cos(np.pi * ramp))


def _harmonics(f0: float, formants: tuple[float, ...], tilt: float) -> NDArray[np.complex128]:
    """Amplitudes and phases of the harmonics: the slope, and digital resonances in a row."""
    frequencies = f0 * np.arange(1, int(7900 // f0) + 1)
    delay = np.exp(-2j * np.pi * frequencies / SAMPLE_RATE)
    found: NDArray[Any] = 10 ** (tilt * np.log2(frequencies / 100) / 20) + 0j
    for formant in formants:
        radius = math.exp(-math.pi * bandwidth(formant) / SAMPLE_RATE)
        middle = 2 * radius * math.cos(2 * math.pi * formant / SAMPLE_RATE)
        found *= np.divide(1 - middle + radius**2, 1 - middle * delay + radius**2 * delay**2)
    return found


def _rms(wave: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(wave**2)))


@dataclass(frozen=True)
class CuedVowel(Vowel):
    """A vowel whose cues say how it is made.

    Parameters
    ----------
    name, talker, sex, vowel, f0, f1, f2, f3, start, end, steady, path
        As in `relviz.corpora.tokens.Vowel`; the steady state is the middle.
    tilt, noise, tone : float
        As in `synthesise`.
    seed : int
        As in `synthesise`.

    Examples
    --------
    >>> vowel = draw(1, seed=0)[0]
    >>> vowel.with_cue("F1", 400.0).f1, len(vowel.wave())
    (400.0, 8000)
    """

    tilt: float = -6.0
    noise: float = -math.inf
    tone: float = -math.inf
    seed: int = 0

    def wave(self) -> NDArray[np.float32]:
        """Return the vowel's waveform, float32, (samples,), at 16 kHz; made when asked for."""
        return synthesise(
            self.f0,
            (self.f1, self.f2, self.f3, *HIGHER),
            self.tilt,
            self.noise,
            self.tone,
            self.end - self.start,
            self.seed,
        ).astype(np.float32)

    def cue(self, name: str) -> float:
        """Return one of `CUES`, in its unit."""
        return float(getattr(self, name.lower()))

    def with_cue(self, name: str, value: float) -> CuedVowel:
        """Return the vowel with another value of one of `CUES`, or tone; all else as it was."""
        changed: dict[str, Any] = {name.lower(): value}
        return replace(self, **changed)


def draw(count: int, seed: int, duration: float = 0.5) -> tuple[CuedVowel, ...]:
    """Draw vowels, every cue by itself from its range.

    Parameters
    ----------
    count : int
        How many.
    seed : int
        Of the draw.
    duration : float
        Seconds.

    Returns
    -------
    tuple of CuedVowel
        Without a tone; eight in a row count as one talker's.

    Examples
    --------
    >>> [vowel.name for vowel in draw(2, seed=0)]
    ['0-000000', '0-000001']
    """
    rng = np.random.default_rng([seed, 13])
    shares = rng.uniform(size=(count, len(CUES)))
    seeds = rng.integers(2**31, size=count)
    found = []
    for i, (row, own) in enumerate(zip(shares, seeds, strict=True)):
        f0, f1, f2, f3, slope, hiss = map(_at, CUES.values(), row)
        talker, vowel = divmod(i, _EACH)
        found.append(
            CuedVowel(
                *(f"{seed}-{i:06d}", f"{talker:04d}", "M", f"{vowel}", f0, f1, f2, f3),
                *(0.0, duration, duration / 2),
                tilt=slope,
                noise=hiss,
                seed=int(own),
            )
        )
    return tuple(found)


def corpus(vowels: Sequence[CuedVowel]) -> VowelCorpus:
    """Return vowels as `relviz.studies.vowels.table2` takes them.

    Parameters
    ----------
    vowels : sequence of CuedVowel
        Such as `draw` gives.

    Returns
    -------
    VowelCorpus
        Its deviations are `TOLERANCES`.

    Examples
    --------
    >>> corpus(draw(8, seed=0)).deviations["0", "M"].f1
    45.0
    """
    spreads = {(vowel.vowel, vowel.sex): TOLERANCES for vowel in vowels}
    return VowelCorpus(tuple(vowels), Source("synthetic"), spreads)


def _at(cue: Cue, share: float) -> float:
    if cue.unit == "Hz":
        return cue.low * (cue.high / cue.low) ** share
    return cue.low + (cue.high - cue.low) * share
