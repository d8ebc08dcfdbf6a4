"""The live explorer without its networks in the page: what travels with it, and with a kernel."""

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

import relviz
from relviz import acoustics, audio, signals
from relviz.corpora import PHONES, synthetic
from relviz.widgets import live
from relviz.widgets.live import LONGEST, NETWORKS, SHIFTS, LiveExplorer
from tests.widgets import conftest as harness
from tests.widgets.page import changed, choose, control, pictures, played
from tools import browser

RATE = 16000
OF_RELEVANCE = {"Waveform of the relevance signal", "Spectrogram of the relevance signal"}
OF_RECORDING = {"Waveform of the recording", "Spectrogram of the recording"}
PROBABILITIES = {"Probabilities over time", "Probabilities at the cursor"}


@pytest.fixture(scope="module")
def explorer():
    return LiveExplorer()


@pytest.fixture(scope="module")
def nets():
    return {
        name: live.newborn() if name == live.UNTRAINED else relviz.load(name) for name in NETWORKS
    }


@pytest.fixture(scope="module")
def vowels():
    return live.synthetic_vowels()


def alike(found, expected, level) -> None:
    """Hold relevance against the library's: samples agree to `level` of the maximum.

    Half of them must, and the rest nearly: in one window of a thousand two values of a pooling all
    but tie, and the order of sums decides which of them wins.
    """
    expected = np.asarray(expected)
    assert len(found) == len(expected)
    difference = np.abs(found - expected) / np.abs(expected).max()
    assert np.median(difference) <= level and difference.max() < 0.1
    assert np.corrcoef(found, expected)[0, 1] > 0.999


def said(page) -> str:
    return page.find_element(By.CSS_SELECTOR, "[role=status]").text


def busy(page) -> bool:
    script = "return !document.querySelector('progress').parentNode.hidden"
    return page.execute_script(script)


def where(page) -> str:
    return page.find_element(By.CSS_SELECTOR, ".relviz > p:not(.relviz-caption)").text


def hears(net, wave, time) -> list[tuple[str, float]]:
    """The classes of the window around a time, most probable first."""
    window = audio.frame(wave, net.window, [round(time * RATE) - net.window // 2])
    with torch.no_grad():
        scores = net(signals.standardise(torch.from_numpy(window)))[0]
    probabilities = scores.softmax(-1).tolist()
    return sorted(zip(net.metadata.classes, probabilities, strict=True), key=lambda pair: -pair[1])


# ---- functions ----


@pytest.mark.parametrize("name", NETWORKS)
def test_hops_cover_as_often_as_they_say_and_avoid_the_grid(name, nets, module):
    net, stride = nets[name], signals.stride(nets[name])
    hops = [live.hop(net.window, stride, count) for count in SHIFTS]
    assert hops[0] == net.window
    for count, hop in zip(SHIFTS[1:], hops[1:], strict=True):
        assert math.gcd(hop, stride) == 1
        wanted = net.window / count
        nearer = [n for n in range(1, net.window) if abs(n - wanted) < abs(hop - wanted)]
        assert all(math.gcd(n, stride) > 1 for n in nearer)
    code = "return args[2].map((count) => m.hopFor(args[0], args[1], count));"
    assert module("live.js", code, net.window, stride, list(SHIFTS)) == hops


def test_windows_are_standardised_as_in_the_library(module):
    windows = np.random.default_rng(0).normal(3, 0.01, (4, 500)).astype(np.float32)
    windows[2] = 0.25  # constant: becomes 0
    found = module(
        "engine.js",
        "return [...m.standardise(Float32Array.from(args[0]), 4)];",
        windows.ravel().tolist(),
    )
    expected = signals.standardise(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(np.reshape(found, windows.shape), expected, atol=1e-6)
    assert (expected[2] == 0).all()


@pytest.mark.parametrize(
    ("samples", "hop", "first"), [(2000, 97, 0), (1503, 400, 0), (400, 1000, 0), (1000, 31, 450)]
)
def test_windows_are_added_up_as_in_relevance_signal(module, samples, hop, first):
    """A network that anybody can compute: relevance x^3 + x + 0.1, probabilities of two moments."""
    wave = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    count = (samples - 1 - first) // hop + 1
    code = """
        const run = async (x, n) => ({
          relevance: x.map((v) => v ** 3 + v + 0.1),
          probabilities: Float32Array.from(Array(2 * n), (_, i) => x[(i >> 1) * 400 + (i % 2)]),
        });
        const plan = { window: 400, hop: args[1], first: args[2], count: args[3] };
        const told = [];
        const progress = (...numbers) => told.push(numbers);
        const wave = Float32Array.from(args[0]);
        const { rows, relevance } = await m.listen(run, wave, plan, { progress });
        return { rows: rows.map((r) => [...r]), relevance: [...relevance], told };"""
    found = module("engine.js", code, wave.tolist(), hop, first, count)
    expected = relviz.relevance_signal(
        torch.nn.Identity(),
        wave,
        hop,
        window=400,
        method=lambda net, x, target: x**3 + x + 0.1,
        centres=(first, samples - 1),
    )
    np.testing.assert_allclose(found["relevance"], expected, atol=1e-5 * np.abs(expected).max())
    centres = first + hop * np.arange(count)
    cut = torch.from_numpy(audio.frame(wave, 400, centres - 200))
    windows = signals.standardise(cut).numpy()
    np.testing.assert_allclose(found["rows"], windows[:, :2], atol=1e-5)
    assert found["told"][-1] == [count, count]


def test_listening_ends_where_it_is_not_wanted_any_more(module):
    code = """
        let runs = 0;
        const stopped = new AbortController();
        const run = async (x, n) => {
          if (++runs === 3) stopped.abort();
          return { relevance: x, probabilities: new Float32Array(n) };
        };
        const plan = { window: 100, hop: 10, first: 0, count: 100 };
        return m.listen(run, new Float32Array(1000), plan, { signal: stopped.signal })
          .then(() => "went on", (error) => `${error.name} after ${runs}`);"""
    assert module("engine.js", code) == "AbortError after 3"


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_wav_file_is_one(module, tmp_path, rate):
    wave = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    code = "return [...new Uint8Array(await m.wavFile(args[0], args[1]).arrayBuffer())];"
    (tmp_path / "a.wav").write_bytes(bytes(module("sound.js", code, wave.tolist(), rate)))
    read, its = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert its == rate
    np.testing.assert_array_equal(read, wave)


def test_each_phone_has_a_word():
    assert set(live.EXAMPLES) == set(PHONES) - {"SIL"}


@pytest.mark.slow
def test_the_first_sound_is_named_as_it_is_called(explorer, nets, vowels):
    name, wave = next(iter(vowels.items()))
    assert explorer.sound == name == "“ee”, a woman"
    assert hears(nets["phones"], wave, 0.25)[0][0] == "IY"


def test_the_untrained_network_is_that_of_the_phones_without_its_weights(nets):
    born, trained = nets[live.UNTRAINED], nets["phones"]
    assert born.metadata.classes == trained.metadata.classes and not born.training
    assert all(
        a.shape == b.shape and (a.ndim == 1 or not torch.equal(a, b))
        for a, b in zip(born.parameters(), trained.parameters(), strict=True)
    )


def test_the_networks_take_windows_as_the_page_makes_them(nets):
    assert {net.metadata.normalise for net in nets.values()} == {"window"}


# ---- the explorer on a page ----


@pytest.mark.slow
def test_it_is_light(explorer):
    assert len(explorer.data) < 750_000


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("method", live.METHODS)
@pytest.mark.parametrize("place", [0, 2])
def test_it_plays_sound_and_relevance(show, explorer, nets, vowels, name, method, place):
    page = show(explorer)
    choose(page, "Network", name)
    choose(page, "Method", method)
    choose(page, "Sound", "“ah”, a man")
    choose(page, "Number of shifts", place)
    wave = vowels["“ah”, a man"]
    hop = live.hop(nets[name].window, signals.stride(nets[name]), SHIFTS[place])
    if SHIFTS[place] == 1:
        with pytest.warns(UserWarning, match="shares the factor"):
            relevance = relviz.relevance_signal(nets[name], wave, hop, method=method)
    else:
        relevance = relviz.relevance_signal(nets[name], wave, hop, method=method)
    for button, signal in (("Play sound", wave), ("Play relevance", relevance)):
        heard = played(page, button)
        # 8 bits, with a scale for each 256 samples
        assert np.abs(heard - 0.5 * signal / np.abs(signal).max()).max() < 0.5 / 254 + 1e-4


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("time", [0.1, 0.3, 0.45])
def test_it_names_what_the_network_hears(show, explorer, nets, vowels, name, time):
    page = show(explorer)
    choose(page, "Network", name)
    choose(page, "Sound", "“oh”, a man")
    choose(page, "Cursor", time)
    (_, p), *_ = ranked = hears(nets[name], vowels["“oh”, a man"], time)
    # 8 bits cannot tell which of two equals is first
    first = [
        f"speaker {each}" if name == "speakers" else each for each, q in ranked if p - q < 0.004
    ]
    told = [each for each in first if f"At {time:.3f} s the network hears {each} " in said(page)]
    assert len(told) == 1
    (words,) = told
    picture = page.find_element(By.CSS_SELECTOR, "canvas[aria-label^='Probabilities at the']")
    spoken = picture.get_attribute("aria-label")
    assert f"{words} " in spoken
    percent = float(spoken.split("(")[1].split(" %")[0])
    assert abs(percent - 100 * p) < 1  # 8 bits of 100 %, and rounding


def test_it_shows_formants_and_f0_at_the_cursor(show, explorer, nets, vowels):
    page = show(explorer)
    choose(page, "Cursor", 0.3)
    wave = vowels["“ee”, a woman"]
    hop = live.hop(nets["phones"].window, 270, 16)
    relevance = relviz.relevance_signal(nets["phones"], wave, hop)
    rows = page.find_elements(By.CSS_SELECTOR, ".relviz-table tbody tr")
    shown = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
    truth = [acoustics.formants(signal, RATE, 0.3)[:3] for signal in (wave, relevance)]
    np.testing.assert_allclose(np.array(shown[0], dtype=float), truth[0], atol=1)
    # 8 bits, in a signal that is not smooth
    np.testing.assert_allclose(np.array(shown[1], dtype=float), truth[1], rtol=0.02)
    times, f0 = acoustics.f0_contour(wave, RATE)
    assert f"F0 {f0[np.abs(times - 0.3).argmin()]:.0f} Hz in the recording" in said(page)


def test_the_network_changes_what_is_heard(show, explorer):
    page = show(explorer)
    before = played(page, "Play relevance")
    found = changed(page, lambda: choose(page, "Network", "speakers"))
    assert found >= OF_RELEVANCE | PROBABILITIES and not found & OF_RECORDING
    assert not np.array_equal(before, played(page, "Play relevance"))
    assert page.execute_script("return model.get('network')") == "speakers"


def test_the_sound_changes_everything(show, explorer):
    page = show(explorer)
    before = played(page, "Play sound")
    found = changed(page, lambda: choose(page, "Sound", "“ah”, a man"))
    assert found >= OF_RELEVANCE | OF_RECORDING | PROBABILITIES | {"F0 of both"}
    assert not np.array_equal(before, played(page, "Play sound"))


def test_the_number_of_shifts_changes_the_relevance(show, explorer):
    page = show(explorer)
    shifts = control(page, "Number of shifts")
    before = played(page, "Play relevance")
    notes = set()
    for _ in range(2):  # 16, 4, 1
        found = changed(page, lambda: shifts.send_keys(Keys.ARROW_LEFT))
        assert found >= OF_RELEVANCE and not found & (OF_RECORDING | PROBABILITIES)
        notes.add(page.find_elements(By.CSS_SELECTOR, ".relviz-note")[2].text)
    assert shifts.get_attribute("aria-valuetext") == "1"
    assert len(notes) == 2 and any("aliasing" in note for note in notes)
    assert page.execute_script("return model.get('shifts')") == 1
    assert not np.array_equal(before, played(page, "Play relevance"))


def test_the_cursor_moves(show, explorer):
    page = show(explorer)
    before = said(page)
    cursor = control(page, "Cursor")
    found = changed(page, lambda: cursor.send_keys(Keys.ARROW_LEFT * 20))
    assert found == OF_RELEVANCE | OF_RECORDING | PROBABILITIES | {"F0 of both"}
    assert said(page) != before
    canvas = page.find_element(By.CSS_SELECTOR, "canvas[aria-label^='Spectrogram of the rec']")
    before = cursor.get_attribute("value")
    canvas.click()  # in its middle
    assert cursor.get_attribute("value") != before


def test_play_stops(show, explorer):
    page = show(explorer)
    page.find_element(By.XPATH, "//button[.='Play sound']").click()
    page.find_element(By.XPATH, "//button[.='Stop']").click()
    WebDriverWait(page, 5).until(lambda _: page.find_elements(By.XPATH, "//button[.='Play sound']"))


def test_without_the_networks_it_says_what_to_do(show, explorer):
    page = show(explorer)
    assert "This page does not bring the networks along" in where(page)
    assert "Binder" in where(page)
    for element in (control(page, "Your own file"), page.find_element(By.XPATH, "//*[.='Record']")):
        assert not element.is_enabled()
        described = page.find_element(By.ID, element.get_attribute("aria-describedby"))
        assert described.text == where(page)


def test_every_control_is_reached_with_the_keyboard(show, explorer):
    page = show(explorer)
    wanted = page.find_elements(By.CSS_SELECTOR, ".relviz :is(select, button, input):enabled")
    assert len(wanted) == 8
    for element in wanted:
        page.switch_to.active_element.send_keys(Keys.TAB)
        assert page.switch_to.active_element == element


def test_it_fits_a_phone(show, explorer):
    page = show(explorer, width=360)
    assert page.execute_script("return document.documentElement.scrollWidth") == 360
    browser.resize(page, 1280)


def test_python_chooses_too(show, explorer):
    page = show(explorer)
    for name, value in (
        *(("network", "speakers"), ("method", "gradient")),
        *(("sound", "“oh”, a man"), ("shifts", 4)),
    ):
        set_ = f"model.set({name!r}, {json.dumps(value)})"
        assert changed(page, lambda script=set_: page.execute_script(script)) >= OF_RELEVANCE
    assert control(page, "Network").get_attribute("value") == "speakers"
    assert control(page, "Sound").get_attribute("value") == "“oh”, a man"
    assert control(page, "Number of shifts").get_attribute("aria-valuetext") == "4"
    assert control(page, "Method").get_attribute("value") == "gradient"


# ---- with a kernel ----


@pytest.fixture
def talk(show, explorer, monkeypatch):
    """An explorer whose page reaches Python: (page, wait(until) answering it, what it asked)."""
    page = harness.PAGE
    for old, new in {
        "on: (name, f) => (heard[name] ??= []).push(f),": "on: (name, f) => {{ "
        "(heard[name] ??= []).push(f); if (name === 'msg:custom') window.tell = f; }},",
        "send: (message) => {{ (window.sent ??= []).push(message); }}": "send: (message, _, g) => "
        "{{ (window.sent ??= []).push([message, g.map((b) => [...new Float32Array(b)])]); }}",
    }.items():
        assert page.count(old) == 1
        page = page.replace(old, new)
    monkeypatch.setattr(harness, "PAGE", page)
    browser_ = show(explorer)
    asked, answers = [], []
    monkeypatch.setattr(explorer, "send", lambda *answer: answers.append(answer), raising=False)

    def turn(until) -> bool:
        for question, given in browser_.execute_script("return (window.sent ?? []).splice(0)"):
            asked.append(question["ask"])
            explorer._receive(None, question, [np.array(g, "<f4").tobytes() for g in given])
            answer, buffers = answers.pop()
            browser_.execute_script(
                "tell(arguments[0], arguments[1].map("
                "(b) => new DataView(Float32Array.from(b).buffer)))",
                answer,
                [np.frombuffer(buffer, "<f4").tolist() for buffer in buffers],
            )
        return until()

    def wait(until) -> None:
        WebDriverWait(browser_, 60, 0.05).until(lambda _: turn(until))

    return browser_, wait, asked


def test_the_kernel_listens_where_the_page_cannot(talk, tmp_path, nets):
    page, wait, asked = talk
    wait(lambda: "kernel runs the networks" in where(page))
    before = pictures(page)
    wave = synthetic.vowel(200, (700, 1200, 2500), duration=0.6)
    wave = wave + np.float32(1e-3) * np.random.default_rng(0).standard_normal(len(wave), np.float32)
    soundfile.write(tmp_path / "own.wav", wave, RATE, subtype="FLOAT")
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    wait(lambda: len(asked) == 3 and not busy(page))
    after = pictures(page)
    assert all(after[title] != before[title] for title in OF_RELEVANCE | PROBABILITIES)
    assert control(page, "Sound").get_attribute("value") == "your file"
    hop = live.hop(nets["phones"].window, 270, 16)
    expected = relviz.relevance_signal(nets["phones"], wave, hop)
    heard = played(page, "Play relevance")
    alike(heard, 0.5 * expected / np.abs(expected).max(), 1e-5)
    (best, _), *_ = hears(nets["phones"], wave, 0.3)
    assert f"the network hears {best} as in" in said(page)
    assert asked == ["hello", "probabilities", "relevance"]


def test_a_kernels_refusal_is_shown(talk, tmp_path, monkeypatch, explorer):
    page, wait, _ = talk
    wait(lambda: "kernel runs the networks" in where(page))
    monkeypatch.setattr(explorer, "_probabilities", lambda *_: [][0])
    soundfile.write(tmp_path / "own.wav", np.random.default_rng(0).uniform(-1, 1, RATE), RATE)
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    wait(lambda: said(page) == "list index out of range")


# ---- Python's side ----


@pytest.mark.parametrize("method", live.METHODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_kernel_answers(explorer, nets, name, method):
    wave = np.random.default_rng(0).standard_normal(12000).astype("<f4")
    plan = {"network": name, "method": method, "first": 100, "hop": 503, "count": 20}
    answers = {
        what: np.frombuffer(explorer.answer({"ask": what, **plan}, [wave.tobytes()])[1][0], "<f4")
        for what in ("probabilities", "relevance")
    }
    centres = (100, 100 + 19 * 503)
    expected = relviz.relevance_signal(nets[name], wave, 503, centres=centres, method=method)
    np.testing.assert_allclose(answers["relevance"], expected, rtol=1e-5, atol=1e-6)
    rows = answers["probabilities"].reshape(20, -1)
    for i in (0, 7, 19):
        truth = dict(hears(nets[name], wave, (100 + 503 * i) / RATE))
        expected = [truth[each] for each in nets[name].metadata.classes]
        np.testing.assert_allclose(rows[i], expected, atol=1e-5)


def test_the_kernel_refuses_what_lasts_too_long(explorer):
    plan = {
        "ask": "relevance",
        "network": "phones",
        "method": "guided",
        "first": 0,
        "hop": 97,
        "count": 1,
    }
    with pytest.raises(ValueError, match=r"lasts 5\.0 s: cut it to 4 s\.$"):
        explorer.answer(plan, [np.zeros(5 * RATE, "<f4").tobytes()])


def test_the_kernel_refuses_silence(explorer):
    plan = {
        "ask": "relevance",
        "network": "phones",
        "method": "guided",
        "first": 0,
        "hop": 97,
        "count": 1,
    }
    with pytest.raises(audio.AudioError, match="is silent"):
        explorer.answer(plan, [np.zeros(RATE, "<f4").tobytes()])


def test_the_kernel_refuses_another_question(explorer):
    with pytest.raises(ValueError, match="cannot answer 'weather'"):
        explorer.answer({"ask": "weather"}, [])


def test_it_refuses_to_begin_with_nothing():
    with pytest.raises(ValueError, match="needs a recording"):
        LiveExplorer({})


@pytest.mark.parametrize(
    ("wave", "words"),
    [
        (np.ones(RATE, np.float32), "the recording 'a' is silent"),
        (np.ones(100, np.float32), "fewer than the 8000 that are needed"),
        (np.random.default_rng(0).standard_normal(5 * RATE), r"lasts 5\.0 s: cut it to 4 s"),
    ],
)
def test_it_refuses_recordings_that_cannot_be_used(wave, words):
    with pytest.raises(audio.AudioError, match=words):
        LiveExplorer({"a": wave})


def test_the_range_of_f0_can_be_chosen(show):
    pulses = np.zeros(RATE, np.float32)
    pulses[::27] = 1.0  # 593 Hz
    page = show(LiveExplorer({"a child": pulses}, ceiling=550))
    assert "F0 593 Hz" not in said(page)
    for range_, words in (
        ("100 to 800 Hz", "F0 593 Hz"),
        ("50 to 300 Hz", "F0 296 Hz (at a limit"),
    ):
        choose(page, "F0 searched", range_)
        assert words in said(page)


@pytest.mark.parametrize("limits", [{"floor": 600}, {"floor": 0}])
def test_limits_that_leave_nothing_to_search_are_refused(limits):
    with pytest.raises(ValueError, match="make no search: give 0 < floor < ceiling"):
        LiveExplorer(**limits)


def test_the_kernel_refuses_what_is_not_finite(explorer):
    plan = {"ask": "probabilities", "network": "phones", "first": 0, "hop": 97, "count": 1}
    with pytest.raises(audio.AudioError, match="NaN or infinite"):
        explorer.answer(plan, [np.full(RATE, np.nan, "<f4").tobytes()])


def test_it_takes_recordings(show):
    wave = synthetic.sentence(synthetic.SENTENCES[1], "Male1").wave[: int(LONGEST * RATE)]
    page = show(LiveExplorer({"a sentence": wave}))
    expected = 0.5 * wave / np.abs(wave).max()
    np.testing.assert_allclose(played(page, "Play sound"), expected, atol=1e-3)
    assert control(page, "Sound").text == "a sentence"
