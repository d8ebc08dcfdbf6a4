"""relviz.audio: what comes in, and what is refused."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
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


@settings(deadline=None)
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
