"""relviz.studies.phones: by hand, against the scores of `training`, and on synthetic speech."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn.metrics import confusion_matrix

from relviz import acoustics, networks, pretrained
from relviz.audio import SAMPLE_RATE
from relviz.corpora import PHONES, Source, Span, Utterance, spoken, vowel
from relviz.corpora import alignment as aligner
from relviz.studies import phones as study
from relviz.training import data as training
from relviz.training import score

SMALL = networks.Architecture((networks.Conv(4, 30, 10), networks.Conv(4, 7, 1)), 8, window=4000)


@pytest.fixture
def net():
    return networks.build(SMALL, len(PHONES), seed=3)


@pytest.fixture
def nowhere(monkeypatch, tmp_path) -> Path:
    """A machine without recordings."""
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def speech():
    """One utterance of 0.3 s: AA to 0.1 s, T to 0.2 s, then silence."""
    wave = vowel(120, (700, 1200), duration=0.3)
    spans = (Span(0.0, 0.1, "AA"), Span(0.1, 0.2, "T"), Span(0.2, 0.3, "SIL"))
    one = Utterance("a-0-0", "a", "0", samples=wave, spoken=spans)
    return study.Speech((one,), {one.name: spans}, Source("synthetic"))


def test_groups_hold_every_phone_once():
    held = [phone for group in study.GROUPS.values() for phone in group]
    assert sorted(held) == sorted(PHONES)
    assert study.group_of()["NG"] == "nasals" and study.group_of()["SIL"] == "silence"


def test_voices_are_the_synthesisers():
    from relviz.corpora import voices

    assert set(study.VOICES) <= set(voices())


def test_without_recordings_synthetic_voices_stand_in(nowhere):
    speech = study.unheard(["163", "2136"], seconds=4)
    assert speech.source.origin == "synthetic"
    assert {each.speaker for each in speech.utterances} == set(study.VOICES[:2])
    for each in speech.utterances:
        assert speech.alignments[each.name] == each.spoken
    # the shortest first, and no more of them than are needed
    everything = spoken(["Male1"])
    lengths = sorted(len(each.wave()) / SAMPLE_RATE for each in everything)
    mine = [len(e.wave()) / SAMPLE_RATE for e in speech.utterances if e.speaker == "Male1"]
    assert mine == lengths[: len(mine)] and sum(mine) >= 4 > sum(mine[:-1])


def tree(folder: Path) -> Path:
    """LibriSpeech with three utterances of speaker 19, the shortest one not in the dictionary."""
    chapter = folder / "LibriSpeech" / "train-clean-5" / "19" / "198"
    chapter.mkdir(parents=True)
    texts = ("QWZYX", "HELLO", "HELLO")
    for number, text in enumerate(texts):
        wave = vowel(100, (500, 1500), duration=0.3 + 0.1 * number)
        soundfile.write(chapter / f"19-198-000{number}.flac", wave, SAMPLE_RATE)
        with (chapter / "19-198.trans.txt").open("a") as file:
            file.write(f"19-198-000{number} {text}\n")
    return folder


def test_recordings_are_aligned_shortest_first(nowhere, monkeypatch):
    pytest.importorskip("pocketsphinx")
    monkeypatch.setattr(aligner, "_align", lambda wave, words: (Span(0.0, 0.1, "AA"),))
    root = str(tree(nowhere))
    speech = study.unheard(["19"], seconds=0.35, root=root)
    assert [each.name for each in speech.utterances] == ["19-198-0001"]
    assert speech.alignments == {"19-198-0001": (Span(0.0, 0.1, "AA"),)}
    assert speech.source.origin == "given"
    both = study.unheard(["19"], seconds=60, root=root)
    assert [each.name for each in both.utterances] == ["19-198-0001", "19-198-0002"]


def test_synthetic_where_speakers_or_aligner_are_missing(nowhere, monkeypatch):
    root = str(tree(nowhere))
    assert study.unheard(["20"], seconds=1, root=root).source.origin == "synthetic"
    aligner._dictionary.cache_clear()
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert study.unheard(["19"], seconds=1, root=root).source.origin == "synthetic"


@pytest.mark.parametrize(("speakers", "seconds"), [([], 1), (["19"], 0)])
def test_nothing_to_gather_is_refused(speakers, seconds):
    with pytest.raises(ValueError, match="give some speakers and some time"):
        study.unheard(speakers, seconds)


@pytest.mark.parametrize("normalise", ["window", "utterance", "none"])
def test_posteriors_are_those_that_training_scores(net, tmp_path, normalise):
    wave = (0.3 * np.random.default_rng(0).standard_normal(9000)).astype(np.float32)
    wave = np.round(np.clip(wave, -1, 0.99) * 32768).astype(np.float32) / 32768  # as 16 bits keep
    one = Utterance("a-0-0", "a", "0", samples=wave)
    packed = training.pack([one], tmp_path)
    frames = training.label_phones(packed, [one.name], {one.name: (Span(0.0, 9.0, "AA"),)})
    expected = np.exp(score.log_posteriors(net, frames, normalise))
    times, found = study.posteriors(net, wave, normalise=normalise, batch_size=7)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_allclose(times, (frames.centres - packed.starts[0]) / SAMPLE_RATE)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_posteriors_follow_the_metadata(speech):
    metadata = pretrained.Metadata("phones", PHONES, normalise="utterance")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = pretrained.TrainedCNN(SMALL, metadata).eval()
    wave = speech.utterances[0].wave()
    _, found = study.posteriors(net, wave)
    np.testing.assert_array_equal(found, study.posteriors(net, wave, normalise="utterance")[1])
    assert not np.allclose(found, study.posteriors(net, wave, normalise="window")[1])


@pytest.mark.parametrize("bad", [{"hop_length": 0}, {"batch_size": 0}])
def test_steps_below_one_are_refused(net, bad):
    with pytest.raises(ValueError, match="give 1 "):
        study.posteriors(net, np.random.default_rng(0).standard_normal(8000), **bad)


def test_classify_names_every_frame(net, speech):
    table = study.classify(net, speech)
    times, probabilities = study.posteriors(net, speech.utterances[0].wave())
    assert len(table) == 30
    np.testing.assert_allclose(table["time"], times)
    assert [*table["phone"]] == ["AA"] * 10 + ["T"] * 10 + ["SIL"] * 10
    assert [*table["found"]] == [PHONES[k] for k in probabilities.argmax(axis=1)]
    np.testing.assert_allclose(table["probability"], probabilities.max(axis=1))
    assert table["edge"].iloc[[0, 9, 14]].round(4).tolist() == [0.005, 0.005, 0.045]
    assert set(table["speaker"]) == {"a"} and set(table["utterance"]) == {"a-0-0"}


def frames(pairs):
    return pd.DataFrame(pairs, columns=["phone", "found"])


def test_confusion_by_hand():
    table = study.confusion(frames([("AA", "AE"), ("IY", "M"), ("M", "M"), ("T", "SIL")]))
    assert [*table.index] == [*table.columns] == [*study.GROUPS]
    assert table.loc["vowels", "vowels"] == table.loc["vowels", "nasals"] == 0.5
    assert table.loc["nasals", "nasals"] == table.loc["stops", "silence"] == 1.0
    assert table.loc["silence"].isna().all()  # nobody was silent


def test_confusion_equals_scikit_learn():
    rng = np.random.default_rng(0)
    pairs = rng.choice(PHONES, size=(5000, 2))
    found = study.confusion(frames(pairs), {phone: (phone,) for phone in PHONES})
    expected = confusion_matrix(pairs[:, 0], pairs[:, 1], labels=PHONES, normalize="true")
    np.testing.assert_allclose(found, expected)


def test_confusion_refuses_strangers():
    with pytest.raises(ValueError, match="XX is in no group: add it to groups"):
        study.confusion(frames([("XX", "AA")]))


def test_most_frequent_mistakes():
    table = frames([("AA", "AO")] * 3 + [("S", "Z"), ("AA", "AA")])
    worst = study.confusions(table)
    assert worst.to_dict("list") == {
        "phone": ["AA", "S"],
        "found": ["AO", "Z"],
        "frames": [3, 1],
        "share": [0.75, 0.25],
    }
    assert len(study.confusions(table, 1)) == 1
    assert study.confusions(frames([("S", "S")])).empty


def trained(seed, accuracy, error):
    test = {
        name: {"value": value, "low": value - 0.1, "high": value + 0.1, "trials": 7}
        for name, value in (("frame_accuracy", accuracy), ("phone_error_rate", error))
    }
    log = {"step": [1.0], "loss": [3.0], "train_accuracy": [0.1], "valid_accuracy": [0.2]}
    metadata = pretrained.Metadata(
        "phones",
        PHONES,
        recipe={"seed": seed},
        scores={"held-out speakers": test, "training": {"log": log}},
    )
    return pretrained.TrainedCNN(SMALL, metadata)


def test_scores_and_history_come_from_the_metadata():
    table = study.scores([trained(0, 0.6, 0.5), trained(1, 0.7, 0.4)])
    assert table["seed"].tolist() == [0, 1]
    assert table["accuracy"].tolist() == [0.6, 0.7] and table["error"].tolist() == [0.5, 0.4]
    np.testing.assert_allclose(table["error_low"], [0.4, 0.3])
    np.testing.assert_allclose(table["accuracy_high"], [0.7, 0.8])
    assert table["utterances"].tolist() == [7, 7]
    history = study.history(trained(0, 0.6, 0.5))
    assert history.to_dict("list")["valid_accuracy"] == [0.2]


@pytest.mark.parametrize(
    "found", [{}, {"held-out speakers": {}}, {"held-out speakers": {"frame_accuracy": 3}}]
)
def test_a_network_that_says_nothing_of_its_scores(found):
    net = pretrained.TrainedCNN(SMALL, pretrained.Metadata("phones", PHONES, scores=found))
    with pytest.raises(ValueError, match="holds no frame accuracy of the test 'held-out speakers'"):
        study.scores([net])
    with pytest.raises(ValueError, match="the network's file holds no log of its training"):
        study.history(net)


def test_contours_are_praats():
    wave = vowel(140, (600, 1200), duration=0.5)
    table = study.contours({"recording": wave, "noise": np.zeros(len(wave))}, step=0.02)
    times, f0 = acoustics.f0_contour(wave, SAMPLE_RATE, step=0.02)
    np.testing.assert_array_equal(table.index, times)
    np.testing.assert_array_equal(table["recording"], f0)
    assert table["noise"].isna().all()


@pytest.mark.parametrize("signals", [{}, {"a": np.ones(9), "b": np.ones(8)}])
def test_contours_need_one_length(signals):
    with pytest.raises(ValueError, match="all of the same length"):
        study.contours(signals)


def test_agreement_by_hand():
    nan, semitone = np.nan, 2 ** (1 / 12)
    table = pd.DataFrame(
        {
            "recording": [100.0, 100, 100, 100, nan, nan],
            "a": [100.0, 100 * semitone * 0.999, 100 * semitone * 1.001, nan, 100, nan],
            "b": [200.0, 100 / semitone * 1.001, nan, nan, nan, nan],
        }
    )
    found = study.agreement(table)
    assert found["found"].to_dict() == {"a": 0.5, "b": 0.25}
    assert found["extra"].to_dict() == {"a": 0.5, "b": 0.0}
    assert study.agreement(table, semitones=12)["found"].to_dict() == {"a": 0.75, "b": 0.5}
    assert study.agreement(table.iloc[:4])["extra"].isna().all()


def test_short_term_is_that_of_acoustics():
    wave = vowel(110, (700, 1200, 2500), duration=0.4)
    frequencies, spectrum, envelope = study.short_term(wave, 0.2)
    expected = acoustics.short_term_spectrum(wave, SAMPLE_RATE, 0.2)
    np.testing.assert_allclose(frequencies, expected[0])
    np.testing.assert_allclose(spectrum, expected[1])
    assert len(envelope) == len(spectrum) == 513
    low = frequencies < 1700
    peaks = frequencies[low][1:-1][np.diff(np.sign(np.diff(envelope[low]))) < 0]
    np.testing.assert_allclose(peaks, [700, 1200], atol=60)
    assert np.isnan(study.short_term(np.zeros(4000), 0.1)[2]).all()


def test_voices_from_low_to_high(nowhere):
    low, middle, high = study.voices([], count=3, seconds=1.5).values()
    medians = [acoustics.median_f0(wave, SAMPLE_RATE) for wave in (low, middle, high)]
    assert medians == sorted(medians)
    assert {len(low), len(middle), len(high)} == {24000}
    everyone = study.voices([], count=99, seconds=1.5)
    assert set(everyone) == set(study.VOICES)
    np.testing.assert_array_equal(next(iter(everyone.values())), low)
    np.testing.assert_array_equal([*everyone.values()][-1], high)


def test_voices_of_recordings_need_no_transcript(nowhere):
    for speaker, f0, duration in (
        ("1", 110, 0.6),
        ("2", 220, 0.6),
        ("2", 330, 0.5),
        ("3", 90, 0.3),
    ):
        folder = nowhere / "LibriSpeech" / "test-other" / speaker / "5"
        folder.mkdir(parents=True, exist_ok=True)
        wave = vowel(f0, (500, 1500), duration=duration)
        soundfile.write(folder / f"{speaker}-5-{f0:04d}.flac", wave, SAMPLE_RATE)
    found = study.voices([], seconds=0.45, root=str(nowhere))
    assert [*found] == ["1", "2"]  # 3 is too short
    assert acoustics.median_f0(found["2"], SAMPLE_RATE) == pytest.approx(330, rel=0.02)
    assert {len(wave) for wave in found.values()} == {7200}
    assert [*study.voices(["1"], seconds=0.45, root=str(nowhere))] == ["2"]


def test_harmonic_contrast_of_a_comb_noise_and_a_tilt():
    t = np.arange(8000) / SAMPLE_RATE
    comb = sum(np.cos(2 * np.pi * 200 * k * t) for k in range(1, 11))
    assert study.harmonic_contrast(comb, 0.25, 200) > 30
    # the same lines are halfway between the harmonics of another voice
    between = sum(np.cos(2 * np.pi * 200 * (k - 0.5) * t) for k in range(1, 12))
    assert study.harmonic_contrast(between, 0.25, 200) < -30
    rng = np.random.default_rng(0)
    noise = [study.harmonic_contrast(rng.standard_normal(8000), 0.25, 120) for _ in range(100)]
    assert abs(np.mean(noise)) < 4 * np.std(noise) / 10
    assert np.isnan(study.harmonic_contrast(np.zeros(8000), 0.25, 200))


def test_harmonic_contrast_by_a_padded_fft():
    """k f0 and the halves fall on bins of a DFT of 16000 points: 1 Hz each."""
    wave = vowel(120, (700, 1200), duration=0.4)
    frame = wave[3200 - 400 : 3200 + 400] * np.hamming(801)[:-1]
    level = 20 * np.log10(np.abs(np.fft.rfft(frame, 16000)))
    expected = [
        level[120 * k] - (level[120 * k - 60] + level[120 * k + 60]) / 2 for k in range(1, 17)
    ]
    assert study.harmonic_contrast(wave, 0.2, 120) == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("f0", [0.0, 2001.0, np.nan])
def test_harmonic_contrast_needs_a_harmonic(f0):
    with pytest.raises(ValueError, match="give one above 0 and at most 2000 Hz"):
        study.harmonic_contrast(np.ones(8000), 0.25, f0)
