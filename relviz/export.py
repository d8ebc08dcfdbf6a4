"""Networks for other runtimes: forward and guided backward as one ONNX graph.

ONNX knows no autograd, so the way back is written out layer by layer: a convolution goes back by
its transpose, a pooling to the places that won, a rectifier by the guided rule of
`relviz.backprop`. Any runtime of ONNX then gives probabilities and relevance, a browser's too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from relviz._extras import require
from relviz.networks import RawWaveformCNN, geometry

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = [
    "IR",
    "OPSET",
    "guided_graph",
]

OPSET, IR = 17, 8
"""Versions of ONNX's operators and of its file, of 2022: no runtime in use is too old for them."""


def guided_graph(net: RawWaveformCNN) -> ModelProto:
    """Return one graph that gives a network's probabilities and guided relevance.

    Parameters
    ----------
    net : RawWaveformCNN
        Weights that half precision holds exactly, such as the shipped ones, take two bytes each in
        the graph. A trained network's classes and normalisation stand in the model's metadata.

    Returns
    -------
    onnx.ModelProto
        Input: `windows` (N, window) float32, standardised as in the network's training; N is free.
        Outputs: `probabilities` (N, classes), the softmax of the scores; `winner` (N,) int64;
        `relevance` (N, window), as `relviz.relevance(net, windows)` gives it.

    Raises
    ------
    MissingExtraError
        Without onnx.

    Notes
    -----
    The page Live of the book, and chapter 12, hear with such graphs.

    References
    ----------
    Muckenhirn et al. (2019), section 3.1.

    Examples
    --------
    >>> import relviz
    >>> model = guided_graph(relviz.load("phones"))
    >>> [output.name for output in model.graph.output]
    ['probabilities', 'winner', 'relevance']
    """
    require("onnx")
    from onnx import checker, helper

    graph = _Graph()
    architecture, last = net.architecture, geometry(net.architecture)[-1]
    window, channels = net.window, architecture.convs[-1].filters
    # Strides and poolings leave a few samples at the end unheard. Without these every layer comes
    # out even, so each step back gives exactly the length that its step forward took.
    heard = last.receptive_field + (last.length - 1) * last.step

    x = graph.add("Slice", "windows", graph.whole(0), graph.whole(heard), graph.whole(1))
    x = graph.add("Unsqueeze", x, graph.whole(1))
    pool: dict[str, Any] = {"kernel_shape": [architecture.pool], "strides": [architecture.pool]}
    way: list[tuple[str, dict[str, Any], str, str]] = []
    for layer in net.features:
        if isinstance(layer, nn.Conv1d):
            assert layer.bias is not None
            kernel = graph.weight(layer.weight)
            slide: dict[str, Any] = {"strides": list(layer.stride)}
            x = graph.add("Conv", x, kernel, graph.weight(layer.bias), **slide)
            won, places = graph.add("MaxPool", x, outputs=2, **pool)
            x = graph.add("Relu", won)
            way.append((kernel, slide, places, x))
    flat = graph.add("Flatten", x)
    first, _, second = net.classifier
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    units, classes = graph.weight(first.weight), graph.weight(second.weight)
    hidden = graph.add("Relu", graph.add("Gemm", flat, units, graph.weight(first.bias), transB=1))
    scores = graph.add("Gemm", hidden, classes, graph.weight(second.bias), transB=1)
    graph.add("Softmax", scores, name="probabilities", axis=-1)
    graph.add("ArgMax", scores, name="winner", axis=-1, keepdims=0)

    g = graph.guided(graph.add("Gather", classes, "winner"), hidden)
    g = graph.add("MatMul", g, units)
    g = graph.add("Reshape", g, graph.whole(-1, channels, last.length))
    for kernel, slide, places, after in reversed(way):
        g = graph.add("MaxUnpool", graph.guided(g, after), places, **pool)
        g = graph.add("ConvTranspose", g, kernel, **slide)
    g = graph.add("Squeeze", g, graph.whole(1))
    graph.add("Pad", g, graph.whole(0, 0, 0, window - heard), name="relevance")

    model = graph.model(window, second.out_features)
    metadata = getattr(net, "metadata", None)
    if metadata is not None:
        about = {"classes": metadata.classes, "normalise": metadata.normalise, "window": window}
        helper.set_model_props(model, {name: json.dumps(value) for name, value in about.items()})
    checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants in the making, each named by its number."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, kind: str, *inputs: str, name: str = "", outputs: int = 1, **how: Any) -> Any:
        """Add a node; returns the name of its output, or a list of them."""
        from onnx import helper

        number = len(self._nodes)
        names = [name] if name else [f"{kind}{number}.{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **how))
        return names[0] if outputs == 1 else names

    def _constant(self, value: Tensor) -> str:
        from onnx import numpy_helper

        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value.numpy(), name))
        return name

    def whole(self, *values: int) -> str:
        """Add whole numbers, such as a shape; returns their name."""
        return self._constant(torch.tensor(values))

    def weight(self, value: Tensor) -> str:
        """Add weights, as halves where that is exact; returns the name of the float32."""
        from onnx import TensorProto

        value = value.detach().cpu().float().contiguous()
        half = value.half()
        if not torch.equal(half.float(), value):
            return self._constant(value)
        return self.add("Cast", self._constant(half), to=TensorProto.FLOAT)

    def guided(self, gradient: str, after: str) -> str:
        """Pass a gradient through a ReLU: where it and what left the ReLU are above 0."""
        return self.add("Mul", self.add("Relu", gradient), self.add("Sign", after))

    def model(self, window: int, classes: int) -> ModelProto:
        """Return the model of what was added."""
        from onnx import TensorProto, helper

        def value(name: str, kind: int, *shape: int | str) -> Any:
            return helper.make_tensor_value_info(name, kind, shape)

        graph = helper.make_graph(
            self._nodes,
            "guided",
            [value("windows", TensorProto.FLOAT, "N", window)],
            [
                value("probabilities", TensorProto.FLOAT, "N", classes),
                value("winner", TensorProto.INT64, "N"),
                value("relevance", TensorProto.FLOAT, "N", window),
            ],
            self._constants,
        )
        versions = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, producer_name="relviz", opset_imports=versions, ir_version=IR
        )
