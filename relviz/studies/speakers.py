"""Speakers: where in frequency a speaker network listens, and where speakers differ.

Muckenhirn et al. (2019), section 4.3, describe the relevance signals of their speaker network from
many examples: a peak at low frequencies, emphasis from 2 to 3.5 and from 3.5 to 5 kHz, F0 as in the
recording, and no intelligible words. Here each of these becomes a number: long-term levels of bands
with intervals, the F-ratio of the same bands, agreement of F0 contours, and the phone
error rate of a recogniser that never saw a relevance signal.

Compare each with the recording itself and with untrained networks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.signal
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from relviz import acoustics, audio, corpora
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import PHONES, Alignment, CorpusError, Utterance
from relviz.training import score
from relviz.training.sets import SESSION

EDGES = np.arange(0.0, SAMPLE_RATE / 2 + 1, 250.0)
"""Edges of the bands, Hz: 32 bands of 250 Hz. The paper's regions begin and end at some of them."""

REGIONS = np.array([0.0, 250.0, 1000.0, 2000.0, 3500.0, 5000.0, 8000.0])
"""Edges of a few wide bands, Hz; 2 to 3.5 and 3.5 to 5 kHz are those that the paper names."""

FRAME, STEP = 400, 160
"""Samples of an analysis frame (25 ms) and from one to the next (10 ms)."""

LOWEST = 2
"""Bins of a frame, 40 Hz each, that do not count: an offset fills two bins of a Hann window."""

ACTIVE = -35.0
"""dB: a frame counts as speech when its power is no further below that of the loud frames."""


def panel(utterances: Iterable[Utterance], known: Iterable[str] | None = None) -> list[Utterance]:
    """Choose one utterance of each speaker, out of those that no training has heard.

    utterances: of a corpus. known: speakers to choose from (default, all). The rule is that of
    `relviz.training.sets.speakers`: of sessions with at least two utterances, the utterances that
    `relviz.corpora.split_utterances` holds out; each speaker's first is taken.
    Returns them by speaker. Raises CorpusError if none of the speakers is there.
    """
    everything = tuple(utterances)
    wanted = {each.speaker for each in everything} if known is None else set(known)
    sizes = Counter((each.speaker, each.session) for each in everything)
    kept = [
        each
        for each in everything
        if each.speaker in wanted and sizes[each.speaker, each.session] >= SESSION
    ]
    if not kept:
        raise CorpusError("None of these speakers is in the corpus: load the parts they are in.")
    _, held_out = corpora.split_utterances(kept)
    chosen: dict[str, Utterance] = {}
    for each in held_out:
        chosen.setdefault(each.speaker, each)
    return list(chosen.values())


def middle(wave: NDArray, seconds: float) -> NDArray:
    """Cut `seconds` out of the middle of (samples,); all of it if there is no more."""
    length = min(round(seconds * SAMPLE_RATE), len(wave))
    start = (len(wave) - length) // 2
    return wave[start : start + length]


def long_term_levels(signal: ArrayLike, edges: ArrayLike = EDGES) -> NDArray[np.float64]:
    """Long-term average level of each band, in dB relative to the mean over all of them.

    signal: (samples,) at 16 kHz, a recording or a relevance signal. edges: (bands + 1,) Hz.
    Powers of 25 ms Hann frames, every 12.5 ms, are averaged over time, then over the bins of a
    band, so a band does not gain by being wide; white noise has 0 dB in each. Below 60 Hz, where
    relevance signals may have an offset and speech has nothing, nothing counts. Returns (bands,).
    Raises ValueError for edges that leave a band without a bin, AudioError for a silent signal.
    """
    samples = audio.check(signal, "the signal", minimum=FRAME)
    frequencies, power = scipy.signal.welch(
        samples.astype(np.float64), SAMPLE_RATE, window="hann", nperseg=FRAME, detrend=False
    )
    power[-1] *= 2  # a one-sided density counts all bins but this one twice
    density = _bands(frequencies[LOWEST:], power[LOWEST:], edges)
    widths = np.diff(np.asarray(edges, dtype=np.float64))
    return 10 * np.log10(density / np.average(density, weights=widths))


def band_statistics(
    wave: ArrayLike, edges: ArrayLike = EDGES
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance over time of each band's level, in dB and dB squared: (bands,) each.

    wave: (samples,) at 16 kHz. Levels are taken in frames of 25 ms (Hann), every 10 ms, where
    there is speech: frames within 35 dB of the loud ones (95th percentile). They are relative to
    the mean power of these frames, so that how loud the recording is does not count.
    Raises AudioError for a wave that is silent or shorter than two frames.
    """
    samples = audio.check(wave, minimum=FRAME + STEP)
    starts = np.arange(0, len(samples) - FRAME + 1, STEP)
    frames = audio.frame(samples, FRAME, starts) * scipy.signal.get_window("hann", FRAME)
    power = np.abs(np.fft.rfft(frames, axis=-1)) ** 2
    totals = power.sum(axis=-1)
    speech = power[totals >= np.percentile(totals, 95) * 10 ** (ACTIVE / 10)]
    density = _bands(np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE), speech, edges)
    levels = 10 * np.log10(np.maximum(density / speech.mean(), 1e-12))
    return levels.mean(axis=0), levels.var(axis=0)


def f_ratio(means: ArrayLike, variances: ArrayLike) -> NDArray[np.float64]:
    """F-ratio of each band: the variance between speakers over the mean variance within a speaker.

    means, variances: (speakers, bands), what `band_statistics` gives for each. Returns (bands,).
    Raises ValueError for fewer than two speakers.
    Source: Kinnunen (2003), who compares bands for speaker recognition with it.
    """
    between = np.asarray(means, dtype=np.float64)
    within = np.asarray(variances, dtype=np.float64)
    if between.ndim != 2 or between.shape != within.shape or len(between) < 2:
        raise ParameterError(
            f"means are {between.shape} and variances {within.shape}: give (speakers, bands) of at "
            "least two speakers for both."
        )
    return between.var(axis=0, ddof=1) / within.mean(axis=0)


def over_speakers(
    values: ArrayLike, draws: int = 2000, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean over speakers and its 95 % interval, by drawing speakers with replacement (bootstrap).

    values: (speakers, ...). Returns mean, low, high, each of the shape of one speaker's values.
    """
    x = np.asarray(values, dtype=np.float64)
    which = np.random.default_rng(seed).integers(len(x), size=(draws, len(x)))
    # How often each speaker is drawn, so that a draw is a row of one matrix product.
    counts = np.apply_along_axis(np.bincount, 1, which, minlength=len(x))
    means = (counts @ x.reshape(len(x), -1) / len(x)).reshape(draws, *x.shape[1:])
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return x.mean(axis=0), low, high


def one_more(
    values: ArrayLike, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean over networks, and where one more network of the same kind would lie.

    values: (networks, ...), such as a measure of several untrained networks, one a seed.
    Returns mean, low, high, each of the shape of one network's values: the prediction interval of
    a normal distribution, wider than the interval of the mean. A trained network outside it is
    told apart from untrained ones. Raises ValueError for fewer than two networks.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim < 1 or len(x) < 2:
        raise ParameterError("one network does not say how networks differ: give two or more.")
    quantile = stats.t.ppf(0.5 + confidence / 2, len(x) - 1)
    half = quantile * x.std(axis=0, ddof=1) * np.sqrt(1 + 1 / len(x))
    return x.mean(axis=0), x.mean(axis=0) - half, x.mean(axis=0) + half


def f0_agreement(
    wave: ArrayLike, signal: ArrayLike, semitones: float = 1.0
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Share of a recording's voiced frames in which a signal made from it has the same F0.

    wave, signal: (samples,) at 16 kHz, of one length. Contours are Praat's, every 10 ms. A frame
    in which the signal has no F0 does not agree. NaN where the recording is never voiced.
    Returns (share, times in s, F0 of the recording, F0 of the signal), F0 in Hz, NaN if unvoiced.
    Source: figure 6 of Muckenhirn et al. (2019), as a number.
    """
    if np.shape(wave) != np.shape(signal):
        raise ParameterError(
            f"the wave has shape {np.shape(wave)}, the signal {np.shape(signal)}: give both whole."
        )
    times, true = acoustics.f0_contour(wave, SAMPLE_RATE)
    _, found = acoustics.f0_contour(signal, SAMPLE_RATE)
    voiced = ~np.isnan(true)
    if not voiced.any():
        return float("nan"), times, true, found
    apart = np.abs(12 * np.log2(found[voiced] / true[voiced]))
    return float(np.mean(apart <= semitones)), times, true, found  # NaN <= 1 is False


def phones_between(
    alignment: Alignment, start: float, end: float
) -> tuple[float, float, list[str]]:
    """Find the phones that are said as a whole between `start` and `end`, in seconds.

    alignment: of the utterance. Returns (begin and end of these phones in s, their labels without
    silences). Raises ValueError if there is none.
    """
    inside = [span for span in alignment if span.start >= start and span.end <= end]
    labels = [span.label for span in inside if span.label != PHONES[-1]]
    if not labels:
        raise ParameterError(f"no phone lies within {start} to {end} s: take a longer stretch.")
    return inside[0].start, inside[-1].end, labels


def phone_loop(signal: ArrayLike) -> list[str]:
    """Recognise phones, and nothing but phones: pocketsphinx's phone loop with its phone bigrams.

    signal: (samples,) at 16 kHz; its scale does not matter, nor does a constant filter, since the
    cepstral mean of the signal is subtracted.
    Returns labels of `relviz.corpora.PHONES` without silences and noises.
    Raises CorpusError without pocketsphinx, AudioError for a silent signal.
    """
    samples = audio.check(signal, "the signal")
    loud = 0.1 * samples / np.sqrt(np.mean(samples**2, dtype=np.float64))
    sound = (np.clip(loud, -1, 1) * 32767).astype("<i2").tobytes()
    decoder = _recogniser()
    decoder.reinit_feat()  # else the first frames depend on the signal before
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    found = [segment.word for segment in decoder.seg() or ()]
    return [phone for phone in found if phone in PHONES[:-1]]


@lru_cache(maxsize=1)
def _recogniser() -> Any:
    try:
        import pocketsphinx
    except ImportError as error:
        raise CorpusError(
            "Recognising phones needs pocketsphinx: pip install 'relviz[train]'."
        ) from error
    return pocketsphinx.Decoder(
        allphone=f"{pocketsphinx.get_model_path()}/en-us/en-us-phone.lm.bin",
        lm=None,
        lw=2.0,  # this weight and these beams as CMU Sphinx's manual has them for phone loops
        beam=1e-20,
        pbeam=1e-20,
        cmn="batch",
        loglevel="FATAL",
    )


BACKWARDS = "recording, text backwards"
"""The floor of `recognition`: what chance gives, with the right phones in the wrong order."""


def recognition(
    signals: Mapping[str, Sequence[ArrayLike]], said: Sequence[Sequence[str]]
) -> pd.DataFrame:
    """Errors of `phone_loop` for several signals of the same stretches of speech.

    signals: name -> one signal a stretch, the recordings first. said: the phones of each stretch,
    in the same order. Last comes a floor, `BACKWARDS`: what was recognised in the first signal,
    scored against what is said from its end to its beginning.
    Returns a row a signal and stretch: columns `signal`, `stretch`, `errors` (substitutions,
    deletions and insertions) and `phones` (said). Raises ValueError where the numbers of stretches
    differ or there are fewer than two.
    """
    if len(said) < 2 or any(len(several) != len(said) for several in signals.values()):
        raise ParameterError(
            f"there are {len(said)} texts for {[len(each) for each in signals.values()]} signals: "
            "give two stretches or more, and every signal of each."
        )
    found = {name: [phone_loop(each) for each in several] for name, several in signals.items()}
    trials = [(name, several, list(said)) for name, several in found.items()]
    trials += [(BACKWARDS, trials[0][1], [each[::-1] for each in said])] if trials else []
    rows = [
        (name, stretch, score.edit_distance(heard, phones), len(phones))
        for name, several, truth in trials
        for stretch, (heard, phones) in enumerate(zip(several, truth, strict=True))
    ]
    return pd.DataFrame(rows, columns=["signal", "stretch", "errors", "phones"])


def error_rates(table: pd.DataFrame, reference: str | None = None) -> pd.DataFrame:
    """Phone error rate of every signal, and by how much it exceeds that of `reference`.

    table: what `recognition` returns. reference: one of its signals (default, the first).
    Returns a row a signal: columns `signal`, `error_rate` (may exceed 1), `low`, `high`, then
    `more`, `more_low`, `more_high` for the difference. Intervals are 95 %, by drawing stretches
    with replacement, the same ones for both signals of a difference.
    """
    names = list(dict.fromkeys(table["signal"]))
    errors, phones = (
        table.pivot(index="stretch", columns="signal", values=column)[names].to_numpy(float)
        for column in ("errors", "phones")
    )
    draws = np.random.default_rng(0).integers(len(errors), size=(2000, len(errors)))
    drawn = errors[draws].sum(axis=1) / phones[draws].sum(axis=1)
    rate = errors.sum(axis=0) / phones.sum(axis=0)
    base = 0 if reference is None else names.index(reference)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    more_low, more_high = np.percentile(drawn - drawn[:, [base]], [2.5, 97.5], axis=0)
    return pd.DataFrame(
        {
            "signal": names,
            "error_rate": rate,
            "low": low,
            "high": high,
            "more": rate - rate[base],
            "more_low": more_low,
            "more_high": more_high,
        }
    )


def _bands(frequencies: NDArray, power: NDArray, edges: ArrayLike) -> NDArray[np.float64]:
    """Mean power of the bins in each band: (..., bins) to (..., bands)."""
    limits = np.asarray(edges, dtype=np.float64)
    place = np.searchsorted(limits, frequencies, side="right") - 1
    place[frequencies == limits[-1]] = len(limits) - 2  # the last band holds its upper edge
    members = place == np.arange(len(limits) - 1)[:, None]
    if not members.any(axis=1).all():
        step = frequencies[1] - frequencies[0]
        raise ParameterError(f"a band is narrower than the {step:g} Hz from bin to bin: widen it.")
    return power @ (members / members.sum(axis=1, keepdims=True)).T
