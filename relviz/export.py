"""Networks for other runtimes: forward and guided backward as one ONNX graph.

ONNX knows no autograd, so the way back is written out layer by layer: a convolution goes back by
its transpose, a pooling to the places that won, a rectifier by the guided rule of
`relviz.backprop`. Any runtime of ONNX then gives probabilities and relevance, a browser's too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from relviz._extras import require
from relviz.networks import Architecture, RawWaveformCNN, geometry

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = [
    "IR",
    "OPSET",
    "forward_graph",
    "guided_graph",
    "rules_graph",
]

OPSET, IR = 17, 8
"""Versions of ONNX's operators and of its file, of 2022: no runtime in use is too old for them."""


def forward_graph(net: RawWaveformCNN) -> ModelProto:
    """Return a graph that gives a network's probabilities, and not what they are made of.

    Parameters
    ----------
    net : RawWaveformCNN
        As in `guided_graph`.

    Returns
    -------
    onnx.ModelProto
        Of the inputs and outputs of `guided_graph` all but `relevance`.

    Raises
    ------
    MissingExtraError
        Without onnx.

    Notes
    -----
    The explorer *Turn one knob* hears with such graphs.

    Examples
    --------
    >>> import relviz
    >>> model = forward_graph(relviz.load("phones"))
    >>> [output.name for output in model.graph.output]
    ['probabilities', 'winner']
    """
    require("onnx")
    graph = _Graph()
    _forward(graph, net)
    return _checked(graph, net, relevance=False)


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
    Chapter 13 of the book explains it; `rules_graph` is what the page Live hears with.

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
    graph = _Graph()
    way = _forward(graph, net)
    _backward(graph, net, way)
    return _checked(graph, net, relevance=True)


def rules_graph(net: RawWaveformCNN) -> ModelProto:
    """Return a graph like `guided_graph` of which one chooses the rule at each call.

    Parameters
    ----------
    net : RawWaveformCNN
        As in `guided_graph`.

    Returns
    -------
    onnx.ModelProto
        Of the inputs and outputs of `guided_graph` all, and the input `least` () float32: no
        gradient below it passes a rectifier. With 0 the relevance is guided backpropagation's, with
        the lowest of all float32 the plain gradient's.

    Raises
    ------
    MissingExtraError
        Without onnx.

    Notes
    -----
    The page Live of the book hears with such graphs.

    Examples
    --------
    >>> import relviz
    >>> model = rules_graph(relviz.load("phones"))
    >>> [value.name for value in model.graph.input]
    ['windows', 'least']
    """
    require("onnx")
    graph = _Graph(least="least")
    way = _forward(graph, net)
    _backward(graph, net, way)
    return _checked(graph, net, relevance=True)


@dataclass(frozen=True)
class _Way:
    """What the way forward leaves for the way back: names of a graph's values.

    layers: kernel, stride, places of the pooling's winners, and what left the rectifier, of each.
    """

    layers: list[tuple[str, dict[str, Any], str, str]]
    hidden: str
    units: str
    classes: str


def _heard(architecture: Architecture) -> int:
    """Samples of the window that reach the last layer.

    Strides and poolings leave a few at the end unheard. Without these every layer comes out even,
    so each step back gives exactly the length that its step forward took.
    """
    last = geometry(architecture)[-1]
    return last.receptive_field + (last.length - 1) * last.step


def _pool(architecture: Architecture) -> dict[str, Any]:
    return {"kernel_shape": [architecture.pool], "strides": [architecture.pool]}


def _forward(graph: _Graph, net: RawWaveformCNN) -> _Way:
    """Add the way from `windows` to `probabilities` and `winner`."""
    heard, pool = _heard(net.architecture), _pool(net.architecture)
    x = graph.add("Slice", "windows", graph.whole(0), graph.whole(heard), graph.whole(1))
    x = graph.add("Unsqueeze", x, graph.whole(1))
    layers: list[tuple[str, dict[str, Any], str, str]] = []
    for layer in net.features:
        if isinstance(layer, nn.Conv1d):
            assert layer.bias is not None
            kernel = graph.weight(layer.weight)
            slide: dict[str, Any] = {"strides": list(layer.stride)}
            x = graph.add("Conv", x, kernel, graph.weight(layer.bias), **slide)
            won, places = graph.add("MaxPool", x, outputs=2, **pool)
            x = graph.add("Relu", won)
            layers.append((kernel, slide, places, x))
    flat = graph.add("Flatten", x)
    first, _, second = net.classifier
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    units, classes = graph.weight(first.weight), graph.weight(second.weight)
    hidden = graph.add("Relu", graph.add("Gemm", flat, units, graph.weight(first.bias), transB=1))
    scores = graph.add("Gemm", hidden, classes, graph.weight(second.bias), transB=1)
    graph.add("Softmax", scores, name="probabilities", axis=-1)
    graph.add("ArgMax", scores, name="winner", axis=-1, keepdims=0)
    return _Way(layers, hidden, units, classes)


def _backward(graph: _Graph, net: RawWaveformCNN, way: _Way) -> None:
    """Add the way back from the winner's score to `relevance`."""
    architecture, last = net.architecture, geometry(net.architecture)[-1]
    g = graph.rectified(graph.add("Gather", way.classes, "winner"), way.hidden)
    g = graph.add("MatMul", g, way.units)
    g = graph.add("Reshape", g, graph.whole(-1, architecture.convs[-1].filters, last.length))
    for kernel, slide, places, after in reversed(way.layers):
        g = graph.add("MaxUnpool", graph.rectified(g, after), places, **_pool(architecture))
        g = graph.add("ConvTranspose", g, kernel, **slide)
    g = graph.add("Squeeze", g, graph.whole(1))
    unheard = net.window - _heard(architecture)
    graph.add("Pad", g, graph.whole(0, 0, 0, unheard), name="relevance")


def _checked(graph: _Graph, net: RawWaveformCNN, relevance: bool) -> ModelProto:
    """Return the model of what was added, with what a trained network says of itself."""
    from onnx import checker, helper

    classes = net.classifier[-1].out_features
    assert isinstance(classes, int)
    model = graph.model(net.window, classes, relevance)
    metadata = getattr(net, "metadata", None)
    if metadata is not None:
        about = {
            "classes": metadata.classes,
            "normalise": metadata.normalise,
            "window": net.window,
        }
        helper.set_model_props(model, {name: json.dumps(value) for name, value in about.items()})
    checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants in the making, each named by its number."""

    def __init__(self, least: str = "") -> None:
        self.least = least  # the name of an input, on which the rule hangs
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

    def rectified(self, gradient: str, after: str) -> str:
        """Pass a gradient through a ReLU: where what left the ReLU is above 0, and it enough."""
        passed = self.add("Max", gradient, self.least) if self.least else self.add("Relu", gradient)
        return self.add("Mul", passed, self.add("Sign", after))

    def model(self, window: int, classes: int, relevance: bool) -> ModelProto:
        """Return the model of what was added."""
        from onnx import TensorProto, helper

        def value(name: str, kind: int, *shape: int | str) -> Any:
            return helper.make_tensor_value_info(name, kind, shape)

        outputs = [
            value("probabilities", TensorProto.FLOAT, "N", classes),
            value("winner", TensorProto.INT64, "N"),
        ]
        if relevance:
            outputs.append(value("relevance", TensorProto.FLOAT, "N", window))
        inputs = [value("windows", TensorProto.FLOAT, "N", window)]
        if self.least:
            inputs.append(value(self.least, TensorProto.FLOAT))
        graph = helper.make_graph(
            self._nodes,
            "guided" if relevance else "forward",
            inputs,
            outputs,
            self._constants,
        )
        versions = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, producer_name="relviz", opset_imports=versions, ir_version=IR
        )
