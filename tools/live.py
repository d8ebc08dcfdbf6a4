"""Write the networks that explorers run in their reader's browser: _build/assets/live.

    python tools/live.py

Those of the page Live find relevance, too; those that only *Turn one knob* asks just decide. Each
graph is held against torch on ten windows of synthetic vowels before it is written; what was
written from the same weights and code stays as it is.
"""

import copy
import hashlib
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import relviz
from relviz import audio, export, networks, pretrained
from relviz.attributions import Method
from relviz.corpora import synthetic
from relviz.widgets import knob, live

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "assets" / "live"
MARK = ROOT / "_build" / "live.sha256"
NETWORKS = tuple(dict.fromkeys([*live.NETWORKS, *knob.NETWORKS]))
"""All of them, by the names of their files."""

LEAST: dict[Method, float] = {"guided": 0.0, "gradient": float(np.finfo(np.float32).min)}
"""The least gradient that passes a rectifier, by method."""

LIMIT = 1e-4
"""Of the largest relevance: how far a graph may be from torch."""


def windows(net: networks.RawWaveformCNN) -> torch.Tensor:
    """Cut ten windows, standardised, (10, window), from vowels in the noise of a quiet room.

    In one window of a thousand two values of a pooling all but tie, and the order of sums decides
    which wins: torch itself differs there in single and double precision. Such are left out.
    """
    length, found = net.window, []
    for number, (f0, *formants) in enumerate(synthetic.MEANS["F"].values()):
        wave = synthetic.vowel(f0, formants, duration=1.0)
        wave = wave + 1e-3 * np.random.default_rng(number).standard_normal(len(wave))
        frame = audio.frame(wave, length, [1000 + 97 * number])[0]
        found.append((frame - frame.mean()) / frame.std())
    x = torch.tensor(np.array(found), dtype=torch.float32)
    single = relviz.relevance(net, x)
    double = relviz.relevance(copy.deepcopy(net).double(), x.double())
    clear = (single - double).abs().amax(-1) <= LIMIT / 10 * double.abs().amax(-1)
    return x[clear][:10]


def check(name: str, graph: bytes, net: networks.RawWaveformCNN) -> str:
    """Say how well a graph agrees with torch; end the program if it does not."""
    x = windows(net)
    if len(x) < 10:
        sys.exit(f"only {len(x)} windows are clear enough to check {name}.onnx: add vowels.")
    run = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = net(x).softmax(-1).numpy()
    has_rules = any(value.name == "least" for value in run.get_inputs())
    off, apart, said, rest = 0.0, 0.0, "", []
    for method, least in LEAST.items() if has_rules else [("guided", 0.0)]:
        feeds = {"windows": x.numpy()}
        if has_rules:
            feeds["least"] = np.array(least, dtype=np.float32)
        probabilities, winner, *rest = run.run(None, feeds)
        apart = max(apart, float(np.abs(probabilities - expected).max()))
        said = f"its probabilities {apart:.1e} from torch's"
        for relevance in rest:
            truth = relviz.relevance(net, x, method=method).numpy()
            differences = np.abs(relevance - truth).max(axis=1) / np.abs(truth).max(axis=1)
            off = max(off, float(differences.max()))
            said = f"its relevance is {off:.1e} of the maximum and {said}"
    if off > LIMIT or apart > LIMIT or (winner != expected.argmax(1)).any():
        sys.exit(f"{name}.onnx is not the network: {said}; mend relviz/export.py.")
    agreed = f"probabilities within {apart:.0e}"
    return f"relevance within {off:.0e} of its maximum, {agreed}" if rest else agreed


def fingerprint() -> str:
    """Hash what the graphs are made from."""
    digest = hashlib.sha256()
    shipped = [pretrained.SEEDS[name][0] for name in NETWORKS if name != knob.UNTRAINED]
    weights = [pretrained.WEIGHTS / f"{name}.safetensors" for name in shipped]
    sources = [Path(module.__file__ or "") for module in (export, networks, pretrained, knob, live)]
    for path in [*weights, *sources, Path(__file__)]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Write, or say that nothing changed."""
    paths = {name: FOLDER / f"{name}.onnx" for name in NETWORKS}
    made_from = fingerprint()
    whole = all(path.is_file() for path in paths.values())
    if whole and MARK.is_file() and MARK.read_text() == made_from:
        print(f"The networks of the pages are up to date: {FOLDER}")
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    MARK.unlink(missing_ok=True)
    for name, path in paths.items():
        net = knob.network(name)
        graph_of = export.rules_graph if name in live.NETWORKS else export.forward_graph
        graph = graph_of(net).SerializeToString()
        said = check(name, graph, net)
        path.write_bytes(graph)
        print(f"{path}: {len(graph) / 1e6:.2f} MB, {said}")
    MARK.write_text(made_from)


if __name__ == "__main__":
    main()
