"""Kill parts of a Dask cluster while it explains a folder, and compare what the same command makes.

    python tools/cluster.py                        20 kills of each part, some 20 minutes
    python tools/cluster.py --kills 5 --seed 3 worker client

`dask scheduler` and two `dask worker` processes run here, and `relviz explain FOLDER --out DIR`
asks them. A part (`worker`, `scheduler`, `client`) is ended by SIGKILL at a random moment: when so
many recordings are done, from none to all but one, and a random time after that. What lies there
then must be rows of the undisturbed dataset. The same command must complete it, row for row. The
recordings are synthetic vowels, and one file that is none. The command exits with 1 if anything
differs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow.dataset as ds
import soundfile

from relviz import cli, corpora, results
from relviz.explanation import corpus as _loaded  # noqa: F401  what a call needs

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("worker", "scheduler", "client")
LIMIT = 300.0


def recordings(folder: Path, count: int) -> None:
    """Write vowels of half a second, the fourth of them below, and a file that is no recording."""
    (folder / "b elow").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        wave = corpora.vowel(100 + 20 * (i % 6), (400 + 50 * (i % 6), 1400, 2500), duration=0.5)
        wave = wave + 1e-3 * rng.standard_normal(len(wave))
        soundfile.write(folder / ("b elow" if i == 3 else "") / f"{i}.wav", wave, 16000)
    (folder / "bad.wav").write_text("no sound")


class Cluster:
    """`dask scheduler` and two `dask worker`, as processes that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, folder / "scheduler.json"
        self.scheduler, self.url = self.begun()
        self.workers = [self.worker() for _ in range(2)]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of Dask's, with a group of its own."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            start_new_session=True,
            stdout=quiet,
            stderr=quiet,
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def begun(self) -> tuple[subprocess.Popen[bytes], str]:
        """Start a scheduler; return it and its address."""
        self.address.unlink(missing_ok=True)
        place = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        process = self.start("scheduler", *place, "--scheduler-file", str(self.address))
        limit = time.monotonic() + LIMIT
        while time.monotonic() < limit:
            try:
                return process, json.loads(self.address.read_text())["address"]
            except (FileNotFoundError, ValueError):
                time.sleep(0.1)
        raise TimeoutError("the scheduler did not start")

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker, which a nanny watches over."""
        options = ["--nthreads", "1", "--nworkers", "1", "--no-dashboard"]
        return self.start("worker", self.url, *options, "--local-directory", str(self.folder))

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and its group."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_below(self, nanny: subprocess.Popen[bytes]) -> None:
        """End a worker, and not its nanny, who starts another."""
        for child in psutil.Process(nanny.pid).children():
            if "resource_tracker" not in " ".join(child.cmdline()):
                child.kill()

    def mend(self) -> None:
        """Start what is not there."""
        if self.scheduler.poll() is not None:
            self.end()
            self.scheduler, self.url = self.begun()
        self.workers = [each if each.poll() is None else self.worker() for each in self.workers]

    def end(self) -> None:
        """End it all."""
        for process in (self.scheduler, *self.workers):
            if process.poll() is None:
                self.kill(process)


class Call:
    """The command, in a fork of this process: what takes seconds to load is loaded."""

    def __init__(self, folder: Path, out: Path, url: str) -> None:
        words = ["explain", str(folder), "--out", str(out), "--no-effects", "--scheduler", url]
        self.said, self.errors = (
            out.with_name(f"{out.name}-{kind}") for kind in ("said", "errors")
        )
        self.process = multiprocessing.get_context("fork").Process(
            target=self.run, args=([*words, "--hop-length", "997"],)
        )
        self.process.start()

    def run(self, words: list[str]) -> None:
        """Do what the command does, and end with its status."""
        for number, path in ((1, self.said), (2, self.errors)):
            os.dup2(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
        status = cli.main(words)
        sys.stdout.flush()
        os._exit(status)

    def end(self) -> tuple[str, str, int | None]:
        """Wait until it has ended; what it said on both channels, and its status."""
        self.process.join(LIMIT)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return self.said.read_text(), self.errors.read_text(), self.process.exitcode


def done(out: Path) -> int:
    """Return how many recordings a dataset has."""
    return len(list(out.glob("files/*/*.parquet")))


def whole(said: str, error: str, code: int | None, count: int) -> list[str]:
    """What is wrong with how a command ended that did all it could."""
    right = f"{count} recordings" in said and "1 recordings were not explained" in error
    return [] if right and code == 1 else [f"it ended with {code}: {said[-200:]} {error[-500:]}"]


def differs(found: results.Results, right: results.Results) -> list[str]:
    """How a dataset that must be complete is not the right one."""
    wrong = []
    for kind, key in (("files", ["path"]), ("frames", ["path", "time"])):
        place = ds.dataset(found.folder / kind, format="parquet")
        rows = place.to_table(columns=key).to_pandas()  # as any other reader would
        if rows.duplicated().any():
            wrong.append(f"{kind} has rows twice")
        lost = len(getattr(right, "recordings" if kind == "files" else kind)()) - len(rows)
        if lost:
            wrong.append(f"{kind} lacks {lost} rows")
    same = found.recordings().equals(right.recordings())
    if not (same and found.frames().equals(right.frames())):
        wrong.append("rows differ")
    if list(found.failures()["path"]) != list(right.failures()["path"]):
        wrong.append("failures differ")
    return wrong


def torn(found: results.Results, right: results.Results) -> list[str]:
    """How a dataset that was left behind holds what the right one does not.

    Workers that were not killed may still write, so frames are those of the rows that were there.
    """
    rows = found.recordings()
    frames, expected = (
        each[each["path"].isin(rows["path"])].reset_index(drop=True)
        for each in (found.frames(), right.frames())
    )
    known = right.recordings()
    known = known[known["path"].isin(rows["path"])].reset_index(drop=True)
    return [] if rows.equals(known) and frames.equals(expected) else ["what it left differs"]


@dataclass(frozen=True)
class Trial:
    """What one kill came to.

    Parameters
    ----------
    after : int
        Recordings that were done when it happened.
    ended : float
        Seconds until the command had ended.
    drafts : int
        Files that it left half written, under names of their own.
    wrong : list of str
        What must not be.
    """

    after: int
    ended: float
    drafts: int
    wrong: list[str]


def trial(
    part: str,
    cluster: Cluster,
    folder: Path,
    out: Path,
    right: results.Results,
    gap: float,
    draw: random.Random,
) -> Trial:
    """Kill a part at a random moment, look at what is there, complete it, and compare."""
    count = len(right.recordings())
    cluster.mend()
    call = Call(folder, out, cluster.url)
    least = draw.randrange(count)
    while call.process.is_alive() and (done(out) < least or not (out / "dataset.json").exists()):
        time.sleep(0.005)
    time.sleep(draw.uniform(0, 2 * gap))
    after, killed = done(out), time.monotonic()
    if part == "client":
        call.process.kill()
    elif part == "scheduler":
        cluster.kill(cluster.scheduler)
    else:
        kill: Callable[[subprocess.Popen[bytes]], None]
        kill = draw.choice([cluster.kill, cluster.kill_below])
        kill(draw.choice(cluster.workers))
    said, error, code = call.end()
    ended = time.monotonic() - killed
    wrong = ["a traceback"] if "Traceback" in error else []
    if part == "worker":  # nobody needs to do anything
        wrong += whole(said, error, code, count)
    elif part == "scheduler" and "scheduler went away" not in error:
        wrong += whole(said, error, code, count)  # it had ended by then
    wrong += torn(results.open(out), right)
    drafts = len(list(out.rglob("*.part")))
    cluster.mend()
    wrong += whole(*Call(folder, out, cluster.url).end(), count)
    return Trial(after, ended, drafts, wrong + differs(results.open(out), right))


def judge(part: str, home: Path, kills: int, count: int, seed: int) -> bool:
    """Kill a part so often, and say how it ended; True if always as undisturbed."""
    draw = random.Random(f"{seed} {part}")
    folder = home / "recordings"
    cluster = Cluster(home)
    try:
        for name in ("first", "right"):  # in the first, workers load what they need
            begun = time.monotonic()
            said, error, code = Call(folder, home / f"{part}-{name}", cluster.url).end()
            length = time.monotonic() - begun
            wrong = whole(said, error, code, count)
        right = results.open(home / f"{part}-right")
        at = [each.stat().st_mtime for each in (right.folder / "files").rglob("*.parquet")]
        gap = (max(at) - min(at)) / count
        trials: list[Trial] = []
        while len(trials) < kills and not wrong:
            out = home / f"{part}-{len(trials)}"
            trials.append(trial(part, cluster, folder, out, right, gap, draw))
            wrong = [f"kill {len(trials)}: {each}" for each in trials[-1].wrong]
    finally:
        cluster.end()
    midst = sum(each.after < count for each in trials)
    print(
        f"{part}: {length:.1f} s undisturbed, {count} recordings, seed {seed}; killed "
        f"{len(trials)} times, {midst} of them before its last recording "
        f"(after {', '.join(str(each.after) for each in trials)}), "
        f"{sum(each.drafts for each in trials)} files half written; ended after "
        f"{max((each.ended for each in trials), default=0):.1f} s at most: "
        f"{'; '.join(wrong) or 'the same each time'}",
        flush=True,
    )
    return not wrong


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all")
    parser.add_argument("--kills", type=int, default=20, help="of each part")
    parser.add_argument("--recordings", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"{min(unknown)} is none of {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        home = Path(place)
        recordings(home / "recordings", given.recordings)
        parts = given.parts or PARTS
        right = [judge(each, home, given.kills, given.recordings, given.seed) for each in parts]
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
