"""relviz.corpora.cued: vowels are what their cues say, and the cues are independent."""

import itertools
import json
import math
import subprocess

import numpy as np
import pytest
from scipy import signal

from relviz import acoustics
from relviz.audio import SAMPLE_RATE
from relviz.corpora import cued

MULBERRY = """
function mulberry32(a) { return function() {
  a |= 0; a = a + 0x6D2B79F5 | 0;
  let t = Math.imul(a ^ a >>> 15, 1 | a);
  t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
  return ((t ^ t >>> 14) >>> 0) / 4294967296; } }
const next = mulberry32(SEED);
console.log(JSON.stringify(Array.from({length: 100}, next)));
"""


@pytest.mark.parametrize("seed", [0, 1, 2**31 + 5, 2**32 - 1])
def test_the_numbers_are_those_of_the_generator_as_others_write_it(seed):
    if subprocess.run(["which", "node"], capture_output=True, check=False).returncode:
        pytest.skip("needs node")
    ran = subprocess.run(
        ["node", "-e", MULBERRY.replace("SEED", str(seed))], capture_output=True, check=True
    )
    assert cued.uniform(100, seed).tolist() == json.loads(ran.stdout)


def spectrum(wave):
    """Decibels of the middle quarter second, and Hz."""
    middle = wave[(len(wave) - 4000) // 2 :][:4000] * np.hanning(4000)
    return np.fft.rfftfreq(4000, 1 / SAMPLE_RATE), 20 * np.log10(np.abs(np.fft.rfft(middle)) + 1e-9)


def test_harmonics_are_as_loud_as_the_formula_says():
    """The closed form: a slope, and each resonance as scipy computes a digital filter."""
    f0, formants, tilt = 160.0, (500.0, 1500.0, 2500.0), -4.0
    wave = cued.synthesise(f0, formants, tilt, duration=0.6)
    frequencies, found = spectrum(wave)
    harmonics = f0 * np.arange(1, 40)
    wanted = tilt * np.log2(harmonics)
    for formant in formants:
        radius = math.exp(-math.pi * cued.bandwidth(formant) / SAMPLE_RATE)
        poles = radius * np.exp(2j * np.pi * formant / SAMPLE_RATE * np.array([1, -1]))
        _, response = signal.freqz(1, np.poly(poles).real, harmonics, fs=SAMPLE_RATE)
        wanted += 20 * np.log10(np.abs(response))
    at = [found[np.argmin(np.abs(frequencies - each))] for each in harmonics]
    difference = np.array(at) - wanted
    assert np.ptp(difference) < 0.5


def test_f0_is_what_was_asked_for():
    for vowel in cued.draw(8, seed=5):
        found = acoustics.median_f0(vowel.wave(), SAMPLE_RATE, (0.1, 0.4))
        assert found == pytest.approx(vowel.f0, rel=0.01)


def test_noise_and_tone_are_as_loud_as_asked_and_where_they_belong():
    plain = cued.synthesise(120.0)
    middle = slice(800, -800)
    for level in (-30.0, -10.0):
        added = (cued.synthesise(120.0, noise=level) - plain)[middle]
        assert 20 * np.log10(added.std() / plain[middle].std()) == pytest.approx(level, abs=1)
        frequencies, decibels = spectrum(cued.synthesise(120.0, noise=level) - plain)
        power = 10 ** (decibels / 10)
        low, high = cued.NOISE_BAND
        inside = (frequencies > low - 500) & (frequencies < high + 500)
        assert power[inside].sum() / power.sum() > 0.99
    tone = (cued.synthesise(120.0, tone=-30.0) - plain)[middle]
    assert 20 * np.log10(tone.std() / plain[middle].std()) == pytest.approx(-30, abs=1)
    frequencies, decibels = spectrum(np.pad(tone, 2000))
    assert frequencies[decibels.argmax()] == pytest.approx(cued.TONE, abs=4)


def test_the_same_arguments_give_the_same_samples_and_another_seed_others():
    one, same, other = (cued.synthesise(120.0, noise=-20.0, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.allclose(one, other)


def test_nothing_is_clipped():
    corners = itertools.product(*((cue.low, cue.high) for cue in cued.CUES.values()))
    for f0, f1, f2, f3, tilt, noise in corners:
        wave = cued.synthesise(f0, (f1, f2, f3, *cued.HIGHER), tilt, noise, -30.0)
        assert np.abs(wave).max() < 1


def test_cues_are_drawn_independently_and_fill_their_ranges():
    """Chance correlation of 2,000 draws is below 0.08 for one pair in a thousand."""
    vowels = cued.draw(2000, seed=0)
    values = np.array([[vowel.cue(cue) for cue in cued.CUES] for vowel in vowels])
    assert np.abs(np.corrcoef(values.T) - np.eye(6)).max() < 0.08
    for column, cue in zip(values.T, cued.CUES.values(), strict=True):
        shares = np.histogram(column, cue.edges(4))[0] / len(column)
        assert np.abs(shares - 0.25).max() < 0.04


def test_one_cue_changes_and_the_others_stay():
    vowel = cued.draw(1, seed=0)[0]
    changed = vowel.with_cue("F2", 1200.0)
    for cue in cued.CUES:
        assert changed.cue(cue) == (1200.0 if cue == "F2" else vowel.cue(cue))
    assert changed.seed == vowel.seed and not np.array_equal(changed.wave(), vowel.wave())


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"^f0 is 5 Hz: give a voice between 20 and 1000 Hz\.$"):
        cued.synthesise(5)
    with pytest.raises(ValueError, match=r"^duration is 0 s: give 0\.1 to 60 seconds\.$"):
        cued.synthesise(120, duration=0)
