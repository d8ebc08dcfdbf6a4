"""tools/vendor.py: what comes from npm is locked, says nothing of where it comes from, and fits."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "tools" / "npm"
spec = importlib.util.spec_from_file_location("vendor", ROOT / "tools" / "vendor.py")
vendor = importlib.util.module_from_spec(spec)
spec.loader.exec_module(vendor)

WANTED = json.loads((LOCK / "package.json").read_text())


@pytest.fixture(params=["npm", "javascript"])
def locked(request):
    """What a folder wants, and what its lock names."""
    folder = ROOT / "tools" / request.param
    wanted = json.loads((folder / "package.json").read_text())
    return wanted, json.loads((folder / "package-lock.json").read_text())["packages"]


def test_lock_names_no_host(locked):
    """A host written here would override the machine's own setting."""
    assert not [name for name, package in locked[1].items() if "resolved" in package]


def test_every_package_is_locked_by_its_contents(locked):
    packages = {name: package for name, package in locked[1].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())


@pytest.mark.parametrize("group", ["dependencies", "devDependencies"])
def test_lock_is_of_what_is_wanted(locked, group):
    wanted, packages = locked
    assert packages[""].get(group) == wanted.get(group)
    for name, version in wanted.get(group, {}).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), f"{name}: name one exact version"
        assert packages[f"node_modules/{name}"]["version"] == version


def test_site_takes_files_of_wanted_packages_only():
    assert set(vendor.FILES) == set(WANTED["dependencies"])


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


@pytest.fixture
def bare(monkeypatch):
    """A machine without Node; returns what was run, and gives each run the exit status 1."""
    ran = []
    monkeypatch.setattr(vendor.shutil, "which", lambda _: None)
    monkeypatch.setattr(vendor.importlib.util, "find_spec", lambda _: None)

    def run(command, **_):
        ran.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(vendor.subprocess, "run", run)
    return ran


def test_node_of_the_machine_comes_first(bare, monkeypatch):
    monkeypatch.setattr(vendor.shutil, "which", lambda program: f"/bin/{program}")
    assert vendor.node("node", "it") == ["/bin/node"] and bare == []


def test_node_of_the_package_is_called_where_the_machine_has_none(bare, monkeypatch):
    monkeypatch.setattr(vendor.importlib.util, "find_spec", lambda _: "there")
    python, option, call = vendor.node("npm", "it")
    assert (python, option) == (sys.executable, "-c") and "n.npm(sys.argv[1:])" in call
    assert bare == []


def test_without_any_node_one_sentence_says_what_to_do(bare):
    with pytest.raises(SystemExit) as refused:
        vendor.node("npm", "what the book loads")
    assert refused.value.code == (
        "npm is missing, and with it what the book loads: install Node.js, or run "
        "`pip install --require-hashes -r tools/requirements/node.txt` where there is a network, "
        "and try again."
    )
    assert bare[0][-3:] == ["--require-hashes", "-r", str(vendor.NODE)]


def test_without_a_network_one_sentence_says_what_failed(bare, monkeypatch, tmp_path):
    monkeypatch.setattr(vendor.shutil, "which", lambda program: f"/bin/{program}")
    with pytest.raises(SystemExit) as refused:
        vendor.install(LOCK, tmp_path / "npm", "what the book loads")
    assert refused.value.code == "npm could not install what the book loads: is there a network?"
    assert bare == [["/bin/npm", "ci", "--ignore-scripts", "--loglevel=error"]]
    assert (tmp_path / "npm" / "package-lock.json").read_bytes() == (
        LOCK / "package-lock.json"
    ).read_bytes()
