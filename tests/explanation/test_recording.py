"""One recording explained: every number by a route of its own."""

import numpy as np
import pytest
import soundfile
import torch

import relviz
from relviz import acoustics, audio, controls, corpora
from relviz._errors import ParameterError
from relviz.audio import AudioError
from relviz.explanation import asked, explain, recording
from relviz.signals import standardise


@pytest.fixture(scope="module")
def wave():
    parts = [corpora.vowel(f0, (500, 1500, 2500), duration=0.5) for f0 in (120, 140)]
    return np.concatenate(parts).astype(np.float32)


@pytest.fixture(scope="module")
def found(wave):
    return explain(wave, "phones", sample_rate=16000)


@pytest.mark.slow
def test_relatives_of_the_signal_are_what_relviz_says(found, wave):
    net = relviz.load("phones")
    assert np.array_equal(found.signals["relevance"], relviz.relevance_signal(net, wave))
    gradient = relviz.relevance_signal(net, wave, method="gradient")
    assert np.array_equal(found.signals["plain gradient"], gradient)
    other = relviz.relevance_signal(controls.untrained(net), wave)
    assert np.array_equal(found.signals["untrained network"], other)


@pytest.mark.slow
def test_posteriors_are_those_of_windows_around_each_time(found, wave):
    net = relviz.load("phones")
    for i in (0, 40, len(found.times) - 1):
        start = round(found.times[i] * 16000) - 2000
        window = standardise(torch.from_numpy(audio.frame(wave, 4000, [start])))
        with torch.no_grad():
            right = net(window).double().softmax(-1)[0].numpy()
        assert np.allclose(found.posteriors[i], right, atol=1e-6)
        assert found.frames["class"][i] == net.metadata.classes[right.argmax()]
    assert np.allclose(np.diff(found.times), 0.01)


@pytest.mark.slow
def test_confidence_is_none_where_all_classes_are_equal_and_all_where_one_is_sure(wave):
    def flat(x):
        return torch.zeros(len(x), 4) + 0 * x.sum(-1, keepdim=True)

    def sure(x):
        return torch.tensor([1e3, 0, 0, 0]) + 0 * x.sum(-1, keepdim=True)

    for net, right in ((flat, 0.0), (sure, 1.0)):
        said = explain(wave, asked(net, window=400), method="gradient", effects=False)
        assert np.allclose(said.frames["confidence"], right)


def test_f0_and_formants_are_those_of_the_analysis(found, wave):
    frames = found.frames
    times, f0 = acoustics.f0_contour(wave, 16000)
    middle = frames[(frames["time"] > 0.1) & (frames["time"] < 0.4)]
    right = np.interp(middle["time"], times, f0)
    assert np.allclose(middle["f0 recording"], right, rtol=0.02)
    assert np.allclose(middle["f0 recording"], 120, rtol=0.03)
    assert abs(middle["f1 recording"].median() - 500) < 60


def test_agreement_counts_voiced_frames(found):
    frames = found.frames[found.frames["f0 recording"].notna()]
    near = abs(np.log2(frames["f0 relevance"] / frames["f0 recording"])) <= 1 / 12
    assert found.agreement.loc["relevance", "f0"] == pytest.approx(near.mean())
    assert list(found.agreement.index) == ["relevance", "plain gradient", "untrained network"]


def test_effects_have_their_controls(found):
    of_net = found.effects[found.effects["network"] == "phones"].set_index("cue")["nats"]
    assert {"F0", "F1", "F2", "F3", "tilt", "level"} <= set(of_net.index)
    assert abs(of_net["level"]) < 1e-6  # windows are normalised
    assert of_net["F1"] > of_net["resynthesis, nothing changed"]
    assert set(found.effects["network"]) == {"phones", "untrained network"}


def test_decisions_are_the_runs_of_one_class(found):
    runs = found.decisions()
    assert np.allclose(runs["start"][1:], runs["end"][:-1])
    assert (runs["class"].iloc[1:].to_numpy() != runs["class"].iloc[:-1].to_numpy()).all()
    assert runs["end"].iloc[-1] == pytest.approx(found.times[-1] + 0.005)


@pytest.mark.slow
def test_samples_of_another_rate_are_brought_to_the_networks(wave):
    wide = audio.resample(wave, 16000, 44100)
    said = explain(wide, "phones", sample_rate=44100, effects=False)
    assert abs(len(said.wave) - len(wave)) <= 1
    assert np.corrcoef(said.wave[: len(wave)], wave[: len(said.wave)])[0, 1] > 0.99


@pytest.mark.slow
def test_a_network_of_8_khz_and_frames(wave):
    class Frames(torch.nn.Module):
        sample_rate, window = 8000, 1600

        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(1, 3, 80, 40)

        def forward(self, x):
            return torch.relu(self.conv(x[:, None])).transpose(1, 2)

    said = explain(wave, Frames(), sample_rate=16000)
    assert said.sample_rate == 8000
    assert abs(len(said.wave) - len(wave) // 2) <= 1
    assert said.posteriors.shape[1] == 3
    of_net = said.effects[said.effects["network"] == "Frames"].set_index("cue")
    assert of_net.loc["F1", "nats"] > 0
    assert not any("5000 Hz" in cue for cue in of_net.index)  # nothing to hear there
    quiet = explain(wave, Frames(), sample_rate=16000, effects=False)
    assert "Cues were not changed" in quiet.html()


class Word(torch.nn.Module):
    """Two seconds at 8 kHz, which no word fills; and a taper that nobody draws anew."""

    sample_rate, window = 8000, 16000

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv1d(1, 3, 80, 40)
        self.register_buffer("taper", torch.hann_window(16000))

    def forward(self, x):
        return torch.relu(self.conv((x * self.taper)[:, None])).mean(-1)


@pytest.mark.slow
def test_a_word_that_is_shorter_than_the_window_is_padded_if_asked_for(wave):
    with pytest.raises(AudioError, match=r"fewer than the 16000 that Word hears: .* \(--pad\)"):
        explain(wave, Word(), sample_rate=16000)
    net = Word().eval()
    said = explain(wave, net, sample_rate=16000, pad=True)
    heard = audio.resample(wave, 16000, 8000)
    padded = np.pad(heard, 16000)
    span = (16000, 16000 + len(heard) - 1)
    right = relviz.relevance_signal(net, padded, centres=span)[16000 : 16000 + len(heard)]
    np.testing.assert_allclose(said.signals["relevance"], right, atol=1e-6)
    copied = controls.permuted(net)
    right = relviz.relevance_signal(copied, padded, centres=span)[16000 : 16000 + len(heard)]
    np.testing.assert_allclose(said.signals["permuted network"], right, atol=1e-6)
    assert set(said.effects["network"]) == {"Word", "permuted network"}
    page = said.html()
    assert "Permuted network: other class" in page and "have changed places" in page


def test_how_long_a_recording_takes_is_told(monkeypatch):
    asked_for = []

    def forecast(net, windows, *, method, window):
        asked_for.append((windows, method))
        return 1.0

    monkeypatch.setattr(recording, "forecast", forecast)
    about = asked("phones")
    seconds = recording.forecast_of(about, 2.0, "guided", 100, effects=False)
    assert asked_for == [(320, "guided"), (320, "gradient"), (200, None)]
    assert seconds == 4.0  # the network and a copy, its gradient, and its decisions
    asked_for.clear()
    recording.forecast_of(about, 2.0, "gradient", 100, effects=True, controls=False)
    assert asked_for == [(320, "gradient"), (200 + 6 * 2 * 20, None)]


@pytest.mark.slow
def test_a_network_of_frames_is_asked_for_its_middle_one(wave):
    class Frames(torch.nn.Module):
        sample_rate, window = 16000, 1600

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.conv = torch.nn.Conv1d(1, 3, 80, 40)

        def forward(self, x):
            return torch.relu(self.conv(x[:, None])).transpose(1, 2)

    net = Frames()
    said = explain(wave, net)
    middle = explain(wave, asked(lambda x: net(x)[:, 19], window=1600), method="gradient")
    assert np.array_equal(said.posteriors, middle.posteriors)
    one, other = (
        each.effects[each.effects["network"] != "untrained network"].set_index("cue")["nats"]
        for each in (said, middle)
    )
    assert np.allclose(one, other)
    assert one["F1"] > 0


def test_refusals(tmp_path, wave):
    long = np.tile(wave, 70)
    with pytest.raises(ParameterError, match="lasts 70 s, and a report holds 60: choose a"):
        explain(long, "phones", sample_rate=16000)
    with pytest.raises(ParameterError, match=r"lasts 1\.0 s: a stretch of it cannot start at 3 s"):
        explain(wave, "phones", sample_rate=16000, start=3)
    with pytest.raises(AudioError, match="fewer than the 4000"):
        explain(wave, "phones", sample_rate=16000, seconds=0.1)
    four = asked(lambda x: x[:, None, None, :4], window=400)
    with pytest.raises(ParameterError, match="wrap it, so that it returns scores"):
        explain(wave, four, method="gradient", effects=False)
    with pytest.raises(ParameterError, match="give target a function"):
        explain(wave, asked(lambda x: x.sum(), window=400), method="gradient", effects=False)
    (tmp_path / "bad.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"bad\.wav"):
        explain(tmp_path / "bad.wav")


def test_a_stretch_is_that_of_the_file(tmp_path, wave):
    soundfile.write(tmp_path / "two.wav", wave, 16000, "FLOAT")
    said = explain(tmp_path / "two.wav", effects=False, start=0.25, seconds=0.5)
    assert np.array_equal(said.wave, wave[4000:12000])
    assert said.name == "two.wav"
    assert len(said.checksum) == 64
