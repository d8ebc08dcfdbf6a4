"""Speakers: who is asked, and whether a signal made from their speech has kept its F0.

Muckenhirn et al. (2019), section 4.3, describe the relevance signals of their speaker network from
many examples: a peak at low frequencies, emphasis from 2 to 3.5 and from 3.5 to 5 kHz, F0 as in the
recording, and no intelligible words. Each of these becomes a number: agreement of F0 contours here,
levels and F-ratio in `relviz.studies.bands`, phone error rates in `relviz.studies.recognition`.

Compare each with the recording itself and with untrained networks.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from relviz import _engine, acoustics, corpora, statistics
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import CorpusError, Utterance
from relviz.networks import RawWaveformCNN
from relviz.signals import batches
from relviz.training.data import Data, Frames
from relviz.training.sets import ACROSS, SESSION, WITHIN

__all__ = [
    "changes",
    "f0_agreement",
    "flat",
    "identify",
    "kept",
    "middle",
    "mistakes",
    "panel",
    "summary",
    "voices",
]

_KEPT = Path(__file__).parent / "voices.csv"
"""Written by `relviz evaluate speakers -o`."""

_EVERY = 5
"""Frames, 10 ms each, from one window that is asked to the next."""


def panel(utterances: Iterable[Utterance], known: Iterable[str] | None = None) -> list[Utterance]:
    """Choose one utterance of each speaker, out of those that no training has heard.

    The rule is that of `relviz.training.sets.speakers` with ``every=None``: of sessions with at
    least two utterances, the one that `relviz.corpora.split_utterances` holds out of all.

    Parameters
    ----------
    utterances : iterable of Utterance
        Of a corpus.
    known : iterable of str, optional
        Speakers to choose from; default, all.

    Returns
    -------
    list of Utterance
        One of each speaker.

    Raises
    ------
    CorpusError
        If none of the speakers is there.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> corpus = [Utterance(f"7-1-{i:04}", "7", "1") for i in range(30)]
    >>> [each.name for each in panel(corpus)]
    ['7-1-0015']
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
    _, held_out = corpora.split_utterances(kept, every=None)
    return list(held_out)


def middle(wave: NDArray, seconds: float) -> NDArray:
    """Cut a stretch out of the middle of a signal.

    Parameters
    ----------
    wave : ndarray, (samples,)
        At 16 kHz.
    seconds : float
        Length of the stretch.

    Returns
    -------
    ndarray
        A view of so many seconds; of all if there is no more.

    Examples
    --------
    >>> middle(np.arange(48000), seconds=1.0)[[0, -1]]
    array([16000, 31999])
    """
    length = min(round(seconds * SAMPLE_RATE), len(wave))
    start = (len(wave) - length) // 2
    return wave[start : start + length]


def f0_agreement(
    wave: ArrayLike, signal: ArrayLike, semitones: float = 1.0
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of a recording's voiced frames in which a signal made from it has its F0.

    Parameters
    ----------
    wave, signal : array_like, (samples,)
        At 16 kHz, of one length. Contours are Praat's, every 10 ms.
    semitones : float
        How far F0 may be off. A frame in which the signal has no F0 does not agree.

    Returns
    -------
    share : float
        From 0 to 1; NaN where the recording is never voiced.
    times : ndarray, (frames,)
        In s.
    true, found : ndarray, (frames,)
        F0 of the recording and of the signal in Hz, NaN if unvoiced.

    Raises
    ------
    ParameterError
        For two lengths.

    See Also
    --------
    relviz.acoustics.f0_agreement : the same of two contours.

    References
    ----------
    Figure 6 of Muckenhirn et al. (2019), as a number.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> from relviz.corpora import vowel
    >>> wave = vowel(120, (500, 1500, 2500))
    >>> f0_agreement(wave, -3 * wave)[0]
    1.0
    """
    if np.shape(wave) != np.shape(signal):
        raise ParameterError(
            f"the wave has shape {np.shape(wave)}, the signal {np.shape(signal)}: give both whole."
        )
    times, true = acoustics.f0_contour(wave, SAMPLE_RATE)
    with warnings.catch_warnings():
        # a relevance signal need not be a voice
        warnings.simplefilter("ignore", acoustics.F0Warning)
        _, found = acoustics.f0_contour(signal, SAMPLE_RATE)
    return acoustics.f0_agreement(true, found, semitones).found, times, true, found


def identify(
    net: RawWaveformCNN,
    frames: Frames,
    classes: Sequence[str],
    change: Callable[[NDArray[np.float64]], NDArray] | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Ask a speaker network whose utterances these are, as recorded or changed.

    Is it the voice that a network tells, or the microphone? What makes all recordings alike in the
    one and leaves the other, such as `relviz.acoustics.equalise` to a common spectrum or
    `relviz.acoustics.telephone`, decides.

    Parameters
    ----------
    net : RawWaveformCNN
        A trained one, or a control.
    frames : Frames
        Of the utterances, labelled: one of the tests of `relviz.training.sets.speakers`.
    classes : sequence of str
        The speakers, in the order of the network's scores.
    change : callable, optional
        From the samples of an utterance at 16 kHz to as many.
    progress : bool
        Show a bar.

    Returns
    -------
    DataFrame
        One row an utterance: ``utterance``, ``speaker``, ``named`` and ``right``; ``margin``, how
        much likelier the speaker is than the best other, in nats a window.

    Raises
    ------
    ParameterError
        For a change that does not keep the length.

    Notes
    -----
    As in the network's own scores, log posteriors are summed over windows 50 ms apart.

    Examples
    --------
    >>> import tempfile
    >>> import relviz
    >>> from relviz.training.data import label_speakers, pack
    >>> net = relviz.load("speakers")
    >>> wave = np.random.default_rng(0).standard_normal(16000).astype(np.float32) / 10
    >>> said = [Utterance("a-0-0", net.metadata.classes[0], "0", samples=wave)]
    >>> frames = label_speakers(pack(said, tempfile.mkdtemp()), said, net.metadata.classes)
    >>> list(identify(net, frames, net.metadata.classes).columns)
    ['utterance', 'speaker', 'named', 'right', 'margin']
    """
    from tqdm.auto import tqdm

    audio = frames.audio
    numbers, first = np.unique(frames.utterances, return_index=True)
    rows = []
    for number, speaker in zip(
        tqdm(numbers, desc="speakers", unit="file", leave=False, disable=not progress),
        frames.labels[first],
        strict=True,
    ):
        wave = _wave(frames, number)
        changed = wave if change is None else np.asarray(change(wave))
        if changed.shape != wave.shape:
            raise ParameterError(
                f"the change makes {changed.shape} samples of {wave.shape}: keep the length."
            )
        starts = audio.centres(number)[::_EVERY] - net.window // 2
        total = torch.zeros(len(classes), dtype=torch.float64)
        with torch.inference_mode():
            for _, windows in batches(net, changed.astype(np.float32), starts, batch_size=256):
                scores = _engine.call(net, windows)
                total += scores.double().log_softmax(-1).sum(0).cpu()
        mean = (total / len(starts)).numpy()
        others = np.delete(mean, speaker)
        rows.append(
            {
                "utterance": audio.names[number],
                "speaker": classes[speaker],
                "named": classes[int(mean.argmax())],
                "right": bool(mean.argmax() == speaker),
                "margin": float(mean[speaker] - others.max()) if len(others) else np.inf,
            }
        )
    return pd.DataFrame(rows)


def changes(frames: Iterable[Frames]) -> dict[str, Callable[[NDArray[np.float64]], NDArray]]:
    """Return what recordings go through before a network is asked whose voice they hold.

    Parameters
    ----------
    frames : iterable of Frames
        Of all utterances that will be asked about, whose mean long-term average spectrum, in dB, is
        the one that all get.

    Returns
    -------
    dict of str to callable
        "as recorded", "one spectrum" (`relviz.acoustics.equalise`) and "telephone"
        (`relviz.acoustics.telephone`), each from an utterance's samples at 16 kHz to as many.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.training.data import label_speakers, pack
    >>> wave = np.random.default_rng(0).standard_normal(16000).astype(np.float32) / 10
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> list(changes([label_speakers(pack(said, tempfile.mkdtemp()), said, ("a",))]))
    ['as recorded', 'one spectrum', 'telephone']
    """
    spectra = [
        acoustics.long_term_spectrum(_wave(some, number), SAMPLE_RATE)
        for some in frames
        for number in np.unique(some.utterances)
    ]
    levels = np.mean(10 * np.log10(np.maximum(spectra, np.finfo(np.float64).tiny)), axis=0)
    target = 10 ** (levels / 10)
    return {
        "as recorded": lambda wave: wave,
        "one spectrum": lambda wave: acoustics.equalise(wave, SAMPLE_RATE, target),
        "telephone": lambda wave: acoustics.telephone(wave, SAMPLE_RATE),
    }


def _wave(frames: Frames, number: int) -> NDArray[np.float64]:
    start, length = frames.audio.starts[number], frames.audio.lengths[number]
    return np.asarray(frames.audio.samples[start : start + length] / 32768)


def mistakes(found: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Return how many mistakes name a speaker of the same group, and how many would by chance.

    Parameters
    ----------
    found : DataFrame
        Of `identify`.
    groups : mapping of str to str
        Speaker -> group, such as the corpus or the sex; every class of the network, or the
        mistakes that concern others are left out.

    Returns
    -------
    DataFrame
        One row: ``mistakes``, ``within`` (an interval, Wilson's; None without mistakes) and
        ``chance``, if any other speaker were named alike.

    Examples
    --------
    >>> rows = [("a", "b", False), ("a", "c", False), ("b", "b", True)]
    >>> found = pd.DataFrame(rows, columns=["speaker", "named", "right"])
    >>> table = mistakes(found, {"a": "F", "b": "F", "c": "M"})
    >>> table["within"][0].value, float(table["chance"][0])
    (0.5, 0.5)
    """
    wrong = found[~found["right"]]
    wrong = wrong[wrong["speaker"].isin(groups) & wrong["named"].isin(groups)]
    same = wrong["speaker"].map(groups) == wrong["named"].map(groups)
    sizes = Counter(groups.values())
    alike = [(sizes[groups[each]] - 1) / (len(groups) - 1) for each in wrong["speaker"]]
    within = statistics.wilson(float(same.mean()), len(wrong)) if len(wrong) else None
    return pd.DataFrame(
        {
            "mistakes": [len(wrong)],
            "within": [within],
            "chance": [float(np.mean(alike)) if alike else np.nan],
        }
    )


def voices(
    networks: Mapping[str, RawWaveformCNN], data: Data, progress: bool = False
) -> pd.DataFrame:
    """Ask networks whose voices the test utterances hold, through each of `changes`.

    Parameters
    ----------
    networks : mapping of str to RawWaveformCNN
        By name: trained on these speakers, or controls with as many classes.
    data : Data
        Of `relviz.training.sets.speakers`.
    progress : bool
        Show bars.

    Returns
    -------
    DataFrame
        Of `identify`, one row an utterance, network, and change, with columns ``network``, ``test``
        and ``recordings`` (the change).

    Raises
    ------
    ParameterError
        For a network of other speakers.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.networks import SPEAKER_CNN, build
    >>> from relviz.training.data import label_speakers, pack
    >>> noise = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32) / 10
    >>> said = [Utterance(f"{s}-0-0", s, "0", samples=w) for s, w in zip("ab", noise)]
    >>> frames = label_speakers(pack(said, tempfile.mkdtemp()), said, "ab")
    >>> data = Data(("a", "b"), frames, frames, {WITHIN: frames}, sexes={"a": "F", "b": "M"})
    >>> answers = voices({"untrained": build(SPEAKER_CNN, 2, seed=0)}, data)
    >>> len(answers), list(summary(answers, data)["recordings"])
    (6, ['as recorded', 'one spectrum', 'telephone'])
    """
    for name, net in networks.items():
        metadata = getattr(net, "metadata", None)
        if metadata is not None and metadata.classes != data.classes:
            raise ParameterError(
                f"{name} knows {len(metadata.classes)} other classes than the {len(data.classes)} "
                "speakers that are here: choose a network of these speakers."
            )
    # tests of one corpus hold nothing that these two do not
    tests = {test: data.tests[test] for test in (WITHIN, ACROSS) if test in data.tests}
    found = [
        identify(net, frames, data.classes, change, progress).assign(
            network=name, test=test, recordings=how
        )
        for how, change in changes(tests.values()).items()
        for test, frames in tests.items()
        for name, net in networks.items()
    ]
    return pd.concat(found, ignore_index=True)


def summary(answers: pd.DataFrame, data: Data) -> pd.DataFrame:
    """Return how often voices are told, and whom mistakes name.

    Parameters
    ----------
    answers : DataFrame
        Of `voices`.
    data : Data
        That was asked about.

    Returns
    -------
    DataFrame
        One row a network, test and change: ``right``, an `relviz.statistics.Interval` (Wilson's,
        over utterances), ``utterances``, ``mistakes``, and by sex, and by corpus where there are
        several, what `mistakes` says: ``within the sex`` and ``by chance (sex)``. Where there are
        several corpora each test comes for each corpus, too, unless all of it is of one.

    Examples
    --------
    Of two speakers, one of whom is told:

    >>> rows = [("a", "a", True), ("b", "a", False)]
    >>> answers = pd.DataFrame(rows, columns=["speaker", "named", "right"])
    >>> answers = answers.assign(network="mine", test=WITHIN, recordings="as recorded")
    >>> table = summary(answers, Data(("a", "b"), None, None, {}, sexes={"a": "F", "b": "F"}))
    >>> table["right"][0].value, float(table["by chance (sex)"][0])
    (0.5, 1.0)
    """
    corpus = {each: each.partition(":")[0] for each in data.classes if ":" in each}
    groups = {"sex": data.sexes} | ({"corpus": corpus} if corpus else {})
    rows = []
    for (name, test), some in answers.groupby(["network", "test"], sort=False):
        parts = {test: some}
        for each in dict.fromkeys(corpus.values()):
            mine = some[some["speaker"].map(corpus) == each]
            parts |= {f"{test}, {each}": mine} if 0 < len(mine) < len(some) else {}
        for part, asked in parts.items():
            for how, found in asked.groupby("recordings", sort=False):
                right = statistics.wilson(float(found["right"].mean()), len(found))
                row = dict(network=name, test=part, recordings=how, right=right)
                row |= dict(utterances=len(found), mistakes=int((~found["right"]).sum()))
                for group, members in groups.items():
                    (missed,) = mistakes(found, members).to_dict("records")
                    row[f"within the {group}"] = missed["within"]
                    row[f"by chance ({group})"] = missed["chance"]
                rows.append(row)
    return pd.DataFrame(rows)


def kept() -> pd.DataFrame:
    """Return what `relviz evaluate speakers` found of the shipped networks, as it wrote it.

    Returns
    -------
    DataFrame
        The table of `summary`, by way of `flat`; the recordings are not needed.

    Notes
    -----
    Explained in chapter 7 of the book.

    Examples
    --------
    >>> kept()["network"].unique().tolist()
    ['speakers-0', 'speakers-1', 'speakers-2', 'speakers-shuffled-0', 'untrained']
    """
    return pd.read_csv(_KEPT)


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """Write a table's intervals as columns, such as ``right``, ``right_low`` and ``right_high``.

    Parameters
    ----------
    table : DataFrame
        Of `summary`, or of `relviz.studies.cues.table`.

    Returns
    -------
    DataFrame
        Of numbers and texts alone, for a file; NaN where there is no interval.

    Examples
    --------
    >>> from relviz.statistics import Interval
    >>> flat(pd.DataFrame({"right": [Interval(0.5, 0.25, 0.75)], "utterances": [8]}))
       right  right_low  right_high  utterances
    0    0.5       0.25        0.75           8
    """
    columns: dict[str, Iterable[object]] = {}
    for name, values in table.items():
        empty = str(name).startswith("within the")  # an interval, where there was a mistake
        if empty or any(isinstance(each, statistics.Interval) for each in values):
            for end, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                columns[f"{name}{suffix}"] = [getattr(each, end, np.nan) for each in values]
        else:
            columns[str(name)] = values
    return pd.DataFrame(columns)
