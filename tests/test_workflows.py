"""What GitHub and git read: workflows, forms, hooks. Nobody else would see one that is broken."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.book.toc import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.stem != "config")
SCRIPTS = [ROOT / ".ci" / "run", ROOT / "postBuild"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


def tool(name: str) -> str:
    """Return a program that the extra `test` brings; without it the test fails, not skips."""
    found = shutil.which(name, path=Path(sys.executable).parent)
    assert found, f"{name} is missing: make install"
    return found


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_workflows_are_sound(tmp_path):
    """actionlint: keys, expressions, contexts, permissions, and shellcheck on what they run."""
    check = [tool("actionlint"), "-shellcheck", tool("shellcheck"), "-pyflakes", "", "-no-color"]
    assert len(WORKFLOWS) == 4
    done = run(*check, *WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr
    # and it would see what is not
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("steps:", "stepps:"))
    assert "stepps" in run(*check, broken).stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(path):
    done = run(tool("shellcheck"), path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_do_the_least(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {} and workflow["concurrency"]
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 180
        writes = {what for what, how in job["permissions"].items() if how == "write"}
        # a job with a right to write runs nothing of ours, so nothing of ours can misuse it
        own = [step["run"] for step in job["steps"] if "uses" not in step]
        attaches = path.stem == "release" and name == "attach"
        assert not writes or all(attaches and run.startswith("gh release create ") for run in own)
        assert writes <= ({"contents"} if attaches else {"pages", "id-token"}), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_their_commit(path):
    """A tag can be moved to other code; a commit cannot. The comment says which version it is."""
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for line in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_actions_are_pinned_alike():
    text = "".join(path.read_text() for path in WORKFLOWS)
    used = set(re.findall(r"uses: (.*)", text))
    assert len(used) == len({line.partition("@")[0] for line in used})


def test_workflows_speak_of_make_only():
    """So that what they do can be done on any machine; the release builds an archive besides."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for path in WORKFLOWS:
        called = re.findall(r"\bmake ([a-z-]+)(?= PYTHON)", path.read_text())
        assert set(called) <= set(targets)
        assert called or path.stem == "release"


def test_hooks_come_from_this_environment():
    """Two versions of a formatter would undo each other's work."""
    assert [repo["repo"] for repo in HOOKS] == ["local"]
    for hook in HOOKS[0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/"), hook["id"]
        for name in re.findall(r"tests/\S+", hook["entry"]):
            assert (ROOT / name).is_file()


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_ask_each_thing_once(path):
    form = yaml.safe_load(path.read_text())
    assert form["name"] and form["description"]
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert asked[0]["validations"]["required"]
    assert len({part["id"] for part in asked}) == len(asked)
    assert all(part["attributes"]["label"] for part in asked)


def test_a_wrong_relevance_is_reported_with_its_smallest_network():
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "relevance.yml").read_text())
    (network,) = [part for part in form["body"] if part.get("id") == "network"]
    assert network["attributes"]["label"] == "The smallest network that shows it"
    assert network["validations"]["required"]
    # its example runs
    exec(network["attributes"]["placeholder"], {})
