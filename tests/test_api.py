"""tools/api.py: docstrings as Markdown, and a reference that leaves no room of relviz out."""

import importlib.util
import inspect
import pkgutil
import sys
from types import ModuleType

import pytest

import relviz
from tests.book.toc import ROOT

spec = importlib.util.spec_from_file_location("api", ROOT / "tools" / "api.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

PAGE = ROOT / "book" / "appendix" / "api.md"
ASKED = tool.MARK.findall(PAGE.read_text())
# re-exports and a thin skin, described on other pages
WITHOUT = {
    "relviz.cli",
    "relviz.corpora.archive",
    "relviz.corpora",
    "relviz.studies",
    "relviz.training",
    "relviz.widgets",
}


def toy(net, hop=97, *, long_name_of_something="guided", another_long_name=None) -> str:
    """Sum up in one line.

    net: any callable, even a * b or x[0]
        on two lines. hop: `a_b`.
    long_name_of_something, another_long_name: both.
    Returns a string. Raises ValueError.

        code <as> it stands
    """


def test_a_docstring_becomes_a_list_of_its_parameters():
    assert tool.markdown(toy.__doc__, tuple(inspect.signature(toy).parameters)) == (
        "Sum up in one line.\n\n"
        "- net: any callable, even a \\* b or x\\[0\\] on two lines. hop: `a_b`.\n"
        "- long\\_name\\_of\\_something, another\\_long\\_name: both.\n"
        "- Returns a string. Raises ValueError.\n\n"
        "```text\ncode <as> it stands\n```"
    )


def test_a_short_signature_takes_one_line():
    assert tool.signature("f", lambda x, y=1: 0) == "f(x, y = 1)"


def test_a_long_signature_takes_a_line_for_each_parameter():
    assert tool.signature("toy", toy) == (
        "toy(\n    net,\n    hop = 97,\n    *,\n    long_name_of_something = 'guided',\n"
        "    another_long_name = None,\n) -> str"
    )


def test_a_signature_has_types_and_no_addresses():
    def f(x: "list[int]", *more: float, key=toy, **rest) -> None: ...

    expected = "f(x: list[int], *more: float, key = toy, **rest)"
    assert tool.signature("f", f) == expected


def test_what_has_no_signature_gives_its_name():
    assert tool.signature("f", 3) == "f"


def test_members_are_what_a_module_defines_and_documents(tmp_path, monkeypatch):
    (tmp_path / "some_room.py").write_text(
        '"""A room."""\nfrom math import pi\nSIZE = 3\n"""How large."""\nBARE = 4\n'
        'def shown():\n    """Do."""\ndef _hidden():\n    """No."""\ndef mute(): ...\n'
        'class Thing:\n    """A thing."""\n    def act(self):\n        """Act."""\n'
        '    @property\n    def side(self):\n        """Its side."""\n    def quiet(self): ...\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    text = tool.fill("before\n<!-- api: some_room -->\nafter")
    sys.modules.pop("some_room")
    shown = "### shown\n\n```python\nshown()\n```\n\nDo."
    thing = "### Thing\n\n```python\nThing()\n```\n\nA thing."
    act = "```python\nThing.act(self)\n```\n\nAct."
    side = "```python\nThing.side\n```\n\nIts side."
    size = "### SIZE\n\nHow large."
    room = "\n\n".join(["A room.", size, shown, thing, act, side])
    assert text == f"before\n{room}\nafter"


def test_the_page_has_each_room_once():
    rooms = {
        found.name
        for found in pkgutil.walk_packages(relviz.__path__, "relviz.")
        if not any(part.startswith("_") for part in found.name.split("."))
    }
    assert len(ASKED) == len(set(ASKED))
    assert set(ASKED) <= rooms
    # of training, the rooms that serve the others are left out
    assert {room for room in rooms - set(ASKED) - WITHOUT if "training" not in room} == set()


@pytest.mark.parametrize("name", ASKED)
def test_a_room_has_its_reference(name):
    text = tool.reference(name)
    assert "### " in text
    assert text.count("```") % 2 == 0
    assert " at 0x" not in text


def test_sphinx_gets_the_hook():
    hooks = {}

    class App:
        def connect(self, event, function):
            hooks[event] = function

    assert tool.setup(App())["parallel_read_safe"]
    page = ["# Nothing here"]
    hooks["source-read"](None, "page", page)
    assert page == ["# Nothing here"]
    page = ["<!-- api: relviz.filters -->"]
    hooks["source-read"](None, "page", page)
    assert "### cumulative" in page[0]
    assert isinstance(tool, ModuleType)
