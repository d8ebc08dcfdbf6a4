"""relviz.studies.bands: levels and F-ratio, where the answer is known."""

import numpy as np
import pytest
from scipy import signal as scipy_signal

from relviz.audio import AudioError
from relviz.studies import bands as study

RATE = 16000


def white(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE))


class TestLongTermLevels:
    def test_white_noise_has_0_db_in_each_band(self):
        assert np.abs(study.long_term_levels(white(20))).max() < 0.5

    def test_a_tone_is_in_its_band(self):
        tone = np.sin(2 * np.pi * 1100 * np.arange(RATE) / RATE)
        levels = study.long_term_levels(tone)
        assert levels.argmax() == 4  # 1000 to 1250 Hz
        assert levels[4] == pytest.approx(10 * np.log10(32), abs=0.1)  # all power in 1 of 32

    def test_neither_scale_nor_an_offset_matters(self):
        wave = white(1)
        np.testing.assert_allclose(
            study.long_term_levels(1e-3 * wave - 5), study.long_term_levels(wave), atol=2e-3
        )

    def test_is_a_density(self):
        """Bands of any width, weighted by it, average to one."""
        edges = [0, 300, 1000, 5000, 8000]
        levels = study.long_term_levels(np.cumsum(white(2)), edges)
        assert np.average(10 ** (levels / 10), weights=np.diff(edges)) == pytest.approx(1)

    def test_a_filter_shows_its_response(self):
        b, a = scipy_signal.butter(2, 1000, fs=RATE)
        wave = white(60)
        found = study.long_term_levels(scipy_signal.lfilter(b, a, wave))
        found -= study.long_term_levels(wave)
        centres = (study.EDGES[:-1] + study.EDGES[1:]) / 2
        _, h = scipy_signal.freqz(b, a, centres, fs=RATE)
        expected = 20 * np.log10(np.abs(h))
        np.testing.assert_allclose((found - found[2])[2:20], (expected - expected[2])[2:20], atol=1)

    @pytest.mark.parametrize("rate", [8000, 22050, 48000])
    def test_at_any_rate_a_tone_is_in_its_band(self, rate):
        tone = np.sin(2 * np.pi * 1100 * np.arange(rate) / rate)
        levels = study.long_term_levels(tone, sample_rate=rate)
        assert len(levels) == rate // 500
        assert levels.argmax() == 4
        noise = np.random.default_rng(0).standard_normal(20 * rate)
        assert np.abs(study.long_term_levels(noise, sample_rate=rate)).max() < 0.5
        means, _ = study.band_statistics(noise, sample_rate=rate)
        assert means.shape == levels.shape

    def test_narrow_bands_are_refused(self):
        with pytest.raises(ValueError, match="narrower than the 40 Hz from bin to bin: widen it"):
            study.long_term_levels(white(1), np.arange(0, 8001, 10))

    def test_silence_is_refused(self):
        with pytest.raises(AudioError, match="the signal is silent"):
            study.long_term_levels(np.zeros(RATE))


class TestBandStatistics:
    def test_by_brute_force(self):
        wave, edges = white(0.2).astype(np.float32), [0, 2000, 8000]
        rows = []
        for start in range(0, len(wave) - 399, 160):
            x = wave[start : start + 400] * scipy_signal.get_window("hann", 400)
            power = [abs(sum(x * np.exp(-2j * np.pi * k * np.arange(400) / 400))) ** 2
                     for k in range(201)]  # fmt: skip
            rows.append(power)
        power = np.array(rows)
        levels = np.stack([power[:, :50].mean(axis=1), power[:, 50:].mean(axis=1)], axis=1)
        levels = 10 * np.log10(levels / power.mean())
        mean, variance = study.band_statistics(wave, edges)
        np.testing.assert_allclose(mean, levels.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(variance, levels.var(axis=0), atol=1e-5)

    def test_loudness_and_pauses_do_not_count(self):
        wave = white(4)
        pause = 1e-4 * white(1, seed=1)
        expected, found = study.band_statistics(wave), study.band_statistics(0.01 * wave)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        # but for the few frames that reach over the border
        paused = study.band_statistics(np.concatenate([pause, wave, pause]))
        np.testing.assert_allclose(paused[0], expected[0], atol=0.5)

    def test_too_short(self):
        with pytest.raises(AudioError, match="fewer than the 560 that are needed"):
            study.band_statistics(white(0.03))


class TestFRatio:
    def test_by_hand(self):
        ratio = study.f_ratio([[0.0, 5.0], [2.0, 5.0]], [[1.0, 3.0], [3.0, 9.0]])
        assert ratio.tolist() == [1.0, 0.0]  # 2 over 2, 0 over 6

    def test_finds_the_band_in_which_voices_differ(self):
        rng = np.random.default_rng(0)
        voices = []
        for _ in range(8):
            gain = 10 ** rng.normal(0, 0.5)
            edges = [0, 2500, 3000, 4000, 4500, 8000]
            b = scipy_signal.firwin2(201, edges, [1, 1, gain, gain, 1, 1], fs=RATE)
            voices.append(study.band_statistics(scipy_signal.lfilter(b, 1, rng.normal(size=RATE))))
        ratio = study.f_ratio(*map(np.array, zip(*voices, strict=True)))
        assert set(np.argsort(ratio)[-4:]) == {12, 13, 14, 15}  # 3 to 4 kHz

    @pytest.mark.parametrize("means", [[[1.0, 2.0]], [1.0, 2.0], [[1.0], [2.0]]])
    def test_refuses(self, means):
        with pytest.raises(ValueError, match=r"give \(speakers, bands\) of at least two speakers"):
            study.f_ratio(means, [[1.0, 1.0]] * 2 if np.ndim(means[0]) else means)
