"""How long relevance takes: against captum, autograd and all of the network's products."""

from __future__ import annotations

import copy
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import profiler

import relviz
from benchmarks.timing import UNMEASURED, Row, middle, over, rounds
from relviz import _kernels, audio, networks
from relviz.corpora import Utterance
from relviz.signals import relevance_blocks
from relviz.statistics import Interval
from relviz.training.data import Frames, label_speakers, pack
from relviz.training.score import log_posteriors

NETWORKS = ("phones", "speakers")
BATCHES = (1, 64)
HOP = 97
RATE = audio.SAMPLE_RATE
CALLS = ("relviz guided", "relviz gradient", "autograd gradient", "captum guided", "products")
LOOPS = ("relviz guided", "relviz gradient", "captum guided", "products")
SCORES = ("relviz log posteriors", "torch log posteriors")
NO_CUDA = UNMEASURED + "this machine has no CUDA device"
AGAIN = "captum guided, the same object again"

SECONDS = 5
"""Of speech that one object of captum hears, to see how much slower it becomes."""

PRODUCTS = 3
"""Large products a round, by whose speed the floor is reckoned."""


def places(small: bool) -> Iterator[tuple[str, int]]:
    """Yield devices and numbers of threads; a small run leaves the other cores alone."""
    yield from (("cpu", threads) for threads in ((1,) if small else (1, 2)))
    yield "cuda", 1


def is_there(device: str) -> bool:
    """Whether anything can be measured on a device."""
    return device == "cpu" or torch.cuda.is_available()


def with_captum(net: nn.Module) -> Callable[[], Any]:
    """Return what makes captum's guided backpropagation of a copy: it hangs hooks on its network.

    Each call or loop is timed with a new one. captum 0.9 keeps the handle of every hook that it
    hung and removes all of them again after each call, so that one that is used on and on becomes
    slower and slower: `_again` measures by how much.
    """
    from captum.attr import GuidedBackprop

    return partial(GuidedBackprop, copy.deepcopy(net))


def autograd(net: nn.Module, x: Tensor) -> Tensor:
    """Return the gradient of class 0 by autograd and nothing else."""
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(net(leaf)[:, 0].sum(), leaf)[0]


def large(device: str) -> Callable[[], None]:
    """Return a call of the faster of two large products, of 2 * 1024 ** 3 operations each.

    Square matrices, and a convolution of 256 channels: not every library of matrix products uses
    all that every processor has, and convolutions come from another.
    """
    square = torch.randn(1024, 1024, device=device)
    wide = torch.randn(1, 256, 1, 2048 + 7, device=device)
    kernels = torch.randn(256, 256, 1, 8, device=device)
    wide, kernels = (x.contiguous(memory_format=torch.channels_last) for x in (wide, kernels))
    ways = {"squares": lambda: square @ square, "convolution": lambda: torch.conv2d(wide, kernels)}
    times = rounds(ways, 1, most=3, device=device)
    way = ways[min(times, key=lambda name: min(times[name]))]

    def multiply() -> None:
        for _ in range(PRODUCTS):
            way()

    return multiply


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


def as_large(net: networks.RawWaveformCNN, windows: int, times: list[float]) -> list[float]:
    """Return how long the products of so many windows would take, were they large ones."""
    scale = products(net) * windows / (PRODUCTS * 2 * 1024**3)
    return [scale * each for each in times]


def windows(small: bool) -> Iterator[Row]:
    """Time one call of a batch of windows, and compare what it returns."""
    for name in NETWORKS:
        for device, threads in places(small):
            for batch in BATCHES:
                row = partial(
                    Row, "windows", network=name, device=device, threads=threads, batch=batch
                )
                if not is_there(device):
                    yield from (row(each, note=NO_CUDA) for each in (*CALLS, "difference"))
                    continue
                torch.set_num_threads(threads)
                yield from _windows(row, name, device, batch, small)


def _windows(
    row: Callable[..., Row], name: str, device: str, batch: int, small: bool
) -> Iterator[Row]:
    net = relviz.load(name).to(device)
    x = torch.randn(batch, net.window, generator=torch.Generator().manual_seed(0)).to(device)
    guided = with_captum(net)
    work: dict[str, Callable[[], Any]] = {
        "relviz guided": lambda: relviz.relevance(net, x, 0, "guided"),
        "relviz gradient": lambda: relviz.relevance(net, x, 0, "gradient"),
        "autograd gradient": lambda: autograd(net, x),
        "captum guided": lambda: guided().attribute(x.clone().requires_grad_(), 0),
        "products": large(device),
    }
    times = rounds(work, 2, most=1 if small else 40, device=device)
    times["products"] = as_large(net, batch, times["products"])
    for each in CALLS:
        yield row(
            each,
            ratio=over(times["captum guided"], times[each]),
            of="captum's time / this",
            value=middle(1e6 * np.array(times[each]) / batch),
            unit="us a window",
            rounds=len(times[each]),
        )
    ours, theirs = work["relviz guided"](), work["captum guided"]()
    yield row("difference", value=_difference(ours, theirs), unit="of the maximum")


def _difference(ours: Any, theirs: Any) -> Interval[float]:
    ours, theirs = torch.as_tensor(ours).detach(), torch.as_tensor(theirs).detach()
    found = float((ours - theirs).abs().max() / theirs.abs().max())
    return Interval(found, found, found)


def utterance(small: bool) -> Iterator[Row]:
    """Time relevance signals and posteriors against the obvious loop over the same windows."""
    seconds = 0.6 if small else 1.0
    for name in NETWORKS:
        for device, threads in places(small):
            row = partial(Row, "utterance", network=name, device=device, threads=threads)
            if not is_there(device):
                every = (*LOOPS, *SCORES, "difference", "difference of log posteriors")
                yield from (row(each, note=NO_CUDA) for each in every)
                continue
            torch.set_num_threads(threads)
            yield from _utterance(row, name, device, seconds, small)
        yield _again(name, small)


def _utterance(
    row: Callable[..., Row], name: str, device: str, seconds: float, small: bool
) -> Iterator[Row]:
    net = relviz.load(name).to(device)
    wave = _noise(seconds)
    guided = with_captum(net)
    said = [Utterance("a-0-0", "a", "0", samples=wave)]
    with tempfile.TemporaryDirectory() as folder:
        frames = label_speakers(pack(said, folder), said, ("a",))
        work: dict[str, Callable[[], Any]] = {
            "relviz guided": partial(_ours, net, wave, "guided"),
            "relviz gradient": partial(_ours, net, wave, "gradient"),
            "captum guided": lambda: _loop(net, guided(), wave),
            "products": large(device),
            "relviz log posteriors": lambda: log_posteriors(net, frames, device=device),
            "torch log posteriors": partial(_scored, net, frames),
        }
        times = rounds(work, 4, most=1 if small else 12, device=device)
        starts = len(np.arange(0, len(wave), HOP))
        times["products"] = as_large(net, starts, times["products"])
        for base, some in (("captum guided", LOOPS), ("torch log posteriors", SCORES)):
            for each in some:
                yield row(
                    each,
                    ratio=over(times[base], times[each]),
                    of=f"time of {base}, one window at a time / this",
                    value=middle(np.array(times[each]) / seconds),
                    unit="s a second of speech",
                    rounds=len(times[each]),
                )
        one, other = work["relviz guided"](), work["captum guided"]()
        yield row("difference", value=_difference(one, other), unit="of the maximum")
        found = _difference(work["relviz log posteriors"](), work["torch log posteriors"]())
        yield row("difference of log posteriors", value=found, unit="of the maximum")


def _again(name: str, small: bool) -> Row:
    """Say how much longer the last second takes than the first, by one object of captum."""
    torch.set_num_threads(1)
    net, seconds = relviz.load(name), 0.2 if small else 1.0
    guided, wave, times = with_captum(net)(), _noise(seconds), []
    for _ in range(2 if small else SECONDS):
        start = time.perf_counter()
        _loop(net, guided, wave)
        times.append(time.perf_counter() - start)
    return Row(
        "utterance",
        AGAIN,
        name,
        ratio=over(times[-1:], times[:1]),
        of="time of the last loop / of the first, by the same object",
        value=middle(np.array(times[-1:]) / seconds),
        unit="s a second of speech",
        rounds=len(times),
    )


def _noise(seconds: float) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(round(RATE * seconds)).astype(np.float32) / 10


def _ours(net: nn.Module, wave: NDArray[np.float32], method: Any) -> NDArray[np.float64]:
    return relviz.relevance_signal(net, wave, target=0, method=method, progress=False)


def _windows_of(wave: NDArray[np.float32], length: int, starts: NDArray) -> Iterator[Tensor]:
    for start in starts:
        row = audio.frame(wave, length, [start])[0]
        yield torch.from_numpy((row - row.mean()) / row.std())[None]


def _loop(net: Any, guided: Any, wave: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the relevance signal as one would write it first: a window after the other."""
    device = next(net.parameters()).device
    starts = np.arange(0, len(wave), HOP) - net.window // 2
    total, covered = np.zeros(len(wave) + 2 * net.window), np.zeros(len(wave) + 2 * net.window)
    for start, x in zip(starts, _windows_of(wave, net.window, starts), strict=True):
        found = guided.attribute(x.to(device).requires_grad_(), 0)[0].detach().cpu().numpy()
        where = slice(start + net.window, start + 2 * net.window)
        total[where] += found / np.sqrt(np.mean(found**2))
        covered[where] += 1
    inside = slice(net.window, net.window + len(wave))
    return total[inside] / covered[inside]


def _scored(net: Any, frames: Frames) -> Tensor:
    """Return log posteriors by the network's own layers, a window after the other."""
    device, starts = next(net.parameters()).device, frames.centres - net.window // 2
    wave = np.asarray(frames.audio.samples, dtype=np.float32)
    with torch.inference_mode():
        rows = [net(x.to(device)).log_softmax(-1) for x in _windows_of(wave, net.window, starts)]
    return torch.cat(rows).cpu()


def hour(small: bool) -> Iterator[Row]:
    """Time a tenth of an hour, or what of it a busy machine does in time, block by block."""
    share, most = (0.0003, 0.0) if small else (0.1, 100.0)
    for name in NETWORKS:
        for device in ("cpu", "cuda"):
            row = partial(Row, "hour", network=name, device=device)
            if not is_there(device):
                yield row("relevance signal", note=NO_CUDA)
                continue
            torch.set_num_threads(1)
            net = relviz.load(name).to(device)
            wave = np.random.default_rng(0).standard_normal(round(3600 * share * RATE))
            done, paces, ends = 0, [], [time.perf_counter()]
            blocks = relevance_blocks(net, wave.astype(np.float32), HOP, target=0, progress=False)
            for _, block in blocks:
                ends.append(time.perf_counter())
                paces.append((ends[-1] - ends[-2]) * RATE / len(block))
                done += len(block)
                if ends[-1] - ends[0] > most:
                    break
            yield row(
                "relevance signal",
                ratio=middle(1 / np.array(paces)),
                of="speech / time",
                value=middle(3600 * np.array(paces)),
                unit="s",
                rounds=len(paces),
                note=f"extrapolated from {done / RATE / 60:.2g} minutes",
            )


KINDS = {
    "products": ("mm", "conv", "linear", "matmul"),
    "sums of what is let through": ("scatter",),
    "maxima and copies": ("aten::", "pool"),
}
"""Kinds of operations, by what their names contain; the first that fits counts."""

BETWEEN = "between operations"
SHARE = "share of the time of relviz guided"


@contextmanager
def _silent() -> Iterator[None]:
    """Lose what the profiler's own library writes to the terminal, whatever it is told."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _seen() -> Iterator[None]:
    """Let torch's profiler see the engine's compiled functions, under their names."""

    def named(name: str, kernel: Callable[..., None]) -> Callable[..., None]:
        def call(*given: Any) -> None:
            with profiler.record_function(name):
                kernel(*given)

        return call

    pool = _kernels.pool
    names = {name: named(name, getattr(_kernels, name)) for name in ("unpool", "scatter")}
    with patch.multiple(_kernels, pool=lambda size: named("pool", pool(size)), **names):
        yield


def profile(small: bool) -> Iterator[Row]:
    """Say which share of a batch's guided relevance goes into which operations."""
    torch.set_num_threads(1)
    for name in NETWORKS:
        net, batch, turns = relviz.load(name), BATCHES[-1], 1 if small else 10
        row = partial(Row, "profile", network=name, batch=batch, rounds=turns)
        x = torch.randn(batch, net.window, generator=torch.Generator().manual_seed(0))
        relviz.relevance(net, x, 0, "guided")
        multiply = large("cpu")
        spent: dict[str, list[float]] = {kind: [] for kind in (*KINDS, BETWEEN)}
        paces, operations = [], 0.0
        for _ in range(turns):
            start = time.perf_counter()
            multiply()
            as_fast = PRODUCTS * 2 * 1024**3 / (time.perf_counter() - start)
            with _silent(), _seen(), profiler.profile(with_flops=True) as seen:
                start = time.perf_counter()
                relviz.relevance(net, x, 0, "guided")
                whole = 1e6 * (time.perf_counter() - start)
            found = dict.fromkeys(spent, 0.0)
            for event in seen.key_averages():
                for kind, parts in KINDS.items():
                    if any(part in event.key for part in parts):
                        found[kind] += event.self_cpu_time_total
                        break
            found[BETWEEN] = max(whole - sum(found.values()), 0.0)
            for kind, microseconds in found.items():
                spent[kind].append(microseconds)
            operations = sum(event.flops or 0 for event in seen.key_averages())
            paces.append(1e6 * operations / found["products"] / as_fast)
        whole_times = np.sum(list(spent.values()), axis=0)
        for kind, times in spent.items():
            yield row(
                kind,
                ratio=middle(np.array(times) / whole_times),
                of=SHARE,
                value=middle(np.array(times) / batch),
                unit="us a window",
            )
        yield row("speed of the products", ratio=middle(np.array(paces)), of="that of a large one")
        share = operations / (products(net) * batch)
        yield row("products that are computed", ratio=middle(np.array([share])), of="all of them")
