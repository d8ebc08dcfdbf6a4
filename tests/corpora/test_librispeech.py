"""LibriSpeech's layout on small trees, and its archive from a server that misbehaves."""

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from relviz import cli
from relviz.corpora import (
    Corpus,
    CorpusError,
    Source,
    SpeechCorpus,
    archive,
    fetch,
    librispeech,
    locate,
    other_sessions,
    registry,
    split_speakers,
    split_utterances,
    status,
    store,
    transfer,
    vowel,
)
from relviz.corpora.librispeech import CORPUS, utterances


def recording(number: int) -> bytes:
    """A short flac."""
    buffer = io.BytesIO()
    soundfile.write(buffer, vowel(100 + 10 * number, (500, 1500)), 16000, format="FLAC")
    return buffer.getvalue()


FILES = {
    "train-clean-5/19/198/19-198.trans.txt": b"19-198-0000 NORTHANGER ABBEY\n19-198-0001 THIS\n",
    "train-clean-5/19/198/19-198-0000.flac": recording(0),
    "train-clean-5/19/198/19-198-0001.flac": recording(1),
    "train-clean-5/118/47824/118-47824.trans.txt": b"118-47824-0000 MARLEY'S GHOST\n",
    "train-clean-5/118/47824/118-47824-0000.flac": recording(2),
}
VICTIM = "train-clean-5/19/198/19-198-0001.flac"


def tree(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def tar(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    """An archive with the top folder LibriSpeech, packed as OpenSLR's is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, content in {"LICENSE.TXT": b"CC BY 4.0", **files}.items():
            member = tarfile.TarInfo(f"LibriSpeech/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
        for member in extra:
            made.addfile(member)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `body`; breaks off after `limit` bytes, and knows ranges if it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = tar(FILES)
        self.limit: int | None = None
        self.ranges = True
        self.error = 0
        self.sent: list[int] = []
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def corpus(self) -> Corpus:
        root = f"http://127.0.0.1:{self.server_port}/resources/31/"
        return replace(CORPUS, addresses={".tar.gz": root})

    @property
    def url(self) -> str:
        return f"{self.corpus.addresses['.tar.gz']}train-clean-5.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        assert self.path == "/resources/31/train-clean-5.tar.gz"
        if self.server.error:
            self.send_error(self.server.error)
            return
        body, begun = self.server.body, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.server.ranges:
            begun = int(asked[1])
            if begun >= len(body):
                self.send_error(416)
                return
        self.send_response(206 if begun else 200)
        self.send_header("Content-Length", str(len(body) - begun))
        self.end_headers()
        sent = body[begun : self.server.limit and begun + self.server.limit]
        self.server.sent.append(len(sent))
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(store, "_RETRIES", 0)
    monkeypatch.setattr(transfer, "_CHUNK", 100)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(store, "checksums", lambda corpus: digests)
    server = Server()
    yield server
    server.shutdown()
    server.server_close()
    server.thread.join()


def here(folder: Path) -> set[str]:
    """Every file in the folder, each of which must be whole."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    names.discard(".lock")
    for name in names:
        assert FILES.get(name) == (folder / name).read_bytes(), f"{name} was left half-written"
    return names


def refusal(server: Server) -> str:
    with pytest.raises(CorpusError) as refused:
        fetch(server.corpus)
    assert str(refused.value).startswith(f"{server.url} ")
    return str(refused.value).removeprefix(f"{server.url} ")


# ------------------------------------------------------------------------------------ reading


def test_utterances_of_a_tree(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = nowhere.parent / "data"
    folder = tree(data / "LibriSpeech")
    (folder / "train-clean-100/19/227").mkdir(parents=True)
    (folder / "train-clean-100/19/227/19-227-0003.flac").write_bytes(recording(3))
    (folder / "SPEAKERS.TXT").write_text("; lists\n")
    monkeypatch.setenv("RELVIZ_DATA", str(data))
    corpus = utterances()
    assert corpus.source == Source("RELVIZ_DATA", folder, CORPUS)
    assert corpus.source.describe() == (
        "Recordings: LibriSpeech (Panayotov et al., 2015), found through RELVIZ_DATA."
    )
    rows = [(u.name, u.speaker, u.session, u.text) for u in corpus.utterances]
    assert rows == [
        ("19-198-0000", "19", "198", "NORTHANGER ABBEY"),
        ("19-198-0001", "19", "198", "THIS"),
        ("118-47824-0000", "118", "47824", "MARLEY'S GHOST"),
    ]
    wave = corpus.utterances[2].wave()
    assert wave.dtype == np.float32 and wave.shape == (6400,)
    everything = utterances(None)
    assert len(everything.utterances) == 4
    (other,) = other_sessions(corpus.utterances, everything.utterances)
    assert (other.name, other.session, other.text) == ("19-227-0003", "227", None)
    for root in (data, folder):
        given = utterances("train-clean-100", root)
        assert given.utterances == (other,)
        assert given.source == Source("given", folder, CORPUS)
        assert given.source.describe().endswith(", from the folder given.")


def test_full_librispeech_without_the_small_part(tmp_path: Path) -> None:
    tree(tmp_path, {"dev-clean/84/1/84-1-0000.flac": recording(0)})
    assert [u.name for u in utterances(("dev-clean",), tmp_path).utterances] == ["84-1-0000"]
    with pytest.raises(CorpusError) as refused:
        utterances(root=tmp_path)
    assert str(refused.value) == (
        f"{tmp_path} has no part 'train-clean-5': choose from dev-clean, or put it there, or run "
        f"`relviz data fetch mini-librispeech --folder {tmp_path}`."
    )


def test_any_part_makes_a_folder_librispeech(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELVIZ_DATA", str(nowhere.parent))
    (nowhere.parent / "LibriSpeech" / "dev-clean").mkdir(parents=True)
    assert locate(CORPUS) is None
    tree(nowhere.parent / "LibriSpeech", {"dev-clean/84/1/84-1-0000.flac": recording(0)})
    assert locate(CORPUS) == Source("RELVIZ_DATA", nowhere.parent / "LibriSpeech", CORPUS)


def test_trees_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no is not a folder: give the one that holds LibriSp"):
        utterances(root=tmp_path / "no")
    (tmp_path / "train-clean-5").mkdir()
    with pytest.raises(CorpusError, match=r"holds no recording in LibriSpeech's layout \(speaker/"):
        utterances(root=tmp_path)
    tree(tmp_path)
    transcript = tmp_path / "train-clean-5/19/198/19-198.trans.txt"
    transcript.write_text("19-198-0000 NORTHANGER ABBEY\n19-198-0001\n")
    with pytest.raises(CorpusError) as refused:
        utterances(root=tmp_path)
    assert str(refused.value).startswith(f"{transcript}, line 2, is not a name and a text: ")


@pytest.mark.slow
def test_synthetic_voices_stand_in(nowhere: Path) -> None:
    corpus = utterances()
    assert corpus.source == Source("synthetic", None, CORPUS)
    assert "Synthetic speech" in corpus.source.describe()
    assert len(corpus.utterances) == 72
    assert len({u.speaker for u in corpus.utterances}) == 12
    first = corpus.utterances[0]
    assert first.name == "Female1-0-0000" and first.text is not None and first.path is None
    assert first.spoken is not None
    assert first.spoken[-1].end == pytest.approx(len(first.wave()) / 16000, abs=2e-3)
    for split in (split_speakers, split_utterances):
        kept, held_out = split(corpus.utterances)
        assert len(kept) > len(held_out) > 0


# ----------------------------------------------------------------------------------- fetching


def test_the_package_lists_train_clean_5() -> None:
    listed = store.checksums(CORPUS)
    assert len(listed) == 1519 + 29
    assert {name.partition("/")[0] for name in listed} == {"train-clean-5"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in listed.values())
    assert len({name.split("/")[1] for name in listed}) == 28
    assert CORPUS.addresses[".tar.gz"].startswith("https://")


def test_fetch_unpacks_what_is_listed(server: Server, nowhere: Path) -> None:
    folder = nowhere / "LibriSpeech"
    assert locate(CORPUS) is None
    assert fetch(server.corpus) == folder
    assert here(folder) == set(FILES)  # no LICENSE.TXT, which is not listed
    assert [path.name for path in nowhere.iterdir()] == ["LibriSpeech"]
    assert locate(CORPUS) == Source("cache", folder, CORPUS)
    assert len(utterances().utterances) == 3
    fetch(server.corpus)
    assert len(server.sent) == 1
    row = next(row for row in status() if row.corpus == CORPUS)
    assert str(row) == (
        f"mini-librispeech: 5 of 5 files in {folder} (cache), all with the listed SHA-256"
    )


def test_a_wrong_file_is_replaced(server: Server, nowhere: Path) -> None:
    folder = fetch(server.corpus)
    (folder / VICTIM).write_bytes(b"wrong")
    assert store.verify(CORPUS, folder) == [VICTIM]
    fetch(server.corpus)
    assert here(folder) == set(FILES)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on(server: Server, nowhere: Path, ranges: bool) -> None:
    whole, server.ranges = len(server.body), ranges
    server.limit = whole // 3
    assert re.fullmatch(
        r"cannot be downloaded \(\w+\): go online; what has arrived is kept, so run `relviz data "
        r"fetch mini-librispeech` again later\.",
        refusal(server),
    )
    assert here(nowhere / "LibriSpeech") == set()
    server.limit = None
    fetch(server.corpus)
    assert here(nowhere / "LibriSpeech") == set(FILES)
    kept = server.sent[0] // 100 * 100  # a chunk that is not whole is not kept
    assert server.sent[1] == (whole - kept if ranges else whole)


def test_a_retry_goes_on_too(
    server: Server, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_RETRIES", 2)
    server.limit = len(server.body) // 2
    fetch(server.corpus)
    assert here(nowhere / "LibriSpeech") == set(FILES)
    assert len(server.sent) > 1
    assert sum(server.sent) < 1.1 * len(server.body)


def test_a_whole_download_is_not_asked_for_again(
    server: Server, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(archive, "unpack", stop)
        with pytest.raises(KeyboardInterrupt):
            fetch(server.corpus)
    assert here(nowhere / "LibriSpeech") == set()
    fetch(server.corpus)
    assert here(nowhere / "LibriSpeech") == set(FILES)
    assert len(server.sent) == 1


def flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return (
        body[:middle]
        + bytes(255 - byte for byte in body[middle : middle + 64])
        + body[middle + 64 :]
    )


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            tar(FILES | {VICTIM: b"changed"}),
            f"holds LibriSpeech/{VICTIM} without the listed SHA-256 (truncated or changed)",
        ),
        (
            tar({name: content for name, content in FILES.items() if name != VICTIM}),
            f"lacks 1 of 5 listed files, such as {VICTIM}",
        ),
        (tar(FILES)[:-300], "is no whole tar archive ("),
        (flipped(tar(FILES)), ("is no whole tar archive (", "holds LibriSpeech/")),
        (b"<p>Not here, but 200</p>", "is no whole tar archive ("),
        (tar(FILES, tarfile.TarInfo("../../evil.txt")), "is not to be trusted ("),
        (tar(FILES, tarfile.TarInfo("LibriSpeech/../../evil.txt")), "is not to be trusted ("),
        (tar(FILES, link("LibriSpeech/link", "/etc/passwd")), "is not to be trusted ("),
    ],
    ids=["changed", "missing", "cut", "flipped", "html", "outside", "outside inside", "link"],
)
def test_archives_that_cannot_be(
    server: Server, nowhere: Path, body: bytes, reason: str | tuple[str, ...]
) -> None:
    server.body = body
    said = refusal(server)
    assert said.startswith(reason)
    assert said.endswith(": run `relviz data fetch mini-librispeech` again later.")
    assert here(nowhere / "LibriSpeech") == set()
    assert [path.name for path in nowhere.iterdir()] == ["LibriSpeech"]  # no draft stays either
    assert not list(nowhere.parent.parent.rglob("evil*"))
    server.body = tar(FILES)
    fetch(server.corpus)
    assert here(nowhere / "LibriSpeech") == set(FILES)


def test_a_page_that_is_gone(server: Server, nowhere: Path) -> None:
    server.error = 404
    assert refusal(server).startswith("answers 404 Not Found: what has arrived is kept, so run ")


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(CorpusError, match=r"^\S+occupied\S* cannot be written \(a file has its n"):
        fetch(server.corpus, tmp_path / "occupied")


def test_on_the_command_line(
    server: Server,
    nowhere: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(registry.CORPORA, "mini-librispeech", server.corpus)
    assert cli.main(["data", "fetch", "mini-librispeech"]) == 0
    out, err = capfd.readouterr()
    assert out == f"mini-librispeech is in {nowhere / 'LibriSpeech'}\n"
    assert "train-clean-5.tar.gz: 100%" in err


def test_utterances_download_only_when_asked(
    server: Server, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(librispeech, "CORPUS", server.corpus)
    corpus = utterances(download=True)
    assert corpus.source == Source("download", nowhere / "LibriSpeech", server.corpus)
    assert len(corpus.utterances) == 3


# ---------------------------------------------------------------------------- real recordings


@pytest.mark.realdata
def test_the_real_corpus(librispeech: SpeechCorpus) -> None:
    found = librispeech.utterances
    assert len({u.name for u in found}) == len(found)
    assert all(u.name.startswith(f"{u.speaker}-{u.session}-") for u in found)
    small = utterances().utterances
    assert all(u.text and u.text.isupper() for u in small)
    kept, held_out = split_speakers(small)
    assert not {u.speaker for u in kept} & {u.speaker for u in held_out}
    for each in found[::200]:
        wave = each.wave()
        assert wave.dtype == np.float32 and 1 < len(wave) / 16000 < 40


def test_transcripts_as_people_save_them_and_what_a_mac_adds(tmp_path):
    folder = tmp_path / "LibriSpeech" / "dev-clean" / "84" / "121123"
    folder.mkdir(parents=True)
    for name in ("84-121123-0000.flac", "84-121123-0001.flac", "._84-121123-0000.flac"):
        (folder / name).touch()
    (folder / "._84-121123.trans.txt").write_bytes(b"\0\5\x16\7")
    text = b"\xef\xbb\xbf84-121123-0000\tGO  ON\r\n84-121123-0001 A B \r\n\r\n"
    (folder / "84-121123.trans.txt").write_bytes(text)
    found = utterances(("dev-clean",), tmp_path).utterances
    assert [(u.name, u.text) for u in found] == [
        ("84-121123-0000", "GO  ON"),
        ("84-121123-0001", "A B"),
    ]


def test_sexes_are_those_of_the_table(tmp_path: Path) -> None:
    folder = tree(tmp_path / "LibriSpeech", {"dev-clean/84/1/84-1-0000.flac": recording(0)})
    assert [u.sex for u in utterances(None, tmp_path).utterances] == [None]
    (folder / "SPEAKERS.TXT").write_text("; a table\n;ID | SEX\n84 | F | dev-clean | 8 | A | B\n85")
    assert [u.sex for u in utterances(None, tmp_path).utterances] == ["F"]
    (folder / "SPEAKERS.TXT").write_text("84 | ? | dev-clean\n")
    assert [u.sex for u in utterances(None, tmp_path).utterances] == [None]
