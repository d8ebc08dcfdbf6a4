"""The folder of a run: its recipe, its checkpoint, its log; read back, a run goes on."""

from __future__ import annotations

import csv
import io
import json
import pickle
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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
    "begin",
    "enter",
    "held_recipe",
    "history",
    "resume",
    "save",
]

_RECIPE, _CHECKPOINT, _LOG = "recipe.json", "checkpoint.pt", "log.csv"

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
        If `out` holds a run of another recipe or other data.

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
    out.mkdir(parents=True, exist_ok=True)
    files.sweep(out)
    if not resume:
        for name in (_RECIPE, _CHECKPOINT, _LOG, MODEL, SCORES):
            (out / name).unlink(missing_ok=True)
    path = out / _RECIPE
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
    """Return the recipe of the run in a folder.

    Parameters
    ----------
    out : Path or str
        The folder.

    Returns
    -------
    Recipe or None
        None if there is no run.

    Examples
    --------
    >>> import tempfile
    >>> held_recipe(tempfile.mkdtemp()) is None
    True
    """
    path = Path(out) / _RECIPE
    if not path.is_file():
        return None
    return Recipe.from_dict(json.loads(path.read_text())["recipe"])


def save(out: Path, net: RawWaveformCNN, optimiser: torch.optim.Optimizer, state: State) -> None:
    """Write the checkpoint, then the log from it: lines are neither lost nor doubled.

    Parameters
    ----------
    out : Path
        The run's folder.
    net : RawWaveformCNN
        As trained so far.
    optimiser : torch.optim.Optimizer
        As it stands.
    state : State
        All else.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.networks import PHONE_CNN, build
    >>> net, out = build(PHONE_CNN, 40, seed=0), Path(tempfile.mkdtemp())
    >>> save(out, net, torch.optim.SGD(net.parameters()), begin(net, torch.device("cpu")))
    >>> sorted(path.name for path in out.iterdir())
    ['checkpoint.pt', 'log.csv']
    """
    content = {field.name: getattr(state, field.name) for field in fields(state)}
    content |= {"model": net.state_dict(), "optimiser": optimiser.state_dict()}
    with files.replacing(out / _CHECKPOINT) as draft:
        torch.save(content, draft)
    _log(out, state)


def resume(
    out: Path,
    net: RawWaveformCNN,
    optimiser: torch.optim.Optimizer,
    process: parallel.Process,
) -> State:
    """Take up the last checkpoint; without one, begin.

    Parameters
    ----------
    out : Path
        The run's folder.
    net : RawWaveformCNN
        Gets the weights.
    optimiser : torch.optim.Optimizer
        Gets its state.
    process : Process
        This one; the first writes the log again.

    Returns
    -------
    State
        All else.

    Raises
    ------
    ParameterError
        For a file that is no checkpoint.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.networks import PHONE_CNN, build
    >>> net, out = build(PHONE_CNN, 40, seed=0), Path(tempfile.mkdtemp())
    >>> with parallel.process("cpu") as process:
    ...     resume(out, net, torch.optim.SGD(net.parameters()), process).step
    0
    """
    path = out / _CHECKPOINT
    if not path.is_file():
        return begin(net, process.device)
    try:
        content = torch.load(path, map_location=process.device, weights_only=True)
        net.load_state_dict(content.pop("model"))
        optimiser.load_state_dict(content.pop("optimiser"))
        state = State(**content)
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
    with (Path(out) / _LOG).open(newline="") as file:
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
