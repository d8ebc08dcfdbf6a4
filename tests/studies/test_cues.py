"""relviz.studies.cues: the decision moves with the cue that a network uses, and with no other."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.special
import soxr
import torch

from relviz import acoustics, corpora, pretrained, statistics
from relviz._errors import ParameterError
from relviz.studies import cues, phones


@pytest.fixture(scope="module")
def recordings():
    tokens = corpora.vowel_corpus(["ah", "eh", "iy"], men=2, women=2)
    return cues.of_vowels(tokens)


def change(text):
    return next(c for c in (*cues.CHANGES, *cues.CONTROLS) if str(c) == text)


class ByBand(torch.nn.Module):
    """A network with a known answer: two classes, by the energy of a band."""

    def __init__(self, low, high, sample_rate=16000, window=4000):
        super().__init__()
        self.sample_rate, self.window = sample_rate, window
        hertz = torch.fft.rfftfreq(window, 1 / sample_rate)
        self.register_buffer("inside", ((hertz >= low) & (hertz < high)).float())

    def forward(self, x):
        power = torch.fft.rfft(x).abs() ** 2
        level = 5 * torch.log10((power * self.inside).sum(-1))
        return torch.stack([level, torch.full_like(level, 20.0)], dim=-1)


def test_divergence_is_kullback_and_leiblers(recordings):
    """By hand, from scipy."""
    net = ByBand(250, 1000)
    found = cues.effect(net, recordings, change("F1, +15 %"))
    for each in recordings[:3]:
        start = round(each.times[0] * 16000) - 2000
        moved = acoustics.shift_formant(each.wave, 16000, 1.15, 1, ceiling=each.ceiling)
        p, q = (
            net(torch.tensor(_standard(w, start), dtype=torch.float32)[None])[0].softmax(0).numpy()
            for w in (each.wave, moved)
        )
        row = found.query("recording == @each.name and cue == 'F1'").iloc[0]
        assert row["nats"] == pytest.approx(scipy.special.rel_entr(p, q).sum(), rel=1e-3, abs=1e-7)
        assert row["changed"] == float(p.argmax() != q.argmax())


@pytest.mark.parametrize(("rate", "window"), [(8000, 16000), (48000, 24000), (22050, 4410)])
def test_a_network_hears_at_its_own_rate_in_its_own_window(recordings, rate, window):
    """By hand: changed as recorded, resampled, and put between zeros where it is too short."""
    net = ByBand(250, 1000, rate, window)
    found = cues.effect(net, recordings, change("F1, +15 %"))
    for each in recordings[:3]:
        moved = acoustics.shift_formant(each.wave, 16000, 1.15, 1, ceiling=each.ceiling)
        said = []
        for wave in (each.wave, moved):
            heard = soxr.resample(wave.astype(np.float32), 16000, rate).astype(np.float64)
            start = round(each.times[0] * rate) - window // 2
            padded = np.pad(heard, window)[start + window :][:window]
            padded = (padded - padded.mean()) / padded.std()
            said.append(net(torch.tensor(padded, dtype=torch.float32)[None])[0].softmax(0).numpy())
        row = found.query("recording == @each.name and cue == 'F1'").iloc[0]
        right = scipy.special.rel_entr(*said).sum()
        assert row["nats"] == pytest.approx(right, rel=1e-3, abs=1e-6)
    if window == 16000:  # a word has no second
        assert max(len(each.wave) for each in recordings) < 2 * 16000


@pytest.mark.slow
def test_networks_of_several_rates_stand_in_one_table(recordings):
    nets = {"8 kHz": ByBand(250, 1000, 8000, 16000), "16 kHz": ByBand(250, 1000)}
    some = [change("F1, +15 %"), change("noise, 5000 to 7000 Hz")]
    both = cues.effects(nets, recordings, some, jobs=1)
    for name, net in nets.items():
        alone = cues.effects({name: net}, recordings, some, jobs=1)
        assert both[both["network"] == name].reset_index(drop=True).equals(alone)
    above = both[both["cue"] == "noise, 5000 to 7000 Hz"].groupby("network")["nats"].max()
    assert above["8 kHz"] < 1e-6  # nothing that it hears was changed


def test_of_frames_the_middle_one_decides(recordings):
    net = ByBand(250, 1000)

    def frames(x):
        said = net(x)
        return torch.stack([0 * said, said, 2 * said], dim=1)

    one = cues.effect(frames, recordings, change("F1, +15 %"), window=4000)
    assert one.equals(cues.effect(net, recordings, change("F1, +15 %")))


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_change_does_what_it_says_at_any_rate(recordings, rate):
    there = [
        replace(each, wave=soxr.resample(each.wave, 16000, rate), sample_rate=rate)
        for each in recordings
    ]
    for text, name, factor in (
        ("F0, +4 semitones", "f0", 2 ** (4 / 12)),
        ("F1, +15 %", "f1", 1.15),
        ("F2, -15 %", "f2", 1 / 1.15),
        ("F3, +7 %", "f3", 1.07),
    ):
        found = cues.measured(there, change(text))[["f0", "f1", "f2", "f3"]].median()
        for each, value in found.items():
            assert value == pytest.approx(factor if each == name else 1, rel=0.07), (text, each)
    (later,) = cues._changed(there[:1], change("later, +3 ms"))
    assert np.array_equal(later[rate * 3 // 1000 :], there[0].wave[: -rate * 3 // 1000])


def test_how_long_networks_will_take_is_said_before(recordings, monkeypatch, capsys):
    def forecast(net, windows, *, method, window):
        assert (windows, method) == (2 * (1 + 2 * 2), None)
        return 12.0

    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    def told(*args, **kwargs):
        monkeypatch.setattr(net, "forward", stopped)
        return forecast(*args, **kwargs)

    monkeypatch.setattr(cues, "forecast", told)
    some = [change("level, -12 dB"), change("later, +3 ms")]
    net = ByBand(250, 1000)
    with pytest.raises(KeyboardInterrupt):
        cues.effects({"": net}, recordings[:2], some, jobs=1, progress=True)
    assert "changes, about 12 s for the networks" in capsys.readouterr().err


def _standard(wave, start):
    padded = np.pad(np.asarray(wave, dtype=np.float64), 4000)[start + 4000 :][:4000]
    return (padded - padded.mean()) / padded.std()


@pytest.mark.slow
def test_the_band_that_is_used_is_found(recordings):
    for low, high in cues.BANDS[2:4]:
        net = {"": ByBand(1.2 * low, high / 1.2)}  # the skirts of the next band's filter end there
        found = cues.table(
            cues.effects(net, recordings, cues.CHANGES[-6:], normalise="none", jobs=1)
        )
        nats = {row["cue"]: row["nats"].value for _, row in found.iterrows()}
        del nats[cues.OTHER]
        # noise in a band has, in one window, not quite its energy
        assert max(nats, key=nats.get) == f"noise, {low:g} to {high:g} Hz"


def test_a_pure_level_moves_nothing_and_its_noise_does(recordings):
    found = cues.effect(ByBand(250, 1000), recordings, change("level, -12 dB"))
    found = found[found["cue"] == "level"]
    assert found["nats"].abs().max() < 1e-6 and not found["changed"].any()
    assert (found["noise nats"] > found["nats"]).all()


def test_noise_has_the_energy_and_the_magnitudes_of_the_change():
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(2, 1001))
    noise = cues._noise(before, after, 1)
    one, two = (np.abs(np.fft.rfft(each - before))[1:] for each in (after, noise))
    np.testing.assert_allclose(one, two, rtol=1e-9)
    assert abs(np.corrcoef(after - before, noise - before)[0, 1]) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("each", cues.CHANGES[:26], ids=str)
def test_a_change_does_what_it_says_and_little_else(recordings, each):
    """In the median what is named moves as asked, within 8 %, and the rest stays, within 6 %."""
    found = cues.measured(recordings, each)[["f0", "f1", "f2", "f3"]].median()
    wanted = dict.fromkeys(found.index, 1.0)
    factor = 1 + each.size / 100 if each.size > 0 else 1 / (1 - each.size / 100)
    if each.cue == "F0":
        wanted["f0"] = 2 ** (each.size / 12)
    elif each.cue == "all formants":
        wanted.update(f1=factor, f2=factor, f3=factor)
    else:
        wanted[each.cue.lower()] = factor
    for name, value in found.items():
        moved = wanted[name] != 1
        assert value == pytest.approx(wanted[name], rel=0.08 if moved else 0.06), name


def test_intervals_count_talkers(recordings):
    net = ByBand(250, 1000)
    found = cues.effects({"net": net}, recordings, [change("F1, +15 %")], jobs=1)
    row = cues.table(found).iloc[0]
    mine = found[found["cue"] == "F1"].groupby("talker")["nats"].mean()
    other = found[found["cue"] == cues.OTHER].groupby("talker")["nats"].mean()
    assert row["talkers"] == 4 and row["nats"] == statistics.bootstrap(mine.to_numpy())
    assert row["share"].value == pytest.approx(mine.sum() / other.sum())


@pytest.mark.slow
def test_workers_find_the_same(recordings):
    net = ByBand(250, 1000)
    some = [change("F1, +15 %"), change("later, +3 ms")]
    one, two = (cues.effects({"net": net}, recordings[:4], some, jobs=jobs) for jobs in (1, 2))
    assert one.equals(two)


def test_refuses():
    net = ByBand(250, 1000)
    with pytest.raises(ParameterError, match="there are no recordings: give one or more"):
        cues.effect(net, [], cues.CHANGES[0])
    with pytest.raises(ParameterError, match="does not say how many samples it hears"):
        cues.effect(lambda x: x, [cues.Recording("a", "b", np.ones(9), (0,))], cues.CHANGES[0])
    said = [cues.Recording("a", "b", np.arange(9.0), (0,))]
    with pytest.raises(ParameterError, match="the network returns a tuple for 1 windows: wrap it"):
        cues.effect(lambda x: (x, x), said, cues.CONTROLS[2], window=4)
    half = cues.Change("half", 1, "", lambda r: r.wave[:100])
    wave = np.random.default_rng(0).normal(size=8000)
    with pytest.raises(ParameterError) as refused:
        cues.effect(net, [cues.Recording("mine", "me", wave, (0.25,))], half)
    assert str(refused.value) == (
        "half makes mine (100,) samples in the place of (8000,): let the change keep the length."
    )


def test_speech_is_asked_at_its_longest_vowels():
    """Against the alignment, counted out: six vowels, none shorter than one left out."""
    speech = phones.unheard(["nobody"], seconds=4)
    found = cues.of_speech(speech, count=5)
    by_name = {each.name: each for each in speech.utterances}
    assert found and all(len(each.times) == 5 for each in found)
    for recording in found:
        assert list(recording.times) == sorted(recording.times)
        assert np.array_equal(recording.wave, by_name[recording.name].wave())
        spans = [s for s in speech.alignments[recording.name] if s.label in cues._VOWELS]
        middles = {(span.start + span.end) / 2: span.end - span.start for span in spans}
        asked = [middles[time] for time in recording.times]
        assert min(asked) >= max([d for t, d in middles.items() if t not in recording.times] or [0])
    with pytest.raises(ValueError, match=r"^no utterance has 1000 vowels: ask for fewer\.$"):
        cues.of_speech(speech, count=1000)


@pytest.mark.slow
@pytest.mark.realdata
def test_what_is_kept_is_what_is_measured():
    """A slice of the table in the package, taken anew from the talkers that it was taken from."""
    corpus = corpora.vowels()
    if corpus.source.origin == "synthetic":
        pytest.skip("no American English Vowels: set RELVIZ_DATA or run `relviz data fetch aev`")
    tokens = corpus.tokens
    men, women = (sorted({t.talker for t in tokens if t.sex == sex})[:12] for sex in "MF")
    recordings = cues.of_vowels([t for t in tokens if t.talker in {*men, *women}])
    names = ["F0, +4 semitones", "noise, 1000 to 2000 Hz"]
    net = {"phones-1": pretrained.load("phones-1")}
    found = cues.table(cues.effects(net, recordings, [change(name) for name in names], jobs=2))
    kept = cues.kept().query("corpus == 'aev' and network == 'phones-1'").set_index("change")
    for row in found.to_dict("records"):
        assert row["nats"].value == pytest.approx(kept.loc[row["change"], "nats"], rel=0.02)
        assert row["talkers"] == kept.loc[row["change"], "talkers"]


def test_crepe_lives_by_f0_alone():
    """By the kept table: an F0 of one semitone against formants of as much, on vowels."""
    kept = cues.kept().query("corpus == 'aev' and network == 'crepe'").set_index("change")["nats"]
    f0 = kept[["F0, -1 semitones", "F0, +1 semitones"]].mean()
    for formant in ("F1", "F2", "F3"):
        assert f0 > 10 * kept[[f"{formant}, -7 %", f"{formant}, +7 %"]].mean()
