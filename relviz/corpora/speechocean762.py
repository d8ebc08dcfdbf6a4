"""speechocean762: English sentences read by speakers of Mandarin, children and adults.

J. Zhang et al., "speechocean762: An Open-Source Non-native English Speech Corpus For Pronunciation
Assessment", Interspeech 2021, doi:10.21437/Interspeech.2021-1259. Its README makes it free "for
both commercial and non-commercial purposes"; OpenSLR has it as resource 101.

No SHA-256 of that archive or of the wav files in it could be computed for this package. Those in
its list are of the samples of six recordings of each of the 128 adults, taken from a copy in FLAC:
they check these recordings in either format, and a folder that has them all counts as complete. The
other recordings and the tables come unchecked; Kaldi's recipe gives 520 810 923 bytes for the
archive. The scores of pronunciation are neither unpacked nor read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from relviz.audio import shown
from relviz.corpora import store, synthetic
from relviz.corpora.corpus import Corpus, CorpusError, Source
from relviz.corpora.digests import other_formats
from relviz.corpora.speech import SpeechCorpus, Utterance, read_text
from relviz.corpora.splits import in_order

__all__ = ["ADULT", "CORPUS", "PARTS", "utterances"]

_HALVES = ("train", "test")

PARTS = (*_HALVES, "adults", "children")
"""What one may ask for: its two halves, and two groups of speakers from both."""

ADULT = 18
"""Years from which on a speaker is one of the adults."""

_SESSION = "0"
"""Nothing is said of sittings: all that a speaker reads counts as one."""

T = TypeVar("T")


def utterances(
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    download: bool = False,
    progress: bool = False,
) -> SpeechCorpus:
    """Load speechocean762, or synthetic voices if there are no recordings.

    Nothing is read but the tables, which are Kaldi's.

    Parameters
    ----------
    parts : sequence of str, optional
        Of `PARTS`; an utterance that is in one of them is loaded. Default, all that are here.
    root : Path or str, optional
        The folder speechocean762, or the one it lies in; default, what RELVIZ_DATA names, else the
        user's cache.
    download, progress : bool
        Fetch it into the cache if nothing is found, with a bar.

    Returns
    -------
    SpeechCorpus
        Utterances by name, with capitals as text, `part` "train" or "test", one session a speaker,
        and the speaker's sex and age.

    Raises
    ------
    CorpusError
        For an unknown part or one without recordings, a broken or missing table, and for what
        `relviz.corpora.store.locate` raises.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "WAVE" / "SPEAKER0036").mkdir(parents=True)
    >>> (root / "WAVE" / "SPEAKER0036" / "000360034.WAV").touch()
    >>> (root / "train").mkdir()
    >>> for name, line in {
    ...     "wav.scp": "000360034 WAVE/SPEAKER0036/000360034.WAV",
    ...     "utt2spk": "000360034 0036",
    ...     "text": "000360034 WE SPEAK OUT",
    ...     "spk2age": "0036 21",
    ...     "spk2gender": "0036 f",
    ... }.items():
    ...     _ = (root / "train" / name).write_text(line)
    >>> (found,) = utterances(["adults"], root).utterances
    >>> found.text, found.speaker, found.sex, found.age
    ('WE SPEAK OUT', '0036', 'F', 21)
    """
    parts = (parts,) if isinstance(parts, str) else parts
    for part in parts or ():
        if part not in PARTS:
            raise CorpusError(
                f"There is no part {part!r} of speechocean762: choose from {', '.join(PARTS)}."
            )
    source = store.locate(CORPUS, download, progress, root)
    if source is None or source.folder is None:
        return SpeechCorpus(synthetic.spoken(), Source("synthetic", None, CORPUS))
    folder = source.folder
    halves = [folder / half for half in _HALVES if (folder / half).is_dir()]
    found = [each for half in halves for each in _half(half) if _wanted(each, parts)]
    if not found:
        raise CorpusError(
            f"{shown(folder)} holds no recording of {' or '.join(parts or _HALVES)} that its "
            f"tables name (train/wav.scp and so on): {store.remedy(CORPUS, folder)}."
        )
    return SpeechCorpus(tuple(sorted(found, key=lambda each: in_order(each.name))), source)


def _wanted(utterance: Utterance, parts: Sequence[str] | None) -> bool:
    group = "adults" if (utterance.age or 0) >= ADULT else "children"
    return parts is None or utterance.part in parts or group in parts


def _half(half: Path) -> list[Utterance]:
    """List the utterances of one half whose recordings are here, as wav or FLAC."""
    paths = _table(half, "wav.scp", _path)
    speakers, texts = _who(half), _table(half, "text", str) if (half / "text").is_file() else {}
    sexes, ages = _table(half, "spk2gender", _sex), _table(half, "spk2age", _age)
    _covers(half / "utt2spk", speakers, paths)
    for table, has in (("spk2gender", sexes), ("spk2age", ages)):
        _covers(half / table, has, (speakers[name] for name in paths))
    here = {name: _recording(half.parent, inside) for name, inside in paths.items()}
    return [
        Utterance(
            name=name,
            speaker=speakers[name],
            session=_SESSION,
            path=path,
            text=texts.get(name),
            part=half.name,
            sex=sexes[speakers[name]],
            age=ages[speakers[name]],
        )
        for name, path in here.items()
        if path is not None
    ]


def _recording(folder: Path, inside: str) -> Path | None:
    """Return a recording that a table names, in either format; None where it is not here."""
    try:
        return next((each for each in other_formats(folder / inside) if each.is_file()), None)
    except OSError:  # a name that is too long for one
        return None


def _who(half: Path) -> dict[str, str]:
    """Read utterance -> speaker, from whichever of Kaldi's two tables is here."""
    if (half / "utt2spk").is_file() or not (half / "spk2utt").is_file():
        return _table(half, "utt2spk", _word)
    spoken = _table(half, "spk2utt", str.split)
    return {name: speaker for speaker, names in spoken.items() for name in names}


def _table(half: Path, name: str, means: Callable[[str], T]) -> dict[str, T]:
    """Read one of Kaldi's tables: a key and what it stands for, line by line."""
    path, way = half / name, store.remedy(CORPUS, half.parent)
    if not path.is_file():
        raise CorpusError(f"{shown(path)} is not here: {way}.")
    found: dict[str, T] = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        key, *value = line.split(maxsplit=1) or [""]
        if not key:
            continue
        try:
            meaning = means(value[0].strip())
        except (LookupError, ValueError):
            raise CorpusError(
                f"{shown(path)}, line {number}, is not {_FORMS[name]}: {way}."
            ) from None
        if key in found:
            raise CorpusError(f"{shown(path)}, line {number}, names {key!r} once more: {way}.")
        found[key] = meaning
    return found


_FORMS = {
    "wav.scp": "an utterance and a path below the corpus's folder",
    "utt2spk": "an utterance and its speaker",
    "spk2utt": "a speaker and utterances",
    "text": "an utterance and a text",
    "spk2age": "a speaker and an age",
    "spk2gender": "a speaker and m or f",
}


def _path(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or text.endswith("|"):
        raise ValueError(text)
    return text


def _word(text: str) -> str:
    (word,) = text.split()
    return word


def _age(text: str) -> int:
    age = int(text)
    if not 0 < age < 130:
        raise ValueError(text)
    return age


def _sex(text: str) -> str:
    return {"f": "F", "m": "M"}[text.lower()]


def _covers(table: Path, has: Collection[str], needed: Iterable[str]) -> None:
    """Refuse a table that lacks somebody, or something, whom another one names."""
    for name in needed:
        if name not in has:
            way = store.remedy(CORPUS, table.parents[1])
            raise CorpusError(f"{shown(table)} says nothing of {name!r}: {way}.")


def _named(items: Sequence[Utterance], folder: Path) -> Iterator[str]:
    """Name the recordings that the halves' tables speak of and that are not here."""
    for half in sorted({each.part for each in items}):
        for inside in _table(folder / half, "wav.scp", _path).values():
            if _recording(folder, inside) is None:
                yield inside


CORPUS = Corpus(
    name="speechocean762",
    title="speechocean762 (Zhang et al., 2021)",
    folder="speechocean762",
    licence='free "for both commercial and non-commercial purposes" (its README)',
    open=True,
    load=utterances,
    size="521 MB, 250 speakers of Mandarin who read English",
    addresses={".tar.gz": "https://www.openslr.org/resources/101/"},
    archive="speechocean762.tar.gz",
    most=1_500_000_000,
    pattern="WAVE/SPEAKER*/*.[wWfF]*",
    samples=True,
    unlisted=r"README[.\w]*|(train|test)/spk2utt|WAVE/SPEAKER\d{4}/\d{9}\.(WAV|wav)",
    named=_named,
    credit="speechocean762 (Zhang et al., 2021, 10.21437/Interspeech.2021-1259), English read by "
    'speakers of Mandarin, free "for both commercial and non-commercial purposes"',
)
"""What the registry knows of it."""
