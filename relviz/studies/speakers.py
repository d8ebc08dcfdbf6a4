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
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz import acoustics, corpora
from relviz._errors import ParameterError
from relviz.audio import SAMPLE_RATE
from relviz.corpora import CorpusError, Utterance
from relviz.training.sets import SESSION

__all__ = ["f0_agreement", "middle", "panel"]


def panel(utterances: Iterable[Utterance], known: Iterable[str] | None = None) -> list[Utterance]:
    """Choose one utterance of each speaker, out of those that no training has heard.

    The rule is that of `relviz.training.sets.speakers`: of sessions with at least two utterances,
    the utterances that `relviz.corpora.split_utterances` holds out; each speaker's first is taken.

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
    ['7-1-0005']
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
