"""Downloads against a real server on this machine that misbehaves in every way we know."""

import hashlib
import logging
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relviz.corpora import (
    CORPORA,
    Corpus,
    CorpusError,
    Source,
    aev,
    fetch,
    locate,
    registry,
    status,
    store,
    timit,
)
from relviz.corpora.corpus import EMBED

FILES = {
    name: (name.encode() + b"-") * 3000
    for name in ("men/m01ah.wav", "men/m02ah.wav", "women/w01ah.wav", "women/w02ah.wav")
} | {"vowdata.dat": b"table\r\n" * 500, "timedata.dat": b"times\r\n" * 400}

VICTIM = "women/w01ah.wav"


class Server(ThreadingHTTPServer):
    """Serves FILES from /wavs/ and /tables/; `ways` says how it treats a file, by its name."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.ways: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.half_way: Callable[[str], None] = lambda name: None
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def corpus(self) -> Corpus:
        root = f"http://127.0.0.1:{self.server_port}"
        return replace(aev.CORPUS, addresses={".wav": f"{root}/wavs/", ".dat": f"{root}/tables/"})

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        (name,) = (name for name in FILES if self.path.split("/")[-1] == Path(name).name)
        assert self.path.split("/")[1] == ("wavs" if name.endswith(".wav") else "tables")
        self.server.asked[name] += 1
        way = self.server.ways.get(name, "good")
        if way == "once 503":
            way = "503" if self.server.asked[name] == 1 else "good"
        if way.isdigit():
            self.send_error(int(way))
            return
        body = FILES[name]
        sent = {
            "good": body,
            "truncated": body[:1000],
            "short": body[:1000],
            "corrupted": b"X" + body[1:],
            "empty": b"",
            "dead": b"",
        }[way]
        if way == "dead":
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body if way == "truncated" else sent)))
        self.end_headers()
        self.wfile.write(sent[: len(sent) // 2])
        self.wfile.flush()
        self.server.half_way(name)
        self.wfile.write(sent[len(sent) // 2 :])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def small_corpus(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> Path:
    """Let there be "aev" only, with FILES, without retries, on a machine without recordings."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(store, "checksums", lambda corpus: digests)
    monkeypatch.setattr(registry, "CORPORA", {"aev": aev.CORPUS})
    monkeypatch.setattr(store, "_RETRIES", 0)
    return nowhere / "aev"


def here(folder: Path) -> set[str]:
    """Every file in the folder, each of which must be whole."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    names.discard(".lock")
    for name in names:
        assert FILES.get(name) == (folder / name).read_bytes(), f"{name} was left half-written"
    return names


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(FILES[name])
    return folder


def test_the_package_lists_every_recording_and_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    listed = store.checksums(aev.CORPUS)
    assert len(listed) == 93 * 12 + 3
    assert all(len(digest) == 64 for digest in listed.values())
    assert {Path(name).suffix for name in listed} == set(aev.CORPUS.addresses)
    assert {name for name in listed if "/" not in name} == {
        "vowdata.dat",
        "timedata.dat",
        "bigdata.dat",
    }
    assert len({Path(name).name for name in listed}) == len(listed)  # one folder on the web


def test_unknown_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(
        CorpusError,
        match=rf"^There is no corpus 'radio': choose from {', '.join(CORPORA)}\.$",
    ):
        locate("radio")
    with pytest.raises(CorpusError, match="no corpus 'radio'"):
        fetch("radio")


def test_every_corpus_says_what_one_may_know_before_fetching_it() -> None:
    for name, corpus in CORPORA.items():
        assert corpus.name == name and corpus.title and corpus.licence and corpus.folder
        if corpus.addresses:
            assert corpus.size and all(
                url.startswith("https://") and url.endswith("/")
                for url in corpus.addresses.values()
            )
    assert len({corpus.folder for corpus in CORPORA.values()}) == len(CORPORA)


@pytest.mark.slow
def test_a_corpus_under_licence_is_read_and_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("RELVIZ_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sentence = (
        "TIMIT (Garofolo et al., 1993) is not downloaded, as it needs a licence (LDC93S1, from the "
        "Linguistic Data Consortium): name the folder of your own copy."
    )
    for act in (fetch, lambda name: locate(name, download=True)):
        with pytest.raises(CorpusError) as refusal:
            act("timit")
        assert str(refusal.value) == sentence
    assert locate("timit") is None
    assert str(status()[-1]) == (
        "timit: no recordings; it needs a licence (LDC93S1, from the Linguistic Data Consortium)"
    )
    recording = tmp_path / "TIMIT" / "TRAIN" / "DR1" / "FCJF0" / "SI648.WAV"
    recording.parent.mkdir(parents=True)
    recording.touch()
    assert locate("timit") == Source("RELVIZ_DATA", tmp_path / "TIMIT", timit.CORPUS)
    assert str(status()[-1]) == f"timit: in {tmp_path / 'TIMIT'} (RELVIZ_DATA), unchecked"


def test_any_corpus_is_loaded_by_the_same_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    mine = Corpus("mine", "Mine (2026)", "mine", "none", lambda *given: calls.append(given))
    monkeypatch.setattr(registry, "CORPORA", {"mine": mine})
    for corpus in ("mine", mine):
        registry.load(corpus, ["a"], tmp_path, download=True)
    assert calls == [(["a"], tmp_path, True, False)] * 2


def test_fetch_puts_everything_in_the_cache(server: Server, small_corpus: Path) -> None:
    assert locate("aev") is None
    assert fetch(server.corpus) == small_corpus
    assert here(small_corpus) == set(FILES)
    assert locate("aev") == Source("cache", small_corpus, aev.CORPUS)
    assert (small_corpus / VICTIM).stat().st_mode & 0o777 == 0o644


def test_fetch_again_asks_for_nothing(server: Server, small_corpus: Path) -> None:
    fetch(server.corpus)
    server.asked.clear()
    fetch(server.corpus)
    assert not server.asked


def test_fetch_is_silent_unless_asked(
    server: Server,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    level = logging.getLogger("pooch").level
    fetch(server.corpus, tmp_path / "a")
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("pooch").level == level
    assert not [r for r in caplog.records if r.levelno >= logging.INFO and r.name == "pooch"]
    fetch(server.corpus, tmp_path / "b", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "aev: 100%" in err
    assert "6/6" in err


@pytest.mark.parametrize("parallel", [1, 8])
@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("truncated", r"cannot be downloaded \(\w+Error\): go online; "),
        ("dead", r"cannot be downloaded \(ConnectionError\): go online; "),
        ("short", r"does not have the listed SHA-256 \(truncated or changed\): "),
        ("corrupted", r"does not have the listed SHA-256 \(truncated or changed\): "),
        ("empty", r"does not have the listed SHA-256 \(truncated or changed\): "),
        ("404", r"answers 404 Not Found: "),
    ],
)
def test_a_bad_file_is_named_and_not_kept(
    server: Server,
    small_corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    reason: str,
    parallel: int,
) -> None:
    monkeypatch.setattr(store, "_PARALLEL", parallel)
    server.ways[VICTIM] = way
    with pytest.raises(CorpusError) as refusal:
        fetch(server.corpus)
    url = f"{server.corpus.addresses['.wav']}w01ah.wav"
    again = "what has arrived is kept, so run `relviz data fetch aev` again later."
    assert str(refusal.value).startswith(url)
    assert re.fullmatch(f"{re.escape(url)} {reason}{re.escape(again)}", str(refusal.value))
    assert VICTIM not in here(small_corpus)

    del server.ways[VICTIM]
    kept = here(small_corpus)
    server.asked.clear()
    fetch(server.corpus)
    assert here(small_corpus) == set(FILES)
    assert not kept & set(server.asked)


def test_a_wrong_file_is_replaced_only_by_a_right_one(server: Server, small_corpus: Path) -> None:
    put(small_corpus, *FILES)
    (small_corpus / VICTIM).write_bytes(b"wrong")
    assert store.verify(aev.CORPUS, small_corpus) == [VICTIM]
    server.ways[VICTIM] = "corrupted"
    with pytest.raises(CorpusError, match="SHA-256"):
        fetch(server.corpus)
    assert (small_corpus / VICTIM).read_bytes() == b"wrong"
    server.ways.clear()
    fetch(server.corpus)
    assert here(small_corpus) == set(FILES)
    assert store.verify(aev.CORPUS, small_corpus) == []


def test_a_server_that_dies_half_way_and_comes_back(
    small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PARALLEL", 1)
    first = Server()
    port, corpus = first.server_port, first.corpus

    def die(name: str) -> None:
        if len(first.asked) == 4:
            threading.Thread(target=first.shutdown).start()
            first.socket.close()
            raise ConnectionAbortedError

    first.half_way = die
    first.handle_error = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(CorpusError, match="cannot be downloaded"):
        fetch(corpus)
    first.thread.join()
    kept = here(small_corpus)
    assert len(kept) == 3
    with pytest.raises(CorpusError, match=r"cannot be downloaded \(ConnectionError\): go online"):
        fetch(corpus)
    assert here(small_corpus) == kept

    second = Server(port)
    try:
        fetch(corpus)
    finally:
        second.stop()
    assert here(small_corpus) == set(FILES)
    assert set(second.asked) == set(FILES) - kept


def test_nothing_has_its_name_before_it_is_whole(server: Server, small_corpus: Path) -> None:
    seen = []
    server.half_way = lambda name: seen.append((small_corpus / name).exists())
    fetch(server.corpus)
    assert seen == [False] * len(FILES)


@pytest.mark.slow
def test_retries(server: Server, small_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_RETRIES", 1)
    server.ways[VICTIM] = "once 503"
    fetch(server.corpus)
    assert here(small_corpus) == set(FILES)
    assert server.asked[VICTIM] == 2


def test_interrupt_keeps_what_is_finished(
    server: Server, small_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PARALLEL", 1)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt(name: str) -> None:
        if len(server.asked) == 3:
            signal.pthread_kill(main, signal.SIGINT)

    server.half_way = interrupt
    with pytest.raises(KeyboardInterrupt):
        fetch(server.corpus)
    kept = here(small_corpus)
    assert 2 <= len(kept) < len(FILES)
    server.half_way = lambda name: None
    server.asked.clear()
    fetch(server.corpus)
    assert here(small_corpus) == set(FILES)
    assert not kept & set(server.asked)


def test_two_at_once(server: Server, small_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused by name, and what the first fetches is whole."""
    monkeypatch.setattr(store, "_PARALLEL", 1)  # or six have been asked for before one is half-way
    failures: list[Exception] = []

    def one() -> None:
        try:
            fetch(server.corpus)
        except Exception as error:
            failures.append(error)

    def another(name: str) -> None:
        if len(server.asked) == 2 and not failures:
            thread = threading.Thread(target=one)
            thread.start()
            thread.join()

    server.half_way = another
    fetch(server.corpus)
    assert {str(failure) for failure in failures} == {
        f"{small_corpus} is being filled by another fetch of aev: wait for that one."
    }
    assert here(small_corpus) == set(FILES)


def test_what_a_killed_fetch_left_is_removed(server: Server, small_corpus: Path) -> None:
    put(small_corpus, VICTIM)
    drafts = small_corpus / ".fetching" / "men"
    drafts.mkdir(parents=True)
    (drafts / "tmp12345678").write_bytes(b"half")
    (small_corpus / "tmp_of_mine").write_bytes(b"")
    fetch(server.corpus)
    assert sorted(path.name for path in small_corpus.iterdir() if not path.is_dir()) == sorted(
        {".lock", "tmp_of_mine"} | {name for name in FILES if "/" not in name}
    )
    assert not drafts.exists() and VICTIM not in server.asked


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(
        CorpusError,
        match=r"^\S+occupied\S* cannot be written \(a file has its name\): choose another place\.$",
    ):
        fetch(server.corpus, tmp_path / "occupied")


def test_a_full_disk(server: Server, small_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr("pooch.core.shutil.move", full)
    with pytest.raises(CorpusError, match=r"^/somewhere cannot be written \(No space left on dev"):
        fetch(server.corpus)
    assert here(small_corpus) == set()


def test_variable_then_cache(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    (data / "LibriSpeech").mkdir(parents=True)
    monkeypatch.setenv("RELVIZ_DATA", str(data))
    assert locate("aev") is None
    put(small_corpus, "vowdata.dat")
    assert locate("aev") == Source("cache", small_corpus, aev.CORPUS)
    put(data / "aev", VICTIM)
    assert locate("aev") == Source("RELVIZ_DATA", data / "aev", aev.CORPUS)
    monkeypatch.setenv("RELVIZ_DATA", "")
    assert locate("aev") == Source("cache", small_corpus, aev.CORPUS)


def test_a_variable_that_names_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELVIZ_DATA", str(tmp_path / "typo"))
    sentence = (
        f"RELVIZ_DATA names {tmp_path / 'typo'}, which is not a folder: correct it, or unset "
        "RELVIZ_DATA."
    )
    for function in (lambda: locate("aev"), status):
        with pytest.raises(CorpusError) as refusal:
            function()
        assert str(refusal.value) == sentence


def test_locate_downloads_only_when_asked(
    server: Server, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = server.corpus
    assert locate(corpus) is None
    assert not server.asked
    assert locate(corpus, download=True) == Source("download", small_corpus, corpus)
    assert here(small_corpus) == set(FILES)
    assert locate(corpus, download=True) == Source("cache", small_corpus, corpus)
    (small_corpus / VICTIM).unlink()
    server.asked.clear()
    assert locate(corpus, download=True) == Source("download", small_corpus, corpus)
    assert server.asked == Counter([VICTIM])
    monkeypatch.setenv("RELVIZ_DATA", str(tmp_path))
    put(tmp_path / "aev", VICTIM)  # one file of it is enough: that folder is the user's own
    assert locate(corpus, download=True) == Source("RELVIZ_DATA", tmp_path / "aev", corpus)


def test_status_and_verify(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = status()
    assert (row.source, row.folder, row.present, row.expected) == (None, small_corpus, 0, 6)
    assert str(row) == (
        "aev: no recordings, synthetic speech stands in; `relviz data fetch aev` downloads 6 files "
        f"to {small_corpus}"
    )
    put(small_corpus, "vowdata.dat", VICTIM)
    assert str(status()[0]) == (
        f"aev: 2 of 6 files in {small_corpus} (cache), all with the listed SHA-256"
    )
    (small_corpus / VICTIM).write_bytes(b"wrong")
    assert str(status()[0]) == f"aev: 2 of 6 files in {small_corpus} (cache), 1 of them wrong"
    assert store.verify(aev.CORPUS, small_corpus) == [VICTIM]
    assert len(store.missing(aev.CORPUS, small_corpus)) == 4


def test_sources_describe_themselves(tmp_path: Path) -> None:
    assert Source("RELVIZ_DATA", tmp_path, aev.CORPUS).describe() == (
        "Recordings: American English Vowels (Hillenbrand et al., 1995), found through RELVIZ_DATA."
    )
    assert "from the user's cache" in Source("cache", tmp_path, aev.CORPUS).describe()
    assert "downloaded just now" in Source("download", tmp_path, aev.CORPUS).describe()
    assert str(tmp_path) not in Source("cache", tmp_path, aev.CORPUS).describe()
    assert Source("synthetic").describe() == (
        "Synthetic speech from Praat's own synthesisers stands in for the recordings, so the "
        "numbers on this page are not those of human talkers."
    )


TERMS = {
    "mini-librispeech": "Licence of what you hear of them: CC BY 4.0.",
    "speechocean762": 'Licence of what you hear of them: free "for both commercial and '
    'non-commercial purposes" (its README).',
    "aev": "They have no open licence, so the vowels that you hear are synthesised from what was "
    "measured in them: ours, CC BY 4.0.",
    "timit-sample": "They have no open licence ((c) 1993 Linguistic Data Consortium, CC BY-NC-SA: "
    "not for commercial use): play them to nobody but yourself.",
    "timit": "They have no open licence (LDC93S1, from the Linguistic Data Consortium): play them "
    "to nobody but yourself.",
}


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA)
def test_sources_say_on_what_terms_they_are_heard(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(EMBED, raising=False)
    source = Source("RELVIZ_DATA", tmp_path, corpus)
    assert source.heard() == TERMS[corpus.name]
    assert str(source) == f"{source.describe()} {source.heard()}"
    assert corpus.embedded() == corpus.open
    assert Source("synthetic", None, corpus).heard() == "What you hear is ours, CC BY 4.0."


def test_a_page_for_oneself_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMBED, "aev")
    assert aev.CORPUS.embedded() and not timit.CORPUS.embedded()
    assert Source("RELVIZ_DATA", tmp_path, aev.CORPUS).heard() == (
        "They have no open licence ((c) 1995 James Hillenbrand, distributed freely for research), "
        "and are heard here: keep this page to yourself."
    )


def test_a_remedy_repairs_the_folder_that_is_broken(small_corpus: Path, tmp_path: Path) -> None:
    assert store.remedy(aev.CORPUS, small_corpus) == "run `relviz data fetch aev`"
    other = tmp_path / "a copy"
    assert store.remedy(aev.CORPUS, other) == (
        f"put it there, or run `relviz data fetch aev --folder '{other}'`"
    )
