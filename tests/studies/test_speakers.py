"""relviz.studies.speakers: levels, F-ratio, contours, recognition, where the answer is known."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import signal as scipy_signal

from relviz.audio import AudioError
from relviz.corpora import (
    CorpusError,
    Source,
    Span,
    SpeechCorpus,
    Utterance,
    sentence,
    split_utterances,
    vowel,
)
from relviz.studies import speakers as study
from relviz.training import sets

RATE = 16000


def white(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def utterances(counts):
    """(speaker, session) -> how many."""
    return [
        Utterance(f"{speaker}-{session}-{number:04d}", speaker, session)
        for (speaker, session), count in counts.items()
        for number in range(count)
    ]


class TestPanel:
    corpus = utterances({("7", "1"): 30, ("7", "2"): 1, ("12", "5"): 10, ("3", "9"): 1})

    def test_one_held_out_utterance_of_each_speaker(self):
        assert [each.name for each in study.panel(self.corpus)] == ["7-1-0005", "12-5-0005"]

    def test_of_known_speakers(self):
        assert [each.speaker for each in study.panel(self.corpus, ["12", "99"])] == ["12"]

    def test_training_never_heard_them(self, monkeypatch):
        """The training's own rule, with recordings that need no sound."""
        source = Source("given", None, "mini-librispeech")
        monkeypatch.setattr(
            sets.librispeech,
            "utterances",
            lambda parts, root: SpeechCorpus(tuple(self.corpus), source),
        )
        monkeypatch.setattr(sets, "pack", lambda *args: None)
        monkeypatch.setattr(sets, "label_speakers", lambda audio, each, classes: list(each))
        data = sets.speakers()
        assert {each.name for each in study.panel(self.corpus)} <= {
            each.name for each in data.tests[sets.WITHIN]
        }

    def test_nobody(self):
        with pytest.raises(CorpusError, match="None of these speakers is in the corpus"):
            study.panel(self.corpus, ["99"])

    def test_rule_of_the_split(self):
        kept = [each for each in self.corpus if each.session in "15"]
        _, held_out = split_utterances(kept)
        assert set(study.panel(self.corpus)) <= set(held_out)


def test_middle():
    wave = np.arange(RATE * 3)
    assert study.middle(wave, 1.0).tolist() == wave[RATE : 2 * RATE].tolist()
    assert study.middle(wave, 9.0) is not None and len(study.middle(wave, 9.0)) == len(wave)


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


class TestOverSpeakers:
    def test_is_close_to_the_normal_interval(self):
        x = np.random.default_rng(3).normal(size=(200, 2))
        mean, low, high = study.over_speakers(x)
        half = 1.96 * x.std(axis=0) / np.sqrt(len(x))
        np.testing.assert_allclose(mean, x.mean(axis=0))
        np.testing.assert_allclose(high - mean, half, rtol=0.1)
        np.testing.assert_allclose(mean - low, half, rtol=0.1)

    def test_by_brute_force(self):
        x = np.random.default_rng(4).normal(size=(5, 2, 3))
        _, low, high = study.over_speakers(x, draws=50, seed=1)
        which = np.random.default_rng(1).integers(5, size=(50, 5))
        expected = np.percentile([x[row].mean(axis=0) for row in which], [2.5, 97.5], axis=0)
        np.testing.assert_allclose([low, high], expected)


class TestOneMore:
    def test_by_hand(self):
        mean, low, high = study.one_more([[0.0, 5.0], [2.0, 5.0]])
        half = 12.7062 * np.sqrt(2) * np.sqrt(1.5)  # t at 97.5 % with one degree of freedom
        assert (mean.tolist(), low[1], high[1]) == ([1.0, 5.0], 5.0, 5.0)
        assert (low[0], high[0]) == pytest.approx((1 - half, 1 + half), rel=1e-5)

    def test_covers_as_often_as_it_says(self):
        x = np.random.default_rng(0).normal(3, 2, size=(9, 20000))
        _, low, high = study.one_more(x[:8])
        assert np.mean((low <= x[8]) & (x[8] <= high)) == pytest.approx(0.95, abs=0.005)

    @pytest.mark.parametrize("values", [1.0, [[1.0, 2.0]]])
    def test_refuses(self, values):
        with pytest.raises(ValueError, match="one network does not say how networks differ"):
            study.one_more(values)


class TestF0Agreement:
    def test_with_itself(self):
        wave = vowel(120, (500, 1500, 2500))
        share, times, true, found = study.f0_agreement(wave, -3 * wave)
        assert share == 1.0 and len(times) == len(true) == len(found)
        np.testing.assert_allclose(found, true, rtol=1e-3)

    def test_with_another_pitch_and_none(self):
        wave = vowel(120, (500, 1500, 2500))
        third = vowel(120 * 2 ** (4 / 12), (500, 1500, 2500))
        assert study.f0_agreement(wave, third)[0] == 0.0
        assert study.f0_agreement(wave, third, semitones=4.2)[0] == 1.0
        assert study.f0_agreement(wave, white(len(wave) / RATE))[0] < 0.2

    def test_never_voiced(self):
        assert np.isnan(study.f0_agreement(white(0.5), white(0.5))[0])

    def test_refuses_other_lengths(self):
        with pytest.raises(ValueError, match="give both whole"):
            study.f0_agreement(white(1), white(2))


class TestPhonesBetween:
    spans = (
        Span(0.0, 0.2, "SIL"),
        Span(0.2, 0.3, "K"),
        Span(0.3, 0.5, "AE"),
        Span(0.5, 0.6, "T"),
        Span(0.6, 1.0, "SIL"),
    )

    def test_whole_phones(self):
        assert study.phones_between(self.spans, 0.1, 0.55) == (0.2, 0.5, ["K", "AE"])
        assert study.phones_between(self.spans, 0.0, 1.0) == (0.0, 1.0, ["K", "AE", "T"])

    def test_none(self):
        with pytest.raises(ValueError, match=r"no phone lies within 0\.25 to 0\.4 s"):
            study.phones_between(self.spans, 0.25, 0.4)


class TestPhoneLoop:
    def test_hears_a_sentence(self):
        spoken = sentence("Now and then a loud bird sings above our yellow house.", "Male1")
        said = [label for _, _, label in spoken.phones if label != "SIL"]
        heard = study.phone_loop(spoken.wave)
        table = study.error_rates(
            study.recognition({"speech": [spoken.wave] * 2}, [said, said]), "speech"
        )
        assert table["error_rate"][0] < 0.85
        assert heard == study.phone_loop(0.01 * spoken.wave)  # scale, and no memory of before

    def test_hears_nothing_in_noise(self):
        assert len(study.phone_loop(white(1))) < 5

    def test_without_pocketsphinx(self, monkeypatch):
        study._recogniser.cache_clear()
        monkeypatch.setitem(sys.modules, "pocketsphinx", None)
        with pytest.raises(CorpusError, match=r"pip install 'relviz\[train\]'"):
            study.phone_loop(white(1))


@pytest.fixture
def read_out(monkeypatch):
    """Signals are what a recogniser would hear in them."""
    monkeypatch.setattr(study, "phone_loop", lambda signal: list(signal))


class TestRecognition:
    said = (["A", "B"], ["B", "C", "D"])

    def test_counts_errors(self, read_out):
        table = study.recognition(
            {"right": list(self.said), "wrong": [["A", "X"], ["B", "C", "D", "E"]]}, self.said
        )
        assert table["signal"].tolist() == ["right"] * 2 + ["wrong"] * 2 + [study.BACKWARDS] * 2
        assert table["errors"].tolist() == [0, 0, 1, 1, 2, 2]
        assert table["phones"].tolist() == [2, 3, 2, 3, 2, 3]

    @pytest.mark.parametrize("said", [(["A"],), (["A"], ["B"], ["C"])])
    def test_refuses(self, read_out, said):
        with pytest.raises(ValueError, match="give two stretches or more, and every signal"):
            study.recognition({"right": [["A"], ["B"]]}, said)

    def test_rates_and_differences(self):
        rng = np.random.default_rng(0)
        rows = [
            (name, stretch, errors + more, 20)
            for stretch, errors in enumerate(rng.integers(2, 16, size=40))
            for name, more in (("a", 0), ("b", 2))
        ]
        table = pd.DataFrame(rows, columns=["signal", "stretch", "errors", "phones"])
        rates = study.error_rates(table).set_index("signal")
        mean = table[table["signal"] == "a"]["errors"].mean() / 20
        assert rates.loc["a", "error_rate"] == pytest.approx(mean)
        assert rates.loc["a", ["more", "more_low", "more_high"]].tolist() == [0, 0, 0]
        # b makes two errors more in every stretch: certain, though both rates are not
        assert rates.loc["b", ["more", "more_low", "more_high"]].to_numpy() == pytest.approx(0.1)
        assert rates.loc["b", "high"] - rates.loc["b", "low"] > 0.05
        other = study.error_rates(table, "b").set_index("signal")
        assert other.loc["a", "more"] == pytest.approx(-0.1)
