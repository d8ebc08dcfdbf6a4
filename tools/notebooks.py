"""Execute notebooks in place and keep of their outputs the text only.

Committed notebooks show on any host what a cell prints, and their diffs stay readable: pictures,
sound, HTML and widget state are made again whenever the book is built.
"""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

KEPT = ("text/plain", "text/markdown", "text/latex")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def text_only(output: NotebookNode) -> NotebookNode | None:
    """Return the output with its text forms alone, or None where nothing worth keeping is left."""
    if output.output_type == "stream":
        # progress bars and warnings differ from run to run
        return output if output.name == "stdout" else None
    data = {kind: output.data[kind] for kind in KEPT if kind in output.data}
    if not data or ADDRESS.search("".join(data.get("text/plain", ""))):
        return None
    output.data, output.metadata = NotebookNode(data), NotebookNode()
    return output


def joined(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Join what was printed in pieces: where it is cut depends on how busy the machine is."""
    found: list[NotebookNode] = []
    for output in outputs:
        if found and output.output_type == found[-1].output_type == "stream":
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def clean(notebook: NotebookNode) -> None:
    """Strip an executed notebook of all that is not text or that changes from run to run."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        cell.outputs = joined(kept for kept in map(text_only, cell.outputs) if kept is not None)


def run(path: Path) -> None:
    """Execute one notebook where it lies, as the book and Binder do, and write it back."""
    os.environ["TQDM_DISABLE"] = "1"  # a bar would say how fast this machine is
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
    ).execute()
    clean(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"executing {name}", flush=True)
        run(Path(name))
