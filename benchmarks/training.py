"""How many windows a second are trained on, on this machine.

python benchmarks/training.py [--repeats N]: both networks, float32 and bfloat16 autocast, the
network with torch's own `nn.Conv1d` against `relviz.networks.ChannelsLast`, batch 256, fused Adam.
The variants take turns; printed are the best and the median of N repeats, as other work on the
machine only ever makes a step slower.
"""

import argparse
import itertools
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from relviz.networks import PHONE_CNN, SPEAKER_CNN, build

BATCH = 256


def steps(architecture, classes, fast, bf16):
    """Yield the seconds of one training step after another."""
    net = build(architecture, classes, seed=0).train()
    if not fast:
        for layer in net.features:
            if isinstance(layer, nn.Conv1d):
                layer.__class__ = nn.Conv1d
    optimiser = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    x, labels = torch.randn(BATCH, architecture.window), torch.randint(classes, (BATCH,))
    while True:
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            scores = net(x)
        loss = F.cross_entropy(scores.float(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield time.perf_counter() - began


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; windows a second")
    for name, architecture, classes in (("phones", PHONE_CNN, 40), ("speakers", SPEAKER_CNN, 164)):
        variants = list(itertools.product((False, True), (False, True)))
        runs = [steps(architecture, classes, fast, bf16) for fast, bf16 in variants]
        for run in runs:
            next(run)
        times = list(zip(*([next(run) for run in runs] for _ in range(repeats)), strict=True))
        for (fast, bf16), seconds in zip(variants, times, strict=True):
            form, kind = "fast" if fast else "plain", "bf16" if bf16 else "fp32"
            best, median = BATCH / min(seconds), BATCH / statistics.median(seconds)
            print(f"{name:9} {form:6} {kind}  best {best:6.0f}  median {median:6.0f}")


if __name__ == "__main__":
    main()
