"""The Wirtinger explorer in a real browser, held against relviz.spectral and torch's autograd."""

import base64
import io
import itertools
import re

import numpy as np
import pytest
import scipy.signal
import torch
import traitlets
from matplotlib import colormaps
from matplotlib.image import imread
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from relviz import spectral
from relviz.widgets import ReluExplorer, WirtingerExplorer
from relviz.widgets.wirtinger import LENGTHS, WINDOWS, autograd
from tests.widgets.page import changed, choose, connect, control
from tools import browser

SIGNAL = "Gradient f[n]: draw on it"
SUMS = "Sum of the squared windows, s[n]"
PAPER = "|g| in the form “paper” (dB, 60 below its maximum)"
EXACT = "|g| in the form “exact” (dB, 60 below its maximum)"
FACTORS = "Factor |exact| / |paper| of every bin"
FRAMES = "The same factors, frame by frame"
MAPS = {PAPER, EXACT, FACTORS, FRAMES}

STFT = """
const [f, window, hop, form] = args;
const found = m.stftRelevance(Float64Array.from(f), Float64Array.from(window), hop, form);
return found && found.map(({ re, im }) => [Array.from(re), Array.from(im)]);
"""


def in_browser(module, f, window, hop, form):
    """What the page computes: (bins, frames) complex, or None."""
    found = module("wirtinger.js", STFT, f.tolist(), window.tolist(), hop, form)
    return found and np.array([np.array(re) + 1j * np.array(im) for re, im in found]).T


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", WINDOWS)
def test_the_formulas_are_the_librarys(module, name, length):
    window = scipy.signal.get_window(name, length)
    for hop, form in itertools.product([1, 7, 16, 28, 50], ["paper", "exact"]):
        f = np.random.default_rng(hop).standard_normal(200)
        found = in_browser(module, f, window, hop, form)
        try:
            expected = spectral.stft_relevance(f, window, hop, form=form)
        except ValueError:
            assert found is None and form == "exact" and length < 2 * hop
            continue
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize(("name", "length", "hop"), [("hann", 64, 28), ("hamming", 32, 32)])
def test_the_exact_form_is_autograds(module, name, length, hop):
    f = np.random.default_rng(5).standard_normal(256)
    window = scipy.signal.get_window(name, length)
    leaf = torch.zeros(length // 2 + 1, 1 + 256 // hop, dtype=torch.complex128, requires_grad=True)
    x = torch.istft(leaf, length, hop, window=torch.tensor(window), length=256)
    (expected,) = torch.autograd.grad(torch.tensor(f) @ x, leaf)
    found = in_browser(module, f, window, hop, "exact")
    assert np.abs(found - expected.numpy()).max() < 1e-9 * expected.abs().max()


@pytest.fixture(scope="module")
def explorer():
    return WirtingerExplorer()


def get(page, name):
    return page.execute_script("return model.get(arguments[0])", name)


def words(page) -> str:
    return page.find_element(By.CSS_SELECTOR, "[role=status]").text


def label(page, title) -> str:
    name = page.find_element(By.XPATH, f"//figcaption[.='{title}']/../canvas")
    return name.get_attribute("aria-label")


def forms(f, name="hann", length=64, hop=16):
    """|g| in both forms by the library, each (frames, bins); the second None where undefined."""
    window = scipy.signal.get_window(name, length)
    paper = np.abs(spectral.stft_relevance(f, window, hop)).T
    try:
        return paper, np.abs(spectral.stft_relevance(f, window, hop, form="exact")).T
    except ValueError:
        return paper, None


@pytest.mark.parametrize(
    ("name", "value", "kept", "expected"),
    [
        ("Gradient signal", "noise", "kind", {SIGNAL} | MAPS),
        ("Window", "boxcar", "window", {SUMS} | MAPS),
        ("Window length M", 32, "length", {SUMS} | MAPS),
        ("Hop", 28, "hop", {SUMS} | MAPS),
        ("Value of that sample", -0.25, "drawn", {SIGNAL} | MAPS),
        ("Sample to draw", 30, None, {SIGNAL}),
    ],
)
def test_each_choice_changes_its_pictures_and_the_state(
    show, explorer, name, value, kept, expected
):
    page = show(explorer)
    assert changed(page, lambda: choose(page, name, value)) == expected
    if kept == "drawn":
        value = [*explorer.signals["chirp"]]
        value[128] = -0.25
        assert get(page, "kind") == "drawn"
    if kept:
        assert get(page, kept) == value


@pytest.mark.parametrize("kind", ["chirp", "noise", "sinusoid", "comb"])
def test_each_signal_is_another_picture(show, explorer, kind):
    page = show(explorer)
    choose(page, "Gradient signal", kind)
    paper, _ = forms(np.array(explorer.signals[kind]))
    frame, k = np.unravel_index(paper.argmax(), paper.shape)
    assert f"strongest in bin {k} of 32 at sample {16 * frame}" in label(page, PAPER)


def test_an_impulse_has_no_strongest_bin(show, explorer):
    page = show(explorer)
    choose(page, "Gradient signal", "impulse")
    assert "33 bins equally strong at sample 96" in label(page, PAPER)
    assert "31 bins equally strong at sample 96" in label(page, EXACT)


def picture(page, title):
    """What a chart shows, (rows, columns, 3)."""
    canvas = page.find_element(By.XPATH, f"//figcaption[.='{title}']/../canvas")
    url = page.execute_script("return arguments[0].toDataURL()", canvas)
    return imread(io.BytesIO(base64.b64decode(url.split(",")[1])))[..., :3]


def middle(image, frame, k, hop, bins, samples=256):
    """The colour in the middle of a tile: red, green, blue from 0 to 1."""
    rows, columns, _ = image.shape
    x = 48 + frame * hop / samples * (columns - 58)  # LEFT and RIGHT of common.js
    y = 8 + (1 - (k + 0.5) / bins) * (rows - 44)
    return image[int(y), int(x)]


@pytest.mark.parametrize(("hop", "kind"), [(16, "chirp"), (28, "noise")])
def test_the_pictures_show_the_numbers(show, explorer, hop, kind):
    page = show(explorer)
    choose(page, "Gradient signal", kind)
    choose(page, "Hop", hop)
    paper, exact = forms(np.array(explorer.signals[kind]), hop=hop)
    usual = 2 * hop / np.sum(scipy.signal.get_window("hann", 64) ** 2)  # 2 / mean of s
    shares = {
        PAPER: 1 + 20 * np.log10(paper / paper.max()) / 60,
        EXACT: 1 + 20 * np.log10(exact / exact.max()) / 60,
        FACTORS: 0.5 + np.log2(exact / paper / usual) / 4,
    }
    images = {title: picture(page, title) for title in shares}
    rng = np.random.default_rng(0)
    strong = np.argwhere(paper > 2e-3 * paper.max())
    strong = strong[(strong[:, 0] > 0) & (strong[:, 0] < len(paper) - 1)]
    assert len(strong) > 50
    for frame, k in rng.permutation(strong)[:40]:
        for title, share in shares.items():
            found = middle(images[title], frame, k, hop, 33)
            # nine places of magma, and straight lines between: within a few shades
            expected = colormaps["magma"](float(np.clip(share[frame, k], 0, 1)))[:3]
            assert np.abs(found - expected).max() < 0.05, (title, frame, k)


def factors(page):
    """The table: row -> its three numbers as they are written."""
    rows = page.find_elements(By.CSS_SELECTOR, ".relviz-table tr")[1:]
    cells = [[c.text for c in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in rows]
    return {name: values for name, *values in cells}


@pytest.mark.parametrize(
    ("name", "length", "hop"),
    [("hann", 64, 16), ("hann", 64, 28), ("hamming", 32, 12), ("boxcar", 64, 64), ("hann", 16, 4)],
)
def test_the_table_says_the_factors(show, explorer, name, length, hop):
    page = show(explorer)
    for control_, value in {
        "Gradient signal": "noise",
        "Window": name,
        "Window length M": length,
        "Hop": hop,
    }.items():
        choose(page, control_, value)
    paper, exact = forms(np.array(explorer.signals["noise"]), name, length, hop)
    ratio = np.where(paper >= 1e-3 * paper.max(), exact / paper, np.nan)
    # a frame is interior if no frame that its window meets is missing
    meets = [m for m in range(1, length + 1) if m * hop < length]
    reach = max(meets, default=0)
    interior = np.zeros(len(paper), dtype=bool)
    interior[reach : len(paper) - reach] = True
    paired = np.ones(length // 2 + 1, dtype=bool)
    paired[[0, -1]] = False
    expected = {
        "Interior frames": ratio[interior][:, paired],
        "Frames near an end": ratio[~interior][:, paired],
        "DC and Nyquist, interior": ratio[interior][:, ~paired],
    }
    found = factors(page)
    assert list(found) == list(expected)
    for row, values in expected.items():
        values = np.sort(values[np.isfinite(values)])
        if not len(values):
            assert found[row] == ["–"] * 3
            continue
        places = [int(np.floor(q * (len(values) - 1) + 0.5)) for q in (0.05, 0.5, 0.95)]
        np.testing.assert_allclose([float(v) for v in found[row]], values[places], rtol=6e-3)


def test_it_says_that_the_factor_is_constant(show, explorer):
    page = show(explorer)
    assert words(page).startswith("Constant:")
    assert "s = 1.5 in the interior (frames 3 to 13 of 16)" in words(page)
    assert "2 / s = 1.33 times paper" in words(page)
    found = factors(page)
    assert found["Interior frames"] == ["1.33"] * 3
    assert found["DC and Nyquist, interior"] == ["0.667"] * 3


def test_it_says_by_how_much_the_factor_drifts(show, explorer):
    page = show(explorer)
    choose(page, "Hop", 28)
    squared = scipy.signal.get_window("hann", 64) ** 2
    sums = [squared[r::28].sum() for r in range(28)]
    swing = 100 * (max(sums) / min(sums) - 1)
    found = re.search(r"s\[n\] varies by ([\d.]+) % even in the interior", words(page))
    assert float(found[1]) == pytest.approx(swing, rel=6e-3)
    low, _, high = map(float, factors(page)["Interior frames"])
    assert f"nine tenths lie between {low:g} and {high:g}" in words(page) and high > 1.2 * low


@pytest.mark.parametrize(
    ("name", "length", "hop"), [("hann", 64, 64), ("boxcar", 64, 80), ("hamming", 64, 52)]
)
def test_it_says_where_the_exact_form_is_not_defined(show, explorer, name, length, hop):
    page = show(explorer)
    choose(page, "Window", name)
    choose(page, "Window length M", length)
    choose(page, "Hop", hop)
    f = np.array(explorer.signals["chirp"])
    window = scipy.signal.get_window(name, length)
    with pytest.raises(ValueError, match="uncovered") as refused:
        spectral.stft_relevance(f, window, hop, form="exact")
    sample = re.search(r"leave sample \d+ uncovered", str(refused.value))[0]
    assert sample in words(page) and "Take a smaller hop" in words(page)
    assert sample in label(page, FACTORS) and "not defined" in label(page, EXACT)
    assert not page.find_element(By.CSS_SELECTOR, ".relviz-table").is_displayed()
    # the exact form's picture is empty, whatever the signal; the paper's is not
    assert changed(page, lambda: choose(page, "Gradient signal", "noise")) == {SIGNAL, PAPER}
    # and the way out that it names is one
    assert changed(page, lambda: choose(page, "Hop", 16)) == {SUMS} | MAPS
    assert page.find_element(By.CSS_SELECTOR, ".relviz-table").is_displayed()


def test_the_keyboard_draws_one_sample(show, explorer):
    page = show(explorer)
    control(page, "Sample to draw").send_keys(Keys.HOME, Keys.ARROW_RIGHT * 5)
    value = control(page, "Value of that sample")
    assert float(value.get_attribute("value")) == pytest.approx(
        explorer.signals["chirp"][5], abs=0.005
    )
    found = changed(page, lambda: value.send_keys(Keys.HOME, Keys.ARROW_RIGHT * 3))
    assert found == {SIGNAL} | MAPS
    expected = [*explorer.signals["chirp"]]
    expected[5] = -0.97
    assert get(page, "drawn") == pytest.approx(expected, abs=1e-12)
    assert control(page, "Gradient signal").get_attribute("value") == "drawn"
    assert "sample 5 is -0.97" in label(page, SIGNAL)


def test_the_pointer_draws_a_line_without_gaps(show, explorer):
    page = show(explorer)
    choose(page, "Gradient signal", "impulse")
    canvas = page.find_element(By.CSS_SELECTOR, f"canvas[aria-label^='{SIGNAL}']")
    actions = ActionChains(page, duration=20).move_to_element_with_offset(canvas, -100, -30)
    actions.click_and_hold().move_by_offset(200, 60).release().perform()
    drawn, before = np.array(get(page, "drawn")), np.array(explorer.signals["impulse"])
    moved = np.flatnonzero(drawn != before)
    first, last = moved[0], moved[-1]
    width = page.execute_script("return arguments[0].clientWidth", canvas) - 58
    assert last - first == pytest.approx(200 / width * 256, abs=2)
    assert drawn[first] > 0.3 and drawn[last] < -0.3
    # straight from the one to the other, whatever the samples were
    straight = np.linspace(drawn[first], drawn[last], last - first + 1)
    assert np.abs(drawn[first : last + 1] - straight).max() < 0.03
    np.testing.assert_array_equal(np.delete(drawn, moved), np.delete(before, moved))


def test_erasing_leaves_nothing_to_see(show, explorer):
    page = show(explorer)
    erase = page.find_element(By.XPATH, "//button[.='Erase all']")
    assert changed(page, erase.click) == {SIGNAL} | MAPS
    assert not any(get(page, "drawn"))
    assert "zero everywhere" in words(page) and "zero everywhere" in label(page, PAPER)
    # an impulse by hand: its frames have one factor, 2 / s there
    choose(page, "Sample to draw", 100)
    choose(page, "Value of that sample", 1)
    assert "2 / s[100] = 1.33" in words(page)


def test_python_chooses_too(show, explorer):
    page = show(explorer)
    found = changed(page, lambda: page.execute_script("model.set('hop', 28)"))
    assert found == {SUMS} | MAPS
    assert control(page, "Hop").get_attribute("value") == "28"
    drawn = [0.0] * 255 + [1.0]
    script = "model.set('drawn', arguments[0]); model.set('kind', 'drawn')"
    found = changed(page, lambda: page.execute_script(script, drawn))
    assert found == {SIGNAL} | MAPS
    assert "drawn by you" in label(page, SIGNAL)


def test_a_given_signal_comes_first():
    piece = np.random.default_rng(2).standard_normal(100) * 1e-4
    explorer = WirtingerExplorer(piece)
    assert explorer.kind == "given"
    np.testing.assert_allclose(explorer.signals["given"], piece / abs(piece).max(), atol=1e-5)
    assert {len(s) for s in explorer.signals.values()} == {100} == {len(explorer.drawn)}


def test_a_given_signal_is_shown(show):
    piece = np.random.default_rng(2).standard_normal(100)
    explorer = WirtingerExplorer(piece)
    page = show(explorer)
    paper, _ = forms(np.array(explorer.signals["given"]))
    frame, k = np.unravel_index(paper.argmax(), paper.shape)
    assert f"strongest in bin {k} of 32 at sample {16 * frame}" in label(page, PAPER)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ([1.0] * 15, "shape .15,.: give one signal of 16 to"),
        (np.ones((2, 50)), "shape .2, 50."),
        ([1.0] * 20 + [np.nan], "repair the gradient"),
        (np.ones(20) * 1j, "repair the gradient"),
        (np.zeros(20), "zero everywhere"),
    ],
)
def test_it_refuses_what_is_no_gradient(signal, message):
    with pytest.raises(ValueError, match=message):
        WirtingerExplorer(signal)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kind", "given", "'given' is unknown: use one of chirp, noise"),
        ("drawn", [0.0] * 255, "256 finite numbers"),
        ("drawn", [0.0] * 255 + [float("inf")], "256 finite numbers"),
        ("window", "kaiser", "hann"),
        ("length", 48, "64"),
        ("hop", 0, "hop"),
    ],
)
def test_it_refuses_a_choice_that_there_is_not(name, value, message):
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(WirtingerExplorer(), name, value)


def test_every_control_is_reached_with_the_keyboard(show, explorer):
    page = show(explorer)
    wanted = page.find_elements(By.CSS_SELECTOR, ".relviz :is(select, button, input)")
    assert len(wanted) == 7
    for element in wanted:
        page.switch_to.active_element.send_keys(Keys.TAB)
        assert page.switch_to.active_element == element


@pytest.mark.parametrize("hop", [16, 28, 64])
def test_it_fits_a_phone(show, explorer, hop):
    page = show(explorer, width=360)
    choose(page, "Hop", hop)
    assert page.execute_script("return document.documentElement.scrollWidth") == 360
    browser.resize(page, 1280)


def buffers(f, *maps):
    flat = [np.ascontiguousarray(g.T).astype("<c16").tobytes() for g in maps]
    return [np.asarray(f, "<f8").tobytes(), *flat]


def check(explorer, f, *maps, window="hann", length=64, hop=28):
    question = {"ask": "check", "window": window, "length": length, "hop": hop}
    answer, sent = explorer.answer(question, buffers(f, *maps))
    assert sent == []
    return answer


def test_the_kernel_finds_no_difference_where_there_is_none(explorer):
    f = np.random.default_rng(3).standard_normal(256)
    window = scipy.signal.get_window("hann", 64)
    paper = spectral.stft_relevance(f, window, 28)
    exact = autograd(f, window, 28)
    found = check(explorer, f, paper, exact)
    assert set(found) == {"paper", "exact", "autograd"} and max(found.values()) < 1e-12


def test_the_kernel_finds_one_bin_that_is_wrong(explorer):
    f = np.random.default_rng(3).standard_normal(256)
    window = scipy.signal.get_window("hann", 64)
    paper = spectral.stft_relevance(f, window, 28)
    exact = spectral.stft_relevance(f, window, 28, form="exact")
    wrong = exact.copy()
    wrong[3, 4] += 0.01j * np.abs(exact).max()
    found = check(explorer, f, paper.conj(), wrong)
    assert found["exact"] == pytest.approx(0.01) and found["autograd"] == pytest.approx(0.01)
    assert found["paper"] > 0.5  # the conjugate is another number


def test_the_kernel_compares_the_paper_form_alone_where_there_is_no_other(explorer):
    f = np.random.default_rng(3).standard_normal(256)
    paper = spectral.stft_relevance(f, scipy.signal.get_window("hann", 64), 64)
    assert check(explorer, f, paper, hop=64) == {"paper": 0}


def test_the_kernel_refuses_another_question(explorer):
    with pytest.raises(ValueError, match="cannot answer 'weather'"):
        explorer.answer({"ask": "weather"}, [])


@pytest.mark.parametrize("hop", [28, 64])
def test_with_a_kernel_the_page_is_checked(show, hop):
    explorer = WirtingerExplorer()
    page = show(explorer)
    names = "//button[.='Check with autograd']"
    assert not page.find_elements(By.XPATH, names)
    carry = connect(page, explorer)
    assert carry() == 1  # hello
    choose(page, "Gradient signal", "noise")
    choose(page, "Hop", hop)
    page.find_element(By.XPATH, names).click()
    assert carry() == 1
    said = page.find_elements(By.CSS_SELECTOR, "[role=status]")[-1].text
    found = [float(v) for v in re.findall(r"(\d\.\de[+-]\d+) ", said)]
    assert len(found) == (3 if hop == 28 else 1)
    assert max(found) < 1e-12
    # what was said of one signal is not said of another
    choose(page, "Gradient signal", "chirp")
    assert page.find_elements(By.CSS_SELECTOR, "[role=status]")[-1].text == ""


def test_the_pictures_follow_the_theme(show, explorer):
    page = show(explorer)
    dark = "document.documentElement.dataset.theme = 'dark'; void document.body.offsetWidth;"
    wait = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
    found = changed(page, lambda: page.execute_async_script(dark + wait))
    assert found >= {SIGNAL, SUMS, FACTORS, FRAMES}


@pytest.mark.parametrize("made", [WirtingerExplorer, ReluExplorer])
def test_what_is_cleaned_up_hears_no_more(show, made):
    page = show(made())
    script = """
    const done = arguments[0];
    const heard = new Set();
    const on = (_, f) => heard.add(f);
    const off = (_, f) => heard.delete(f);
    import("./widget.js").then(async (m) => {
      const el = document.getElementById("here");
      const end = await m.default.render({ model: { ...window.model, on, off }, el });
      const before = heard.size;
      end();
      done([before, heard.size]);
    });
    """
    before, after = page.execute_async_script(script)
    assert before >= 2 and after == 0
