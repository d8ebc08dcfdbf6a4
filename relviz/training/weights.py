"""Trained networks in files: safetensors with all that is needed to use them; never pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from relviz.audio import SAMPLE_RATE
from relviz.networks import Architecture, Conv, RawWaveformCNN
from relviz.signals import Normalise
from relviz.training import files

MODEL = "model.safetensors"


@dataclass(frozen=True)
class Metadata:
    """What a trained network is and how it came to be.

    classes: the names of its outputs. normalise: what its windows went through, for
    `relviz.relevance_signal`. recipe: how it was trained. about: on what. scores: how well it does.
    """

    study: str
    classes: tuple[str, ...]
    normalise: Normalise = "window"
    sample_rate: int = SAMPLE_RATE
    recipe: Mapping[str, Any] = field(default_factory=dict, repr=False)
    about: Mapping[str, Any] = field(default_factory=dict, repr=False)
    scores: Mapping[str, Any] = field(default_factory=dict, repr=False)


class TrainedCNN(RawWaveformCNN):
    """A network of Table 1 that knows its classes and its history, in `metadata`."""

    def __init__(self, architecture: Architecture, metadata: Metadata) -> None:
        super().__init__(architecture, len(metadata.classes))
        self.metadata = metadata


def save(net: RawWaveformCNN, metadata: Metadata, path: Path) -> None:
    """Write a network's weights and metadata to one file, as a whole or not at all."""
    fields = {"architecture": asdict(net.architecture)} | asdict(metadata)
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    texts = {name: json.dumps(value) for name, value in fields.items()}
    with files.replacing(path) as draft:
        draft.write_bytes(safetensors.torch.save(tensors, texts))


def load(path: Path | str) -> TrainedCNN:
    """Read a trained network, in eval mode: a run's folder or a .safetensors file.

    Raises ValueError for a file that is not one of relviz's, OSError if there is none.
    """
    path = Path(path)
    path = path / MODEL if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: train first, or name a .safetensors file.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            fields = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        shape = fields.pop("architecture")
        convs = tuple(Conv(**conv) for conv in shape.pop("convs"))
        metadata = Metadata(**fields | {"classes": tuple(fields["classes"])})
        with torch.random.fork_rng(devices=[]):  # the weights it is born with are thrown away
            net = TrainedCNN(Architecture(convs=convs, **shape), metadata)
        net.load_state_dict(tensors)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} holds no network of relviz's ({type(error).__name__}): name a file that "
            "`relviz train` wrote."
        ) from error
    return net.eval()
