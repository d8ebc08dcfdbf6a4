"""What the header of a sound file promises, and files mended whose header cannot know.

Decoders take what is there: of a recording that was cut off in the middle they return the first
half, as if that were all. What a file says of its own length tells the two apart. Some files cannot
say it (a pipe has written them, before their end was known); they are read whole.
"""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

__all__ = ["Header", "header"]


class Header(NamedTuple):
    """What a file says of itself.

    samples: of each channel, None where it does not say. ends: whether a stream that marks its end
    has that mark. mended: the file with a true length, where its own is a place-holder or a guess.
    """

    samples: int | None = None
    ends: bool = True
    mended: BinaryIO | None = None


def header(path: Path) -> Header:
    """Look at a file's own words; for formats that are not known here, it promises nothing."""
    with path.open("rb") as file:
        try:
            return _header(file, file.read(4096), path.stat().st_size)
        except (struct.error, IndexError):  # cut off within its head: the decoder has its own words
            return Header()


def _header(file: BinaryIO, start: bytes, size: int) -> Header:
    if start[:4] in (b"RIFF", b"RIFX", b"RF64") and start[8:12] == b"WAVE":
        return _wave(file, size)
    if start[:4] == b"fLaC":
        return _flac(start)
    if start[:4] == b"OggS":
        return Header(ends=_ogg_ends(file, size))
    if start[:7] == b"NIST_1A":
        return _sphere(start)
    if start[:4] == b"FORM":
        return _aiff(start)
    if start[:4] == b".snd":
        return _au(start)
    if start[:4] == b"riff":
        return _wave64(file, size)
    if start[:3] == b"ID3" or (start[0] == 0xFF and start[1] & 0xE6 == 0xE2):
        return _mp3(file)
    return Header()


_PLACE_HOLDERS = (0, 0xFFFFFFFF)
_ALMOST = 0x7FFFF000 - 0x1000  # sox and ffmpeg write sizes from here on where they do not know


def _wave(file: BinaryIO, size: int) -> Header:
    """Compare the size that the data chunk claims with the bytes that are there."""
    file.seek(0)
    order = ">" if file.read(4) == b"RIFX" else "<"
    at, align, claimed64 = 12, 0, None
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"ds64":
            claimed64 = struct.unpack(f"{order}Q", file.read(24)[8:16])[0]
        elif name == b"fmt ":
            fields = file.read(16)
            align = struct.unpack(f"{order}H", fields[12:14])[0] if len(fields) == 16 else 0
        elif name == b"data":
            break
        at += 8 + length + length % 2
    else:
        return Header()
    if align == 0:
        return Header()
    if length == 0xFFFFFFFF and claimed64:
        return Header(samples=claimed64 // align)
    behind = size - at - 8
    if length in _PLACE_HOLDERS or length >= _ALMOST:
        if length or not behind:
            return Header()  # libsndfile reads these to the end
        file.seek(0)
        data = bytearray(file.read())
        data[at + 4 : at + 8] = struct.pack(f"{order}I", behind)
        data[4:8] = struct.pack(f"{order}I", size - 8)
        return Header(mended=io.BytesIO(bytes(data)))
    return Header(samples=length // align)


def _flac(start: bytes) -> Header:
    """Find the length in the first block, where 0 says that it was not known."""
    return Header(samples=int.from_bytes(start[18:26], "big") & ((1 << 36) - 1) or None)


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    """Whether the last page says that it is the last, and is there as a whole."""
    file.seek(max(0, size - 3 * 65536))
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail):
        return False
    lengths = tail[at + 27 : at + 27 + tail[at + 26]]
    whole = len(lengths) == tail[at + 26] and len(tail) >= at + 27 + len(lengths) + sum(lengths)
    return bool(tail[at + 5] & 4) and whole


def _sphere(start: bytes) -> Header:
    found = re.search(rb"^sample_count -i (\d+)", start, re.MULTILINE)
    return Header(samples=int(found[1]) if found else None)


def _aiff(start: bytes) -> Header:
    at = start.find(b"COMM")
    return Header(samples=struct.unpack(">I", start[at + 10 : at + 14])[0] if at > 0 else None)


_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # of a sample, by encoding


def _au(start: bytes) -> Header:
    _, length, encoding, _, channels = struct.unpack(">5I", start[4:24])
    if length >= _ALMOST or encoding not in _AU_BYTES or not channels:
        return Header()
    return Header(samples=length // (_AU_BYTES[encoding] * channels))


def _wave64(file: BinaryIO, size: int) -> Header:
    """Sony's Wave64: names of 16 bytes, sizes of 8 that count the head of their chunk."""
    at, align = 40, 0
    while at + 24 <= size:
        file.seek(at)
        name, length = struct.unpack("<16sQ", file.read(24))
        if name[:4] == b"fmt ":
            align = struct.unpack("<H", file.read(16)[12:14])[0]
        elif name[:4] == b"data":
            return Header(samples=(length - 24) // align if align and length > 24 else None)
        if length < 24:
            break
        at += (length + 7) // 8 * 8
    return Header()


_BITRATES = {  # kbit/s by index, of layer III
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mp3(file: BinaryIO) -> Header:
    """Count frames where no frame tells their number, and put one in front that does."""
    file.seek(0)
    data = file.read()
    at = 0
    if data[:3] == b"ID3":
        size = 0
        for byte in data[6:10]:
            size = size << 7 | byte & 0x7F
        at = 10 + size
    first, count = at, 0
    while (length := _mp3_frame(data, at)) and at + length <= len(data):
        if count == 0 and any(tag in data[at : at + 64] for tag in (b"Xing", b"Info", b"VBRI")):
            return Header()  # libsndfile knows the number from here
        at += length
        count += 1
    if not count:
        return Header()
    head = data[first : first + 4]
    frame = bytearray(_mp3_frame(data, first))
    frame[:4] = head
    mpeg1, mono = head[1] & 0x18 == 0x18, head[3] >> 6 == 3
    side = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    protected = 0 if head[1] & 1 else 2
    tag = b"Info" + struct.pack(">II", 1, count)
    if 4 + protected + side + len(tag) > len(frame):
        return Header()
    frame[4 + protected + side : 4 + protected + side + len(tag)] = tag
    return Header(mended=io.BytesIO(bytes(frame) + data[first:at]))


def _mp3_frame(data: bytes, at: int) -> int:
    """Bytes of the frame of layer III that begins here; 0 if none does."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return 0
    version, rate = data[at + 1] >> 3 & 3, data[at + 2] >> 2 & 3
    index, padding = data[at + 2] >> 4, data[at + 2] >> 1 & 1
    if version == 1 or rate == 3 or index in (0, 15):
        return 0
    bits = 1000 * _BITRATES[version == 3][index]
    return (144 if version == 3 else 72) * bits // _RATES[version][rate] + padding
