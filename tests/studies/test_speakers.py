"""relviz.studies.speakers: who is asked, and F0 contours where they are known."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import torch

from relviz import corpora, pretrained, statistics
from relviz._errors import ParameterError
from relviz.corpora import (
    CorpusError,
    Source,
    SpeechCorpus,
    Utterance,
    split_utterances,
    vowel,
)
from relviz.networks import Architecture, Conv, RawWaveformCNN, build
from relviz.pretrained import Metadata
from relviz.studies import speakers as study
from relviz.training import score, sets
from relviz.training.data import Data, label_speakers, pack

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
        assert [each.name for each in study.panel(self.corpus)] == ["7-1-0015", "12-5-0005"]

    def test_of_known_speakers(self):
        assert [each.speaker for each in study.panel(self.corpus, ["12", "99"])] == ["12"]

    def test_training_never_heard_them(self, monkeypatch):
        """The training's own rule, with recordings that need no sound."""
        loaded = SpeechCorpus(tuple(self.corpus), Source("given"))
        monkeypatch.setattr(sets.corpora, "load", lambda name, parts, root: loaded)
        monkeypatch.setattr(sets, "pack", lambda *args: None)
        monkeypatch.setattr(sets, "label_speakers", lambda audio, each, classes: list(each))
        data = sets.speakers(every=None)
        assert {each.name for each in study.panel(self.corpus)} == {
            each.name for each in data.tests[sets.WITHIN]
        }

    def test_nobody(self):
        with pytest.raises(CorpusError, match="None of these speakers is in the corpus"):
            study.panel(self.corpus, ["99"])

    def test_rule_of_the_split(self):
        kept = [each for each in self.corpus if each.session in "15"]
        _, held_out = split_utterances(kept, None)
        assert study.panel(self.corpus) == list(held_out)


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


def humming(count=3):
    """Speakers of one band of noise each, at 500, 1200 ... Hz, two utterances a speaker."""
    rng = np.random.default_rng(0)
    said = []
    for n in range(count):
        band = (350 + 700 * n, 650 + 700 * n)
        sections = scipy.signal.butter(4, band, "bandpass", fs=RATE, output="sos")
        for k in range(2):
            noise = rng.standard_normal((2, 2 * RATE))
            wave = 0.3 * scipy.signal.sosfilt(sections, noise[0]) + 0.003 * noise[1]
            said.append(Utterance(f"s{n}-0-{k}", f"s{n}", "0", samples=wave.astype(np.float32)))
    return said


@pytest.fixture
def frames(tmp_path):
    said = humming()
    return label_speakers(pack(said, tmp_path), said, ("s0", "s1", "s2"))


class Listener(RawWaveformCNN):
    """Names the band that is nearest to where a window has most power."""

    def __init__(self):
        super().__init__(Architecture((Conv(2, 30, 10),), 4, 1000), 3)

    def forward(self, x):
        peak = torch.fft.rfft(x).abs().argmax(-1) * RATE / x.shape[-1]
        return -(peak[:, None] - torch.tensor([500.0, 1200.0, 1900.0])).abs() / 100


class TestIdentify:
    def test_it_is_what_the_networks_own_scores_say(self, frames):
        net = build(Architecture((Conv(8, 30, 10),), 8, 1000), 3, seed=1).eval()
        found = study.identify(net, frames, ("s0", "s1", "s2"))
        every = frames.take(np.arange(0, len(frames), 5))
        posteriors = score.log_posteriors(net, every, "window")
        assert found["right"].mean() == score.utterance_accuracy(every, posteriors).value
        first = posteriors[every.utterances == 0].mean(axis=0)
        assert found["margin"][0] == pytest.approx(first[0] - first[1:].max(), abs=1e-4)

    def test_changes_are_heard(self, frames):
        net, classes = Listener(), ("s0", "s1", "s2")
        assert study.identify(net, frames, classes)["right"].all()
        n = np.arange(2 * RATE)
        higher = study.identify(
            net, frames, classes, lambda wave: wave * 2 * np.cos(2 * np.pi * 700 * n / RATE)
        )
        assert not higher["right"].all()
        with pytest.raises(ParameterError, match=r"makes \(3,\) samples of \(32000,\): keep"):
            study.identify(net, frames, classes, lambda wave: wave[:3])

    def test_it_answers_as_the_scores_of_the_card_count(self, frames):
        """By two routes: the posteriors of packed frames, and windows cut from the recording."""
        classes = ("s0", "s1", "s2")
        net = build(Architecture((Conv(8, 30, 10),), 8, 1000), 3, seed=0)
        data = Data(classes, frames, frames, {sets.WITHIN: frames})
        scored = score.score_utterances(net, data)[sets.WITHIN]
        found = study.identify(net, frames, classes)
        assert scored["utterance_accuracy"]["value"] == found["right"].mean()
        lengths = frames.audio.lengths
        assert scored["frames"] == sum(len(range(80, n, 800)) for n in lengths)

    def test_one_spectrum_for_all_takes_away_what_never_changes(self, frames):
        """These speakers are told by nothing but their long-term spectrum."""
        changes = study.changes([frames])
        assert list(changes) == ["as recorded", "one spectrum", "telephone"]
        classes = ("s0", "s1", "s2")
        right = {
            how: study.identify(Listener(), frames, classes, change)["right"].mean()
            for how, change in changes.items()
        }
        assert right["as recorded"] == right["telephone"] == 1.0 and right["one spectrum"] < 0.7


class TestVoices:
    def test_each_network_is_asked_of_each_test_through_each_change(self, frames):
        first, rest = (frames.take(np.isin(frames.utterances, some)) for some in ([0, 2, 4], [1]))
        classes = ("x:s0", "x:s1", "y:s2")
        data = Data(
            classes,
            frames,
            frames,
            {sets.WITHIN: first, "within session, x": first, sets.ACROSS: rest},
            sexes=dict.fromkeys(classes, "F"),
        )
        answers = study.voices({"ear": Listener()}, data)
        assert len(answers) == 3 * (3 + 1)  # no utterance is asked of twice
        table = study.summary(answers, data).set_index(["test", "recordings"])
        assert list(dict.fromkeys(table.index.get_level_values(0))) == [
            "within session",
            "within session, x",
            "within session, y",
            "across sessions",
        ]
        whole = table.loc["within session", "as recorded"]
        assert whole["right"].value == 1.0 and whole["utterances"] == 3 and whole["mistakes"] == 0
        assert table.loc[("within session, x", "telephone"), "utterances"] == 2
        mixed = table.loc[("within session", "one spectrum")]
        asked = answers[(answers["test"] == "within session")]
        asked = asked[asked["recordings"] == "one spectrum"]
        assert mixed["mistakes"] == (~asked["right"]).sum() > 0
        assert mixed["within the sex"].value == 1.0
        wrong = asked[~asked["right"]]
        same = wrong["speaker"].str[0] == wrong["named"].str[0]
        assert mixed["within the corpus"].value == same.mean()

    def test_other_speakers_are_refused(self, frames):
        data = Data(("s0", "s1", "s2"), frames, frames, {sets.WITHIN: frames})
        net = Listener()
        net.metadata = Metadata("speakers", ("a", "b"))
        with pytest.raises(ParameterError, match="ear knows 2 other classes than the 3 speakers"):
            study.voices({"ear": net}, data)


def test_a_flat_table_has_numbers_alone():
    interval = statistics.wilson(0.5, 8)
    table = pd.DataFrame({"network": ["a", "a"], "within the sex": [interval, None]})
    found = study.flat(table)
    assert list(found) == ["network", *(f"within the sex{end}" for end in ("", "_low", "_high"))]
    assert found.iloc[0, 1:].tolist() == [interval.value, interval.low, interval.high]
    assert found.iloc[1, 1:].isna().all()


class TestMistakes:
    groups: ClassVar = {"a": "F", "b": "F", "c": "M", "d": "M"}

    def test_by_hand(self):
        rows = [("a", "b"), ("a", "c"), ("c", "d"), ("d", "c"), ("b", "b")]
        found = pd.DataFrame(rows, columns=["speaker", "named"])
        found["right"] = found["speaker"] == found["named"]
        (row,) = study.mistakes(found, self.groups).to_dict("records")
        assert row["mistakes"] == 4 and row["within"].value == 0.75
        assert row["chance"] == pytest.approx(1 / 3)

    def test_without_mistakes_nothing_is_known(self):
        found = pd.DataFrame({"speaker": ["a"], "named": ["a"], "right": [True]})
        (row,) = study.mistakes(found, self.groups).to_dict("records")
        assert row["mistakes"] == 0 and row["within"] is None and np.isnan(row["chance"])


class TestTheBooksTable:
    def test_it_says_of_recordings_what_the_cards_say(self):
        table = study.kept().set_index(["network", "test", "recordings"])
        trained = [*pretrained.SEEDS["speakers"], *pretrained.SEEDS["speakers-shuffled"]]
        assert list(dict.fromkeys(table.index.get_level_values(0))) == [*trained, "untrained"]
        for name in trained:
            scores = pretrained.load(name).metadata.scores
            for test in ("within session", "within session, speechocean762", "across sessions"):
                row, said = table.loc[(name, test, "as recorded")], scores[test]
                accuracy = said["utterance_accuracy"]
                # the one reads 16 bits, the other floats: an utterance may be on the edge
                assert row["utterances"] == accuracy["trials"]
                assert row["right"] == pytest.approx(accuracy["value"], abs=1.1 / row["utterances"])

    @pytest.mark.slow
    @pytest.mark.realdata
    def test_it_is_what_the_recordings_give(self, tmp_path):
        if corpora.load("speechocean762").source.origin == "synthetic":
            pytest.skip("speechocean762 is not here: set RELVIZ_DATA or `relviz data fetch` it")
        net = pretrained.load("speakers-0")
        data = sets.speakers_of(net.metadata.about, cache=tmp_path)
        table = study.kept().set_index(["network", "test", "recordings"])
        for how, change in study.changes(data.tests[t] for t in (sets.WITHIN, sets.ACROSS)).items():
            found = study.identify(net, data.tests[sets.ACROSS], data.classes, change)
            kept = table.loc[("speakers-0", sets.ACROSS, how)]
            assert kept["utterances"] == len(found)
            assert found["right"].sum() == pytest.approx(kept["right"] * len(found), abs=1.1)
