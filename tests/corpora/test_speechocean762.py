"""speechocean762: its tables on made-up folders, its archive from a server, and the recordings."""

import io
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from relviz import cli, pretrained
from relviz.corpora import (
    CorpusError,
    Source,
    load,
    locate,
    registry,
    status,
    store,
    vowel,
)
from relviz.corpora.check import check
from relviz.corpora.corpus import UNKNOWN
from relviz.corpora.digests import file_digest, sample_digest
from relviz.corpora.speechocean762 import CORPUS, utterances

TABLES = {
    "train/wav.scp": "000010011 WAVE/SPEAKER0001/000010011.WAV\n"
    "000360034 WAVE/SPEAKER0036/000360034.WAV\n000360133 WAVE/SPEAKER0036/000360133.WAV\n",
    "train/utt2spk": "000010011 0001\n000360034 0036\n000360133 0036\n",
    "train/text": "000010011 WE CALL IT BEAR\n000360034 WE SPEAK OUT\n000360133 YES\n",
    "train/spk2age": "0001 6\n0036 21\n",
    "train/spk2gender": "0001 m\n0036 f\n",
    "test/wav.scp": "000240031 WAVE/SPEAKER0024/000240031.WAV\n",
    "test/utt2spk": "000240031 0024\n",
    "test/text": "000240031 WE HAVE CLIMBED\n",
    "test/spk2age": "0024 18\n",
    "test/spk2gender": "0024 m\n",
}
NAMES = ("000010011", "000240031", "000360034", "000360133")


def sound(number: int, kind: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    wave = np.round(32767 * vowel(100 + 10 * number, (500, 1500))).astype(np.int16)
    soundfile.write(buffer, wave, 16000, format=kind)
    return buffer.getvalue()


def wav(name: str) -> str:
    return f"WAVE/SPEAKER{name[1:5]}/{name}.WAV"


ORIGINAL = {name: text.encode() for name, text in TABLES.items()} | {
    wav(name): sound(number) for number, name in enumerate(NAMES)
}
"""As OpenSLR's archive has it."""

FLAC = {name: text.replace(" ", "\t", 1).encode() for name, text in TABLES.items()} | {
    wav(name).replace("WAV", "flac").replace("flacE", "WAVE"): sound(number, "FLAC")
    for number, name in enumerate(NAMES)
}
"""The same recordings encoded again, as a copy may have them."""


def tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


# ------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("files", [ORIGINAL, FLAC], ids=["wav", "flac"])
def test_who_says_what_in_either_format(tmp_path: Path, files: dict[str, bytes]) -> None:
    folder = tree(tmp_path / "speechocean762", files)
    corpus = load("speechocean762", root=tmp_path)
    rows = [(u.name, u.speaker, u.session, u.part, u.text) for u in corpus.utterances]
    assert rows == [
        ("000010011", "0001", "0", "train", "WE CALL IT BEAR"),
        ("000240031", "0024", "0", "test", "WE HAVE CLIMBED"),
        ("000360034", "0036", "0", "train", "WE SPEAK OUT"),
        ("000360133", "0036", "0", "train", "YES"),
    ]
    told = [(u.sex, u.age) for u in corpus.utterances]
    assert told == [("M", 6), ("M", 18), ("F", 21), ("F", 21)]
    assert corpus.source == Source("given", folder, CORPUS)
    assert corpus.source.describe() == (
        "Recordings: speechocean762 (Zhang et al., 2021), from the folder given."
    )
    waves = [each.wave() for each in corpus.utterances]
    assert all(wave.dtype == np.float32 and wave.shape == (6400,) for wave in waves)


@pytest.mark.parametrize(
    ("parts", "speakers"),
    [
        (None, ["0001", "0024", "0036"]),
        (["adults"], ["0024", "0036"]),
        (["children"], ["0001"]),
        ("test", ["0024"]),
        (["test", "children"], ["0001", "0024"]),
        (["train"], ["0001", "0036"]),
    ],
)
def test_parts_are_halves_and_ages(
    tmp_path: Path, parts: list[str] | str | None, speakers: list[str]
) -> None:
    corpus = utterances(parts, tree(tmp_path, ORIGINAL))
    assert sorted({each.speaker for each in corpus.utterances}) == speakers


def test_the_other_table_of_who_speaks_what_does(tmp_path: Path) -> None:
    tree(tmp_path, ORIGINAL)
    whole = utterances(root=tmp_path)
    (tmp_path / "train/utt2spk").unlink()
    (tmp_path / "train/spk2utt").write_text("0001 000010011\n0036 000360034 000360133\n")
    assert utterances(root=tmp_path).utterances == whole.utterances


def test_halves_transcripts_and_recordings_may_be_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "checksums", lambda corpus: {})
    tree(tmp_path, {name: data for name, data in ORIGINAL.items() if not name.startswith("test")})
    (tmp_path / "train/text").write_text("000010011 WE CALL IT BEAR\n")
    (tmp_path / wav("000360133")).unlink()
    found = utterances(root=tmp_path).utterances
    assert [(each.name, each.text) for each in found] == [
        ("000010011", "WE CALL IT BEAR"),
        ("000360034", None),
    ]
    report = check("speechocean762", root=tmp_path, jobs=1)
    assert report.missing == (wav("000360133"),)
    assert report.speakers == 2 and report.usable


@pytest.mark.parametrize(
    ("table", "text", "why"),
    [
        ("train/wav.scp", "000010011\n", "line 1, is not an utterance and a path below the corp"),
        ("train/wav.scp", "\na /etc/passwd\n", "line 2, is not an utterance and a path below"),
        ("train/wav.scp", "a WAVE/../../x.wav\n", "line 1, is not an utterance and a path below"),
        ("train/wav.scp", "a sph2pipe -f wav a.sph |\n", "line 1, is not an utterance and a path"),
        ("train/wav.scp", "a WAVE/a.WAV\na WAVE/b.WAV\n", "line 2, names 'a' once more"),
        ("train/utt2spk", "000010011 0001 0036\n", "line 1, is not an utterance and its speaker"),
        ("train/utt2spk", "000010011 0001\n", "says nothing of '000360034'"),
        ("train/utt2spk", "000010011 9\x1b\n000360034 1\n000360133 1\n", r"of '9\x1b'"),
        ("train/text", "000010011\n", "line 1, is not an utterance and a text"),
        ("test/spk2age", "0024 grown-up\n", "line 1, is not a speaker and an age"),
        ("test/spk2age", "0024 -1\n", "line 1, is not a speaker and an age"),
        ("test/spk2age", "0025 22\n", "spk2age says nothing of '0024'"),
        ("test/spk2gender", "0024 x\n", "line 1, is not a speaker and m or f"),
        ("test/spk2gender", "0025 f\n", "spk2gender says nothing of '0024'"),
    ],
)
def test_tables_that_cannot_be(tmp_path: Path, table: str, text: str, why: str) -> None:
    (tree(tmp_path, ORIGINAL) / table).write_text(text)
    with pytest.raises(CorpusError) as refused:
        utterances(root=tmp_path)
    said = str(refused.value)
    assert why in said and str(tmp_path / table.partition("/")[0]) in said and said.isprintable()
    assert said.endswith(
        f": put it there, or run `relviz data fetch speechocean762 --folder {tmp_path}`."
    )


@pytest.mark.parametrize("table", [name for name in TABLES if not name.endswith("/text")])
def test_tables_that_are_not_here(tmp_path: Path, table: str) -> None:
    (tree(tmp_path, ORIGINAL) / table).unlink()
    with pytest.raises(CorpusError, match=f"{table} is not here: put it there, or run `relviz "):
        utterances(root=tmp_path)


def test_folders_that_cannot_be(tmp_path: Path, nowhere: Path) -> None:
    with pytest.raises(CorpusError, match=r"no part 'dev' of speechocean762: choose from train, t"):
        utterances(["dev"])
    with pytest.raises(CorpusError, match=r"holds no recording of train or test that its tables"):
        utterances(root=tmp_path)
    tree(tmp_path, ORIGINAL)
    (tmp_path / wav("000010011")).unlink()
    with pytest.raises(CorpusError, match=r"holds no recording of children that its tables name"):
        utterances(["children"], tmp_path)


@pytest.mark.slow
def test_without_it_synthetic_voices_stand_in(nowhere: Path) -> None:
    corpus = load("speechocean762", ["adults"])
    assert corpus.source == Source("synthetic", None, CORPUS)
    assert all(each.spoken for each in corpus.utterances)
    row = next(row for row in status() if row.corpus == CORPUS)
    assert str(row) == (
        "speechocean762: no recordings, synthetic speech stands in; `relviz data fetch "
        "speechocean762` downloads 521 MB, 250 speakers of Mandarin who read English to "
        f"{nowhere / 'speechocean762'}"
    )


# ----------------------------------------------------------------------------------- fetching


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, content in files.items():
            member = tarfile.TarInfo(f"speechocean762/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class Served(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        assert self.path == "/101/speechocean762.tar.gz"
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> Iterator[type[Served]]:
    """Serves the archive; of two recordings the samples are listed, of the tables nothing is."""
    folder = tree(nowhere.parent / "listed", ORIGINAL)
    listed = {wav(name): sample_digest(folder / wav(name)) for name in NAMES[1:3]}
    listed |= dict.fromkeys(TABLES, UNKNOWN)
    monkeypatch.setattr(store, "checksums", lambda corpus: listed)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    here = f"http://127.0.0.1:{server.server_port}/101/"
    monkeypatch.setitem(
        registry.CORPORA, "speechocean762", replace(CORPUS, addresses={".tar.gz": here})
    )
    monkeypatch.setattr(Served, "body", packed(ORIGINAL))
    yield Served
    server.shutdown()
    server.server_close()
    thread.join()


def test_fetch_takes_recordings_that_are_not_listed_too(
    server: type[Served], nowhere: Path
) -> None:
    more = {
        "README.md": b"free",
        "resource/scores.json": b"{}",
        "WAVE/SPEAKER0001/../../../README.evil": b"x",  # still in the archive's folder
        "WAVE/SPEAKER0001/notes.txt": b"x",
    }
    server.body = packed(ORIGINAL | more)
    folder = registry.fetch("speechocean762")
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == {*ORIGINAL, "README.md", ".lock"}
    assert not list(nowhere.parent.rglob("*evil*"))
    assert len(load("speechocean762").utterances) == 4
    row = next(row for row in status() if row.corpus.name == "speechocean762")
    assert str(row) == (
        f"speechocean762: 12 of 12 files in {folder} (cache), all with the listed SHA-256, but 10 "
        "of which none is known"
    )


def test_a_table_that_was_lost_is_fetched_again(server: type[Served], nowhere: Path) -> None:
    folder = registry.fetch("speechocean762")
    (folder / "test/spk2age").unlink()
    registry.fetch("speechocean762")
    assert (folder / "test/spk2age").read_text() == TABLES["test/spk2age"]
    server.body = b"nothing is asked for"
    registry.fetch("speechocean762")


def test_what_comes_unchecked_is_said_before_it_comes(
    server: type[Served], nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "fetch", "speechocean762"]) == 0
    printed = capsys.readouterr()
    licence, unchecked = printed.err.splitlines()[:2]
    assert licence == f"{CORPUS.title} comes under its licence: {CORPUS.licence}."
    assert unchecked == "The SHA-256 of 2 files are known; others come unchecked."
    assert printed.out == f"speechocean762 is in {nowhere / 'speechocean762'}\n"


def test_a_fetch_that_is_stopped_is_known_not_to_be_whole(
    server: type[Served], nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []

    def slow(path: Path, target: Path) -> None:
        moved.append(target)
        if len(moved) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", slow)
        with pytest.raises(KeyboardInterrupt):
            registry.fetch("speechocean762")
    unlisted = {wav(NAMES[0]), wav(NAMES[3])}  # which nobody would miss
    folder = nowhere / "speechocean762"
    assert {path.relative_to(folder).as_posix() for path in moved[:2]} == unlisted
    registry.fetch("speechocean762")
    assert len(load("speechocean762").utterances) == 4


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (
            ORIGINAL | {wav("000240031"): sound(9)},
            "holds speechocean762/WAVE/SPEAKER0024/000240031.WAV without the listed SHA-256",
        ),
        (
            ORIGINAL | {wav("000240031"): b"no sound"},
            "holds speechocean762/WAVE/SPEAKER0024/000240031.WAV without the listed SHA-256",
        ),
        (
            {name: data for name, data in ORIGINAL.items() if name != "train/text"},
            "lacks 1 of 12 listed files, such as train/text",
        ),
    ],
)
def test_archives_that_cannot_be(
    server: type[Served], nowhere: Path, files: dict[str, bytes], why: str
) -> None:
    server.body = packed(files)
    with pytest.raises(CorpusError) as refused:
        registry.fetch("speechocean762")
    assert f"/101/speechocean762.tar.gz {why}" in str(refused.value)
    assert not list((nowhere / "speechocean762").rglob("*.WAV"))


def test_samples_are_checked_whatever_they_are_packed_in(
    server: type[Served], tmp_path: Path
) -> None:
    for files in (ORIGINAL, FLAC):
        folder = tree(tmp_path / str(files is FLAC), files)
        assert not store.missing(CORPUS, folder) and not store.verify(CORPUS, folder)
    victim = folder / wav("000240031").replace(".WAV", ".flac")
    assert file_digest(victim) != sample_digest(victim)
    victim.write_bytes(sound(9, "FLAC"))
    assert store.verify(CORPUS, folder) == [wav("000240031")]
    report = check(CORPUS, root=folder, jobs=1)
    assert not report.usable and report.changed == (wav("000240031"),)
    victim.unlink()
    assert store.missing(CORPUS, folder) == [wav("000240031")]
    assert not store.verify(CORPUS, folder)


def test_the_package_lists_six_recordings_of_each_adult() -> None:
    listed = store.checksums(CORPUS)
    assert sorted(name for name, digest in listed.items() if digest == UNKNOWN) == sorted(TABLES)
    recordings = [name for name in listed if name.startswith("WAVE/")]
    assert len(recordings) == 768 and all(len(listed[name]) == 64 for name in recordings)
    assert set(Counter(name.split("/")[1] for name in recordings).values()) == {6}


def test_a_card_names_the_corpora_that_a_network_says_it_heard() -> None:
    known = pretrained._licence({"credit": CORPUS.credit})
    assert known.endswith(f"They were trained on {CORPUS.credit}.")
    of_old = pretrained._licence({})
    assert of_old.endswith(f"They were trained on {registry.find('mini-librispeech').credit}.")


# ---------------------------------------------------------------------------- real recordings


@pytest.mark.realdata
def test_the_real_corpus() -> None:
    source = locate("speechocean762")
    if source is None or source.folder is None:
        pytest.skip("no recordings: set RELVIZ_DATA or run `relviz data fetch speechocean762`")
    assert not store.missing(CORPUS, source.folder) and not store.verify(CORPUS, source.folder)
    corpus = load("speechocean762", ["adults"])
    speakers = {(each.speaker, each.sex, each.age) for each in corpus.utterances}
    assert Counter(sex for _, sex, _ in speakers) == {"F": 72, "M": 56}
    assert min(age for _, _, age in speakers if age is not None) == 19
    spoken = Counter(each.speaker for each in corpus.utterances)
    assert min(spoken.values()) >= 6 and len(spoken) == 128
    assert all(each.text and each.text.isupper() for each in corpus.utterances)
    report = check("speechocean762", ["test"], jobs=1)
    assert report.usable and {each.sample_rate for each in report.recordings} == {16000}
