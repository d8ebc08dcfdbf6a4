"""When each phone is spoken, by forced alignment with pocketsphinx.

Its wheel carries a model of US English: Gaussian mixtures over 25 ms frames, 10 ms apart, and the
CMU pronouncing dictionary. How far the times are off is measured against labels by hand
(`relviz.studies.hand`), and in synthetic speech: `python benchmarks/alignment.py`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import importlib.util
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relviz import files, tasks
from relviz._extras import require
from relviz.audio import SAMPLE_RATE
from relviz.corpora import store
from relviz.corpora.corpus import CorpusError
from relviz.corpora.pronunciations import Pronunciations
from relviz.corpora.speech import PHONES, Alignment, Span, Utterance

__all__ = [
    "Alignments",
    "align",
    "boundary_errors",
    "common_boundaries",
    "pronounceable",
    "readable",
]

_FRAME = 0.01
"""Seconds from one of pocketsphinx's frames to the next."""

_OFFSET = (0.025625 - _FRAME) / 2
"""Seconds from a frame's first sample to where it begins to be the frame that is nearest."""

_BEAM = 1e-100
"""How much less likely than the best a path may become before it is given up."""

_FORMAT = 3
"""Raise it when the same audio and text would give other times: the cache is then not used."""


@dataclass(frozen=True)
class Alignments:
    """What forced alignment gave.

    Parameters
    ----------
    spans : mapping of str to tuple of Span
        Utterance's name -> its phones, one of `relviz.corpora.PHONES` each, without gaps from 0 to
        the end.
    skipped : mapping of str to str
        Utterance's name -> why it has none.

    Examples
    --------
    >>> Alignments({}, {"19-198-0001": "no transcript"}).skipped
    {'19-198-0001': 'no transcript'}
    """

    spans: Mapping[str, Alignment]
    skipped: Mapping[str, str]


def align(
    utterances: Iterable[Utterance],
    jobs: int = -1,
    cache: Path | str | None = None,
    progress: bool = False,
    dictionary: Pronunciations | None = None,
) -> Alignments:
    """Find when each phone of each utterance is spoken.

    Parameters
    ----------
    utterances : iterable of Utterance
        Of one corpus. Those without text, with words that the dictionary lacks, or whose text
        cannot be fitted to the sound are skipped and named. An utterance's times do not depend on
        the others.
    jobs : int
        Processes, -1 for one a core.
    cache : Path or str, optional
        Folder of finished alignments, one file each, found again by sound, text and version of
        pocketsphinx; default, in the user's cache. What is done stays after a failure or Ctrl-C;
        what is no longer as it was written is made again, with a warning.
    progress : bool
        Show a tqdm bar.
    dictionary : mapping of str to tuple of str, optional
        Words of your own, from `relviz.corpora.pronunciations.read`. They come before those of
        pocketsphinx's dictionary.

    Returns
    -------
    Alignments
        In the order of the utterances.

    Raises
    ------
    AudioError
        For a recording that cannot be read.
    CorpusError
        For two utterances of one name.
    WriteError
        For a cache that cannot be written.
    MissingExtraError
        Without pocketsphinx.

    Notes
    -----
    Chapter 6 of the book, phone classification, learns from such alignments.

    Examples
    --------
    >>> mute = Utterance("19-198-0001", "19", "198")
    >>> align([mute]).skipped
    {'19-198-0001': 'no transcript'}
    """
    utterances = tuple(utterances)
    require("pocketsphinx")
    folder = Path(cache).expanduser() if cache else store.cache() / "alignments"
    spans: dict[str, Alignment] = {}
    skipped: dict[str, str] = {}
    own = dictionary or {}
    todo: list[tuple[Utterance, tuple[str, ...], Path]] = []
    if len({utterance.name for utterance in utterances}) < len(utterances):
        raise CorpusError("Two utterances have the same name: align one corpus at a time.")
    for utterance in utterances:
        words, _, why = readable(utterance.text, own)
        if why:
            skipped[utterance.name] = why
            continue
        words = tuple(_alias(word, own[word]) if word in own else word for word in words)
        path = folder / f"{_key(utterance, words)}.tsv"
        kept = _read(path) if path.exists() else None
        if kept is not None:
            spans[utterance.name] = kept
        else:
            todo.append((utterance, words, path))
    if damaged := sum(path.exists() for _, _, path in todo):
        warnings.warn(
            f"{damaged} of the alignments in {folder} are damaged: they are made again.",
            stacklevel=2,
        )
    for name, found in _run(todo, jobs, progress):
        if found is None:
            skipped[name] = "the text does not fit the sound"
        else:
            spans[name] = found
    names = [utterance.name for utterance in utterances]
    return Alignments(
        {name: spans[name] for name in names if name in spans},
        {name: skipped[name] for name in names if name in skipped},
    )


def readable(
    text: str | None, dictionary: Pronunciations | None = None
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Say which words of an utterance can be aligned, and why it is left out if it is.

    Parameters
    ----------
    text : str or None
        What is said, if there is a transcript.
    dictionary : mapping of str to tuple of str, optional
        Words of your own besides.

    Returns
    -------
    words, unknown : tuple of str
        As `pronounceable` has them.
    why : str
        "" where it is not left out.

    Examples
    --------
    >>> readable(None)
    ((), (), 'no transcript')
    """
    if text is None:
        return (), (), "no transcript"
    words, unknown = pronounceable(text, dictionary)
    if unknown:
        return words, unknown, f"not in the dictionary: {', '.join(unknown)}"
    return words, unknown, "" if words else "no words"


def pronounceable(
    text: str, dictionary: Pronunciations | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a text into the words of pocketsphinx's dictionary, and those that it lacks.

    Parameters
    ----------
    text : str
        What is said.
    dictionary : mapping of str to tuple of str, optional
        Words of your own besides.

    Returns
    -------
    words, unknown : tuple of str
        In lower case; apostrophes and hyphens stay where the dictionary has them.

    Examples
    --------
    >>> pronounceable("John's GHOST, a Jabberwock")
    (("john's", 'ghost', 'a'), ('jabberwock',))
    """
    words: list[str] = []
    unknown: list[str] = []

    def known(word: str) -> bool:
        return word in _dictionary() or word in (dictionary or {})

    for token in re.findall(r"[^\W_][\w'-]*|'\w[\w'-]*", text.lower().replace("’", "'")):
        stripped = token.strip("'-")
        parts = stripped.split("-")
        if known(token):
            words.append(token)
        elif known(stripped):
            words.append(stripped)
        elif all(map(known, parts)):
            words += parts
        else:
            unknown.append(token)
    return tuple(words), tuple(unknown)


def boundary_errors(known: Alignment, found: Alignment) -> NDArray[np.float64]:
    """Return how late, in seconds, `found` puts the boundaries between the phones of `known`.

    Compared are the boundaries between two phones, neither of them silence, that follow each other
    in both alignments; where a word is pronounced otherwise, nothing is compared.

    Parameters
    ----------
    known, found : tuple of Span
        Two alignments of one utterance.

    Returns
    -------
    ndarray of float64, (boundaries,)
        Positive where `found` is late.

    Examples
    --------
    >>> known = (Span(0.0, 0.25, "AH"), Span(0.25, 0.5, "N"))
    >>> found = (Span(0.0, 0.375, "AH"), Span(0.375, 0.5, "N"))
    >>> boundary_errors(known, found)
    array([0.125])
    """
    errors = [
        late for left, right, late in common_boundaries(known, found) if "SIL" not in (left, right)
    ]
    return np.array(errors, dtype=np.float64)


def common_boundaries(known: Alignment, found: Alignment) -> list[tuple[str, str, float]]:
    """Return the boundaries between two phones that follow each other in both alignments.

    Parameters
    ----------
    known, found : tuple of Span
        Two alignments of one utterance. Where a word is pronounced otherwise there is no common
        boundary.

    Returns
    -------
    list of (str, str, float)
        The phone before, the phone after, silence among them, and how late, in seconds, `found`
        puts what is between them.

    Examples
    --------
    >>> known = (Span(0.0, 0.25, "SIL"), Span(0.25, 0.5, "N"))
    >>> found = (Span(0.0, 0.375, "SIL"), Span(0.375, 0.5, "N"))
    >>> common_boundaries(known, found)
    [('SIL', 'N', 0.125)]
    """
    first, second = [span.label for span in known], [span.label for span in found]
    blocks = difflib.SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    return [
        (*first[here - 1 : here + 1], found[there].start - known[here].start)  # type: ignore[misc]
        for block in blocks
        for here, there in zip(
            range(block.a + 1, block.a + block.size),
            range(block.b + 1, block.b + block.size),
            strict=True,
        )
    ]


def _run(
    todo: list[tuple[Utterance, tuple[str, ...], Path]], jobs: int, progress: bool
) -> list[tuple[str, Alignment | None]]:
    """Align by several workers, each of which writes what it has done."""
    if not todo:
        return []
    folder = todo[0][2].parent
    files.sweep(files.folder(folder), age=files.ABANDONED)
    work = tasks.run(
        _align_into, todo, jobs=jobs, progress=progress, title="alignment", unit="file"
    )
    return list(work)


def _align_into(task: tuple[Utterance, tuple[str, ...], Path]) -> tuple[str, Alignment | None]:
    """Align one utterance and write the file; (name, None) if that is not possible."""
    utterance, words, path = task
    found = _align(utterance.wave(), words)
    if found is not None:
        text = "".join(f"{start!r}\t{end!r}\t{label}\n" for start, end, label in found)
        files.write_text(path, f"{text}{_check(path, text)}\n")
    return utterance.name, found


def _alias(word: str, ways: tuple[str, ...]) -> str:
    """Write a word of one's own as one that tells how it is said: pocketsphinx forgets no word."""
    return f"{word}={'|'.join(way.replace(' ', '_') for way in ways)}"


def _teach(decoder: Any, words: tuple[str, ...]) -> None:
    """Let the recogniser know words that `_alias` wrote."""
    for alias in dict.fromkeys(words):
        _, marked, ways = alias.partition("=")
        if marked and decoder.lookup_word(alias) is None:
            for number, way in enumerate(ways.split("|"), 1):
                name = alias if number == 1 else f"{alias}({number})"
                decoder.add_word(name, way.replace("_", " "), True)


def _align(wave: NDArray[np.float32], words: tuple[str, ...]) -> Alignment | None:
    """Two passes: where the words are, then where their phones are."""
    decoder = _decoder()
    _teach(decoder, words)
    sound = (np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()
    try:
        decoder.set_align_text(" ".join(words))
        _decode(decoder, sound)
        decoder.set_alignment()
        _decode(decoder, sound)
        found = decoder.get_alignment()
    except RuntimeError:  # all that pocketsphinx says is that it failed
        return None
    if found is None:
        return None
    starts: list[float] = []
    labels: list[str] = []
    for word in found:  # an entry is valid only until the next one is asked for
        for phone in word:
            label = phone.name if phone.name in PHONES else "SIL"  # noises are no phones
            if label != "SIL" or labels[-1:] != ["SIL"]:
                starts.append(round(phone.start * _FRAME + _OFFSET, 4) if starts else 0.0)
                labels.append(label)
    ends = [*starts[1:], len(wave) / SAMPLE_RATE]
    return tuple(map(Span, starts, ends, labels))


def _decode(decoder: Any, sound: bytes) -> None:
    decoder.reinit_feat()  # else the first frames depend on the utterance before
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


@lru_cache(maxsize=1)
def _decoder() -> Any:
    """Load the recogniser, once a process."""
    require("pocketsphinx")
    import pocketsphinx

    return pocketsphinx.Decoder(
        lm=None,
        cmn="batch",  # the mean of this utterance, not of those before it
        bestpath=False,  # its lattice gives phones impossible durations and loses words
        beam=_BEAM,
        pbeam=_BEAM,
        wbeam=_BEAM,
        loglevel="FATAL",
    )


@lru_cache(maxsize=1)
def _dictionary() -> frozenset[str]:
    """Return every word that pocketsphinx can pronounce."""
    require("pocketsphinx")
    import pocketsphinx

    path = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(line.partition(" ")[0] for line in lines)


def _key(utterance: Utterance, words: tuple[str, ...]) -> str:
    """Return the name under which an alignment is kept: sound, words and version."""
    version = f"{_FORMAT} {importlib.metadata.version('pocketsphinx')} {' '.join(words)}\0"
    content = utterance.path.read_bytes() if utterance.path else utterance.wave().tobytes()
    return hashlib.sha256(version.encode() + content).hexdigest()


def _check(path: Path, text: str) -> str:
    """Return a digest of what is kept and of its name, which says of what it is the alignment."""
    return hashlib.sha256(f"{path.name}\n{text}".encode()).hexdigest()


def _read(path: Path) -> Alignment | None:
    """Read a kept alignment; None if it is not as it was written."""
    try:
        *lines, check = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if check.strip() != _check(path, "".join(lines)):
            return None
        rows = [line.rstrip("\n").split("\t") for line in lines]
        return tuple(Span(float(start), float(end), label) for start, end, label in rows)
    except (OSError, ValueError):
        return None
