"""Fitting a network: a recipe and data in, a folder with the network and its log out.

A run may be killed at any moment: the same call goes on from the last checkpoint, and ends with
the weights it would have had, bit for bit on one device and number of threads. For that, batches,
dropout and learning rate depend on seed and step alone, and nothing depends on the clock.
"""

from __future__ import annotations

import csv
import io
import json
import math
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from relviz import files
from relviz._errors import ParameterError
from relviz.networks import PHONE_CNN, SPEAKER_CNN, Architecture, Conv, RawWaveformCNN, build
from relviz.pretrained import MODEL, Metadata
from relviz.signals import Normalise
from relviz.training import parallel, weights
from relviz.training.data import GAP, Data, Frames, order, shuffle_labels, subset

Study = Literal["phones", "speakers"]
Optimiser = Literal["adam", "adamw", "sgd"]
Schedule = Literal["cosine", "constant"]
Autocast = Literal["auto", "on", "off"]

VALIDATION = 8000
"""Frames, evenly spread, that the accuracy is validated on while training."""

MEMORISED = 0.99
"""Accuracy on shuffled labels at which they count as memorised."""

RECIPE, CHECKPOINT, LOG, SCORES = "recipe.json", "checkpoint.pt", "log.csv", "scores.json"

COLUMNS = ("step", "epoch", "loss", "learning_rate", "train_accuracy", "valid_accuracy", "seconds")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after a checkpoint was saved; the message says how to go on."""


@dataclass(frozen=True)
class Recipe:
    """All that decides about a training, besides the data.

    architecture: a row of Table 1. seed: of the weights, the order of the frames, dropout and
    shuffling. steps: at most so many batches of `batch_size` windows.
    optimiser: "adam" and "sgd" (momentum 0.9) add `weight_decay` to the gradient, "adamw" decays
    the weights themselves. schedule: "cosine" lets the learning rate fall to 0 at the last step.
    dropout: probability, of the hidden layer's units. normalise: as in `relevance_signal`.
    speed: each batch is played faster or slower by a factor drawn from 1 - speed to 1 + speed, so
    that F0, formants and tempo vary more than the speakers do (Ko et al., "Audio augmentation for
    speech recognition", Interspeech 2015, 10.21437/Interspeech.2015-711). 0: as recorded.
    autocast: bfloat16 arithmetic, "auto" where the processor has it.
    Every `validate_every` steps the accuracy is validated and a checkpoint saved; after `patience`
    validations without a better one training ends. The best weights are kept.
    subset: train on so many frames only, drawn at random; None, on all.
    shuffle_labels: the control network: labels permuted among the frames of the subset, trained
    until it knows `MEMORISED` of them by heart. Its "validation" is on those labels, as nothing
    else can be learnt from them.
    """

    study: Study = "phones"
    architecture: Architecture = PHONE_CNN
    seed: int = 0
    steps: int = 8000
    batch_size: int = 256
    optimiser: Optimiser = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    speed: float = 0.0
    schedule: Schedule = "cosine"
    normalise: Normalise = "window"
    autocast: Autocast = "auto"
    validate_every: int = 200
    patience: int = 10
    subset: int | None = None
    shuffle_labels: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (
            ("study", get_args(Study)),
            ("optimiser", get_args(Optimiser)),
            ("schedule", get_args(Schedule)),
            ("normalise", get_args(Normalise)),
            ("autocast", get_args(Autocast)),
        ):
            if getattr(self, name) not in allowed:
                raise ParameterError(
                    f"{name} {getattr(self, name)!r} is unknown: use one of {', '.join(allowed)}."
                )
        for name in ("steps", "batch_size", "validate_every", "patience"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}: give 1 or more.")
        if self.subset is not None and self.subset < 1:
            raise ParameterError(f"subset is {self.subset}: give 1 frame or more, or None for all.")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}: give 0 or more.")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise ParameterError(
                f"learning_rate is {self.learning_rate} and weight_decay {self.weight_decay}: give "
                "a rate above 0 and a decay of 0 or more."
            )
        if not 0 <= self.dropout < 1:
            raise ParameterError(f"dropout is {self.dropout}: give a probability below 1.")
        if not 0 <= self.speed <= 0.5:
            raise ParameterError(f"speed is {self.speed}: give a share from 0 to 0.5, such as 0.1.")
        longest = int(2 * GAP / (1 + self.speed))
        if not 0 < self.architecture.window <= longest:
            raise ParameterError(
                f"the network hears {self.architecture.window} samples: give at most {longest}."
            )

    def rate(self, step: int) -> float:
        """The learning rate of step `step`, from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2

    def factor(self, step: int) -> float:
        """How fast the batch of step `step` is played."""
        if not self.speed:
            return 1.0
        return float(np.random.default_rng([self.seed, 4, step]).uniform(-1, 1)) * self.speed + 1.0


STANDARD: dict[Study, Recipe] = {
    "phones": Recipe(
        steps=7000,
        optimiser="adamw",
        weight_decay=0.1,
        dropout=0.2,
        speed=0.15,
        patience=20,
    ),
    "speakers": Recipe("speakers", SPEAKER_CNN, steps=2000),
}
"""The recipe of each study, before options."""


class WithDropout(nn.Module):
    """`net` with dropout of the hidden units in training; (batch, window) to (batch, classes)."""

    def __init__(self, net: RawWaveformCNN, dropout: float = 0.0) -> None:
        super().__init__()
        self.net = net
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        first, relu, last = self.net.classifier
        hidden = relu(first(self.net.features(x.unsqueeze(1))))
        return last(F.dropout(hidden, self.dropout, self.training))


@dataclass
class _State:
    """What a checkpoint holds beside weights and optimiser."""

    step: int
    seconds: float
    sums: Tensor  # loss, right frames, frames since the last validation; float64
    rows: list[list[float]]
    best: dict[str, Tensor]
    best_accuracy: float
    stale: int
    finished: bool


def fit(
    recipe: Recipe,
    data: Data,
    out: Path | str,
    device: str = "auto",
    progress: bool = False,
    resume: bool = True,
    snapshots: tuple[int, ...] = (),
) -> RawWaveformCNN:
    """Train a network by a recipe; return it in eval mode, with the weights that validated best.

    out: the run's folder, made if need be: recipe.json, log.csv (`COLUMNS`), checkpoint.pt, and
    model.safetensors at the end. A run that was killed, or stopped by Ctrl-C, goes on when called
    again; a finished one returns at once. resume=False begins anew.
    device: as in `parallel.process`; under `torchrun` each process takes its share of every batch.
    progress: show a tqdm bar. snapshots: also write the weights after these steps, as
    step-000200.safetensors.
    Raises ValueError if `out` holds a run of another recipe or other data, or if training diverges;
    Interrupted on Ctrl-C or SIGTERM.
    """
    out = Path(out)
    with parallel.process(device) as process:
        if recipe.batch_size % process.size:
            raise ParameterError(
                f"a batch of {recipe.batch_size} cannot be shared by {process.size} processes: "
                "choose a multiple."
            )
        with process.first_alone():
            if process.first:
                _enter(recipe, data, out, resume)
        return _run(recipe, data, out, process, progress, snapshots)


def _run(
    recipe: Recipe,
    data: Data,
    out: Path,
    process: parallel.Process,
    progress: bool,
    snapshots: tuple[int, ...],
) -> RawWaveformCNN:
    from tqdm.auto import tqdm

    device = process.device
    train, valid = chosen(recipe, data)
    net = build(recipe.architecture, len(data.classes), seed=recipe.seed).to(device)
    optimiser = _optimiser(recipe, net)
    state = _resume(out, net, optimiser, process)
    began = time.monotonic() - state.seconds
    fast: nn.Module = WithDropout(net, recipe.dropout)
    if process.size > 1:
        fast = DistributedDataParallel(fast)
    about = dict(data.about)
    metadata = Metadata(
        recipe.study, data.classes, recipe.normalise, recipe=asdict(recipe), about=about
    )
    bar = tqdm(
        total=recipe.steps,
        initial=state.step,
        desc=recipe.study,
        unit="step",
        disable=not (progress and process.first),
    )
    with bar, _signals() as caught, _own_generators(device):
        while not state.finished:
            _step(recipe, train, fast, optimiser, state, process)
            if process.first and state.step in snapshots:
                weights.save(net, metadata, out / f"step-{state.step:06d}.safetensors")
            if state.step % recipe.validate_every == 0 or state.step == recipe.steps:
                correct = _correct(recipe, net, valid, process)
                state.seconds = time.monotonic() - began
                _note(recipe, state, net, correct / len(valid), len(train), process)
                bar.set_postfix(accuracy=f"{correct / len(valid):.1%}", refresh=False)
                if process.first:
                    _save(out, net, optimiser, state)
            bar.update()
            if not state.finished and process.sum(torch.tensor(len(caught), device=device)):
                state.seconds = time.monotonic() - began
                process.sum(state.sums)
                if process.first:
                    _save(out, net, optimiser, state)
                raise Interrupted(
                    f"stopped after {state.step} of {recipe.steps} steps; the same command goes on "
                    f"from there ({out})."
                )
    net.load_state_dict(state.best)
    if process.first and not (out / MODEL).is_file():
        weights.save(net, metadata, out / MODEL)
    return net.eval()


def _step(
    recipe: Recipe,
    train: Frames,
    fast: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: _State,
    process: parallel.Process,
) -> None:
    """Train on one batch, or on this process' share of it."""
    which = order(len(train), recipe.batch_size, state.step, recipe.seed)
    window = recipe.architecture.window
    x, labels = train.batch(
        which[process.rank :: process.size],
        round(window * recipe.factor(state.step)),
        recipe.normalise,
        process.device,
    )
    if x.shape[-1] != window:
        x = F.interpolate(x.unsqueeze(1), window, mode="linear").squeeze(1)
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate(state.step)
    if recipe.dropout:
        key = np.random.SeedSequence([recipe.seed, 3, state.step, process.rank])
        torch.manual_seed(int(key.generate_state(1)[0]))
    fast.train()
    with _autocast(recipe, process.device):
        scores = fast(x)
    loss = F.cross_entropy(scores.float(), labels)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    state.step += 1
    right = (scores.detach().argmax(-1) == labels).sum()
    count = torch.tensor(len(labels), device=process.device)
    state.sums += torch.stack([loss.detach() * count, right, count]).to(state.sums)


def _correct(recipe: Recipe, net: RawWaveformCNN, frames: Frames, process: parallel.Process) -> int:
    """Count the frames that a network classifies rightly; every process takes its share."""
    fast = WithDropout(net).eval()
    right = torch.zeros((), dtype=torch.int64, device=process.device)
    which = np.arange(process.rank, len(frames), process.size)
    with torch.inference_mode(), _autocast(recipe, process.device):
        for some in np.array_split(which, max(1, len(which) // recipe.batch_size)):
            x, labels = frames.batch(
                some, recipe.architecture.window, recipe.normalise, process.device
            )
            right += (fast(x).argmax(-1) == labels).sum()
    return int(process.sum(right))


def _note(
    recipe: Recipe,
    state: _State,
    net: RawWaveformCNN,
    accuracy: float,
    frames: int,
    process: parallel.Process,
) -> None:
    """Add a row to the log, keep the best weights, and decide whether training is over."""
    loss, right, count = process.sum(state.sums).tolist()
    state.sums.zero_()
    if not math.isfinite(loss):
        raise ParameterError(
            f"training diverged before step {state.step} (the loss is not finite): lower "
            f"learning_rate, which is {recipe.learning_rate:g}."
        )
    state.rows.append(
        [
            state.step,
            state.step * recipe.batch_size / frames,
            loss / count,
            recipe.rate(state.step - 1),
            right / count,
            accuracy,
            state.seconds,
        ]
    )
    if accuracy > state.best_accuracy:
        state.best_accuracy, state.stale = accuracy, 0
        state.best = {name: value.clone() for name, value in net.state_dict().items()}
    else:
        state.stale += 1
    over = accuracy >= MEMORISED if recipe.shuffle_labels else state.stale >= recipe.patience
    state.finished = over or state.step == recipe.steps


def chosen(recipe: Recipe, data: Data) -> tuple[Frames, Frames]:
    """Return the frames that a recipe trains and validates on."""
    train = data.train
    if recipe.subset is not None:
        train = subset(train, recipe.subset, recipe.seed)
    if recipe.shuffle_labels:
        train = shuffle_labels(train, recipe.seed)
    valid = train if recipe.shuffle_labels else data.valid
    if len(valid) > VALIDATION:
        valid = valid.take(np.linspace(0, len(valid) - 1, VALIDATION).astype(np.int64))
    return train, valid


def uses_bf16(recipe: Recipe, device: torch.device) -> bool:
    """Whether a recipe computes in bfloat16 on this device."""
    if recipe.autocast == "auto":
        if device.type == "cuda":
            return torch.cuda.is_bf16_supported()
        # without these instructions bfloat16 is emulated, and slower than float32
        capabilities: dict[str, Any] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # older torch: not known
        names = ("avx512_bf16", "amx_bf16", "bf16")
        return device.type == "cpu" and any(capabilities.get(name, False) for name in names)
    return recipe.autocast == "on"


def _autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(recipe, device))


def _own_generators(device: torch.device) -> AbstractContextManager[None]:
    """Leave torch's random state as it was."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _optimiser(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    options: dict[str, Any] = dict(lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(net.parameters(), momentum=0.9, **options)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(net.parameters(), fused=True, **options)


def _enter(recipe: Recipe, data: Data, out: Path, resume: bool) -> None:
    """Make the run's folder, or see that what it holds is this very run."""
    out.mkdir(parents=True, exist_ok=True)
    files.sweep(out)
    if not resume:
        for name in (RECIPE, CHECKPOINT, LOG, MODEL, SCORES):
            (out / name).unlink(missing_ok=True)
    path = out / RECIPE
    mine = json.loads(json.dumps({"recipe": asdict(recipe), "data": data.fingerprint}))
    if not path.is_file():
        files.write_text(path, json.dumps(mine, indent=1) + "\n")
        return
    theirs = json.loads(path.read_text())
    for name, value in mine["recipe"].items():
        if theirs["recipe"].get(name) != value:
            raise ParameterError(
                f"{out} holds a run with {name} {theirs['recipe'].get(name)}, not {value}: take "
                "another folder, or the same recipe to go on."
            )
    if theirs["data"] != mine["data"]:
        raise ParameterError(
            f"{out} holds a run on other data: take another folder, or the same recordings to go "
            "on."
        )


def held_recipe(out: Path | str) -> Recipe | None:
    """Return the recipe of the run in a folder; None if there is no run."""
    path = Path(out) / RECIPE
    if not path.is_file():
        return None
    content = json.loads(path.read_text())["recipe"]
    shape = content.pop("architecture")
    convs = tuple(Conv(**conv) for conv in shape.pop("convs"))
    return Recipe(architecture=Architecture(convs=convs, **shape), **content)


def _save(out: Path, net: RawWaveformCNN, optimiser: torch.optim.Optimizer, state: _State) -> None:
    """Write the checkpoint, then the log from it: lines are neither lost nor doubled."""
    content = {field.name: getattr(state, field.name) for field in fields(state)}
    content |= {"model": net.state_dict(), "optimiser": optimiser.state_dict()}
    with files.replacing(out / CHECKPOINT) as draft:
        torch.save(content, draft)
    _log(out, state)


def _log(out: Path, state: _State) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for step, *values, seconds in state.rows:
        writer.writerow([step, *(f"{value:.6g}" for value in values), f"{seconds:.1f}"])
    files.write_text(out / LOG, text.getvalue())


def _resume(
    out: Path,
    net: RawWaveformCNN,
    optimiser: torch.optim.Optimizer,
    process: parallel.Process,
) -> _State:
    """Take up the last checkpoint; without one, begin."""
    path = out / CHECKPOINT
    if not path.is_file():
        best = {name: value.clone() for name, value in net.state_dict().items()}
        zeros = torch.zeros(3, dtype=torch.float64, device=process.device)
        return _State(0, 0.0, zeros, [], best, -1.0, 0, False)
    try:
        content = torch.load(path, map_location=process.device, weights_only=True)
        net.load_state_dict(content.pop("model"))
        optimiser.load_state_dict(content.pop("optimiser"))
        state = _State(**content)
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ParameterError(
            f"{path} is not a checkpoint of this version ({type(error).__name__}): delete the "
            "folder and begin anew."
        ) from error
    if process.first:
        _log(out, state)
    else:  # the sums so far are the first process'
        state.sums.zero_()
    return state


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Note Ctrl-C and SIGTERM instead of dying of them; a second one acts as usual."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def seconds_per_step(recipe: Recipe, data: Data, device: str = "auto", steps: int = 30) -> float:
    """Measure how long a step takes here, on a network that is thrown away."""
    with parallel.process(device) as process, _own_generators(process.device):
        train, _ = chosen(recipe, data)
        net = build(recipe.architecture, len(data.classes), seed=recipe.seed).to(process.device)
        optimiser = _optimiser(recipe, net)
        zeros = torch.zeros(3, dtype=torch.float64, device=process.device)
        state = _State(0, 0.0, zeros, [], {}, -1.0, 0, False)
        times = []
        for _ in range(steps + 2):
            began = time.perf_counter()
            _step(recipe, train, WithDropout(net, recipe.dropout), optimiser, state, process)
            state.sums.tolist()  # wait for the device
            times.append(time.perf_counter() - began)
        mean = torch.tensor([float(np.median(times[2:]))], device=process.device)
        return float(process.sum(mean)) / process.size
