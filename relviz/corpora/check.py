"""What of a corpus can be used: everything in it, read once.

Training reads what it needs when it needs it, so that what is wrong with a recording shows hours
later. `check` opens every recording and annotation, measures it, and says of each that cannot be
used, or that the phone study would leave out, why.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from relviz import audio, tasks
from relviz._errors import RelvizError
from relviz._extras import require
from relviz._text import printable
from relviz.corpora import aev, registry, store, timit
from relviz.corpora.alignment import readable
from relviz.corpora.corpus import Corpus, CorpusError, Source
from relviz.corpora.pronunciations import Pronunciations
from relviz.corpora.speech import SpeechCorpus, Utterance
from relviz.corpora.tokens import Vowel

__all__ = ["Recording", "Report", "check"]

_WRONG = "cannot be used"

CLIPPED = 0.999
"""Of full scale: three samples in a row beyond it were cut off."""


@dataclass(frozen=True)
class Recording:
    """What reading one recording showed.

    Parameters
    ----------
    name : str
        Of the utterance or token.
    seconds : float
        How long it is; NaN where it cannot be read, as `level`.
    sample_rate : int
        Hz, of the file.
    level : float
        Root mean square in dB of full scale.
    clipped : float
        Share of samples in runs of three or more at full scale.
    wrong : str
        Why it cannot be used; "" where it can.
    notes : tuple of str
        What reading it warned of.

    Examples
    --------
    >>> Recording("a", 1.5, 16000, -20.0, 0.0).wrong
    ''
    """

    name: str
    seconds: float = float("nan")
    sample_rate: int = 0
    level: float = float("nan")
    clipped: float = 0.0
    wrong: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """What of a corpus is here, and what of that can be used.

    Parameters
    ----------
    source : Source
        Where it was found.
    recordings : tuple of Recording
        All that were read, in the order of the corpus.
    speakers : int
        How many there are.
    missing : tuple of str
        Files that a list or a transcript names and that are not here.
    changed : tuple of str
        Files with another SHA-256 than the listed one.
    skipped : mapping of str to str
        Utterance -> why the phone study would leave it out.
    unknown : mapping of str to int
        Word that is in no dictionary -> how often it is said.

    Examples
    --------
    >>> report = Report(Source("synthetic"), (Recording("a", wrong="a is silent."),), 1)
    >>> report.usable, report.lines()[-1]
    (False, 'cannot be used     1: a is silent.')
    """

    source: Source
    recordings: tuple[Recording, ...]
    speakers: int
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether all that is here can be used; what is not here does not count."""
        return not self.changed and not any(each.wrong for each in self.recordings)

    def lines(self, most: int | None = None) -> list[str]:
        """Say it all, a line a thing; of a kind at most `most`, but for what cannot be used."""
        read = [each for each in self.recordings if not np.isnan(each.seconds)]
        hours = sum(each.seconds for each in read) / 3600
        found = [f"{len(self.recordings)} recordings of {self.speakers} speakers, {hours:.2f} h"]
        if read:
            found.append(_row("seconds", _range([each.seconds for each in read], ".1f")))
            rates = Counter(each.sample_rate for each in read)
            found.append(
                _row("sample rates", ", ".join(f"{r} Hz: {n}" for r, n in sorted(rates.items())))
            )
            found.append(_row("levels, dBFS", _range([each.level for each in read], ".1f")))
        cut = [f"{each.name} ({each.clipped:.2%})" for each in read if each.clipped]
        notes = [note for each in self.recordings for note in each.notes]
        left = [f"{name}: {why}" for name, why in self.skipped.items()]
        words = [f"{word} ({count})" for word, count in self.unknown.items()]
        wrong = [each.wrong for each in self.recordings if each.wrong]
        wrong += [f"{name} has another SHA-256 than the listed one." for name in self.changed]
        for title, several in (
            ("clipped", cut),
            ("warnings", notes),
            ("missing files", list(self.missing)),
            ("unknown words", words),
            ("left out of phones", left),
            (_WRONG, wrong),
        ):
            found.append(_row(title, f"{len(several)}{':' if several else ''}"))
            if len(several) == 1:
                found[-1] += f" {several[0]}"
            else:
                end = None if title == _WRONG else most
                found += [f"  {each}" for each in several[:end]]
                if end is not None and len(several) > end:
                    found.append(f"  and {len(several) - end} more")
        return [printable(line) for line in found]


def check(
    corpus: str | Corpus,
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    dictionary: Pronunciations | None = None,
    jobs: int = -1,
    progress: bool = False,
) -> Report:
    """Read a corpus once, as far as it is here, and say what of it can be used.

    Parameters
    ----------
    corpus : str or Corpus
        One of `relviz.corpora.CORPORA`.
    parts : sequence of str, optional
        As in `relviz.corpora.load`; default, all that are here.
    root : Path or str, optional
        Where it is; default, what RELVIZ_DATA names, else the user's cache.
    dictionary : mapping of str to tuple of str, optional
        Words of your own, see `relviz.corpora.pronunciations.read`.
    jobs : int
        Processes, -1 for one a core.
    progress : bool
        Show a bar.

    Returns
    -------
    Report
        Recordings, levels, and what is missing or wrong.

    Raises
    ------
    CorpusError
        Where there are no recordings, and where the corpus cannot even be listed, as for a broken
        transcript.

    Examples
    --------
    >>> import tempfile
    >>> check("mini-librispeech", root=tempfile.mkdtemp())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    relviz.corpora.corpus.CorpusError: ...
    """
    record = registry.find(corpus)
    loaded = _loaded(record, parts, root)
    source: Source = loaded.source
    if source.folder is None:
        way = f"run `relviz data fetch {record.name}`" if record.addresses else "name its folder"
        raise CorpusError(f"{record.title} is not here, so there is nothing to check: {way}.")
    speech = isinstance(loaded, SpeechCorpus)
    items: tuple[Any, ...] = loaded.utterances if speech else loaded.tokens
    labelled = speech and record.name.startswith("timit")
    read = tasks.run(
        partial(_read, labelled=labelled),
        items,
        jobs=jobs,
        progress=progress,
        title=record.name,
        unit="file",
    )
    skipped, unknown = _skipped(items, dictionary) if speech and not labelled else ({}, Counter())
    talkers = {each.speaker if speech else each.talker for each in items}
    named = record.named(items, source.folder) if record.named else ()
    absent = [*store.missing(record, source.folder), *named]
    return Report(
        source,
        tuple(read),
        len(talkers),
        tuple(dict.fromkeys(absent)),
        tuple(store.verify(record, source.folder)),
        skipped,
        dict(unknown.most_common()),
    )


def _loaded(record: Corpus, parts: Sequence[str] | None, root: Path | str | None) -> Any:
    """List a corpus; of the vowels, whose loader asks for all of them, those that are here."""
    source = store.locate(record, root=root) if record.name == "aev" and parts is None else None
    if source is None or source.folder is None:
        return registry.load(record, parts, root)
    return aev.present(source)


def _read(item: Any, labelled: bool) -> Recording:
    """Open one recording, and its annotation."""
    require("pandas")  # as every reader of recordings here
    import soundfile

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            wave = item.wave()
            if labelled:
                timit.alignment(item)
            if isinstance(item, Vowel):
                aev.check_length(item)
        except (RelvizError, OSError) as error:
            return Recording(item.name, wrong=str(error))
    notes = tuple(str(each.message) for each in caught if each.category is UserWarning)
    try:
        with item.path.open("rb") as file:
            rate = int(soundfile.info(file).samplerate)
    except (OSError, soundfile.LibsndfileError):
        rate = audio.SAMPLE_RATE  # what another decoder made of it
    level = 10 * np.log10(np.mean(np.square(wave, dtype=np.float64)))
    seconds = len(wave) / audio.SAMPLE_RATE
    return Recording(item.name, seconds, rate, float(level), _clipped(wave), notes=notes)


def _clipped(wave: np.ndarray) -> float:
    """Return the share of samples in runs of three or more at full scale."""
    full = np.abs(wave) >= CLIPPED
    edges = np.flatnonzero(np.diff(np.concatenate([[0], full, [0]])))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= 3].sum() / len(wave))


def _skipped(
    utterances: Sequence[Utterance], dictionary: Pronunciations | None
) -> tuple[dict[str, str], Counter[str]]:
    """Say what forced alignment would leave out for its text, and count unknown words."""
    skipped: dict[str, str] = {}
    unknown: Counter[str] = Counter()
    for each in utterances:
        _, lacking, why = readable(each.text, dictionary)
        unknown.update(lacking)
        if why:
            skipped[each.name] = why
    return skipped, unknown


def _row(title: str, text: str) -> str:
    return f"{title:<19}{text}"


def _range(values: Sequence[float], form: str) -> str:
    low, middle, high = np.percentile(values, [0, 50, 100])
    return f"{low:{form}} to {high:{form}}, median {middle:{form}}"
