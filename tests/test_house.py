"""The house: no import of relviz's points up, and none goes in a circle."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import relviz

ROOT = Path(relviz.__file__).parent

ROOMS = (
    *(
        "_text",
        "_errors",
        "_extras",
        "_headers",
        "files",
        "statistics",
        "tasks",
        "audio",
        "_layers",
        "networks",
        "_guard",
    ),
    *("_targets", "_kernels", "_engine", "_rectifiers", "backprop", "attributions"),
    *(
        "signals",
        "spectral",
        "filters",
        "acoustics",
        "controls",
        "_cards",
        "pretrained",
        "asking",
        "crepe",
        "export",
    ),
    *(
        "corpora",
        "images",
        "training",
        "studies",
        "plots",
        "widgets",
        "results",
        "explanation",
        "cli",
    ),
)
"""Ground floor first: a room may import those before it, and its own modules."""


def modules(root: Path) -> dict[str, Path]:
    """Name -> file of every module of a package; a package goes by its own name."""
    found = {}
    for path in root.rglob("*.py"):
        parts = (root.name, *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Names of the modules that one imports anywhere: at its top, in functions, for types only."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.add(whole if whole in known else base)
    return (found & known.keys()) - {name}


def graph(root: Path) -> dict[str, set[str]]:
    """Module -> the modules of the same package that it imports."""
    known = modules(root)
    return {name: imports(name, path, known) for name, path in known.items()}


def room(name: str) -> str:
    """The room that a module is in; "" for the package itself, which is no room."""
    return name.partition(".")[2].partition(".")[0]


def circle(arrows: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def pointing_up(arrows: dict[str, set[str]]) -> list[str]:
    return sorted(
        f"{name} imports {other}"
        for name, others in arrows.items()
        for other in others
        if room(name) and room(other) and ROOMS.index(room(name)) < ROOMS.index(room(other))
    )


@cache
def house() -> dict[str, set[str]]:
    """Module -> the rooms' modules that it imports.

    The package itself is none of them: rooms import version and refusals of it, by `__getattr__`.
    """
    return {name: others - {"relviz"} for name, others in graph(ROOT).items() if name != "relviz"}


def test_every_room_has_its_floor():
    assert {room(name) for name in house()} - set(ROOMS) == set()


def test_no_import_goes_in_a_circle():
    assert circle(house()) == []


def test_no_import_points_up():
    assert pointing_up(house()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import relviz.studies",
        "from relviz import studies",
        "from relviz.studies import vowels",
        "from . import studies",
        "from .studies.vowels import score",
        "def f():\n    from relviz.studies import vowels",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from relviz import studies",
    ],
)
def test_an_arrow_is_seen_however_it_is_written(tmp_path, line):
    root = tmp_path / "relviz"
    (root / "studies").mkdir(parents=True)
    (root / "__init__.py").touch()
    (root / "studies" / "__init__.py").touch()
    (root / "studies" / "vowels.py").write_text("from relviz import audio\n")
    (root / "audio.py").write_text(line)
    arrows = graph(root)
    (seen,) = pointing_up(arrows)
    assert seen.startswith("relviz.audio imports relviz.studies")
    if "vowels" in line:
        assert circle(arrows)
