"""What a reader does to an explorer in the browser, and what there is to see and hear of it."""

import base64

import numpy as np
from selenium.webdriver.common.by import By


def control(page, label):
    """The control that a label names, as a screen reader would find it."""
    name = page.find_element(By.XPATH, f"//label[normalize-space()='{label}']")
    inner = name.find_elements(By.TAG_NAME, "input")
    return inner[0] if inner else page.find_element(By.ID, name.get_attribute("for"))


def choose(page, label, value):
    """Choose as with the keyboard: the events of a change."""
    page.execute_script(
        "arguments[0].value = arguments[1];"
        "for (const e of ['input', 'change']) arguments[0].dispatchEvent(new Event(e));",
        control(page, label),
        str(value),
    )


def pictures(page):
    """What every chart shows: title -> its pixels."""
    return page.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.relviz-chart')].map("
        "(f) => [f.querySelector('figcaption').textContent, "
        "f.querySelector('canvas').toDataURL()]))"
    )


def changed(page, act) -> set[str]:
    before = pictures(page)
    act()
    after = pictures(page)
    return {title for title in after if after[title] != before[title]}


# in one step: a short sound may end between two
STOP = "[...document.querySelectorAll('button')].find((b) => b.textContent === 'Stop')?.click()"


def played(page, name) -> np.ndarray:
    page.execute_script("window.played.length = 0")
    page.find_element(By.XPATH, f"//button[.='{name}']").click()
    (samples,) = page.execute_script("return window.played")
    page.execute_script(STOP)
    return np.array(samples)


ANOTHER = """
const done = arguments[0];
const heard = {};
window.asked = [];
const letter = (byte) => String.fromCharCode(byte);
const text = (buffer) => btoa(Array.from(new Uint8Array(buffer), letter).join(""));
const model = {
  ...window.model,
  on: (name, f) => (heard[name] ??= []).push(f),
  send: (content, _, buffers = []) => asked.push([content, buffers.map(text)]),
};
window.reply = (content) => heard["msg:custom"].forEach((f) => f(content, []));
const here = document.getElementById("here");
here.replaceChildren();
const script = document.createElement("script");
script.type = "module";
window.go = async (widget) => done(await widget.render({ model, el: here }) && null);
script.textContent = 'import widget from "./widget.js"; window.go(widget);';
document.body.append(script);
"""


def connect(page, explorer):
    """Draw the explorer anew, with its real kernel's side; returns what carries messages across."""
    page.execute_async_script(ANOTHER)

    def carry():
        sent = []
        explorer.send = lambda content, buffers=None: sent.append(content)
        for content, packed in page.execute_script("return asked.splice(0)"):
            explorer._handle_custom_msg(content, [base64.b64decode(b) for b in packed])
        del explorer.send
        for content in sent:
            page.execute_script("reply(arguments[0])", content)
        return len(sent)

    return carry
