"""How long relevance takes: microseconds a window of 250 ms, and seconds a row of Table 2.

    python benchmarks/relevance.py [--threads N] [--rounds N] [--device cuda]

Calls are interleaved round by round, so that a machine whose speed drifts moves all of them. Ratios
are to the plain gradient of the same network by `relviz.relevance`; beside it stands autograd
itself, without any check. captum stands beside if it is installed.
"""

import argparse
import copy
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import relviz
from relviz import audio, networks


def autograd(net: nn.Module, x: Tensor) -> Tensor:
    """Gradient of class 0 by autograd and nothing else."""
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0]


def calls(net: nn.Module, x: Tensor) -> dict[str, Callable[[], object]]:
    """What is timed, by name; captum last, since it hangs hooks on a network of its own."""
    work: dict[str, Callable[[], object]] = {
        "relviz gradient": lambda: relviz.relevance(net, x, 0, "gradient"),
        "relviz guided": lambda: relviz.relevance(net, x, 0, "guided"),
        "relviz deconvnet": lambda: relviz.relevance(net, x, 0, "deconvnet"),
        "autograd": lambda: autograd(net, x),
    }
    if importlib.util.find_spec("captum"):
        from captum.attr import GuidedBackprop

        guided = GuidedBackprop(copy.deepcopy(net))
        work["captum guided"] = lambda: guided.attribute(x.clone().requires_grad_(), 0)
    return work


def windows(batch: int, rounds: int, device: str) -> None:
    """Time one batch of windows through the phone network, by every method in turn."""
    net = networks.build(networks.PHONE_CNN, classes=40, seed=0)
    x = torch.randn(batch, net.window, generator=torch.Generator().manual_seed(0)).to(device)
    net.to(device)
    work = calls(net, x)
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 3):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn >= 3:  # the first warm up
                times[name].append(time.perf_counter() - start)
    where = f"{torch.get_num_threads()} threads" if device == "cpu" else "one GPU"
    print(f"batch {batch}, {where}: ratio, microseconds a window")
    base = times["relviz gradient"]
    for name, spent in times.items():
        ratios = [a / b for a, b in zip(spent, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        microseconds = 1e6 * statistics.median(spent) / batch
        print(f"  {name:18} {middle:5.2f} ({low:.2f} to {high:.2f}) {microseconds:9.0f}")


def utterance(name: str, rounds: int, seconds: float = 1.0) -> None:
    """Time relevance signals against captum in the obvious loop over the same windows."""
    from captum.attr import GuidedBackprop

    net = relviz.load(name)
    wave = np.random.default_rng(0).standard_normal(round(16000 * seconds)).astype(np.float32)
    starts = np.arange(0, len(wave), 97) - net.window // 2
    theirs = GuidedBackprop(copy.deepcopy(net))

    def loop() -> None:
        total = np.zeros(len(wave) + 2 * net.window)
        for start in starts:
            row = audio.frame(wave, net.window, [start])[0]
            x = torch.from_numpy((row - row.mean()) / row.std())[None].requires_grad_()
            found = theirs.attribute(x, 0)[0].detach().numpy()
            where = start + net.window
            total[where : where + net.window] += found / np.sqrt(np.mean(found**2))

    def ours(method: Any) -> None:
        relviz.relevance_signal(net, wave, target=0, method=method, progress=False)

    def floor() -> None:
        for _ in range(10):
            square @ square

    square = torch.randn(1024, 1024)
    work: dict[str, Callable[[], object]] = {
        "captum, one by one": loop,
        "relviz guided": partial(ours, "guided"),
        "relviz gradient": partial(ours, "gradient"),
        "products": floor,
    }
    times: dict[str, list[float]] = {each: [] for each in work}
    for turn in range(rounds + 1):
        for each, call in work.items():
            start = time.perf_counter()
            call()
            if turn:
                times[each].append(time.perf_counter() - start)
    # as long as the network's products would take, were they square matrices
    scale = products(net) * len(starts) / (10 * 2 * 1024**3)
    times["products"] = [scale * each for each in times["products"]]
    print(f"{name}, {seconds:g} s at hop 97, {torch.get_num_threads()} threads: captum / ratio")
    for each, spent in times.items():
        ratios = [a / b for a, b in zip(times["captum, one by one"], spent, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        microseconds = 1e6 * statistics.median(spent) / len(starts)
        print(f"  {each:18} {middle:5.2f} ({low:.2f} to {high:.2f}) {microseconds:9.0f}")


def products(net: networks.RawWaveformCNN) -> float:
    """Return the floating point operations of a window's products, there and back."""
    operations, channels = 0.0, 1
    for conv, layer in zip(
        net.architecture.convs, networks.geometry(net.architecture)[::2], strict=True
    ):
        operations += 2 * layer.length * conv.filters * conv.kernel_size * channels
        channels = conv.filters
    classifier = sum(p.numel() for p in net.classifier.parameters() if p.ndim == 2)
    return 2 * (operations + 2 * classifier)


def rows() -> None:
    """Time one row of Table 2 in one process: five vowels of 93 talkers."""
    from relviz import corpora  # here, since the rest needs no more than relviz's core
    from relviz.studies import vowels as study

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


def importing(rounds: int) -> None:
    """Time `import relviz`, and of what relevance needs, in new processes."""
    for code in ("import relviz", "from relviz import relevance"):
        timed = f"import time; s = time.perf_counter(); {code}; print(time.perf_counter() - s)"
        command = [sys.executable, "-c", timed]
        times = [
            float(subprocess.run(command, capture_output=True, check=True).stdout)
            for _ in range(rounds)
        ]
        print(f"{code}: {statistics.median(times):.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    importing(5)
    for size in (1, 16, 64):
        windows(size, options.rounds, options.device)
    if options.device == "cpu":
        for network in ("phones", "speakers"):
            utterance(network, max(2, options.rounds // 8))
    if options.device == "cpu":
        rows()
