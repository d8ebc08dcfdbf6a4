"""relviz.studies.league: what a measure says of networks whose answer is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from torch import nn

from relviz import acoustics, controls, relevance
from relviz._errors import ParameterError
from relviz.corpora import cued
from relviz.studies import cues, league


class HearsBand(nn.Module):
    """Two classes, told by the energy of a band and by nothing else: known without training."""

    window = 4000

    def __init__(self, low, high, middle):
        super().__init__()
        self.low, self.high, self.middle = low, high, middle

    def forward(self, x):
        frequencies = torch.fft.rfftfreq(x.shape[-1], 1 / 16000)
        inside = (frequencies >= self.low) & (frequencies < self.high)
        power = torch.fft.rfft(x).abs().square()
        share = torch.relu(
            90 + 10 * torch.log10((power * inside).sum(-1) / (power.sum(-1) + 1e-9) + 1e-9)
        )
        return torch.stack([share - 90 - self.middle, self.middle + 90 - share], -1)


@pytest.fixture(scope="module")
def hears_noise():
    return HearsBand(*cued.NOISE_BAND, middle=-25.0)


def test_vowels_are_new_and_half_of_them_have_the_tone():
    some = league.tokens(200)
    assert 70 < sum(vowel.tone > -100 for vowel in some) < 130
    trained = {vowel.f0 for seed in range(3) for vowel in cued.draw(100, seed)}
    assert not trained & {vowel.f0 for vowel in some}


@pytest.mark.slow
def test_a_network_that_hears_noise_is_found_out(hears_noise):
    found = league.measure({"cues-noise-0": hears_noise}, ["bands", "counterfactual"], jobs=1)
    rows = found.set_index("measure")
    taken = rows.loc["band taken away", ["F0", "F1", "F2", "F3", "noise"]].astype(float)
    assert taken.idxmax() == "noise" and taken["noise"] > 3 * taken.drop("noise").abs().max()
    moved = rows.loc["one cue changed, nats", ["F0", "F1", "F2", "noise"]].astype(float)
    assert moved.idxmax() == "noise"
    named = league.named(found).set_index("measure")["named"]
    assert named["one cue changed, nats"] == 1


def test_a_network_of_another_rate_is_refused(hears_noise):
    other = HearsBand(*cued.NOISE_BAND, middle=-25.0)
    other.sample_rate = 8000
    with pytest.raises(ParameterError, match="the network 'mine-0' hears at 8000 Hz"):
        league.measure({"mine-0": other}, ["bands"], jobs=1)


def test_a_window_that_is_longer_than_the_vowel_reaches_over_its_ends():
    (vowel,) = league.tokens(1)
    wave = vowel.wave()
    found = league._windows([vowel], 2 * len(wave))[0].numpy()
    start = len(wave) - round(vowel.steady * 16000)
    padded = np.zeros(2 * len(wave))
    padded[start : start + len(wave)] = wave
    np.testing.assert_allclose(found, (padded - padded.mean()) / padded.std(), atol=1e-5)


def test_effects_are_those_of_the_change_itself(hears_noise):
    """By brute force: one vowel after the other, and the divergence written out."""
    some = league.tokens(6)
    found = league._counterfactual(hears_noise, some)
    sums = []
    for one, other in zip(some, [*some[1:], some[0]], strict=True):
        both = []
        for vowel in (one, one.with_cue("noise", other.noise)):
            window = torch.from_numpy(vowel.wave()[2000:6000])
            x = (window - window.mean()) / window.std(correction=0)
            both.append(hears_noise(x[None]).double().softmax(-1)[0])
        before, after = both
        sums.append(float((before * (before / after).log()).sum()))
    assert found["one cue changed, nats"]["noise"] == pytest.approx(np.mean(sums), rel=1e-3)


@pytest.mark.slow
def test_by_analysis_is_what_is_done_with_recordings(hears_noise):
    """The study of recordings, asked for the same vowels, says the same."""
    some = league.tokens(3)
    found = league._as_recordings(hears_noise, some)["one cue changed by analysis, nats"]
    recordings = [cues.Recording(v.name, v.name, v.wave().astype(float), (0.25,)) for v in some]
    moved = [
        cues.effect(hears_noise, recordings, change)["nats"].mean()
        for change in cues.CHANGES
        if str(change) in ("F0, -4 semitones", "F0, +4 semitones")
    ]
    assert found["F0"] == pytest.approx(np.mean(moved), rel=1e-6)
    without = [
        acoustics.notch(each.wave, 16000, *cued.NOISE_BAND)[2000:6000] for each in recordings
    ]
    before = league._log_posteriors(hears_noise, league._windows(some, 4000))
    x = torch.tensor(np.stack(without), dtype=torch.float32)
    x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)
    after = league._log_posteriors(hears_noise, x)
    assert found["noise"] == pytest.approx(league._nats(before, after), rel=1e-3)


class Deaf(nn.Module):
    """Says the same of everything."""

    window = 4000

    def forward(self, x):
        return torch.stack([torch.relu(x).sum(-1) * 0 + 2, x.sum(-1) * 0], -1)


def test_a_deaf_network_gives_every_mask_the_same():
    found = league._masks(Deaf(), league.tokens(4))
    assert found["faithfulness"]["F0"] == pytest.approx(0, abs=1e-9)
    assert found["average drop"]["F0"] == pytest.approx(0, abs=1e-9)
    assert found["average increase"]["F0"] == 0 and found["fidelity-in"]["F0"] == 1


def test_masks_keep_what_is_relevant(hears_noise):
    """By hand for one vowel: the eight of forty bands with most relevance, kept and left out."""
    some = league.tokens(1)
    x = league._windows(some, 4000)
    rank = controls.energy(relevance(hears_noise, x, method="guided"), 40, "frequency")[0]
    best = np.zeros(40, dtype=bool)
    best[np.argsort(-rank, kind="stable")[:8]] = True
    p = hears_noise(x).softmax(-1)[0]
    rest = hears_noise(controls.keep(x, ~best, "frequency")).softmax(-1)[0]
    wanted = float(p.max() - rest[p.argmax()])
    found = league._masks(hears_noise, some)["faithfulness"]["F1"]
    assert found == pytest.approx(wanted, abs=1e-5)


numbers = st.lists(st.integers(0, 5), min_size=2, max_size=6)


@pytest.mark.slow
@given(numbers, numbers)
def test_the_share_is_that_of_mann_and_whitney(users, others):
    rows = [(f"cues-F1-{i}", float(v)) for i, v in enumerate(users)]
    rows += [(f"cues-F2-{i}", float(v)) for i, v in enumerate(others)]
    table = pd.DataFrame(rows, columns=["network", "F1"])
    found = league.right(table.assign(family="a", measure="b", seconds=0.0)).iloc[0]
    u = mannwhitneyu(users, others).statistic
    assert found["right"].value == pytest.approx(u / (len(users) * len(others)))
    assert found["seeds"] == sum(user > max(others) for user in users)


def test_a_network_that_tells_the_noise_is_not_asked_about_the_tone():
    rows = [("cues-F3-tone-0", 2.0), ("cues-noise-0", 3.0), ("untrained-0", 1.0)]
    table = pd.DataFrame(rows, columns=["network", "tone"])
    found = league.right(table.assign(family="a", measure="b", seconds=0.0)).iloc[0]
    assert found["right"].value == 1 and (found["seeds"], found["of"]) == (1, 1)


@pytest.mark.slow
def test_what_was_done_is_not_done_again(hears_noise):
    nets = {"untrained-0": hears_noise}
    first = league.measure(nets, ["bands"], jobs=1)
    written = []
    both = league.measure(
        nets, ["bands", "masks"], jobs=1, done=first.assign(F0=-1.0), write=written.append
    )
    assert (both.query("family == 'bands'")["F0"] == -1).all()
    assert len(written) == 1 and set(written[0]["family"]) == {"bands", "masks"}


def test_a_file_of_another_kind_is_not_gone_on_with(hears_noise):
    nets, columns = {"untrained-0": hears_noise}, dict.fromkeys([*league.COLUMNS, "seconds"], 0.0)
    row = {"network": "untrained-0", "family": "bands", "measure": "a"} | columns
    with pytest.raises(ValueError, match=r"^what was done has no column 'tone': name a file that"):
        league.measure(nets, ["bands"], done=pd.DataFrame([row]).drop(columns="tone"))
    with pytest.raises(ValueError, match=r"^what was done holds texts for numbers: name another"):
        league.measure(nets, ["bands"], done=pd.DataFrame([row | {"F1": "<b>"}]))
    strange = pd.DataFrame([row, row | {"network": "strange"}, row | {"family": "masks"}])
    found = league.measure(nets, ["bands"], done=strange)
    assert found[["network", "family"]].to_numpy().tolist() == [["untrained-0", "bands"]]


@pytest.mark.slow
def test_what_is_kept_is_what_is_measured():
    """A slice of the table in the package, taken anew."""
    nets = {
        name: net for name, net in league.known().items() if name in ("cues-F1-0", "untrained-1")
    }
    families = ["bands", "probes", "counterfactual", "guided, one window"]
    anew = league.measure(nets, families, jobs=1).set_index(["network", "measure", "family"])
    kept = league.kept().set_index(["network", "measure", "family"]).loc[anew.index]
    columns = list(league.COLUMNS)
    np.testing.assert_allclose(kept[columns], anew[columns], rtol=0.05, atol=0.03)


@pytest.mark.slow
def test_counterfactuals_are_right_about_every_network():
    """What the chapter claims: changing one cue singles out its users, for every cue and seed."""
    found = league.right(league.kept())
    rows = found[found["measure"] == "one cue changed, nats"]
    assert (rows["seeds"] == rows["of"]).all() and (rows["of"] == 3).all()
    named = league.named(league.kept()).set_index("measure").loc["one cue changed, nats"]
    assert named["named"] == named["of"] == 18
