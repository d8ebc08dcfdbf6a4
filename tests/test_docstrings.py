"""The docstrings of the public face are numpydoc: every parameter, what is returned, an example.

Ruff checks their form (its numpy convention), `make pytest` runs the examples.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import relviz
from tests.book.toc import pages


def sections(text: str | None) -> dict[str, list[str]]:
    """Title -> lines of every section; the summary goes by "" and has no title."""
    lines = inspect.cleandoc(text or "").splitlines()
    found: dict[str, list[str]] = {"": []}
    title = ""
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and set(below) == {"-"} and len(below) == len(line):
            title = line
            found[title] = []
        elif not (line and set(line) == {"-"}):
            found[title].append(line)
    return found


def named(lines: list[str]) -> list[str]:
    """Names of a Parameters section, as in `a, b : int`; a line of its own begins at the margin."""
    heads = [line.partition(" : ")[0] for line in lines if line and not line.startswith(" ")]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def public() -> Iterator[tuple[str, Any]]:
    """(name, object) of every function and class that a module lists and defines.

    The command line's are left out: their docstrings are what `--help` says.
    """
    for found in pkgutil.walk_packages(relviz.__path__, "relviz."):
        if found.name.startswith("relviz.cli") or "._" in found.name:
            continue
        module = importlib.import_module(found.name)
        for name in module.__all__:
            member = getattr(module, name)
            callable_ = inspect.isfunction(member) or inspect.isclass(member)
            if callable_ and member.__module__ == found.name:
                yield f"{found.name}.{name}", member


PUBLIC = dict(public())
FUNCTIONS = {name: member for name, member in PUBLIC.items() if inspect.isfunction(member)}


def parameters(member: Any) -> list[str]:
    """Names of what is taken; an exception takes what Python's own take."""
    if inspect.isclass(member) and issubclass(member, BaseException):
        return []
    if getattr(member, "_is_protocol", False):
        return list(inspect.signature(member.__call__).parameters)[1:]
    return list(inspect.signature(member).parameters)


@pytest.mark.parametrize("name", PUBLIC)
def test_names_each_parameter_and_no_other(name):
    member = PUBLIC[name]
    told = named(sections(member.__doc__).get("Parameters", []))
    assert sorted(told) == sorted(parameters(member))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_says_what_is_returned(name):
    returned = inspect.signature(FUNCTIONS[name]).return_annotation
    said = {"Returns", "Yields"} & set(sections(FUNCTIONS[name].__doc__))
    assert bool(said) == (returned not in (None, "None"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_has_an_example(name):
    lines = sections(FUNCTIONS[name].__doc__).get("Examples", [])
    assert any(line.startswith(">>> ") for line in lines)


def test_names_chapters_that_there_are():
    there = {int(name[0]) for page in pages() if (name := re.findall(r"/(\d\d)_", page))}
    text = " ".join(" ".join((member.__doc__ or "").split()) for member in PUBLIC.values())
    lists = re.findall(r"\b[Cc]hapters? (\d+(?:(?:,| and| to) \d+)*)", text)
    told = {int(number) for numbers in lists for number in re.findall(r"\d+", numbers)}
    assert told == there


def test_reads_a_docstring():
    """Else the tests above would prove nothing."""
    found = sections(
        """Do.

        Parameters
        ----------
        a, b : int, (n,)
            One: two.
        **c
            As in `do`.

        Returns
        -------
        int
        """
    )
    assert list(found) == ["", "Parameters", "Returns"]
    assert named(found["Parameters"]) == ["a", "b", "c"]
