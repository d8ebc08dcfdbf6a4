"""tools/book.py: what makes it execute the chapters again, and what does not."""

import pytest

from relviz.corpora import align, spoken, store
from relviz.training import data
from tools import book


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Recordings and a cache of the test's own."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    monkeypatch.setenv("RELVIZ_DATA", str(recordings))
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    return recordings, tmp_path / "cache" / "relviz"


def test_what_a_chapter_keeps_in_the_cache_is_no_new_recording(places):
    """Else a second build on a new machine would execute everything again."""
    before = book.data()
    said = spoken(("Female1",), ("She sees.",))
    align(said, jobs=1)
    data.pack(said)
    assert {path.name for path in places[1].iterdir()} == book.COMPUTED
    assert store.cache() == places[1]
    assert book.data() == before


def test_new_changed_and_lost_recordings_are_seen(places):
    seen = [book.data()]
    for folder in places:
        file = folder / "corpus" / "training" / "a.wav"
        file.parent.mkdir(parents=True)
        for content in (b"a", b"ab"):
            file.write_bytes(content)
            seen.append(book.data())
        file.unlink()
        seen.append(book.data())
    assert seen[3] == seen[0] and seen[6] == seen[0]
    assert len({tuple(each) for each in seen}) == 5


def test_a_fingerprint_is_of_names_and_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "ROOT", tmp_path)
    paths = [tmp_path / "a", tmp_path / "b"]
    seen = set()
    for contents in (("x", "y"), ("y", "x"), ("xy", "")):
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        seen |= {book.fingerprint(paths), book.fingerprint(paths, "more")}
    assert len(seen) == 6
    assert book.fingerprint(paths) in seen
