"""TIMIT's free sample: its list, its zip from a server, and what cannot be one."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relviz import cli
from relviz.corpora import CorpusError, Source, archive, load, locate, registry, store, timit
from relviz.corpora.archive import ArchiveError

FILES = {
    "README": b"CC BY-NC-SA",
    "dr1-fvmh0/sx206.wav": b"NIST_1A" * 50,
    "dr1-fvmh0/sx206.phn": b"0 1600 h#\n",
}
LISTED = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def packed(files: dict[str, bytes], top: str = "timit/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("timit/", b"")
        made.writestr("timit/timitdic.txt", b"not listed")
        for name, content in files.items():
            made.writestr(top + name, content)
    return buffer.getvalue()


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where timit.zip is served, on this machine; the registry knows it as the sample."""
    body = packed(FILES)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/corpora/timit.zip"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    here = f"http://127.0.0.1:{server.server_port}/corpora/"
    served = replace(timit.SAMPLE, addresses={".zip": here})
    monkeypatch.setitem(registry.CORPORA, "timit-sample", served)
    monkeypatch.setattr(store, "checksums", lambda corpus: LISTED)
    yield here
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_package_lists_every_sentence_with_its_labels() -> None:
    listed = store.checksums(timit.SAMPLE)
    assert len(listed) == 16 * 10 * 4 + 1
    assert all(len(digest) == 64 for digest in listed.values())
    assert len({name.partition("/")[0] for name in listed}) == 16 + 1


def test_its_licence_is_shown_before_it_is_fetched(
    address: str, nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "fetch", "timit-sample"]) == 0
    printed = capsys.readouterr()
    licence = "TIMIT's sample (Garofolo et al., 1993) comes under its licence: (c) 1993 Linguistic "
    assert printed.err.startswith(licence + "Data Consortium, CC BY-NC-SA: not for commercial use.")
    folder = nowhere / "timit-sample"
    assert printed.out == f"timit-sample is in {folder}\n"
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == {".lock", *FILES}  # and nothing that is not listed
    assert {path.name for path in nowhere.iterdir()} == {"timit-sample"}  # no half-written rest
    corpus = load("timit-sample")
    assert [each.name for each in corpus.utterances] == ["FVMH0-SX206"]
    assert corpus.source == Source("cache", folder, timit.SAMPLE)


def test_a_licence_is_shown_before_a_download_that_fails_too(
    address: str, nowhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {**LISTED, "README": "0" * 64}
    monkeypatch.setattr(store, "checksums", lambda corpus: wrong)
    assert cli.main(["data", "fetch", "timit-sample"]) == 1
    printed = capsys.readouterr()
    assert "CC BY-NC-SA" in printed.err.partition("timit.zip")[0]
    assert f"{address}timit.zip holds timit/README without the listed SHA-256" in printed.err
    assert not list((nowhere / "timit-sample").rglob("*.wav"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed({**FILES, "README": b"x"}), r"^holds timit/README without the listed SHA-256"),
        (packed({"README": FILES["README"]}), r"^lacks 2 of 3 listed files, such as dr1-fvmh0/sx"),
        (packed(FILES)[:-40], r"^is no whole zip archive \("),
        (b"<html>Log in first</html>", r"^is no whole zip archive \("),
    ],
)
def test_archives_that_cannot_be(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "timit.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match=why):
        archive.unpack(tmp_path / "timit.zip", tmp_path / "out", LISTED)


def test_nothing_is_written_outside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "timit.zip").write_bytes(packed(FILES | {"../../evil": b"x"}))
    archive.unpack(tmp_path / "timit.zip", tmp_path / "a" / "out", LISTED)
    assert not list(tmp_path.rglob("evil"))


def test_members_that_claim_to_be_huge_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "timit.zip").write_bytes(packed(FILES))
    with pytest.raises(ArchiveError, match=r"^unpacks to more than the 100 bytes that it can"):
        archive.unpack(tmp_path / "timit.zip", tmp_path / "out", LISTED, most=100)


@pytest.mark.slow
def test_without_it_synthetic_voices_stand_in(nowhere: Path) -> None:
    corpus = load("timit-sample")
    assert corpus.source == Source("synthetic", None, timit.SAMPLE)
    assert all(each.spoken for each in corpus.utterances)
    with pytest.raises(CorpusError, match=r"has one part, 'sample': leave 'train' out\.$"):
        load("timit-sample", ["train"])


@pytest.mark.realdata
def test_the_real_one_is_what_is_listed() -> None:
    source = locate("timit-sample")
    if source is None or source.folder is None:
        pytest.skip("no sample of TIMIT: set RELVIZ_DATA or run `relviz data fetch timit-sample`")
    assert not store.missing(timit.SAMPLE, source.folder)
    assert not store.verify(timit.SAMPLE, source.folder)
    assert len({each.speaker for each in load("timit-sample").utterances}) == 16
