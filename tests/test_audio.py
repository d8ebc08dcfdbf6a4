"""relviz.audio: what comes in, and what is refused."""

import functools
import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relviz import audio


def tone(rate=16000, seconds=0.5, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_reads_what_was_written(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(), 16000, subtype="PCM_16")
    wave = audio.read(path)
    assert wave.dtype == np.float32 and wave.shape == (8000,)
    np.testing.assert_allclose(wave, tone(), atol=1.0 / 32768)


def test_averages_channels(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), np.zeros(8000)], axis=1), 16000, "FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav"), tone() / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_resamples_a_tone_to_itself(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype="FLOAT")
    wave = audio.read(tmp_path / "a.wav")
    assert abs(len(wave) - 8000) <= 1
    inside = slice(1000, 7000)  # the filter rings at the ends
    np.testing.assert_allclose(wave[inside], tone()[inside], atol=2e-3)


def test_resampling_leaves_no_alias(tmp_path):
    """10 kHz does not exist at 16 kHz; a cheap filter would mirror it to 6 kHz."""
    soundfile.write(tmp_path / "a.wav", tone(44100, frequency=10000.0), 44100, subtype="FLOAT")
    assert np.abs(audio.read(tmp_path / "a.wav")[1000:7000]).max() < 1e-4


def write(path, samples, rate=16000):
    soundfile.write(path, np.asarray(samples), rate, subtype="FLOAT")


def refusal(call):
    with pytest.raises(audio.AudioError) as error:
        call()
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message
    return message


def test_refuses_bad_files_by_name(tmp_path):
    path = tmp_path / "bad.wav"
    assert f"{path} is not a file" in refusal(lambda: audio.read(path))
    path.write_bytes(b"no audio here")
    assert f"{path} cannot be read as audio" in refusal(lambda: audio.read(path))
    write(path, [0.0] * 100)
    assert f"{path} is silent" in refusal(lambda: audio.read(path))
    write(path, [0.1, np.nan, 0.2, np.inf])
    message = refusal(lambda: audio.read(path))
    assert f"{path} holds 2 samples that are NaN or infinite, the first at index 1" in message
    write(path, tone())
    message = refusal(lambda: audio.read(path, minimum=9000))
    assert f"{path} has 8000 samples, fewer than the 9000" in message
    write(path, [])
    assert f"{path} has 0 samples" in refusal(lambda: audio.read(path))


def test_refuses_bad_arrays():
    assert "has shape (2, 3): give one channel" in refusal(lambda: audio.check(np.ones((2, 3))))
    assert "holds int16 samples: convert" in refusal(lambda: audio.check(np.ones(3, np.int16)))
    assert "holds complex128 samples" in refusal(lambda: audio.check(np.ones(3) * 1j))
    assert "my wave is silent" in refusal(lambda: audio.check(np.zeros(3), "my wave"))


@given(
    size=st.integers(1, 30),
    length=st.integers(1, 12),
    starts=st.lists(st.integers(-20, 40), min_size=1, max_size=5),
)
def test_frames_are_slices_of_the_zero_padded_wave(size, length, starts):
    wave = np.arange(1.0, size + 1)
    frames = audio.frame(wave, length, starts)
    for row, start in zip(frames, starts, strict=True):
        for i, value in enumerate(row):
            assert value == (wave[start + i] if 0 <= start + i < size else 0)


FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "sph": ("NIST", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


@functools.cache
def encoded(name, seconds=4):
    """A file as bytes: a glide in a little noise, which no codec makes much smaller."""
    time = np.arange(seconds * 16000) / 16000
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(time))
    file = io.BytesIO()
    wave = 0.3 * np.sin(2 * np.pi * 220 * time * (1 + 0.1 * time)) + noise
    container, kind = FORMATS[name]
    soundfile.write(file, wave, 16000, format=container, subtype=kind)
    return file.getvalue()


def sized(data, size):
    """A wav whose sizes are what a pipe wrote before it knew them."""
    data = bytearray(data)
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", min(0xFFFFFFFF, size + 36))
    return bytes(data)


@pytest.mark.parametrize("name", FORMATS)
def test_reads_every_format_whole(tmp_path, name):
    path = tmp_path / f"a.{name}"
    path.write_bytes(encoded(name))
    assert len(audio.read(path)) == pytest.approx(64000, abs=1200)


@pytest.mark.parametrize("name", FORMATS)
@given(share=st.floats(0.2, 0.95))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_was_cut_off_is_refused_wherever(tmp_path, name, share):
    path = tmp_path / f"a.{name}"
    whole = encoded(name)
    path.write_bytes(whole[: int(share * len(whole))])
    message = refusal(lambda: audio.read(path))
    assert message.startswith(str(path))
    found = re.search(r"holds (\d\.\d) of 4\.0 s: it was cut off, so get it again\.$", message)
    if name in ("ogg", "opus"):  # whose length stands at the end
        found = re.search(r"breaks off after (\d\.\d|its head)( s)?: get it again\.$", message)
    assert found, message
    assert found[1] == "its head" or float(found[1]) < 4 * share + (0.5 if name != "flac" else 1)


@pytest.mark.parametrize(
    "size", [0, 0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFF - 44, 0x7FFFF000 - 36]
)
@pytest.mark.parametrize("name", ["wav", "float.wav"])
def test_a_wav_from_a_pipe_is_read_whole(tmp_path, name, size):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(name))
    expected = audio.read(path)
    path.write_bytes(sized(encoded(name), size))
    np.testing.assert_array_equal(audio.read(path), expected)


def test_a_flac_from_a_pipe_is_read_whole(tmp_path):
    path = tmp_path / "a.flac"
    data = bytearray(encoded("flac"))
    path.write_bytes(data)
    expected = audio.read(path)
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    np.testing.assert_array_equal(audio.read(path), expected)


def test_an_mp3_that_does_not_count_its_frames_is_read_whole(tmp_path):
    """Its rate changes on the way, so that what the first frame lets one guess is far off."""
    time = np.arange(20 * 16000) / 16000
    noise = np.random.default_rng(0).standard_normal(len(time))
    wave = np.where(time < 4, 0.0001, 0.3) * noise
    path = tmp_path / "a.mp3"
    soundfile.write(path, wave, 16000, bitrate_mode="VARIABLE")
    whole = path.read_bytes()
    expected = audio.read(path)
    first = 4 + next(i for i in range(1, 5000) if whole[i : i + 2] == whole[:2]) - 4
    path.write_bytes(whole[first:])
    found = audio.read(path)
    assert len(found) == pytest.approx(len(expected), abs=1800)
    shift = len(found) - len(expected)
    assert np.corrcoef(found[shift:][-50000:], expected[-50000:])[0, 1] > 0.9 or shift


def test_channels_that_cancel(tmp_path):
    path, left = tmp_path / "a.wav", tone()
    write(path, np.stack([0.5 * left, -left], axis=1))
    with pytest.warns(UserWarning, match=r"channels that cancel each other \(their mean keeps"):
        np.testing.assert_allclose(audio.read(path), -left, atol=1e-6)
    delayed = np.roll(left, round(16000 / 440 / 2))
    write(path, np.stack([left, 0.9 * delayed], axis=1))
    with pytest.warns(UserWarning, match="channel 0, the strongest, was taken; channel= chooses"):
        np.testing.assert_allclose(audio.read(path), left, atol=1e-6)
    np.testing.assert_allclose(audio.read(path, channel=1), 0.9 * delayed, atol=1e-6)
    assert "has no channel 2: choose from 0 to 1" in refusal(lambda: audio.read(path, channel=2))


def test_channels_that_do_not_cancel_are_averaged(tmp_path):
    path, rng = tmp_path / "a.wav", np.random.default_rng(0)
    for channels in (rng.standard_normal((16000, 2)) / 9, np.stack([tone(), 0 * tone()], axis=1)):
        write(path, channels)
        np.testing.assert_allclose(audio.read(path), channels.mean(axis=1), atol=1e-6)


def test_floats_in_the_range_of_integers(tmp_path):
    path = tmp_path / "a.wav"
    write(path, 32768 * tone())
    with pytest.warns(
        UserWarning, match="the range of 16-bit integers: they were divided by 32768"
    ):
        np.testing.assert_allclose(audio.read(path), tone(), atol=1e-6)
    write(path, 2.0**31 * tone())
    assert "divide them by the largest number of the format" in refusal(lambda: audio.read(path))
    write(path, 3 * tone())  # loud, and as it was meant
    np.testing.assert_allclose(audio.read(path), 3 * tone(), atol=1e-6)


@pytest.mark.parametrize("rate", [1, 999, 768001, 2**31 - 1])
def test_a_rate_that_cannot_be(tmp_path, rate):
    path, data = tmp_path / "a.wav", bytearray(encoded("wav"))
    data[24:28] = struct.pack("<I", rate)
    path.write_bytes(data)
    message = refusal(lambda: audio.read(path))
    assert f"{path} says that it has {rate} samples a second: give a recording of 1000" in message


def test_what_a_mac_notes_beside_a_file(tmp_path):
    path = tmp_path / "._a.wav"
    path.write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(100))
    assert "no sound: read a.wav beside it" in refusal(lambda: audio.read(path))


def test_names_of_any_bytes(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    path.write_bytes(encoded("wav"))
    assert len(audio.read(path)) == 64000
    path.write_bytes(b"no sound")
    message = refusal(lambda: audio.read(path))
    assert r"caf\xe9.wav cannot be read as audio (Format not recognised)" in message
    message.encode("utf-8")


def test_what_libsndfile_does_not_know_goes_through_ffmpeg(tmp_path, monkeypatch):
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    monkeypatch.setenv("PATH", "")
    assert f"convert it, as with ffmpeg -i {path} a.wav." in refusal(lambda: audio.read(path))
    program = tmp_path / "ffmpeg"
    decoded = tmp_path / "decoded"
    decoded.write_bytes(sized(encoded("wav"), 0xFFFFFFFF))  # as it writes to a pipe
    program.write_text(f"#!/bin/sh\nexec /bin/cat '{decoded}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert len(audio.read(path)) == 64000
    program.write_text("#!/bin/sh\nexit 1\n")
    assert "cannot be read as audio" in refusal(lambda: audio.read(path))


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_read_or_refused_by_name(tmp_path, data):
    name = data.draw(st.sampled_from(list(FORMATS)))
    damaged = bytearray(encoded(name, 1))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(200, len(damaged)) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.sampled_from([len(damaged), 50, 13, 3, 0])) :]
    path = tmp_path / f"a.{name}"
    path.write_bytes(damaged)
    message = str(path)
    try:
        assert np.isfinite(audio.read(path)).all()
    except audio.AudioError as error:
        message = str(error)
    assert str(path) in message and "\n" not in message


def test_silence_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "_SPARE", 1_000_000)
    path = tmp_path / "silence.flac"
    with soundfile.SoundFile(path, "w", 48000, 2, format="FLAC", subtype="PCM_16") as file:
        block = np.zeros((1 << 19, 2), dtype=np.int16)
        block[0] = 1000
        for _ in range(8):
            file.write(block)
    with pytest.raises(audio.AudioError, match=r"silence\.flac goes on after \d+ s, .*, so cut it"):
        audio.read(path)
    noise = np.random.default_rng(0).normal(0, 0.1, (1_100_000, 2))
    soundfile.write(path, noise, 48000)
    assert len(audio.read(path)) == pytest.approx(1_100_000 / 3, abs=1)
