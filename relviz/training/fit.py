"""Fitting a network: a recipe and data in, a folder with the network and its log out.

A run may be killed at any moment: the same call goes on from the last checkpoint, and ends with
the weights it would have had, bit for bit on one device and number of threads. For that, batches,
dropout and learning rate depend on seed and step alone, and nothing depends on the clock.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from relviz._errors import ParameterError
from relviz.networks import RawWaveformCNN, build, geometry
from relviz.pretrained import MODEL, Metadata
from relviz.signals import standardise
from relviz.training import augment, checkpoint, parallel, weights
from relviz.training.checkpoint import State
from relviz.training.data import Data, Frames, order, shuffle_labels, subset
from relviz.training.recipe import MEMORISED, Recipe

__all__ = ["Interrupted", "WithDropout", "chosen", "fit", "seconds_per_step"]

_VALIDATION = 8000
"""Frames, evenly spread, that the accuracy is validated on while training."""

_POINTS = 8
"""From 0 to 8 kHz, at which the gains of a microphone are drawn."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP, after a checkpoint was saved; the message says how to go on.

    `signal` is the first that came.

    Examples
    --------
    >>> str(Interrupted("stopped.")), issubclass(Interrupted, KeyboardInterrupt)
    ('stopped.', True)
    """

    def __init__(self, message: str, number: int = signal.SIGINT, *others: int) -> None:
        super().__init__(message)
        self.signal = number


class WithDropout(nn.Module):
    """`net` with dropout of the hidden units in training; (batch, window) to (batch, classes).

    Parameters
    ----------
    net : RawWaveformCNN
        Shares its weights.
    dropout : float
        Probability.

    Examples
    --------
    >>> from relviz.networks import PHONE_CNN
    >>> net = build(PHONE_CNN, 40, seed=0)
    >>> WithDropout(net, 0.2).eval()(torch.zeros(2, 4000)).shape
    torch.Size([2, 40])
    """

    def __init__(self, net: RawWaveformCNN, dropout: float = 0.0) -> None:
        super().__init__()
        self.net = net
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        first, relu, last = self.net.classifier
        hidden = relu(first(self.net.features(x.unsqueeze(1))))
        return last(F.dropout(hidden, self.dropout, self.training))


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

    Parameters
    ----------
    recipe : Recipe
        All that decides, besides the data.
    data : Data
        What to learn from.
    out : Path or str
        The run's folder, made if need be: recipe.json, log.csv (see `relviz.training.checkpoint`),
        checkpoint.safetensors, and model.safetensors at the end. A run that was killed, or stopped
        by Ctrl-C, goes on when called again; a finished one returns at once.
    device : str
        As in `relviz.training.parallel.process`; under `torchrun` each process takes its share of
        every batch.
    progress : bool
        Show a tqdm bar.
    resume : bool
        False begins anew.
    snapshots : tuple of int
        Also write the weights after these steps, as step-000200.safetensors.

    Returns
    -------
    RawWaveformCNN
        Trained.

    Raises
    ------
    ParameterError
        If `out` holds a run of another recipe or other data, if training diverges, or if a batch is
        larger than the memory.
    WriteError
        If another run has `out`, or it cannot be written.
    Interrupted
        On Ctrl-C, SIGTERM or SIGHUP.

    Examples
    --------
    One step on six short utterances, a second of noise each:

    >>> import tempfile
    >>> from relviz.corpora import Utterance
    >>> from relviz.training.data import Data, label_speakers, pack
    >>> rng, folder = np.random.default_rng(0), Path(tempfile.mkdtemp())
    >>> noise = rng.standard_normal((6, 16000)).astype(np.float32) / 10
    >>> said = [
    ...     Utterance(f"{n % 2}-0-{n}", f"{n % 2}", "0", samples=wave)
    ...     for n, wave in enumerate(noise)
    ... ]
    >>> audio = pack(said, folder)
    >>> frames = [label_speakers(audio, part, ("0", "1")) for part in (said[:4], said[4:])]
    >>> data = Data(("0", "1"), *frames, {})
    >>> net = fit(Recipe(steps=1, batch_size=4), data, folder / "run", device="cpu")
    >>> net(torch.zeros(4000)).shape
    torch.Size([2])
    """
    out = Path(out).expanduser()
    with parallel.process(device) as process, checkpoint.alone(out, process):
        if recipe.batch_size % process.size:
            raise ParameterError(
                f"a batch of {recipe.batch_size} cannot be shared by {process.size} processes: "
                "choose a multiple."
            )
        _refuse_large(recipe, process)
        with process.first_alone():
            if process.first:
                checkpoint.enter(recipe, data, out, resume)
        return _run(recipe, data, out, process, progress, snapshots)


def chosen(recipe: Recipe, data: Data) -> tuple[Frames, Frames]:
    """Return the frames that a recipe trains and validates on.

    Parameters
    ----------
    recipe : Recipe
        Says how many, and whether their labels are shuffled.
    data : Data
        All there are.

    Returns
    -------
    train, valid : Frames
        At most 8000 to validate on, evenly spread.

    Examples
    --------
    >>> from relviz.training.data import Data, Frames
    >>> frames = Frames(None, *np.zeros((3, 100), dtype=np.int64))
    >>> train, _ = chosen(Recipe(subset=10), Data(("a", "b"), frames, frames, {}))
    >>> len(train)
    10
    """
    train = data.train
    if recipe.per_class is not None:
        train = train.take(_even(train.labels, recipe.per_class))
    if recipe.subset is not None:
        train = subset(train, recipe.subset, recipe.seed)
    if recipe.shuffle_labels:
        train = shuffle_labels(train, recipe.seed)
    valid = train if recipe.shuffle_labels else data.valid
    if len(valid) > _VALIDATION:
        valid = valid.take(np.linspace(0, len(valid) - 1, _VALIDATION).astype(np.int64))
    return train, valid


def _even(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return the indices of at most so many of each label, evenly spread, in order."""
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    kept = [
        each[np.linspace(0, len(each) - 1, min(most, len(each))).round().astype(np.int64)]
        for each in groups
    ]
    return np.sort(np.concatenate(kept))


def _uses_bf16(recipe: Recipe, device: torch.device) -> bool:
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


def seconds_per_step(recipe: Recipe, data: Data, device: str = "auto", steps: int = 30) -> float:
    """Measure how long a step takes here, on a network that is thrown away.

    Parameters
    ----------
    recipe : Recipe
        Of the run.
    data : Data
        What it is trained on.
    device : str
        As in `relviz.training.parallel.process`.
    steps : int
        How many to take the median of.

    Returns
    -------
    float
        Seconds, the mean over processes.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.corpora import Utterance
    >>> from relviz.training.data import Data, label_speakers, pack
    >>> wave = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    >>> said = [Utterance("a-0-0", "a", "0", samples=wave)]
    >>> frames = label_speakers(pack(said, tempfile.mkdtemp()), said, ("a",))
    >>> recipe = Recipe(batch_size=4)
    >>> seconds_per_step(recipe, Data(("a",), frames, frames, {}), "cpu", steps=1) > 0
    True
    """
    with parallel.process(device) as process, _own_generators(process.device):
        _refuse_large(recipe, process)
        train, _ = chosen(recipe, data)
        net = build(recipe.architecture, len(data.classes), seed=recipe.seed).to(process.device)
        optimiser = _optimiser(recipe, net)
        state = checkpoint.begin(net, process.device)
        times = []
        for _ in range(steps + 2):
            began = time.perf_counter()
            _step(recipe, train, WithDropout(net, recipe.dropout), optimiser, state, process)
            state.sums.tolist()  # wait for the device
            times.append(time.perf_counter() - began)
        mean = torch.tensor([float(np.median(times[2:]))], device=process.device)
        return float(process.sum(mean)) / process.size


def _refuse_large(recipe: Recipe, process: parallel.Process) -> None:
    """Refuse a batch that no memory here could hold, before the system kills what asks for it."""
    if process.device.type == "cuda":
        memory = torch.cuda.get_device_properties(process.device).total_memory
    elif "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:  # pragma: no cover - a system that does not tell
        return
    layers = zip(recipe.architecture.convs, geometry(recipe.architecture)[::2], strict=True)
    floats = recipe.architecture.window + sum(conv.filters * each.length for conv, each in layers)
    share = recipe.batch_size // process.size
    if 4 * floats * share > memory:
        raise ParameterError(
            f"a batch of {share} windows takes over {4 * floats * share / 1e9:.0f} GB and "
            f"{process.device} has {memory / 1e9:.0f} GB: lower batch_size."
        )


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
    average = _averaged(recipe, net)
    heard = net if average is None else cast("RawWaveformCNN", average.module)
    state = checkpoint.resume(out, recipe, data, net, optimiser, process, average)
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
            if average is not None:
                average.update_parameters(net)
            if process.first and state.step in snapshots:
                weights.save(heard, metadata, out / f"step-{state.step:06d}.safetensors")
            if state.step % recipe.validate_every == 0 or state.step == recipe.steps:
                correct = _correct(recipe, heard, valid, process)
                state.seconds = time.monotonic() - began
                _note(recipe, state, heard, correct / len(valid), len(train), process)
                bar.set_postfix(accuracy=f"{correct / len(valid):.1%}", refresh=False)
                if process.first:
                    checkpoint.save(out, recipe, data, net, optimiser, state, average)
            bar.update()
            if not state.finished and process.sum(torch.tensor(len(caught), device=device)):
                state.seconds = time.monotonic() - began
                process.sum(state.sums)
                if process.first:
                    checkpoint.save(out, recipe, data, net, optimiser, state, average)
                raise Interrupted(
                    f"stopped after {state.step} of {recipe.steps} steps; the same command goes on "
                    f"from there ({out}).",
                    *caught,
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
    state: State,
    process: parallel.Process,
) -> None:
    """Train on one batch, or on this process' share of it."""
    which = order(len(train), recipe.batch_size, state.step, recipe.seed)
    x, labels = _windows(recipe, train, which, step=state.step, process=process)
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate(state.step)
    if recipe.dropout:
        torch.manual_seed(_key(recipe.seed, 3, state.step, process.rank))
    fast.train()
    with _autocast(recipe, process.device):
        scores = fast(x)
    loss = F.cross_entropy(scores.float(), labels, label_smoothing=recipe.smoothing)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    state.step += 1
    right = (scores.detach().argmax(-1) == labels).sum()
    count = torch.tensor(len(labels), device=process.device)
    state.sums += torch.stack([loss.detach() * count, right, count]).to(state.sums)


def _windows(
    recipe: Recipe, train: Frames, which: NDArray[np.int64], step: int, process: parallel.Process
) -> tuple[Tensor, Tensor]:
    """Cut this process' share of a batch, vary and normalise it."""
    share = slice(process.rank, None, process.size)
    window, device = recipe.architecture.window, process.device
    varied = bool(recipe.speed or recipe.response or recipe.noise)
    last = varied and recipe.normalise == "window"  # windows are normalised as they are heard
    longest = math.ceil(window * (1 + recipe.speed)) if recipe.speed else window
    normalise = "none" if last else recipe.normalise
    x, labels = train.batch(which[share], longest, normalise, device)
    if recipe.speed:
        x = augment.played(x, recipe.speeds(step)[share], window)
    rng = np.random.default_rng([recipe.seed, 5, step])
    shape = recipe.batch_size, _POINTS
    if recipe.response:
        levels = rng.uniform(-recipe.response, recipe.response, shape)
        x = augment.filtered(x, levels[share])
    if recipe.noise:
        levels, ratios = rng.uniform(-20, 20, shape), rng.uniform(5, 25, recipe.batch_size)
        ratios[rng.uniform(size=recipe.batch_size) >= recipe.noise] = np.inf  # dB: none
        torch.manual_seed(_key(recipe.seed, 6, step, process.rank))
        hiss = augment.filtered(torch.randn_like(x), levels[share])
        x = augment.add_noise(x, hiss, ratios[share])
    return standardise(x) if last else x, labels


def _key(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


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
    state: State,
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


def _averaged(recipe: Recipe, net: RawWaveformCNN) -> AveragedModel | None:
    """The moving average of the weights, if the recipe has one."""
    if not recipe.ema:
        return None
    return AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))


def _autocast(recipe: Recipe, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=_uses_bf16(recipe, device))


def _own_generators(device: torch.device) -> AbstractContextManager[None]:
    """Leave torch's random state as it was."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _optimiser(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    options: dict[str, Any] = dict(lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(net.parameters(), momentum=0.9, **options)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(net.parameters(), fused=True, **options)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Note Ctrl-C, SIGTERM and SIGHUP instead of dying of them; a second one acts as usual."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        signal.signal(number, before[signal.Signals(number)])

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # the last is what a terminal says as it closes
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    if before.get(numbers[-1]) == signal.SIG_IGN:  # as under nohup
        del before[numbers[-1]]
    for number in before:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
