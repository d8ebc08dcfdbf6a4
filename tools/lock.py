"""Write constraints.txt and the pip section of environment.yml from a fresh install.

The one lock of the project: every package that `.[test]` pulls in, at one exact version
(Linux, CPU, Python 3.11). `make lock` runs it; then run `make test` before committing.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"

# Where the package index serves the CUDA build of torch these come along; the lock is for CPUs.
CUDA_ONLY = re.compile(r"^(nvidia-|cuda-|triton\b)")
# The installer itself is whatever the virtual environment brings.
NOT_OURS = {"pip", "relviz"}

HEADER = """\
# Made by `make lock`; do not edit. Every package of `.[test]`, Linux, CPU, Python 3.11.
# Used as: pip install -c constraints.txt -e '.[test]'
"""
START = "      # made by `make lock` from constraints.txt; do not edit below\n"


def freeze() -> list[str]:
    """Install into a throw-away environment and return its `name==version` lines, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", TORCH, f"{ROOT}[test]"], check=True)
        listed = subprocess.run(
            [*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True
        ).stdout
    pins = []
    for line in listed.splitlines():
        name, _, version = line.partition("==")
        if name.lower() in NOT_OURS or CUDA_ONLY.match(name.lower()):
            continue
        # "+cpu" names a build, not a release: other indexes do not have it
        pins.append(f"{name}=={version.partition('+')[0]}")
    return sorted(pins, key=str.lower)


def write(pins: list[str]) -> None:
    """Put the pins into both files, so that they cannot disagree."""
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(pins) + "\n")
    environment = ROOT / "environment.yml"
    head, marker, _ = environment.read_text().partition(START)
    if not marker:
        sys.exit(f"{environment} has lost its marker line: {START.strip()}")
    # conda brings torch, see the comment there
    spelled = [f"      - {pin}" for pin in pins if not pin.startswith("torch==")]
    environment.write_text(head + START + "\n".join(spelled) + "\n")


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit("The lock is made with Python 3.11: make lock PYTHON=python3.11")
    write(freeze())
