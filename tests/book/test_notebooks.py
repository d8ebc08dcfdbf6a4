"""The chapter notebooks as files: executed, text only, and checkable on another machine."""

import ast
import builtins
import re

import nbformat
import pytest

from tests.book.toc import ROOT, pages

NOTEBOOKS = sorted(
    p for p in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts
)
CHAPTERS = [path for path in NOTEBOOKS if path.stem[0].isdigit()]  # the rest is the appendix
TEMPLATE = ROOT / "book" / "template.ipynb"  # a pattern, and no page
CHECKED = "# NBVAL_CHECK_OUTPUT"
LEAST_CHECKED = 5
MOST_LINES = 15  # of what stands open
FOLDED = {"hide-cell", "hide-input", "remove-cell", "remove-input"}
# players are heard, and the colours and the look draw nothing
DRAWS = re.compile(r"\bplt\.|\bplots\.(?!player\b|style\b|COLOUR)")
TEXT = {"text/plain", "text/markdown", "text/latex"}
# a path that exists on one machine only
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|usr|opt|mnt|var)/|\b[A-Z]:\\\\?\w")
ADDRESS = re.compile(r" at 0x[0-9a-f]{6,}")


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def open_cells(notebook):
    return [cell for cell in code_cells(notebook) if not tags(cell) & FOLDED]


def names(source: str) -> tuple[set[str], set[str]]:
    """Names that a cell binds, and those that it reads."""
    lines = ("pass" if line.lstrip()[:1] in ("%", "!") else line for line in source.splitlines())
    bound, read = set(), set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.Import(names=found) | ast.ImportFrom(names=found):
                bound |= {(each.asname or each.name).split(".")[0] for each in found}
    return bound, read


def output_text(output) -> str:
    if output.output_type == "stream":
        return output.text
    return "".join(str(text) for text in output.get("data", {}).values())


def test_toc_names_each_notebook():
    """A chapter that the table of contents forgets would be executed by nobody."""
    names = {path.relative_to(ROOT).with_suffix("").as_posix() for path in NOTEBOOKS}
    assert names - set(pages()) == {TEMPLATE.relative_to(ROOT).with_suffix("").as_posix()}


def test_the_template_has_what_a_chapter_has():
    text = "\n".join(cell.source for cell in nbformat.read(TEMPLATE, as_version=4).cells)
    for part in ("**Goals.**", "**Prerequisites.**", "## What this does not show", "## Exercises"):
        assert part in text
    assert "## Summary" in text and "{bibliography}" in text and "{glue:text}" in text


def test_toc_names_only_files_that_exist():
    for name in pages():
        assert any((ROOT / f"{name}{end}").is_file() for end in (".md", ".ipynb")), name


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_is_valid(notebook):
    nbformat.validate(notebook)


def test_runs_on_any_python3_kernel(notebook):
    assert notebook.metadata.kernelspec.name == "python3"


def test_every_cell_was_executed_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1)), "run: make notebooks"


def test_has_no_empty_code_cell(notebook):
    assert all(c.source.strip() for c in notebook.cells if c.cell_type == "code")


def test_outputs_are_text(notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert outputs, "without outputs, comparing them would prove nothing"
    for output in outputs:
        assert output.output_type in {"stream", "execute_result", "display_data"}, output
        assert set(output.get("data", {})) <= TEXT, "run: make notebooks"


def test_carries_no_widget_state(notebook):
    assert "widgets" not in notebook.metadata


def test_enough_cells_are_compared(request, notebook):
    checked = [cell for cell in code_cells(notebook) if CHECKED in cell.source]
    chapter = request.node.callspec.params["notebook"] in CHAPTERS
    assert len(checked) >= (LEAST_CHECKED if chapter else 1)
    for cell in checked:
        assert cell.source.startswith(CHECKED), "the mark stands in the cell's first line"
        assert cell.outputs, f"compares nothing: {cell.source}"
        assert "glue(" not in cell.source, "glue's output is not committed, so it differs"
        # rich displays have forms that are not committed, so they can never be equal
        assert all(set(o.get("data", {})) <= {"text/plain"} for o in cell.outputs)


def test_what_stands_open_is_short(notebook):
    for cell in open_cells(notebook):
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source


def test_figures_and_checks_are_folded(notebook):
    for cell in open_cells(notebook):
        assert not DRAWS.search(cell.source), f"tag it hide-input:\n{cell.source}"
    for cell in code_cells(notebook):
        if CHECKED in cell.source:
            assert tags(cell) & {"hide-cell", "remove-cell"}, f"tag it hide-cell:\n{cell.source}"


def test_open_cells_use_names_that_the_reader_has_seen(notebook):
    """A name is seen where an open cell binds it, or the cell of imports."""
    seen, hidden = {*dir(builtins), "display"}, set()
    for cell in code_cells(notebook):
        bound, read = names(cell.source)
        if tags(cell) & FOLDED and "plots.style()" not in cell.source:
            hidden |= bound
            continue
        unseen = (read - bound - seen) & hidden
        assert not unseen, f"{sorted(unseen)} come from a folded cell:\n{cell.source}"
        seen |= bound


def test_names_no_place_on_one_machine(notebook):
    texts = [cell.source for cell in notebook.cells]
    texts += [output_text(output) for cell in code_cells(notebook) for output in cell.outputs]
    for text in texts:
        assert not ABSOLUTE.search(text), text
        assert not ADDRESS.search(text), text


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_title_carries_the_number_of_the_file(path):
    """Chapters are not numbered by their place, so that the numbers hold while some are missing."""
    notebook = nbformat.read(path, as_version=4)
    first = next(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    number = int(path.stem.split("_")[0])
    assert re.search(rf"^# {number}\b", first, re.MULTILINE)
