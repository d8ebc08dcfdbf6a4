"""Downloads from servers that misbehave on purpose: at most so many bytes, and never for ever."""

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from relviz.corpora import CorpusError, aev, archive, fetch, librispeech, store, transfer
from tests.corpora.test_librispeech import FILES, here, tar

BODY = bytes(range(256)) * 40
PAGE = b"\n<!DOCTYPE HTML><html><title>Welcome to our hotel</title>" + b"x" * 500

Act = Callable[[socket.socket, str], object]


class Server:
    """Answers every connection with a function of the socket and the request's head."""

    def __init__(self, act: Act) -> None:
        self.act, self.heads = act, list[str]()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/dir/file.wav"
        self.ended = threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):
            while not self.ended.is_set():
                connection, _ = self.listening.accept()
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096) or b"\r\n\r\n"
            self.heads.append(head.decode())
            self.act(connection, head.decode())

    def stop(self) -> None:
        self.ended.set()
        self.listening.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Act], Server]]:
    servers = []

    def start(act: Act) -> Server:
        servers.append(Server(act))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Only who is to dawdle is not waited for: on a busy machine others may seem to."""
    callspec = getattr(request.node, "callspec", None)
    way = callspec.params.get("way") if callspec else None
    dawdles = way is not None and "a second" in WAYS[way][1]
    monkeypatch.setattr(transfer, "_PATIENCE", 0.4 if dawdles else 30)
    monkeypatch.setattr(store, "_RETRIES", 0)


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "\r\n"]).encode()


def drip(connection: socket.socket, data: bytes) -> None:
    for _ in range(10_000):
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)


def endless(connection: socket.socket, start: bytes, piece: bytes) -> None:
    connection.sendall(start)
    while True:
        connection.sendall(piece)


WAYS: dict[str, tuple[Act, str]] = {
    "a byte at a time": (
        lambda c, _: (c.sendall(head("Content-Length: 9000")), drip(c, b"x")),
        "sends less than 1 kB a second",
    ),
    "a byte at a time, and no length": (
        lambda c, _: (c.sendall(head()), drip(c, b"x")),
        "sends less than 1 kB a second",
    ),
    "a head that never ends": (
        lambda c, _: (c.sendall(b"HTTP/1.1 200 OK\r\nX: "), drip(c, b"x")),
        "sends less than 1 kB a second",
    ),
    "nothing": (lambda c, _: time.sleep(20), "sends less than 1 kB a second"),
    "a body that never ends": (
        lambda c, _: endless(c, head(), BODY),
        "goes on beyond the 20000 bytes that the file can have",
    ),
    "chunks that never end": (
        lambda c, _: endless(
            c, head("Transfer-Encoding: chunked"), b"%x\r\n%b\r\n" % (len(BODY), BODY)
        ),
        "goes on beyond the 20000 bytes that the file can have",
    ),
    "zeros in a few compressed bytes": (
        lambda c, _: c.sendall(head("Content-Encoding: gzip") + gzip.compress(bytes(10_000_000))),
        "goes on beyond the 20000 bytes that the file can have",
    ),
    "a length that cannot be": (
        lambda c, _: endless(c, head("Content-Length: 99999999999"), BODY),
        "has 99999999999 bytes, where the file has at most 20000",
    ),
    "a login page": (
        lambda c, _: c.sendall(head("Content-Type: text/html") + PAGE),
        "sends a web page for the file, such as a network's login",
    ),
    "a login page elsewhere": (
        lambda c, asked: c.sendall(
            head() + PAGE
            if asked.startswith("GET /login")
            else head("Location: /login", status="302 Found")
        ),
        "sends a web page for the file, such as a network's login",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_server_is_cut_short(serve, tmp_path: Path, way: str) -> None:
    act, reason = WAYS[way]
    server = serve(act)
    with pytest.raises(transfer.TransferError) as refusal:
        transfer.transfer(server.url, tmp_path / "draft", 20_000)
    assert str(refusal.value) == reason
    draft = tmp_path / "draft"
    assert not draft.exists() or draft.stat().st_size <= 20_000
    assert not draft.exists() or "page" not in reason


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_fetch_says_whose_address_it_was(serve, nowhere: Path, monkeypatch, way: str) -> None:
    act, reason = WAYS[way]
    server = serve(act)
    monkeypatch.setattr(store, "checksums", lambda corpus: {"file.wav": "0" * 64})
    corpus = replace(
        aev.CORPUS, addresses={".wav": server.url.removesuffix("file.wav")}, most=20_000
    )
    with pytest.raises(CorpusError) as refusal:
        fetch(corpus)
    again = "what has arrived is kept, so run `relviz data fetch aev` again later."
    assert str(refusal.value) == f"{server.url} {reason}: {again}"
    assert [path for path in nowhere.rglob("*") if path.is_file()] == [nowhere / "aev" / ".lock"]


@pytest.mark.slow
def test_slow_and_steady_is_not_cut(serve, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(transfer, "_CHUNK", 256)
    monkeypatch.setattr(transfer, "_PATIENCE", 0.4)

    def slowly(connection: socket.socket, _: str) -> None:
        connection.sendall(head(f"Content-Length: {len(BODY)}"))
        for at in range(0, len(BODY), 1024):
            connection.sendall(BODY[at : at + 1024])
            time.sleep(0.08)

    transfer.transfer(serve(slowly).url, tmp_path / "draft", 20_000)
    assert (tmp_path / "draft").read_bytes() == BODY


def test_a_page_does_not_take_the_place_of_what_was_there(serve, tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    draft.write_bytes(BODY[:5000])
    with pytest.raises(transfer.TransferError, match="web page"):
        transfer.transfer(serve(WAYS["a login page"][0]).url, draft, 20_000, resume=True)
    assert draft.read_bytes() == BODY[:5000]


@pytest.mark.parametrize(
    ("held", "status", "said", "sent"),
    [
        (5000, "206 Partial Content", "bytes 5000-10239/10240", BODY[5000:]),
        (5000, "206 Partial Content", None, BODY[5000:]),
        (5000, "206 Partial Content", "bytes 0-10239/10240", BODY),
        (5000, "200 OK", None, BODY),
        (30_000, "200 OK", None, BODY),
    ],
)
def test_going_on(serve, tmp_path: Path, held: int, status: str, said: str | None, sent: bytes):
    def act(connection: socket.socket, _: str) -> None:
        ranges = [f"Content-Range: {said}"] if said else []
        connection.sendall(head(f"Content-Length: {len(sent)}", *ranges, status=status) + sent)

    server, draft = serve(act), tmp_path / "draft"
    draft.write_bytes((BODY * 3)[:held])
    transfer.transfer(server.url, draft, 20_000, resume=True)
    assert draft.read_bytes() == BODY
    assert ("Range: bytes=5000-" in server.heads[0]) == (held == 5000)


def test_a_body_that_ends_early_is_an_error(serve, tmp_path: Path) -> None:
    server = serve(lambda c, _: c.sendall(head("Content-Length: 10240") + BODY[:9000]))
    with pytest.raises(requests.RequestException):
        transfer.transfer(server.url, tmp_path / "draft", 20_000)


@pytest.mark.parametrize(
    "poison",
    [
        tar(FILES)[:1000] + b"poison" * 20,
        b"poison" * 20,
        PAGE,
        tar(FILES) + b"poison",
        bytes(100_000),
        tar({"train-clean-5/1.flac": b"another archive"}),
    ],
    ids=["in its middle", "from its start", "a page", "at its end", "zeros", "another archive"],
)
def test_what_an_earlier_call_left_stops_no_later_one(
    serve, nowhere: Path, monkeypatch, poison: bytes
) -> None:
    body = tar(FILES)

    def good(connection: socket.socket, asked: str) -> None:
        begun = int(asked.partition("bytes=")[2].partition("-")[0] or 0)
        if begun >= len(body):
            connection.sendall(head("Content-Length: 0", status="416 Range Not Satisfiable"))
        else:
            status = "206 Partial Content" if begun else "200 OK"
            connection.sendall(head(f"Content-Length: {len(body) - begun}", status=status))
            connection.sendall(body[begun:])

    server = serve(good)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(store, "checksums", lambda corpus: digests)
    nowhere.mkdir(parents=True)
    (nowhere / ".train-clean-5.tar.gz.part").write_bytes(poison)
    corpus = replace(librispeech.CORPUS, addresses={".tar.gz": server.url.removesuffix("file.wav")})
    fetch(corpus)
    assert here(nowhere / "LibriSpeech") == set(FILES)
    assert [path.name for path in nowhere.iterdir()] == ["LibriSpeech"]


def test_a_corpus_says_how_much_it_can_be() -> None:
    for corpus in (aev.CORPUS, librispeech.CORPUS):
        assert 0 < corpus.most <= archive.LARGEST
