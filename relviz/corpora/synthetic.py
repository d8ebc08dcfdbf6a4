"""Speech with known answers, from the synthesisers inside Praat (through parselmouth).

It stands in for recordings where there are none: `vowel_corpus` and `spoken`. Vowels come from a
Klatt synthesiser, with exactly known F0 and formants; sentences from espeak-ng, with aligned
phones. D. Weenink, "The KlattGrid speech synthesizer", Interspeech 2009,
doi:10.21437/Interspeech.2009-591.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relviz._errors import ParameterError
from relviz._extras import require
from relviz.audio import SAMPLE_RATE
from relviz.corpora.speech import Span, Utterance
from relviz.corpora.tokens import Vowel

__all__ = [
    "CMU",
    "DEVIATIONS",
    "MEANS",
    "PEAK",
    "SENTENCES",
    "Sentence",
    "SyntheticVowel",
    "sentence",
    "sentences",
    "spoken",
    "token",
    "voices",
    "vowel",
    "vowel_corpus",
]

PEAK = 0.5
"""The largest absolute sample of everything that is synthesised here."""

MEANS = {
    "M": {
        "ae": (126, 591, 1930, 2595),
        "ah": (127, 756, 1309, 2535),
        "aw": (125, 656, 1023, 2521),
        "eh": (127, 588, 1803, 2604),
        "ei": (129, 476, 2090, 2692),
        "er": (131, 475, 1379, 1711),
        "ih": (136, 429, 2034, 2687),
        "iy": (139, 343, 2323, 3001),
        "oa": (130, 498, 910, 2459),
        "oo": (133, 469, 1123, 2435),
        "uh": (129, 621, 1181, 2548),
        "uw": (144, 380, 992, 2355),
    },
    "F": {
        "ae": (214, 676, 2335, 2973),
        "ah": (212, 921, 1526, 2832),
        "aw": (214, 804, 1188, 2824),
        "eh": (213, 727, 2063, 2953),
        "ei": (220, 535, 2526, 3050),
        "er": (218, 524, 1588, 1930),
        "ih": (225, 484, 2369, 3057),
        "iy": (227, 437, 2761, 3373),
        "oa": (218, 555, 1036, 2828),
        "oo": (230, 519, 1229, 2829),
        "uh": (218, 760, 1416, 2901),
        "uw": (236, 460, 1106, 2735),
    },
}
"""Mean F0, F1, F2, F3 in Hz by sex and vowel: Hillenbrand et al. 1995, Table V; vowdata.dat."""

DEVIATIONS = {
    "M": {
        "ae": (20, 42, 133, 137),
        "ah": (20, 62, 111, 149),
        "aw": (21, 34, 66, 179),
        "eh": (20, 41, 117, 139),
        "ei": (21, 41, 140, 155),
        "er": (20, 29, 78, 108),
        "ih": (22, 31, 122, 129),
        "iy": (26, 28, 136, 201),
        "oa": (20, 43, 98, 144),
        "oo": (21, 28, 97, 127),
        "uh": (20, 30, 87, 142),
        "uw": (27, 33, 113, 133),
    },
    "F": {
        "ae": (21, 69, 159, 200),
        "ah": (22, 97, 125, 177),
        "aw": (20, 75, 129, 212),
        "eh": (19, 74, 143, 189),
        "ei": (23, 63, 154, 181),
        "er": (25, 45, 126, 131),
        "ih": (21, 34, 149, 190),
        "iy": (24, 41, 147, 237),
        "oa": (22, 81, 123, 187),
        "oo": (22, 41, 145, 183),
        "uh": (22, 58, 115, 173),
        "uw": (25, 39, 205, 140),
    },
}
"""Standard deviations beside `MEANS`, over 45 men and 48 women, computed from vowdata.dat."""

CMU = {
    label: tuple(phones.split())
    for label, phones in {
        "": "SIL",
        "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "ɾ": "T", "ʔ": "T",
        "tʃ": "CH", "dʒ": "JH", "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z",
        "ʃ": "SH", "ʒ": "ZH", "h": "HH", "x": "K", "m": "M", "n": "N", "ŋ": "NG", "l": "L",
        "ɹ": "R", "w": "W", "j": "Y", "n̩": "AH N", "əl": "AH L",
        "i": "IY", "iː": "IY", "ɪ": "IH", "ᵻ": "IH", "ɛ": "EH", "æ": "AE", "a": "AE",
        "ɑː": "AA", "ɒ": "AA", "ɔ": "AO", "ɔː": "AO", "oː": "AO", "ʌ": "AH", "ə": "AH", "ɐ": "AH",
        "ʊ": "UH", "uː": "UW", "ɜː": "ER", "ɚ": "ER", "ɑ̃": "AA N",
        "eɪ": "EY", "aɪ": "AY", "ɔɪ": "OY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW",
        "ɪɹ": "IH R", "ɛɹ": "EH R", "ɑːɹ": "AA R", "ɔːɹ": "AO R", "oːɹ": "AO R", "ʊɹ": "UH R",
        "aɪɚ": "AY ER", "aɪə": "AY AH", "iə": "IY AH", "eə": "EH AH", "ʊə": "UH AH",
    }.items()
}  # fmt: skip
"""espeak-ng's labels for English to CMU phones; where one label is two phones, each gets half."""

SENTENCES = (
    "We saw the young fox rush through a hedge of thorns.",
    "Both boys enjoy fresh cheese with their morning toast.",
    "How could she measure the huge blue garage without a tape?",
    "Pack your warm gloves, a thick coat, and five good books.",
    "The quiet judge hung his brown jacket by the door.",
    "Now and then a loud bird sings above our yellow house.",
)
"""Original sentences that hold every one of `relviz.corpora.PHONES` together."""

_VOICES = {f"Female{number}": "F" for number in range(1, 6)} | {
    f"Male{number}": "M" for number in range(1, 8)
}


@dataclass(frozen=True, eq=False)
class Sentence:
    """A spoken sentence, and what is said when.

    Parameters
    ----------
    wave : ndarray of float32, (samples,)
        The sound, at 16 kHz.
    phones : tuple of (float, float, str)
        Start and end in seconds and one of `relviz.corpora.PHONES`, without gaps from 0 to the end
        of the wave.
    words : tuple of (float, float, str)
        Start and end in seconds and the word, in lower case without punctuation.
    text, voice : str
        What was asked for.

    Examples
    --------
    >>> [word for _, _, word in sentence("Hello, world.").words]
    ['hello', 'world']
    """

    wave: NDArray[np.float32]
    phones: tuple[tuple[float, float, str], ...]
    words: tuple[tuple[float, float, str], ...]
    text: str
    voice: str


def vowel(
    f0: float,
    formants: Sequence[float],
    bandwidths: Sequence[float] | None = None,
    duration: float = 0.4,
    sample_rate: int = SAMPLE_RATE,
) -> NDArray[np.float32]:
    """Synthesise a vowel with constant, exactly known F0 and formants.

    Parameters
    ----------
    f0 : float
        Hz.
    formants : sequence of float
        Hz, rising.
    bandwidths : sequence of float, optional
        Hz, of each formant; default 40 Hz + 4 % of the formant.
    duration : float
        Seconds, with a 20 ms onset and a 50 ms offset.
    sample_rate : int
        Hz.

    Returns
    -------
    ndarray of float32, (samples,)
        With peak `PEAK`; the same arguments give the same samples.

    Raises
    ------
    ParameterError
        For what cannot be synthesised.

    Notes
    -----
    Used from chapter 2 of the book on.

    References
    ----------
    Weenink (2009), 10.21437/Interspeech.2009-591.

    Examples
    --------
    >>> vowel(120, (500, 1500, 2500), duration=0.25).shape
    (4000,)
    """
    formants = tuple(map(float, formants))
    if bandwidths is None:
        bandwidths = tuple(40 + 0.04 * formant for formant in formants)
    bandwidths = tuple(map(float, bandwidths))
    if not 20 <= f0 <= 1000:
        raise ParameterError(f"f0 is {f0} Hz: give a voice between 20 and 1000 Hz.")
    if not 0.1 <= duration <= 60:
        raise ParameterError(f"duration is {duration} s: give 0.1 to 60 seconds.")
    ladder = (0.0, *formants, sample_rate / 2)
    if not formants or not all(low < high for low, high in itertools.pairwise(ladder)):
        raise ParameterError(
            f"formants are {formants}: give at least one, rising, between 0 and half of the sample "
            f"rate ({sample_rate / 2:g} Hz)."
        )
    if len(bandwidths) != len(formants) or not min(bandwidths) > 0:
        raise ParameterError(
            f"bandwidths are {bandwidths}: give one above 0 Hz for each of the {len(formants)} "
            "formants."
        )
    return _klatt(float(f0), formants, bandwidths, float(duration), sample_rate).copy()


@functools.lru_cache(maxsize=1024)  # 465 tokens are 15 MB
def _klatt(
    f0: float,
    formants: tuple[float, ...],
    bandwidths: tuple[float, ...],
    duration: float,
    sample_rate: int,
) -> NDArray[np.float32]:
    require("parselmouth")
    from parselmouth.praat import call

    # numbers of: oral formants, nasal formants and antiformants, frication, tracheal ones, deltas
    grid = call("Create KlattGrid", "vowel", 0, duration, len(formants), 0, 0, 0, 0, 0, 0)
    call(grid, "Add pitch point", 0, f0)
    for time, decibels in ((0, 60), (0.02, 90), (duration - 0.05, 90), (duration, 60)):
        call(grid, "Add voicing amplitude point", time, decibels)
    for number, (formant, bandwidth) in enumerate(zip(formants, bandwidths, strict=True), 1):
        call(grid, "Add oral formant frequency point", number, 0, formant)
        call(grid, "Add oral formant bandwidth point", number, 0, bandwidth)
    return _samples(call(grid, "To Sound"), sample_rate)


def token(
    f0: float, formants: Sequence[float], sex: str, start: float, end: float
) -> NDArray[np.float32]:
    """Synthesise a vowel from `start` to `end` seconds, with silence before and 0.1 s after it.

    Adds to F1, F2, F3 the higher formants, up to 8 kHz, of a neutral tube of that sex's length (one
    every 1000 Hz for "M", every 1150 Hz for "F").

    Parameters
    ----------
    f0 : float
        Hz.
    formants : sequence of float
        F1, F2 and F3 in Hz, rising.
    sex : str
        "M" or "F".
    start, end : float
        Seconds.

    Returns
    -------
    ndarray of float32, (samples,)
        At 16 kHz.

    Examples
    --------
    >>> token(120, (500, 1500, 2500), "M", 0.1, 0.35).shape
    (7200,)
    """
    spacing = 1000 if sex == "M" else 1150
    higher = tuple(spacing * (k - 0.5) for k in range(4, 9) if spacing * (k - 0.5) < 7800)
    clear = tuple(formant for formant in higher if formant > formants[-1] + 300)
    wave = vowel(f0, (*formants, *clear), duration=end - start)
    return np.pad(wave, (round(start * SAMPLE_RATE), round(0.1 * SAMPLE_RATE)))


@dataclass(frozen=True)
class SyntheticVowel(Vowel):
    """A token without recording, whose numbers say how it is made.

    Parameters
    ----------
    name, talker, sex, vowel, f0, f1, f2, f3, start, end, steady, path
        As in `relviz.corpora.tokens.Vowel`.

    Examples
    --------
    >>> first = vowel_corpus(["ah"], men=1, women=0)[0]
    >>> len(first.wave()) / SAMPLE_RATE >= first.end
    True
    """

    def wave(self) -> NDArray[np.float32]:
        """Return the token's waveform, float32, (samples,), at 16 kHz; made when asked for."""
        return token(self.f0, (self.f1, self.f2, self.f3), self.sex, self.start, self.end)


def vowel_corpus(
    names: Sequence[str] = ("ah", "eh", "iy", "oa", "uw"),
    men: int = 45,
    women: int = 48,
    seed: int = 0,
) -> tuple[Vowel, ...]:
    """Draw synthetic talkers around the published means: the stand-in for American English Vowels.

    A talker's F0 and formants deviate from `MEANS` by `DEVIATIONS` times a normal draw, cut at 2.5;
    in part the same draw for all of the talker's vowels, as in the recordings. A token depends on
    the seed, its talker and its vowel only, not on what else is asked for.

    Parameters
    ----------
    names : sequence of str
        Out of the 12 of `MEANS`.
    men, women : int
        How many talkers.
    seed : int
        Of the draws.

    Returns
    -------
    tuple of SyntheticVowel
        Vowel by vowel as named; the waves are made when asked for.

    Notes
    -----
    F0 is constant, so linear prediction pulls a low F1 ("iy", "uw") towards the nearest harmonic,
    most for women: even the original waves then miss by more than one standard deviation. Chapter 8
    of the book falls back on these.

    Examples
    --------
    >>> [token.name for token in vowel_corpus(["ah", "iy"], men=1, women=1)]
    ['m01ah', 'w01ah', 'm01iy', 'w01iy']
    """
    tokens = []
    for name in names:
        for sex, letter, count in (("M", "m", men), ("F", "w", women)):
            for number in range(1, count + 1):
                measures, duration = _draw(name, sex, number, seed)
                tokens.append(
                    SyntheticVowel(
                        name=f"{letter}{number:02d}{name}",
                        talker=f"{letter}{number:02d}",
                        sex=sex,
                        vowel=name,
                        f0=measures[0],
                        f1=measures[1],
                        f2=measures[2],
                        f3=measures[3],
                        start=0.1,
                        end=round(0.1 + duration, 3),
                        steady=round(0.1 + duration / 2, 3),
                    )
                )
    return tuple(tokens)


def _draw(name: str, sex: str, number: int, seed: int) -> tuple[list[float], float]:
    """Draw F0, F1, F2, F3 (Hz) and the duration (s) of one token."""
    talker = np.random.default_rng([seed, sex == "M", number])
    shared = talker.standard_normal(4)
    own = talker.standard_normal((len(MEANS[sex]), 5))[list(MEANS[sex]).index(name)]
    # correlation of a talker's vowels with each other, as found in vowdata.dat
    alike = np.array([0.85, 0.25, 0.25, 0.4])
    scores = np.sqrt(alike) * shared + np.sqrt(1 - alike) * own[:4]
    spread = np.array(DEVIATIONS[sex][name]) * np.clip(scores, -2.5, 2.5)
    f0, f1, f2, f3 = np.array(MEANS[sex][name]) + spread
    f2 = max(f2, f1 + 250)  # two formants that all but merge cannot be told apart
    f3 = max(f3, f2 + 150)
    duration = float(np.clip(0.32 + 0.04 * own[4], 0.24, 0.4))
    return [round(float(max(hertz, 75)), 1) for hertz in (f0, f1, f2, f3)], round(duration, 3)


def voices() -> dict[str, str]:
    """Return the plain voices of the sentence synthesiser and their sex, "F" or "M".

    Returns
    -------
    dict of str to str
        Voice -> sex.

    Examples
    --------
    >>> voices()["Male3"], len(voices())
    ('M', 12)
    """
    return dict(_VOICES)


def sentence(text: str, voice: str = "Female1", language: str = "English (America)") -> Sentence:
    """Speak a text with espeak-ng, aligned.

    Times are the synthesiser's own. Its labels become CMU phones (`CMU`); a gap under 0.1 s between
    phones is the closure of the next and belongs to it, longer ones are "SIL".

    Parameters
    ----------
    text : str
        English words.
    voice : str
        Out of `voices()`.
    language : str
        An English of espeak-ng's, under its name in Praat.

    Returns
    -------
    Sentence
        Sound, phones and words.

    Raises
    ------
    ParameterError
        For an empty text, an unknown voice, language or phone label.

    Notes
    -----
    The voices flutter, from call to call: the first speaking of a text is kept, so that a second
    call in the same process returns equal samples; other processes differ by some milliseconds.

    Used in chapter 13 of the book.

    Examples
    --------
    >>> [phone for _, _, phone in sentence("She sees.").phones if phone != "SIL"]
    ['SH', 'IY', 'S', 'IY', 'Z']
    """
    kept = _speak(text, voice, language)
    return replace(kept, wave=kept.wave.copy())


@functools.lru_cache(maxsize=256)
def _speak(text: str, voice: str, language: str) -> Sentence:
    require("parselmouth")
    import parselmouth
    from parselmouth.praat import call

    if not any(character.isalnum() for character in text):
        raise ParameterError(f"The text {text!r} has nothing to speak: give words.")
    if voice not in _VOICES:
        raise ParameterError(f"There is no voice {voice!r}: choose from {', '.join(_VOICES)}.")
    try:
        synthesiser = call("Create SpeechSynthesizer", language, voice)
    except parselmouth.PraatError as error:
        raise ParameterError(
            f"Praat's synthesiser has no language {language!r}: take 'English (America)' or "
            "'English (Great Britain)'."
        ) from error
    made = call(synthesiser, "To Sound", text, "yes")
    (sound,) = (thing for thing in made if isinstance(thing, parselmouth.Sound))
    (grid,) = (thing for thing in made if isinstance(thing, parselmouth.TextGrid))
    wave = _samples(sound, SAMPLE_RATE)
    spans = _close(_tier(grid, "phoneme"))
    words = tuple(
        (start, end, "".join(c for c in label.lower() if c.isalnum() or c in "'-"))
        for start, end, label in _tier(grid, "word")
        if label
    )
    return Sentence(wave, _to_cmu(spans, text), words, text, voice)


def sentences(
    voices: Sequence[str] = ("Female1", "Male1", "Female3", "Male3"),
) -> tuple[Sentence, ...]:
    """Speak each of `SENTENCES` in each of the voices: utterances for pages without recordings.

    Parameters
    ----------
    voices : sequence of str
        Out of `voices()`.

    Returns
    -------
    tuple of Sentence
        Text by text.

    Examples
    --------
    >>> len(sentences(["Female1"]))
    6
    """
    return tuple(sentence(text, voice) for text in SENTENCES for voice in voices)


def spoken(
    voices: Sequence[str] | None = None, texts: Iterable[str] = SENTENCES
) -> tuple[Utterance, ...]:
    """Speak texts in several voices: the stand-in for recordings of utterances.

    Parameters
    ----------
    voices : sequence of str, optional
        Default, all of `relviz.corpora.voices`; each is a speaker.
    texts : iterable of str
        What each says.

    Returns
    -------
    tuple of Utterance
        With `samples` and `spoken`, the synthesiser's own times. The first call in a process takes
        about a tenth of a second for each.

    Examples
    --------
    >>> [utterance.name for utterance in spoken(["Male3"], ["Hello.", "Good day."])]
    ['Male3-0-0000', 'Male3-0-0001']
    """
    found = []
    texts = tuple(texts)
    for voice in _VOICES if voices is None else voices:
        for number, text in enumerate(texts):
            made = sentence(text, voice)
            found.append(
                Utterance(
                    name=f"{voice}-0-{number:04d}",
                    speaker=voice,
                    session="0",
                    text=text,
                    samples=made.wave,
                    spoken=tuple(Span(*phone) for phone in made.phones),
                    sex=_VOICES[voice],
                )
            )
    return tuple(found)


def _samples(sound: Any, sample_rate: int) -> NDArray[np.float32]:
    """Resample a Praat Sound and scale it to `PEAK`."""
    values = sound.resample(sample_rate, 50).values[0]
    return (values * (PEAK / np.abs(values).max())).astype(np.float32)


def _tier(grid: Any, name: str) -> list[tuple[float, float, str]]:
    """Return the intervals (start s, end s, label) of one tier of a Praat TextGrid."""
    from parselmouth.praat import call

    tiers = range(1, call(grid, "Get number of tiers") + 1)
    (tier,) = (number for number in tiers if call(grid, "Get tier name", number) == name)
    return [
        (
            call(grid, "Get start time of interval", tier, number),
            call(grid, "Get end time of interval", tier, number),
            call(grid, "Get label of interval", tier, number),
        )
        for number in range(1, call(grid, "Get number of intervals", tier) + 1)
    ]


def _close(spans: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Give short gaps between phones to the phone that follows."""
    closed: list[tuple[float, float, str]] = []
    gap: float | None = None
    for start, end, label in spans:
        if not label and end - start < 0.1 and closed and end < spans[-1][1]:
            gap = start
            continue
        closed.append((start if gap is None else gap, end, label))
        gap = None
    return closed


def _to_cmu(
    spans: list[tuple[float, float, str]], text: str
) -> tuple[tuple[float, float, str], ...]:
    """Translate labels to CMU phones; two phones in one label get half of the time each."""
    phones = []
    for start, end, label in spans:
        if label not in CMU:
            raise ParameterError(
                f"The phone {label!r} in {text!r} has no CMU class: use an English text and voice, "
                "or add it to relviz.corpora.synthetic.CMU."
            )
        step = (end - start) / len(CMU[label])
        for number, phone in enumerate(CMU[label]):
            phones.append((start + number * step, start + (number + 1) * step, phone))
    return tuple(phones)
