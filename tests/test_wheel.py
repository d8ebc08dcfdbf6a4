"""The wheel: what somebody gets who installs relviz alone."""

import subprocess
import sys
import zipfile

import pytest

from tests.book.toc import ROOT


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> set[str]:
    """Return the files of a wheel built from this tree; hatchling asks no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_type_checkers_are_told_of_the_hints(names):
    """Without this file they take relviz for a library without types (PEP 561)."""
    assert "relviz/py.typed" in names


@pytest.mark.slow
def test_everything_inside_the_package_goes_along(names):
    kinds = ("*.py", "*.js", "*.css", "*.sha256", "*.safetensors")
    there = {p.relative_to(ROOT).as_posix() for k in kinds for p in (ROOT / "relviz").rglob(k)}
    assert len(there) > 50
    assert there <= names


def test_nothing_else_does(names):
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"relviz"}
    assert not [name for name in names if "__pycache__" in name]


def test_licences_go_along(names):
    assert {name.rpartition("/")[2] for name in names if "licenses" in name} == {
        "LICENSE",
        "LICENSE-TEXT",
    }
