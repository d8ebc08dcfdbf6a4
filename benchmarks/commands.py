"""How long a command takes from its start to its end, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.corpus import RATE, speech
from benchmarks.timing import Row, middle, rounds

COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import relviz": ["-c", "import relviz"],
    "relviz.relevance": ["-c", "from relviz import relevance"],
    "relviz --help": ["-m", "relviz.cli", "--help"],
}


def commands(small: bool) -> Iterator[Row]:
    """Time cold starts beside that of torch alone, and a whole report."""
    seconds = 0.6 if small else 3.0
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "speech.wav"
        soundfile.write(file, speech(seconds), RATE)
        explain = [
            "-m",
            "relviz.cli",
            "explain",
            str(file),
            "--out",
            str(file.with_suffix(".html")),
        ]
        short = {what: partial(_call, command) for what, command in COMMANDS.items()}
        times = rounds(short, 6, most=1 if small else 10)
        report = {"relviz explain FILE": partial(_call, explain)}
        times |= rounds(report, 8, most=1 if small else 2)
    base = np.median(times["import torch"])
    for what, spent in times.items():
        yield Row(
            "commands",
            what,
            ratio=middle(np.array(spent) / base),
            of="this / time of import torch",
            value=middle(spent),
            unit="s",
            rounds=len(spent),
            note=f"{seconds:g} s of speech, to its page" if "FILE" in what else "",
        )


def _call(arguments: list[str]) -> None:
    given = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        env=given,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
