"""The folder of a run: its recipe, its checkpoint, its log; read back, a run goes on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from relviz import files
from relviz._errors import ParameterError
from relviz.networks import RawWaveformCNN
from relviz.pretrained import MODEL
from relviz.training import parallel
from relviz.training.data import Data
from relviz.training.recipe import Recipe

__all__ = [
    "COLUMNS",
    "SCORES",
    "State",
    "alone",
    "begin",
    "enter",
    "held_recipe",
    "history",
    "resume",
    "save",
]

_RECIPE, _CHECKPOINT, _LOG = "recipe.json", "checkpoint.safetensors", "log.csv"

_EARLIER = "checkpoint.pt"
"""What checkpoints were before they were safetensors: pickles, which run what they hold."""

_FORMAT = 1
"""Raise it when this version could not go on from the one before."""

_PLAIN = ("step", "seconds", "rows", "best_accuracy", "stale", "finished")
"""The fields of `State` that are no tensors."""

_NONE = nn.Module()
"""An average that holds nothing."""

SCORES = "scores.json"
"""What a run's folder calls its scores."""

COLUMNS = ("step", "epoch", "loss", "learning_rate", "train_accuracy", "valid_accuracy", "seconds")
"""Of the log, one row a validation."""


@dataclass
class State:
    """What a checkpoint holds beside weights and optimiser.

    Parameters
    ----------
    step : int
        Steps that are done.
    seconds : float
        How long they took.
    sums : Tensor, (3,)
        Loss, right frames, frames since the last validation; float64.
    rows : list of list of float
        The log, see `COLUMNS`.
    best : dict of str to Tensor
        The weights that validated best.
    best_accuracy : float
        How well.
    stale : int
        Validations since then.
    finished : bool
        Whether training is over.

    Examples
    --------
    >>> from relviz.networks import PHONE_CNN, build
    >>> begin(build(PHONE_CNN, 40, seed=0), torch.device("cpu")).step
    0
    """

    step: int
    seconds: float
    sums: Tensor  # loss, right frames, frames since the last validation; float64
    rows: list[list[float]]
    best: dict[str, Tensor]
    best_accuracy: float
    stale: int
    finished: bool


def begin(net: RawWaveformCNN, device: torch.device) -> State:
    """Return the state before the first step.

    Parameters
    ----------
    net : RawWaveformCNN
        As it is born.
    device : torch.device
        Where it is trained.

    Returns
    -------
    State
        Nothing is done, and the weights are the best so far.

    Examples
    --------
    >>> from relviz.networks import PHONE_CNN, build
    >>> begin(build(PHONE_CNN, 40, seed=0), torch.device("cpu")).finished
    False
    """
    best = {name: value.clone() for name, value in net.state_dict().items()}
    return State(
        0, 0.0, torch.zeros(3, dtype=torch.float64, device=device), [], best, -1.0, 0, False
    )


@contextmanager
def alone(out: Path, process: parallel.Process) -> Iterator[None]:
    """Keep a run's folder, made if need be, to one run while the block lasts.

    Parameters
    ----------
    out : Path
        The folder.
    process : Process
        This one; the first keeps it for all of them.

    Raises
    ------
    WriteError
        If another run has it, or it cannot be written.

    Yields
    ------
    None
        With the folder to itself.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "run"
    >>> with parallel.process("cpu") as process, alone(out, process):
    ...     out.is_dir()
    True
    """
    if not process.first:
        yield
        return
    busy = f"{out} is in use by another run: wait for it, or take another folder."
    with files.alone(files.folder(out), busy):
        yield


def enter(recipe: Recipe, data: Data, out: Path, resume: bool = True) -> None:
    """Make the run's folder, or see that what it holds is this very run.

    Parameters
    ----------
    recipe : Recipe
        Of the run.
    data : Data
        What it is trained on.
    out : Path
        Its folder.
    resume : bool
        Go on with what is there; False, remove it.

    Raises
    ------
    ParameterError
        If `out` holds a run of another recipe or other data, or one that cannot be read.
    WriteError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp())
    >>> class Tones:  # what is asked of `Data`
    ...     fingerprint = "tones"
    >>> enter(Recipe(seed=1), Tones(), out)
    >>> held_recipe(out).seed
    1
    """
    files.folder(out)
    files.sweep(out)
    if not resume:
        # the checkpoint after what was made of it and before the recipe: killed in between, what is
        # left is still one run, or none
        snapshots = sorted(path.name for path in out.glob("step-*.safetensors"))
        for name in (MODEL, SCORES, _LOG, *snapshots, _EARLIER, _CHECKPOINT, _RECIPE):
            files.remove(out / name)
    if (out / _EARLIER).exists():
        raise ParameterError(
            f"{out} holds {_EARLIER}, of an earlier version: take another folder, or begin anew."
        )
    mine = _run(recipe, data)
    for theirs in _held(out):
        _compare(mine, theirs, out)
    if not (out / _RECIPE).exists():
        files.write_text(out / _RECIPE, json.dumps(mine, indent=1) + "\n")


def held_recipe(out: Path | str) -> Recipe | None:
    """Return the recipe of the run in a folder.

    Parameters
    ----------
    out : Path or str
        The folder.

    Returns
    -------
    Recipe or None
        None if there is no run.

    Raises
    ------
    ParameterError
        If what is there cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> held_recipe(tempfile.mkdtemp()) is None
    True
    """
    for run in _held(Path(out).expanduser()):
        return Recipe.from_dict(run["recipe"])
    return None


def save(
    out: Path,
    recipe: Recipe,
    data: Data,
    net: RawWaveformCNN,
    optimiser: torch.optim.Optimizer,
    state: State,
    average: nn.Module | None = None,
) -> None:
    """Write the checkpoint, then the log from it: lines are neither lost nor doubled.

    Parameters
    ----------
    out : Path
        The run's folder.
    recipe : Recipe
        Of the run; it goes along, so that no checkpoint is taken for another run's.
    data : Data
        What it is trained on.
    net : RawWaveformCNN
        As trained so far.
    optimiser : torch.optim.Optimizer
        As it stands.
    state : State
        All else.
    average : Module, optional
        The moving average of the weights, where there is one.

    Raises
    ------
    WriteError
        Where it cannot be written; the one before stays.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.networks import PHONE_CNN, build
    >>> class Tones:  # what is asked of `Data`
    ...     fingerprint = "tones"
    >>> net, out = build(PHONE_CNN, 40, seed=0), Path(tempfile.mkdtemp())
    >>> state = begin(net, torch.device("cpu"))
    >>> save(out, Recipe(), Tones(), net, torch.optim.SGD(net.parameters()), state)
    >>> sorted(path.name for path in out.iterdir())
    ['checkpoint.safetensors', 'log.csv']
    """
    moments = optimiser.state_dict()["state"]
    tensors = (
        {f"model/{name}": value for name, value in net.state_dict().items()}
        | {f"best/{name}": value for name, value in state.best.items()}
        | {f"average/{name}": value for name, value in (average or _NONE).state_dict().items()}
        | {f"{i}/{key}": value for i, each in moments.items() for key, value in each.items()}
        | {"sums": state.sums}
    )
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in tensors.items()
        if value is not None  # the momentum of a step that has not been
    }
    said = {name: getattr(state, name) for name in _PLAIN} | _run(recipe, data)
    text = json.dumps({"format": _FORMAT} | said)
    texts = {"checkpoint": text, "sha256": _digest(text, tensors)}
    with files.replacing(out / _CHECKPOINT) as draft:
        draft.write_bytes(safetensors.torch.save(tensors, texts))
    _log(out, state)


def resume(
    out: Path,
    recipe: Recipe,
    data: Data,
    net: RawWaveformCNN,
    optimiser: torch.optim.Optimizer,
    process: parallel.Process,
    average: nn.Module | None = None,
) -> State:
    """Take up the last checkpoint; without one, begin.

    Parameters
    ----------
    out : Path
        The run's folder.
    recipe : Recipe
        Of the run.
    data : Data
        What it is trained on.
    net : RawWaveformCNN
        Gets the weights.
    optimiser : torch.optim.Optimizer
        Gets its state.
    process : Process
        This one; the first writes the log again.
    average : Module, optional
        Gets the moving average, where there is one.

    Returns
    -------
    State
        All else.

    Raises
    ------
    ParameterError
        For a file that is no checkpoint, is damaged or is another run's.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.networks import PHONE_CNN, build
    >>> class Tones:  # what is asked of `Data`
    ...     fingerprint = "tones"
    >>> net, out = build(PHONE_CNN, 40, seed=0), Path(tempfile.mkdtemp())
    >>> optimiser = torch.optim.SGD(net.parameters())
    >>> with parallel.process("cpu") as process:
    ...     resume(out, Recipe(), Tones(), net, optimiser, process).step
    0
    """
    path = out / _CHECKPOINT
    if not path.exists():
        return begin(net, process.device)
    said, tensors = _read(path)
    _compare(_run(recipe, data), said, out)
    try:
        groups: dict[str, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = value.to(process.device)
        sums = groups.pop("sums")[""]
        best = groups.pop("best")
        net.load_state_dict(groups.pop("model"))
        (average or _NONE).load_state_dict(groups.pop("average", {}))
        moments = {int(number): values for number, values in groups.items()}
        optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
        state = State(sums=sums, best=best, **{name: said[name] for name in _PLAIN})
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "it is not of this version") from error
    if process.first:
        _log(out, state)
    else:  # the sums so far are the first process'
        state.sums.zero_()
    return state


def _run(recipe: Recipe, data: Data) -> dict[str, Any]:
    """Return what makes two runs the same, in JSON values."""
    return dict(json.loads(json.dumps({"recipe": asdict(recipe), "data": data.fingerprint})))


def _held(out: Path) -> Iterator[dict[str, Any]]:
    """What the folder says that it holds: the checkpoint, then recipe.json."""
    if (out / _CHECKPOINT).exists():
        # its SHA-256 before its recipe: a flipped bit must not pass for another run
        yield _checked(out / _CHECKPOINT, _read(out / _CHECKPOINT)[0])
    path = out / _RECIPE
    if path.exists():
        try:
            yield _checked(path, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            if isinstance(error, ParameterError):
                raise
            raise _damaged(path, "it is no JSON") from error


def _checked(path: Path, run: Any) -> dict[str, Any]:
    if not isinstance(run, dict) or not isinstance(run.get("data"), str):
        raise _damaged(path, "it names no data")
    try:
        Recipe.from_dict(run.get("recipe") or {})
    except ParameterError as error:
        raise _damaged(path, str(error).partition(": ")[0]) from error
    return run


def _compare(mine: dict[str, Any], theirs: dict[str, Any], out: Path) -> None:
    for name, value in mine["recipe"].items():
        held = theirs["recipe"].get(name)
        if held != value:
            raise ParameterError(
                f"{out} holds a run with {name} {held}, not {value}: take another folder, or the "
                "same recipe to go on."
            )
    if theirs["data"] != mine["data"]:
        raise ParameterError(
            f"{out} holds a run on other data: take another folder, or the same recordings to go "
            "on."
        )


def _said(path: Path) -> dict[str, Any]:
    """What a checkpoint says beside its tensors."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            said = json.loads((file.metadata() or {})["checkpoint"])
        if said["format"] == _FORMAT:
            return dict(said)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, "it cannot be read") from error
    raise _damaged(path, "it is not of this version")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    said = _said(path)
    with safetensors.safe_open(path, "pt") as file:
        texts = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if texts.get("sha256") != _digest(texts["checkpoint"], tensors):
        raise _damaged(path, "its SHA-256 is not the one that it was written with")
    return said, tensors


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"\0{name} {value.dtype} {tuple(value.shape)}\0".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> ParameterError:
    return ParameterError(
        f"{path} cannot be gone on from ({why}): take another folder, or begin anew."
    )


def history(out: Path | str) -> dict[str, Any]:
    r"""Return how a run's best validation was, how long it took, and its log's columns.

    Parameters
    ----------
    out : Path or str
        The run's folder.

    Returns
    -------
    dict
        JSON values: steps, seconds, best_step, valid_accuracy, log.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp())
    >>> _ = (out / "log.csv").write_text(f"{','.join(COLUMNS)}\n7,1,2.5,0.1,0.5,0.25,3.0\n")
    >>> history(out)["valid_accuracy"]
    0.25
    """
    with (Path(out).expanduser() / _LOG).open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    best = max(rows, key=lambda row: row["valid_accuracy"])
    return {
        "steps": rows[-1]["step"],
        "seconds": rows[-1]["seconds"],
        "best_step": best["step"],
        "valid_accuracy": best["valid_accuracy"],
        "log": {
            column: [row[column] for row in rows]
            for column in ("step", "loss", "train_accuracy", "valid_accuracy")
        },
    }


def _log(out: Path, state: State) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for step, *values, seconds in state.rows:
        writer.writerow([step, *(f"{value:.6g}" for value in values), f"{seconds:.1f}"])
    files.write_text(out / _LOG, text.getvalue())
