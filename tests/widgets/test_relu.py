"""The ReLU explorer in a real browser, held against relviz.relevance."""

import itertools
import re

import numpy as np
import pytest
import torch
import traitlets
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import relviz
from relviz.widgets import ReluExplorer
from relviz.widgets.relu import COUNT, START, network
from tests.widgets.page import choose, connect, control
from tools import browser

RULES = ("gradient", "deconvnet", "guided")
NAMES = (
    ["x1", "x2"]
    + [f"{x} → {a}" for a, x in itertools.product(["a1", "a2", "a3"], ["x1", "x2"])]
    + [f"{a} → {b}" for b, a in itertools.product(["b1", "b2"], ["a1", "a2", "a3"])]
    + ["b1 → y", "b2 → y"]
)

PRESETS = {
    "three rules, three answers": {"gradient": [2, 1], "deconvnet": [2, 0], "guided": [3, 0]},
    "all three agree": {"gradient": [3, 3], "deconvnet": [3, 3], "guided": [3, 3]},
    "only deconvnet passes": {"gradient": [0, 0], "deconvnet": [-3, -3], "guided": [0, 0]},
    "guided keeps what the gradient cancels": {
        "gradient": [0, 1],
        "deconvnet": [1, 1],
        "guided": [1, 1],
    },
    "evidence against, which only the gradient tells": {
        "gradient": [-1, 1],
        "deconvnet": [0, 1],
        "guided": [0, 1],
    },
    "a unit at exactly 0": {"gradient": [1, 1], "deconvnet": [3, -1], "guided": [1, 1]},
}


def by_library(numbers):
    """The score and each rule's relevance, from torch modules written out here."""
    values = torch.tensor(numbers, dtype=torch.float64)
    w1, w2, w3 = values[2:8].view(3, 2), values[8:14].view(2, 3), values[14:]

    def net(x):
        return (w3 @ torch.relu(w2 @ torch.relu(w1 @ x)))[None]

    return float(net(values[:2])), {
        rule: relviz.relevance(net, values[:2], 0, rule).tolist() for rule in RULES
    }


DESCEND = """
return args[0].map((numbers) => {
  const net = m.ascend(numbers);
  const rules = ["gradient", "deconvnet", "guided"];
  return [net, Object.fromEntries(rules.map((rule) => [rule, m.descend(net, rule)]))];
});
"""


@pytest.fixture
def cases():
    """Random numbers; then small whole ones, in which zeros are frequent."""
    rng = np.random.default_rng(0)
    whole = rng.integers(-1, 2, (60, COUNT)).astype(float)
    return [*rng.standard_normal((30, COUNT)).tolist(), *whole.tolist(), [0.0] * COUNT]


def test_the_rules_are_the_librarys(module, cases):
    at_corner = 0
    for numbers, (net, ways) in zip(cases, module("relu.js", DESCEND, cases), strict=True):
        score, expected = by_library(numbers)
        assert net["score"] == pytest.approx(score, abs=1e-12)
        for rule, relevance in expected.items():
            np.testing.assert_allclose(ways[rule]["relevance"], relevance, rtol=0, atol=1e-12)
        at_corner += 0 in net["before"][0] + net["before"][1]
    assert at_corner > 20


def test_every_gate_is_as_springenbergs_table_has_it(module, cases):
    asks = {"gradient": (True, False), "deconvnet": (False, True), "guided": (True, True)}
    for _, (net, ways) in zip(cases, module("relu.js", DESCEND, cases), strict=True):
        for (rule, (below, above)), layer in itertools.product(asks.items(), (0, 1)):
            x, way = np.array(net["before"][layer]), ways[rule]
            g = np.array(way["above"][layer])
            assert way["off"][layer] == list(below & (x <= 0))
            assert way["low"][layer] == list(above & (g <= 0))
            closed = np.array(way["off"][layer]) | np.array(way["low"][layer])
            np.testing.assert_array_equal(way["passed"][layer], np.where(closed, 0, g))
            np.testing.assert_array_equal(net["after"][layer], np.maximum(x, 0))


@pytest.fixture(scope="module")
def explorer():
    return ReluExplorer()


def status(page, which=0) -> str:
    return page.find_elements(By.CSS_SELECTOR, "[role=status]")[which].text


def said(page):
    """What the status line says: score, rule -> relevance."""
    score, rest = re.match(r"Score (\S+)\. Relevance of \(x1, x2\): (.*)\.", status(page)).groups()
    found = re.findall(r"(\w+) \(([^,]+), ([^)]+)\)", rest)
    return float_(score), {rule: [float_(a), float_(b)] for rule, a, b in found}


def float_(text) -> float:
    return float(text.replace("−", "-"))


def rules(page):
    """What is shown of each rule: its table, its picture's label and classes, its result."""
    script = """
    const cells = (r) => [...r.cells].map((c) => c.innerText);
    const rows = (table) => [...table.rows].slice(1).map(cells);
    return Object.fromEntries([...document.querySelectorAll(".relviz-trio figure")].map((f) => [
      f.querySelector("figcaption strong").textContent,
      {
        gates: rows(f.querySelector("table")),
        result: f.querySelector("p strong").textContent,
        label: f.querySelector("svg").getAttribute("aria-label"),
        text: [...f.querySelectorAll("svg text")].map((t) => t.textContent),
        boxes: [...f.querySelectorAll("svg rect")].map((r) => r.getAttribute("class")),
        edges: [...f.querySelectorAll("svg line")].map((l) => l.getAttribute("class")),
      },
    ]));
    """
    return page.execute_script(script)


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_make_their_points(show, explorer, name):
    page = show(explorer)
    names = [o.text for o in control(page, "Numbers").find_elements(By.TAG_NAME, "option")]
    assert names == list(PRESETS)
    choose(page, "Numbers", names.index(name))
    numbers = page.execute_script("return model.get('numbers')")
    score, expected = by_library(numbers)
    assert expected == PRESETS[name]
    assert said(page) == (score, expected)
    fields = [float(control(page, label).get_attribute("value")) for label in NAMES]
    assert fields == numbers
    for rule, shown in rules(page).items():
        assert [float_(v) for v in shown["result"][1:-1].split(", ")] == expected[rule]


def test_the_first_preset_is_where_python_starts(module, explorer):
    presets = module("relu.js", "return m.PRESETS")
    assert [p["name"] for p in presets] == list(PRESETS)
    assert presets[0]["numbers"] == list(START) == explorer.numbers


def test_what_the_presets_say_is_so(module):
    numbers = {p["name"]: p["numbers"] for p in module("relu.js", "return m.PRESETS")}
    (reached,) = module("relu.js", DESCEND, [numbers["three rules, three answers"]])
    ways = reached[1]
    passes = {r: [i for i in range(3) if ways[r]["passed"][0][i]] for r in RULES}
    assert passes == {"gradient": [0, 1], "deconvnet": [1, 2], "guided": [1]}
    assert by_library(numbers["only deconvnet passes"])[0] == 0
    # "a change of x1 changes nothing", "more x1 means a lower score"
    for name, change in [
        ("guided keeps what the gradient cancels", 0),
        ("evidence against, which only the gradient tells", -0.25),
    ]:
        more = numbers[name].copy()
        more[0] += 0.25
        assert by_library(more)[0] - by_library(numbers[name])[0] == change
    # "make x1 a little larger: the gradient jumps while the score hardly moves"
    corner = numbers["a unit at exactly 0"]
    more = [corner[0] + 0.01, *corner[1:]]
    (score, before), (after, jumped) = by_library(corner), by_library(more)
    assert abs(after - score) < 0.05
    assert jumped["gradient"] == [3, -1] != before["gradient"]


@pytest.mark.parametrize("i", range(COUNT))
def test_every_number_is_typed_and_drawn(show, explorer, i):
    page = show(explorer)
    before = page.execute_script("return document.querySelector('.relviz').innerHTML")
    field = control(page, NAMES[i])
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("-2.5")
    numbers = [*START]
    numbers[i] = -2.5
    assert page.execute_script("return model.get('numbers')") == numbers
    assert page.execute_script("return document.querySelector('.relviz').innerHTML") != before
    score, expected = by_library(numbers)
    found, relevance = said(page)
    assert found == pytest.approx(score) and relevance == expected
    # the field keeps the reader's place, and the choice says whose numbers these are
    assert page.switch_to.active_element == field
    chosen = control(page, "Numbers")
    assert chosen.get_attribute("value") == "own"
    # away and back: the reader's numbers are still there
    choose(page, "Numbers", 1)
    choose(page, "Numbers", "own")
    assert page.execute_script("return model.get('numbers')") == numbers


def test_a_field_without_a_number_changes_nothing(show, explorer):
    page = show(explorer)
    before = said(page), rules(page)
    field = control(page, "x1")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.BACKSPACE)
    assert field.get_attribute("aria-invalid") == "true"
    assert (said(page), rules(page)) == before
    choose(page, "Numbers", 1)
    assert field.get_attribute("aria-invalid") == "false" and field.get_attribute("value") == "1"


def test_the_pictures_show_which_gate_is_closed_and_why(show, explorer):
    page = show(explorer)
    shown = rules(page)
    closed = {
        rule: {unit: why for unit, _, _, why, _ in shown[rule]["gates"] if why != "✓ open"}
        for rule in RULES
    }
    assert closed == {
        "gradient": {"a3": "✕ x ≤ 0"},
        "deconvnet": {"a1": "✕ g ≤ 0"},
        "guided": {"a1": "✕ g ≤ 0", "a3": "✕ x ≤ 0"},
    }
    # unit, value from below, g from above, gate, what goes on
    assert shown["gradient"]["gates"][2] == ["a1", "1", "−1", "✓ open", "−1"]
    assert shown["guided"]["gates"][2] == ["a1", "1", "−1", "✕ g ≤ 0", "0"]
    for rule in RULES:
        texts, label = shown[rule]["text"], shown[rule]["label"]
        for unit in ("a1", "a2", "a3", "b1", "b2"):
            mark = "✕ closed" if unit in closed[rule] else "✓ open"
            assert f"{unit} {mark}" in texts
        assert "a3 gets 1" in label and f"relevance {shown[rule]['result']}" in label
        assert shown[rule]["boxes"].count("closed") == len(closed[rule])
    # edges from the score: y to b1, b2; b1 to a1, a2, a3; b2 to a1, a2, a3; a1, a2, a3 to x1, x2
    assert shown["guided"]["edges"] == [
        *["live"] * 2,
        *["stopped", "live", "stopped"],
        *["none", "live", "none"],
        *["none", "none"],
        *["live", "none"],
        *["none", "none"],
    ]


def test_a_gate_may_have_two_reasons(show, explorer):
    page = show(explorer)
    for label, value in [("b1 → y", -1), ("a1 → b1", -9), ("a2 → b1", 0)]:
        choose(page, label, value)
    gates = {
        rule: {row[0]: row[3] for row in shown["gates"]} for rule, shown in rules(page).items()
    }
    assert gates["guided"]["b1"] == "✕ x ≤ 0, g ≤ 0"
    assert gates["gradient"]["b1"] == "✕ x ≤ 0" and gates["deconvnet"]["b1"] == "✕ g ≤ 0"


def test_the_way_up_is_drawn(show, explorer):
    page = show(explorer)
    figure = page.find_element(By.XPATH, "//figcaption[starts-with(., 'The way up')]/..")
    label = figure.find_element(By.TAG_NAME, "svg").get_attribute("aria-label")
    assert "inputs (2, 1); a1 1, on; a2 2, on; a3 −2, off; b1 1, on; b2 2, on; score 5" in label
    texts = [t.get_attribute("textContent") for t in figure.find_elements(By.TAG_NAME, "text")]
    assert texts[texts.index("a3 ✕ off") + 1] == "−2 → 0"


def test_random_numbers_are_new_ones(show, explorer):
    page = show(explorer)
    press = page.find_element(By.XPATH, "//button[.='Random numbers']")
    drawn = []
    for _ in range(3):
        press.click()
        numbers = page.execute_script("return model.get('numbers')")
        score, expected = by_library(numbers)
        assert said(page) == (score, expected)
        drawn.append(tuple(numbers))
    assert len({*drawn, START}) == 4


def test_python_chooses_too(show, explorer):
    page = show(explorer)
    numbers = [0.5, -1.25, *START[2:]]
    page.execute_script("model.set('numbers', arguments[0])", numbers)
    assert float(control(page, "x2").get_attribute("value")) == -1.25
    score, expected = by_library(numbers)
    found, relevance = said(page)
    assert found == pytest.approx(score, abs=0.005) and relevance == expected


def test_every_control_is_reached_with_the_keyboard(show, explorer):
    page = show(explorer)
    wanted = page.find_elements(By.CSS_SELECTOR, ".relviz :is(select, button, input)")
    assert len(wanted) == 2 + COUNT
    for element in wanted:
        page.switch_to.active_element.send_keys(Keys.TAB)
        assert page.switch_to.active_element == element


def test_it_fits_a_phone_and_stacks_there(show, explorer):
    places = """return [...document.querySelectorAll(".relviz-trio figure")]
      .map((f) => Math.round(f.getBoundingClientRect().top))"""
    page = show(explorer, width=360)
    choose(page, "b1 → y", -12.34)
    assert page.execute_script("return document.documentElement.scrollWidth") == 360
    assert len(set(page.execute_script(places))) == 3
    browser.resize(page, 1280)
    assert len(set(page.execute_script(places))) == 1


def ask(explorer, numbers):
    answer, buffers = explorer.answer({"ask": "relevance", "numbers": numbers}, [])
    assert buffers == []
    return answer


@pytest.mark.slow
def test_the_kernel_answers_with_the_librarys_relevance(explorer, cases):
    for numbers in cases:
        score, expected = by_library(numbers)
        found = ask(explorer, numbers)
        assert found.pop("score") == pytest.approx(score, abs=1e-12)
        assert found.keys() == expected.keys()
        for rule, relevance in expected.items():
            np.testing.assert_allclose(found[rule], relevance, rtol=0, atol=1e-12)


def test_the_kernel_refuses_another_question(explorer):
    with pytest.raises(ValueError, match="cannot answer 'weather'"):
        explorer.answer({"ask": "weather"}, [])


def test_the_network_is_the_one_that_is_drawn():
    net, x = network([*range(1, 17)])
    assert x.tolist() == [1, 2]
    weights = [m.weight.tolist() for m in net if isinstance(m, torch.nn.Linear)]
    assert weights == [
        [[3, 4], [5, 6], [7, 8]],
        [[9, 10, 11], [12, 13, 14]],
        [[15, 16]],
    ]
    assert not isinstance(net[-1], torch.nn.ReLU)


@pytest.mark.parametrize("numbers", [[1.0] * 15, [1.0] * 15 + [float("nan")]])
def test_it_refuses_numbers_that_make_no_network(numbers):
    with pytest.raises(traitlets.TraitError, match="16 finite numbers: 2 inputs, then"):
        ReluExplorer().numbers = numbers


def test_with_a_kernel_every_change_is_checked(show):
    explorer = ReluExplorer()
    page = show(explorer)
    assert status(page, 1) == ""
    carry = connect(page, explorer)
    assert carry() == 1 and carry() == 1  # hello, and the first numbers
    assert status(page, 1) == "relviz.relevance agrees to 1e-7."
    choose(page, "x1", 3)
    assert carry() == 1 and status(page, 1) == "relviz.relevance agrees to 1e-7."


def test_with_a_kernel_a_difference_is_named(show):
    class Wrong(ReluExplorer):
        def answer(self, question, buffers):
            answer, sent = super().answer(question, buffers)
            answer["guided"][1] += 0.5
            return answer, sent

    explorer = Wrong()
    page = show(explorer)
    carry = connect(page, explorer)
    assert carry() == 1 and carry() == 1
    assert status(page, 1) == "relviz.relevance differs by 5.0e-1 in guided."
