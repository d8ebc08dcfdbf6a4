"""The knob explorer without its networks in the page: its vowels, its state, and with a kernel."""

import itertools
import json
import zlib

import numpy as np
import pytest
import torch
import traitlets
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from relviz import networks, signals
from relviz.corpora import cued, synthetic
from relviz.corpora.cued import CUES
from relviz.corpora.tokens import VOWELS
from relviz.widgets import KnobExplorer, knob
from tests.widgets.page import changed, choose, control, pictures, played
from tests.widgets.test_live import talk  # noqa: F401
from tools import browser

RATE = 16000
SPECTRUM = {"Spectrum of the vowel"}
LABELS = {name: name for name in CUES} | {"tilt": "Tilt", "noise": "Noise, 4 to 6 kHz"}


@pytest.fixture(scope="module")
def explorer():
    return KnobExplorer()


@pytest.fixture(scope="module")
def fixed(explorer):
    """What the page knows of the synthesiser."""
    return unpacked(explorer)["about"]["fixed"]


def unpacked(explorer):
    """The head of what travels."""
    data = zlib.decompress(explorer.data)
    return json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])


def said(page) -> str:
    return page.find_element(By.CSS_SELECTOR, "[role=status]").text


def where(page) -> str:
    return page.find_element(By.CSS_SELECTOR, ".relviz > p:not(.relviz-caption)").text


def rows(page, network, kind):
    """What a network's table shows: first cell -> the texts of the others."""
    script = """
    const table = document.querySelector(
      `[data-network="${arguments[0]}"] .relviz-${arguments[1]} tbody`);
    return [...table.rows].map((r) => [...r.cells].map((c) => c.textContent));
    """
    found = page.execute_script(script, network, kind)
    return {name: [text for text in texts if text] for name, *texts in found}


# ---- the synthesiser ----


SYNTHESISE = """
const { synthesise } = m;
return args[0].map(([cues, fixed, seed]) => [...synthesise(cues, fixed, seed)]);
"""


def test_the_page_makes_the_vowels_of_the_library(module, fixed):
    drawn = [({name: vowel.cue(name) for name in CUES}, vowel.seed) for vowel in cued.draw(6, 3)]
    cases = [
        *drawn,
        *((knob.preset(vowel, sex), 0) for vowel in ("iy", "oa", "er") for sex in knob.VOICES),
        *(({name: limits[end] for name, limits in knob.ranges().items()}, 9) for end in (0, 1)),
        ({**knob.preset(), "F0": 79.0}, 2**32 - 2),  # as many harmonics as 7900 Hz has room for
    ]
    given = [[cues, fixed, seed] for cues, seed in cases]
    for (cues, seed), found in zip(cases, module("synth.js", SYNTHESISE, given), strict=True):
        formants = (cues["F1"], cues["F2"], cues["F3"], *cued.HIGHER)
        expected = cued.synthesise(
            cues["F0"], formants, cues["tilt"], cues["noise"], duration=knob.DURATION, seed=seed
        )
        assert np.abs(expected).max() > 0.05
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**31, 2**32 - 1])
def test_numbers_that_look_random_are_the_same(module, seed):
    found = module("synth.js", "return [...m.uniform(1000, args[0])]", seed)
    np.testing.assert_array_equal(found, cued.uniform(1000, seed))


def test_the_resonances_are_where_they_should_be(module, fixed):
    code = "return args[0].map((f) => Math.hypot(...m.response(f, args[1], args[2])))"
    cues = {**knob.preset("ah", "M"), "tilt": 0.0}
    hertz = np.arange(100, 4000, 5.0)
    found = np.array(module("synth.js", code, hertz.tolist(), cues, fixed))
    peaks = hertz[1:-1][(found[1:-1] > found[:-2]) & (found[1:-1] > found[2:])]
    np.testing.assert_allclose(peaks, [cues["F1"], cues["F2"], cues["F3"]], atol=20)


# ---- functions ----


def test_presets_are_the_mean_vowels_on_the_knobs_steps():
    assert set(knob.WORDS) == set(VOWELS)
    for sex in knob.VOICES:
        for vowel, means in synthetic.MEANS[sex].items():
            cues = knob.preset(vowel, sex)
            assert list(cues) == list(CUES)
            for name, mean in zip(("F0", "F1", "F2", "F3"), means, strict=True):
                assert abs(cues[name] - mean) <= knob.STEPS[name] / 2
            assert all((cues[name] / knob.STEPS[name]).is_integer() for name in CUES)


@pytest.mark.parametrize("given", [("ee", "M"), ("iy", "child")])
def test_what_is_no_preset_is_refused(given):
    with pytest.raises(ValueError, match=r"there is no vowel '.*' of '.*': use one of iy, ih,"):
        knob.preset(*given)


def test_the_knobs_reach_what_is_drawn_and_all_presets():
    for name, (low, high) in knob.ranges().items():
        values = [knob.preset(vowel, sex)[name] for vowel in knob.WORDS for sex in knob.VOICES]
        assert low <= min(CUES[name].low, *values) and high >= max(CUES[name].high, *values)


def test_the_untrained_network_is_that_of_its_seed():
    net = knob.network("untrained")
    born = networks.build(networks.PHONE_CNN, 40, seed=0)
    for one, other in zip(net.parameters(), born.parameters(), strict=True):
        assert torch.equal(one, one.half().float())
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-7)
    assert net.metadata.classes == knob.network("phones").metadata.classes


def test_another_network_is_refused():
    with pytest.raises(ValueError, match="'cats' is no network here: use one of phones, speakers"):
        knob.network("cats")


@pytest.mark.parametrize("name", ["phones", "speakers"])
def test_a_vowel_is_heard_in_its_middle(name):
    net, wave = knob.network(name), knob.wave(knob.preset("ah", "F"))
    start = len(wave) // 2 - net.window // 2
    window = torch.from_numpy(wave[None, start : start + net.window])
    with torch.no_grad():
        expected = net(signals.standardise(window)).softmax(-1)[0]
    np.testing.assert_allclose(knob.probabilities(net, [wave])[0], expected, atol=1e-6)
    # and it fills the window: nothing of onset or offset is heard
    assert len(wave) - 2 * cued.FADE * RATE > net.window


def test_how_far_decisions_lie_apart():
    rng = np.random.default_rng(0)
    given = rng.dirichlet(np.ones(5), 4)
    pairs = [(p * np.log(p / q)).sum() for p, q in itertools.permutations(given, 2)]
    assert knob.apart(given) == pytest.approx(np.mean(pairs))


def test_divergence_is_that_of_kullback_and_leibler(module):
    p, q = np.random.default_rng(1).dirichlet(np.ones(40), 2)
    code = """
        return [[args[0], args[1]], [args[0], args[0]], [[0, 1], [1, 0]]].map(
          (pair) => m.divergence(...pair));"""
    found, none, most = module("knob.js", code, p.tolist(), q.tolist())
    assert found == pytest.approx((p * np.log(p / q)).sum()) and none == 0
    assert 80 < most < 100  # what no number of single precision holds is not infinite


def test_numbers_for_the_eye(module):
    code = "return [args[0].map(m.natsInWords), args[1].map(m.shareInWords)]"
    nats, shares = module("knob.js", code, [0, 1e-5, 0.0001, 0.0071, 3.426], [0, 1e-4, 0.005, 1.56])
    assert nats == ["0", "0", "0.0001", "0.0071", "3.43"]
    assert shares == ["0 %", "< 1 %", "1 %", "156 %"]


# ---- Python's side ----


@pytest.mark.slow
def test_it_is_light(explorer):
    assert len(explorer.data) < 20_000


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"F1": 200.0}, "F1 is 200.0: give 280 to 920 Hz"),
        ({"F0": float("nan")}, "F0 is nan: give 90 to 280 Hz"),
        ({"tilt": None}, "tilt is None: give -6 to 2 dB per octave"),
        ({"F4": 4000.0}, "there are no knobs but F0, F1, F2, F3, tilt, noise"),
    ],
)
def test_values_that_no_knob_has_are_refused(explorer, values, words):
    with pytest.raises(traitlets.TraitError, match=words):
        explorer.values = {**explorer.values, **values}


def test_networks_that_there_are_not_are_refused(explorer):
    with pytest.raises(traitlets.TraitError, match="'cats' is no network here: use some of phones"):
        explorer.shown = ["cats"]


def test_a_vowel_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="there is no vowel 'ee' of 'M'"):
        KnobExplorer("ee")


@pytest.mark.slow
@pytest.mark.parametrize("name", knob.NETWORKS)
def test_the_kernel_answers(explorer, name):
    wave = knob.wave(knob.preset("uh", "F"))
    question = {"ask": "probabilities", "network": name}
    _, (found,) = explorer.answer(question, [wave.tobytes()])
    expected = knob.probabilities(knob.network(name), [wave])[0]
    np.testing.assert_allclose(np.frombuffer(found, "<f4"), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("question", "wave", "words"),
    [
        ({"ask": "weather"}, np.ones(9600), "cannot answer 'weather'"),
        ({"ask": "probabilities", "network": "cats"}, np.ones(9600), "'cats' is no network here"),
        ({"ask": "probabilities", "network": "phones"}, np.zeros(9600), "the vowel is silent"),
        ({"ask": "probabilities", "network": "phones"}, np.ones(100), "fewer than the 4000"),
    ],
)
def test_the_kernel_refuses(explorer, question, wave, words):
    with pytest.raises(ValueError, match=words):
        explorer.answer(question, [wave.astype("<f4").tobytes()])


# ---- the explorer on a page ----


def test_it_shows_what_came_with_it(show, explorer):
    page = show(explorer)
    for vowel, sex in (("eh", "M"), ("iy", "F")):
        choose(page, "Vowel", vowel)
        choose(page, "Voice", sex)
        net = knob.network("phones")
        (expected,) = knob.probabilities(net, [knob.wave(knob.preset(vowel, sex))])
        shown = rows(page, "phones", "bars")
        best = np.argsort(-expected)[:5]
        names = [name.split(" ")[0] for name in shown]
        assert names == [net.metadata.classes[k] for k in best]
        percents = [float(text.split(" ")[0]) for (text,) in shown.values()]
        np.testing.assert_allclose(percents, 100 * expected[best], atol=0.6)
        words = f"“{knob.WORDS[vowel]}”, {knob.VOICES[sex]}: phones {names[0]}"
        assert said(page).startswith(words)
    assert "This page does not bring the networks along" in where(page)
    assert "Binder" in where(page)


def test_it_plays_its_vowel(show, explorer):
    page = show(explorer)
    choose(page, "Vowel", "oa")
    choose(page, "F0", 155)
    expected = knob.wave({**knob.preset("oa", "M"), "F0": 155.0})
    heard = played(page, "Play")
    np.testing.assert_allclose(heard, 0.5 * expected / np.abs(expected).max(), atol=1e-6)


def test_it_plays_while_it_is_turned(show, explorer):
    page = show(explorer)
    choose(page, "F1", 400)
    page.execute_async_script("setTimeout(arguments[0], 300)")
    assert page.execute_script("return window.played") == []
    control(page, "Play while turning").click()
    (first,) = page.execute_script("return window.played.splice(0)")
    choose(page, "F1", 500)
    page.execute_async_script("setTimeout(arguments[0], 400)")
    (second,) = page.execute_script("return window.played.splice(0)")
    assert np.abs(np.array(first) - second).max() > 0.1


@pytest.mark.parametrize("name", CUES)
def test_each_knob_turns_with_the_keyboard(show, explorer, name):
    page = show(explorer)
    before = page.execute_script("return model.get('values')")
    slider = control(page, LABELS[name])
    # of the noise, one step is less than a pixel
    found = changed(page, lambda: slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT))
    assert found == SPECTRUM
    after = page.execute_script("return model.get('values')")
    assert after == {**before, name: before[name] + 2 * knob.STEPS[name]}
    unit = CUES[name].unit
    assert slider.get_attribute("aria-valuetext").endswith(f" {unit}")
    page.find_element(By.XPATH, "//button[.='Back to the vowel']").click()
    assert page.execute_script("return model.get('values')") == before


def test_networks_come_and_go(show, explorer):
    page = show(explorer)
    script = "return [...document.querySelectorAll('[data-network]')].map((f) => f.dataset.network)"
    assert page.execute_script(script) == [n for n in knob.NETWORKS if n in knob.SHOWN]
    control(page, "speakers").click()
    control(page, "untrained").click()
    assert page.execute_script(script) == ["phones", "speakers", "cues-F0", "cues-F1"]
    assert next(iter(rows(page, "speakers", "bars"))).startswith("reader ")
    assert "speakers reader " in said(page) and "untrained" not in said(page)
    shown = page.execute_script("return model.get('shown')")
    assert sorted(shown) == ["cues-F0", "cues-F1", "phones", "speakers"]


def test_python_leads_too(show, explorer):
    page = show(explorer)
    values = knob.preset("ah", "F")
    before = pictures(page)
    page.execute_script("model.set('values', arguments[0])", values)
    assert pictures(page) != before
    assert control(page, "F1").get_attribute("value") == f"{values['F1']:g}"
    assert "phones A" in said(page)
    page.execute_script("model.set('shown', ['cues-F2'])")
    assert not control(page, "phones").is_selected() and control(page, "cues-F2").is_selected()
    assert said(page).count("cues-") == 1


def test_without_networks_it_says_what_to_do(show, explorer):
    page = show(explorer)
    choose(page, "F1", 400)
    assert said(page) == where(page)
    assert rows(page, "phones", "gauges")["F1"] == ["–", "–", "–"]


def test_every_control_is_reached_with_the_keyboard(show, explorer):
    page = show(explorer)
    wanted = page.find_elements(By.CSS_SELECTOR, ".relviz :is(select, button, input):enabled")
    assert len(wanted) == 5 + len(CUES) + len(knob.NETWORKS)
    for element in wanted:
        page.switch_to.active_element.send_keys(Keys.TAB)
        assert page.switch_to.active_element == element


def test_it_fits_a_phone(show, explorer):
    page = show(explorer, width=360)
    for name in knob.NETWORKS:
        if name not in knob.SHOWN:
            control(page, name).click()
    assert page.execute_script("return document.documentElement.scrollWidth") == 360
    browser.resize(page, 1280)


def test_with_a_kernel_the_gauges_move(talk):  # noqa: F811
    page, wait, asked = talk
    wait(lambda: "kernel runs the networks" in where(page))
    choose(page, "F1", 450)
    wait(lambda: said(page).startswith("F1 590 → 450 Hz: phones "))
    assert asked == ["hello"] + ["probabilities"] * 2 * len(knob.SHOWN)
    start = knob.preset("eh", "M")
    waves = [knob.wave(start), knob.wave({**start, "F1": 450.0})]
    before, after = knob.probabilities(knob.network("phones"), waves)
    nats = (before * np.log(before / after)).sum()
    share, shown, winner = rows(page, "phones", "gauges")["F1"]
    assert float(shown) == pytest.approx(nats, abs=0.01)
    assert float(share.removesuffix(" %")) > 20
    assert winner == ("same" if before.argmax() == after.argmax() else "new")
