"""The relevance explorer in a real browser, held against the library."""

import base64

import numpy as np
import pytest
import soundfile
import torch
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from torch import nn

import relviz
from relviz import acoustics, audio, corpora, networks
from relviz._errors import ParameterError
from relviz.widgets.relevance import Recording, RelevanceExplorer, vowel
from tests.widgets.page import changed, choose, connect, control, pictures, played
from tools import browser

RATE = 16000
HOPS = (97, 160)


@pytest.fixture(scope="module")
def recordings():
    tokens = [t for t in corpora.vowels(["ah", "iy"]).tokens if t.talker in ("m01", "w01")]
    return [Recording(t.vowel, t.talker, t.wave(), t.steady) for t in tokens]


@pytest.fixture(scope="module")
def nets():
    return {
        "trained": relviz.load("phones"),
        "untrained": networks.build(networks.PHONE_CNN, 40, seed=0),
    }


@pytest.fixture(scope="module")
def explorer(recordings, nets):
    return RelevanceExplorer(recordings, nets, hops=HOPS)


OF_RELEVANCE = {
    "Waveform of the relevance signal",
    "Spectrogram of the relevance signal",
    "Spectrum at the cursor of the relevance signal",
}
OF_RECORDING = {
    "Waveform of the recording",
    "Spectrogram of the recording",
    "Spectrum at the cursor of the recording",
}


@pytest.mark.parametrize(
    ("label", "value"), [("Network", "untrained"), ("Method", "gradient"), ("Hop (samples)", 160)]
)
def test_a_choice_of_relevance_changes_its_pictures_and_sound(show, explorer, label, value):
    page = show(explorer)
    before = played(page, "Play relevance")
    found = changed(page, lambda: choose(page, label, value))
    assert found >= OF_RELEVANCE and not found & OF_RECORDING
    assert not np.array_equal(before, played(page, "Play relevance"))
    assert page.execute_script(f"return model.get({label.split()[0].lower()!r})") == value


@pytest.mark.parametrize(("label", "value"), [("Speech", "iy"), ("Talker", "w01")])
def test_a_choice_of_recording_changes_everything(show, explorer, label, value):
    page = show(explorer)
    found = changed(page, lambda: choose(page, label, value))
    assert found >= OF_RELEVANCE | OF_RECORDING | {"F0 of both"}


def test_it_plays_the_recording_and_its_relevance(show, explorer, recordings, nets):
    page = show(explorer)
    choose(page, "Speech", "iy")
    choose(page, "Talker", "w01")
    wave = next(r.wave for r in recordings if (r.says, r.talker) == ("iy", "w01"))
    truth = {
        "Play recording": wave,
        "Play relevance": relviz.relevance_signal(nets["trained"], wave, 97),
    }
    for name, signal in truth.items():
        heard = played(page, name)
        # 8 bits, with a scale for each 256 samples
        assert np.abs(heard - 0.5 * signal / np.abs(signal).max()).max() < 0.5 / 254 + 1e-4


def test_it_plays_the_selection(show, explorer, recordings):
    page = show(explorer)
    whole = played(page, "Play recording")
    choose(page, "Selection from", 0.1)
    assert changed(page, lambda: choose(page, "Selection to", 0.2)) == {
        "Waveform of the recording",
        "Waveform of the relevance signal",
    }
    control(page, "Play the selection only").click()
    piece = played(page, "Play recording")
    assert len(piece) == RATE // 10
    expected = whole[RATE // 10 : RATE // 5]
    np.testing.assert_allclose(piece, 0.5 * expected / np.abs(expected).max(), atol=1e-6)


def test_the_cursor_shows_the_spectrum_there(show, explorer, recordings):
    page = show(explorer)
    cursor = control(page, "Cursor")
    found = changed(page, lambda: cursor.send_keys(Keys.ARROW_LEFT * 12))
    assert found == OF_RECORDING | OF_RELEVANCE | {"F0 of both"}
    time = float(cursor.get_attribute("value"))
    wave = recordings[0].wave
    frequencies, spectrum = acoustics.short_term_spectrum(wave, RATE, time)
    strongest = round(frequencies[spectrum.argmax()])
    picture = page.find_element(By.CSS_SELECTOR, "canvas[aria-label^='Spectrum at the cursor of']")
    assert f"strongest at {strongest} Hz" in picture.get_attribute("aria-label")
    times, f0 = acoustics.f0_contour(wave, RATE)
    said = page.find_element(By.CSS_SELECTOR, "[role=status]").text
    assert f"F0 {f0[np.abs(times - time).argmin()]:.0f} Hz in the recording" in said


def test_every_picture_says_what_it_shows_now(show, explorer):
    page = show(explorer)

    def described():
        pictures = page.find_elements(By.CSS_SELECTOR, ".relviz canvas")
        return [picture.get_attribute("aria-label") for picture in pictures]

    before = described()
    assert len(before) == len(set(before)) == 7
    assert "ah by m01" in before[0] and "trained, guided backpropagation, hop 97" in before[1]
    choose(page, "Hop (samples)", 160)
    choose(page, "Cursor", 0.1)
    assert "hop 160" in described()[1] and "cursor at 0.100 s" in described()[3]
    choose(page, "Selection to", 0.2)
    assert "selected 0.00 to 0.20 s" in described()[0]
    assert all(now != then for now, then in zip(described(), before, strict=True))


def test_the_pointer_moves_the_cursor_and_selects(show, explorer):
    page = show(explorer)

    def drag(title, start, end):
        canvas = page.find_element(By.CSS_SELECTOR, f"canvas[aria-label^='{title}']")
        actions = ActionChains(page).move_to_element_with_offset(canvas, start, 0)
        actions.click_and_hold().move_by_offset(end - start, 0).release().perform()

    before = control(page, "Cursor").get_attribute("value")
    drag("Spectrogram of the recording", -60, -30)
    assert control(page, "Cursor").get_attribute("value") != before
    drag("Waveform of the recording", -50, 50)
    first = float(control(page, "Selection from").get_attribute("value"))
    last = float(control(page, "Selection to").get_attribute("value"))
    assert 0 < first < last < float(control(page, "Selection to").get_attribute("max"))


def test_it_says_what_a_hop_does(show, explorer):
    page = show(explorer)
    note = page.find_element(By.CSS_SELECTOR, ".relviz-note")
    assert "shares no factor with the network's stride of 270" in note.text
    choose(page, "Hop (samples)", 160)
    assert "factor 10" in note.text and "1600 Hz" in note.text


def test_every_control_is_reached_with_the_keyboard(show, explorer):
    page = show(explorer)
    wanted = page.find_elements(By.CSS_SELECTOR, ".relviz :is(select, button, input)")
    for element in wanted:
        page.switch_to.active_element.send_keys(Keys.TAB)
        assert page.switch_to.active_element == element


def test_without_a_kernel_it_offers_no_file_and_no_other_hop(show, explorer):
    page = show(explorer)
    assert not page.find_elements(By.CSS_SELECTOR, "input[type=file], input[type=number]")


def test_it_fits_a_phone(show, explorer):
    page = show(explorer, width=360)
    assert page.execute_script("return document.documentElement.scrollWidth") == 360
    browser.resize(page, 1280)


def test_python_chooses_too(show, explorer):
    page = show(explorer)
    found = changed(page, lambda: page.execute_script("model.set('method', 'gradient')"))
    assert found >= OF_RELEVANCE
    assert control(page, "Method").get_attribute("value") == "gradient"


def ask(explorer, samples=None, **question):
    asked = {
        "ask": "relevance",
        "recording": 0,
        "network": "trained",
        "method": "guided",
        "hop": 97,
    }
    buffers = [] if samples is None else [np.asarray(samples, "<f4").tobytes()]
    return explorer.answer({**asked, **question}, buffers)


def test_a_vowel_keeps_its_steady_state_and_its_margins():
    token = corpora.vowel_corpus(["ah"], men=1, women=0)[0]
    recording = vowel(token, margin=0.05)
    assert recording.says == "ah" and recording.talker == "m01"
    assert len(recording.wave) >= 8000  # the speaker network's window
    at = round(recording.cursor * RATE)
    steady = round(token.steady * RATE)
    np.testing.assert_array_equal(
        recording.wave[at - 800 : at + 800], token.wave()[steady - 800 : steady + 800]
    )


@pytest.mark.slow
def test_the_kernel_computes_any_hop(explorer, recordings, nets):
    answer, (sent,) = ask(explorer, recording=2, network="untrained", method="gradient", hop=211)
    wave = recordings[2].wave
    expected = relviz.relevance_signal(nets["untrained"], wave, 211, method="gradient")
    np.testing.assert_allclose(np.frombuffer(sent, "<f4"), expected, rtol=1e-5, atol=1e-6)
    times, f0 = acoustics.f0_contour(wave, RATE)
    contour = answer["original"]
    assert contour["start"] == times[0]
    given = np.array([np.nan if h is None else h for h in contour["hertz"]])
    np.testing.assert_allclose(given, f0, atol=0.05)


@pytest.mark.slow
def test_the_kernel_computes_a_readers_own_file(explorer, nets):
    wave = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    _, (sent,) = ask(explorer, wave, recording=None)
    expected = relviz.relevance_signal(nets["trained"], wave, 97)
    np.testing.assert_allclose(np.frombuffer(sent, "<f4"), expected, rtol=1e-5, atol=1e-6)


def test_the_kernel_refuses_a_file_that_lasts_too_long(explorer):
    with pytest.raises(ValueError, match=r"lasts 31 s: cut it to 30 s"):
        ask(explorer, np.zeros(31 * RATE), recording=None)


def test_the_kernel_refuses_another_question(explorer):
    with pytest.raises(ValueError, match="cannot answer 'weather'"):
        explorer.answer({"ask": "weather"}, [])


def test_it_refuses_to_choose_among_nothing(recordings, nets):
    with pytest.raises(ValueError, match="needs a recording, a network, a method and a hop"):
        RelevanceExplorer([], nets)


def test_it_refuses_two_recordings_of_one_name(recordings, nets):
    with pytest.raises(ValueError, match="same words and talker"):
        RelevanceExplorer([recordings[0], recordings[0]], nets)


def test_a_function_of_ones_own_among_the_methods(recordings, nets):
    def mirrored(net, x, target):
        return -relviz.relevance(net, x, target, "gradient")

    methods = {"mirrored": mirrored, "gradient": "gradient"}
    shown = RelevanceExplorer(recordings[:1], nets, methods=methods, hops=(160,))
    assert shown.method == "mirrored"
    name, wave = next(iter(nets)), recordings[0].wave
    by_name = [shown._relevance(np.asarray(wave), name, method, 160) for method in methods]
    np.testing.assert_allclose(by_name[0], -by_name[1], rtol=1e-6)


def test_it_refuses_an_unknown_method(recordings, nets):
    with pytest.raises(ValueError, match="method 'lime' is unknown: use one of guided"):
        RelevanceExplorer(recordings[:1], nets, methods=("lime",))


def test_recordings_at_another_rate_than_the_networks_are_refused():
    recording = Recording("x", "y", np.random.default_rng(0).standard_normal(22050))
    with pytest.raises(ParameterError) as refused:
        RelevanceExplorer(
            [recording], {"phones": relviz.load("phones")}, sample_rate=44100, hops=(997,)
        )
    assert str(refused.value) == (
        "the wave has 44100 samples a second, and the network 'phones' hears at 16000 Hz: resample "
        "the wave (relviz.audio.resample)."
    )


class Slow(nn.Module):
    """Two seconds at 8 kHz."""

    sample_rate, window = 8000, 16000

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(1, 3, 80, 40)

    def forward(self, x):
        return torch.relu(self.conv(x[:, None])).mean(-1)


def test_recordings_are_brought_to_the_rate_of_the_networks_and_words_stand_between_zeros():
    token = corpora.vowel_corpus(["ah"], men=1, women=0)[0]
    word, net = vowel(token), Slow().eval()
    explorer = RelevanceExplorer([word], {"mine": net}, methods=("gradient",), hops=(97,))
    assert explorer._rate == 8000
    heard = audio.resample(word.wave, 16000, 8000)
    assert len(heard) < 16000
    found = explorer._relevance(heard, "mine", "gradient", 97)
    padded = np.pad(heard, 16000)
    right = relviz.relevance_signal(
        net, padded, 97, method="gradient", centres=(16000, 16000 + len(heard) - 1)
    )
    np.testing.assert_allclose(found, right[16000 : 16000 + len(heard)], atol=1e-6)


def test_networks_of_two_rates_need_two_explorers(recordings, nets):
    with pytest.raises(ParameterError, match="the networks hear at 8000 and 16000 Hz: make an"):
        RelevanceExplorer(recordings, nets | {"mine": Slow()})


def test_the_range_of_f0_can_be_chosen():
    pulses = np.zeros(16000)
    pulses[::27] = 1.0  # 593 Hz
    recording = Recording("x", "y", pulses)
    net = {"phones": relviz.load("phones")}
    for ceiling, expected in ((500.0, 296), (800.0, 593)):
        explorer = RelevanceExplorer([recording], net, hops=(997,), ceiling=ceiling)
        assert np.median([h for h in explorer._f0(pulses)["hertz"] if h]) == pytest.approx(
            expected, rel=0.01
        )


def says(page, words) -> None:
    main = page.find_element(By.TAG_NAME, "main")
    try:
        WebDriverWait(page, 10, 0.05).until(lambda _: words in main.text)
    except TimeoutException:
        assert words in main.text
        raise


@pytest.fixture
def connected(show, explorer):
    """A page whose kernel is there, but slow: it answers nothing after its hello."""
    page = show(explorer)
    carry = connect(page, explorer)
    WebDriverWait(page, 10, 0.05).until(lambda _: carry())
    return page, carry


def test_an_own_file_is_checked_before_it_is_sent(connected, tmp_path):
    page, _ = connected
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 31 * RATE)
    soundfile.write(tmp_path / "own.wav", noise, RATE)
    before = pictures(page)
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    says(page, "own.wav lasts 31 s: cut it to 30 s.")
    assert pictures(page) == before
    assert not page.execute_script("return asked.length")


def test_a_short_file_is_asked_about_between_zeros(connected, tmp_path):
    page, _ = connected
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE // 10)
    soundfile.write(tmp_path / "own.wav", noise, RATE, subtype="FLOAT")
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    WebDriverWait(page, 10, 0.05).until(lambda _: page.execute_script("return asked.length"))
    ((_, (packed,)),) = page.execute_script("return asked")
    sent = np.frombuffer(base64.b64decode(packed), dtype="<f4")
    np.testing.assert_allclose(sent, np.pad(noise, 1200), atol=1e-6)  # a window has 4000


def test_the_kernel_says_how_much_work_it_has(connected, tmp_path):
    page, _ = connected
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 20 * RATE)
    soundfile.write(tmp_path / "own.wav", noise, RATE)
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    words = "The kernel is computing 3299 windows…"
    says(page, words)
    choose(page, "Hop (samples)", 7)
    words = "45715 windows, which may take 140 s: interrupt the kernel to stop it…"
    says(page, words)
