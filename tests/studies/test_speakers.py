"""relviz.studies.speakers: who is asked, and F0 contours where they are known."""

import numpy as np
import pytest

from relviz.corpora import (
    CorpusError,
    Source,
    SpeechCorpus,
    Utterance,
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
        loaded = SpeechCorpus(tuple(self.corpus), Source("given"))
        monkeypatch.setattr(sets.corpora, "load", lambda name, parts, root: loaded)
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
