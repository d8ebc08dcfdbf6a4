"""Training the paper's networks: frames from memory-mapped audio, fitting, decoding, scores.

`sets` divides a corpus by fixed rules, `data` cuts batches, `recipe` says how, `fit` trains (and
goes on after a kill, by `checkpoint`), `decoding` makes phones of posteriors, `score` scores,
`weights` writes networks, `run` does it all.
"""

from relviz.pretrained import Metadata, TrainedCNN, load
from relviz.training.data import Data, Frames
from relviz.training.fit import Interrupted, fit
from relviz.training.recipe import STANDARD, Recipe
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
