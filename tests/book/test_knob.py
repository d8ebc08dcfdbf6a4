"""The knob explorer with its networks in the page, as a browser gets them from the built site.

Needs `_build/assets`: run `make pages`, or tools/vendor.py and tools/live.py.
"""

import base64
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from relviz.widgets import KnobExplorer, knob
from tests.book.test_live import ASSETS, AXE, site  # noqa: F401
from tests.widgets.conftest import module, show  # noqa: F401
from tests.widgets.page import choose, control
from tests.widgets.test_knob import rows, said, where


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """The site's static folder, beside the page of the fixtures `show` and `module`."""
    needed = [*(f"live/{name}.onnx" for name in knob.NETWORKS), "vendor/onnxruntime-web"]
    for path in needed:
        assert (ASSETS / path).exists(), f"{ASSETS / path} is not there: run make pages"
    (tmp_path / "assets").symlink_to(ASSETS)
    return tmp_path / "assets"


@pytest.fixture(scope="module")
def explorer():
    return KnobExplorer()


@pytest.fixture
def page(show, site, assets, explorer):  # noqa: F811
    return show(explorer)


def settled(page, beginning: str) -> None:
    """Wait until the networks have said what they make of the last turn."""
    WebDriverWait(page, 90, 0.05).until(lambda _: said(page).startswith(beginning))


def share(page, network, name) -> float:
    """What a gauge shows, in per cent of another vowel."""
    return float(rows(page, network, "gauges")[name][0].removeprefix("<").removesuffix("%"))


@pytest.mark.parametrize("name", knob.NETWORKS)
def test_vowels_are_heard_as_by_torch(assets, module, name):  # noqa: F811
    net = knob.network(name)
    waves = [knob.wave(knob.preset(vowel, "F")) for vowel in ("iy", "ah", "uw")]
    code = """
        const run = await m.engine(new URL("assets/", location.href).href, args[0]);
        const found = [];
        for (const coded of args[1]) {
          const bytes = Uint8Array.from(atob(coded), (c) => c.charCodeAt(0));
          const samples = new Float32Array(bytes.buffer);
          const cut = m.cutWindows(samples, [(samples.length - args[2]) >> 1], args[2]);
          found.push([...(await run(m.standardise(cut, 1), 1)).probabilities]);
        }
        return found;"""
    coded = [base64.b64encode(wave.astype("<f4").tobytes()).decode() for wave in waves]
    found = module("engine.js", code, name, coded, net.window)
    np.testing.assert_allclose(found, knob.probabilities(net, waves), atol=1e-5)


def test_f0_leaves_phones_unmoved_and_f1_does_not(page):
    assert where(page).startswith("Nothing leaves your machine")
    choose(page, "F0", 200)
    settled(page, "F0 127 → 200 Hz: phones ")
    page.find_element(By.XPATH, "//button[.='Back to the vowel']").click()
    settled(page, "“head”, a man: phones EH")
    assert rows(page, "phones", "gauges")["F0"] == ["–", "–", "–"]
    choose(page, "F0", 200)
    choose(page, "F1", 450)
    settled(page, "F1 590 → 450 Hz: phones ")
    phones = rows(page, "phones", "gauges")
    assert share(page, "phones", "F1") > 4 * share(page, "phones", "F0")
    assert phones["F0"][2] == "same" and phones["F1"][2] == "new"
    # and those whose answer is known
    assert share(page, "cues-F1", "F1") > 50 > 5 > share(page, "cues-F1", "F0")
    assert share(page, "cues-F0", "F0") > 50 > 5 > share(page, "cues-F0", "F1")
    nats = [float(rows(page, "untrained", "gauges")[name][1]) for name in ("F0", "F1")]
    assert max(nats) < 0.01


def test_a_gauge_is_what_the_library_finds(page):
    choose(page, "F2", 1300)
    settled(page, "F2 1800 → 1300 Hz: phones ")
    start = knob.preset("eh", "M")
    waves = [knob.wave(start), knob.wave({**start, "F2": 1300.0})]
    for name in knob.SHOWN:
        before, after = knob.probabilities(knob.network(name), waves)
        nats = (before * np.log(before / after)).sum()
        shown, winner = rows(page, name, "gauges")["F2"][1:]
        assert float(shown) == pytest.approx(nats, rel=0.01, abs=0.01)
        assert winner == ("same" if before.argmax() == after.argmax() else "new")


def test_an_arrow_key_turns_and_is_answered(page):
    control(page, "F1").send_keys(Keys.ARROW_LEFT)
    settled(page, "F1 590 → 585 Hz: phones ")
    control(page, "F1").send_keys(Keys.ARROW_LEFT)
    settled(page, "F1 590 → 580 Hz: phones ")  # still one turn


def test_a_network_that_comes_later_is_asked_for_all_turns(page):
    choose(page, "F0", 200)
    choose(page, "F1", 450)
    control(page, "speakers").click()
    WebDriverWait(page, 90, 0.05).until(lambda _: "speakers" in said(page))
    assert share(page, "speakers", "F0") > 10
    settled(page, "F1 590 → 450 Hz: phones ")


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
    choose(page, "F1", 450)
    settled(page, "F1 590 → 450 Hz: phones ")
    page.execute_script(AXE.read_text())
    found = page.execute_async_script(
        "const done = arguments[0]; axe.run('.relviz').then((r) => done(r.violations))"
    )
    assert not [(v["id"], v["nodes"]) for v in found if v["impact"] in ("serious", "critical")]
    assert page.execute_script("return document.documentElement.scrollWidth") == width
