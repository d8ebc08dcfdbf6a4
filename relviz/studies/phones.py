"""Section 4.2: what the phone network gets right, and whether F0 is in its relevance signal.

Frame by frame and group by group (`classify`, `confusion`), beside its published scores (`scores`),
and the F0 contours and short-term spectra of figures 4 and 5 (`contours`, `agreement`,
`short_term`). A signal that is no evidence of learning can pass: put an untrained network beside.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import scipy.fft
import scipy.signal
import torch
from numpy.typing import ArrayLike, NDArray

from relviz import _engine, acoustics, audio, corpora
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import (
    PHONES,
    Alignment,
    CorpusError,
    Source,
    SpeechCorpus,
    Utterance,
    librispeech,
)
from relviz.networks import RawWaveformCNN
from relviz.pretrained import TrainedCNN
from relviz.signals import Normalise, batches, network_rate, network_window

__all__ = [
    "GROUPS",
    "HOP_LENGTH",
    "PAPER",
    "VOICES",
    "Speech",
    "agreement",
    "classify",
    "confusion",
    "confusions",
    "contours",
    "group_of",
    "harmonic_contrast",
    "history",
    "posteriors",
    "scores",
    "short_term",
    "unheard",
    "voices",
]

HOP_LENGTH = SAMPLE_RATE // 100
"""Samples from one frame to the next: 10 ms."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "vowels": ("IY", "IH", "EH", "AE", "AH", "ER", "UH", "UW", "AO", "AA"),
    "diphthongs": ("EY", "AY", "OY", "AW", "OW"),
    "approximants": ("Y", "W", "R", "L"),
    "nasals": ("M", "N", "NG"),
    "stops": ("B", "D", "G", "P", "T", "K"),
    "affricates": ("CH", "JH"),
    "fricatives": ("V", "DH", "Z", "ZH", "F", "TH", "S", "SH", "HH"),
    "silence": ("SIL",),
}
"""The 39 phones of the CMU dictionary and silence, by manner of articulation."""

PAPER = {"development set": 0.228, "test set": 0.236}
"""Phone error rates of the paper's phone network on TIMIT, section 4.1."""

VOICES = ("Male1", "Female1", "Male3", "Female3", "Male5", "Female5")
"""Synthetic voices that stand in for speakers."""


@dataclass(frozen=True)
class Speech:
    """Utterances, when their phones are spoken, and where they came from.

    Parameters
    ----------
    utterances : tuple of Utterance
        What is said.
    alignments : dict of str to Alignment
        Utterance's name -> its phones.
    source : Source
        Recordings or synthesis.
    """

    utterances: tuple[Utterance, ...]
    alignments: Mapping[str, Alignment] = field(repr=False)
    source: Source


def unheard(speakers: Iterable[str], seconds: float = 30.0, root: str | None = None) -> Speech:
    """Gather a little aligned speech of some speakers, such as those a training left out.

    Their phones are aligned here, seconds of work that is cached. Without recordings of them, or
    without pocketsphinx, as many synthetic voices of `VOICES` speak, with the synthesiser's own
    times.

    Parameters
    ----------
    speakers : iterable of str
        As in a network's ``metadata.about["test"]["speakers"]``.
    seconds : float
        Of each speaker, the shortest utterances are taken until they last that long, so that
        nobody can choose them by their result.
    root : str, optional
        As in `relviz.corpora.librispeech.utterances`.

    Returns
    -------
    Speech
        Whose `source` says which it was.

    Raises
    ------
    ParameterError
        For no speakers and for no time.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> speech = unheard(["nobody"], seconds=2)
    >>> len({utterance.speaker for utterance in speech.utterances})
    1
    """
    wanted = tuple(dict.fromkeys(speakers))
    if not wanted or seconds <= 0:
        raise ParameterError(
            f"{len(wanted)} speakers, {seconds} s: give some speakers and some time."
        )
    found = _recordings(root)
    known = [e for e in (found.utterances if found else ()) if e.speaker in wanted and e.text]
    if found is not None and known:
        try:
            chosen = _shortest(known, seconds)
            spans = corpora.align(chosen, jobs=1).spans
        except (CorpusError, ImportError):  # no pocketsphinx
            spans = {}
        if spans:
            kept = tuple(each for each in chosen if each.name in spans)
            return Speech(kept, dict(spans), found.source)
    spoken = corpora.spoken(VOICES[: len(wanted)])
    chosen = _shortest(spoken, seconds)
    times = {each.name: each.spoken for each in chosen if each.spoken is not None}
    return Speech(chosen, times, Source("synthetic", None, librispeech.CORPUS))


def voices(
    known: Iterable[str], count: int = 6, seconds: float = 3.0, root: str | None = None
) -> dict[str, NDArray[np.float32]]:
    """Gather the beginning of one utterance of each of some speakers, from low to high voices.

    Of each speaker the shortest utterance that is long enough is cut; out of all these, sorted by
    median F0, evenly spread ones are taken. No transcripts are needed.

    Parameters
    ----------
    known : iterable of str
        Speakers to leave out, such as a network's ``metadata.about["train"]["speakers"]``.
    count : int
        How many voices, at most.
    seconds : float
        How long each.
    root : str, optional
        As in `relviz.corpora.librispeech.utterances`; without recordings the voices are `VOICES`.

    Returns
    -------
    dict of str to ndarray, (samples,)
        Speaker -> waveform at 16 kHz, the lowest voice first.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> found = voices([], count=2, seconds=1.0)
    >>> [wave.shape for wave in found.values()]
    [(16000,), (16000,)]
    """
    found, out = _recordings(root), set(known)
    everyone = corpora.spoken(VOICES) if found is None else found.utterances
    candidates = [each for each in everyone if each.speaker not in out]
    best: dict[str, tuple[float, str, Utterance]] = {}
    for each in candidates:
        row = (_duration(each), each.name, each)
        if row[0] >= seconds and row[:2] < best.get(each.speaker, (np.inf, ""))[:2]:
            best[each.speaker] = row
    length = round(seconds * SAMPLE_RATE)
    waves = {speaker: row[2].wave()[:length] for speaker, row in best.items()}
    pitch = {speaker: acoustics.median_f0(wave, SAMPLE_RATE) for speaker, wave in waves.items()}
    ranked = sorted((s for s in waves if not np.isnan(pitch[s])), key=lambda s: (pitch[s], s))
    if len(ranked) > count:
        places = np.linspace(0, len(ranked) - 1, count).round().astype(int)
        ranked = [ranked[place] for place in places]
    return {speaker: waves[speaker] for speaker in ranked}


def _recordings(root: str | None) -> SpeechCorpus | None:
    """Return all parts of LibriSpeech, or None where there is none, without speaking instead."""
    if root is None and corpora.locate(librispeech.CORPUS) is None:
        return None
    return librispeech.utterances(None, root)


def _shortest(utterances: Iterable[Utterance], seconds: float) -> tuple[Utterance, ...]:
    """Of each speaker, the shortest utterances that the aligner can read, up to `seconds`."""
    lengths: dict[str, list[tuple[float, str, Utterance]]] = {}
    for each in utterances:
        if each.spoken is None and corpora.alignment.pronounceable(each.text or "")[1]:
            continue
        lengths.setdefault(each.speaker, []).append((_duration(each), each.name, each))
    chosen: list[Utterance] = []
    for rows in lengths.values():
        total = 0.0
        for length, _, utterance in sorted(rows, key=lambda row: row[:2]):
            if total >= seconds:
                break
            chosen.append(utterance)
            total += length
    return tuple(chosen)


def _duration(utterance: Utterance) -> float:
    """Return the length of an utterance in seconds; of a recording, from its header."""
    if utterance.path is None:
        return len(utterance.wave()) / SAMPLE_RATE
    return audio.duration(utterance.path)


def posteriors(
    net: RawWaveformCNN,
    wave: ArrayLike,
    *,
    hop_length: int = HOP_LENGTH,
    normalise: Normalise | None = None,
    batch_size: int = 256,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the probability of every class, again and again along an utterance.

    Parameters
    ----------
    net : RawWaveformCNN
        Any network of windows.
    wave : array_like, (samples,)
        At the network's rate.
    hop_length : int
        Samples from window to window: they are centred on samples hop_length // 2, hop_length +
        hop_length // 2, ...; beyond the ends there are zeros.
    normalise : str, optional
        As in `relviz.relevance_signal`.
    batch_size : int
        Windows at a time.

    Returns
    -------
    times : ndarray, (frames,)
        In s.
    probabilities : ndarray, (frames, classes)
        Rows add up to 1.

    Raises
    ------
    AudioError
        For a wave that `relviz.audio.check` refuses.
    ParameterError
        For a hop_length or batch below 1.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> from relviz import networks
    >>> net = networks.build(networks.PHONE_CNN, 40)
    >>> times, probabilities = posteriors(net, np.random.default_rng(0).standard_normal(8000))
    >>> times[:2], probabilities.shape
    (array([0.005, 0.015]), (50, 40))
    """
    if hop_length < 1:
        raise ParameterError(f"hop_length is {hop_length}: give 1 sample or more.")
    samples = audio.check(wave)
    centres = np.arange(hop_length // 2, len(samples), hop_length)
    rows = []
    for _, windows in batches(
        net, samples, centres - network_window(net) // 2, normalise=normalise, batch_size=batch_size
    ):
        with torch.inference_mode():
            rows.append(_engine.call(net, windows).softmax(-1).cpu().numpy())
    return centres / (network_rate(net) or SAMPLE_RATE), np.concatenate(rows)


def classify(net: RawWaveformCNN, speech: Speech, classes: Sequence[str] = PHONES) -> pd.DataFrame:
    """Ask a network for the phone of every frame of some speech.

    Parameters
    ----------
    net : RawWaveformCNN
        A phone network.
    speech : Speech
        With its phones.
    classes : sequence of str
        Of the network, in order.

    Returns
    -------
    DataFrame
        One row a frame: ``utterance``, ``speaker``, ``time`` (s), ``phone`` (as aligned),
        ``found`` (the network's), ``probability`` (that it gives to what it found) and ``edge`` (s
        to the nearest boundary between phones).

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> from relviz import networks
    >>> net = networks.build(networks.PHONE_CNN, 40)
    >>> list(classify(net, unheard(["nobody"], seconds=1)).columns[:5])
    ['utterance', 'speaker', 'time', 'phone', 'found']
    """
    tables = []
    for utterance in speech.utterances:
        spans = speech.alignments[utterance.name]
        times, probabilities = posteriors(net, utterance.wave())
        true = corpora.frame_labels(spans, times, classes)
        edges = np.unique([edge for span in spans for edge in (span.start, span.end)])
        best = probabilities.argmax(axis=1)
        tables.append(
            pd.DataFrame(
                {
                    "utterance": utterance.name,
                    "speaker": utterance.speaker,
                    "time": times,
                    "phone": np.asarray(classes)[true],
                    "found": np.asarray(classes)[best],
                    "probability": probabilities.max(axis=1).astype(np.float64),
                    "edge": np.abs(times[:, None] - edges).min(axis=1),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def group_of(groups: Mapping[str, Sequence[str]] = GROUPS) -> dict[str, str]:
    """Return the group of each phone.

    Parameters
    ----------
    groups : dict of str to sequence of str
        Name -> phones.

    Returns
    -------
    dict of str to str
        Phone -> the name of its group.

    Notes
    -----
    Used in chapter 6 of the book.

    Examples
    --------
    >>> group_of()["AY"]
    'diphthongs'
    """
    return {phone: name for name, phones in groups.items() for phone in phones}


def confusion(frames: pd.DataFrame, groups: Mapping[str, Sequence[str]] = GROUPS) -> pd.DataFrame:
    """Return, of the frames of each group, the share that is found to be of each.

    Parameters
    ----------
    frames : DataFrame
        What `classify` returns.
    groups : dict of str to sequence of str
        Name -> phones. With groups of one phone each it is the confusion matrix of phones.

    Returns
    -------
    DataFrame
        Rows are what was said, columns what was found, both in the order of `groups`; rows add up
        to 1, and that of a group that nobody said is NaN.

    Raises
    ------
    ParameterError
        For a phone that is in no group.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> frames = pd.DataFrame({"phone": ["AA", "AA", "M"], "found": ["IY", "M", "M"]})
    >>> confusion(frames, {"vowels": ["AA", "IY"], "nasals": ["M"]}).to_numpy()
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    names = group_of(groups)
    strangers = sorted(set(frames["phone"]).union(frames["found"]) - set(names))
    if strangers:
        raise ParameterError(f"{', '.join(strangers)} is in no group: add it to groups.")
    said, found = frames["phone"].map(names), frames["found"].map(names)
    counts = pd.crosstab(said, found).reindex(index=[*groups], columns=[*groups], fill_value=0)
    return counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)


def confusions(frames: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """Return the most frequent mistakes.

    Parameters
    ----------
    frames : DataFrame
        What `classify` returns.
    count : int
        How many.

    Returns
    -------
    DataFrame
        Columns ``phone``, ``found``, ``frames``, and ``share`` of all mistakes.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> frames = pd.DataFrame({"phone": ["AA", "AA", "M"], "found": ["IY", "M", "M"]})
    >>> confusions(frames, 1)
      phone found  frames  share
    0    AA    IY       1    0.5
    """
    wrong = frames[frames["phone"] != frames["found"]]
    pairs = wrong.value_counts(["phone", "found"]).rename("frames").reset_index()
    pairs = pairs.sort_values(
        ["frames", "phone", "found"], ascending=[False, True, True], ignore_index=True
    )
    return pairs.assign(share=pairs["frames"] / max(len(wrong), 1)).head(count)


def scores(nets: Iterable[TrainedCNN], test: str = "held-out speakers") -> pd.DataFrame:
    """Return the scores that shipped networks carry in their metadata.

    Parameters
    ----------
    nets : iterable of TrainedCNN
        Such as training seeds.
    test : str
        Which of their tests.

    Returns
    -------
    DataFrame
        One row a network: ``seed``, and for ``accuracy`` (of frames) and ``error`` (phone error
        rate) the value and its 95 % interval, ``_low`` and ``_high``; ``utterances`` they were
        measured on. All from 0 to 1, though an error rate may exceed 1.

    Raises
    ------
    ParameterError
        For a network whose file says nothing of that test.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> from relviz import pretrained
    >>> len(scores(pretrained.replicates("phones")))
    3
    """
    rows = []
    for net in nets:
        row: dict[str, float] = {"seed": net.metadata.recipe.get("seed", np.nan)}
        found = net.metadata.scores.get(test, {})
        for name, key in (("accuracy", "frame_accuracy"), ("error", "phone_error_rate")):
            if not isinstance(found.get(key), Mapping) or "trials" not in found[key]:
                raise ParameterError(
                    f"a network's file holds no {key.replace('_', ' ')} of the test {test!r}: "
                    "score it as `relviz train` does."
                )
            row[name] = found[key]["value"]
            row[f"{name}_low"], row[f"{name}_high"] = found[key]["low"], found[key]["high"]
        row["utterances"] = found["frame_accuracy"]["trials"]
        rows.append(row)
    return pd.DataFrame(rows)


def history(net: TrainedCNN) -> pd.DataFrame:
    """Return how a shipped network was trained.

    Parameters
    ----------
    net : TrainedCNN
        With its log in its metadata.

    Returns
    -------
    DataFrame
        Columns ``step``, ``loss``, ``train_accuracy``, ``valid_accuracy``.

    Raises
    ------
    ParameterError
        For a network whose file has no log.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> from relviz import pretrained
    >>> "valid_accuracy" in history(pretrained.load("phones"))
    True
    """
    log = net.metadata.scores.get("training", {}).get("log")
    if not log:
        raise ParameterError("the network's file holds no log of its training: load another.")
    return pd.DataFrame(log)


def contours(
    signals: Mapping[str, ArrayLike],
    *,
    floor: float = 75.0,
    ceiling: float = 500.0,
    step: float = 0.01,
) -> pd.DataFrame:
    """Return F0 contours of several signals of one length.

    Parameters
    ----------
    signals : dict of str to array_like, (samples,)
        Name -> signal at 16 kHz.
    floor, ceiling : float
        Of the F0 searched, in Hz.
    step : float
        Seconds from one frame to the next.

    Returns
    -------
    DataFrame
        F0 in Hz, NaN where unvoiced: one column a signal, the index is the time in s.

    Raises
    ------
    ParameterError
        For signals of different lengths.

    References
    ----------
    As in figure 4 of Muckenhirn et al. (2019).

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> pulses = np.zeros(16000)
    >>> pulses[::160] = 1.0
    >>> contours({"pulses": pulses}).median().round().tolist()
    [100.0]
    """
    if len({np.shape(signal) for signal in signals.values()}) != 1:
        raise ParameterError("signals must be one or more, all of the same length.")
    with warnings.catch_warnings():
        # a relevance signal need not be a voice
        warnings.simplefilter("ignore", acoustics.F0Warning)
        found = {
            name: acoustics.f0_contour(signal, SAMPLE_RATE, floor=floor, ceiling=ceiling, step=step)
            for name, signal in signals.items()
        }
    times = next(iter(found.values()))[0]
    return pd.DataFrame(
        {name: f0 for name, (_, f0) in found.items()}, index=pd.Index(times, name="time")
    )


def agreement(
    contours: pd.DataFrame, reference: str = "recording", semitones: float = 1.0
) -> pd.DataFrame:
    """Return how well F0 contours follow that of the recording.

    Parameters
    ----------
    contours : DataFrame
        What the function `contours` returns.
    reference : str
        The column to follow.
    semitones : float
        How far F0 may be off.

    Returns
    -------
    DataFrame
        One row for every other column: ``found``, of the frames where the reference is voiced the
        share in which the signal is voiced too and its F0 near; ``extra``, of the other frames the
        share in which the signal is voiced. NaN where there are no such frames.

    See Also
    --------
    relviz.acoustics.f0_agreement : the same of two contours.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> f0 = {"recording": [100.0, 100.0, np.nan], "signal": [100.0, 150.0, 90.0]}
    >>> agreement(pd.DataFrame(f0))
            found  extra
    signal    0.5    1.0
    """
    rest = contours.drop(columns=reference)
    found = [acoustics.f0_agreement(contours[reference], rest[n], semitones) for n in rest]
    return pd.DataFrame(found, index=rest.columns, columns=["found", "extra"])


def short_term(
    signal: ArrayLike, centre: float, *, length: float = 0.025, order: int = 16, n_fft: int = 1024
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the short-term spectrum and the envelope by linear prediction of one frame.

    Parameters
    ----------
    signal : array_like, (samples,)
        At 16 kHz.
    centre : float
        Of the frame, in s.
    length : float
        In s, under a Hamming window.
    order : int
        Of the predictor.
    n_fft : int
        Length of the DFT.

    Returns
    -------
    frequencies : ndarray, (n_fft // 2 + 1,)
        In Hz.
    magnitude : ndarray, (n_fft // 2 + 1,)
        ``|DFT|``.
    envelope : ndarray, (n_fft // 2 + 1,)
        NaN where linear prediction fails.

    References
    ----------
    As in figure 5 of Muckenhirn et al. (2019).

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    >>> frequencies, magnitude, envelope = short_term(tone, 0.5)
    >>> frequencies[magnitude.argmax()]
    np.float64(1000.0)
    """
    frame = _frame(signal, centre, length)
    frequencies, envelope = acoustics.lp_envelope(frame, SAMPLE_RATE, order=order, n_fft=n_fft)
    return frequencies, np.abs(scipy.fft.rfft(frame, n_fft)), envelope


def harmonic_contrast(
    signal: ArrayLike, centre: float, f0: float, *, highest: float = 2000.0, length: float = 0.05
) -> float:
    """Return by how many dB the harmonics of a voice stand above the spectrum halfway between them.

    Parameters
    ----------
    signal : array_like, (samples,)
        At 16 kHz, a recording or a relevance signal of it.
    centre : float
        Of one frame, in s.
    f0 : float
        Of the recording there, in Hz.
    highest : float
        In Hz, where the last harmonic lies at most.
    length : float
        Of the frame in s, under a Hamming window.

    Returns
    -------
    float
        The mean over harmonics k of the level at k f0, less the mean of those at (k - 1/2) f0 and
        (k + 1/2) f0, in dB. White noise has 0 on average, whatever its colour; NaN for a silent
        frame.

    Raises
    ------
    ParameterError
        For an f0 without a harmonic up to `highest`.

    Notes
    -----
    Explained in chapter 6 of the book.

    Examples
    --------
    >>> pulses = np.zeros(16000)
    >>> pulses[::160] = 1.0
    >>> harmonic_contrast(pulses, 0.5, 100) > 20
    True
    """
    if not 0 < f0 <= highest:
        raise ParameterError(f"f0 is {f0} Hz: give one above 0 and at most {highest:g} Hz.")
    frame = _frame(signal, centre, length)
    if not frame.any():
        return float("nan")
    halves = np.arange(1, 2 * int(highest / f0) + 2) * f0 / 2  # f0 / 2, f0, 3 f0 / 2, ...
    phases = np.exp(-2j * np.pi * np.outer(halves, np.arange(len(frame))) / SAMPLE_RATE)
    levels = 20 * np.log10(np.abs(phases @ frame) + 1e-300)
    return float(np.mean(levels[1::2] - (levels[:-1:2] + levels[2::2]) / 2))


def _frame(signal: ArrayLike, centre: float, length: float) -> NDArray[np.float64]:
    """Cut one frame of `length` seconds around `centre`, under a Hamming window."""
    size = round(length * SAMPLE_RATE)
    start = round(centre * SAMPLE_RATE) - size // 2
    frame = audio.frame(np.asarray(signal, dtype=np.float64), size, [start])[0]
    return frame * scipy.signal.get_window("hamming", size)
