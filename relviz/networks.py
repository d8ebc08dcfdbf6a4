"""The paper's networks: Table 1 as data, the module built from it, its geometry.

Muckenhirn et al. (2019), section 4.1 and Table 1: each convolution is followed by max-pooling of
width and shift 3 and then by a ReLU; a fully connected layer and a linear output follow. The
softmax is left to the loss, as section 3.2 discards it before taking gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Integral
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from relviz._errors import ParameterError
from relviz._layers import of_itself, said
from relviz.audio import SAMPLE_RATE

__all__ = [
    "PHONE_CNN",
    "SPEAKER_CNN",
    "Architecture",
    "ChannelsLast",
    "Conv",
    "Described",
    "Layer",
    "RawWaveformCNN",
    "Until",
    "build",
    "geometry",
]


@dataclass(frozen=True)
class Conv:
    """One convolution of Table 1.

    Parameters
    ----------
    filters : int
        n_f, how many.
    kernel_size : int
        kW, in positions of its input.
    stride : int
        dW, in positions of its input.

    Notes
    -----
    Explained in chapter 1 of the book.

    Examples
    --------
    >>> Conv(filters=80, kernel_size=30, stride=10)
    Conv(filters=80, kernel_size=30, stride=10)
    """

    filters: int
    kernel_size: int
    stride: int

    def __post_init__(self) -> None:
        _whole(self, "filters", "kernel_size", "stride")


@dataclass(frozen=True)
class Architecture:
    """A row of Table 1.

    Parameters
    ----------
    convs : tuple of Conv
        The convolutions, first to last.
    hidden : int
        Units of the fully connected layer (n_hu).
    window : int
        Input length w_seq, samples at 16 kHz.
    pool : int
        Width and shift of every max-pooling.

    Notes
    -----
    Explained in chapter 1 of the book.

    Examples
    --------
    >>> PHONE_CNN.window, len(PHONE_CNN.convs), PHONE_CNN.hidden
    (4000, 3, 1024)
    """

    convs: tuple[Conv, ...]
    hidden: int
    window: int
    pool: int = 3

    def __post_init__(self) -> None:
        _whole(self, "hidden", "window", "pool")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Architecture:
        """Make an architecture of what `dataclasses.asdict` made of one, through JSON or not.

        Parameters
        ----------
        fields : mapping
            Its fields, each convolution a mapping as well.

        Returns
        -------
        Architecture
            Equal to the one that was written.

        Examples
        --------
        >>> from dataclasses import asdict
        >>> Architecture.from_dict(asdict(SPEAKER_CNN)) == SPEAKER_CNN
        True
        """
        convs = tuple(Conv(**conv) for conv in fields["convs"])
        return cls(**{**fields, "convs": convs})


def _whole(shape: Conv | Architecture, *names: str) -> None:
    """Refuse what is no whole number above 0; numpy's become Python's, which JSON knows."""
    for name in names:
        value = getattr(shape, name)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ParameterError(f"{name} is {value!r}: give a whole number of 1 or more.")
        object.__setattr__(shape, name, int(value))


PHONE_CNN = Architecture(
    convs=(Conv(80, 30, 10), Conv(60, 7, 1), Conv(60, 7, 1)),
    hidden=1024,
    window=int(0.250 * SAMPLE_RATE),
)
"""Phone classification: 250 ms of input (section 4.1)."""

SPEAKER_CNN = Architecture(
    convs=(Conv(80, 30, 10), Conv(80, 10, 1)),
    hidden=100,
    window=int(0.500 * SAMPLE_RATE),
)
"""Speaker identification. The paper gives no length for this network, only that inputs "usually
span 250 - 500 ms" (section 3.2); the phone network has 250 ms, so this one takes 500 ms."""


@dataclass(frozen=True)
class Layer:
    """What one layer sees of the input; all in samples, except `length`.

    Parameters
    ----------
    name : str
        Such as "conv1" or "pool1".
    kernel_size, stride : int
        In positions of its input.
    length : int
        Its output positions.
    receptive_field : int
        Input samples that one output sees.
    step : int
        Samples that this field moves between neighbouring outputs.

    Notes
    -----
    Explained in chapter 1 of the book.

    Examples
    --------
    >>> geometry(PHONE_CNN)[0].milliseconds
    1.875
    """

    name: str
    kernel_size: int
    stride: int
    length: int
    receptive_field: int
    step: int

    @property
    def milliseconds(self) -> float:
        """The receptive field in ms at 16 kHz."""
        return 1000 * self.receptive_field / SAMPLE_RATE


def geometry(architecture: Architecture) -> tuple[Layer, ...]:
    """Return receptive field, step and length of every layer that slides over time.

    Parameters
    ----------
    architecture : Architecture
        A row of Table 1, or one of your own.

    Returns
    -------
    tuple of Layer
        First to last. `receptive_field` is how many input samples one output sees, `step` how far
        that field moves between neighbouring outputs (the product of the strides so far).

    Raises
    ------
    ParameterError
        If the window is too short for the layers.

    Notes
    -----
    Explained in chapter 1 of the book.

    Examples
    --------
    >>> [(each.name, each.receptive_field, each.step) for each in geometry(SPEAKER_CNN)]
    [('conv1', 30, 10), ('pool1', 50, 30), ('conv2', 320, 30), ('pool2', 380, 90)]
    """
    layers = []
    length, field, step = architecture.window, 1, 1
    for i, conv in enumerate(architecture.convs, start=1):
        for name, kernel_size, stride in (
            (f"conv{i}", conv.kernel_size, conv.stride),
            (f"pool{i}", architecture.pool, architecture.pool),
        ):
            if length < kernel_size:
                raise ParameterError(
                    f"a window of {architecture.window} samples leaves {length} for {name}, whose "
                    f"kernel needs {kernel_size}: lengthen the window or drop a layer."
                )
            length = (length - kernel_size) // stride + 1
            field += (kernel_size - 1) * step
            step *= stride
            layers.append(Layer(name, kernel_size, stride, length, field, step))
    return tuple(layers)


class ChannelsLast(nn.Conv1d):
    """`nn.Conv1d` computed with channels last: backward takes about half the time on a CPU.

    The first layer of a raw-waveform network is a product of frames and kernels (figure 1 of the
    paper), and is computed as one. No padding, dilation or groups; everything else is as in
    `torch.nn.Conv1d`. Measured by benchmarks/training.py.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, bias, device, dtype
        As in `torch.nn.Conv1d`.
    padding, dilation, groups, padding_mode
        Left alone.

    Examples
    --------
    >>> ChannelsLast(1, 80, 30, 10)(torch.zeros(2, 1, 4000)).shape
    torch.Size([2, 80, 398])
    """

    _quiet = True

    def forward(self, x: Tensor) -> Tensor:
        if self.in_channels == 1:
            frames = x[:, 0].unfold(-1, self.kernel_size[0], self.stride[0])
            return F.linear(frames, self.weight[:, 0], self.bias).transpose(1, 2)
        kernels = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        return F.conv2d(x.unsqueeze(2), kernels, self.bias, (1, self.stride[0])).squeeze(2)


class RawWaveformCNN(nn.Module):
    """The network of an `Architecture`: (..., window) samples to (..., classes) scores.

    Any leading shape is allowed, (window,) too.

    Parameters
    ----------
    architecture : Architecture
        A row of Table 1, or one of your own.
    classes : int
        How many scores.

    Raises
    ------
    ParameterError
        Where the window is too short for the layers; and, called, for another window length.

    Notes
    -----
    Explained in chapter 1 of the book.

    Examples
    --------
    >>> net = RawWaveformCNN(PHONE_CNN, classes=40)
    >>> net(torch.zeros(2, 3, 4000)).shape
    torch.Size([2, 3, 40])
    """

    _quiet = True  # a call draws nothing and moves nothing, so relevance need not watch it

    def __init__(self, architecture: Architecture, classes: int) -> None:
        super().__init__()
        self.architecture = architecture
        stages: list[nn.Module] = []
        channels = 1
        for conv in architecture.convs:
            stages += [
                ChannelsLast(channels, conv.filters, conv.kernel_size, conv.stride),
                nn.MaxPool1d(architecture.pool),
                nn.ReLU(),
            ]
            channels = conv.filters
        self.features = nn.Sequential(*stages, nn.Flatten())
        self.classifier = nn.Sequential(
            nn.Linear(channels * geometry(architecture)[-1].length, architecture.hidden),
            nn.ReLU(),
            nn.Linear(architecture.hidden, classes),
        )

    @property
    def window(self) -> int:
        """Input length w_seq, in samples."""
        return self.architecture.window

    @property
    def filters(self) -> Tensor:
        """First-layer kernels f_k, (n_f, kW), detached."""
        first = self.features[0]
        assert isinstance(first, nn.Conv1d)
        return first.weight.detach()[:, 0, :]

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 0 or x.shape[-1] != self.window:
            raise ParameterError(
                f"this network hears windows of {self.window} samples, not {tuple(x.shape)}: cut "
                "the recording with relviz.audio.frame or use relviz.relevance_signal."
            )
        batch = x.shape[:-1]
        scores = self.classifier(self.features(x.reshape(prod(batch), 1, self.window)))
        return scores.reshape(*batch, -1)


class Until(nn.Module):
    """A network up to one of its layers, as a network of its own: what that layer says.

    Parameters
    ----------
    net : nn.Module
        Any network; its weights are shared, and it is left as it is.
    layer : str
        A name out of `net.named_modules()`, such as "features.3"; for a `RawWaveformCNN` also
        "conv1", "relu1" (after pooling and ReLU), "conv2", ..., "hidden" (after its ReLU) or
        "scores".

    Attributes
    ----------
    window : int or None
        Input length that the network says it hears, in samples.

    Raises
    ------
    ParameterError
        For a layer that the network does not have.

    Notes
    -----
    What a hidden unit listens to is the relevance for a target that picks it from what its layer
    says, as in `relviz.relevance(Until(net, "relu2"), x, lambda said: said[..., 7, 3])`. Leading
    dimensions of a `RawWaveformCNN`'s input are kept: (..., window) samples to (..., channels,
    positions) for layers that slide over time, (..., units) for "hidden" and "scores". Explained in
    chapter 11 of the book.

    Examples
    --------
    >>> import torch
    >>> from relviz import networks
    >>> net = networks.build(networks.PHONE_CNN, classes=40, seed=0)
    >>> networks.Until(net, "relu1")(torch.zeros(2, net.window)).shape
    torch.Size([2, 80, 132])
    """

    def __init__(self, net: nn.Module, layer: str) -> None:
        super().__init__()
        self.net = net
        self.window: int | None = getattr(net, "window", None)
        self.layer = _aliases(net).get(layer, layer)
        names = [name for name, _ in net.named_modules() if name]
        if self.layer not in names:
            raise ParameterError(
                f"there is no layer {layer!r}: use one of {', '.join([*_aliases(net), *names])}."
            )
        self.train(net.training)

    def forward(self, *inputs: Tensor) -> Tensor:
        found = said(self.net, self.layer, *inputs)
        if isinstance(self.net, RawWaveformCNN):  # its layers know one leading dimension
            return found.reshape(*inputs[0].shape[:-1], *found.shape[1:])
        return found


class Described(nn.Module):
    """Any network as relviz asks it: (batch, samples) to scores; and what it does not say itself.

    For a network whose attributes cannot be set, that takes (batch, 1, samples), or that returns
    more than scores.

    Parameters
    ----------
    net : callable
        Its weights are shared, and it is left as it is.
    sample_rate : int, optional
        At which it hears, in Hz; default, what it says in `metadata.sample_rate` or `sample_rate`.
    window : int, optional
        Samples it hears; default, what it says alike.
    normalise : {"window", "utterance", "none"}, optional
        As in `relviz.relevance_signal`; default, what it says alike.
    classes : sequence of str, optional
        Names of its scores; default, what it says alike.
    channel : bool
        Give it (batch, 1, samples).
    scores : callable, optional
        Takes what it returns, such as a tuple, to scores.

    Examples
    --------
    >>> inner = nn.Sequential(nn.Conv1d(1, 3, 400), nn.Flatten())
    >>> net = Described(inner, sample_rate=8000, window=400, channel=True)
    >>> net(torch.zeros(2, 400)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        net: Callable[..., Any],
        *,
        sample_rate: int | None = None,
        window: int | None = None,
        normalise: str | None = None,
        classes: Sequence[str] | None = None,
        channel: bool = False,
        scores: Callable[[Any], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.net, self.channel, self.scores = net, channel, scores
        given = dict(sample_rate=sample_rate, window=window, normalise=normalise, classes=classes)
        for name, value in given.items():
            setattr(self, name, of_itself(net, name) if value is None else value)
        self.training = getattr(net, "training", False)

    def forward(self, x: Tensor) -> Any:
        found = self.net(x.unsqueeze(-2) if self.channel else x)
        return found if self.scores is None else self.scores(found)


def _aliases(net: nn.Module) -> dict[str, str]:
    """The names that Table 1 gives to layers of a `RawWaveformCNN`."""
    if not isinstance(net, RawWaveformCNN):
        return {}
    found: dict[str, str] = {}
    for i in range(len(net.architecture.convs)):
        found |= {f"conv{i + 1}": f"features.{3 * i}", f"relu{i + 1}": f"features.{3 * i + 2}"}
    return found | {"hidden": "classifier.1", "scores": "classifier.2"}


def build(architecture: Architecture, classes: int, seed: int | None = None) -> RawWaveformCNN:
    """Build an untrained network in eval mode.

    Parameters
    ----------
    architecture : Architecture
        A row of Table 1, or one of your own.
    classes : int
        How many scores.
    seed : int, optional
        Fixes its weights and nothing else: the global random state is left as it was. The weights
        are torch's defaults.

    Returns
    -------
    RawWaveformCNN
        In eval mode.

    Raises
    ------
    ParameterError
        Where the window is too short for the layers.

    Notes
    -----
    Explained in chapter 1 of the book.

    Examples
    --------
    >>> net = build(SPEAKER_CNN, classes=10, seed=0)
    >>> net.window, net.filters.shape
    (8000, torch.Size([80, 30]))
    """
    if seed is None:
        return RawWaveformCNN(architecture, classes).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RawWaveformCNN(architecture, classes).eval()
