"""Kill long commands at random moments, and see that the same command ends as if nothing had been.

    python tools/kills.py                        20 kills of each command, some 20 minutes
    python tools/kills.py --kills 5 --seed 3 fetch train

Each command (`fetch` of a corpus from a server here, `align`, and `train`, which aligns and packs
first) runs once undisturbed. Then it is run in fresh folders and ended by SIGKILL at a moment drawn
from its whole length, again and again, until it is let through. What it leaves must be the same
files with the same content (times apart), and no process of it may outlive it. The recordings are
synthetic voices. The command exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

ROOT = Path(__file__).resolve().parent.parent
KILLED = "RELVIZ_TO_BE_KILLED"
LIMIT = 600.0
WAIT = 30.0

FETCH = """
import json, sys
from dataclasses import replace
from relviz.corpora import registry, store
url, listed, folder = sys.argv[1:]
corpus = registry.find("mini-librispeech")
corpus = replace(corpus, addresses={".tar.gz": url}, archive="mini.tar.gz")
store.checksums = lambda _: json.loads(open(listed).read())
store.fetch(corpus, folder)
"""


@dataclass(frozen=True)
class Command:
    """What is run, where it leaves what counts, and how that is told.

    Parameters
    ----------
    words : callable
        Folder -> what is run there.
    result : callable
        Folder -> what must be the same, by file.
    """

    words: Callable[[Path], list[str]]
    result: Callable[[Path], dict[str, str]]


def voices(folder: Path, count: int) -> dict[str, str]:
    """Write synthetic speech as LibriSpeech has it; return the SHA-256 of its files."""
    from relviz import corpora

    said = corpora.spoken()
    speakers = sorted({each.speaker for each in said})
    texts: dict[Path, list[str]] = {}
    listed = {}
    for each in said[:count]:
        speaker = 100 + speakers.index(each.speaker)
        place = Path("train-clean-5") / str(speaker) / "1"
        lines = texts.setdefault(place, [])
        name = f"{speaker}-1-{len(lines):04d}"
        lines.append(f"{name} {(each.text or '').upper()}\n")
        sound = io.BytesIO()
        soundfile.write(sound, np.round(each.wave() * 32767).astype(np.int16), 16000, format="flac")
        listed[str(place / f"{name}.flac")] = sound.getvalue()
    for place, lines in texts.items():
        listed[str(place / f"{place.parent.name}-1.trans.txt")] = "".join(lines).encode()
    for path, content in listed.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return {path: hashlib.sha256(content).hexdigest() for path, content in listed.items()}


class Slow(SimpleHTTPRequestHandler):
    """A server whose line is as slow as many are."""

    def log_message(self, *_: Any) -> None: ...

    def copyfile(self, source: Any, outputfile: Any) -> None:
        while chunk := source.read(1 << 16):
            outputfile.write(chunk)
            time.sleep(0.03)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Slow, directory=str(folder)))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder, locks apart; a draft that stayed would be one too many."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def trained(folder: Path) -> dict[str, str]:
    """What a run leaves, without the seconds it took."""
    from relviz import load

    run = folder / "run"
    found = digests(run)
    net = load(run)
    weights = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        weights.update(name.encode() + value.numpy().tobytes())
    scores = json.loads((run / "scores.json").read_text())
    scores["training"].pop("seconds")
    with (run / "log.csv").open(newline="") as file:
        log = [row | {"seconds": ""} for row in csv.DictReader(file)]
    found |= {
        "model.safetensors": f"{weights.hexdigest()} {net.metadata.recipe['seed']}",
        "scores.json": json.dumps(scores, sort_keys=True),
        "log.csv": json.dumps(log),
        "checkpoint.safetensors": "",
    }
    drafts = (folder / "cache").rglob(".*part")
    return found | {str(path.relative_to(folder)): "a draft" for path in drafts}


def commands(home: Path, address: str, listed: Path) -> dict[str, Command]:
    """Every command, by its name."""
    relviz = [sys.executable, "-m", "relviz.cli"]
    recordings = ["--root", str(home / "voices"), "--part", "train-clean-5"]
    recipe = ["--steps", "60", "--validate-every", "10", "--batch-size", "32", "--device", "cpu"]
    fetch = [sys.executable, "-c", FETCH, address, str(listed)]
    return {
        "fetch": Command(
            lambda folder: [*fetch, str(folder / "out" / "LibriSpeech")],
            lambda folder: digests(folder / "out"),
        ),
        "align": Command(
            lambda folder: [
                *(*relviz, "data", "align", "mini-librispeech", *recordings),
                *("--out", str(folder / "out"), "--jobs", "2"),
            ],
            lambda folder: digests(folder / "out"),
        ),
        "train": Command(
            lambda folder: [
                *(*relviz, "train", "phones", *recordings, *recipe),
                *("--out", str(folder / "run")),
            ],
            trained,
        ),
    }


def run(words: list[str], folder: Path, seconds: float | None = None) -> tuple[bool, str]:
    """Run a command; True and what it said if it was not killed before its end.

    Whatever it started must end with it, too.
    """
    mark = uuid.uuid4().hex
    environment = os.environ | {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        KILLED: mark,
    }
    environment.pop("RELVIZ_DATA", None)
    said = folder / "said"
    with said.open("wb") as out:
        process = subprocess.Popen(words, env=environment, cwd=ROOT, stdout=out, stderr=out)
        try:
            process.wait(LIMIT if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed = True
        else:
            killed = False
    limit = time.monotonic() + WAIT
    while left := [each.pid for each in psutil.process_iter() if marked(each, mark)]:
        if time.monotonic() > limit:
            return not killed, f"processes {left} outlived it"
        time.sleep(0.1)
    if killed:
        return False, ""
    wrong = process.returncode and f"it ended with {process.returncode}: {said.read_text()[-500:]}"
    return True, wrong or ""


def marked(process: psutil.Process, mark: str) -> bool:
    """Whether a process is of the run with this mark."""
    try:
        return bool(process.environ().get(KILLED) == mark)
    except psutil.Error:
        return False


def trial(
    command: Command, home: Path, kills: int, length: float, draw: random.Random
) -> tuple[dict[str, str], list[str], int]:
    """Run a command in a fresh folder, killed so often at most; what it left, what was wrong."""
    wrong, done = [], 0
    with tempfile.TemporaryDirectory(dir=home) as place:
        folder = Path(place)
        for _ in range(kills):
            whole, error = run(command.words(folder), folder, draw.uniform(0, length))
            wrong += [error] * bool(error)
            if whole:  # what is left of it was shorter than the moment that was drawn
                break
            done += 1
        _, error = run(command.words(folder), folder)
        wrong += [error] * bool(error)
        return command.result(folder) if not wrong else {}, wrong, done


def judge(name: str, command: Command, home: Path, kills: int, draw: random.Random) -> bool:
    """Kill a command so often, and say how it ended; True if always as undisturbed."""
    begun = time.monotonic()
    expected, wrong, _ = trial(command, home, 0, 0.0, draw)
    length = time.monotonic() - begun
    done, ends = 0, 0
    while done < kills and not wrong:
        found, wrong, more = trial(command, home, min(5, kills - done), length, draw)
        differ = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
        wrong += [f"{key} differs" for key in differ if not wrong]
        done, ends = done + more, ends + 1
    print(
        f"{name}: {length:.0f} s undisturbed, {len(expected)} files; killed {done} times, let "
        f"through {ends} times: {'; '.join(wrong) or 'the same each time'}",
        flush=True,
    )
    return not wrong


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="COMMAND", help="fetch, align, train; all")
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--voices", type=int, default=36, help="utterances")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        listed = voices(home / "voices", given.voices)
        (home / "listed.json").write_text(json.dumps(listed))
        (home / "served").mkdir()
        with tarfile.open(home / "served" / "mini.tar.gz", "w:gz") as archive:
            archive.add(home / "voices", "LibriSpeech")
        with served(home / "served") as address:
            known = commands(home, address, home / "listed.json")
            if unknown := set(given.names) - set(known):
                parser.error(f"{min(unknown)} is none of {', '.join(known)}")
            names = given.names or list(known)
            right = [judge(name, known[name], home, given.kills, draw) for name in names]
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
