"""A whole run: fit, score, write; what `relviz train` does."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from relviz import files
from relviz._errors import ParameterError
from relviz.pretrained import MODEL, Metadata
from relviz.training import checkpoint, parallel, weights
from relviz.training.checkpoint import SCORES, held_recipe, history
from relviz.training.data import Data
from relviz.training.fit import fit, seconds_per_step
from relviz.training.recipe import Recipe
from relviz.training.score import score_phones, score_utterances

__all__ = ["train"]

_OVERHEAD = 1.1
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

    Parameters
    ----------
    recipe : Recipe
        All that decides, besides the data.
    data : Data
        Of `relviz.training.sets`.
    out : Path or str
        The run's folder.
    minutes : float, optional
        Take as many steps as fit into this time on this machine, measured once, before the run
        begins, so that the run stays reproducible; default, `recipe.steps`.
    device : str
        As in `relviz.training.parallel.process`.
    progress : bool
        Show tqdm bars.
    resume : bool
        False begins anew.
    snapshots : tuple of int
        Also write the weights after these steps.

    Raises
    ------
    ParameterError, WriteError, Interrupted
        As `fit`; and for minutes that are no time.

    Returns
    -------
    dict
        The scores (only in the first process under `torchrun`, elsewhere {}).

    Examples
    --------
    One step on eight short utterances of noise:

    >>> import tempfile
    >>> import numpy as np
    >>> from relviz.corpora import Utterance
    >>> from relviz.training.data import label_speakers, pack
    >>> rng, folder = np.random.default_rng(0), Path(tempfile.mkdtemp())
    >>> noise = rng.standard_normal((8, 1600)).astype(np.float32) / 10
    >>> said = [
    ...     Utterance(f"{n % 2}-0-{n}", f"{n % 2}", "0", samples=wave)
    ...     for n, wave in enumerate(noise)
    ... ]
    >>> audio = pack(said, folder)
    >>> groups = (said[:4], said[4:6], said[6:])
    >>> fitted, valid, test = (label_speakers(audio, group, ("0", "1")) for group in groups)
    >>> data = Data(("0", "1"), fitted, valid, {"test": test})
    >>> recipe = Recipe("speakers", steps=1, batch_size=4)
    >>> scores = train(recipe, data, folder / "run", device="cpu")
    >>> scores["test"]["utterance_accuracy"]["trials"]
    2
    """
    out = Path(out).expanduser()
    if minutes is not None and not 0 < minutes < math.inf:
        raise ParameterError(f"minutes is {minutes}: give a time above 0, such as 10.")
    with parallel.process(device) as process, checkpoint.alone(out, process):
        held = held_recipe(out) if resume else None
        if held is not None and minutes is not None:
            recipe = replace(recipe, steps=held.steps)
        elif minutes is not None:
            seconds = _OVERHEAD * seconds_per_step(recipe, data, device)
            recipe = replace(recipe, steps=max(1, round(60 * minutes / seconds)))
        net = fit(recipe, data, out, device, progress, resume, snapshots)
        if not process.first:
            return {}
        score = score_phones if recipe.study == "phones" else score_utterances
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
