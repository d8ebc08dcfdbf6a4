"""tools/javascript.py: every script is checked, by every check, and nothing is installed twice."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tool(monkeypatch):
    """The module as it is run: beside the other tools."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    spec = importlib.util.spec_from_file_location("javascript", ROOT / "tools" / "javascript.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def ran(tool, monkeypatch):
    """What Node was asked to do; each time it says that something is wrong in types only."""
    commands = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, int("tsc" in command[1]))

    monkeypatch.setattr(tool, "install", lambda: None)
    monkeypatch.setattr(tool.vendor, "node", lambda *_: ["node"])
    monkeypatch.setattr(tool.subprocess, "run", run)
    return commands


def test_no_script_is_left_out(tool):
    folders = [ROOT / name for name in ("benchmarks", "book", "relviz", "tests", "tools")]
    every = [path.relative_to(ROOT) for folder in folders for path in folder.rglob("*.*js")]
    ours = sorted(path.as_posix() for path in every if "node_modules" not in path.parts)
    assert tool.files() == ours


def test_every_script_of_the_pages_asks_editors_for_types(tool):
    pages = [name for name in tool.files() if name.startswith(("relviz", "book"))]
    assert len(pages) > 5
    assert [n for n in pages if not (ROOT / n).read_text().startswith("// @ts-check\n")] == []


def test_all_checks_run_though_one_fails(tool, ran):
    assert tool.main() == 1
    form, types, length, tests = (" ".join(command) for command in ran)
    assert "prettier" in form and "--check" in form and "relviz/widgets/dsp.js" in form
    assert "tsc" in types
    assert "lines.mjs" in length and "relviz/widgets/dsp.js" in length
    assert "--test" in tests and "tests/widgets/js/dsp.test.mjs" in tests
    assert "signals.mjs" not in tests


def test_write_changes_the_form_and_checks_nothing(tool, ran):
    assert tool.main("--write") == 0
    (form,) = ran
    assert "--write" in form and "--check" not in form


def test_what_is_there_is_installed_again_only_for_another_lock(tool, monkeypatch, tmp_path):
    installed = []
    lock = tmp_path / "package-lock.json"
    lock.write_text("one")
    monkeypatch.setattr(tool, "LOCK", tmp_path)
    monkeypatch.setattr(tool, "WORK", tmp_path)
    monkeypatch.setattr(tool.vendor, "install", lambda *_: installed.append(lock.read_text()))
    for text in ("one", "one", "two", "two"):
        lock.write_text(text)
        tool.install()
    assert installed == ["one", "two"]


def test_a_broken_installation_is_no_installation(tool, monkeypatch, tmp_path):
    def fail(*_):
        raise SystemExit("no network")

    (tmp_path / "package-lock.json").write_text("one")
    monkeypatch.setattr(tool, "LOCK", tmp_path)
    monkeypatch.setattr(tool, "WORK", tmp_path)
    (tmp_path / "installed.sha256").write_text("of another lock")
    monkeypatch.setattr(tool.vendor, "install", fail)
    with pytest.raises(SystemExit, match="no network"):
        tool.install()
    assert not (tmp_path / "installed.sha256").exists()
