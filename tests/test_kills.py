"""Killed at any moment: a small run of tools/kills.py, and that it sees what it looks for."""

import contextlib
import random
import sys
from pathlib import Path

import pytest

from tools import kills

PROGRAM = """
import pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
with (folder / "steps").open("a") as file:
    print("begun", file=file, flush=True)
    if sys.argv[2] == "child":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    time.sleep(1)
    if sys.argv[2] == "fails":
        sys.exit(3)
"""


def command(way: str) -> kills.Command:
    """A command that forgets what was done before, or not."""

    def result(folder: Path) -> dict[str, str]:
        return {"steps": (folder / "steps").read_text() if way == "appends" else ""}

    return kills.Command(lambda folder: [sys.executable, "-c", PROGRAM, str(folder), way], result)


@pytest.mark.slow
def test_fetching_and_aligning_end_as_if_nothing_had_been(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert kills.main(["--kills", "2", "--voices", "6", "fetch", "align"]) == 0
    said = capsys.readouterr().out
    assert said.count("killed 2 times") == 2 and said.count(": the same each time\n") == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "seen"),
    [("appends", "steps differs"), ("fails", "it ended with 3"), ("", "the same each time")],
)
def test_what_is_not_the_same_is_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str, seen: str
) -> None:
    # halfway, however late a busy machine lets it begin
    right = kills.judge("it", command(way), tmp_path, 1, random.Random(5))
    assert right == (way == "") and seen in capsys.readouterr().out


@pytest.mark.slow
def test_what_outlives_it_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "WAIT", 0.5)
    whole, wrong = kills.run(command("child").words(tmp_path), tmp_path, 0.7)
    assert not whole and wrong.endswith("outlived it")
    for each in kills.psutil.process_iter():
        with contextlib.suppress(kills.psutil.Error):  # what another worker's test has just ended
            if "time.sleep(100)" in " ".join(each.cmdline()):
                each.kill()
