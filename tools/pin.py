"""Say which commit of the repository notebooks and README install, until there is a release.

    python tools/pin.py [COMMIT]      default: the last one here

A commit cannot name itself, so this is run on its own after what readers need has been committed.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = re.compile(r'(?<=relviz/relviz@)[0-9a-f]{40}|(?<=commit = \\")[0-9a-f]{40}')
"""In an address, and in the first cell of a notebook, as JSON has it."""


def files() -> list[Path]:
    """Return what tells readers to install relviz."""
    notebooks = (path for top in ("book", "notebooks") for path in (ROOT / top).rglob("*.ipynb"))
    return [ROOT / "README.md", *sorted(notebooks)]


def main(commit: str) -> None:
    """Write the commit into all of them."""
    git = ["git", "rev-parse", "--verify", f"{commit}^{{commit}}"]
    found = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    for path in files():
        path.write_text(PLACES.sub(found, path.read_text()))
    print(f"{len(files())} files install {found}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "HEAD")
