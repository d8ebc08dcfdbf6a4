"""How much memory a worker of `relviz explain FOLDER` takes at most.

    python benchmarks/memory.py [--minutes 60] [--short 200] [--hop-length 97] [--signals]

First many recordings of three seconds, by two workers, then one long one. Of each worker the
largest resident set is printed, and the largest part of it that is its own (anonymous: no files,
which workers share), in MB; of the short ones also after the first tenth, to see whether it grows.
The hop changes how long this takes, and hardly what it takes. For Linux.
"""

import argparse
import re
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil
import soundfile

from relviz import corpora
from relviz.explanation import explain_folder

MB = 1e6
EVERY = 0.1


def voice(seconds: float) -> np.ndarray:
    """Vowels at 16 kHz, with a little noise, so that no two stretches are the same."""
    vowels = [
        corpora.vowel(100 + 20 * i, (400 + 50 * i, 1400, 2500), duration=0.5) for i in range(6)
    ]
    wave = np.resize(np.concatenate(vowels), round(16000 * seconds))
    noise = np.random.default_rng(0).standard_normal(len(wave), dtype=np.float32)
    return wave + np.float32(1e-3) * noise


class Watch(threading.Thread):
    """Looks at the workers that this process has started, ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: dict[int, list[tuple[float, float]]] = {}  # worker -> resident, anonymous
        self.over = threading.Event()

    def run(self) -> None:
        """Look, until it is over."""
        while not self.over.wait(EVERY):
            for each in psutil.Process().children(recursive=True):
                try:
                    if "spawn_main" not in " ".join(each.cmdline()):
                        continue
                    status = Path(f"/proc/{each.pid}/status").read_text()
                except (psutil.Error, OSError):
                    continue
                sizes = dict(re.findall(r"(VmRSS|RssAnon):\s+(\d+) kB", status))
                if len(sizes) == 2:
                    now = tuple(int(sizes[key]) * 1024 / MB for key in ("VmRSS", "RssAnon"))
                    self.seen.setdefault(each.pid, []).append(now)


def measure(name: str, folder: Path, jobs: int, hop_length: int, signals: bool) -> None:
    """Explain a folder, and print what each worker took."""
    watch = Watch()
    watch.start()
    with tempfile.TemporaryDirectory() as out:
        done = explain_folder(
            folder,
            out,
            hop_length=hop_length,
            effects=False,
            signals=signals,
            jobs=jobs,
            say=lambda _: None,
        )
    watch.over.set()
    watch.join()
    for sizes in watch.seen.values():
        early = np.max(sizes[: max(1, len(sizes) // 10)], axis=0)
        resident, own = np.max(sizes, axis=0)
        print(
            f"{name}: {done.explained} recordings, {done.seconds:.0f} s, hop {hop_length}: "
            f"resident {resident:.0f} MB, anonymous {own:.0f} MB (in the first tenth of the time "
            f"{early[0]:.0f}, {early[1]:.0f})",
            flush=True,
        )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--short", type=int, default=200)
    parser.add_argument("--hop-length", type=int, default=97)
    parser.add_argument("--signals", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        short, long = Path(place, "short"), Path(place, "long")
        for folder in (short, long):
            folder.mkdir()
        for i in range(given.short):
            soundfile.write(short / f"{i:06d}.wav", voice(3.0), 16000)
        if given.short:
            measure("short", short, 2, given.hop_length, given.signals)
        # one of a second beside it: a recording alone would need no cluster
        soundfile.write(long / "a.wav", voice(1.0), 16000)
        soundfile.write(long / "b.wav", voice(60 * given.minutes), 16000)
        measure(f"{given.minutes:g} min", long, 2, given.hop_length, given.signals)


if __name__ == "__main__":
    main()
