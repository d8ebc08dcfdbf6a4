"""LibriSpeech: read English, with transcripts; also mini LibriSpeech, its small subset.

V. Panayotov, G. Chen, D. Povey and S. Khudanpur, "Librispeech: an ASR corpus based on public
domain audio books", ICASSP 2015, doi:10.1109/ICASSP.2015.7178964. CC BY 4.0.
`relviz data fetch mini-librispeech` downloads train-clean-5 from OpenSLR, resource 31.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from relviz.corpora import store, synthetic
from relviz.corpora.speech import Span, SpeechCorpus, Utterance, in_order
from relviz.corpora.store import CorpusError, Source

CORPUS = "mini-librispeech"


def utterances(
    parts: Sequence[str] | None = ("train-clean-5",),
    root: Path | str | None = None,
    download: bool = False,
    progress: bool = False,
) -> SpeechCorpus:
    """Load parts of LibriSpeech, or synthetic voices if there are no recordings.

    parts: such as ("train-clean-100", "dev-clean"); None, every part that is here.
    root: the folder LibriSpeech, or the one it lies in; default, what RELVIZ_DATA names, else the
    user's cache. download, progress: fetch mini LibriSpeech into the cache if nothing is found.
    Utterances come by speaker, chapter and number; text is in capitals as in the transcripts, and
    None where there is no transcript. Nothing is read but names and transcripts.
    Raises CorpusError for a part that is not here, a transcript with a broken line, a root without
    LibriSpeech, and for what `relviz.corpora.store.locate` raises.
    """
    parts = (parts,) if isinstance(parts, str) else parts
    source = _find(root, download, progress)
    if source is None or source.folder is None:
        return SpeechCorpus(spoken(), Source("synthetic", None, CORPUS))
    folder = source.folder
    here = sorted(path.name for path in folder.iterdir() if path.is_dir())
    parts = here if parts is None else parts
    for part in parts:
        if part not in here:
            raise CorpusError(
                f"{folder} has no part {part!r}: choose from {', '.join(here)}, or "
                f"{store.remedy(CORPUS, folder)}."
            )
    found = [utterance for part in dict.fromkeys(parts) for utterance in _part(folder / part)]
    if not found:
        raise CorpusError(
            f"{', '.join(parts)} in {folder} holds no recording in LibriSpeech's layout "
            f"(speaker/chapter/name.flac): {store.remedy(CORPUS, folder)}."
        )
    return SpeechCorpus(tuple(sorted(found, key=lambda each: in_order(each.name))), source)


def spoken(
    voices: Sequence[str] | None = None, texts: Iterable[str] = synthetic.SENTENCES
) -> tuple[Utterance, ...]:
    """Speak texts in several voices: the stand-in for recordings.

    voices: default, all of `relviz.corpora.synthetic.voices`; each is a speaker.
    Returns utterances with `samples` and `spoken`, the synthesiser's own times; the first call in
    a process takes about a tenth of a second for each.
    """
    found = []
    texts = tuple(texts)
    for voice in synthetic.voices() if voices is None else voices:
        for number, text in enumerate(texts):
            sentence = synthetic.sentence(text, voice)
            found.append(
                Utterance(
                    name=f"{voice}-0-{number:04d}",
                    speaker=voice,
                    session="0",
                    text=text,
                    samples=sentence.wave,
                    spoken=tuple(Span(*phone) for phone in sentence.phones),
                )
            )
    return tuple(found)


def _find(root: Path | str | None, download: bool, progress: bool) -> Source | None:
    """Find the folder that holds the parts."""
    if root is None:
        return store.locate(CORPUS, download, progress)
    folder = Path(root).expanduser()
    folder = folder / "LibriSpeech" if (folder / "LibriSpeech").is_dir() else folder
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder: give the one that holds LibriSpeech.")
    return Source("given", folder, CORPUS)


def _part(folder: Path) -> list[Utterance]:
    """List the utterances of one part: speaker/chapter/speaker-chapter-number.flac."""
    texts: dict[str, str] = {}
    for path in folder.glob("*/*/*.trans.txt"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            name, _, text = line.strip().partition(" ")
            if not text:
                raise CorpusError(
                    f"{path}, line {number}, is not a name and a text: "
                    f"{store.remedy(CORPUS, folder.parent)}."
                )
            texts[name] = text
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
    ]
