"""A reader's own file in a real browser: read as relviz.audio reads it, refused in its words."""

import base64
import shutil
import struct
import subprocess
import warnings

import numpy as np
import pytest
import soundfile

from relviz import audio

RATE = 16000
AMID_ZEROS = """
const { samples, notes } = m.amidZeros(Float32Array.from(args[0]), args[1], args[2], "a.wav");
return { samples: [...samples], notes };
"""
READ = """
const bytes = Uint8Array.from(atob(args[0]), (c) => c.charCodeAt(0));
try {
  const { samples, notes } = await m.readSound(new File([bytes], args[1]), args[2]);
  return { samples: [...samples], notes };
} catch (error) { return { refused: error.message }; }
"""


@pytest.mark.slow
@pytest.mark.parametrize("length", [0, 1, 2, 5, 6, 9])
def test_what_is_shorter_than_a_window_stands_between_zeros(module, length):
    sound = np.arange(1.0, length + 1)
    found = module("sound.js", AMID_ZEROS, sound.tolist(), 6, 4)
    missing = max(0, 6 - length)
    expected = np.pad(sound, (missing // 2, missing - missing // 2))
    np.testing.assert_array_equal(found["samples"], expected)
    said = f"a.wav lasts {length / 4:.2f} s and networks hear windows of up to 1.5 s: it stands "
    assert found["notes"] == ([f"{said}between zeros."] if missing else [])


def noise(seconds=1.0, rate=RATE):
    return 0.3 * np.random.default_rng(0).uniform(-1, 1, round(seconds * rate))


def tones(seconds=1.0, rate=RATE):
    t = np.arange(round(seconds * rate)) / rate
    return 0.2 * np.sin(2 * np.pi * 300 * t) + 0.1 * np.sin(2 * np.pi * 1100 * t)


@pytest.fixture
def page(module):
    def read(path):
        text = base64.b64encode(path.read_bytes()).decode()
        return module("sound.js", READ, text, path.name, RATE)

    return read


def python(path):
    """The samples, and what was said; or the sentence of a refusal, with the name alone."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            samples = audio.read(path)
    except audio.AudioError as error:
        return str(error).replace(str(path), path.name), []
    return samples, [str(w.message).replace(str(path), path.name) for w in said]


def written(path, wave, **how):
    soundfile.write(path, wave, how.pop("rate", RATE), **how)
    return path


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


def with_rate(path, rate):
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", rate)
    path.write_bytes(bytes(data))
    return path


def with_size(path, size):
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", size)
    path.write_bytes(bytes(data))
    return path


BAD = noise()
BAD[7000] = np.nan
INFINITE = noise()
INFINITE[[5, 9]] = np.inf

REFUSED = {
    "nan.wav": lambda p: written(p, BAD, subtype="FLOAT"),
    "infinite.wav": lambda p: written(p, INFINITE, subtype="FLOAT"),
    "silent.wav": lambda p: written(p, np.zeros(RATE)),
    "constant.wav": lambda p: written(p, np.full(RATE, 0.5), subtype="FLOAT"),
    "cut.wav": lambda p: cut(written(p, noise(4))),
    "cut-float.wav": lambda p: cut(written(p, noise(4), subtype="FLOAT")),
    "cut-44.wav": lambda p: cut(written(p, noise(4, 44100), rate=44100)),
    "cut.ogg": lambda p: cut(written(p, noise(4))),
    "loud.wav": lambda p: written(p, 1e6 * noise(), subtype="FLOAT"),
    "slow.wav": lambda p: with_rate(written(p, noise()), 1),
    "fast.wav": lambda p: with_rate(written(p, noise(), subtype="FLOAT"), 2_000_000),
    "._mac.wav": lambda p: written(p, noise()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_page_refuses_what_python_refuses_in_the_same_words(page, tmp_path, name):
    path = REFUSED[name](tmp_path / name)
    sentence, _ = python(path)
    assert isinstance(sentence, str)
    assert page(path) == {"refused": sentence}


@pytest.mark.parametrize("name", ["cut.flac", "cut.mp3"])
def test_what_a_decoder_pads_is_refused_as_well(page, tmp_path, name):
    # how far a decoder gets in the last frame is its own affair
    path = cut(written(tmp_path / name, noise(4)))
    assert " of 4." in python(path)[0] or "breaks off" in python(path)[0]
    assert page(path)["refused"].startswith(name)


@pytest.mark.parametrize("name", ["words.wav", "empty.wav"])
def test_what_is_no_sound_is_refused(page, tmp_path, name):
    path = tmp_path / name
    path.write_text("words" if name == "words.wav" else "")
    assert isinstance(python(path)[0], str)
    assert page(path) == {
        "refused": f"{name} holds no sound that this browser can read: give a wav, flac, ogg or "
        "mp3 file."
    }


READ_ALIKE = {
    "plain.wav": lambda p: written(p, tones()),
    "float.wav": lambda p: written(p, tones(), subtype="FLOAT"),
    "stereo.wav": lambda p: written(p, np.stack([tones(), 0.5 * tones()], 1)),
    "44.wav": lambda p: written(p, tones(rate=44100), rate=44100),
    "44-float.wav": lambda p: written(p, tones(rate=44100), rate=44100, subtype="FLOAT"),
    "whole.flac": lambda p: written(p, tones()),
    "whole.ogg": lambda p: written(p, tones()),
    "piped-0.wav": lambda p: with_size(written(p, tones()), 0),
    "piped-7ffff000.wav": lambda p: with_size(written(p, tones()), 0x7FFFF000),
    "piped-7fffffff.wav": lambda p: with_size(written(p, tones(), subtype="FLOAT"), 0x7FFFFFFF),
    "piped-ffffffff.wav": lambda p: with_size(written(p, tones()), 0xFFFFFFFF),
    "int16.wav": lambda p: written(p, 20000 * tones(), subtype="FLOAT"),
    "opposite.wav": lambda p: written(p, np.stack([tones(), -0.9 * tones()], 1)),
    "opposite-float.wav": lambda p: written(
        p, np.stack([0.9 * tones(), -tones()], 1), subtype="FLOAT"
    ),
}


@pytest.mark.parametrize("name", READ_ALIKE)
def test_the_page_reads_what_python_reads(page, tmp_path, name):
    path = READ_ALIKE[name](tmp_path / name)
    samples, said = python(path)
    found = page(path)
    assert "refused" not in found, found
    assert found["notes"] == [sentence.replace("; channel= chooses", "") for sentence in said]
    heard = np.array(found["samples"])
    assert len(heard) == pytest.approx(len(samples), abs=300)
    middle = slice(2000, 14000)  # another resampler has other ends
    assert np.abs(heard[middle] - samples[middle]).max() < 0.01


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_an_mp3_without_a_length_is_read_whole(page, tmp_path):
    wav, mp3 = written(tmp_path / "a.wav", tones(4)), tmp_path / "a.mp3"
    command = ["ffmpeg", "-v", "error", "-i", wav, "-q:a", "4", "-write_xing", "0", mp3]
    subprocess.run(command, check=True)
    # without the header nothing says how much of it is the encoder's delay and filling
    frame, delay = 576, 1105
    assert 4 * RATE <= len(page(mp3)["samples"]) <= 4 * RATE + delay + 2 * frame
