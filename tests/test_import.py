"""`import relviz` is light: what it must not load, and what it offers."""

import pkgutil
import subprocess
import sys
from importlib import resources

import pytest

import relviz

HEAVY = (
    "torch",
    "numpy",
    "rich",
    "librosa",
    "parselmouth",
    "matplotlib",
    "pandas",
    "pyarrow",
    "soundfile",
    "sklearn",
)


def test_import_loads_nothing_heavy():
    code = f"import relviz, sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "" and done.stderr == ""


def test_public_face():
    assert all(callable(getattr(relviz, name)) for name in relviz.__all__)
    assert relviz.__version__


def test_dir_shows_every_room_loaded_or_not():
    rooms = {found.name for found in pkgutil.iter_modules(relviz.__path__)}
    public = {room for room in rooms if not room.startswith("_")}
    assert set(relviz._ROOMS) == public
    assert public | set(relviz.__all__) | {"__version__"} <= set(dir(relviz))
    assert all(getattr(relviz, room).__name__ == f"relviz.{room}" for room in public)


def test_a_star_imports_the_public_face_alone():
    names: dict = {}
    exec("from relviz import *", names)
    assert set(names) - {"__builtins__"} == set(relviz.__all__)
    assert names["load"] is relviz.pretrained.load


def test_a_name_that_is_not_there_is_no_room():
    with pytest.raises(AttributeError, match=r"^module 'relviz' has no attribute 'attic'$"):
        relviz.attic  # noqa: B018


def test_types_are_for_users_too():
    assert resources.files(relviz).joinpath("py.typed").is_file()
