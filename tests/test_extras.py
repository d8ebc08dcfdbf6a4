"""What is imported is declared, and what an extra brings is asked for before it is imported."""

import ast
import importlib.metadata
import math
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from relviz._errors import MissingExtraError
from relviz._extras import EXTRAS, require
from tests.book.toc import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = {module: extra for extra, modules in EXTRAS.items() for module in modules}
OURS = {
    "relviz",
    "benchmarks",
    "tests",
    "tools",
    *(path.stem for path in (ROOT / "tools").glob("*.py")),
}


@cache
def brought() -> dict[str, set[str]]:
    """Module -> the distributions that have a file or folder of its name.

    `importlib.metadata.packages_distributions` does not know who brings parselmouth.
    """
    found = defaultdict(set)
    for each in importlib.metadata.distributions():
        for module in {file.parts[0].partition(".")[0] for file in each.files or ()}:
            found[module].add(canonicalize_name(each.name))
    return found


@cache
def declared(*extras: str) -> set[str]:
    """Return the distributions of the core, or of some extras and those inside them."""
    lines = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    found = set()
    for requirement in map(Requirement, lines if extras else PROJECT["dependencies"]):
        if requirement.name == "relviz":
            found |= declared(*requirement.extras)
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def imports(path: Path) -> Iterator[tuple[str, ast.AST, list[ast.AST]]]:
    """Yield each foreign module that a file imports, where, and what that stands in."""

    def walk(node: ast.AST, above: list[ast.AST]) -> Iterator[tuple[str, ast.AST, list[ast.AST]]]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return  # never executed
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in {name.partition(".")[0] for name in names}:
            if name not in sys.stdlib_module_names | OURS:
                yield name, node, above
        for child in ast.iter_child_nodes(node):
            yield from walk(child, [*above, node])

    yield from walk(ast.parse(path.read_text()), [])


def required(statements: Iterable[ast.AST], before: float = math.inf) -> set[str]:
    """Return the modules that these statements ask for above a line."""
    found: set[str] = set()
    for statement in statements:
        call = statement.value if isinstance(statement, ast.Expr) else None
        asks = isinstance(call, ast.Call) and ast.unparse(call.func) == "require"
        if asks and statement.lineno < before:
            found |= {argument.value for argument in call.args}
    return found


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_what_it_is_said_to_bring(extra):
    for module in EXTRAS[extra]:
        assert brought()[module] & declared(extra), module
        assert not brought()[module] & declared(), f"{module} is always there"


def test_extras_lie_inside_each_other():
    """Nobody has to know that the book needs the studies, or the tests everything."""
    assert declared("speech") < declared("book")
    assert declared("speech") < declared("train")
    assert declared("book") | declared("train") < declared("test")


LIBRARY = sorted((ROOT / "relviz").rglob("*.py"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_not_always_there_is_asked_for_first(path):
    rooms = [folder / "__init__.py" for folder in path.parents if ROOT in folder.parents]
    inherited: set[str] = set()
    for room in rooms:
        if room.is_file() and room != path:
            inherited |= required(ast.parse(room.read_text()).body)
    anywhere = required(ast.walk(ast.parse(path.read_text())))
    for module, node, above in imports(path):
        if brought()[module] & declared():
            continue
        assert module in OPTIONAL, f"{module} is imported and not declared: see _extras.py"
        private = any(getattr(each, "name", "")[:1] == "_" for each in above)
        bodies = [getattr(each, "body", ()) for each in above]
        asked = set().union(*(required(body, node.lineno) for body in bodies))
        # what nobody calls from outside may rely on who calls it
        asked |= anywhere if private else set()
        assert module in asked | inherited, f"line {node.lineno}: require({module!r}) before it"


@pytest.mark.slow
def test_the_core_needs_all_that_it_brings():
    used = {module for path in LIBRARY for module, *_ in imports(path)}
    assert declared() == set().union(*(brought()[module] & declared() for module in used))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("top", "extra"), [("benchmarks", "test"), ("tools", "test"), ("tests", "test")]
)
def test_what_the_rest_imports_is_declared(top, extra):
    known = declared() | declared(extra)
    for path in sorted((ROOT / top).rglob("*.py")):
        for module, node, _ in imports(path):
            if module == "torchcrepe":  # installed without what it asks for: see the Makefile
                continue
            assert brought()[module] & known, f"{path.name}, line {node.lineno}: {module}"


def test_the_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError) as refused:
        require("joblib", "pandas")
    assert str(refused.value) == (
        "pandas is not installed: pip install 'relviz[speech] @ "
        "git+https://github.com/relviz/relviz' brings it."
    )
    assert isinstance(refused.value, ImportError)


def alone(code: str, *extras: str) -> str:
    """Run code where nothing is installed but the core and some extras; return what it prints."""
    hidden = {module for module, extra in OPTIONAL.items() if extra not in extras}
    if "speech" in extras:
        hidden -= {"cloudpickle"}  # joblib needs it, too
    hide = f"import sys\nfor name in {sorted(hidden)!r}: sys.modules[name] = None\n"
    done = subprocess.run([sys.executable, "-c", hide + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_core_alone_serves_a_researcher():
    said = alone(
        "import torch, relviz\n"
        "net = relviz.load('phones')\n"
        "wave = torch.randn(6000, generator=torch.Generator().manual_seed(0))\n"
        "window = (wave[:net.window] - wave[:net.window].mean()) / wave[:net.window].std()\n"
        "r = relviz.relevance(net, window, target=3)\n"
        "signal = relviz.relevance_signal(net, wave, hop_length=800)\n"
        "map_ = relviz.spectral_relevance(signal, sample_rate=16000)\n"
        "from relviz import audio, backprop, controls, filters, networks, pretrained, signals\n"
        "print(r.shape == window.shape, len(signal), len(map_))"
    )
    assert said.split() == ["True", "6000", "3"]


@pytest.mark.slow
def test_one_recording_is_explained_with_the_extra_speech():
    said = alone(
        "import relviz\n"
        "from relviz.corpora import vowel\n"
        "wave = vowel(120, (500, 1500, 2500))\n"
        "found = relviz.explain(wave, 'phones', sample_rate=16000, hop_length=997)\n"
        "print(len(found.frames), len(found.effects) > 5, found._repr_html_())\n"
        "for code in ('found.html()', 'relviz.explanation.explain_folder'):\n"
        "    try: exec(code)\n"
        "    except relviz.RelvizError as error: print(error)\n",
        "speech",
    ).splitlines()
    assert said == [
        "40 True None",
        *(
            f"{module} is not installed: pip install 'relviz[{extra}] @ "
            "git+https://github.com/relviz/relviz' brings it."
            for module, extra in (("anywidget", "book"), ("dask", "cluster"))
        ),
    ]


REFUSED = {
    "import relviz.studies": "joblib",
    "import relviz.studies.vowels": "joblib",
    "from relviz import plots": "matplotlib",
    "relviz.corpora.store.cache()": "pooch",
    "import relviz.corpora.archive": "requests",
    "list(relviz.tasks.run(abs, [1], jobs=1))": "joblib",
    "import relviz.widgets.relu": "anywidget",
    "relviz.studies": "joblib",
    "relviz.explain": "pandas",
    "relviz.acoustics.shift_f0([0.0] * 800, 16000, 1.1)": "parselmouth",
    "relviz.export.guided_graph(relviz.load('phones'))": "onnx",
}


@pytest.mark.slow
def test_each_refusal_names_its_extra():
    tries = "".join(
        f"try: exec({code!r})\nexcept relviz.RelvizError as error: print(error)\n"
        for code in REFUSED
    )
    said = alone("import relviz\n" + tries).splitlines()
    assert said == [
        f"{module} is not installed: pip install 'relviz[{OPTIONAL[module]}] @ "
        "git+https://github.com/relviz/relviz' brings it."
        for module in REFUSED.values()
    ]
