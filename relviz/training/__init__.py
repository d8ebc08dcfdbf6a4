"""Training the paper's networks: frames from memory-mapped audio, fitting, decoding, scores.

`sets` divides a corpus by fixed rules, `data` cuts batches, `fit` trains by a `Recipe` (and goes on
after a kill), `score` decodes and scores, `weights` writes networks, `run` does it all.
"""

from relviz.pretrained import Metadata, TrainedCNN, load
from relviz.training.data import Data, Frames
from relviz.training.fit import STANDARD, Interrupted, Recipe, fit
from relviz.training.run import train
from relviz.training.score import report

__all__ = [
    "STANDARD",
    "Data",
    "Frames",
    "Interrupted",
    "Metadata",
    "Recipe",
    "TrainedCNN",
    "fit",
    "load",
    "report",
    "train",
]
