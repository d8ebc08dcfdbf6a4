"""Writing trained networks to files: safetensors with all that is needed to use them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch

from relviz import files
from relviz.networks import RawWaveformCNN
from relviz.pretrained import Metadata

__all__ = ["save"]


def save(net: RawWaveformCNN, metadata: Metadata, path: Path) -> None:
    """Write a network's weights and metadata to one file, as a whole or not at all.

    Parameters
    ----------
    net : RawWaveformCNN
        On whatever device.
    metadata : Metadata
        Its classes and how it came to be.
    path : Path
        A safetensors file, which `relviz.load` reads.

    Examples
    --------
    >>> import tempfile
    >>> import relviz
    >>> net = relviz.load("phones")
    >>> path = Path(tempfile.mkdtemp()) / "mine.safetensors"
    >>> save(net, net.metadata, path)
    >>> relviz.load(path).metadata.study
    'phones'
    """
    fields = {"architecture": asdict(net.architecture)} | asdict(metadata)
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    texts = {name: json.dumps(value) for name, value in fields.items()}
    with files.replacing(path) as draft:
        draft.write_bytes(safetensors.torch.save(tensors, texts))
