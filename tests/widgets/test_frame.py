"""What the explorers share: packed data, scripts without imports, the talk with the kernel."""

import base64
import re

import numpy as np
import pytest

from relviz.widgets import frame

UNPACK = """
const bytes = Uint8Array.from(atob(args[0]), (c) => c.charCodeAt(0));
const { about, signals } = await m.unpack(new DataView(bytes.buffer));
const lists = Object.entries(signals).map(([name, values]) => [name, Array.from(values)]);
return { about, signals: Object.fromEntries(lists) };
"""


def unpacked(module, packed: bytes):
    found = module("common.js", UNPACK, base64.b64encode(packed).decode())
    return found["about"], {name: np.array(values) for name, values in found["signals"].items()}


def block_maxima(signal):
    padded = np.pad(signal, (0, -len(signal) % frame.BLOCK)).reshape(-1, frame.BLOCK)
    return np.repeat(np.abs(padded).max(axis=1), frame.BLOCK)[: len(signal)]


@pytest.mark.parametrize("samples", [1, 255, 256, 257, 5000])
@pytest.mark.parametrize("seed", range(3))
def test_signals_arrive_within_the_error_that_is_stated(module, samples, seed):
    rng = np.random.default_rng(seed)
    # loud and soft blocks: one scale for all would drown the soft ones
    signal = rng.standard_normal(samples) * np.exp(4 * np.sin(np.arange(samples) / 300))
    about, found = unpacked(module, frame.pack({"seed": seed}, {"a": signal, "b": -signal}))
    assert about == {"seed": seed}
    # single precision carries the scales
    bound = block_maxima(signal) / 254 * (1 + 1e-6)
    assert (np.abs(found["a"] - signal) <= bound).all()
    assert (np.abs(found["b"] + signal) <= bound).all()


def test_fine_signals_arrive_in_16_bits(module):
    signal = np.random.default_rng(1).standard_normal(1001)
    packed = frame.pack({}, {"rough": signal, "fine": signal}, fine=["fine"])
    _, found = unpacked(module, packed)
    bound = np.abs(signal).max() / (2 * 32767) * (1 + 1e-6) + 1e-7
    assert np.abs(found["fine"] - signal).max() <= bound
    assert np.abs(found["rough"] - signal).max() > 10 * bound


def test_silence_and_nothing_arrive_as_they_are(module):
    silence, nothing = np.zeros(300), np.zeros(0)
    packed = frame.pack({}, {"silence": silence, "nothing": nothing, "also": nothing}, ["also"])
    _, found = unpacked(module, packed)
    assert found["silence"].tolist() == silence.tolist()
    assert found["nothing"].tolist() == found["also"].tolist() == []


def test_what_is_said_about_signals_arrives_letter_by_letter(module):
    about = {"rate": 16000, "names": ["/iː/", "“ah”"], "deep": [{"x": None, "y": 0.1}]}
    assert unpacked(module, frame.pack(about, {}))[0] == about


def test_what_json_cannot_say_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        frame.pack({"f0": float("nan")}, {})


# report.js stands behind another one, on a page of its own: see tests/explanation/test_report.py
SCRIPTS = sorted({path.name for path in frame.FOLDER.glob("*.js")} - {"report.js"})


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_stands_alone(module, name):
    text = frame.script(name)
    assert not re.search(r"^\s*import\b(?!\s*\()", text, re.MULTILINE)
    # a browser takes it as a module: no name is declared twice
    code = """
    const url = URL.createObjectURL(new Blob([args[0]], { type: "text/javascript" }));
    return Object.keys(await import(url));
    """
    assert module("common.js", code, text)


def test_a_script_carries_what_it_imports():
    text = frame.script("relevance.js")
    for name in ("common.js", "dsp.js"):
        assert (frame.FOLDER / name).read_text() in text


class Adder(frame.Explorer):
    """Adds numbers, and fails without words at 0."""

    _esm = "export default {};"

    def answer(self, question, buffers):
        if question["ask"] != "sum":
            return super().answer(question, buffers)
        if not buffers:
            raise ZeroDivisionError
        numbers = np.frombuffer(buffers[0])
        if (numbers < 0).any():
            raise ValueError("a number is negative: give others.")
        return {"sum": numbers.sum()}, [numbers.tobytes()]


@pytest.fixture
def talk():
    """Ask as a page does; returns what the kernel sends back."""
    explorer = Adder()
    sent = []
    explorer.send = lambda content, buffers=None: sent.append((content, buffers))

    def ask(question, buffers=()):
        sent.clear()
        explorer._handle_custom_msg(question, list(buffers))
        (answer,) = sent
        return answer

    return ask


def test_a_kernel_says_hello(talk):
    assert talk({"id": "7", "ask": "hello"}) == ({"id": "7"}, [])


def test_a_kernel_answers_with_the_number_of_the_question(talk):
    numbers = np.array([1.0, 2.0]).tobytes()
    assert talk({"id": "a-1", "ask": "sum"}, [numbers]) == ({"id": "a-1", "sum": 3.0}, [numbers])


def test_a_kernel_says_why_it_refuses(talk):
    answer, buffers = talk({"id": "2", "ask": "sum"}, [np.array([-1.0]).tobytes()])
    assert answer == {"id": "2", "error": "a number is negative: give others."} and buffers == []
    # an error without words has at least a name
    assert talk({"id": "3", "ask": "sum"})[0]["error"] == "ZeroDivisionError"
    assert "cannot answer 'weather'" in talk({"id": "4", "ask": "weather"})[0]["error"]


TALK = """
const heard = [];
const sent = [];
const model = {
  on: (name, f) => heard.push([name, f]),
  off: (name, f) => heard.splice(heard.findIndex((h) => h[1] === f), 1),
  send: (content) => sent.push(content),
};
const reply = (content, buffers = []) => heard.forEach(([, f]) => f(content, buffers));
let ask = null;
const end = m.whenKernel(model, (found) => (ask = found));
const tick = () => new Promise((done) => setTimeout(done));
"""


def test_a_page_asks_once_a_kernel_has_answered(module):
    found = module(
        "common.js",
        TALK
        + """
    await tick();
    const before = ask === null;
    reply({ id: sent[0].id });
    await tick();
    const [one, two, three] = [ask({ ask: "a" }), ask({ ask: "b" }), ask({ ask: "c" })];
    reply({ id: sent[3].id, error: "no" });
    reply({ id: "nobody's", value: 9 });
    reply({ id: sent[2].id, value: 2 });
    reply({ id: sent[1].id, value: 1 });
    const refused = await three.catch((error) => error.message);
    const values = [(await one).answer.value, (await two).answer.value];
    end();
    return { before, refused, values, asked: sent.map((q) => q.ask), left: heard.length };
    """,
    )
    assert found == {
        "before": True,
        "refused": "no",
        "values": [1, 2],
        "asked": ["hello", "a", "b", "c"],
        "left": 0,
    }


def test_a_page_without_a_kernel_goes_on(module):
    code = """
    const model = { on() {}, off() {}, send() { throw Error("no comm"); } };
    let found = false;
    m.whenKernel(model, () => (found = true));
    await new Promise((done) => setTimeout(done, 20));
    return found;
    """
    assert module("common.js", code) is False


def test_a_notebook_does_not_keep_the_data_in_words():
    assert repr(Adder()) == "Adder()"


@pytest.mark.parametrize("name", sorted(path.name for path in frame.FOLDER.glob("*.js")))
def test_scripts_show_text_as_text(name):
    """Names of classes, talkers and files reach the page as text nodes; no script makes HTML."""
    makes = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\(|new Function"
    assert not re.findall(makes, frame.script(name))


def test_an_explorer_tells_what_it_shows_and_what_to_try(module):
    code = """
    const root = m.captioned("A name", "What to try.", m.make("p", {}, "inside"));
    document.body.append(root);
    const caption = document.getElementById(root.getAttribute("aria-describedby"));
    const twin = m.captioned("A name", "What to try.");
    return [root.getAttribute("aria-label"), caption.textContent, root.firstChild === caption,
      root.lastChild.textContent, twin.getAttribute("aria-describedby") !== caption.id];
    """
    assert module("common.js", code) == ["A name", "What to try.", True, "inside", True]
