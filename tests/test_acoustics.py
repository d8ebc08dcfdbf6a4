"""relviz.acoustics against closed forms, Praat's own analyses and Burg's."""

import numpy as np
import parselmouth
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from relviz import acoustics
from relviz._errors import ParameterError

RATE = 16000


def pulses(f0, seconds=0.5, rate=RATE):
    """A band-limited pulse train of known F0."""
    t = np.arange(int(rate * seconds)) / rate
    harmonics = np.arange(1, int(0.45 * rate / f0))
    return sum(np.cos(2 * np.pi * f0 * h * t) for h in harmonics) / len(harmonics)


def poles(formants, bandwidths, rate=RATE):
    radius = np.exp(-np.pi * np.asarray(bandwidths) / rate)
    angle = 2 * np.pi * np.asarray(formants) / rate
    roots = radius * np.exp(1j * angle)
    return np.real(np.poly(np.concatenate([roots, roots.conj()])))


def vowel(f0=110.0, formants=(650, 1100, 2500, 3500), bandwidths=(60, 80, 120, 150)):
    return scipy.signal.lfilter([1.0], poles(formants, bandwidths), pulses(f0))


@pytest.mark.parametrize("f0", [80, 120.5, 220, 330])
def test_f0_of_a_pulse_train(f0):
    times, contour = acoustics.f0_contour(pulses(f0), RATE)
    assert np.all(np.diff(times) > 0) and len(times) == len(contour)
    np.testing.assert_allclose(contour[5:-5], f0, rtol=0.005)
    assert acoustics.median_f0(pulses(f0), RATE) == pytest.approx(f0, rel=0.002)


def test_unvoiced_is_nan_never_zero():
    noise = np.random.default_rng(0).standard_normal(8000)
    _, contour = acoustics.f0_contour(noise, RATE)
    assert np.isnan(contour).sum() > len(contour) / 2 and not (contour == 0).any()
    assert np.isnan(acoustics.median_f0(np.zeros(8000), RATE))
    assert np.isnan(acoustics.median_f0(np.ones(100), RATE))
    assert acoustics.f0_contour(np.ones(100), RATE)[0].shape == (0,)


def test_median_f0_looks_only_into_its_span():
    both = np.concatenate([pulses(100), pulses(200)])
    assert acoustics.median_f0(both, RATE, (0.1, 0.4)) == pytest.approx(100, rel=0.01)
    assert acoustics.median_f0(both, RATE, (0.6, 0.9)) == pytest.approx(200, rel=0.01)
    assert np.isnan(acoustics.median_f0(both, RATE, (2.0, 3.0)))


@given(size=st.integers(1, 40), seed=st.integers(0, 2**31), data=st.data())
def test_autocorrelation_is_its_sum(size, seed, data):
    lags = data.draw(st.integers(0, size + 3))
    x = np.random.default_rng(seed).standard_normal((2, size))
    full = np.array([np.correlate(row, row, "full")[size - 1 :] for row in x])
    expected = np.zeros((2, lags + 1))
    n = min(size, lags + 1)
    expected[:, :n] = full[:, :n]
    np.testing.assert_allclose(acoustics.autocorrelation(x, lags), expected, atol=1e-12)
    assert acoustics.autocorrelation(x).shape == (2, size)


@settings(max_examples=30)
@given(order=st.integers(1, 20), seed=st.integers(0, 2**31))
def test_lpc_solves_the_normal_equations(order, seed):
    frame = np.random.default_rng(seed).standard_normal(200)
    r = np.correlate(frame, frame, "full")[199:]
    matrix = np.array([[r[abs(i - j)] for j in range(order)] for i in range(order)])
    expected = np.concatenate([[1.0], -np.linalg.solve(matrix, r[1 : order + 1])])
    np.testing.assert_allclose(acoustics.lpc(frame, order), expected, rtol=1e-8, atol=1e-10)


def burg(x, order):
    """Burg's recursion as its formulas stand; librosa's is the same, and is compiled for 20 s."""
    forward, backward, a = x[1:], x[:-1], np.ones(1)
    for _ in range(order):
        k = -2 * forward @ backward / (forward @ forward + backward @ backward)
        a = np.append(a, 0) + k * np.append(a, 0)[::-1]
        forward, backward = (forward + k * backward)[1:], (backward + k * forward)[:-1]
    return a


def test_lpc_agrees_with_praat_and_burg():
    frame = vowel()[2000:2400] * np.hamming(400)
    a = acoustics.lpc(frame, 16)
    peaks = acoustics.frame_formants(frame, RATE)[:2]
    roots = np.roots(burg(vowel()[2000:2400], 16))
    angles = np.sort(np.angle(roots[(roots.imag > 0) & (np.abs(roots) > 0.95)])) * RATE / 2 / np.pi
    np.testing.assert_allclose(peaks, angles[angles > 300][:2], rtol=0.06)
    assert a.shape == (17,) and a[0] == 1


def test_lpc_of_silence_is_nan():
    assert np.isnan(acoustics.lpc(np.zeros(400))).all()
    assert np.isnan(acoustics.frame_formants(np.zeros(400), RATE)).all()
    assert np.isnan(acoustics.formants(np.zeros(8000), RATE, 0.25)).all()


def test_frames_together_are_frames_one_by_one():
    """To the last bit, those that cannot be solved among them."""
    noise = np.random.default_rng(0).standard_normal((6, 700))
    frames = scipy.signal.lfilter([1.0], [1.0, -1.6, 0.9], noise)[:, 300:] * np.hamming(400)
    frames[2], frames[4, 5] = 0, np.nan
    for rate in (8000, RATE, 44100):
        for order in (4, 16):
            together = acoustics.frame_formants(frames.reshape(2, 3, 400), rate, order=order)
            alone = [acoustics.frame_formants(frame, rate, order=order) for frame in frames]
            np.testing.assert_array_equal(together, np.reshape(alone, (2, 3, 4)))
        assert acoustics.frame_formants(frames[:0], rate).shape == (0, 4)
    np.testing.assert_array_equal(acoustics.lpc(frames), [acoustics.lpc(f) for f in frames])
    assert np.isnan(acoustics.lpc(frames)).all(axis=1).tolist() == [0, 0, 1, 0, 1, 0]


def test_poles_are_the_roots_of_the_polynomial():
    frame = vowel()[2000:2400] * np.hamming(400)
    roots = np.roots(acoustics.lpc(frame, 12))
    expected = np.sort(np.angle(roots[roots.imag > 0])) * RATE / 2 / np.pi
    found = acoustics.frame_formants(frame, RATE, order=12, count=9, max_bandwidth=1e9)
    expected = expected[(expected > 90) & (expected < RATE / 2 - 90)]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-9)
    assert len(expected) > 3 and np.isnan(found[len(expected) :]).all()


def test_formants_of_an_all_pole_filter():
    """The impulse response of 1 / A(z) has exactly A's poles."""
    formants, bandwidths = [500, 1500, 2500, 3500], [60, 90, 120, 150]
    impulse = scipy.signal.lfilter([1.0], poles(formants, bandwidths), np.eye(1, 2000)[0])
    found = acoustics.frame_formants(impulse, RATE, order=8)
    np.testing.assert_allclose(found, formants, rtol=1e-3)
    wide = acoustics.frame_formants(impulse, RATE, order=8, max_bandwidth=100)
    np.testing.assert_allclose(wide[:2], formants[:2], rtol=1e-3)
    assert np.isnan(wide[2:]).all()


@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97])
def test_formants_of_a_synthetic_vowel(pre_emphasis):
    wave = vowel()
    found = acoustics.formants(wave, RATE, 0.25, pre_emphasis=pre_emphasis)
    np.testing.assert_allclose(found[:2], [650, 1100], rtol=0.08)
    praat = parselmouth.Sound(wave, RATE).to_formant_burg(maximum_formant=5000)
    np.testing.assert_allclose(found[0], praat.get_value_at_time(1, 0.25), rtol=0.1)
    np.testing.assert_allclose(found[1], praat.get_value_at_time(2, 0.25), rtol=0.1)


def test_envelope_of_an_all_pole_filter():
    a = poles([500, 1500], [80, 120])
    impulse = scipy.signal.lfilter([1.0], a, np.eye(1, 2000)[0])
    frequencies, envelope = acoustics.lp_envelope(impulse, RATE, order=4)
    expected = np.abs(scipy.signal.freqz([1.0], a, worN=frequencies, fs=RATE)[1])
    np.testing.assert_allclose(envelope, expected, rtol=1e-6)


def test_short_term_spectrum_of_a_tone():
    tone = np.cos(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    frequencies, magnitude = acoustics.short_term_spectrum(tone, RATE, 0.5)
    assert frequencies[magnitude.argmax()] == pytest.approx(1000, abs=RATE / 1024)
    window = scipy.signal.get_window("hamming", 400)
    assert magnitude.max() == pytest.approx(window.sum() / 2, rel=0.01)
    with pytest.raises(ValueError, match="n_fft is 256, shorter than the frame's 400"):
        acoustics.short_term_spectrum(tone, RATE, 0.5, n_fft=256)


def test_pre_emphasis_is_a_difference():
    x = np.random.default_rng(0).standard_normal(10)
    expected = x - 0.97 * np.concatenate([[0], x[:-1]])
    np.testing.assert_allclose(acoustics.pre_emphasise(x, 0.97), expected)


def test_refuses_two_channels():
    with pytest.raises(ValueError, match=r"wave has shape \(2, 100\): give one signal"):
        acoustics.f0_contour(np.ones((2, 100)), RATE)


def test_frames_are_centred():
    impulse = np.zeros(1000)
    impulse[400] = 1.0
    window = scipy.signal.get_window("hamming", 400)
    for offset in (0, 100):
        _, flat = acoustics.short_term_spectrum(impulse, RATE, (400 + offset) / RATE)
        np.testing.assert_allclose(flat, window[200 - offset])


def test_formant_frames_lie_evenly_around_the_centre():
    """One frame on each side of a change of vowel: the median of two is their mean."""
    wave = np.concatenate([vowel(formants=(400, 1800, 2500, 3500)), vowel()])
    sides = [acoustics.formants(wave, RATE, 0.5 + t, frames=1)[:2] for t in (-0.03, 0.03)]
    both = acoustics.formants(wave, RATE, 0.5, frames=2, step=0.06)[:2]
    np.testing.assert_allclose(both, np.mean(sides, axis=0))
    assert np.abs(np.diff(sides, axis=0)).min() > 100


def test_poles_at_the_ends_of_the_spectrum_are_no_formants():
    a = poles([50, 1000, 7950], [60, 60, 60])
    impulse = scipy.signal.lfilter([1.0], a, np.eye(1, 4000)[0])
    found = acoustics.frame_formants(impulse, RATE, order=6)
    assert found[0] == pytest.approx(1000, rel=0.01) and np.isnan(found[1:]).all()


@pytest.mark.parametrize(
    "limits", [{"floor": 0}, {"floor": 600}, {"ceiling": np.inf}, {"floor": np.nan}, {"step": 0}]
)
def test_refuses_a_search_for_nothing(limits):
    with pytest.raises(ValueError, match="make no search: give 0 < floor < ceiling"):
        acoustics.f0_contour(pulses(100), RATE, **limits)


def test_refuses_no_frames():
    for options in ({"frames": 0}, {"length": 0.0}):
        with pytest.raises(ValueError, match=r"give one signal, .* and at least one frame"):
            acoustics.formants(pulses(100), RATE, 0.25, **options)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_shift_f0_moves_f0_and_not_the_formants(factor):
    wave = vowel(f0=120.0)
    shifted = acoustics.shift_f0(wave, RATE, factor)
    assert shifted.shape == wave.shape
    assert acoustics.median_f0(shifted, RATE) == pytest.approx(120 * factor, rel=0.01)
    before, after = (acoustics.formants(w, RATE, 0.25)[:3] for w in (wave, shifted))
    np.testing.assert_allclose(after, before, rtol=0.1)


def test_shift_f0_leaves_noise_alone():
    noise = np.random.default_rng(0).normal(size=6001)
    shifted = acoustics.shift_f0(noise, RATE, 1.5)
    assert shifted.shape == noise.shape
    middle = slice(1000, 5000)
    assert np.corrcoef(noise[middle], shifted[middle])[0, 1] > 0.9


@pytest.mark.parametrize("wrong", [{"factor": 0}, {"factor": np.nan}, {"floor": 0}, {"floor": 900}])
def test_shift_f0_refuses(wrong):
    with pytest.raises(
        ValueError, match="make no voice: give a factor above 0 and 0 < floor < ceiling"
    ):
        acoustics.shift_f0(pulses(100), RATE, **({"factor": 1.2} | wrong))


def test_notch_takes_its_band_and_shifts_nothing():
    t = np.arange(8000) / RATE
    middle = slice(2000, 6000)
    for f, gain in ((1500, 0), (1400, 0.5), (1600, 0.5), (1000, 1), (2200, 1), (100, 1)):
        tone = np.cos(2 * np.pi * f * t)
        left = acoustics.notch(tone, RATE, 1400, 1600)
        np.testing.assert_allclose(left[middle], gain * tone[middle], atol=0.005)
    backwards = acoustics.notch(np.eye(1, 8001, 4000)[0], RATE, 1400, 1600)
    np.testing.assert_allclose(backwards, backwards[::-1], atol=1e-9)


@pytest.mark.parametrize("limits", [(0, 100), (200, 100), (7000, 8000), (np.nan, 100)])
def test_notch_refuses(limits):
    with pytest.raises(ValueError, match=r"no band from .* Hz: give 0 < low < high < 8000 Hz"):
        acoustics.notch(pulses(100), RATE, *limits)


@pytest.mark.parametrize("factor", [0.85, 1.2])
@pytest.mark.parametrize("number", [1, 2, 3, None])
def test_one_formant_moves_and_the_rest_stays(number, factor):
    wave = vowel(100, (600, 1500, 2600, 3600))
    moved = acoustics.shift_formant(wave, RATE, factor, number, ceiling=5000)
    before, after = (acoustics.formants(w, RATE, 0.25)[:3] for w in (wave, moved))
    wanted = np.ones(3)
    wanted[slice(None) if number is None else number - 1] = factor
    np.testing.assert_allclose(after / before, wanted, rtol=0.05)
    assert acoustics.median_f0(moved, RATE) == pytest.approx(100, rel=0.01)


def test_a_moved_formant_is_that_of_another_vocal_tract():
    """An independent route: the vowel made with the other formant, harmonic by harmonic."""
    wave, other = (vowel(100, (f1, 1500, 2600, 3600)) for f1 in (600, 720))
    moved = acoustics.shift_formant(wave, RATE, 1.2, 1)
    levels = [
        20 * np.log10(np.abs(np.fft.rfft(each[2400:5600]))[20:1000:20])  # 100 Hz to 4.9 kHz
        for each in (wave, moved, other)
    ]
    levels = [each - each[-10:].mean() for each in levels]
    before, after = (np.std(each - levels[2]) for each in levels[:2])
    assert after < 0.4 * before  # LP errs a little, and so do its bandwidths


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_changes_of_nothing_change_nothing(size, seed):
    wave = np.random.default_rng(seed).normal(size=size)
    for same in (
        acoustics.shift_formant(wave, RATE, 1.0),
        acoustics.tilt(wave, RATE, 0.0),
        acoustics.disperse(wave, RATE, 0.0),
    ):
        np.testing.assert_allclose(same, wave, atol=1e-9)


def test_shift_formant_refuses():
    for wrong in ({"factor": 0}, {"factor": np.inf}, {"number": 0}, {"number": 6}):
        with pytest.raises(ParameterError, match="give a factor above 0, and a number from 1 to 5"):
            acoustics.shift_formant(pulses(100), RATE, **({"factor": 1.2} | wrong))
    with pytest.raises(ParameterError, match="ceiling is 0 Hz: give what five formants lie below"):
        acoustics.shift_formant(pulses(100), RATE, 1.2, ceiling=0)


def test_tilt_is_a_straight_line_over_octaves():
    wave = pulses(125, seconds=1.0)
    bright = acoustics.tilt(wave, RATE, 3.0)
    inside = slice(4000, 12000)
    levels = [20 * np.log10(np.abs(np.fft.rfft(w[inside]))) for w in (wave, bright)]
    hertz = np.array([250, 1000, 2000, 4000])  # harmonics, in bins of 2 Hz
    gains = (levels[1] - levels[0])[hertz // 2]
    np.testing.assert_allclose(gains, 3 * np.log2(hertz / 1000), atol=0.05)
    delayed = np.argmax(scipy.signal.correlate(bright, wave, "same")) - len(wave) // 2
    assert delayed == 0
    for wrong in ({"slope": np.nan}, {"slope": 1.0, "pivot": 0}):
        with pytest.raises(ParameterError, match="give a finite slope, and a pivot above 0"):
            acoustics.tilt(wave, RATE, **wrong)


def test_dispersion_delays_what_is_high_and_makes_nothing_louder():
    clicks = np.eye(1, 8000, 4000)[0]
    spread = acoustics.disperse(clicks, RATE, 0.02)
    np.testing.assert_allclose(np.abs(np.fft.rfft(spread)), 1, atol=0.05)
    for hertz, after in ((800, -0.008), (4000, 0.0), (7200, 0.008)):  # s, of the group delay
        band = scipy.signal.butter(2, (hertz - 200, hertz + 200), "bandpass", fs=RATE, output="sos")
        heard = np.abs(scipy.signal.hilbert(scipy.signal.sosfiltfilt(band, spread)))
        assert (np.argmax(heard) - 4000) / RATE == pytest.approx(after, abs=0.0015)
    with pytest.raises(ParameterError, match="spread is nan s: give some thousandths of a second"):
        acoustics.disperse(clicks, RATE, np.nan)


def test_noise_in_a_band_has_the_level_and_not_the_waveform():
    rng = np.random.default_rng(0)
    wave = rng.normal(size=4 * RATE) * np.repeat([1.0, 0.1], 2 * RATE)
    other = acoustics.replace_band(wave, RATE, 2000, 3500, seed=1)
    band = scipy.signal.butter(4, (2200, 3300), "bandpass", fs=RATE, output="sos")
    one, two = (scipy.signal.sosfiltfilt(band, each) for each in (wave, other))
    for part in (slice(4000, 28000), slice(36000, 60000)):
        assert two[part].std() / one[part].std() == pytest.approx(1, rel=0.15)
        assert abs(np.corrcoef(one[part], two[part])[0, 1]) < 0.1
    band = scipy.signal.butter(4, (100, 1500), "bandpass", fs=RATE, output="sos")
    one, two = (scipy.signal.sosfiltfilt(band, each) for each in (wave, other))
    np.testing.assert_allclose(one[100:-100], two[100:-100], atol=0.05)
    again = acoustics.replace_band(wave, RATE, 2000, 3500, seed=1)
    np.testing.assert_array_equal(other, again)
    with pytest.raises(ParameterError, match="no band from 0 to 10 Hz"):
        acoustics.replace_band(wave, RATE, 0, 10)


class TestF0Agreement:
    def test_by_hand(self):
        nan = np.nan
        true = np.array([100, 100, 100, 100, nan, nan])
        f0 = np.array([105, 95, 200, nan, nan, 80])  # 0.8 and 0.9 semitones, an octave, none
        assert acoustics.f0_agreement(true, f0) == (0.5, 0.5)
        assert acoustics.f0_agreement(true, f0, semitones=12).found == 0.75
        assert acoustics.f0_agreement(true, true) == (1.0, 0.0)

    def test_nothing_to_agree_with_is_no_share(self):
        voiced, unvoiced = [100.0], [np.nan]
        assert np.isnan(acoustics.f0_agreement(voiced, voiced).extra)
        assert np.isnan(acoustics.f0_agreement(unvoiced, voiced).found)

    def test_refuses_two_lengths(self):
        with pytest.raises(ParameterError) as caught:
            acoustics.f0_agreement([100.0], [100.0, 90.0])
        assert str(caught.value) == (
            "the reference has shape (1,), the contour (2,): give F0 at the same times."
        )


RATES = [8000, 11025, 22050, 32000, 44100, 48000]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pre_emphasis", [0.0, 0.97])
def test_formants_do_not_hang_on_the_rate(rate, pre_emphasis):
    wave = vowel()
    there = scipy.signal.resample(wave, round(len(wave) * rate / RATE))
    found = acoustics.formants(there, rate, 0.25, pre_emphasis=pre_emphasis, count=3)
    expected = acoustics.formants(wave, RATE, 0.25, pre_emphasis=pre_emphasis, count=3)
    np.testing.assert_allclose(found, expected, rtol=0.04 if rate < RATE else 0.005)


@pytest.mark.parametrize("rate", [24000, 44100, 48000])
def test_envelopes_keep_their_units_at_higher_rates(rate):
    length = round(0.025 * RATE)
    frame = vowel()[2000 : 2000 + length] * scipy.signal.get_window("hamming", length)
    there = scipy.signal.resample(frame, round(length * rate / RATE))
    frequencies, envelope = acoustics.lp_envelope(there, rate)
    expected_frequencies, expected = acoustics.lp_envelope(frame, RATE)
    np.testing.assert_allclose(frequencies, expected_frequencies)
    # the same spectrum, sampled more densely: |DFT| grows with the number of samples
    below = frequencies < 5500
    ratio = envelope[below] / (expected[below] * rate / RATE)
    assert np.abs(20 * np.log10(ratio)).max() < 1.5


def test_an_order_below_16_khz_is_in_proportion():
    frame = vowel()[2000:2400]
    _, envelope = acoustics.lp_envelope(frame, 8000, order=16, n_fft=512)
    a = acoustics.lpc(frame, 8)
    gain = np.sqrt(acoustics.autocorrelation(frame, 8) @ a)
    np.testing.assert_allclose(envelope, gain / np.abs(np.fft.rfft(a, 512)))


@pytest.mark.parametrize(
    ("rate", "order", "culprit"),
    [
        (500, 16, "sample_rate is 500 Hz, too low to hold formants: record at 8000 Hz or more."),
        (0, 16, "sample_rate is 0 Hz and order 16"),
        (float("nan"), 16, "sample_rate is nan Hz"),
        (16000, 0, "order 0"),
    ],
)
def test_rates_that_hold_no_formant_are_refused(rate, order, culprit):
    for function in (acoustics.lp_envelope, acoustics.frame_formants):
        with pytest.raises(ParameterError) as refused:
            function(vowel()[:400], rate, order=order)
        assert culprit in str(refused.value)


def test_filtered_autocorrelation_lets_low_frequencies_through():
    # the manual's table: at half of the ceiling the fourth root of 0.03 is left
    tone = np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE)
    left = acoustics._low_passed(tone, RATE, 800.0)[4000:12000].std() / tone.std()
    assert left == pytest.approx(0.03**0.25, rel=0.01)


@pytest.mark.parametrize("f0", [90, 150, 240])
def test_filtered_autocorrelation_finds_f0(f0):
    _, contour = acoustics.f0_contour(pulses(f0), RATE, floor=50, ceiling=800, filtered=True)
    np.testing.assert_allclose(contour[5:-5], f0, rtol=0.01)


def test_every_second_period_apart_fools_one_method_and_not_the_other():
    # periods that alternate a little in loudness repeat exactly only every second time
    wave = pulses(200) + 0.2 * pulses(100)
    with pytest.warns(acoustics.F0Warning, match="an octave above it that is nearly as strong"):
        assert acoustics.median_f0(wave, RATE) == pytest.approx(100, rel=0.02)
    assert acoustics.median_f0(wave, RATE, filtered=True) == pytest.approx(200, rel=0.02)


@pytest.mark.parametrize(
    ("f0", "limits", "culprit"),
    [
        (202, {"floor": 200}, "F0 sits at the floor of 200 Hz in most frames, so it may lie"),
        (197, {"ceiling": 200}, "F0 sits at the ceiling of 200 Hz in most frames.*raise it"),
    ],
)
def test_f0_at_a_limit_is_said(f0, limits, culprit):
    with pytest.warns(acoustics.F0Warning, match=culprit):
        acoustics.f0_contour(pulses(f0), RATE, **limits)


def test_f0_of_what_is_not_finite_is_refused():
    with pytest.raises(ParameterError, match="wave holds NaN or infinity, so it has no F0"):
        acoustics.f0_contour(np.full(8000, np.nan), RATE)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_long_term_spectrum_is_the_mean_of_squared_spectra(rate):
    """By hand: the mean over half-overlapping Hann frames of the squared DFT."""
    wave = np.random.default_rng(0).standard_normal(rate)
    size = round(rate / 125)
    taper = scipy.signal.get_window("hann", size)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[:: size - size // 2] * taper
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(axis=0) / (rate * (taper**2).sum())
    power[1 : None if size % 2 else -1] *= 2
    np.testing.assert_allclose(acoustics.long_term_spectrum(wave, rate), power, rtol=1e-9)


def test_equalised_recordings_have_the_spectrum_that_was_asked_for():
    rng = np.random.default_rng(0)
    wave = scipy.signal.lfilter([1.0], [1.0, -0.9], rng.standard_normal(64000))
    target = 10 ** (np.interp(np.arange(65), [0, 20, 64], [0, -10, -40]) / 10)
    found = acoustics.equalise(wave, RATE, target)
    levels = 10 * np.log10(acoustics.long_term_spectrum(found, RATE) / target)
    assert np.ptp(levels[2:-2]) < 2.0
    assert np.sqrt(np.mean(found**2)) == pytest.approx(np.sqrt(np.mean(wave**2)))
    own = acoustics.long_term_spectrum(wave, RATE)
    np.testing.assert_allclose(acoustics.equalise(wave, RATE, 7 * own), wave, atol=1e-9)
    delayed = np.argmax(scipy.signal.correlate(found, wave, "same")) - len(wave) // 2
    assert delayed == 0


def test_no_band_is_raised_without_end():
    hum = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    found = acoustics.equalise(
        hum + 1e-9 * np.random.default_rng(0).standard_normal(RATE), RATE, np.ones(65), most=20.0
    )
    own = acoustics.long_term_spectrum(found, RATE)
    assert own.max() / own[20:].max() > 10**7


def test_a_telephone_keeps_its_band_and_little_else():
    t = np.arange(2 * RATE) / RATE
    inner = slice(RATE // 2, -RATE // 2)
    for hertz, low, high in ((1000, -0.5, 0.5), (60, -200, -30), (6000, -200, -30)):
        tone = np.sin(2 * np.pi * hertz * t)
        found = acoustics.telephone(tone + 0.9 * np.sin(2 * np.pi * 700 * t), RATE)
        assert found.shape == tone.shape
        part = 2 * np.abs(np.mean(found[inner] * np.exp(-2j * np.pi * hertz * t[inner])))
        assert low < 20 * np.log10(part) < high
    tone = 0.01 * np.sin(2 * np.pi * 1000 * t)
    noise = acoustics.telephone(tone, RATE)[inner] - tone[inner]
    assert 30 < 10 * np.log10(np.mean(tone[inner] ** 2) / np.mean(noise**2)) < 45  # of eight bits


def test_channels_that_cannot_be():
    wave = np.random.default_rng(0).standard_normal(RATE)
    with pytest.raises(ParameterError, match=r"have no bands of 0 Hz: give one recording"):
        acoustics.long_term_spectrum(wave, RATE, resolution=0)
    with pytest.raises(ParameterError, match=r"\(50,\) samples at 16000 Hz have no bands"):
        acoustics.equalise(wave[:50], RATE, np.ones(65))
    for target in (np.ones(64), np.zeros(65), np.full(65, np.nan)):
        with pytest.raises(ParameterError, match="give 65 powers above 0, those of long_term"):
            acoustics.equalise(wave, RATE, target)
    with pytest.raises(ParameterError, match="4000 Hz: give 8000 Hz or more"):
        acoustics.telephone(wave, 4000)
