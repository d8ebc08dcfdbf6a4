"""relviz.signals: overlap-add by hand, aliasing and its cure, and what is refused."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import relviz
from relviz import attributions, audio, networks, signals
from relviz._errors import ParameterError
from relviz.signals import relevance_signal

RATE = 16000


def tone(samples=6000, frequency=500.0, seed=0):
    noise = 0.01 * np.random.default_rng(seed).standard_normal(samples)
    return np.sin(2 * np.pi * frequency * np.arange(samples) / RATE) + noise


def tiny(window=40, seed=0):
    """A network with stride 6 that hears 40 samples."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Unflatten(1, (1, window)),
        nn.Conv1d(1, 4, 5, 2),
        nn.MaxPool1d(3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * (((window - 5) // 2 + 1) // 3), 3),
    )
    return net.eval()


@pytest.mark.parametrize("normalise", ["window", "utterance", "none"])
@pytest.mark.parametrize("scale", ["rms", "none"])
@pytest.mark.parametrize("centres", [None, (30, 75)])
def test_overlap_add_written_out(normalise, scale, centres):
    net, wave, hop = tiny(), tone(200).astype(np.float32), 7
    found = signals.relevance_signal(
        net, wave, hop, window=40, normalise=normalise, scale=scale, centres=centres, batch_size=5
    )
    x = wave.astype(np.float64)
    if normalise == "utterance":
        x = (x - x.mean()) / x.std()
    total, count = np.zeros(200), np.zeros(200)
    first, last = centres or (0, 199)
    for centre in range(first, last + 1, hop):
        where = np.arange(centre - 20, centre + 20)
        inside = (where >= 0) & (where < 200)
        piece = np.zeros(40)
        piece[inside] = x[where[inside]]
        if normalise == "window":
            piece = (piece - piece.mean()) / piece.std()
        r = attributions.relevance(net, torch.tensor(piece, dtype=torch.float32)[None])[0].numpy()
        r = r.astype(np.float64)
        if scale == "rms":
            r = r / np.sqrt((r**2).mean())
        total[where[inside]] += r[inside]
        count[where[inside]] += 1
    expected = np.divide(total, count, out=np.zeros(200), where=count > 0)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert found.dtype == np.float64 and found.shape == (200,)


def test_one_window_is_the_relevance_of_that_window():
    net, wave = networks.build(networks.PHONE_CNN, classes=5, seed=0), tone().astype(np.float32)
    found = signals.relevance_signal(
        net, wave, centres=(3000, 3000), normalise="none", scale="none", method="gradient", target=2
    )
    expected = attributions.relevance(net, torch.tensor(wave[1000:5000]), 2, "gradient").numpy()
    np.testing.assert_allclose(found[1000:5000], expected, rtol=1e-5, atol=1e-9)
    assert not found[:1000].any() and not found[5000:].any()


def images(signal, step=10):
    """Share of a signal's energy near the images of 500 Hz around multiples of RATE / step."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    frequencies = np.fft.rfftfreq(len(signal), 1 / RATE)
    centres = [k * RATE / step + side * 500 for k in range(1, 5) for side in (-1, 1)]
    near = np.any([np.abs(frequencies - centre) < 20 for centre in centres], axis=0)
    return spectrum[near].sum() / spectrum.sum()


def test_a_coprime_hop_cancels_the_images_of_the_stride():
    net, wave = networks.build(networks.PHONE_CNN, classes=5, seed=0), tone(9000)
    with pytest.warns(UserWarning, match="hop_length 160 shares the factor 10 .* stride of 270"):
        aliased = signals.relevance_signal(net, wave, 160, centres=(3000, 6000))[3000:6000]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clean = signals.relevance_signal(net, wave, 97, centres=(3000, 6000))[3000:6000]
    assert images(aliased) > 20 * images(clean)


def test_the_warning_comes_once():
    net, wave = tiny(), tone(200)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            signals.relevance_signal(net, wave, 4, window=40)
    assert len([w for w in caught if "aliasing" in str(w.message)]) == 1


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (networks.build(networks.PHONE_CNN, classes=2), 270),
        (networks.build(networks.SPEAKER_CNN, classes=2), 90),
        (tiny(), 6),
        (nn.Sequential(nn.Conv2d(1, 1, (5, 1), (4, 1)), nn.MaxPool2d((2, 1))), 8),
        (lambda x: x, 1),
    ],
)
def test_total_stride(net, expected):
    assert signals.stride(net) == expected


def test_a_dead_network_gives_zeros():
    net = tiny()
    nn.init.zeros_(net[1].weight)
    nn.init.constant_(net[1].bias, -1.0)
    assert not signals.relevance_signal(net, tone(200), window=40).any()


def test_dtype_of_the_network_is_kept():
    wave = tone(200)
    single = signals.relevance_signal(tiny(), wave, window=40)
    double = signals.relevance_signal(tiny().double(), wave, window=40)
    np.testing.assert_allclose(single, double, atol=1e-4)


def test_a_single_window_has_no_hop_to_warn_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        signals.relevance_signal(tiny(), tone(200), 6, window=40, centres=(50, 50))


def test_silence_inside_an_utterance_stays_finite():
    wave = tone(300)
    wave[100:200] = 0.25
    assert np.isfinite(signals.relevance_signal(tiny(), wave, 1, window=40)).all()


def test_progress_bar(capsys):
    signals.relevance_signal(tiny(), tone(200), window=40, progress=True)
    assert "relevance" in capsys.readouterr().err
    signals.relevance_signal(tiny(), tone(200), window=40, progress=False)
    signals.relevance_signal(tiny(), tone(200), window=40)
    assert capsys.readouterr().err == ""


def ticking(monkeypatch, *lasting):
    """A clock by which the first trial lasts so long, the second, and so on; then none is left."""
    ticks = iter(np.repeat(np.cumsum([0.0, *lasting]), 2)[1:-1].tolist())
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: next(ticks)))


def test_a_call_that_will_last_says_so_before_it_starts(monkeypatch, capsys):
    """A few windows of noise tell: the first of them may be slow as it is the first."""
    last = dict(hop_length=1, window=40, batch_size=10)
    wave = tone(211)
    ticking(monkeypatch, 4.0, 0.05, 0.1, 0.2, 0.4, 0.8)  # 0.05 s a window, in ever larger trials
    signals.relevance_signal(tiny(), wave, **last)
    assert "relevance, about 11 s" in capsys.readouterr().err
    ticking(monkeypatch, 4.0, 0.05)
    quiet = signals.relevance_signal(tiny(), wave[:191], **last)
    assert capsys.readouterr().err == ""
    assert quiet.shape == (191,)
    ticking(monkeypatch, 6.0, 6.0)
    signals.relevance_signal(tiny(), wave[:191], **last)
    assert "relevance, about 19 min" in capsys.readouterr().err
    ticking(monkeypatch)
    signals.relevance_signal(tiny(), wave, progress=False, **last)  # nobody asks
    signals.relevance_signal(tiny(), wave, centres=(0, 7), **last)  # few windows
    assert capsys.readouterr().err == ""
    ticking(monkeypatch, 6.0)
    with pytest.raises(KeyboardInterrupt):
        signals.relevance_signal(stopped, wave, **last)


def stopped(windows):
    raise KeyboardInterrupt


def test_any_other_method_is_overlap_added_alike():
    """An attribution written elsewhere, here the plain gradient, is given windows and target."""
    asked = []

    def mine(net, windows, target):
        asked.append((windows.shape, target))
        leaf = windows.clone().requires_grad_()
        net(leaf)[:, target].sum().backward()
        return leaf.grad

    call = dict(net=tiny(), wave=tone(200), window=40, target=2, batch_size=2)
    found = signals.relevance_signal(method=mine, **call)
    np.testing.assert_allclose(
        found, signals.relevance_signal(method="gradient", **call), atol=1e-12
    )
    assert asked == [((2, 40), 2), ((1, 40), 2)]


def test_a_method_that_changes_the_shape_is_refused():
    message = r"relevance of shape \(3,\) for x of shape \(3, 40\): it must keep the shape"
    with pytest.raises(ValueError, match=message):
        signals.relevance_signal(
            tiny(), tone(200), window=40, method=lambda net, windows, target: windows.sum(-1)
        )


REFUSED = {
    "the waveform has 30 samples, fewer than the 40": dict(wave=tone(30)),
    "the waveform is silent": dict(wave=np.zeros(200)),
    "the waveform holds 200 samples that are NaN": dict(wave=np.full(200, np.nan)),
    "hop_length is 0: give a whole number of samples": dict(hop_length=0),
    "hop_length is 1.5: give a whole number": dict(hop_length=1.5),
    "normalise 'all' is unknown: use window, utterance or none": dict(normalise="all"),
    "batch_size is 0: give 1 window or more": dict(batch_size=0),
    "scale 'max' is unknown: use rms or none": dict(scale="max"),
    "target is a tensor: give one class": dict(target=torch.ones(3)),
    r"centres \(50, 20\) do not lie in order": dict(centres=(50, 20)),
    r"centres \(0, 200\) do not lie in order within the 200": dict(centres=(0, 200)),
    "does not say how many samples it hears: pass window=": dict(window=None),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_right_is_refused(message):
    call = dict(wave=tone(200), window=40) | REFUSED[message]
    with pytest.raises(ValueError, match=message) as refusal:
        signals.relevance_signal(tiny(), call.pop("wave"), **call)
    assert isinstance(refusal.value, audio.AudioError) == message.startswith("the waveform")


class Says:
    """A network that says its rate in one of the two ways."""

    window = 400

    def __init__(self, **says):
        self.__dict__ |= says

    def __call__(self, x):
        return torch.stack([x.square().relu().sum(-1), x.relu().sum(-1)], -1)


def test_a_wave_at_another_rate_than_the_networks_is_refused():
    wave = np.random.default_rng(0).standard_normal(2000)
    net = relviz.load("phones")
    with pytest.raises(ParameterError) as refused:
        relevance_signal(net, np.tile(wave, 4), sample_rate=44100)
    assert str(refused.value) == (
        "the wave has 44100 samples a second, and the network hears at 16000 Hz: resample the wave "
        "(relviz.audio.resample)."
    )
    said = relevance_signal(Says(sample_rate=8000), wave, sample_rate=8000)
    np.testing.assert_array_equal(said, relevance_signal(Says(), wave))
    relevance_signal(Says(metadata=SimpleNamespace(sample_rate=44100)), wave, sample_rate=44100)


def test_what_a_network_says_of_itself_counts_and_what_only_bears_the_name_does_not():
    wave = np.random.default_rng(0).standard_normal(2000) + 0.5
    plain = relevance_signal(Says(), wave, normalise="none", method="gradient")
    window = relevance_signal(Says(), wave, method="gradient")
    assert not np.allclose(plain, window)
    says = Says(normalise="none")
    np.testing.assert_array_equal(relevance_signal(says, wave, method="gradient"), plain)
    layer = Says(normalise=nn.LayerNorm(400))
    np.testing.assert_array_equal(relevance_signal(layer, wave, method="gradient"), window)
    for length in (400.0, np.int64(400), torch.tensor(400)):
        found = relevance_signal(Says(window=length), wave, method="gradient")
        np.testing.assert_array_equal(found, window)
    for length in (torch.hann_window(400), np.hanning(400), True, 400.5, -400, np.inf, "400"):
        with pytest.raises(ParameterError, match="does not say how many samples it hears"):
            relevance_signal(Says(window=length), wave)
    assert signals.network_rate(Says(sample_rate=torch.tensor(8000.0))) == 8000
    with pytest.raises(ParameterError, match="sample_rate is '8k': set it to a whole number of Hz"):
        signals.network_rate(Says(sample_rate="8k"))


def test_a_network_in_data_parallel_says_the_same():
    net = nn.DataParallel(tiny())
    net.module.window, net.module.sample_rate, net.module.normalise = 40, 8000, "none"
    assert signals.network_rate(net) == 8000
    np.testing.assert_array_equal(
        relevance_signal(net, tone(200)), relevance_signal(net.module, tone(200))
    )


@pytest.mark.parametrize("normalise", ["window", "utterance", "none"])
def test_a_word_that_is_shorter_than_the_window_stands_between_zeros(normalise):
    net, wave = tiny(), tone(30) + 0.2
    found = relevance_signal(net, wave, window=40, centres=(3, 28), normalise=normalise)
    heard = (wave - wave.mean()) / wave.std() if normalise == "utterance" else wave
    long = np.pad(heard, 40)
    how = "none" if normalise == "utterance" else normalise
    right = relevance_signal(net, long, window=40, centres=(43, 68), normalise=how)
    np.testing.assert_allclose(found, right[40:70], atol=1e-6)


def test_a_network_that_does_not_say_its_rate_is_taken_to_hear_at_16_khz_aloud():
    wave = np.random.default_rng(0).standard_normal(2000)
    relevance_signal(Says(), wave, sample_rate=16000)
    with pytest.raises(ParameterError, match="does not say its rate, so that 16000 Hz is taken"):
        relevance_signal(Says(), wave, sample_rate=8000)


def test_no_bar_where_tqdms_own_variable_says_so(monkeypatch, capsys):
    """tqdm looks at it once, when it is imported, and its bar for notebooks never."""
    net = relviz.load("cues-F1")
    wave = np.random.default_rng(0).standard_normal(6000)
    relviz.relevance_signal(net, wave, 497, progress=True)
    assert "window" in capsys.readouterr().err
    monkeypatch.setenv("TQDM_DISABLE", "1")
    relviz.relevance_signal(net, wave, 497, progress=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shape", [(64, 8000), (3, 5, 4000), (7,), (33_000, 3), (0, 8), (2, 0)])
def test_windows_standardised_together_are_those_standardised_alone(shape):
    """However many fit a processor's cache; against numpy in float64."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 100
    found = signals.standardise(x)
    assert found.shape == x.shape and found.dtype == x.dtype
    if x.numel():
        rows = x.double().numpy()
        right = (rows - rows.mean(-1, keepdims=True)) / rows.std(-1, keepdims=True)
        np.testing.assert_allclose(found, right, rtol=1e-6, atol=1e-6)
        leaf = x.clone().requires_grad_()
        again = signals.standardise(leaf)
        assert again.requires_grad and torch.equal(again, found)
    if x.ndim == 2 and x.numel():
        assert torch.equal(signals.standardise(x[:, ::2]), signals.standardise(x[:, ::2].clone()))


@pytest.mark.parametrize("starts", [[0, 97, 194], [-15, 40], [190, 3, 3]])
def test_windows_that_a_device_cuts_are_the_same(starts):
    wave = tone(200).astype(np.float32)
    places = np.array(starts, dtype=np.int64)
    found = signals._cut_there(signals._Heard(wave), places, 40, torch.device("cpu"))
    assert np.array_equal(found.numpy(), audio.frame(wave, 40, places))


@pytest.mark.parametrize("method", ["guided", "gradient", "deconvnet"])
@pytest.mark.parametrize("target", [None, 2])
def test_a_gpu_is_asked_nothing_before_the_end(monkeypatch, method, target):
    """By torch's meta device, which has no numbers: whoever asks it for one has an error."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: False)  # of meta it knows none
    ends = []

    def mean(total, *_):
        ends.append(total.device.type)
        return np.zeros(len(total))

    monkeypatch.setattr(signals, "_mean", mean)
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0).to("meta")
    relevance_signal(net, tone(20000), target=target, method=method, progress=False)
    assert ends == ["meta"]
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        relviz.relevance(net, torch.zeros(2, 4000, device="meta"), target, method)


@pytest.mark.parametrize("method", ["guided", "gradient", "deconvnet"])
@pytest.mark.parametrize("target", [None, 2])
def test_what_is_queued_is_what_is_waited_for(method, target):
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0)
    x = torch.randn(40, 4000, generator=torch.Generator().manual_seed(0))
    found = signals._queued(net, x, target, method)
    assert torch.equal(found, relviz.relevance(net, x, target, method))
    assert signals._queued(net, x, target, "gradcam") is None
    assert signals._queued(net, x, lambda scores: scores.sum(-1), method) is None
    assert signals._queued(tiny(), x, target, method) is None


@pytest.mark.parametrize("part", [0, -3, -1])
def test_a_score_that_is_no_number_is_refused_when_the_sums_are_known(monkeypatch, part):
    """Biases, of which the way back would know nothing."""
    monkeypatch.setattr(signals, "_relevance", signals._queued)
    net = networks.build(networks.PHONE_CNN, classes=4, seed=0)
    signal = relevance_signal(net, tone(), target=1, progress=False)
    assert np.isfinite(signal).all() and signal.any()
    biases = [each for name, each in net.named_parameters() if name.endswith("bias")]
    with torch.no_grad():
        biases[part][:] = torch.nan
    with pytest.raises(ParameterError, match="score or its relevance is NaN or infinite: look at"):
        relevance_signal(net, tone(), target=1, progress=False)
