"""How long relevance takes: microseconds a window of 250 ms, and seconds a row of Table 2.

    python benchmarks/relevance.py [--threads N] [--repeats N]

Medians over repeats, with the fastest and slowest. captum stands beside if it is installed; it is
no dependency (`pip install --no-deps captum`).
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

import relviz
from relviz import corpora, networks
from relviz.studies import vowels as study

BATCH = 64


def spent(work: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Return median, least and most seconds of one call, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), min(times), max(times)


def windows(repeats: int) -> None:
    """Time one batch of windows through the phone network."""
    net = networks.build(networks.PHONE_CNN, classes=40, seed=0)
    x = torch.randn(BATCH, net.window, generator=torch.Generator().manual_seed(0))

    def forward() -> None:
        with torch.inference_mode():
            net(x)

    work: dict[str, Callable[[], object]] = {"forward only": forward}
    for method in ("gradient", "guided", "deconvnet"):
        work[f"relviz {method}"] = lambda m=method: relviz.relevance(net, x, 0, m)
    if importlib.util.find_spec("captum"):
        from captum.attr import GuidedBackprop, Saliency

        guided = GuidedBackprop(net)  # it puts hooks on every module: last
        plain = Saliency(networks.build(networks.PHONE_CNN, classes=40, seed=0))
        work["captum gradient"] = lambda: plain.attribute(x.requires_grad_(), 0, abs=False)
        work["captum guided"] = lambda: guided.attribute(x.requires_grad_(), 0)
    print(f"microseconds a window, batch {BATCH}, {torch.get_num_threads()} threads")
    for name, call in work.items():
        median, least, most = (1e6 * s / BATCH for s in spent(call, repeats))
        print(f"  {name:18} {median:7.0f}   ({least:.0f} to {most:.0f})")


def rows() -> None:
    """Time one row of Table 2 in one process: five vowels of 93 talkers."""
    corpus = corpora.vowels()
    print(f"seconds a row of Table 2, one process ({corpus.source.origin})")
    net: nn.Module = networks.build(networks.PHONE_CNN, classes=40, seed=0)
    signals = {
        "original recording": study.original,
        "GBP, one window": study.Relevance(net, hop_length=None),
        "GBP, hop 97": study.Relevance(net, hop_length=97),
    }
    for name, function in signals.items():
        start = time.perf_counter()
        study.table2({name: function}, corpus, jobs=1)
        print(f"  {name:18} {time.perf_counter() - start:7.1f}")


def importing(repeats: int) -> None:
    """Time `import relviz` in new processes where torch is loaded already."""
    code = (
        "import time, torch; s = time.perf_counter(); import relviz; print(time.perf_counter() - s)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(repeats)
    ]
    print(f"import relviz beyond torch's own import: {statistics.median(times):.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    importing(options.repeats)
    windows(options.repeats)
    rows()
