"""tools/vendor.py: what the site loads is locked, says nothing of where it comes from, and fits."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "tools" / "npm"
spec = importlib.util.spec_from_file_location("vendor", ROOT / "tools" / "vendor.py")
vendor = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vendor)

WANTED = json.loads((LOCK / "package.json").read_text())
PACKAGES = json.loads((LOCK / "package-lock.json").read_text())["packages"]


def test_lock_names_no_host():
    """A host written here would override the machine's own setting."""
    assert not [name for name, package in PACKAGES.items() if "resolved" in package]


def test_every_package_is_locked_by_its_contents():
    locked = {name: package for name, package in PACKAGES.items() if name}
    assert locked
    assert all(package["integrity"].startswith("sha512-") for package in locked.values())


@pytest.mark.parametrize("group", ["dependencies", "devDependencies"])
def test_lock_is_of_what_is_wanted(group):
    assert PACKAGES[""][group] == WANTED[group]
    for name, version in WANTED[group].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name}: name one exact version"
        assert PACKAGES[f"node_modules/{name}"]["version"] == version


def test_site_takes_files_of_wanted_packages_only():
    assert set(vendor.FILES) == set(WANTED["dependencies"])


def test_script_of_anywidget_is_as_old_as_its_python():
    locked = re.search(r"^anywidget==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert locked[1] == WANTED["dependencies"]["anywidget"]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A package as npm installs it, and an empty site."""
    monkeypatch.setattr(vendor, "WORK", tmp_path / "npm")
    monkeypatch.setattr(vendor, "SITE", tmp_path / "site")
    source = tmp_path / "npm" / "node_modules" / "@some" / "thing"
    for name in ("dist/main.js", "dist/fonts/a.woff", "dist/left.js", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "package.json").write_text('{"version": "1.2.3", "license": "MIT"}')
    return tmp_path / "site"


def test_copies_what_is_named_and_the_licence(folders):
    line = vendor.copy("@some/thing", ("dist/main.js", "dist/fonts"))
    assert line == "@some/thing 1.2.3: MIT\n"
    found = {p.relative_to(folders).as_posix() for p in folders.rglob("*") if p.is_file()}
    assert found == {"thing/main.js", "thing/fonts/a.woff", "thing/LICENSE"}


def test_a_change_of_the_lock_is_a_new_installation(tmp_path, monkeypatch):
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_bytes((LOCK / name).read_bytes())
    monkeypatch.setattr(vendor, "LOCK", tmp_path)
    before = vendor.fingerprint()
    assert before == vendor.fingerprint()
    (tmp_path / "package-lock.json").write_text("{}")
    assert vendor.fingerprint() != before
