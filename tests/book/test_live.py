"""The live explorer with its networks in the page, as a browser gets them from the built site.

Needs `_build/assets`: run `make pages`, or tools/vendor.py and tools/live.py.
"""

import base64
import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

import relviz
from relviz import audio, signals
from relviz.corpora import synthetic
from relviz.widgets import live
from relviz.widgets.live import LONGEST, NETWORKS, STEP, LiveExplorer
from tests.book.toc import ROOT
from tests.widgets import conftest as harness
from tests.widgets.conftest import module, show  # noqa: F401
from tests.widgets.page import choose, control, pictures, played
from tests.widgets.test_live import (
    OF_RECORDING,
    OF_RELEVANCE,
    PROBABILITIES,
    alike,
    busy,
    hears,
    said,
    where,
)

RATE = 16000
ASSETS = ROOT / "_build" / "assets"
AXE = ROOT / "_build" / "npm" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """The site's static folder, beside the page of the fixtures `show` and `module`."""
    for path in (*(f"live/{name}.onnx" for name in NETWORKS), "vendor/onnxruntime-web"):
        assert (ASSETS / path).exists(), f"{ASSETS / path} is not there: run make pages"
    (tmp_path / "assets").symlink_to(ASSETS)
    return tmp_path / "assets"


@pytest.fixture
def site(chrome):
    """What explorers.js tells every page of the book: where the static folder is."""
    script = "globalThis.relvizAssets = new URL('assets/', location.href).href;"
    command = "Page.addScriptToEvaluateOnNewDocument"
    added = chrome.execute_cdp_cmd(command, {"source": script})
    chrome.get_log("performance")
    yield
    chrome.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.fixture(scope="module")
def explorer():
    return LiveExplorer()


@pytest.fixture(scope="module")
def nets():
    return {
        name: live.newborn() if name == live.UNTRAINED else relviz.load(name) for name in NETWORKS
    }


@pytest.fixture(scope="module")
def speech():
    """Six vowels in the faint noise of a room, 3 s: the same in each process, unlike sentences."""
    tokens = [(f0, formants) for f0, *formants in synthetic.MEANS["M"].values()][::2]
    wave = np.concatenate([synthetic.vowel(*token, duration=0.5) for token in tokens])
    noise = np.random.default_rng(0).standard_normal(3 * RATE, dtype=np.float32)
    return wave[: 3 * RATE] + np.float32(1e-3) * noise


def give(page, path, wave, rate=RATE) -> None:
    """Choose a file, and wait until the network has listened to it."""
    soundfile.write(path, wave, rate, subtype="FLOAT")
    control(page, "Your own file").send_keys(str(path))
    idle(page, f"arguments[0].files[0]?.name === {path.name!r}")


def idle(page, condition="true") -> None:
    """Wait until nothing is being computed."""
    element = control(page, "Your own file")
    sound = control(page, "Sound")

    def done(_) -> bool:
        held = page.execute_script(f"return {condition}", element)
        own = sound.get_attribute("value") in ("your file", "your recording")
        return held and own and not busy(page) and "At " in said(page)

    WebDriverWait(page, 60, 0.05).until(done)


# ---- the engine ----


@pytest.mark.parametrize("name", NETWORKS)
def test_ten_windows_are_heard_as_by_torch(assets, module, nets, name, speech):  # noqa: F811
    net = nets[name]
    centres = 3000 + 4001 * np.arange(12)
    cut = audio.frame(speech, net.window, centres - net.window // 2)
    windows = signals.standardise(torch.from_numpy(cut)).numpy()
    # Where two values of a pooling all but tie, rounding decides which wins, and torch's own single
    # and double precision differ: such windows have no one right answer.
    double = relviz.relevance(deepcopy(net).double(), torch.from_numpy(windows).double())
    off = (relviz.relevance(net, torch.from_numpy(windows)) - double).abs().amax(-1)
    windows = windows[(off <= 1e-5 * double.abs().amax(-1)).numpy()][:10]
    assert len(windows) == 10
    code = """
        const told = [];
        const assets = new URL("assets/", location.href).href;
        const run = await m.engine(assets, args[0], (...sizes) => told.push(sizes));
        const bytes = Uint8Array.from(atob(args[1]), (c) => c.charCodeAt(0));
        const { probabilities, winner, relevance } = await run(new Float32Array(bytes.buffer), 10);
        return { probabilities: [...probabilities], winner, relevance: [...relevance], told };"""
    found = module("engine.js", code, name, base64.b64encode(windows.tobytes()).decode())
    x = torch.from_numpy(windows)
    with torch.no_grad():
        expected = net(x).softmax(-1)
    assert found["winner"] == expected.argmax(-1).tolist() and len(set(found["winner"])) > 1
    np.testing.assert_allclose(
        np.reshape(found["probabilities"], expected.shape), expected, atol=1e-5
    )
    truth = relviz.relevance(net, x).numpy()
    relevance = np.reshape(found["relevance"], truth.shape)
    differences = np.abs(relevance - truth).max(1) / np.abs(truth).max(1)
    assert differences.max() <= 1e-4
    # what it said of its loading: megabytes so far, and in all
    (last, whole), sizes = found["told"][-1], [size for size, _ in found["told"]]
    files = ("vendor/onnxruntime-web/ort-wasm-simd-threaded.wasm", f"live/{name}.onnx")
    assert last == whole == pytest.approx(sum((ASSETS / f).stat().st_size for f in files) / 1e6)
    assert sizes == sorted(sizes) and len(sizes) > 2


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rule", [(4, "guided"), (16, "guided"), (16, "gradient")])
def test_an_utterance_is_heard_as_by_the_library(assets, module, nets, name, rule, speech):  # noqa: F811
    shifts, method = rule
    net, wave = nets[name], speech[:20000]
    hop = live.hop(net.window, signals.stride(net), shifts)
    code = """
        const run = await m.engine(new URL("assets/", location.href).href, args[0]);
        const bytes = Uint8Array.from(atob(args[1]), (c) => c.charCodeAt(0));
        const samples = new Float32Array(bytes.buffer);
        const plan = { window: args[2], first: 0, hop: args[3], count: args[4] };
        const { rows, relevance } = await m.listen(run, samples, plan, { least: args[5] });
        const winners = rows.map((r) => r.indexOf(Math.max(...r)));
        return { relevance: [...relevance], winners };"""
    count = (len(wave) - 1) // hop + 1
    coded = base64.b64encode(wave.tobytes()).decode()
    least = {"guided": 0, "gradient": float(np.finfo(np.float32).min)}[method]
    found = module("engine.js", code, name, coded, net.window, hop, count, least)
    expected = relviz.relevance_signal(net, wave, hop, method=method)
    alike(found["relevance"], expected, 1e-5)
    for i in range(0, count, 5):
        best = hears(net, wave, i * hop / RATE)[0][0]
        assert net.metadata.classes[found["winners"][i]] == best


def test_a_missing_network_is_named_and_asked_for_again(assets, module):  # noqa: F811
    code = """
        const assets = new URL("assets/", location.href).href;
        const first = await m.engine(assets, "cats").catch((error) => error.message);
        const second = await m.engine(assets, "cats").catch((error) => error.message);
        const run = await m.engine(assets, "phones");
        return [first, second, typeof run];"""
    missing = "cats.onnx is missing (404)"
    assert module("engine.js", code) == [missing, missing, "function"]


# ---- the page ----


@pytest.fixture
def page(show, site, assets, explorer):  # noqa: F811
    return show(explorer)


def test_it_says_that_nothing_leaves_the_machine(page):
    assert where(page).startswith("Nothing leaves your machine: the network runs in this page.")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_is_heard(page, tmp_path, nets, speech, name):
    choose(page, "Network", name)
    before = pictures(page)
    give(page, tmp_path / "own.wav", speech)
    after = pictures(page)
    for title in OF_RELEVANCE | OF_RECORDING | PROBABILITIES | {"F0 of both"}:
        assert after[title] != before[title]
    heard = played(page, "Play sound")
    np.testing.assert_allclose(heard, 0.5 * speech / np.abs(speech).max(), atol=1e-6)
    net = nets[name]
    hop = live.hop(net.window, signals.stride(net), 16)
    expected = relviz.relevance_signal(net, speech, hop)
    heard = played(page, "Play relevance")
    alike(heard, 0.5 * expected / np.abs(expected).max(), 1e-5)
    for time in (0.4, 1.11, 2.5):
        choose(page, "Cursor", time)
        centre = round(time * RATE / STEP) * STEP / RATE  # the nearest window
        best = hears(net, speech, centre)[0][0]
        assert f"hears {'speaker ' if name == 'speakers' else ''}{best} " in said(page)


def test_each_control_changes_what_a_file_gives(page, tmp_path, speech):
    give(page, tmp_path / "own.wav", speech)

    def differs(label, value) -> set[str]:
        before, sound = pictures(page), played(page, "Play relevance")
        choose(page, label, value)
        idle(page)
        if label != "Cursor":
            assert not np.array_equal(sound, played(page, "Play relevance"))
        after = pictures(page)
        return {title for title in after if after[title] != before[title]}

    assert differs("Number of shifts", 1) >= OF_RELEVANCE  # 4
    assert differs("Method", "gradient") >= OF_RELEVANCE
    assert differs("Network", "speakers") >= OF_RELEVANCE | PROBABILITIES
    assert differs("Number of shifts", 0) >= OF_RELEVANCE  # 1
    assert differs("Cursor", 0.5) >= OF_RELEVANCE | OF_RECORDING | PROBABILITIES
    before = pictures(page)
    choose(page, "Sound", "“ah”, a man")
    after = pictures(page)
    assert all(after[title] != before[title] for title in OF_RELEVANCE | OF_RECORDING)


def test_another_rate_and_two_channels(page, tmp_path, speech):
    """The browser's own filter brings it to 16 kHz: not sample for sample that of soxr."""
    stereo = np.stack([audio.resample(speech, RATE, 44100)] * 2, axis=1)
    give(page, tmp_path / "own.wav", stereo, 44100)
    heard = played(page, "Play sound")
    assert abs(len(heard) - len(speech)) <= 2
    size = min(len(heard), len(speech))
    assert np.corrcoef(heard[:size], speech[:size])[0, 1] > 0.99


def test_a_newer_wish_cancels_an_older(page, tmp_path, speech, nets):
    give(page, tmp_path / "own.wav", speech)
    for place in (3, 2, 0, 1):  # 64, 16, 1 and 4 shifts
        choose(page, "Number of shifts", place)
    idle(page)
    hop = live.hop(nets["phones"].window, 270, 4)
    expected = relviz.relevance_signal(nets["phones"], speech, hop)
    heard = played(page, "Play relevance")
    alike(heard, 0.5 * expected / np.abs(expected).max(), 1e-5)
    choose(page, "Number of shifts", 3)  # was cancelled, so there is nothing to play yet
    page.execute_script("window.played.length = 0")
    page.find_element(By.XPATH, "//button[.='Play relevance']").click()
    assert page.execute_script("return window.played") == []
    idle(page)
    played(page, "Play relevance")


def test_the_page_answers_while_the_network_listens(page, tmp_path, speech):
    give(page, tmp_path / "own.wav", speech)
    choose(page, "Number of shifts", 3)
    progress = "return document.querySelector('progress').value"
    WebDriverWait(page, 30, 0.01).until(lambda _: 0 < page.execute_script(progress) < 1)
    before = said(page)
    choose(page, "Cursor", 1.0)
    assert busy(page) and said(page) != before
    text = page.execute_script("return document.querySelector('progress').parentNode.textContent")
    assert "Relevance: " in text and "windows" in text
    idle(page)


def test_what_cannot_be_heard_is_refused(page, tmp_path):
    before = pictures(page)
    soundfile.write(tmp_path / "own.wav", np.zeros(RATE), RATE)
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    words = "own.wav is silent (every sample is 0): use another recording."
    WebDriverWait(page, 10, 0.05).until(lambda _: words in said(page))
    assert pictures(page) == before


def test_what_is_no_sound_is_refused(page, tmp_path):
    (tmp_path / "own.wav").write_text("words")
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    words = "own.wav holds no sound that this browser can read"
    WebDriverWait(page, 10, 0.05).until(lambda _: words in said(page))


def test_of_a_long_file_the_beginning_is_heard(page, tmp_path, speech):
    wave = np.tile(speech, 2)
    soundfile.write(tmp_path / "own.wav", wave, RATE, subtype="FLOAT")
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    words = "own.wav lasts 6.0 s: these are its first 4 s."
    WebDriverWait(page, 60, 0.05).until(lambda _: words in said(page))
    first = wave[: int(LONGEST * RATE)]
    heard = played(page, "Play sound")
    np.testing.assert_allclose(heard, 0.5 * first / np.abs(first).max(), atol=1e-6)


def test_a_short_file_is_heard_by_every_network_between_zeros(page, tmp_path, speech, nets):
    soundfile.write(tmp_path / "own.wav", speech[:3000], RATE, subtype="FLOAT")
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    words = "own.wav lasts 0.19 s and networks hear windows of up to 0.5 s: it stands between "
    words += "zeros."
    WebDriverWait(page, 60, 0.05).until(lambda _: said(page) == words)
    between = np.pad(speech[:3000], 2500)
    for name in ("phones", "speakers"):
        choose(page, "Network", name)
        choose(page, "Cursor", 0.25)
        idle(page)
        hop = live.hop(nets[name].window, signals.stride(nets[name]), 16)
        expected = relviz.relevance_signal(nets[name], between, hop)
        heard = played(page, "Play relevance")
        alike(heard, 0.5 * expected / np.abs(expected).max(), 1e-5)


def test_the_microphone_is_heard_while_it_runs_and_afterwards(page):
    """Chromium's stand-in for a microphone beeps twice a second."""
    before = pictures(page)
    page.find_element(By.XPATH, "//button[.='Record']").click()

    def rolling(known):
        def moved(_) -> bool:
            now = pictures(page)
            return all(now[title] != known[title] for title in PROBABILITIES | OF_RELEVANCE)

        WebDriverWait(page, 60, 0.05).until(moved)
        return pictures(page)

    first = rolling(before)
    assert control(page, "Number of shifts").get_attribute("disabled")
    rolling(first)
    choose(page, "Network", "speakers")
    WebDriverWait(page, 60, 0.05).until(
        lambda _: float(control(page, "Cursor").get_attribute("max")) == 0.5  # its window
    )
    choose(page, "Network", "phones")
    if not page.find_elements(By.XPATH, "//button[.='Stop recording']"):
        # by then a busy machine has recorded as long as it may
        page.find_element(By.XPATH, "//button[.='Record']").click()
    # long enough for two beeps
    page.execute_async_script("setTimeout(arguments[0], 1500)")
    page.find_element(By.XPATH, "//button[.='Stop recording']").click()
    idle(page)
    assert control(page, "Sound").get_attribute("value") == "your recording"
    assert not control(page, "Number of shifts").get_attribute("disabled")
    sound, relevance = played(page, "Play sound"), played(page, "Play relevance")
    assert 1.5 * RATE < len(sound) <= LONGEST * RATE and len(relevance) == len(sound)
    assert np.abs(relevance).max() == pytest.approx(0.5)
    beeps = np.flatnonzero(np.abs(sound) > 0.25)
    assert np.ptp(beeps) > 0.4 * RATE
    # and once more, given up for another sound
    page.find_element(By.XPATH, "//button[.='Record']").click()
    rolling(pictures(page))
    choose(page, "Sound", "“oh”, a man")
    WebDriverWait(page, 10).until(lambda _: "At 0.275 s the network hears" in said(page))
    assert page.find_elements(By.XPATH, "//button[.='Record']")


def test_nothing_is_asked_of_others(page, chrome, tmp_path, speech):
    give(page, tmp_path / "own.wav", speech)
    choose(page, "Network", "speakers")
    idle(page)
    events = [json.loads(entry["message"])["message"] for entry in chrome.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.endswith("speakers.onnx") for url in asked)
    assert any(url.endswith(".wasm") for url in asked)
    inside = ("http://127.0.0.1:", "data:", "blob:")
    assert not [url for url in asked if not url.startswith(inside)]
    # and the sound goes nowhere
    methods = {e["params"]["request"]["method"] for e in events if "request" in e["params"]}
    assert methods <= {"GET"}


def test_without_its_assets_it_shows_what_it_has(show, site, explorer, tmp_path, speech, chrome):  # noqa: F811
    page = show(explorer)
    before = pictures(page)
    soundfile.write(tmp_path / "own.wav", speech, RATE)
    control(page, "Your own file").send_keys(str(tmp_path / "own.wav"))
    words = "The network could not be loaded ("
    WebDriverWait(page, 20, 0.05).until(lambda _: said(page).startswith(words))
    assert where(page) == said(page) and "open it on Binder" in said(page)
    assert pictures(page) == before
    assert not control(page, "Your own file").is_enabled()
    assert not page.find_element(By.XPATH, "//button[.='Record']").is_enabled()
    choose(page, "Number of shifts", 0)
    assert (
        pictures(page)["Waveform of the relevance signal"]
        != before["Waveform of the relevance signal"]
    )
    # the browser itself writes down what was missing
    messages = [m["message"] for m in chrome.get_log("browser") if "favicon" not in m["message"]]
    assert messages and all("404" in message for message in messages)


def test_from_a_file_it_shows_what_it_has(explorer, chrome, tmp_path, site, monkeypatch):
    loader = "const address = URL.createObjectURL(new Blob([{code}], {{type: 'text/javascript'}}));"
    page_ = harness.PAGE.replace(
        'import widget from "./widget.js";',
        f"{loader} const widget = (await import(address)).default;",
    )
    state = {k: v for k, v in explorer.get_state().items() if k in explorer.trait_names(sync=True)}
    state = {k: state[k] for k in ("data", "network", "sound", "shifts")}
    state["data"] = base64.b64encode(state["data"]).decode()
    # a script ends at its end tag, wherever that stands
    code = json.dumps(explorer._esm).replace("</", "<\\/")
    text = page_.format(css=explorer._css, state=json.dumps(state), binary='["data"]', code=code)
    (tmp_path / "index.html").write_text(text)
    chrome.get_log("browser")
    chrome.get((tmp_path / "index.html").as_uri())
    WebDriverWait(chrome, 20).until(lambda _: chrome.execute_script("return window.ready"))
    assert "opened as a file" in where(chrome) and "python -m http.server" in where(chrome)
    assert "Binder" in where(chrome)
    assert not control(chrome, "Your own file").is_enabled()
    assert not chrome.find_element(By.XPATH, "//button[.='Record']").is_enabled()
    before = pictures(chrome)
    choose(chrome, "Network", "speakers")
    after = pictures(chrome)
    assert all(after[title] != before[title] for title in OF_RELEVANCE | PROBABILITIES)
    assert not chrome.get_log("browser")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_serious(show, site, assets, explorer, theme, width):  # noqa: F811
    page = show(explorer, width)
    dark = theme == "dark"
    page.execute_script(
        "document.documentElement.dataset.theme = arguments[0];"
        "document.documentElement.style.setProperty('--pst-color-background', arguments[1]);"
        "document.documentElement.style.setProperty('--pst-color-text-base', arguments[2]);"
        "document.body.style.background = arguments[1];"
        "document.body.style.color = arguments[2];",
        theme,
        "#121212" if dark else "#fff",
        "#ced6dd" if dark else "#222",
    )
    page.execute_script(AXE.read_text())
    found = page.execute_async_script(
        "const done = arguments[0]; axe.run('.relviz').then((r) => done(r.violations))"
    )
    assert not [(v["id"], v["nodes"]) for v in found if v["impact"] in ("serious", "critical")]
    assert page.execute_script("return document.documentElement.scrollWidth") == width
