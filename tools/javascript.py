"""Check the JavaScript of the explorers and of the book: its form, its types, its tests.

    python tools/javascript.py           check, as `make javascript` does
    python tools/javascript.py --write   put it into form, without checking

The tests are those that need no browser, tests/widgets/js. Prettier and TypeScript are those that
tools/javascript/package-lock.json names; they stay in _build/javascript.
"""

import hashlib
import subprocess
import sys

import vendor

ROOT = vendor.ROOT
LOCK = ROOT / "tools" / "javascript"
WORK = ROOT / "_build" / "javascript"
PURPOSE = "what checks the JavaScript"
FOLDERS = (
    "relviz/widgets",
    "book/assets",
    "book/teaching",
    "tests/widgets/js",
    "tools/javascript",
)


def files() -> list[str]:
    """Return all scripts, from the root."""
    found = (path for name in FOLDERS for path in (ROOT / name).glob("*.*js"))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def install() -> None:
    """Install Prettier and TypeScript, where the lock names others than those that are there."""
    mark = WORK / "installed.sha256"
    locked = hashlib.sha256((LOCK / "package-lock.json").read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text() == locked:
        return
    print("Installing Prettier and TypeScript, from npm", flush=True)
    mark.unlink(missing_ok=True)
    vendor.install(LOCK, WORK, PURPOSE)
    mark.write_text(locked)


def commands(write: bool) -> list[list[str]]:
    """Return what Node is to run: the checks, or what puts scripts into form."""
    modules = WORK / "node_modules"
    scripts = files()
    prettier = [str(modules / "prettier" / "bin" / "prettier.cjs"), "--log-level", "warn"]
    prettier += ["--config", str(LOCK / "package.json"), "--write" if write else "--check"]
    if write:
        return [[*prettier, *scripts]]
    return [
        [*prettier, *scripts],
        [str(modules / "typescript" / "bin" / "tsc"), "--project", str(LOCK)],
        [str(LOCK / "lines.mjs"), *scripts],
        ["--test", "--test-reporter=spec", *(s for s in scripts if s.endswith(".test.mjs"))],
    ]


def main(*options: str) -> int:
    """Run all checks, also after one has failed; returns 1 where one did."""
    install()
    node = vendor.node("node", PURPOSE)
    ran = [subprocess.run([*node, *c], cwd=ROOT) for c in commands("--write" in options)]
    return int(any(run.returncode for run in ran))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
