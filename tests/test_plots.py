"""relviz.plots: what is drawn is what was given, where it says, in the units it says."""

import base64
import io
import re
import struct
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from relviz import plots


@pytest.fixture(autouse=True)
def agg():
    """Draw without a screen, and leave neither figures nor a changed style behind."""
    plt.switch_backend("agg")
    with plt.rc_context():
        plots.style()
        yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


def labels(axes):
    return axes.get_xlabel(), axes.get_ylabel()


def test_waveform_runs_from_its_start_at_its_rate(ax):
    drawn = plots.waveform([1.0, -2.0, 3.0], 10, ax, start=0.5, label="a", ylabel="Relevance")
    assert drawn is ax
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_xdata(), [0.5, 0.6, 0.7])
    np.testing.assert_array_equal(line.get_ydata(), [1, -2, 3])
    assert line.get_label() == "a"
    assert labels(ax) == ("Time (s)", "Relevance")


def test_blocks_are_as_wide_and_as_far_apart_as_the_first_layer_says(ax):
    drawn = plots.blocks([1.0, -2.0, 0.5, 0.0], 1000, 3, 2, ax, count=2, start=0.01)
    assert drawn is ax
    wave, *bars = ax.get_lines()
    np.testing.assert_allclose(wave.get_xdata(), [10, 11, 12, 13])
    np.testing.assert_array_equal(wave.get_ydata(), [1, -2, 0.5, 0])
    np.testing.assert_allclose([bar.get_xdata() for bar in bars], [[10, 13], [12, 15]])
    assert all(min(bar.get_ydata()) > 2 for bar in bars), "above the waveform"
    assert len({bar.get_color() for bar in bars}) == 2
    (shade,) = ax.patches
    np.testing.assert_allclose(shade.get_extents().transformed(ax.transData.inverted()).x0, 10)
    np.testing.assert_allclose(shade.get_extents().transformed(ax.transData.inverted()).x1, 13)
    assert [text.get_text().strip() for text in ax.texts if text.get_text()] == ["$dW$", "$kW$"]
    assert labels(ax) == ("Time (ms)", "Amplitude")


def test_blocks_of_silence_have_room_above_it(ax):
    plots.blocks(np.zeros(4), 1000, 2, 1, ax, count=8)
    bars = ax.get_lines()[1:]
    assert [bar.get_ydata()[0] for bar in bars] == sorted({bar.get_ydata()[0] for bar in bars})
    assert bars[0].get_ydata()[0] > 0
    assert all(bar.get_color() != plots.COLOURS[0] for bar in bars)


def test_spectrum_is_in_decibels_below_its_maximum(ax):
    assert plots.spectrum([0, 500, 1000, 1500], [1.0, 10.0, 0.1, 0.0], ax, floor=-30) is ax
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_xdata(), [0, 0.5, 1, 1.5])
    np.testing.assert_allclose(line.get_ydata(), [-20, 0, -30, -30])
    assert labels(ax) == ("Frequency (kHz)", "Magnitude (dB)")


def test_spectrum_of_nothing_lies_on_the_floor(ax):
    plots.spectrum([0, 1], [0.0, 0.0], ax, floor=-40)
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), [-40, -40])


def test_spectral_map_puts_bins_up_and_frames_along(ax):
    magnitude = np.array([[1.0, 0.1, 0.0], [10.0, 1.0, 1.0]])
    drawn = plots.spectral_map(
        [0, 1000], [0.0, 0.1, 0.2], magnitude, ax, floor=-40, highest=800, label="Level (dB)"
    )
    assert drawn is ax
    (mesh,) = ax.collections
    np.testing.assert_allclose(mesh.get_array(), [[-20, -40, -40], [0, -20, -20]])
    assert mesh.get_clim() == (-40, 0)
    edges = mesh.get_coordinates()
    np.testing.assert_allclose(edges[0, :, 0], [-0.05, 0.05, 0.15, 0.25], atol=1e-12)
    np.testing.assert_allclose(edges[:, 0, 1], [-0.5, 0.5, 1.5])
    assert ax.get_ylim() == (0, 0.8)
    assert labels(ax) == ("Time (s)", "Frequency (kHz)")
    bar = next(other for other in ax.figure.axes if other is not ax)
    assert bar.get_ylabel() == "Level (dB)"


def test_stems_stand_on_zero(ax):
    assert plots.stems([1.0, 3.0], ax, label="a", offset=0.2, ylabel="c") is ax
    (heads,) = ax.get_lines()
    np.testing.assert_allclose(heads.get_xdata(), [0.2, 1.2])
    np.testing.assert_array_equal(heads.get_ydata(), [1, 3])
    (rods,) = ax.collections
    feet = [[[0.2, 0], [0.2, 1]], [[1.2, 0], [1.2, 3]]]
    np.testing.assert_allclose(rods.get_segments(), feet)
    assert ax.get_ylim()[0] == 0
    assert labels(ax) == ("Bin k", "c")


def test_a_second_series_of_stems_is_not_cut(ax):
    for highest in (1.0, 5.0, 2.0):
        plots.stems([highest], ax)
    low, high = ax.get_ylim()
    assert low == 0 and high > 5


def test_stems_and_points_take_the_next_colour(ax):
    plots.stems([1.0], ax)
    plots.stems([1.0], ax)
    plots.points([1.0], [[1.0]], ax)
    assert [line.get_color() for line in ax.get_lines()] == list(plots.COLOURS[:3])


def test_points_stand_above_their_frequency(ax):
    assert plots.points([0, 2000], [[1.0, 2.0], [3.0, 4.0]], ax, ylabel="Ratio") is ax
    (dots,) = ax.get_lines()
    np.testing.assert_allclose(dots.get_xdata(), [0, 0, 2, 2])
    np.testing.assert_array_equal(dots.get_ydata(), [1, 2, 3, 4])
    assert labels(ax) == ("Frequency (kHz)", "Ratio")


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.waveform([0.0, 1.0], 10),
        lambda: plots.spectrum([0.0, 1.0], [1.0, 2.0]),
        lambda: plots.spectral_map([0.0, 1.0], [0.0, 1.0], np.ones((2, 2))),
        lambda: plots.stems([1.0]),
        lambda: plots.points([0.0], [[1.0]]),
    ],
)
def test_without_axes_a_new_figure_is_made(draw):
    before = len(plt.get_fignums())
    first, second = draw(), draw()
    assert first.figure is not second.figure
    assert len(plt.get_fignums()) == before + 2
    first.figure.canvas.draw()


def luminance(colour):
    """Relative luminance of an sRGB colour (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_first_three_colours_differ_in_grey():
    greys = sorted(map(luminance, plots.COLOURS[:3]))
    contrasts = [(b + 0.05) / (a + 0.05) for a, b in pairwise(greys)]
    assert min(contrasts) > 1.5


def test_maps_grow_lighter_all_the_way():
    steps = [luminance(c) for c in plt.get_cmap(plots.COLOURMAP)(np.linspace(0, 1, 64))[:, :3]]
    assert np.all(np.diff(steps) > 0)


def test_style_leaves_the_defaults_to_others():
    with plt.rc_context():
        plt.rcdefaults()
        plots.waveform([0.0, 1.0], 10)
        assert plt.rcParams["font.size"] != plots.STYLE["font.size"]


@pytest.mark.slow
def test_figures_of_a_notebook_are_sharp_on_dense_screens():
    """In a kernel's shell, as every chapter runs: twice the pixels, and the width said beside."""
    notebook = new_notebook(
        cells=[
            new_code_cell(
                "from matplotlib import pyplot as plt\n"
                "from relviz import plots\n"
                "plots.style()\n"
                "plots.waveform([0.0, 1.0], 10)\n"
                "plt.show()"
            )
        ]
    )
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    (drawn,) = (o for o in notebook.cells[0].outputs if "image/png" in o.get("data", {}))
    said = drawn.metadata["image/png"]
    width, height = struct.unpack(">2I", base64.b64decode(drawn.data["image/png"])[16:24])
    assert (width, height) == pytest.approx((2 * said["width"], 2 * said["height"]), abs=1)
    assert said["width"] == pytest.approx(5.2 * 130, abs=30)  # the margins are cut


def test_accuracies_draw_rows_from_the_top():
    names = ["paper", "recording"]
    ax = plots.accuracies(names, [0.9, 1.0], [np.nan, 0.95], [np.nan, 1.0], label="F0")
    container = ax.containers[0]
    np.testing.assert_allclose(container[0].get_xdata(), [90, 100])
    np.testing.assert_allclose(container[0].get_ydata(), [0, 1])
    (bars,) = container[2]
    np.testing.assert_allclose(bars.get_segments()[1][:, 0], [95, 100])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == names
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and ax.get_xlabel() == "Right (%)"


def sound_of(player):
    data = re.search(r"base64,([^\"]+)", player.data)[1]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    return samples, rate


def test_a_picture_is_drawn_as_it_is(ax):
    photo = np.stack([np.full((2, 4), level) for level in (0.1, 0.5, 0.9)])
    assert plots.picture(photo, ax) is ax and not ax.axison
    (image,) = ax.get_images()
    assert image.get_array().shape == (2, 4, 3)
    np.testing.assert_allclose(image.get_array()[1, 3], [0.1, 0.5, 0.9])
    grey = plots.picture(photo[1]).get_images()[0]
    assert grey.get_clim() == (0, 1) and to_rgb(grey.cmap(0.5)) == pytest.approx(
        (0.5,) * 3, abs=0.01
    )


def test_a_signed_picture_is_grey_where_it_is_zero(ax):
    values = np.zeros((20, 20))
    values[0, :10], values[1, :10], values[2, 0] = 3.0, -1.5, 1e6  # one pixel must not hide them
    drawn = plots.picture(values, ax, signed=True).get_images()[0].get_array()
    assert drawn[5, 5] == 0.5 and drawn[2, 0] == 1
    np.testing.assert_allclose([drawn[0, 0], drawn[1, 0]], [1.0, 0.25])
    for few in (np.zeros((3, 3)), np.pad([[-2.0]], 20)):  # nothing at all, and next to nothing
        drawn = plots.picture(few, signed=True).get_images()[0].get_array()
        assert drawn.min() == (0.5 if not few.any() else 0.0)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
def test_players_are_equally_loud_and_named(scale):
    tone = scale * np.sin(np.arange(16000) / 5)
    player = plots.player(tone, 16000, "GBP & <hop>")
    samples, rate = sound_of(player)
    assert rate == 16000 and len(samples) == 16000
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.05, rel=1e-3)
    assert 'aria-label="GBP &amp; &lt;hop&gt;"' in player.data


@pytest.mark.parametrize(("samples", "says"), [(3520, "0.22 s"), (16000 * 12, "12 s")])
def test_players_say_how_long_they_are_and_go_round(samples, says):
    html = plots.player(np.ones(samples), 16000, "a").data
    assert f"<strong>a</strong> {says} <label>" in html
    assert f'data-name="a" data-seconds="{samples / 16000:.4f}"' in html
    assert "querySelector('audio').loop = this.checked" in html


def test_a_silent_player():
    assert not sound_of(plots.player(np.zeros(100), 16000, "nothing"))[0].any()


def test_shares_prints_percent_and_leaves_out_what_is_not_there(ax):
    table = [[0.994, 0.004, 0.002], [0.25, 0.75, 0.0], [np.nan] * 3]
    drawn = plots.shares(table, ["a", "b", "c"], ["x", "y", "z"], ax, xlabel="X", ylabel="Y")
    assert drawn is ax and labels(ax) == ("X", "Y")
    cells = {text.get_position(): (text.get_text(), text.get_color()) for text in ax.texts}
    assert cells == {(0, 0): ("99", "white"), (0, 1): ("25", "black"), (1, 1): ("75", "white")}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array()[:2], np.array(table)[:2])
    assert image.get_clim() == (0.0, 1.0)


@pytest.mark.parametrize("name", ["$x^2$", "$\\frac{1}{0$", "a $5 b"])
def test_names_are_drawn_as_they_stand(ax, name):
    """A class or speaker whose name matplotlib would set as a formula, or die of."""
    plots.waveform([0.0, 1.0], 16000, ax, label=name)
    plots.spectrum([0, 1], [1, 1], ax, label=name)
    plots.stems([1.0], ax, label=name)
    plots.points([0], np.ones((1, 1)), ax, label=name)
    legend = ax.legend()
    table = plots.shares([[1.0]], [name], [name])
    rows = plots.accuracies([name], [0.5], [0.4], [0.6], label=name)
    texts = [*legend.get_texts(), *table.get_xticklabels(), *table.get_yticklabels()]
    texts += [*rows.get_yticklabels(), *rows.legend().get_texts()]
    assert len(texts) == 8
    for text in texts:
        seen, mathematics = text._preprocess_math(text.get_text())
        assert (seen.replace("\\$", "$"), bool(mathematics)) == (name, False)
    for axes in (ax, table, rows):
        axes.figure.savefig(io.BytesIO(), format="png")


def test_a_players_name_is_text():
    said = plots.player(np.zeros(160), 16000, '"><img src=x onerror=alert(1)>\x1b').data
    assert re.findall(r"<(\w+)", said) == [
        *("figure", "figcaption", "strong", "label", "input", "audio", "source")
    ]
    assert said.count("onerror") == said.count("&lt;img") == 3 and "\x1b" not in said
