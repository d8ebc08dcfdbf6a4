"""Assignments: what students get, and how the autograder marks right, empty and wrong work."""

import os
import re
import sys

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tools import course

WEEKS = ("week1", "week2", "week3", "week4")

# wrong in a way that a student might be: what stands in the place of what, and which task fails
WRONG = {
    "week1": [
        ("windows[::shift]", "windows[:: shift + 1]", {"test-blocks", "test-first-layer"}),
        (" + bias", "", {"test-first-layer"}),
        ("step *= shift", "step = shift", {"test-fields"}),
        ("n_f * variance", "n_f * variance**0.5", {"test-dictionary"}),
    ],
    "week2": [
        ('rule != "deconvnet"', 'rule != "guided"', {"test-rules"}),
        ("rate / gcd(hop, period)", "rate / period", {"test-images"}),
        ("(x - x.mean()) / x.std(unbiased=False)", "x - x.mean()", {"test-window", "test-signal"}),
        ("/ np.maximum(count[kept], 1)", "/ count.max()", {"test-signal"}),
    ],
    "week3": [
        ("if n % 2 == 0:", "if True:", {"test-gradient"}),
        ("np.cos(angle - np.angle(G))", "np.cos(angle + np.angle(G))", {"test-step"}),
        ("~np.isnan(truths)", "~np.isnan(truths + estimates)", {"test-right"}),
        ("(n * v + z**2 / 2)", "(n * v + z / 2)", {"test-witnesses"}),
    ],
    "week4": [
        ("np.dot(b, b))", "abs(np.dot(a, b)))", {"test-cosine"}),
        ("(p.exp() * (p - q))", "(q.exp() * (p - q))", {"test-nats", "test-effect"}),
        ("one.with_cue(cue", 'one.with_cue("F1"', {"test-effect"}),
        ("(uses > ignores) + 0.5 * (uses == ignores)", "(uses > ignores)", {"test-league"}),
    ],
}
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS", re.DOTALL)
SOLUTION = re.compile(r"( *)### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL)


def notebook(week: str) -> nbformat.NotebookNode:
    return course.assignment(course.SOURCES / "assignments" / f"{week}.py")


def graded(cells: list) -> dict[str, int]:
    marks = (cell.metadata.get("nbgrader", {}) for cell in cells)
    return {mark["grade_id"]: mark["points"] for mark in marks if mark.get("grade")}


def emptied(text: str) -> str:
    return SOLUTION.sub(r"\1raise NotImplementedError", text)


def failed(cells: list, change=lambda text: text, hidden: bool = True) -> set[str]:
    """Run a notebook's cells in one namespace; return the names of the tests that fail."""
    names, fails = {}, set()
    for cell in (cell for cell in cells if cell.cell_type == "code"):
        mark = cell.metadata.get("nbgrader", {})
        text = change(cell.source) if mark.get("solution") else cell.source
        text = TransformerManager().transform_cell(text)
        try:
            exec(text if hidden else HIDDEN.sub("", text), names)
        except Exception:
            if not mark.get("grade"):
                raise
            fails.add(mark["grade_id"])
    return fails


@pytest.mark.slow
@pytest.mark.parametrize("week", WEEKS)
def test_the_reference_passes_and_nothing_else_does(week):
    cells = notebook(week).cells
    assert not failed(cells)
    assert not failed(cells, hidden=False)
    assert failed(cells, emptied, hidden=False) == set(graded(cells))
    for old, new, tasks in WRONG[week]:
        source = "\n".join(cell.source for cell in cells)
        assert source.count(old) >= 1
        assert failed(cells, lambda text, old=old, new=new: text.replace(old, new)) == tasks


@pytest.mark.parametrize("week", WEEKS)
def test_hidden_tests_know_more_than_visible_ones(week):
    tests = [c for c in notebook(week).cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert len(tests) == 4
    for cell in tests:
        assert "assert" in HIDDEN.search(cell.source)[0]
        assert "assert" in HIDDEN.sub("", cell.source)


@pytest.mark.parametrize("week", WEEKS)
def test_an_assignment_installs_on_colab_what_the_chapters_do(week):
    commit = re.compile(r'commit = "[0-9a-f]{40}"')
    _, how, second, *_ = (cell.source for cell in notebook(week).cells)
    assert "google.colab" in second
    assert "relviz[book] @" in second
    assert commit.search(second)[0].split('"')[1] in how
    assert f"{week}.ipynb" in how
    lab = re.search(r"jupyterlab==\S+", how)[0]
    assert f"{lab} \\" in (course.ROOT / "constraints.txt").read_text().splitlines()
    for path in course.chapters().values():
        assert commit.search(second)[0] in "\n".join(c.source for c in nbformat.read(path, 4).cells)


@pytest.fixture(scope="module")
def nbgrader():
    return pytest.importorskip("nbgrader", reason="nbgrader comes with the extra teach")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_students_get_no_solution_and_nbgrader_marks(nbgrader, tmp_path, monkeypatch):
    """Week 1: right, empty and four wrong submissions; and what students get of every week."""
    from nbgrader.api import Gradebook

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    released = course.release(tmp_path)
    assert [path.stem for path in released] == list(WEEKS)
    for path in released:
        text = path.read_text()
        assert "YOUR CODE HERE" in text
        assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", text)
        source = notebook(path.stem).cells
        for cell in source:
            for own in (*SOLUTION.finditer(cell.source), *HIDDEN.finditer(cell.source)):
                lines = {line.strip() for line in own[0].splitlines()[1:-1]}
                given = {
                    line.strip()
                    for c in nbformat.read(path, 4).cells
                    for line in c.source.splitlines()
                }
                long = {line for line in lines if len(line) > 20}
                assert not long & given
        assert graded(nbformat.read(path, 4).cells) == graded(source)

    own = notebook("week1")
    points = graded(own.cells)
    work = {"right": own, "empty": nbformat.read(released[0], 4)}
    expected = {"right": sum(points.values()), "empty": 0}
    for i, (old, new, tasks) in enumerate(WRONG["week1"]):
        work[f"wrong{i}"] = wrong = notebook("week1")
        expected[f"wrong{i}"] = sum(p for task, p in points.items() if task not in tasks)
        for cell in wrong.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = cell.source.replace(old, new)
    api = course.grader(tmp_path)
    for student, submission in work.items():
        folder = tmp_path / "submitted" / student / "week1"
        folder.mkdir(parents=True)
        nbformat.write(submission, folder / "week1.ipynb")
        done = api.autograde("week1", student)
        assert done["success"], done["log"]
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        scores = {student: book.find_submission("week1", student).score for student in work}
    assert scores == expected
