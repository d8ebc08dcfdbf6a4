"""The library reference: every room on its page, and tools/reference.py, which helps autodoc."""

import importlib.util
import pkgutil
import re

import relviz
from relviz import backprop, signals
from tests.book.toc import ROOT

spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

PAGE = ROOT / "book" / "appendix" / "api.md"


def test_the_page_has_each_room_once():
    """All but the command line, and packages: they hold what other rooms define."""
    asked = re.findall(r"^\.\. automodule:: (relviz\.[a-z][\w.]*)$", PAGE.read_text(), re.MULTILINE)
    rooms = [
        found.name
        for found in pkgutil.walk_packages(relviz.__path__, "relviz.")
        if not found.ispkg
        and not found.name.startswith("relviz.cli")
        and not any(part.startswith("_") for part in found.name.split("."))
    ]
    assert sorted(asked) == sorted(rooms)


def test_a_signature_has_types_as_they_are_written():
    expected = "(net: object, normalise: Normalise | None = None)", "Normalise"
    assert tool.as_written(None, "function", "", signals.normalisation) == expected


def test_a_method_is_shown_without_self():
    class Thing:
        def act(self, x: "int" = 3) -> None: ...

    assert tool.as_written(None, "method", "", Thing.act) == ("(x: int = 3)", "")
    assert tool.as_written(None, "data", "", signals.Normalise) is None


def test_a_name_leads_to_where_it_is_documented():
    names = ["relviz.attributions.relevance", "relviz.backprop.Target", "relviz.corpora.fetch"]
    assert tool.documented(None, "relviz.relevance", names) == names[0]
    assert tool.documented("relviz.signals", "Target", names) == names[1]
    assert tool.documented("relviz.signals", "batch_size", names) is None
    assert tool.documented(None, "relviz.load", [*names, "relviz.corpora.load"]) is None


def test_fields_of_a_named_tuple_are_not_shown_again():
    from relviz.spectral import SpectralMap

    assert tool.without_fields(None, "class", "times", SpectralMap.times)
    assert tool.without_fields(None, "module", "score", backprop.score) is None


def test_sphinx_gets_the_hooks():
    hooks = {}

    class App:
        def connect(self, event, function, priority=500):
            hooks[event] = priority

    assert tool.setup(App())["parallel_read_safe"]
    assert hooks.pop("autodoc-process-docstring") < 500  # before napoleon's
    assert set(hooks) == {"autodoc-process-signature", "autodoc-skip-member", "missing-reference"}


def test_a_constant_is_described_in_prose():
    lines = ["What the units are: blocks of samples."]
    tool.as_prose(None, "data", "", None, None, lines)
    assert lines == ["..", "", "What the units are: blocks of samples."]
    tool.as_prose(None, "function", "", None, None, told := ["Do."])
    assert told == ["Do."]
