"""What a folder of recordings costs: a second worker, the scheduler, bytes, and the last count."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

import relviz.results
from benchmarks.timing import Row, middle, over
from relviz import audio, corpora
from relviz.explanation import explain_folder
from relviz.statistics import Interval

RATE = audio.SAMPLE_RATE
NETWORK = "phones"


def speech(seconds: float, voice: str = "Male1") -> NDArray[np.float32]:
    """Return synthetic sentences, one after another, cut to a length."""
    waves: list[NDArray] = []
    while sum(map(len, waves)) < seconds * RATE:
        waves += [each.wave() for each in corpora.spoken([voice])]
    return np.concatenate(waves)[: round(seconds * RATE)]


def write(folder: Path, seconds: list[float]) -> Path:
    """Write recordings of given lengths into a new folder, each beginning elsewhere."""
    folder.mkdir()
    wave = speech(max(seconds) + len(seconds))
    for i, length in enumerate(seconds):
        part = wave[i * RATE : i * RATE + round(length * RATE)]
        soundfile.write(folder / f"{i}.flac", part, RATE)
    return folder


def folder(small: bool) -> Iterator[Row]:
    """Time `explain_folder` with one worker and with two, in turns."""
    count, seconds = (4, 0.6) if small else (6, 8.0)
    turns, budget = (1, 0.0) if small else (5, 25.0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        heard = write(place / "heard", [seconds] * count)
        explain_folder(write(place / "warm", [0.6]), place / "before", NETWORK, jobs=1)
        paces: dict[int, list[float]] = {1: [], 2: []}
        spent: dict[int, list[float]] = {1: [], 2: []}
        starts, processor = [], []
        begun = time.perf_counter()
        for turn in range(turns):
            if turn >= 2 and time.perf_counter() - begun > budget:
                break
            for jobs in (1, 2):
                out = place / f"{turn}-{jobs}"
                since, busy = time.time(), time.process_time()
                explain_folder(heard, out, NETWORK, jobs=jobs, say=lambda line: None)
                spent[jobs].append(time.time() - since)
                ends = sorted(row.stat().st_mtime for row in (out / "files").rglob("*.parquet"))
                # what the workers are at once, from the first recording of each to the last of all
                paces[jobs].append((ends[-1] - ends[jobs - 1]) / (count - jobs) / seconds)
                if jobs == 1:
                    processor.append((time.process_time() - busy) / (count * seconds))
                else:
                    starts.append(ends[0] - since - seconds * paces[1][-1])
        rounds = len(starts)
        for jobs, what in ((1, "one worker"), (2, "two workers")):
            yield Row(
                "folder",
                what,
                NETWORK,
                ratio=over(paces[1], paces[jobs]),
                of="time of one worker / this",
                value=middle(3600 * np.array(paces[jobs])),
                unit="s an hour of speech",
                rounds=rounds,
                note="from the first recordings done to the last",
            )
        gain = over(paces[1], paces[2])
        yield Row(
            "folder",
            "efficiency of two workers",
            NETWORK,
            ratio=Interval(gain.value / 2, gain.low / 2, gain.high / 2),
            of="speed-up / workers",
            rounds=rounds,
        )
        yield Row(
            "folder",
            "two workers, whole call",
            NETWORK,
            ratio=over(spent[1], spent[2]),
            of="time of one worker / this",
            value=middle(spent[2]),
            unit="s",
            rounds=rounds,
            note=f"{count} recordings of {seconds:g} s",
        )
        yield Row(
            "folder",
            "start of two workers",
            NETWORK,
            value=middle(starts),
            unit="s",
            rounds=rounds,
            note="until the first recording was done, less what a recording takes",
        )
        yield Row(
            "folder",
            "processor time",
            NETWORK,
            value=middle(np.array(processor)),
            unit="core hours an hour of speech",
            rounds=rounds,
            note="one worker, one changed cue at a time included",
        )


def _sizes(out: Path, kind: str) -> list[int]:
    """Bytes of a dataset's files, those of short recordings first."""
    return sorted(path.stat().st_size for path in (out / kind).rglob("*") if path.is_file())


def storage(small: bool) -> Iterator[Row]:
    """Say what a recording and an hour weigh, and how long the rows take to be read."""
    short, long = (0.6, 1.2) if small else (3.0, 12.0)
    copies, turns = (20, 1) if small else (1000, 3)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        heard = write(place / "heard", [short, long])
        out = place / "out"
        explain_folder(heard, out, NETWORK, effects=False, signals=True, jobs=1)
        source = sorted(path.stat().st_size for path in heard.iterdir())
        weights = {
            "recordings as FLAC": source,
            "files": _sizes(out, "files"),
            "frames": _sizes(out, "frames"),
            "signals as FLAC": _sizes(out, "signals"),
        }
        for what, (less, more) in weights.items():
            an_hour = 3600 * (more - less) / (long - short)
            each = less - an_hour * short / 3600
            for unit, value in (("bytes an hour", an_hour), ("bytes a recording", each)):
                yield Row(
                    "storage",
                    f"{what}, {unit}",
                    NETWORK,
                    value=Interval(value, value, value),
                    unit=unit,
                    note=f"a line through recordings of {short:g} and {long:g} s",
                )
        row = next((out / "files").rglob("*.parquet"))
        for i in range(copies):
            bucket = out / "files" / f"bucket={i % 256:02x}"
            bucket.mkdir(exist_ok=True)
            shutil.copy(row, bucket / f"copy-{i}.parquet")
        found, times = relviz.results.open(out), []
        for _ in range(turns):
            start = time.perf_counter()
            total = len(found.recordings())
            times.append(1e3 * (time.perf_counter() - start) / total)
        yield Row(
            "storage",
            "reading rows of recordings",
            NETWORK,
            value=middle(times),
            unit="ms a recording",
            rounds=turns,
            note=f"{total} recordings, a file each, in the page cache",
        )


def _nothing(number: int) -> int:
    return number


def scheduler(small: bool) -> Iterator[Row]:
    """Time tasks that do nothing: what client, scheduler and workers take for one together."""
    import dask
    from dask.distributed import Client, LocalCluster, as_completed

    count, turns = (20, 1) if small else (500, 5)
    with (
        dask.config.set({"distributed.logging.distributed": "error"}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.submit(_nothing, 0, pure=False).result()
        rates = []
        for _ in range(turns):
            start = time.perf_counter()
            asked = [client.submit(_nothing, i, pure=False) for i in range(count)]
            done = sum(1 for _ in as_completed(asked))
            rates.append(done / (time.perf_counter() - start))
            del asked
    yield Row(
        "scheduler",
        "tasks that do nothing",
        value=middle(rates),
        unit="tasks a second",
        rounds=turns,
        note=f"{count} at once, one worker, all on this machine",
    )


def memory(small: bool) -> Iterator[Row]:
    """Say the largest memory of a command that explains a folder of one recording."""
    seconds = 0.6 if small else 35.0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        heard = write(place / "heard", [seconds])
        peak = _peak([str(heard), "--out", str(place / "out"), "--jobs", "1"])
    yield Row(
        "memory",
        "one worker",
        NETWORK,
        value=Interval(peak, peak, peak),
        unit="bytes",
        note=f"resident, at most, with a recording of {seconds:g} s",
    )


def _peak(arguments: list[str]) -> float:
    """The most memory that `relviz explain` had, in bytes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "relviz.cli", "explain", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"relviz explain ended with {process.returncode}")
    # in KiB, but for macOS
    return float(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
