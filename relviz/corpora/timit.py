"""TIMIT, as the Linguistic Data Consortium lays it out: phones and words segmented by hand.

J. S. Garofolo et al., "TIMIT Acoustic-Phonetic Continuous Speech Corpus", LDC93S1, 1993,
doi:10.35111/17gk-bn40. It needs a licence: nothing is downloaded, your own copy is read.

Its free sample of 16 speakers is a corpus of its own, `SAMPLE`, which
`relviz data fetch timit-sample` brings as NLTK distributes it. The SHA-256 of its files are those
of an unpacked copy; of the archive itself, NLTK's list of packages gives 22 251 869 bytes and an
MD5 alone.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from relviz import audio
from relviz.audio import SAMPLE_RATE
from relviz.corpora import store, synthetic
from relviz.corpora.corpus import Corpus, CorpusError, Source
from relviz.corpora.speech import Alignment, Span, SpeechCorpus, Utterance, read_text
from relviz.corpora.splits import in_order

__all__ = [
    "CORE_TEST",
    "CORPUS",
    "DEV",
    "PHONES_39",
    "SAMPLE",
    "TO_39",
    "TO_48",
    "TO_CMU",
    "Closures",
    "alignment",
    "fold_closures",
    "load",
    "load_sample",
    "utterances",
]

CORE_TEST = (
    "MDAB0", "MWBT0", "FELC0", "MTAS1", "MWEW0", "FPAS0", "MJMP0", "MLNT0",
    "FPKT0", "MLLL0", "MTLS0", "FJLM0", "MBPM0", "MKLT0", "FNLP0", "MCMJ0",
    "MJDH0", "FMGD0", "MGRT0", "MNJM0", "FDHC0", "MJLN0", "MPAM0", "FMLD0",
)  # fmt: skip
"""The 24 speakers of the core test: two men and a woman of each dialect region (testset.doc)."""

DEV = (
    "FAKS0", "FDAC1", "FJEM0", "MGWT0", "MJAR0", "MMDB1", "MMDM2", "MPDF0", "FCMH0", "FKMS0",
    "MBDG0", "MBWM0", "MCSH0", "FADG0", "FDMS0", "FEDW0", "MGJF0", "MGLB0", "MRTK0", "MTAA0",
    "MTDT0", "MTHC0", "MWJG0", "FNMR0", "FREW0", "FSEM0", "MBNS0", "MMJR0", "MDLS0", "MDLF0",
    "MDVC0", "MERS0", "FMAH0", "FDRW0", "MRCS0", "MRJM4", "FCAL1", "MMWH0", "FJSJ0", "MAJC0",
    "MJSW0", "MREB0", "FGJD0", "FJMG0", "MROA0", "MTEB0", "MJFC0", "MRJR0", "FMML0", "MRWS1",
)  # fmt: skip
"""The 50 speakers of TEST that tune: A. K. Halberstadt, PhD thesis, MIT, 1998."""

_SAME = (
    "aa", "ae", "ah", "ao", "aw", "ax", "ay", "b", "ch", "d", "dh", "dx", "eh", "el", "en",
    "epi", "er", "ey", "f", "g", "hh", "ih", "ix", "iy", "jh", "k", "l", "m", "n", "ng",
    "ow", "oy", "p", "r", "s", "sh", "t", "th", "uh", "uw", "v", "w", "y", "z", "zh",
)  # fmt: skip
"""The labels that are also among the 48."""

TO_48: dict[str, str | None] = {
    **{phone: phone for phone in _SAME},
    "ax-h": "ax", "axr": "er", "em": "m", "eng": "ng", "hv": "hh", "nx": "n", "ux": "uw",
    "pcl": "cl", "tcl": "cl", "kcl": "cl", "bcl": "vcl", "dcl": "vcl", "gcl": "vcl",
    "h#": "sil", "pau": "sil", "q": None,
}  # fmt: skip
"""The 61 labels of the files to the 48 phones that models are trained on; "q" is left out.

K.-F. Lee and H.-W. Hon, "Speaker-independent phone recognition using hidden Markov models", IEEE
Trans. ASSP 37(11), 1989, doi:10.1109/29.46546.
"""

TO_39 = {
    **{phone: phone for phone in TO_48.values() if phone},
    "ao": "aa", "ax": "ah", "el": "l", "en": "n", "ix": "ih", "zh": "sh",
    "cl": "sil", "vcl": "sil", "epi": "sil",
}  # fmt: skip
"""The 48 phones to the 39 that results are counted in (the same article)."""

PHONES_39 = (*sorted(set(TO_39.values()) - {"sil"}), "sil")
"""The 39 classes, silence last: the `phones` of `relviz.corpora.frame_labels`."""


TO_CMU: dict[str, tuple[str, ...]] = {
    **{phone: (phone.upper(),) for phone in _SAME if phone not in ("ax", "dx", "epi", "ix")},
    "ax": ("AH",), "ax-h": ("AH",), "ix": ("IH", "AH"), "axr": ("ER",), "ux": ("UW",),
    "el": ("L",), "em": ("M",), "en": ("N",), "eng": ("NG",), "nx": ("N",), "hv": ("HH",),
    "dx": ("D", "T"), "q": (),
    "pcl": ("P",), "tcl": ("T",), "kcl": ("K",), "bcl": ("B",), "dcl": ("D",), "gcl": ("G",),
    "h#": ("SIL",), "pau": ("SIL",), "epi": ("SIL",),
}  # fmt: skip
"""The 61 labels to those of `relviz.corpora.PHONES` that the CMU dictionary writes for them.

A flap is a d or a t by the word it is in, the vowel of "roses" is written either way, and the
glottal stop is none of them. A closure here is its stop; see `fold_closures`.
"""

_RELEASES = {
    "pcl": ("p",), "tcl": ("t", "ch"), "kcl": ("k",),
    "bcl": ("b",), "dcl": ("d", "jh"), "gcl": ("g",),
}  # fmt: skip
"""Closure -> what may be released from it."""

Closures = Literal["stop", "silence"]
"""Where the closure of a stop counts."""

_PARTS: dict[str, tuple[str, ...] | None] = {"train": None, "dev": DEV, "core-test": CORE_TEST}
_SAMPLE_PART = "sample"


def utterances(root: Path | str, part: str = "train") -> SpeechCorpus:
    """Load a part of a copy of TIMIT, without the "sa" sentences, which every speaker says.

    Parameters
    ----------
    root : Path or str
        The folder TIMIT, or one above it; names in any case, sound as NIST SPHERE or RIFF, also
        under names such as SI648.WAV.wav.
    part : str
        "train" (all of TRAIN, 462 speakers), "dev" (`DEV`) or "core-test" (`CORE_TEST`), eight
        sentences a speaker; "sample", all of a copy whose folders are speakers (dr1-fvmh0 and so
        on), as NLTK's.

    Returns
    -------
    SpeechCorpus
        By speaker and sentence. An utterance's session is its sentence.

    Raises
    ------
    CorpusError
        For an unknown part, a root that is not laid out like TIMIT, and a dev or core test set
        without all of its speakers.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "TRAIN" / "DR1" / "FCJF0"
    >>> folder.mkdir(parents=True)
    >>> (folder / "SI648.WAV").touch()
    >>> [each.name for each in utterances(folder.parents[2]).utterances]
    ['FCJF0-SI648']
    """
    if part not in (*_PARTS, _SAMPLE_PART):
        raise CorpusError(f"There is no part {part!r} of TIMIT: choose from {', '.join(_PARTS)}.")
    top = Path(root).expanduser()
    inside = _inside(top)
    if part == _SAMPLE_PART:
        folder: Path | None = inside
    else:
        folder = _child(inside, "train" if part == "train" else "test")
    if folder is None:
        if _speakers(inside):
            raise CorpusError(
                f"{top} holds a sample of TIMIT, which has no parts train and test: ask for its "
                "part 'sample'."
            )
        raise CorpusError(
            f"{top} holds no folders TRAIN and TEST: give the folder TIMIT of your copy of LDC93S1."
        )
    speakers = _PARTS.get(part)
    found = [
        utterance
        for utterance in _sentences(folder)
        if speakers is None or utterance.speaker in speakers
    ]
    absent = set(speakers or ()) - {utterance.speaker for utterance in found}
    if absent or not found:
        whom = f"{len(absent)} speakers of {part}, such as {min(absent)}" if absent else "speakers"
        raise CorpusError(
            f"{folder} lacks {whom} (DR1/FCJF0/SI648.WAV and so on): complete your copy of LDC93S1."
        )
    found.sort(key=lambda utterance: in_order(utterance.name))
    return SpeechCorpus(tuple(found), Source("given", inside, CORPUS))


def load(
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    download: bool = False,
    progress: bool = False,
) -> SpeechCorpus:
    """Load parts of TIMIT, as any corpus is loaded: see `relviz.corpora.load`.

    Parameters
    ----------
    parts : sequence of str, optional
        As in `utterances`; default, train, dev and core-test, or the sample where it is one.
    root : Path or str, optional
        The folder TIMIT, or the one it lies in; default, TIMIT below RELVIZ_DATA.
    download, progress : bool
        Of no use here: TIMIT needs a licence, and is never downloaded.

    Returns
    -------
    SpeechCorpus
        Part by part.

    Raises
    ------
    CorpusError
        Without a copy, and for what `utterances` raises.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "TIMIT" / "TRAIN" / "DR1" / "FCJF0"
    >>> folder.mkdir(parents=True)
    >>> (folder / "SI648.WAV").touch()
    >>> corpus = load(["train"], folder.parents[3])
    >>> len(corpus.utterances), corpus.source.describe()
    (1, 'Recordings: TIMIT (Garofolo et al., 1993), from the folder given.')
    """
    source = store.locate(CORPUS, download, progress, root)
    if source is None or source.folder is None:
        raise CorpusError("TIMIT needs a licence: name the folder of your copy as root.")
    if parts is None:
        parts = (_SAMPLE_PART,) if _speakers(_inside(source.folder)) else tuple(_PARTS)
    parts = (parts,) if isinstance(parts, str) else parts
    loaded = [utterances(source.folder, part).utterances for part in dict.fromkeys(parts)]
    return SpeechCorpus(tuple(itertools.chain(*loaded)), source)


CORPUS = Corpus(
    name="timit",
    title="TIMIT (Garofolo et al., 1993)",
    folder="TIMIT",
    licence="LDC93S1, from the Linguistic Data Consortium",
    load=load,
    pattern="[tT][rR][aA][iI][nN]/[dD][rR]1/*/*.[wW]*",
)
"""What the registry knows of it."""


def load_sample(
    parts: Sequence[str] | None = None,
    root: Path | str | None = None,
    download: bool = False,
    progress: bool = False,
) -> SpeechCorpus:
    """Load TIMIT's free sample, or synthetic voices if it is not here: see `relviz.corpora.load`.

    Parameters
    ----------
    parts : sequence of str, optional
        ("sample",), the only part there is.
    root : Path or str, optional
        The folder of the sample, or the one it lies in; default, what RELVIZ_DATA names, else the
        user's cache.
    download, progress : bool
        Fetch it into the cache if nothing is found, with a bar.

    Returns
    -------
    SpeechCorpus
        Without the "sa" sentences, which every speaker says.

    Raises
    ------
    CorpusError
        For another part, a folder without the sample, and for what
        `relviz.corpora.store.locate` raises.

    Notes
    -----
    The appendix of the book, on data and models, scores networks and alignments with it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "timit-sample" / "dr1-fvmh0"
    >>> folder.mkdir(parents=True)
    >>> (folder / "sx206.wav").touch()
    >>> corpus = load_sample(root=folder.parents[1])
    >>> corpus.utterances[0].name, corpus.source.describe()
    ('FVMH0-SX206', "Recordings: TIMIT's sample (Garofolo et al., 1993), from the folder given.")
    """
    parts = (parts,) if isinstance(parts, str) else parts
    others = sorted(set(parts or ()) - {_SAMPLE_PART})
    if others:
        raise CorpusError(f"TIMIT's sample has one part, 'sample': leave {others[0]!r} out.")
    source = store.locate(SAMPLE, download, progress, root)
    if source is None or source.folder is None:
        return SpeechCorpus(synthetic.spoken(), Source("synthetic", None, SAMPLE))
    return SpeechCorpus(utterances(source.folder, _SAMPLE_PART).utterances, source)


SAMPLE = Corpus(
    name="timit-sample",
    title="TIMIT's sample (Garofolo et al., 1993)",
    folder="timit-sample",
    licence="(c) 1993 Linguistic Data Consortium, CC BY-NC-SA: not for commercial use",
    load=load_sample,
    size="22 MB, 16 speakers with hand labels",
    addresses={
        ".zip": "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/"
    },
    archive="timit.zip",
    most=60_000_000,
    pattern="dr[1-8]-*/*.wav",
)
"""What the registry knows of the sample."""


def alignment(utterance: Utterance, phones: int = 39) -> Alignment:
    r"""Read when each phone of a TIMIT utterance is spoken, from the .PHN beside its recording.

    Parameters
    ----------
    utterance : Utterance
        With a recording.
    phones : int
        61 (the labels of the file), 48 or 39 (see `TO_48`, `TO_39`; neighbours that fall together,
        such as the closures of two stops, stay two spans). With 48 and 39 the glottal stop "q" has
        no span: `frame_labels` takes it for silence.

    Returns
    -------
    tuple of Span
        In seconds.

    Raises
    ------
    CorpusError
        For a missing file, other `phones`, and by file and line for what is no annotation of this
        recording: an unknown label, spans out of order, an end far from the sound's, no line.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "SI648.WAV"
    >>> _ = path.with_suffix(".PHN").write_text("0 4000 h#\n4000 5600 ax-h\n")
    >>> [span.label for span in alignment(Utterance("FCJF0-SI648", "FCJF0", "SI648", path))]
    ['sil', 'ah']
    """
    if phones not in (61, 48, 39):
        raise CorpusError(f"TIMIT has no set of {phones} phones: choose 61, 48 or 39.")
    path = utterance.path and _beside(utterance.path, ".phn")
    if path is None:
        raise CorpusError(
            f"Utterance {utterance.name} has no .PHN beside its recording: complete your copy."
        )
    labelled = _spans(path)
    _fits(labelled, path, utterance.path)
    spans = []
    for span in labelled:
        folded = TO_48[span.label]
        if phones == 61:
            spans.append(span)
        elif folded is not None:
            spans.append(span._replace(label=folded if phones == 48 else TO_39[folded]))
    return tuple(spans)


def fold_closures(spans: Alignment, into: Closures) -> Alignment:
    """Count the closures of stops with their stops, as a dictionary does, or as silence.

    Parameters
    ----------
    spans : tuple of Span
        With TIMIT's 61 labels.
    into : {"stop", "silence"}
        "stop": a closure and the release that follows are one span, under the release's label, and
        a closure without release keeps its own. "silence": a closure becomes "h#".

    Returns
    -------
    tuple of Span
        With TIMIT's labels.

    Examples
    --------
    >>> spans = (Span(0.0, 0.25, "tcl"), Span(0.25, 0.5, "ch"))
    >>> fold_closures(spans, "stop")
    (Span(start=0.0, end=0.5, label='ch'),)
    >>> fold_closures(spans, "silence")[0].label
    'h#'
    """
    if into == "silence":
        return tuple(
            span._replace(label="h#") if span.label in _RELEASES else span for span in spans
        )
    found: list[Span] = []
    for span in spans:
        if found and span.label in _RELEASES.get(found[-1].label, ()):
            span = found.pop()._replace(end=span.end, label=span.label)
        found.append(span)
    return tuple(found)


def _spans(path: Path) -> list[Span]:
    """Read a .PHN: two sample numbers and a label a line, one after the other."""
    spans: list[Span] = []
    before = 0
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            start, end, label = line.decode("ascii").split()
            first, last = int(start), int(end)
            TO_48[label]
        except (ValueError, KeyError) as error:
            raise CorpusError(
                f"{path}, line {number}, is not two sample numbers and one of TIMIT's 61 labels: "
                "replace it by the file of LDC93S1."
            ) from error
        if not before <= first < last:
            raise CorpusError(
                f"{path}, line {number}, lasts from sample {first} to {last}, after a line that "
                f"ends at {before}: replace it by the file of LDC93S1."
            )
        spans.append(Span(first / SAMPLE_RATE, last / SAMPLE_RATE, label))
        before = last
    if not spans:
        raise CorpusError(f"{path} has no line: replace it by the file of LDC93S1.")
    return spans


_FAR = 0.5  # seconds; TIMIT's last labels end within 0.2 s of the sound's end


def _fits(spans: list[Span], path: Path, recording: Path | None) -> None:
    """Refuse an annotation that ends elsewhere than its recording, in another rate above all."""
    if recording is None or not recording.is_file():
        return
    seconds, ends = audio.duration(recording), spans[-1].end
    if abs(seconds - ends) > _FAR:
        raise CorpusError(
            f"{path}, line {len(spans)}, ends at {ends:.1f} s, and its recording at {seconds:.1f} "
            f"s: its numbers are of another rate than {SAMPLE_RATE} Hz or of another recording."
        )


def _sentences(folder: Path) -> Iterator[Utterance]:
    """List all utterances but "sa": DR1/FCJF0/SI648.WAV in TRAIN or TEST, dr1-fcjf0/si648.wav."""
    for directory in sorted(folder.glob("[dD][rR][1-8]/*")) or _speakers(folder):
        speaker = directory.name.rpartition("-")[2].upper()
        # converted copies lie beside the original as SI648.WAV.wav: one of the two is enough
        waves = {
            path.name.partition(".")[0]: path
            for path in sorted(directory.glob("*"))
            if re.fullmatch(r"(?!\._)[^.]+(\.wav){1,2}", path.name, re.IGNORECASE)
        }
        for sentence, path in waves.items():
            if not sentence.lower().startswith("sa"):
                yield Utterance(
                    name=f"{speaker}-{sentence}".upper(),
                    speaker=speaker,
                    session=sentence.upper(),
                    path=path,
                    text=_text(path),
                    sex=speaker[0] if speaker[0] in ("F", "M") else None,
                )


def _text(path: Path) -> str | None:
    """Read what is said: "0 46797 She had ..." in the .TXT."""
    file = _beside(path, ".txt")
    if file is None:
        return None
    return " ".join(read_text(file).split()[2:]) or None


def _beside(path: Path, suffix: str) -> Path | None:
    """Return the file that annotates a recording, in upper or lower case."""
    wanted = (path.name.partition(".")[0] + suffix).lower()
    return next((each for each in path.parent.iterdir() if each.name.lower() == wanted), None)


def _child(folder: Path, name: str) -> Path | None:
    """Return the folder of a name within another, in upper or lower case."""
    if not folder.is_dir():
        return None
    within = (each for each in sorted(folder.iterdir()) if each.name.lower() == name)
    return next((each for each in within if each.is_dir()), None)


def _speakers(folder: Path) -> list[Path]:
    """List the folders of a copy that has one for each speaker: dr1-fvmh0 and so on."""
    return sorted(folder.glob("[dD][rR][1-8]-*"))


def _inside(top: Path) -> Path:
    """Find TRAIN and TEST, or folders of speakers: here, in TIMIT, or a level below."""
    below = sorted(each for each in top.iterdir() if each.is_dir()) if top.is_dir() else []
    for outer in (top, *below):
        for folder in (outer, _child(outer, "timit")):
            if folder and (_child(folder, "train") or _child(folder, "test") or _speakers(folder)):
                return folder
    return _child(top, "timit") or top
