"""TIMIT's layout on a small tree of synthetic speech; the foldings against the published counts."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from relviz.audio import AudioError
from relviz.corpora import CorpusError, Source, Span, Utterance, frame_labels, sentence, timit

# espeak's phones of "She had your dark suit.", near enough, in TIMIT's labels
FOR_CMU = {"SIL": "h#", "SH": "sh", "IY": "iy", "HH": "hv", "AE": "ae", "D": "dcl", "Y": "y"}


def sphere(wave: np.ndarray) -> bytes:
    """NIST SPHERE as TIMIT has it: a header of 1024 bytes, then 16-bit samples, low byte first."""
    header = (
        "NIST_1A\n   1024\n"
        f"channel_count -i 1\nsample_count -i {len(wave)}\nsample_rate -i 16000\n"
        "sample_min -i -16384\nsample_max -i 16384\nsample_n_bytes -i 2\n"
        "sample_byte_format -s2 01\nsample_sig_bits -i 16\nend_head\n"
    )
    return header.encode().ljust(1024) + (wave * 32767).astype("<i2").tobytes()


def write(folder: Path, name: str, riff: bool = False, lower: bool = False) -> None:
    """Write one sentence with its .PHN and .TXT."""
    spoken = sentence("She had your dark suit.", "Male1")
    case = str.lower if lower else str.upper
    path = folder / case(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if riff:
        soundfile.write(path.with_suffix(case(".wav")), spoken.wave, 16000, format="WAV")
    else:
        path.with_suffix(case(".wav")).write_bytes(sphere(spoken.wave))
    path.with_suffix(case(".phn")).write_text(
        "".join(
            f"{round(start * 16000)} {round(end * 16000)} {FOR_CMU.get(phone, 'ax-h')}\n"
            for start, end, phone in spoken.phones
        )
    )
    text = f"0 {len(spoken.wave)} She had your dark suit.\n"
    path.with_suffix(case(".txt")).write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """TIMIT with three sentences of two speakers in TRAIN, one of each listed speaker in TEST."""
    top = tmp_path / "TIMIT"
    for name in ("DR1/FCJF0/SA1", "DR1/FCJF0/SI1027", "DR1/FCJF0/SX37", "DR8/MTCS0/SX82"):
        write(top / "TRAIN", name)
    for number, speaker in enumerate((*timit.DEV, *timit.CORE_TEST, "MTAS0")):
        write(top / "TEST", f"DR{number % 8 + 1}/{speaker}/SI{number}")
        write(top / "TEST", f"DR{number % 8 + 1}/{speaker}/SA2")
    return tmp_path


def test_foldings_have_the_published_sizes() -> None:
    assert len(timit.TO_48) == 61
    assert len(set(timit.TO_48.values()) - {None}) == 48 == len(timit.TO_39)
    assert len(set(timit.TO_39.values())) == len(timit.PHONES_39) == len(set(timit.PHONES_39)) == 39
    assert timit.PHONES_39[-1] == "sil"
    # each of the 39 is itself one of the 48, and each of the 48 but the closures one of the 61
    assert set(timit.PHONES_39) <= set(timit.TO_39)
    assert set(timit.TO_39) - set(timit.TO_48) == {"cl", "vcl", "sil"}


@pytest.mark.parametrize(
    ("folded", "group"),
    [
        ("aa", {"aa", "ao"}),
        ("ah", {"ah", "ax", "ax-h"}),
        ("er", {"er", "axr"}),
        ("hh", {"hh", "hv"}),
        ("ih", {"ih", "ix"}),
        ("l", {"l", "el"}),
        ("m", {"m", "em"}),
        ("n", {"n", "en", "nx"}),
        ("ng", {"ng", "eng"}),
        ("sh", {"sh", "zh"}),
        ("uw", {"uw", "ux"}),
        ("sil", {*("pcl", "tcl", "kcl", "bcl", "dcl", "gcl"), "h#", "pau", "epi"}),
    ],
)
def test_groups_are_those_of_the_article(folded: str, group: set[str]) -> None:
    found = {phone for phone, to in timit.TO_48.items() if to and timit.TO_39[to] == folded}
    assert found == group


def test_lists_of_speakers() -> None:
    assert len(set(timit.DEV)) == 50 and len(set(timit.CORE_TEST)) == 24
    assert not set(timit.DEV) & set(timit.CORE_TEST)
    assert sum(speaker[0] == "F" for speaker in timit.CORE_TEST) == 8  # one of each region


@pytest.mark.slow
def test_parts(root: Path) -> None:
    train = timit.utterances(root)
    assert train.source == Source("given", root / "TIMIT", timit.CORPUS)
    assert (
        train.source.describe()
        == "Recordings: TIMIT (Garofolo et al., 1993), from the folder given."
    )
    assert [(u.name, u.speaker, u.session) for u in train.utterances] == [
        ("FCJF0-SI1027", "FCJF0", "SI1027"),
        ("FCJF0-SX37", "FCJF0", "SX37"),
        ("MTCS0-SX82", "MTCS0", "SX82"),
    ]
    assert train.utterances[0].text == "She had your dark suit."
    assert timit.utterances(root / "TIMIT").utterances == train.utterances
    for part, speakers in (("dev", timit.DEV), ("core-test", timit.CORE_TEST)):
        found = timit.utterances(root, part).utterances
        assert {u.speaker for u in found} == set(speakers)
        assert len(found) == len(speakers)


def test_sphere_and_riff_hold_the_same_wave(tmp_path: Path) -> None:
    write(tmp_path / "TRAIN", "DR1/FCJF0/SI1027")
    write(tmp_path / "TRAIN", "DR1/FCJF0/SI1028", riff=True)
    one, other = timit.utterances(tmp_path).utterances
    wave = sentence("She had your dark suit.", "Male1").wave
    assert one.wave().dtype == np.float32
    assert one.wave() == pytest.approx(wave, abs=1e-4)
    assert other.wave() == pytest.approx(wave, abs=1e-4)


def test_names_in_lower_case(tmp_path: Path) -> None:
    write(tmp_path / "timit" / "train" / "dr1" / "fcjf0", "sx37", lower=True)
    write(tmp_path / "timit" / "train" / "dr1" / "fcjf0", "sa1", lower=True)
    (found,) = timit.utterances(tmp_path).utterances
    assert (found.name, found.speaker) == ("FCJF0-SX37", "FCJF0")
    assert found.text == "She had your dark suit."
    assert timit.alignment(found)[0].label == "sil"


@pytest.mark.slow
def test_a_converted_copy_beside_the_original_counts_once(root: Path) -> None:
    folder = root / "TIMIT" / "TRAIN" / "DR1" / "FCJF0"
    (folder / "SX37.WAV.wav").write_bytes((folder / "SX37.WAV").read_bytes())
    found = timit.utterances(root).utterances
    assert len(found) == 3
    assert len(timit.alignment(found[1])) > 5


def test_alignment(root: Path) -> None:
    utterance = timit.utterances(root).utterances[0]
    spoken = sentence("She had your dark suit.", "Male1")
    found = timit.alignment(utterance, 61)
    assert [span.label for span in found][:5] == ["h#", "sh", "iy", "hv", "ae"]
    assert [span.start for span in found] == pytest.approx(
        [start for start, _, _ in spoken.phones], abs=1 / 16000
    )
    assert found[-1].end == pytest.approx(len(utterance.wave()) / 16000, abs=2e-3)
    assert [span.label for span in timit.alignment(utterance, 48)][:5] == (
        ["sil", "sh", "iy", "hh", "ae"]
    )
    folded = timit.alignment(utterance)
    assert {span.label for span in folded} <= set(timit.PHONES_39)
    middles = [(span.start + span.end) / 2 for span in folded]
    labels = frame_labels(folded, middles, timit.PHONES_39)
    assert [timit.PHONES_39[label] for label in labels] == [span.label for span in folded]


def test_the_glottal_stop_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "SX1.PHN").write_text("0 1600 h#\n1600 3200 q\n3200 4800 zh\n")
    utterance = Utterance("A-SX1", "A", "SX1", tmp_path / "SX1.WAV")
    assert timit.alignment(utterance, 61)[1] == Span(0.1, 0.2, "q")
    assert timit.alignment(utterance, 48) == (Span(0, 0.1, "sil"), Span(0.2, 0.3, "zh"))
    assert timit.alignment(utterance) == (Span(0, 0.1, "sil"), Span(0.2, 0.3, "sh"))
    labels = frame_labels(timit.alignment(utterance), [0.15, 0.25], timit.PHONES_39)
    assert [timit.PHONES_39[label] for label in labels] == ["sil", "sh"]


def refused(function: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(CorpusError) as refusal:
        function(*arguments)
    return str(refusal.value)


def test_what_cannot_be(root: Path, tmp_path: Path) -> None:
    assert refused(timit.utterances, root, "test") == (
        "There is no part 'test' of TIMIT: choose from train, dev, core-test."
    )
    (tmp_path / "empty").mkdir()
    assert refused(timit.utterances, tmp_path / "empty") == (
        f"{tmp_path / 'empty'} holds no folders TRAIN and TEST: give the folder TIMIT of your copy "
        "of LDC93S1."
    )
    for path in root.glob("TIMIT/TEST/DR?/MDAB0/*"):
        path.unlink()
    assert refused(timit.utterances, root, "core-test") == (
        f"{root / 'TIMIT' / 'TEST'} lacks 1 speakers of core-test, such as MDAB0 (DR1/FCJF0/"
        "SI648.WAV and so on): complete your copy of LDC93S1."
    )
    (tmp_path / "bare" / "TRAIN").mkdir(parents=True)
    assert " lacks speakers (" in refused(timit.utterances, tmp_path / "bare")
    utterance = timit.utterances(root).utterances[0]
    assert refused(timit.alignment, utterance, 40) == (
        "TIMIT has no set of 40 phones: choose 61, 48 or 39."
    )
    path = root / "TIMIT/TRAIN/DR1/FCJF0/SI1027.PHN"
    for line in ("0 1600 hh hh", "0 16x0 hh", "0 1600 hhh"):
        path.write_text(f"0 1600 h#\n{line}\n")
        assert refused(timit.alignment, utterance) == (
            f"{path}, line 2, is not two sample numbers and one of TIMIT's 61 labels: replace it "
            "by the file of LDC93S1."
        )
    path.unlink()
    assert refused(timit.alignment, utterance) == (
        "Utterance FCJF0-SI1027 has no .PHN beside its recording: complete your copy."
    )


def test_compressed_sphere_is_refused(root: Path) -> None:
    path = root / "TIMIT/TRAIN/DR1/FCJF0/SI1027.WAV"
    content = path.read_bytes()
    path.write_bytes(
        content[:1024].replace(b"format -s2 01", b"format -s2 01\nsample_coding -s26 pcm,embedded-"
        b"shorten-v2.00")[:1024].ljust(1024) + content[1024:3000]
    )  # fmt: skip
    with pytest.raises(AudioError, match=r"SI1027.WAV cannot be read as audio"):
        timit.utterances(root).utterances[0].wave()


def test_every_layout_that_people_have(tmp_path: Path) -> None:
    write(tmp_path / "corpora" / "Timit" / "Train", "DR1/FCJF0/SX37", riff=True)
    folder = tmp_path / "corpora" / "Timit" / "Train" / "DR1" / "FCJF0"
    for suffix in (".WRD", ".wrd"):  # words, as every copy has them
        (folder / f"SX37{suffix}").write_text("0 64000 a\n")
    (folder / "._SX37.WAV").write_bytes(b"\0\5\x16\7")
    for root in (tmp_path, tmp_path / "corpora", tmp_path / "corpora" / "Timit"):
        (found,) = timit.utterances(root).utterances
        assert (found.name, found.path) == ("FCJF0-SX37", folder / "SX37.WAV")
        assert len(timit.alignment(found)) > 5


def test_a_copy_with_a_folder_for_each_speaker(tmp_path: Path) -> None:
    write(tmp_path, "dr1-fcjf0/sx37", lower=True)
    corpus = timit.load(root=tmp_path)
    assert [(u.name, u.speaker) for u in corpus.utterances] == [("FCJF0-SX37", "FCJF0")]
    assert refused(timit.utterances, tmp_path) == (
        f"{tmp_path} holds a sample of TIMIT, which has no parts train and test: ask for its part "
        "'sample'."
    )


@pytest.mark.realdata
def test_the_real_sample() -> None:
    root = Path(os.environ.get("RELVIZ_DATA", "nowhere")) / "timit-sample"
    if not root.is_dir():
        pytest.skip("no sample of TIMIT below RELVIZ_DATA")
    corpus = timit.utterances(root, "sample")
    assert len({u.speaker for u in corpus.utterances}) == 16
    assert len(corpus.utterances) == 16 * 8  # ten sentences each, of which two are "sa"
    for utterance in corpus.utterances:
        spans = timit.alignment(utterance, 61)
        assert spans[0].label == spans[-1].label == "h#"
        assert abs(spans[-1].end - len(utterance.wave()) / 16000) < 0.2
        assert utterance.text


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (b"", None, "has no line"),
        (b"\xef\xbb\xbf0 1600 h#\n", 1, "is not two sample numbers"),
        (b"0 1600 h#\n1600 3200 \xe4\n", 2, "is not two sample numbers"),
        (b"0 1600 h#\n\n", 2, "is not two sample numbers"),
        (b"0 1600 h#\n800 3200 sh\n", 2, "from sample 800 to 3200, after a line that ends at 1600"),
        (b"1600 3200 sh\n0 1600 h#\n", 2, "from sample 0 to 1600, after a line that ends at 3200"),
        (b"0 1600 h#\n1600 1600 sh\n", 2, "lasts from sample 1600 to 1600"),
        (b"-5 1600 h#\n", 1, "lasts from sample -5 to 1600"),
        (b"0 1600 h#\n", 1, "of another rate than 16000 Hz or of another recording"),
    ],
)
def test_annotations_that_cannot_be(root: Path, text: bytes, line: int | None, why: str) -> None:
    utterance = timit.utterances(root).utterances[0]
    path = root / "TIMIT/TRAIN/DR1/FCJF0/SI1027.PHN"
    path.write_bytes(text)
    message = refused(timit.alignment, utterance)
    assert message.startswith(f"{path}, line {line}, " if line else f"{path} ")
    assert why in message


def test_annotations_in_the_samples_of_another_rate(root: Path) -> None:
    utterance = timit.utterances(root).utterances[0]
    path = root / "TIMIT/TRAIN/DR1/FCJF0/SI1027.PHN"
    rows = [line.split() for line in path.read_text().splitlines()]
    path.write_text("".join(f"{int(a) // 2} {int(b) // 2} {label}\n" for a, b, label in rows))
    assert "of another rate" in refused(timit.alignment, utterance)


def test_text_in_another_encoding_is_refused(root: Path) -> None:
    text = root / "TIMIT" / "TRAIN" / "DR1" / "FCJF0" / "SX37.TXT"
    said = text.read_text()
    text.write_bytes(b"\xef\xbb\xbf" + said.replace("\n", "\r\n").encode())
    (same,) = (u for u in timit.utterances(root, "train").utterances if u.name == "FCJF0-SX37")
    assert same.text == " ".join(said.split()[2:])
    text.write_text(said, encoding="utf-16")
    assert refused(timit.utterances, root, "train") == f"{text} is UTF-16: save it as UTF-8."
