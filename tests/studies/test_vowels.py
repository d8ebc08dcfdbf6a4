"""relviz.studies.vowels: the protocol on made-up estimates, synthetic vowels and recordings."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soxr
import torch
from scipy import stats
from torch import nn

from relviz import acoustics, networks
from relviz.corpora import Source, VowelCorpus, locate, vowel_corpus, vowels
from relviz.corpora.tokens import deviations
from relviz.pretrained import Metadata
from relviz.signals import relevance_signal
from relviz.studies import vowel_signals
from relviz.studies import vowels as study


@pytest.fixture(scope="module")
def synthetic():
    """Two men and two women, five vowels each, with the spread of all synthetic talkers."""
    tokens = vowel_corpus()
    few = tuple(t for t in tokens if t.talker in {"m01", "m02", "w01", "w02"})
    assert len(few) == 20
    return VowelCorpus(few, Source("synthetic"), deviations(tokens))


def made_up(rights, talkers=None):
    """Estimates of F0 that are right or wrong as told, everything else right."""
    frame = pd.DataFrame(
        {
            "signal": "s",
            "replicate": 0,
            "pre_emphasis": 0.97,
            "token": [f"t{i}" for i in range(len(rights))],
            "talker": talkers or [f"m{i}" for i in range(len(rights))],
            "sex": "M",
            "vowel": "ah",
        }
    )
    for measure in study.MEASURES:
        frame[f"{measure}_true"], frame[f"{measure}_sd"], frame[measure] = 100.0, 10.0, 100.0
    frame.loc[[not right for right in rights], "f0"] = 111.0
    return frame


def cell(table, **where):
    rows = table
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_within_one_deviation_of_the_tokens_own_measurement():
    frame = made_up([True] * 6)
    frame["f0"] = [90.0, 110.0, 89.9, 110.1, np.nan, 100.0]  # inclusive; NaN is wrong
    frame.loc[5, "f0_true"] = np.nan  # not measurable by hand: left out
    row = cell(study.score(frame), measure="f0", sex="M", vowel="ah")
    assert (row["n"], row["accuracy"]) == (5, 0.4)


@pytest.mark.slow
def test_means_weigh_vowels_and_sexes_equally():
    a, b, c = made_up([True] * 4), made_up([False]), made_up([True, False])
    b["vowel"], c["sex"] = "iy", "F"
    table = study.score(pd.concat([a, b, c]))
    assert cell(table, measure="f0", sex="M", vowel="mean")["accuracy"] == 0.5
    assert cell(table, measure="f0", sex="both", vowel="mean")["accuracy"] == pytest.approx(0.5)
    assert cell(table, measure="f0", sex="F", vowel="ah")["accuracy"] == 0.5


def test_one_token_a_talker_gives_wilsons_interval():
    rights = [True] * 30 + [False] * 15
    row = cell(study.score(made_up(rights)), measure="f0", sex="M", vowel="ah")
    expected = stats.binomtest(30, 45).proportion_ci(method="wilson")
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.slow
def test_tokens_that_agree_within_talkers_do_not_narrow_the_interval():
    rights = [i % 3 > 0 for i in range(45)]
    once = cell(study.score(made_up(rights)), measure="f0", sex="M", vowel="ah")
    copies = []
    for vowel in ("ah", "eh", "iy", "oa"):
        copies.append(made_up(rights).assign(vowel=vowel))
    same = cell(study.score(pd.concat(copies)), measure="f0", sex="M", vowel="mean")
    assert same["high"] - same["low"] == pytest.approx(once["high"] - once["low"], rel=1e-6)
    rng = np.random.default_rng(0)
    mixed = [
        made_up(list(rng.permutation(rights))).assign(vowel=v) for v in ("ah", "eh", "iy", "oa")
    ]
    free = cell(study.score(pd.concat(mixed)), measure="f0", sex="M", vowel="mean")
    assert free["high"] - free["low"] < 0.7 * (same["high"] - same["low"])


@pytest.mark.slow
def test_intervals_have_one_rule():
    """From all right, one wrong token more at a time: no end jumps, and the lower one falls."""
    talkers = [f"m{i}" for i in range(16)]

    def interval(wrong):
        rights = np.ones((5, 16), bool)
        rights.ravel()[np.random.default_rng(1).permutation(80)[:wrong]] = False
        copies = [made_up(list(row), talkers).assign(vowel=str(v)) for v, row in enumerate(rights)]
        row = cell(study.score(pd.concat(copies)), measure="f0", sex="M", vowel="mean")
        assert row["low"] <= row["accuracy"] <= row["high"]
        return row["low"], row["high"]

    ends = np.array([interval(wrong) for wrong in range(8)])
    assert (np.diff(ends[:, 0]) < 0).all() and (np.diff(ends[:, 1]) <= 0).all()
    assert (np.diff(ends, axis=0) > -0.03).all()
    assert np.diff(ends[0]) < np.diff(ends[1])  # certainty is no wider than almost


def test_certainty_still_has_an_interval():
    row = cell(study.score(made_up([True] * 45)), measure="f0", sex="M", vowel="ah")
    assert row["high"] == 1 and row["low"] == pytest.approx(0.9213, abs=1e-3)


def test_replicates_give_a_range():
    a, b = made_up([True, True]), made_up([True, False]).assign(replicate=1)
    row = cell(study.score(pd.concat([a, b])), measure="f0", sex="both", vowel="mean")
    assert (row["accuracy"], row["lowest"], row["highest"], row["n"]) == (0.75, 0.5, 1.0, 4)


def test_the_papers_table():
    wide = study.layout(study.paper())
    assert list(wide.columns) == ["ah", "eh", "iy", "oa", "uw", "mean"]
    assert wide.loc[("paper (GBP, TIMIT)", "?", "f1", "F")].tolist()[:5] == pytest.approx(
        [90, 92, 93, 91, 93]
    )
    line = study.summary(study.paper()).iloc[0]
    assert line.to_dict() == {"F0": "91.5", "F1": "91.3", "F2": "93.9"}


@pytest.mark.slow
def test_original_synthetic_vowels_score_high(synthetic):
    table = study.table2({"original": study.original}, synthetic, jobs=1)
    means = table[(table["sex"] == "both") & (table["vowel"] == "mean")]
    means = means.set_index(["pre_emphasis", "measure"])["accuracy"]
    assert means[0.97, "f0"] == 1 and means[0.97, "f1"] >= 0.9 and means[0.97, "f2"] >= 0.9
    summary = study.summary(table)
    assert list(summary.index) == [("original", "0.97"), ("original", "none")]
    assert study.layout(table).shape == (12, 6)


def test_settings_reach_the_analysis(synthetic):
    few = replace(synthetic, tokens=synthetic.tokens[:2])
    low = study.Settings(f0_ceiling=80)
    assert study.estimates({"a": study.original}, few, settings=low, jobs=1)["f0"].isna().all()
    wide = study.estimates({"a": study.original}, few, settings=study.Settings(order=6), jobs=1)
    usual = study.estimates({"a": study.original}, few, jobs=1)
    assert not np.allclose(wide["f1"], usual["f1"]) and np.allclose(wide["f0"], usual["f0"])


def wrong_tone(wave, centre):
    """A signal that knows nothing: 700 Hz pulses."""
    return (np.arange(len(wave)) % 23 == 0).astype(float)


def silence(wave, centre):
    return np.zeros(len(wave))


@pytest.mark.slow
def test_signals_that_know_nothing_score_low(synthetic):
    table = study.table2({"pulses": wrong_tone, "nothing": silence}, synthetic, jobs=1)
    means = table[(table["sex"] == "both") & (table["vowel"] == "mean")]
    assert (means[means["signal"] == "nothing"]["accuracy"] == 0).all()
    assert (
        means[(means["signal"] == "pulses") & (means["measure"] == "f0")]["accuracy"] == 0
    ).all()


@pytest.mark.slow
def test_jobs_do_not_change_the_table(synthetic):
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0)
    few = replace(synthetic, tokens=synthetic.tokens[:4])
    rows = {"original": study.original, "untrained": [study.Relevance(net)]}
    alone = study.estimates(rows, few, jobs=1)
    together = study.estimates(rows, few, jobs=2)
    pd.testing.assert_frame_equal(alone, together, rtol=1e-3)
    assert set(alone["signal"]) == {"original", "untrained"} and len(alone) == 2 * 2 * 4


@pytest.mark.slow
def test_an_untrained_network_passes_f0_with_hop_97_and_gbp(synthetic):
    """The control that makes the point: no training, and F0 is right."""
    net = networks.build(networks.PHONE_CNN, classes=40, seed=0)
    rows = {method: study.Relevance(net, method) for method in ("guided", "gradient")}
    table = study.table2(rows, synthetic)
    f0 = table[(table["measure"] == "f0") & (table["sex"] == "both") & (table["vowel"] == "mean")]
    f0 = f0[f0["pre_emphasis"] == 0].set_index("signal")["accuracy"]
    assert f0["guided"] >= 0.9 and f0["gradient"] <= 0.3


def test_relevance_windows_lie_where_they_should(synthetic):
    token = synthetic.tokens[0]
    wave, centre = token.wave(), round(token.steady * 16000)
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0)
    one = study.Relevance(net, hop_length=None)(wave, centre)
    inside = np.flatnonzero(one)
    assert inside.min() >= centre - 2000 and inside.max() < centre + 2000
    many = study.Relevance(net, hop_length=97, reach=0.02)(wave, centre)
    # centres 97 samples apart, one of them the steady state
    exact = relevance_signal(net, wave, 97, centres=(centre - 3 * 97, centre + 320))
    np.testing.assert_array_equal(many, exact)
    inside = np.flatnonzero(many)
    assert centre - 2000 - 320 <= inside.min() < centre - 2000
    assert centre + 2000 <= inside.max() < centre + 2000 + 320


class Heard(nn.Module):
    """A network of its own rate and window: a convolution, batch normalisation, leaky ReLU."""

    def __init__(self, sample_rate, window):
        super().__init__()
        self.sample_rate, self.window = sample_rate, window
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv1d(1, 4, 60, 20), nn.BatchNorm1d(4)
        self.top = nn.Linear(4, 3)
        self.eval()

    def forward(self, x):
        return self.top(nn.functional.leaky_relu(self.norm(self.conv(x[:, None]))).mean(-1))


@pytest.mark.parametrize(("rate", "window"), [(8000, 16000), (48000, 24000)])
def test_a_network_is_asked_at_its_own_rate(synthetic, rate, window):
    """Against one window of a padded word, by hand; and the analysis at that rate."""
    net = Heard(rate, window)
    signal = study.Relevance(net, "gradient", hop_length=None)
    few = replace(synthetic, tokens=synthetic.tokens[:3])
    found = study.estimates({"net": signal}, few, pre_emphases=[0.0], jobs=1)
    for token, (_, row) in zip(few.tokens, found.iterrows(), strict=True):
        wave = soxr.resample(token.wave(), 16000, rate)
        start = round(token.steady * rate) - window // 2
        row_by_hand = np.pad(wave, window)[start + window :][:window].astype(np.float64)
        x = torch.tensor((row_by_hand - row_by_hand.mean()) / row_by_hand.std()).float()
        leaf = x[None].requires_grad_()
        net(leaf).max().backward()
        right = np.pad(leaf.grad[0].numpy(), window)[window - start :][: len(wave)]
        at = round(token.steady * rate)
        made = signal(wave, at)
        assert made.shape == wave.shape
        assert np.corrcoef(made, right)[0, 1] > 0.9999
        f1, f2 = acoustics.formants(made, rate, token.steady, pre_emphasis=0.0, count=2)
        np.testing.assert_allclose([row["f1"], row["f2"]], [f1, f2])
        span = (token.steady - 0.05, token.steady + 0.05)
        np.testing.assert_allclose(row["f0"], acoustics.median_f0(made, rate, span))
    # a word of this corpus is shorter than two seconds
    assert max(len(token.wave()) for token in few.tokens) < 2 * 16000


@pytest.mark.parametrize("rate", [8000, 48000])
def test_vowels_have_their_f0_and_formants_at_any_rate(synthetic, rate):
    class There:
        sample_rate = rate

        def __call__(self, wave, centre):
            return wave

    rows = {"16 kHz": study.original, "there": There()}
    found = study.estimates(rows, synthetic, pre_emphases=[0.97], jobs=1)
    one, other = (found[found["signal"] == name] for name in rows)
    for measure, within in (("f0", 0.01), ("f1", 0.05), ("f2", 0.05)):
        ratio = other[measure].to_numpy() / one[measure].to_numpy()
        assert abs(np.median(ratio) - 1) < within
    for formant in study.FORMANTS:
        both = [each[f"{formant}_contrast"].to_numpy() for each in (one, other)]
        known = np.isfinite(both).all(axis=0)
        assert known.sum() > 5 and np.corrcoef(both[0][known], both[1][known])[0, 1] > 0.95


def test_how_long_a_slow_network_takes_is_said_before(synthetic, monkeypatch, capsys):
    monkeypatch.setattr(study.Relevance, "lasts", lambda self, tokens: 100.0 * tokens)
    few = replace(synthetic, tokens=synthetic.tokens[:2])
    signal = study.Relevance(Heard(8000, 1600), "gradient", hop_length=None)
    study.estimates({"net": signal}, few, pre_emphases=[0.0], jobs=1, progress=True)
    assert "signals x tokens, about 3.3 min" in capsys.readouterr().err


def test_lasting_counts_the_windows(monkeypatch):
    asked = []
    monkeypatch.setattr(vowel_signals, "forecast", lambda net, n, *a, **k: asked.append(n) or 1.0)
    study.Relevance(Heard(8000, 1600), "gradient", hop_length=None).lasts(5)
    study.Relevance(Heard(8000, 1600), "gradient", hop_length=100, reach=0.1).lasts(5)
    assert asked == [5, 85]  # 17 of 8000 * 0.2 / 100, with both ends


def test_relevance_of_a_class_and_as_trained(synthetic):
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0)
    token = synthetic.tokens[0]
    wave, centre = token.wave(), round(token.steady * 16000)
    where = dict(centres=(centre, centre), method="gradient")
    for target in (1, 2):
        found = study.Relevance(net, "gradient", None, target=target)(wave, centre)
        np.testing.assert_array_equal(found, relevance_signal(net, wave, target=target, **where))
    net.metadata = Metadata("phones", ("a", "b", "c", "d"), normalise="none")
    unscaled = relevance_signal(net, wave, normalise="none", **where)
    found = study.Relevance(net, "gradient", None)(wave, centre)
    np.testing.assert_array_equal(found, unscaled)
    found = study.Relevance(net, "gradient", None, normalise="window")(wave, centre)
    assert not np.array_equal(found, unscaled)


def test_contrast_of_tones(synthetic):
    """Two tones, 20 dB apart, at a token's own F2 and at another vowel's of the same talker."""
    elsewhere = study._elsewhere(synthetic.tokens)
    token = next(t for t in synthetic.tokens if t.vowel == "iy")
    others = elsewhere[token.name]["f2"]
    assert len(others) == 4 and token.f2 not in others
    t = np.arange(16000) / 16000
    there = max(others)
    assert abs(there - token.f2) > 500
    signal = np.sin(2 * np.pi * token.f2 * t) + 0.1 * np.sin(2 * np.pi * there * t)
    where = replace(token, steady=0.5)
    found = study._contrasts(signal, where, {"f1": [], "f2": [there]}, study.Settings())
    assert found["f2_contrast"] == pytest.approx(20, abs=0.05) and np.isnan(found["f1_contrast"])
    louder = study._contrasts(7 * signal, where, {"f1": [], "f2": [there]}, study.Settings())
    assert louder["f2_contrast"] == pytest.approx(found["f2_contrast"])
    near = study._contrasts(signal, where, {"f1": [], "f2": [token.f2 + 299]}, study.Settings())
    silent = study._contrasts(0 * signal, where, {"f1": [], "f2": [there]}, study.Settings())
    assert np.isnan([near["f2_contrast"], silent["f2_contrast"]]).all()


@pytest.mark.slow
def test_contrast_of_speech_and_of_noise(synthetic):
    table = study.contrast(
        study.estimates({"original": study.original, "noise": [study.noise] * 2}, synthetic, jobs=1)
    ).set_index(["signal", "formant"])
    assert (table.loc["original", "low"] > 5).all()
    assert (table.loc["noise", "low"] < 0).all() and (table.loc["noise", "high"] > 0).all()
    assert (table.loc["noise", "n"] <= 40).all() and (table.loc["original", "n"] <= 20).all()


def test_a_spectrum_that_never_changes_has_no_contrast(synthetic):
    """Exactly none, however it is shaped: 12 dB an octave, a peak, anything."""
    response = np.random.default_rng(2).standard_normal(400) * np.hanning(400)
    shapes = {"steep": ([1.0], [1.0, -1.98, 0.9801]), "peak": ([1.0], [1.0, -1.7, 0.95])}

    def fixed(shape):
        def signal(wave, centre):
            found = np.zeros(len(wave))
            found[centre - 200 : centre + 200] = response
            return scipy.signal.lfilter(*shape, found)

        return signal

    signals = {name: fixed(shape) for name, shape in shapes.items()}
    # cut where a token ends, a tail would be another spectrum
    frames = study.estimates(signals, synthetic, settings=short_frame(), jobs=1)
    assert frames["f1_pairs"].nunique() > 1  # some vowels are near others, so this is a test
    table = study.contrast(frames)
    assert (table["contrast"].abs() < 1e-6).all() and (table["high"].abs() < 1e-6).all()


def short_frame():
    return study.Settings(contrast_length=0.03)


def test_contrast_by_pairs(synthetic):
    """Written out pair by pair, from spectra of a plain FFT."""
    settings = study.Settings()
    found = study.contrast(study.estimates({"a": study.original}, synthetic, jobs=1))
    for formant, got in zip(study.FORMANTS, found["contrast"], strict=True):
        means = []
        for talker in sorted({t.talker for t in synthetic.tokens}):
            own = [t for t in synthetic.tokens if t.talker == talker]
            spectra = []
            for token in own:
                first = round(token.steady * 16000) - 800
                wave = np.pad(token.wave(), 1600)[first + 1600 :][:1600]
                power = np.abs(np.fft.rfft(wave * scipy.signal.get_window("hann", 1600), 2048)) ** 2
                spectra.append(power)
            places = [getattr(t, formant) for t in own]

            def level(power, place):
                near = np.abs(np.arange(1025) * 16000 / 2048 - place) <= settings.contrast_band
                return 10 * np.log10(power[near].mean())

            pairs = [
                level(a, f) - level(a, g) + level(b, g) - level(b, f)
                for (a, f), (b, g) in combinations(zip(spectra, places, strict=True), 2)
                if abs(f - g) > 2 * settings.contrast_band
            ]
            means.append(np.mean(pairs) / 2)
        assert got == pytest.approx(np.mean(means), abs=1e-6)


def test_contrast_intervals_are_over_talkers():
    frame = made_up([True] * 6, ["a", "a", "b", "b", "c", "c"])
    values = np.array([1.0, 3.0, 4.0, 6.0, np.nan, 2.0])
    frame = frame.assign(f1_contrast=values, f1_pairs=3, f2_contrast=np.nan, f2_pairs=0)
    row = study.contrast(pd.concat([frame, frame.assign(pre_emphasis=0.0)])).iloc[0]
    expected = stats.t.interval(0.95, 2, loc=3.0, scale=stats.sem([2.0, 5.0, 2.0]))
    assert (row["contrast"], row["n"]) == (pytest.approx(3.0), 5)
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_controls_of_ones_own_stand_for_untrained_networks():
    rows = study.standard_signals({"mine": [Heard(8000, 400)]}, seeds=0, methods=["gradient"])
    assert [name for name in rows if "untrained" in name] == []
    assert "mine, gradient, hop 97" in rows


def test_standard_signals():
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0)
    rows = study.standard_signals({"trained": [net]}, seeds=3)
    assert list(rows)[:4] == [
        "original recording",
        "white noise",
        "trained, GBP, hop 97",
        "untrained, GBP, hop 97",
    ]
    assert len(rows) == 2 + 2 * 2 * 2
    assert len(rows["untrained, gradient, one window"]) == 3
    weights = [r.net.filters for r in rows["untrained, GBP, hop 97"]]
    assert not np.array_equal(weights[0], weights[1])
    rows = study.standard_signals(seeds=1, methods=("occlusion",))
    assert rows["untrained, occlusion, one window"][0].method == "occlusion"
    with pytest.raises(ValueError, match="method 'lime' is unknown: use one of guided"):
        study.standard_signals(methods=("lime",))


def test_refusals(synthetic):
    with pytest.raises(ValueError, match="signals is empty"):
        study.estimates({}, synthetic)
    with pytest.raises(ValueError, match="pre_emphases is empty"):
        study.estimates({"a": study.original}, synthetic, pre_emphases=())
    with pytest.raises(ValueError, match="the corpus has no tokens"):
        study.estimates({"a": study.original}, replace(synthetic, tokens=()))
    with pytest.raises(
        ValueError, match=r"turned \(\d+,\) samples of \w+ into \(3,\): it must keep"
    ):
        study.estimates({"short": lambda wave, centre: wave[:3]}, synthetic, jobs=1)


@pytest.mark.realdata
def test_the_original_recordings_reach_the_ceiling():
    """What every relevance row is compared with: F0 >= 99, F1 >= 95, F2 >= 95 percent."""
    if locate("aev") is None:
        pytest.skip("no recordings: set RELVIZ_DATA or run `relviz data fetch aev`")
    corpus = vowels()
    assert len(corpus.tokens) == 465
    table = study.table2({"original": study.original}, corpus, pre_emphases=(0.97,))
    means = table[(table["sex"] == "both") & (table["vowel"] == "mean")]
    means = 100 * means.set_index("measure")["accuracy"]
    assert means["f0"] >= 99 and means["f1"] >= 95 and means["f2"] >= 95
