"""LibriSpeech: read English, with transcripts; also mini LibriSpeech, its small subset.

V. Panayotov, G. Chen, D. Povey and S. Khudanpur, "Librispeech: an ASR corpus based on public
domain audio books", ICASSP 2015, doi:10.1109/ICASSP.2015.7178964. CC BY 4.0.
`relviz data fetch mini-librispeech` downloads train-clean-5 from OpenSLR, resource 31.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from relviz.corpora import store, synthetic
from relviz.corpora.corpus import Corpus, CorpusError, Source
from relviz.corpora.speech import SpeechCorpus, Utterance, read_text
from relviz.corpora.splits import in_order

__all__ = ["CORPUS", "utterances"]


def utterances(
    parts: Sequence[str] | None = ("train-clean-5",),
    root: Path | str | None = None,
    download: bool = False,
    progress: bool = False,
) -> SpeechCorpus:
    """Load parts of LibriSpeech, or synthetic voices if there are no recordings.

    Nothing is read but names and transcripts.

    Parameters
    ----------
    parts : sequence of str, or None
        Such as ("train-clean-100", "dev-clean"); None, every part that is here.
    root : Path or str, optional
        The folder LibriSpeech, or the one it lies in; default, what RELVIZ_DATA names, else the
        user's cache.
    download, progress : bool
        Fetch mini LibriSpeech into the cache if nothing is found, with a bar.

    Returns
    -------
    SpeechCorpus
        Utterances by speaker, chapter and number; text is in capitals as in the transcripts, and
        None where there is no transcript; sex is that of SPEAKERS.TXT, where it is there.

    Raises
    ------
    CorpusError
        For a part that is not here, a transcript with a broken line, a root without LibriSpeech,
        and for what `relviz.corpora.store.locate` raises.

    Notes
    -----
    Chapter 7 of the book, speaker identification, hears them.

    Examples
    --------
    >>> import tempfile
    >>> part = Path(tempfile.mkdtemp()) / "LibriSpeech" / "dev-clean"
    >>> (part / "84" / "121123").mkdir(parents=True)
    >>> (part / "84" / "121123" / "84-121123-0000.flac").touch()
    >>> corpus = utterances(("dev-clean",), part.parent.parent)
    >>> [(each.speaker, each.session) for each in corpus.utterances]
    [('84', '121123')]
    """
    parts = (parts,) if isinstance(parts, str) else parts
    source = store.locate(CORPUS, download, progress, root)
    if source is None or source.folder is None:
        return SpeechCorpus(synthetic.spoken(), Source("synthetic", None, CORPUS))
    folder = source.folder
    here = sorted(path.name for path in folder.iterdir() if path.is_dir())
    parts = here if parts is None else parts
    for part in parts:
        if part not in here:
            raise CorpusError(
                f"{folder} has no part {part!r}: choose from {', '.join(here)}, or "
                f"{store.remedy(CORPUS, folder)}."
            )
    sexes = _sexes(folder / "SPEAKERS.TXT")
    found = [
        replace(utterance, sex=sexes.get(utterance.speaker))
        for part in dict.fromkeys(parts)
        for utterance in _part(folder / part)
    ]
    if not found:
        raise CorpusError(
            f"{', '.join(parts)} in {folder} holds no recording in LibriSpeech's layout "
            f"(speaker/chapter/name.flac): {store.remedy(CORPUS, folder)}."
        )
    return SpeechCorpus(tuple(sorted(found, key=lambda each: in_order(each.name))), source)


def _named(items: Sequence[Utterance], folder: Path) -> Iterator[str]:
    """Name the recordings that transcripts speak of and that are not among the utterances."""
    here = {each.name for each in items}
    for path in sorted({each.path.parent for each in items if each.path}):
        for transcript in sorted(path.glob("*.trans.txt")):
            if transcript.name.startswith("._"):
                continue
            for line in read_text(transcript).split("\n"):
                name = line.partition(" ")[0].split("\t")[0]
                if name and name not in here:
                    yield f"{path.relative_to(folder).as_posix()}/{name}.flac"


CORPUS = Corpus(
    name="mini-librispeech",
    title="LibriSpeech (Panayotov et al., 2015)",
    folder="LibriSpeech",
    licence="CC BY 4.0",
    open=True,
    load=utterances,
    size="332 MB, train-clean-5",
    addresses={".tar.gz": "https://www.openslr.org/resources/31/"},
    archive="train-clean-5.tar.gz",
    most=400_000_000,
    pattern="*/*/*/*.flac",
    named=_named,
    credit="LibriSpeech (Panayotov et al., 2015, 10.1109/ICASSP.2015.7178964), read by LibriVox "
    "volunteers, CC BY 4.0",
)
"""What the registry knows of it."""


def _sexes(table: Path) -> dict[str, str]:
    """Speaker -> "F" or "M", of a table "14 | F | train-clean-360 | ..."; nothing without one."""
    if not table.is_file():
        return {}
    rows = (line.split("|") for line in read_text(table).splitlines() if not line.startswith(";"))
    cells = ([cell.strip() for cell in row[:2]] for row in rows if len(row) > 1)
    return {speaker: sex for speaker, sex in cells if sex in ("F", "M")}


def _part(folder: Path) -> list[Utterance]:
    """List the utterances of one part: speaker/chapter/speaker-chapter-number.flac."""
    texts: dict[str, str] = {}
    for path in folder.glob("*/*/*.trans.txt"):
        if path.name.startswith("._"):  # what a Mac notes beside a file
            continue
        for number, line in enumerate(read_text(path).split("\n"), 1):
            name, text = (*line.split(maxsplit=1), "", "")[:2]
            if not line.strip():
                continue
            if not text:
                raise CorpusError(
                    f"{path}, line {number}, is not a name and a text: "
                    f"{store.remedy(CORPUS, folder.parent)}."
                )
            texts[name] = text.strip()
    return [
        Utterance(
            name=path.stem,
            speaker=path.parent.parent.name,
            session=path.parent.name,
            path=path,
            text=texts.get(path.stem),
            part=folder.name,
        )
        for path in folder.glob("*/*/*.flac")
        if not path.name.startswith("._")
    ]
