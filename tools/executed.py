"""The book's notebooks, executed once: for its pages, and for nbval.

tools/book.py executes them, several at a time, and keeps them where Jupyter Book looks for them. As
a plugin of pytest, this file hands the same to nbval:

    python -m pytest -p tools.executed --nbval-lax NOTEBOOKS

Which cells are compared, how, and what is said of those that differ, is nbval's own. Only its
kernel is another one, which answers each cell with what it gave for the book.
"""

import ast
import os
import re
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from nbformat import NotebookNode
from nbval.plugin import IPyNbFile

CACHE = Path(__file__).resolve().parent.parent / "_build" / ".jupyter_cache"
LONGEST = ("08", "07", "06", "11", "13", "04", "10")
"""Begun first, or the last to end would run alone."""


def execute(path: Path, timeout: int) -> tuple[NotebookNode, float]:
    """Execute a notebook in its own folder; return it, and how many seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    done = single_nb_execution(notebook, cwd=str(path.parent), timeout=timeout, allow_errors=False)
    if done.err is not None:
        raise RuntimeError(done.exc_string)
    return done.nb, done.time


def execute_all(paths: Iterable[Path], timeout: int) -> None:
    """Execute those notebooks that the cache has not, and keep them there; exit where any failed.

    JOBS run at a time, 2 if it is not set, and share the cores. `timeout` is for one cell, in
    seconds.
    """
    jobs = int(os.environ.get("JOBS", "2"))
    for limit in ("OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
        os.environ.setdefault(limit, str(max(1, (os.cpu_count() or 1) // jobs)))
    # a bar would say how fast this machine is, and would be on the page
    os.environ["TQDM_DISABLE"] = "1"
    cache, waiting, failed = get_cache(CACHE), [], []
    for path in paths:
        try:
            cache.match_cache_notebook(nbformat.read(path, as_version=4))
        except KeyError:
            waiting.append(path)
    waiting.sort(key=lambda path: (*LONGEST, path.name[:2]).index(path.name[:2]))
    # spawned: a fork of a process in which onnxruntime has run might hang
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        running = {pool.submit(execute, path, timeout): path for path in waiting}
        for future in as_completed(running):
            path = running[future]
            if error := future.exception():
                failed.append(path.name)
                print(f"{path} failed:\n{error}", file=sys.stderr)
                continue
            notebook, seconds = future.result()
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, overwrite=True)
            print(f"executed {path.name} in {seconds:.0f} s", flush=True)
    if failed:
        sys.exit(f"Nothing was built, as these failed (see above): {', '.join(sorted(failed))}")


def glued(notebook: NotebookNode) -> dict[str, Any]:
    """Return the values that an executed notebook has glued, by name."""
    found: dict[str, Any] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            record = output.get("metadata", {}).get("scrapbook")
            if record:
                text = output["data"][record["mime_prefix"] + "text/plain"]
                text = re.sub(r"^np\.\w+\((.*)\)$", r"\1", text)
                try:
                    found[record["name"]] = ast.literal_eval(text)
                except (SyntaxError, ValueError):
                    found[record["name"]] = text
    return found


class Recorded:
    """What nbval asks of a kernel, answered from an executed notebook."""

    def __init__(self, notebook: NotebookNode) -> None:
        self.cells = iter([cell for cell in notebook.cells if cell.cell_type == "code"])
        self.messages: list[dict[str, Any]] = []

    def execute_cell_input(self, source: str, allow_stdin: bool) -> str:
        """Get ready to say what the next cell gave; nbval asks for them in their order."""
        cell = next(self.cells)
        assert cell.source == source
        told = [(output.output_type, output) for output in cell.outputs]
        told.append(("status", {"execution_state": "idle"}))
        self.messages = [
            {"msg_type": kind, "content": what, "parent_header": {"msg_id": cell.id}}
            for kind, what in told
        ]
        return str(cell.id)

    def get_message(self, stream: str, timeout: float) -> dict[str, Any]:
        """Return the next message about the cell."""
        return self.messages.pop(0)

    def await_reply(self, msg_id: str, timeout: float) -> None:
        """Return at once: it has run."""

    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return True

    def stop(self) -> None:
        """Do nothing: no process runs."""


def setup(self: IPyNbFile) -> None:
    """Take nbval's place where it would start a kernel."""
    try:
        _, notebook = get_cache(CACHE).merge_match_into_notebook(self.nb)
    except KeyError:
        pytest.fail(f"{self.path} was not executed as it is: run make book", pytrace=False)
    self.kernel = Recorded(notebook)
    self.setup_sanitize_files()


def pytest_configure() -> None:
    """Pytest calls this."""
    IPyNbFile.setup = setup
