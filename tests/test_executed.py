"""tools/executed.py: notebooks run once, two at a time, and nbval sees what they gave."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat import v4

from tests.book.toc import ROOT
from tools import executed

pytestmark = pytest.mark.slow

# it remembers where and how often it ran
CODE = """\
# NBVAL_CHECK_OUTPUT
from pathlib import Path
with Path("ran").open("a") as file:
    file.write(".")
print(6 * 7)
"""
NBVAL = """\
import sys
from pathlib import Path
import pytest
from tools import executed
executed.CACHE = Path(sys.argv[1])
sys.exit(pytest.main(["-q", "-p", "tools.executed", "--nbval-lax", "--color=no", *sys.argv[2:]]))
"""


def write(path: Path, code: str, printed: str) -> Path:
    """Write a notebook: a marked cell, whose committed output is `printed`, and one unmarked."""
    outputs = [v4.new_output("stream", name="stdout", text=printed)]
    cells = [
        v4.new_code_cell(code, execution_count=1, outputs=outputs),
        v4.new_code_cell("import random\nrandom.random()", execution_count=2),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(exist_ok=True)
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that one notebook was executed into, twice asked for, beside one that fails."""
    folder = tmp_path_factory.mktemp("a book")
    right = write(folder / "one" / "right.ipynb", CODE, "42\n")
    wrong = write(folder / "two" / "wrong.ipynb", "1 / 0", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executed, "CACHE", folder / "cache")
        # what it sets would stay set for the tests that follow
        for name in ("TQDM_DISABLE", "OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
            patch.setenv(name, "1")
        with pytest.raises(SystemExit, match=r"these failed \(see above\): wrong\.ipynb$"):
            executed.execute_all([wrong, right], timeout=60)
        executed.execute_all([right], timeout=60)
    return folder


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    """What nbval says of it, of one whose committed output differs, and of one not executed."""
    paths = [folder / "one" / "right.ipynb"]
    paths.append(write(folder / "three" / "differs.ipynb", CODE, "43\n"))
    paths.append(write(folder / "four" / "changed.ipynb", CODE.replace("6", "7"), "49\n"))
    command = [sys.executable, "-c", NBVAL, str(folder / "cache"), *map(str, paths)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def test_each_is_executed_once_in_its_folder_and_a_failure_spoils_no_other(folder, said):
    """Nor does nbval execute it."""
    assert (folder / "one" / "ran").read_text() == "."
    (record,) = get_cache(folder / "cache").list_cache_records()
    assert record.uri.endswith("right.ipynb") and record.data["execution_seconds"] > 0


def test_nbval_compares_what_was_executed(said):
    # both cells of the first, and of the second the cell that is not marked
    assert "1 failed, 3 passed" in said and "2 errors" in said
    assert "Cell 0: Cell outputs differ" in said and "- 42" in said and "+ 43" in said


def test_nbval_refuses_code_that_was_not_executed(folder, said):
    path = folder / "four" / "changed.ipynb"
    assert f"{path} was not executed as it is: run make book" in said
    assert not (folder / "four" / "ran").exists()


@pytest.mark.parametrize("name", executed.LONGEST)
def test_what_runs_first_is_there(name):
    assert list((ROOT / "book").rglob(f"{name}_*.ipynb"))
