"""Feed relviz's readers files that were damaged on purpose, and tell how each of them ends.

    python tools/malformed.py                     1,000 files, five kinds
    python tools/malformed.py --count 5000 --seed 7 --kind weights --keep FOLDER

Valid files of each kind (sound, annotations, weights, tables, archives) are written, and copies
of them changed: cut, bits flipped, bytes and fields replaced, lengths that cannot be. Each is read
in a process that may take `--memory` MB more than it has at its start, for `--seconds` at most. A
reader may refuse a file in one sentence that names it, or read it right; the command exits with 1
if one ends in a traceback, hangs, takes more memory, names nothing, reads wrong, or leaves half a
file.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import math
import os
import random
import resource
import select
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
GOOD = ("refused", "read right")
BAD = ("traceback", "hang", "memory", "nameless", "wrong", "half-written")
KINDS = ("sound", "annotations", "weights", "tables", "archives")


# ------------------------------------------------------------------------------- valid files


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise that comes and goes."""
    count = int(16000 * seconds)
    noise = np.random.default_rng(seed).normal(0, 0.1, count)
    return noise * (1 + np.sin(np.arange(count) / 1500)) / 2


SOUNDS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "mulaw.wav": ("WAV", "ULAW"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
}


@cache
def sound(suffix: str, seconds: float = 1.0) -> bytes:
    """A whole recording, in the format of a suffix."""
    buffer = io.BytesIO()
    kind, subtype = SOUNDS[suffix]
    soundfile.write(buffer, speech(seconds), 16000, format=kind, subtype=subtype)
    return buffer.getvalue()


@cache
def weights() -> bytes:
    """A small network with all that its card can say."""
    from relviz import networks
    from relviz.pretrained import Metadata
    from relviz.training.weights import save

    score = {"value": 0.5, "low": 0.4, "high": 0.6, "trials": 12}
    log = {"step": [1.0, 2.0], "loss": [2.0, 1.0]}
    metadata = Metadata(
        "speakers",
        ("anna", "ben"),
        recipe={"study": "speakers", "seed": 4, "shuffle_labels": False, "subset": None},
        about={
            "recordings": "None.",
            "rule": "none",
            "skipped": {"no transcript": 2},
            "train": {"utterances": 3, "speakers": ["anna", "ben"]},
        },
        scores={
            "held out": {"accuracy": score, "by_speaker": {"anna": {"accuracy": score}}},
            "training": {
                "steps": 3.0,
                "seconds": 1.5,
                "best_step": 2.0,
                "valid_accuracy": 0.5,
                "log": log,
            },
        },
    )
    net = networks.build(
        networks.Architecture((networks.Conv(4, 30, 10), networks.Conv(3, 5, 1)), 6, 800), 2, 0
    )
    with tempfile.TemporaryDirectory() as folder:
        save(net, metadata, Path(folder) / "model.safetensors")
        return (Path(folder) / "model.safetensors").read_bytes()


LISTED = {
    f"train-clean-5/19/198/19-198-000{i}.flac": bytes([i]) * 2000 + bytes(range(256)) * 8
    for i in range(3)
}
PHN = "0 2000 h#\n2000 5600 sh\n5600 8000 ix\n8000 12000 hv\n12000 14000 eh\n14000 16000 h#\n"
TRANSCRIPT = "84-121-0000 GO ON\n84-121-0001 I SHALL GO\n"
VOWDATA = "col1: filename\n" + "".join(
    f"{talker}ah {250 + i} {120 + i} {700 + i} {1200 + i} {2500 + i} 3600 "
    f"{700 + i} {1200 + i} {2500 + i} {700 + i} {1200 + i} {2500 + i} {700 + i} {1200 + i} 2500\n"
    for i, talker in enumerate(("m01", "m02", "w01", "w02", "b01"))
)
TIMEDATA = "File  Start  End  Center1  Center2\n" + "".join(
    f"{talker}ah {100 + i}.0 {500 + i}.5 250.0 260.0\n"
    for i, talker in enumerate(("m01", "m02", "w01", "w02", "b01"))
)
KALDI = {
    "train/wav.scp": "000010011 WAVE/SPEAKER0001/000010011.WAV\n"
    "000020011 WAVE/SPEAKER0002/000020011.WAV\n",
    "train/utt2spk": "000010011 0001\n000020011 0002\n",
    "train/text": "000010011 WE CALL IT BEAR\n000020011 YES\n",
    "train/spk2age": "0001 6\n0002 20\n",
    "train/spk2gender": "0001 m\n0002 f\n",
}


def whole(kind: str, rng: random.Random) -> tuple[dict[str, bytes], str]:
    """The files of one case, all of them valid, and which of them is to be damaged."""
    if kind == "sound":
        name = f"sound.{rng.choice(list(SOUNDS))}"
        return {name: sound(name.partition(".")[2])}, name
    if kind == "weights":
        return {"model.safetensors": weights()}, "model.safetensors"
    if kind == "archives":
        name = rng.choice(["corpus.tar.gz", "corpus.tar.gz", "corpus.zip"])
        return {name: zipped() if name.endswith("zip") else archive(dict(LISTED))}, name
    if kind == "tables":
        found = {
            f"{'men' if name[0] == 'm' else 'women'}/{name}ah.wav": sound("wav")
            for name in ("m01", "m02", "w01", "w02")
        } | {"vowdata.dat": VOWDATA.encode(), "timedata.dat": TIMEDATA.encode()}
        return found, rng.choice(["vowdata.dat", "timedata.dat", "timedata.dat", "men/m01ah.wav"])
    timit, libri = "TRAIN/DR1/FCJF0/SI648", "dev-clean/84/121/84-121"
    found = {
        **{f"speechocean762/{name}": said.encode() for name, said in KALDI.items()},
        "speechocean762/WAVE/SPEAKER0001/000010011.WAV": sound("wav"),
        "speechocean762/WAVE/SPEAKER0002/000020011.WAV": sound("wav"),
        f"{timit}.WAV": sound("sph"),
        f"{timit}.PHN": PHN.encode(),
        f"{timit}.TXT": b"0 16000 She had your dark suit.\n",
        f"{libri}.trans.txt": TRANSCRIPT.encode(),
        f"{libri}-0000.flac": sound("flac"),
        f"{libri}-0001.flac": sound("flac"),
        "own.dict": b";;; mine\nBORO  B ER1 OW0\nBORO(2)  B AH1 R OW0 # rare\nABBEY  AE1 B IY0\n",
    }
    often = [f"{timit}.PHN"] * 3 + [f"{libri}.trans.txt"] * 2
    kaldi = rng.choice([f"speechocean762/{name}" for name in KALDI])
    return found, rng.choice([*often, kaldi, kaldi, f"{timit}.TXT", "own.dict"])


def archive(files: dict[str, bytes], *extra: bytes) -> bytes:
    """A tar archive with the top folder LibriSpeech; `extra` are heads of members, as bytes."""
    data = b"".join(extra)
    for name, content in files.items():
        info = tarfile.TarInfo(f"LibriSpeech/{name}")
        info.size = len(content)
        data += info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)
    return gzip.compress(data + bytes(1024), 1, mtime=0)


@cache
def zipped() -> bytes:
    """A zip archive with the top folder LibriSpeech."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in {"LICENSE.TXT": b"CC BY 4.0", **LISTED}.items():
            made.writestr(zipfile.ZipInfo(f"LibriSpeech/{name}"), content)
    return buffer.getvalue()


# ----------------------------------------------------------------------------------- damage


def damage(data: bytes, kind: str, name: str, rng: random.Random) -> tuple[bytes, str]:
    """Change a file; returns it, and the name of what was done."""
    ways: list[Callable[[bytes, random.Random], bytes]] = [cut, flip, overwrite, claim, splice]
    if kind == "weights":
        ways += [field] * 8 + [weight]
    elif name.endswith(".zip"):
        ways += [directory] * 6
    elif kind == "archives":
        ways += [member] * 6
    elif not name.endswith((".wav", ".WAV")) and kind in ("tables", "annotations"):
        ways += [words] * 8 + [encoded] * 2
    if name == "sound.flac":
        ways += [swollen]
    ways += [replaced]
    way = rng.choice(ways)
    return way(data, rng), way.__name__


def cut(data: bytes, rng: random.Random) -> bytes:
    """Its beginning."""
    return data[: rng.choice([0, 1, rng.randrange(64), *[rng.randrange(len(data))] * 6])]


def flip(data: bytes, rng: random.Random) -> bytes:
    """Single bits, in its head more often."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 4, 40])):
        at = rng.randrange(rng.choice([min(100, len(data)), len(data)]))
        changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """A piece of it by chance, zeros or ones."""
    count, at = rng.choice([4, 64, 1024]), rng.randrange(len(data))
    new = rng.choice([bytes(count), b"\xff" * count, rng.randbytes(count)])
    return (data[:at] + new + data[at + count :])[: len(data)]


def claim(data: bytes, rng: random.Random) -> bytes:
    """A number in its head, by one that is too large, zero or negative."""
    number = rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x7FFFF000, 1 << 24, 0xFFFF])
    new = struct.pack(rng.choice(["<I", ">I", "<Q", "<H", ">H"]), number & 0xFFFF)
    if len(new) > 2:
        new = number.to_bytes(len(new), rng.choice(["little", "big"]))
    at = rng.randrange(min(64, max(1, len(data) - 8)))
    return data[:at] + new + data[at + len(new) :]


def splice(data: bytes, rng: random.Random) -> bytes:
    """A piece taken out, twice there, or put elsewhere."""
    start, end = sorted(rng.randrange(len(data)) for _ in range(2))
    at = rng.randrange(len(data))
    return rng.choice(
        [data[:start] + data[end:], data[:end] + data[start:], data[:at] + data[start:end]]
    )


def replaced(data: bytes, rng: random.Random) -> bytes:
    """Something else under its name."""
    return rng.choice(
        [
            b"<!DOCTYPE html><html><title>Log in</title><body>Welcome</body></html>",
            b"PK\x03\x04" + rng.randbytes(200),
            bytes(5000),
            rng.randbytes(5000),
            b"\x80\x04\x95" + rng.randbytes(100),
            "größe".encode("utf-16"),
            b"\xef\xbb\xbf" + data,
            b"\n" * 3000,
        ]
    )


def swollen(data: bytes, rng: random.Random) -> bytes:
    """Half a gigabyte of silence in 300 kB."""
    return silence()


@cache
def silence() -> bytes:
    """An hour and a half of it, after a click."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 16000, 2, format="FLAC", subtype="PCM_16") as file:
        file.write(np.ones((1, 2)) / 2)
        for _ in range(66):
            file.write(np.zeros((1 << 20, 2), dtype=np.int16))
    return buffer.getvalue()


CELLS = (
    *("inf", "-inf", "nan", "-1", "-300", "1e308", "99999999999999999999", "0", "0.0", "1e-320"),
    *("", "x", "0x10", "1_0", "१२", "½", "a b", "\t", "\x1b[2J", "\0", "9" * 5000, "--", "=1+1"),
)


def words(data: bytes, rng: random.Random) -> bytes:
    """A cell of a table of text, or a line: changed, twice there, left out, in another place."""
    lines = [line.split(b" ") for line in data.split(b"\n")]
    row = rng.randrange(len(lines) - 1)
    for _ in range(rng.choice([1, 1, 1, 3])):
        act = rng.randrange(7)
        row = min(row, len(lines) - 1)
        if act < 3:
            lines[row][rng.randrange(len(lines[row]))] = rng.choice(CELLS).encode()
        elif act == 3:
            lines.insert(rng.randrange(len(lines)), list(lines[row]))
        elif act == 4 and len(lines) > 1:
            del lines[row]
        elif act == 5:
            rng.shuffle(lines)
        else:
            rng.shuffle(lines[row])
    return b"\n".join(b" ".join(line) for line in lines)


def encoded(data: bytes, rng: random.Random) -> bytes:
    """The same text as others save it."""
    text = data.decode() + rng.choice(["", "é", "日本", "\u202e"])
    how = rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp037"])
    ends = rng.choice(["\n", "\r\n", "\r", "\u2028", "\x0b"])
    return text.replace("\n", ends).encode(how, "replace")


VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3.5, 1 << 31, 1 << 63, 50_000_000, 10**400, float("nan"), math.inf),
    *("", "x", "16k", "<img src=x onerror=alert(1)>", "\x1b[2J", "\ud800", [], [[]], ["a", "a"]),
    *({}, {"a": 1}, [1, 2], 8000, "phones", "window", "F16", "F64", "I64"),
)


def field(data: bytes, rng: random.Random) -> bytes:
    """A field in the header of weights, ours or a tensor's: its value changed, gone or renamed."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    said = header["__metadata__"]
    fields = {name: json.loads(text) for name, text in said.items()}
    place: Any = rng.choice([fields, fields, header])
    path = [place]
    while isinstance(place, (dict, list)) and place and rng.random() < 0.85:
        key = rng.choice(list(place) if isinstance(place, dict) else list(range(len(place))))
        place = place[key]
        path.append(place)
    holder: Any = path[-2] if len(path) > 1 else path[-1]
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key, value = rng.choice(keys), rng.choice(VALUES)
    act = rng.randrange(5)
    if act == 0:
        del holder[key]
    elif act == 1 and isinstance(holder, dict):
        holder[rng.choice(["", "colour", "\x1b[2J", "<b>", "x" * 3000])] = value
    else:
        holder[key] = value
    if isinstance(header.get("__metadata__"), dict):
        texts = {name: json.dumps(each) for name, each in fields.items()}
        header["__metadata__"] = texts if rng.random() < 0.95 else fields
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def weight(data: bytes, rng: random.Random) -> bytes:
    """Weights that are no numbers."""
    start = 8 + int.from_bytes(data[:8], "little")
    at = start + 4 * rng.randrange((len(data) - start) // 4)
    number = rng.choice([math.nan, math.inf, -math.inf, 3e38, 1e-45])
    return data[:at] + struct.pack("<f", number) + data[at + 4 :]


def member(data: bytes, rng: random.Random) -> bytes:
    """A head in an archive that claims something, before, behind or instead of what is listed."""
    info = tarfile.TarInfo(rng.choice([f"LibriSpeech/{next(iter(LISTED))}", "LibriSpeech/x", "x"]))
    info.size = rng.choice([0, 512, 1 << 20, (1 << 33) - 1, 1 << 50])
    info.type = bytes([rng.choice(b"01234567gxLKSAVX\0")])
    info.linkname = rng.choice(["", "/etc/passwd", "../../x", "LibriSpeech/x"])
    key = rng.choice(["size", "path", "linkpath", "GNU.sparse.size", "GNU.sparse.map", "mtime"])
    hostile = ("-1", "-1024", "9" * 30, "../../evil", "/evil", "a\0b", "1,2,3", "x" * 70000, "nan")
    if rng.random() < 0.5:
        info.pax_headers = {key: rng.choice(hostile)}
    head = info.tobuf(tarfile.PAX_FORMAT if info.pax_headers else tarfile.GNU_FORMAT)
    if rng.random() < 0.3:
        at = rng.randrange(512)
        head = head[:at] + bytes([rng.randrange(256)]) + head[at + 1 :]
    many = rng.choice([1, 1, 1, 3000])
    behind = bytes(rng.choice([0, 512, 40_000_000]))
    files = dict(LISTED) if rng.random() < 0.8 else dict(list(LISTED.items())[1:])
    return archive(files, head * many + behind) if rng.random() < 0.7 else archive(files, head)


def directory(data: bytes, rng: random.Random) -> bytes:
    """A field in a head of a zip archive, of a member or of the list at its end."""
    marks = (b"PK\x01\x02", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06")
    changed, mark = bytearray(data), rng.choice(marks)
    places = [at for at in range(len(data)) if data.startswith(mark, at)]
    at = rng.choice(places) + rng.randrange(4, 22 if mark == marks[-1] else 46)
    number = rng.choice([0, 1, 8, 12, 14, 99, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, rng.getrandbits(32)])
    size = rng.choice([2, 4])
    changed[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
    return bytes(changed)


# ---------------------------------------------------------------------------------- readers


class Wrong(Exception):  # noqa: N818
    """What was read cannot have been in the file."""


def sure(right: object, what: str) -> None:
    """Raise Wrong unless so."""
    if not right:
        raise Wrong(what)


def read_sound(folder: Path, name: str, how: str) -> None:
    """A recording that was cut has to be missed; what else is read has to be sound."""
    from relviz import audio

    wave = audio.read(folder / name)
    sure(np.isfinite(wave).all() and np.abs(wave).max() <= audio.LOUDEST, "not within one")
    sure(how != "cut" or len(wave) > 13600, f"{len(wave)} samples of 16000")


def read_annotations(folder: Path, name: str, how: str) -> None:
    """Three corpora, when their phones are spoken, and a dictionary of one's own."""
    from relviz.corpora import PHONES, librispeech, pronunciations, speechocean762, timit
    from relviz.corpora.check import check

    for each in timit.utterances(folder).utterances:
        spans = timit.alignment(each)
        sure(all(a.end <= b.start for a, b in pairwise(spans)), "order")
        sure(0 <= spans[0].start and abs(spans[-1].end - 1) <= 0.5, "ends elsewhere")
    for ways in pronunciations.read(folder / "own.dict").values():
        sure(all(set(way.split()) <= set(PHONES) for way in ways), "phones")
    for each in librispeech.utterances(("dev-clean",), folder).utterances:
        sure(each.text is None or each.text.strip(), "an empty text")
    for each in speechocean762.utterances(root=folder).utterances:
        sure(each.sex in ("F", "M") and 0 < (each.age or 0) < 130, "no such speaker")
    for corpus, part in (
        ("timit", "train"),
        ("mini-librispeech", "dev-clean"),
        ("speechocean762", "train"),
    ):
        said = check(corpus, [part], folder, jobs=1)
        sure(all(line.isprintable() for line in said.lines()), "a list that is not text")
        sure(said.usable, "checked as wrong, and read")


def read_weights(folder: Path, name: str, how: str) -> None:
    """A network that can be asked, and its card."""
    import torch

    import relviz
    from relviz.pretrained import card

    net, said = relviz.load(folder / name), card(folder / name)
    with torch.no_grad():
        scores = net(torch.zeros(2, net.window))
    sure(scores.shape == (2, len(net.metadata.classes)) and scores.isfinite().all(), "scores")
    sure(net.metadata.sample_rate == 16000, "sample rate")
    sure(len(set(net.metadata.classes)) == len(net.metadata.classes), "classes")
    sure("<img" not in said and "\x1b" not in said, "a card that is not text")


def read_tables(folder: Path, name: str, how: str) -> None:
    """Vowels with numbers that vowels can have, and what checking them says."""
    from relviz import corpora
    from relviz.corpora.check import check

    said = check("aev", root=folder, jobs=1)
    sure(all(line.isprintable() for line in said.lines()), "a list that is not text")
    corpus = corpora.vowels("ah", root=folder)
    sure(len(corpus.tokens) == 4, f"{len(corpus.tokens)} tokens")
    for token in corpus.tokens:
        hertz = [f for f in (token.f0, token.f1, token.f2, token.f3) if not math.isnan(f)]
        sure(all(0 < each <= 8000 for each in hertz), f"{hertz} Hz")
        sure(0 <= token.start <= token.steady <= token.end, "times")
        sure(token.end <= len(token.wave()) / 16000, "ends after its recording")
    sure(not any(each.wrong for each in said.recordings), "checked as wrong, and read")


def read_archives(folder: Path, name: str, how: str) -> None:
    """From a server on this machine, into a folder that must be whole or empty afterwards."""
    from relviz.corpora import librispeech, store

    digests = {name: hashlib.sha256(data).hexdigest() for name, data in LISTED.items()}
    here = {".tar.gz": address(folder)}
    corpus = replace(librispeech.CORPUS, addresses=here, archive=name, most=20_000_000)
    there = folder / "cache" / "LibriSpeech"
    there.parent.mkdir()
    with mock.patch.multiple(store, checksums=lambda _: digests, _RETRIES=0):
        try:
            store.fetch(corpus, there)
            sure({str(p.relative_to(there)) for p in there.rglob("*.flac")} == set(LISTED), "lack")
        finally:
            right = {there / name: data for name, data in LISTED.items()}
            for path in (each for each in folder.rglob("*") if each.is_file()):
                ours = path == folder / name or path.name == ".lock"  # which stays, empty
                if not ours and right.get(path) != path.read_bytes():
                    raise Half(str(path))


class Half(Exception):  # noqa: N818
    """What was left behind."""


@cache
def server() -> ThreadingHTTPServer:
    """All files below the root of this machine's disk, on one of its own ports."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory="/"))
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    return made


def address(folder: Path) -> str:
    """Where a folder is served."""
    return f"http://127.0.0.1:{server().server_port}{folder}/"


def misbehave(folder: Path, name: str, how: str) -> None:
    """Do what the file says: the command has to see it."""
    from relviz._errors import ParameterError

    asked = (folder / name).read_text()
    if asked == "hang":
        threading.Event().wait()
    if asked == "memory":
        bytearray(2 << 30)
    if asked == "half-written":
        raise Half("half")
    if asked == "wrong":
        sure(False, "wrong")
    if asked == "nameless":
        raise ParameterError("Something is wrong.")
    if asked == "refused":
        raise ParameterError(f"{folder / name} is wrong: get it again.")
    if asked == "traceback":
        raise KeyError("seed")


READERS: dict[str, Callable[[Path, str, str], None]] = {
    "sound": read_sound,
    "annotations": read_annotations,
    "weights": read_weights,
    "tables": read_tables,
    "archives": read_archives,
    "itself": misbehave,
}


# ----------------------------------------------------------------------------------- judging


def judge(kind: str, folder: Path, name: str, how: str) -> tuple[str, str]:
    """Read one case, and say how that ended, with details."""
    from relviz._errors import RelvizError

    before = {path for path in folder.rglob("*") if path.is_file()}
    names = {path.name for path in before} if kind in ("tables", "annotations") else {name}
    try:
        READERS[kind](folder, name, how)
    except RelvizError as error:
        said = str(error)
        named = any(Path(each).name in said for each in names)
        one = said.endswith(".") and "\n" not in said and said.isprintable()
        return ("refused" if named and one else "nameless"), said
    except Wrong as error:
        return "wrong", str(error)
    except Half as error:
        return "half-written", str(error)
    except MemoryError:
        return "memory", "MemoryError"
    except Exception as error:
        if "allocate memory" in str(error):
            return "memory", str(error)
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return "traceback", f"{type(error).__name__} at {where}: {error}"
    left = {path for path in folder.rglob("*") if path.is_file()} - before
    if left and kind != "archives":
        return "half-written", str(sorted(left)[0])
    return "read right", ""


def work(memory: int) -> None:
    """Judge the cases that come in, a line of JSON each; what a case may take is limited."""
    warnings.simplefilter("ignore")
    import relviz.corpora.archive
    import relviz.pretrained  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:  # so that what every reader needs is loaded before memory is limited
            place = Path(folder) / kind
            files, name = whole(kind, random.Random(0))
            write(place, files)
            READERS[kind](place, name, "")
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = size + memory * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    print("ready", flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C have notes of their own
    for line in sys.stdin:
        kind, folder, name, how = json.loads(line)
        print(json.dumps(judge(kind, Path(folder), name, how)), flush=True)


class Worker:
    """A process that reads; a new one takes its place when it hangs or dies."""

    def __init__(self, memory: int, seconds: float) -> None:
        self._memory, self._seconds = memory, seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = [sys.executable, __file__, "--work", str(self._memory)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
            assert self._process.stdout is not None
            if self._process.stdout.readline() != "ready\n":
                raise SystemExit("tools/malformed.py: the valid files cannot be read.")
        return self._process

    def judge(self, kind: str, folder: Path, name: str, how: str) -> tuple[str, str]:
        """Say how the reading of one case ended."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([kind, str(folder), name, how]) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self._seconds)
        line = process.stdout.readline() if ready else ""
        if line:
            verdict, details = json.loads(line)
            return verdict, details
        self.__exit__()
        return ("traceback", f"the process died ({process.returncode})") if ready else ("hang", "")


@dataclass(frozen=True)
class Result:
    """How the reading of one file ended."""

    number: int
    kind: str
    name: str
    how: str
    verdict: str
    details: str


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of one case."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def run(
    count: int,
    seed: int,
    folder: Path,
    kinds: tuple[str, ...] = KINDS,
    memory: int = 500,
    seconds: float = 30.0,
) -> Iterator[Result]:
    """Damage and read so many files, kind after kind; those that end badly stay in the folder."""
    with Worker(memory, seconds) as worker:
        for number in range(count):
            kind = kinds[number % len(kinds)]
            rng = random.Random(f"{seed} {number}")
            files, name = whole(kind, rng)
            files[name], how = damage(files[name], kind, name, rng)
            place = folder / f"{number:05d}"
            write(place, files)
            verdict, details = worker.judge(kind, place, name, how)
            yield Result(number, kind, name, how, verdict, details)
            if verdict in GOOD:
                shutil.rmtree(place)


def table(results: list[Result]) -> str:
    """A line for each kind: how many ended in which way."""
    counts = Counter((each.kind, each.verdict) for each in results)
    lines = ["".join(f"{head:>13}" for head in ("", *GOOD, *BAD))]
    for kind in dict.fromkeys(each.kind for each in results):
        cells = (counts[kind, verdict] for verdict in (*GOOD, *BAD))
        lines.append(f"{kind:>13}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all")
    parser.add_argument("--memory", type=int, default=500, help="MB above the start")
    parser.add_argument("--seconds", type=float, default=30, help="for one file")
    parser.add_argument("--keep", type=Path, help="where files that end badly stay")
    parser.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.work is not None:
        work(given.work)
        return 0
    kinds = tuple(given.kind or KINDS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)).absolute()
        found = list(run(given.count, given.seed, folder, kinds, given.memory, given.seconds))
    for each in found:
        if each.verdict in BAD:
            place = folder / f"{each.number:05d}" / each.name if given.keep else each.number
            print(f"{each.kind} {place}, {each.how}: {each.verdict}: {each.details[:300]!r}")
    print(table(found))
    return int(any(each.verdict in BAD for each in found))


if __name__ == "__main__":
    sys.exit(main())
