"""relviz.training.fit: it learns, it survives being killed, it shares batches, it refuses."""

import csv
import math
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from relviz.networks import PHONE_CNN, SPEAKER_CNN, build
from relviz.training import Data, checkpoint, fit, load, parallel, train
from relviz.training.checkpoint import COLUMNS, State, held_recipe
from relviz.training.data import order
from relviz.training.fit import WithDropout, _step, chosen, seconds_per_step
from relviz.training.score import log_posteriors
from tests.training.conftest import RECIPE, TINY

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-m", "tests.training.once"]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def uninterrupted(cache, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    fit(RECIPE, data, out, device="cpu")
    return out


def rows(out):
    with (out / "log.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def same_weights(one, other):
    a, b = load(one).state_dict(), load(other).state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("architecture", [PHONE_CNN, SPEAKER_CNN, TINY])
def test_dropout_only_in_training(architecture):
    net = build(architecture, 5, seed=0)
    x = torch.randn(3, architecture.window, generator=torch.manual_seed(0))
    dropped = WithDropout(net, 0.5)
    assert torch.equal(dropped.eval()(x), net(x))
    assert not torch.equal(dropped.train()(x), net(x))
    assert torch.equal(WithDropout(net).train()(x), net(x))


@pytest.mark.slow
def test_it_learns(data, tmp_path):
    recipe = replace(RECIPE, steps=150, validate_every=50, dropout=0.0)
    net = fit(recipe, data, tmp_path)
    test = data.tests["held-out speakers"]
    right = log_posteriors(net, test).argmax(1) == test.labels
    # frames at a boundary belong to both: look away from boundaries
    inside = np.convolve(np.diff(test.labels, prepend=-1, append=-1) != 0, np.ones(5), "same") == 0
    assert right[inside[:-1]].mean() > 0.95
    log = rows(tmp_path)
    assert [int(row["step"]) for row in log] == [50, 100, 150]
    assert float(log[-1]["loss"]) < float(log[0]["loss"])
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == ",".join(COLUMNS)


@pytest.mark.slow
def test_the_log_and_the_weights(uninterrupted, data):
    assert [int(row["step"]) for row in rows(uninterrupted)] == [*range(7, 60, 7), 60]
    net = load(uninterrupted)
    assert not net.training and net.metadata.classes == data.classes
    assert net.metadata.recipe["seed"] == 0 and net.metadata.about == {"recordings": "tones"}
    assert held_recipe(uninterrupted) == RECIPE


@pytest.mark.slow
def test_a_second_run_is_the_same_and_a_finished_one_returns_at_once(uninterrupted, data, tmp_path):
    state = torch.random.get_rng_state()
    fit(RECIPE, data, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same_weights(tmp_path, uninterrupted) and rows(tmp_path) == rows(uninterrupted)
    before = (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns
    fit(RECIPE, data, tmp_path)
    assert (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns == before
    other = replace(RECIPE, seed=1)
    fit(other, data, tmp_path, resume=False)
    assert not same_weights(tmp_path, uninterrupted)


@pytest.mark.slow
def test_killed_again_and_again(uninterrupted, cache, tmp_path):
    rng = random.Random(0)
    out = tmp_path / "run"
    kills = 0
    for _ in range(40):
        run = subprocess.Popen([*RUN, cache, out], cwd=ROOT, stdout=subprocess.PIPE)
        run.stdout.readline()
        steps = len(rows(out)) if (out / "log.csv").is_file() else 0
        if kills < 3:  # at any moment after the first checkpoint of this process
            limit = time.monotonic() + 60
            while run.poll() is None and time.monotonic() < limit:
                now = len(rows(out)) if (out / "log.csv").is_file() else 0
                if now > steps:
                    break
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.1))
            run.send_signal(signal.SIGKILL)
        if run.wait(60) == 0:
            break
        kills += run.returncode == -signal.SIGKILL
    assert kills >= 2
    assert same_weights(out, uninterrupted) and rows(out) == rows(uninterrupted)
    assert not list(out.glob(".*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_saves_and_says_how_to_go_on(uninterrupted, cache, data, tmp_path, number):
    run = subprocess.Popen([*RUN, cache, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    run.stdout.readline()
    while not (tmp_path / "log.csv").is_file():
        time.sleep(0.001)
    run.send_signal(number)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 128 + number and "the same command goes on from there" in said
    step = checkpoint._said(tmp_path / "checkpoint.safetensors")["step"]
    assert 7 <= step < 60 and f"stopped after {step} of 60 steps" in said
    fit(RECIPE, data, tmp_path)
    assert same_weights(tmp_path, uninterrupted) and rows(tmp_path) == rows(uninterrupted)


@pytest.mark.slow
def test_killed_while_a_checkpoint_is_written(uninterrupted, data, tmp_path, monkeypatch):
    """The draft is half written; the checkpoint before it is what counts."""
    real, calls = Path.write_bytes, []

    def broken(path, content):
        calls.append(path)
        if len(calls) == 3:
            real(path, content[:1000])
            raise SystemExit
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(SystemExit):
        fit(RECIPE, data, tmp_path)
    monkeypatch.undo()
    (tmp_path / ".checkpoint.safetensors.1-1.part").write_bytes(b"left behind")
    fit(RECIPE, data, tmp_path)
    assert same_weights(tmp_path, uninterrupted) and rows(tmp_path) == rows(uninterrupted)
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.slow
def test_two_processes_are_one(cache, data, tmp_path):
    """Each takes half of every batch: the gradients, so the weights, are those of one process."""
    changes = ["dropout=0.0", "steps=20", "optimiser='sgd'", "learning_rate=0.01"]
    changes += ["speed=0.1", "response=6.0", "ema=0.5"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    module = ["-m", "tests.training.once"]
    for extra in (changes, [*changes, "batch_size=31"]):
        done = subprocess.run(
            [*torchrun, *module, cache, tmp_path / f"two{len(extra)}", *extra],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if extra is changes:
            assert done.returncode == 0, done.stderr
        else:
            assert "cannot be shared by 2 processes" in done.stderr
    recipe = replace(RECIPE, dropout=0.0, steps=20, optimiser="sgd", learning_rate=0.01)
    recipe = replace(recipe, speed=0.1, response=6.0, ema=0.5)
    fit(recipe, data, tmp_path / "one")
    a, b = load(tmp_path / "two7").state_dict(), load(tmp_path / "one").state_dict()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-6, rtol=1e-4)
    assert len(rows(tmp_path / "two7")) == len(rows(tmp_path / "one")) == 3
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two7"), strict=True):
        assert float(one["loss"]) == pytest.approx(float(two["loss"]), rel=1e-4)
        assert one["valid_accuracy"] == two["valid_accuracy"]


def test_shuffled_labels_are_memorised(data, tmp_path):
    recipe = replace(
        RECIPE,
        steps=3000,
        dropout=0.0,
        schedule="constant",
        subset=40,
        shuffle_labels=True,
        validate_every=50,
    )
    net = fit(recipe, data, tmp_path)
    train, valid = chosen(recipe, data)
    assert len(train) == len(valid) == 40
    assert (log_posteriors(net, train).argmax(1) == train.labels).mean() >= 0.99
    assert int(rows(tmp_path)[-1]["step"]) < 3000  # it stopped when it knew them
    test = data.tests["held-out speakers"]
    assert (log_posteriors(net, test).argmax(1) == test.labels).mean() < 0.8


@pytest.mark.slow
def test_early_stopping_keeps_the_best(data, tmp_path):
    recipe = replace(RECIPE, steps=400, validate_every=5, patience=2, learning_rate=0.05)
    net = fit(recipe, data, tmp_path)
    log = rows(tmp_path)
    accuracies = [float(row["valid_accuracy"]) for row in log]
    assert len(log) < 80 and accuracies[-3] == max(accuracies)
    right = log_posteriors(net, data.valid).argmax(1) == data.valid.labels
    assert right.mean() == pytest.approx(max(accuracies), abs=2e-3)


@pytest.mark.slow
def test_snapshots_and_other_recipes(data, tmp_path):
    for number, changes in enumerate(
        (
            dict(optimiser="adamw", weight_decay=0.1, normalise="utterance"),
            dict(optimiser="sgd", weight_decay=1e-3, normalise="none", schedule="constant"),
            dict(autocast="on"),
            dict(speed=0.2, response=6.0, noise=0.5, smoothing=0.1, ema=0.9),
        )
    ):
        out = tmp_path / str(number)
        recipe = replace(RECIPE, steps=9, **changes)
        net = fit(recipe, data, out, snapshots=(3, 9))
        assert load(out).metadata.normalise == recipe.normalise
        last = load(out / "step-000009.safetensors").state_dict()
        assert sorted(path.name for path in out.glob("step*")) == [
            "step-000003.safetensors",
            "step-000009.safetensors",
        ]
        assert last.keys() == net.state_dict().keys()


class Ear(torch.nn.Module):
    """Keeps what it hears, and learns nothing."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def forward(self, x):
        self.heard.append(x.detach())
        return torch.zeros(len(x), 3, requires_grad=True)


def heard(recipe, data):
    ear = Ear()
    state = State(0, 0.0, torch.zeros(3), [], {}, -1.0, 0, False)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with parallel.process("cpu") as process:
        for _ in range(recipe.steps):
            _step(recipe, data.train, ear, optimiser, state, process)
    return torch.stack(ear.heard)


def test_speed_plays_a_tone_higher_and_lower(data):
    """Each window hears 400 Hz as 400 Hz times its factor."""
    recipe = replace(RECIPE, speed=0.3, steps=4)
    n = np.arange(len(data.train.audio.samples))
    tone = np.round(8000 * np.sin(2 * np.pi * 400 / 16000 * n)).astype(np.int16)
    audio = replace(data.train.audio, samples=tone)
    x = heard(recipe, replace(data, train=replace(data.train, audio=audio)))
    speeds = np.stack([recipe.speeds(step) for step in range(recipe.steps)])
    assert speeds.min() < 0.8 and speeds.max() > 1.2 and abs(speeds.mean() - 1) < 0.1
    assert x.shape == (recipe.steps, RECIPE.batch_size, TINY.window)
    crossings = (~(x[..., :-1] > 0) & (x[..., 1:] > 0)).sum(-1)
    np.testing.assert_allclose(crossings, 400 * speeds * TINY.window / 16000, atol=1.0)
    assert (replace(recipe, speed=0.0).speeds(3) == 1.0).all()
    assert (recipe.speeds(3) != replace(recipe, seed=1).speeds(3)).all()


@pytest.mark.parametrize("changes", [dict(response=10.0), dict(noise=0.5), dict(speed=0.1)])
def test_varied_windows_are_normalised_as_they_are_heard(data, changes):
    recipe = replace(RECIPE, steps=2)
    plain, x = heard(recipe, data), heard(replace(recipe, **changes), data)
    torch.testing.assert_close(x.mean(-1), torch.zeros(x.shape[:2]), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std(-1, correction=0), torch.ones(x.shape[:2]), atol=1e-3, rtol=0)
    changed = ((x - plain).abs().amax(-1) > 1e-3).float().mean()
    assert 0.3 < changed < 0.7 if "noise" in changes else changed > 0.9
    assert torch.equal(heard(replace(recipe, **changes), data), x)
    utterance = heard(replace(recipe, normalise="utterance", **changes), data)
    assert not torch.equal(utterance, x) and utterance.isfinite().all()


def test_no_class_has_more_frames_than_it_may(data):
    whole, _ = chosen(RECIPE, data)
    few, _ = chosen(replace(RECIPE, per_class=40), data)
    assert np.bincount(few.labels).tolist() == [40, 40, 40]
    assert set(few.centres) <= set(whole.centres) and (np.diff(few.centres) > 0).all()
    for label in range(3):  # from its first frame to its last
        assert {*whole.centres[whole.labels == label][[0, -1]]} <= set(few.centres)
    everything, _ = chosen(replace(RECIPE, per_class=len(whole)), data)
    np.testing.assert_array_equal(everything.centres, whole.centres)


def test_smoothing_is_that_of_the_labels(data):
    """The loss of one step against its formula."""
    losses = []
    for smoothing in (0.0, 0.3):
        recipe = replace(RECIPE, steps=1, smoothing=smoothing)
        state = State(0, 0.0, torch.zeros(3), [], {}, -1.0, 0, False)
        net = build(TINY, 3, seed=0)
        with parallel.process("cpu") as process:
            optimiser = torch.optim.SGD(net.parameters(), lr=1e-9)
            _step(recipe, data.train, net, optimiser, state, process)
        losses.append(float(state.sums[0] / state.sums[2]))
    which = order(len(data.train), RECIPE.batch_size, 0, RECIPE.seed)
    x, labels = data.train.batch(which, TINY.window, "window")
    rows = build(TINY, 3, seed=0)(x).log_softmax(-1).detach()
    right = float(-rows[torch.arange(len(rows)), labels].mean())
    assert losses[0] == pytest.approx(right, rel=1e-5)
    assert losses[1] == pytest.approx(0.7 * right - 0.3 * float(rows.mean()), rel=1e-5)


def test_the_moving_average_is_that_of_the_weights(data, tmp_path):
    steps = (1, 2, 3)
    recipe = replace(RECIPE, steps=3, validate_every=3, schedule="constant")
    fit(recipe, data, tmp_path / "plain", snapshots=steps)
    net = fit(replace(recipe, ema=0.75), data, tmp_path / "mean")
    one, two, three = (
        load(tmp_path / "plain" / f"step-{step:06d}.safetensors").state_dict() for step in steps
    )
    for name, value in net.state_dict().items():
        mean = 0.75 * (0.75 * one[name] + 0.25 * two[name]) + 0.25 * three[name]
        torch.testing.assert_close(value, mean, atol=1e-6, rtol=1e-4)


def test_seconds_per_step_leaves_nothing_behind(data):
    state = torch.random.get_rng_state()
    assert 0 < seconds_per_step(RECIPE, data, steps=2) < 5
    assert torch.equal(torch.random.get_rng_state(), state)


def test_refusals(uninterrupted, data, tmp_path):
    with pytest.raises(ValueError, match=r"holds a run with learning_rate 0\.003, not 0\.1"):
        fit(replace(RECIPE, learning_rate=0.1), data, uninterrupted)
    less = Data(data.classes, data.train.take(np.arange(50)), data.valid, data.tests)
    with pytest.raises(ValueError, match="holds a run on other data"):
        fit(RECIPE, less, uninterrupted)
    with pytest.raises(ValueError, match=r"diverged before step 7 .* lower learning_rate"):
        fit(replace(RECIPE, learning_rate=1e30, optimiser="sgd"), data, tmp_path / "nan")
    (tmp_path / "bad").mkdir()
    fit(replace(RECIPE, steps=1), data, tmp_path / "bad")
    (tmp_path / "bad" / "checkpoint.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors cannot be gone on from"):
        fit(replace(RECIPE, steps=1), data, tmp_path / "bad")
    for device in ("abacus", "meta", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(ValueError, match=f"no device '{device}' here"):
            fit(RECIPE, data, tmp_path / "device", device=device)
    with pytest.raises(ValueError, match=r"a batch of 10+ windows takes over \d+ GB and cpu has"):
        fit(replace(RECIPE, batch_size=10**9), data, tmp_path / "large")
    for minutes in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"minutes is {minutes}: give a time above 0"):
            train(RECIPE, data, tmp_path / "never", minutes)
    assert not (tmp_path / "never").exists()


def test_load_refuses_what_is_no_network(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is not there: name a \.safetensors file"):
        load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04nonsense that a pickle might be")
    with pytest.raises(ValueError, match="holds no network of relviz's"):
        load(tmp_path)
