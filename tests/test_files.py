"""relviz.files: a file is there as a whole or as it was."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from relviz import files
from relviz._errors import ParameterError, WriteError


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
    other = path.with_name(".film.mkv.part")  # somebody else's
    for draft in (old, young, other):
        draft.touch()
    os.utime(old, (time.time() - 100,) * 2)
    files.sweep(path.parent, age=50)
    assert names(path.parent) == [".b.csv.2-2.part", ".film.mkv.part", "table.csv"]
    files.sweep(str(path.parent))
    assert names(path.parent) == [".film.mkv.part", "table.csv"]
    files.sweep(path.parent / "nowhere")


def refused(function, *arguments):
    with pytest.raises(WriteError) as caught:
        function(*arguments)
    return str(caught.value)


def test_a_full_disk_is_named_with_the_file(path, monkeypatch):
    """A limit on the size of files stands for a disk that is full halfway."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        said = refused(files.write_text, path, 5000 * "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said == f"{path} cannot be written (file too large): choose another place."
    assert path.read_text() == "as it was" and names(path.parent) == ["table.csv"]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert refused(files.write_text, path, "x") == (
        f"{path} cannot be written (no space left on device): make room and run this again."
    )


def test_a_folder_that_has_gone_or_is_none(tmp_path):
    gone = tmp_path / "gone" / "table.csv"
    assert refused(files.write_text, gone, "x") == (
        f"{gone} cannot be written ({gone.parent} is not there): choose another place."
    )
    (tmp_path / "file").touch()
    inside = tmp_path / "file" / "runs"
    why = "cannot be written (not a directory): choose another place."
    assert refused(files.folder, inside) == f"{inside} {why}"
    assert refused(files.write_text, inside, "x") == f"{inside} {why}"


@pytest.mark.parametrize(
    "error",
    [ParameterError("the block's own."), OSError(errno.ECONNRESET, "reset"), OSError("plain")],
)
def test_what_is_not_about_writing_stays_itself(path, error):
    with pytest.raises(type(error)) as caught, files.replacing(path):
        raise error
    assert caught.value is error
    missing = path.with_name("missing.wav")
    with pytest.raises(FileNotFoundError), files.replacing(path):
        missing.read_bytes()


def test_a_probe_leaves_nothing_and_names_what_it_meets(path):
    files.probe(path)
    assert path.read_text() == "as it was" and names(path.parent) == ["table.csv"]
    gone = path.parent / "gone" / "table.csv"
    assert refused(files.probe, gone).startswith(f"{gone} cannot be written ({gone.parent} is not")
    assert refused(files.probe, path / "x") == (
        f"{path / 'x'} cannot be written (not a directory): choose another place."
    )
    assert "(it is a folder)" in refused(files.probe, path.parent)


def test_folders_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.folder("~/a/b") == tmp_path / "a" / "b" and (tmp_path / "a" / "b").is_dir()
    files.probe("~/a/b/note.txt")
    files.write_text("~/a/b/note.txt", "here")
    assert (tmp_path / "a" / "b" / "note.txt").read_text() == "here"


HOLDER = """
import sys, time
from relviz import files
with files.alone(sys.argv[1]):
    print("mine", flush=True)
    time.sleep(600)
"""


def test_a_folder_has_one_holder_and_outlives_it(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "mine\n"
        with pytest.raises(WriteError, match=r"^busy\.$"), files.alone(tmp_path, "busy."):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    with files.alone(tmp_path, "busy."), files.alone(tmp_path):  # the holder may take it again
        other = []
        thread = threading.Thread(target=lambda: other.append(refused(take, tmp_path)))
        thread.start()
        thread.join()
        assert other == ["busy."]
    with files.alone(tmp_path, "busy."):
        pass


def take(folder):
    with files.alone(folder, "busy."):
        pass


def test_what_cannot_be_removed_is_named(path):
    files.remove(path)
    files.remove(path)
    assert refused(files.remove, path.parent).startswith(f"{path.parent} cannot be written (")


def test_a_folder_that_takes_no_lock_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()
    assert refused(take, tmp_path).startswith(f"{tmp_path} cannot be written (")
