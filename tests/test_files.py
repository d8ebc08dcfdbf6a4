"""relviz.files: a file is there as a whole or as it was."""

import os
import threading
import time

import pytest

from relviz import files


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("as it was")
    return path


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def test_takes_the_place_when_the_block_ends(path):
    with files.replacing(path) as draft:
        draft.write_bytes(b"new")
        assert path.read_text() == "as it was" and draft.parent == path.parent
    assert path.read_text() == "new" and names(path.parent) == ["table.csv"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_nothing_changes_if_the_block_raises(path, error):
    with pytest.raises(error), files.replacing(path) as draft:  # noqa: PT012
        draft.write_text("half")
        raise error
    assert path.read_text() == "as it was" and names(path.parent) == ["table.csv"]


def test_nothing_written_is_no_empty_file(path):
    with pytest.raises(FileNotFoundError), files.replacing(str(path)):
        pass
    assert path.read_text() == "as it was"


def test_threads_do_not_meet(path):
    """Both drafts are there at once; the last to end wins, whole."""
    both = threading.Barrier(2)

    def write(text):
        with files.replacing(path) as draft:
            draft.write_text(text)
            both.wait(10)

    threads = [threading.Thread(target=write, args=(5000 * letter,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in (5000 * "a", 5000 * "b") and names(path.parent) == ["table.csv"]


def test_text_is_utf_8(path):
    files.write_text(path, "ʃ ə\n")
    assert path.read_bytes() == "ʃ ə\n".encode()


def test_sweeps_what_was_left_behind(path):
    old, young = path.with_name(".a.csv.1-1.part"), path.with_name(".b.csv.2-2.part")
    for draft in (old, young):
        draft.touch()
    os.utime(old, (time.time() - 100,) * 2)
    files.sweep(path.parent, age=50)
    assert names(path.parent) == [".b.csv.2-2.part", "table.csv"]
    files.sweep(str(path.parent))
    assert names(path.parent) == ["table.csv"]
    files.sweep(path.parent / "nowhere")
