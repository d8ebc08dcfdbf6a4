"""A whole run: fit, score, write; what `relviz train` does."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from relviz import files
from relviz.pretrained import MODEL, Metadata
from relviz.training import parallel, weights
from relviz.training.data import Data
from relviz.training.fit import LOG, SCORES, Recipe, fit, held_recipe, seconds_per_step
from relviz.training.score import score_phones, score_speakers

OVERHEAD = 1.1
"""Time for validation and checkpoints, on top of the steps."""


def train(
    recipe: Recipe,
    data: Data,
    out: Path | str,
    minutes: float | None = None,
    device: str = "auto",
    progress: bool = False,
    resume: bool = True,
    snapshots: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Fit a network, score it, and write model.safetensors and scores.json; see `fit`.

    minutes: take as many steps as fit into this time on this machine, measured once, before the
    run begins, so that the run stays reproducible; otherwise `recipe.steps`.
    Returns the scores (only in the first process under `torchrun`, elsewhere {}).
    """
    out = Path(out)
    with parallel.process(device) as process:
        held = held_recipe(out) if resume else None
        if held is not None and minutes is not None:
            recipe = replace(recipe, steps=held.steps)
        elif minutes is not None:
            seconds = OVERHEAD * seconds_per_step(recipe, data, device)
            recipe = replace(recipe, steps=max(1, round(60 * minutes / seconds)))
        net = fit(recipe, data, out, device, progress, resume, snapshots)
        if not process.first:
            return {}
        score = score_phones if recipe.study == "phones" else score_speakers
        scores = score(net, data, recipe.normalise, process.device, progress)
        scores["training"] = history(out)
        metadata = Metadata(
            recipe.study,
            data.classes,
            recipe.normalise,
            recipe=asdict(recipe),
            about=dict(data.about),
            scores=scores,
        )
        weights.save(net, metadata, out / MODEL)
        files.write_text(out / SCORES, json.dumps(scores, indent=1) + "\n")
        return scores


def history(out: Path | str) -> dict[str, Any]:
    """Return how a run's best validation was, how long it took, and its log's columns."""
    with (Path(out) / LOG).open(newline="") as file:
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
