"""A run of its own, to be killed, or shared by `torchrun`: CACHE OUT [field=value ...]."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import torch

from relviz.training import fit
from relviz.training.fit import Interrupted
from tests.training.conftest import RECIPE, make_data

if __name__ == "__main__":
    torch.set_num_threads(1)
    cache, out, *changes = sys.argv[1:]
    recipe = replace(
        RECIPE, **{key: ast.literal_eval(value) for key, value in (c.split("=") for c in changes)}
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        fit(recipe, make_data(Path(cache)), Path(out))
    except Interrupted as stop:
        sys.stdout.write(str(stop))
        sys.exit(128 + stop.signal)
