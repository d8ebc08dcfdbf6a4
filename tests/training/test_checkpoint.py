"""relviz.training.checkpoint: what is gone on from is the run that it says, bit for bit."""

import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from relviz import files
from relviz._errors import ParameterError, WriteError
from relviz.training import checkpoint, fit, load, parallel, weights
from tests.training.conftest import RECIPE

pytestmark = pytest.mark.usefixtures("one_thread")

CHECKPOINT, RECIPE_FILE = "checkpoint.safetensors", "recipe.json"
SHORT = replace(RECIPE, steps=9, validate_every=3)


class Killed(BaseException):
    """Nothing after it happens, as after SIGKILL."""


def run(recipe, data, out, stop_at=None, monkeypatch=None, **options):
    """Fit, or be killed as the given snapshot is written."""
    if stop_at is None:
        return fit(recipe, data, out, device="cpu", **options)
    with monkeypatch.context() as patch:

        def killed(*_):
            raise Killed

        patch.setattr(weights, "save", killed)
        with pytest.raises(Killed):
            fit(recipe, data, out, device="cpu", snapshots=(stop_at,), **options)
    return None


@pytest.fixture(scope="module")
def half(data, tmp_path_factory):
    """A run that was killed between its checkpoint at step 6 and the next."""
    out = tmp_path_factory.mktemp("half")
    with pytest.MonkeyPatch.context() as patch:
        run(SHORT, data, out, 8, patch)
    return out


@pytest.fixture
def out(half, tmp_path):
    return shutil.copytree(half, tmp_path / "run")


def same(one, other):
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(optimiser="adamw", weight_decay=0.1),
        dict(optimiser="sgd"),
        dict(ema=0.9, speed=0.1, response=6.0, noise=0.5, smoothing=0.1),
    ],
)
def test_what_is_taken_up_ends_as_if_never_left(data, tmp_path, monkeypatch, changes):
    recipe = replace(SHORT, **changes)
    run(recipe, data, tmp_path / "killed", 8, monkeypatch)
    assert checkpoint._said(tmp_path / "killed" / CHECKPOINT)["step"] == 6
    whole = run(recipe, data, tmp_path / "whole")
    assert same(run(recipe, data, tmp_path / "killed"), whole)


def test_every_flipped_bit_is_noticed(out, data):
    """Also where it would only have been another weight."""
    path = out / CHECKPOINT
    right = path.read_bytes()
    rng = random.Random(0)
    length = int.from_bytes(right[:8], "little")
    places = [rng.randrange(8 + length, len(right)) for _ in range(20)]
    places += [rng.randrange(8 + length) for _ in range(20)]
    for place in places:
        wrong = bytearray(right)
        wrong[place] ^= 1 << rng.randrange(8)
        path.write_bytes(wrong)
        with pytest.raises(ParameterError, match=r"checkpoint\.safetensors cannot be gone on from"):
            fit(SHORT, data, out, device="cpu")
    for cut in (0, 4, 8, 100, length + 8, len(right) - 1):
        path.write_bytes(right[:cut])
        with pytest.raises(ParameterError, match=r"checkpoint\.safetensors cannot be gone on from"):
            fit(SHORT, data, out, device="cpu")
    # one that makes another recipe of what the header says, which no damage must pass for
    assert right.count(b'weight_decay\\": 0.0') == 1
    path.write_bytes(right.replace(b'weight_decay\\": 0.0', b'weight_decay\\": 8.0'))
    with pytest.raises(ParameterError, match="its SHA-256 is not the one that it was written with"):
        fit(SHORT, data, out, device="cpu")
    path.write_bytes(right)
    fit(SHORT, data, out, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("at", range(7))
def test_a_restart_that_is_killed_mixes_no_two_runs(out, data, tmp_path, monkeypatch, at):
    """Killed after any of its files is removed, the folder holds the old run or the new one."""
    run(SHORT, data, out, snapshots=(9,))
    (out / "scores.json").write_text("{}")
    real, removed = files.remove, []

    def remove(path):
        if path.exists():
            if len(removed) == at:
                raise Killed
            removed.append(path.name)
        real(path)

    other = replace(SHORT, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", remove)
        try:
            fit(other, data, out, device="cpu", resume=False)
        except Killed:
            with pytest.raises(ParameterError, match="holds a run with seed 0, not 1"):
                fit(other, data, out, device="cpu")
            old = fit(SHORT, data, out, device="cpu")
            assert same(old, run(SHORT, data, tmp_path / "old"))
    fit(other, data, out, device="cpu", resume=False)
    assert same(load(out), run(other, data, tmp_path / "new"))
    assert not list(out.glob("step-*")) and checkpoint.held_recipe(out).seed == 1


def test_the_recipe_is_the_checkpoints(out, data):
    """Without recipe.json, or with another's, nothing is taken for what it is not."""
    (out / RECIPE_FILE).unlink()
    assert checkpoint.held_recipe(out) == SHORT
    with pytest.raises(ParameterError, match="holds a run with seed 0, not 1"):
        fit(replace(SHORT, seed=1), data, out, device="cpu")
    assert not (out / RECIPE_FILE).exists()
    mine = checkpoint._run(replace(SHORT, seed=1), data)
    (out / RECIPE_FILE).write_text(json.dumps(mine))
    for seed in (0, 1):
        with pytest.raises(ParameterError, match="holds a run with seed"):
            fit(replace(SHORT, seed=seed), data, out, device="cpu")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        ("null", "it names no data"),
        ("[1]", "it names no data"),
        ('{"recipe": {}}', "it names no data"),
        ('{"data": "0"}', "the recipe's architecture is missing"),
        ('{"data": "0", "recipe": 3}', "the recipe is no mapping of fields"),
        (b"\xff\xfe", "it is no JSON"),
    ],
)
def test_a_recipe_that_cannot_be_is_named(data, tmp_path, text, why):
    path = tmp_path / RECIPE_FILE
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ParameterError) as caught:
        fit(SHORT, data, tmp_path, device="cpu")
    assert str(caught.value) == (
        f"{path} cannot be gone on from ({why}): take another folder, or begin anew."
    )
    with pytest.raises(ParameterError, match=r"recipe\.json cannot be gone on from"):
        checkpoint.held_recipe(tmp_path)
    fit(SHORT, data, tmp_path, device="cpu", resume=False)


def test_a_checkpoint_of_another_version(out, data, tmp_path):
    path = out / CHECKPOINT
    said, tensors = checkpoint._read(path)
    for changed, why in (
        (said | {"format": 0}, "not of this version"),
        ({k: v for k, v in said.items() if k != "stale"}, "not of this version"),
        (said | {"recipe": said["recipe"] | {"momentum": 1}}, "momentum is unknown"),
    ):
        text = json.dumps(changed)
        texts = {"checkpoint": text, "sha256": checkpoint._digest(text, tensors)}
        path.write_bytes(safetensors.torch.save(tensors, texts))
        with pytest.raises(ParameterError, match=f"cannot be gone on from .*{why}"):
            fit(SHORT, data, out, device="cpu")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "checkpoint.pt").touch()
    with pytest.raises(ParameterError, match=r"holds checkpoint\.pt, of an earlier version"):
        fit(SHORT, data, tmp_path / "old", device="cpu")
    fit(SHORT, data, tmp_path / "old", device="cpu", resume=False)
    assert not (tmp_path / "old" / "checkpoint.pt").exists()


def test_a_run_has_one_trainer(out, data, tmp_path):
    with files.alone(out), pytest.raises(WriteError) as caught:
        in_another_thread(lambda: fit(SHORT, data, out, device="cpu"))
    assert str(caught.value) == (
        f"{out} is in use by another run: wait for it, or take another folder."
    )


def in_another_thread(function):
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_a_folder_that_cannot_be_is_named_before_any_work(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"file/run cannot be written \(not a directory\)"):
        fit(SHORT, data, tmp_path / "file" / "run", device="cpu")


def test_nothing_is_a_pickle(out, data):
    run(SHORT, data, out)
    for path in out.iterdir():
        assert not path.read_bytes().startswith((b"PK", b"\x80")), path
    with parallel.process("cpu") as process:
        assert process.first
    assert np.isfinite(checkpoint.history(out)["valid_accuracy"])
