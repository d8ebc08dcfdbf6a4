"""Figures of the book: arrays in, matplotlib `Axes` out (or a player). Nothing computes or loads.

Each function draws into `ax`, or into a new figure if that is None, and returns the `Axes`, so
that labels, limits and titles stay yours. Decibels are a scale of an axis: 20 log10 of what is
given, relative to its maximum. Names (in legends, at ticks, of players) are shown as they stand,
dollars too; labels of axes may hold mathematics. `style` sets one look for all figures: colours
that differ for colour-blind readers and in grey (Okabe and Ito, https://jfly.uni-koeln.de/color),
and letters that can still be read when a figure is as narrow as a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relviz._extras import require
from relviz._text import drawn, printable

require("matplotlib")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.rcsetup import cycler

if TYPE_CHECKING:
    from IPython.display import HTML

__all__ = [
    "COLOURMAP",
    "COLOURS",
    "STYLE",
    "accuracies",
    "blocks",
    "picture",
    "player",
    "points",
    "shares",
    "spectral_map",
    "spectrum",
    "stems",
    "style",
    "waveform",
]

COLOURS = ("#000000", "#D55E00", "#56B4E9", "#009E73", "#CC79A7", "#E69F00", "#0072B2")
"""Lines in this order; the first three also differ in grey."""

COLOURMAP = "magma"
"""Of maps: its lightness rises all the way."""

STYLE: dict[str, Any] = {
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.dpi": 130,
    "figure.figsize": (5.2, 3.0),
    "font.size": 11,
    "image.cmap": COLOURMAP,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
}
"""What `style` sets in matplotlib's rcParams."""


def style() -> None:
    """Give every figure that is made from now on the look of the book.

    Notes
    -----
    It sets `STYLE` in matplotlib's rcParams. In a notebook figures then have two pixels where the
    page has one, so that they are sharp on dense screens and where a phone enlarges them.

    Used in every chapter of the book.

    Examples
    --------
    >>> with plt.rc_context():
    ...     style()
    ...     plt.rcParams["image.cmap"]
    'magma'
    """
    plt.style.use(STYLE)
    if plt.get_backend().endswith("inline"):
        require("matplotlib_inline")
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("retina")


def waveform(
    samples: ArrayLike,
    sample_rate: float,
    ax: Axes | None = None,
    *,
    start: float = 0.0,
    label: str | None = None,
    ylabel: str = "Amplitude",
) -> Axes:
    """Draw a waveform or relevance signal over time.

    Parameters
    ----------
    samples : array_like, (samples,)
        Of any unit, named by `ylabel`.
    sample_rate : float
        In Hz.
    ax : Axes, optional
        Where to draw; default, a new figure.
    start : float
        Time of the first sample, in s.
    label : str, optional
        For a legend.
    ylabel : str
        What the samples are.

    Returns
    -------
    Axes
        Over time in s.

    References
    ----------
    As in figures 3 and 4 of Muckenhirn et al. (2019).

    Notes
    -----
    Used from chapter 4 of the book on.

    Examples
    --------
    >>> waveform([0.0, 1.0, 0.0], 16000).get_ylabel()
    'Amplitude'
    """
    axes, y = _axes(ax), np.asarray(samples)
    axes.plot(start + np.arange(len(y)) / sample_rate, y, label=_named(label), linewidth=0.9)
    axes.set(xlabel="Time (s)", ylabel=ylabel)
    axes.margins(x=0)
    return axes


def blocks(
    samples: ArrayLike,
    sample_rate: float,
    kernel_size: int,
    stride: int,
    ax: Axes | None = None,
    *,
    count: int = 4,
    start: float = 0.0,
) -> Axes:
    """Draw a waveform over ms and, above it, the first blocks that a first layer cuts out of it.

    Parameters
    ----------
    samples : array_like, (samples,)
        A waveform.
    sample_rate : float
        In Hz.
    kernel_size, stride : int
        kW and dW, in samples.
    ax : Axes, optional
        Where to draw; default, a new figure.
    count : int
        Of blocks drawn.
    start : float
        Time of the first sample, in s.

    Returns
    -------
    Axes
        Over time in ms. The first block is shaded.

    References
    ----------
    Figure 1 of Muckenhirn et al. (2019).

    Notes
    -----
    Explained in chapter 1 of the book.

    Examples
    --------
    >>> blocks(np.zeros(100), 16000, kernel_size=30, stride=10).get_xlabel()
    'Time (ms)'
    """
    axes, y = _axes(ax), np.asarray(samples, dtype=np.float64)
    first, width, step = (
        1000 * s for s in (start, kernel_size / sample_rate, stride / sample_rate)
    )
    axes.plot(first + 1000 * np.arange(len(y)) / sample_rate, y, marker=".", markersize=3)
    heights = (float(np.abs(y).max()) or 1.0) * (1.6 + 0.35 * np.arange(count))
    for i, height in enumerate(heights):
        ends = [first + i * step, first + i * step + width]
        colour = COLOURS[1 + i % (len(COLOURS) - 1)]
        axes.plot(ends, [height] * 2, marker="|", markersize=9, linewidth=2.5, color=colour)
    axes.axvspan(first, first + width, color=COLOURS[1], alpha=0.15, linewidth=0)
    below = 0.82 * heights[0]
    arrow = {"arrowstyle": "<->", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (first, below), (first + step, below), arrowprops=arrow)
    axes.text(first + step, below, " $dW$", va="center")
    axes.text(first + width, heights[0], "  $kW$", va="center")
    axes.set(xlabel="Time (ms)", ylabel="Amplitude")
    return axes


def spectrum(
    frequencies: ArrayLike,
    magnitude: ArrayLike,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    floor: float = -60.0,
) -> Axes:
    """Draw a magnitude spectrum in dB below its maximum.

    Parameters
    ----------
    frequencies : array_like, (bins,)
        In Hz.
    magnitude : array_like, (bins,)
        Not negative.
    ax : Axes, optional
        Where to draw; default, a new figure.
    label : str, optional
        For a legend.
    floor : float
        In dB, where the spectrum is cut.

    Returns
    -------
    Axes
        Over frequency in kHz.

    References
    ----------
    As in figures 5 and 6 of Muckenhirn et al. (2019).

    Notes
    -----
    Used from chapter 2 of the book on.

    Examples
    --------
    >>> axes = spectrum([0, 4000, 8000], [1.0, 0.1, 0.0])
    >>> axes.lines[0].get_ydata().round()
    array([  0., -20., -60.])
    """
    axes = _axes(ax)
    axes.plot(_kilo(frequencies), _decibels(magnitude, floor), label=_named(label))
    axes.set(xlabel="Frequency (kHz)", ylabel="Magnitude (dB)")
    axes.margins(x=0)
    return axes


def spectral_map(
    frequencies: ArrayLike,
    times: ArrayLike,
    magnitude: ArrayLike,
    ax: Axes | None = None,
    *,
    floor: float = -50.0,
    highest: float | None = None,
    label: str = "dB",
) -> Axes:
    """Draw a spectrogram or spectral relevance map in dB below its maximum.

    Parameters
    ----------
    frequencies : array_like, (bins,)
        In Hz.
    times : array_like, (frames,)
        In s.
    magnitude : array_like, (bins, frames)
        Not negative.
    ax : Axes, optional
        Where to draw; default, a new figure.
    floor : float
        In dB, where the map is cut.
    highest : float, optional
        The highest frequency shown, in Hz.
    label : str
        Of the colour bar.

    Returns
    -------
    Axes
        Frequency in kHz over time in s.

    References
    ----------
    Muckenhirn et al. (2019), section 3.2.

    Notes
    -----
    A `relviz.spectral.SpectralMap` is drawn with ``spectral_map(*map_)``. Used in chapter 5 of the
    book.

    Examples
    --------
    >>> spectral_map([0, 4000], [0.0, 0.1], np.ones((2, 2)), highest=3000).get_ylabel()
    'Frequency (kHz)'
    """
    axes = _axes(ax)
    mesh = axes.pcolormesh(
        np.asarray(times),
        _kilo(frequencies),
        _decibels(magnitude, floor),
        vmin=floor,
        vmax=0.0,
        cmap=COLOURMAP,
        shading="nearest",
        rasterized=True,
    )
    axes.figure.colorbar(mesh, ax=axes, label=drawn(label), pad=0.02)
    axes.set(xlabel="Time (s)", ylabel="Frequency (kHz)")
    if highest is not None:
        axes.set_ylim(0.0, highest / 1000)
    return axes


def stems(
    values: ArrayLike,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    marker: str = "o",
    offset: float = 0.0,
    xlabel: str = "Bin k",
    ylabel: str = "|g[k]|",
) -> Axes:
    """Draw one stem for every bin.

    Parameters
    ----------
    values : array_like, (bins,)
        Not negative.
    ax : Axes, optional
        Where to draw; default, a new figure.
    label : str, optional
        For a legend.
    marker : str
        Of the heads.
    offset : float
        In bins, for series side by side.
    xlabel, ylabel : str
        Of the axes.

    Returns
    -------
    Axes
        Over the bins.

    Notes
    -----
    Used in chapter 5 of the book.

    Examples
    --------
    >>> stems([1.0, 0.5]).get_ylabel()
    '|g[k]|'
    """
    axes, y = _axes(ax), np.asarray(values)
    bins = np.arange(len(y)) + offset
    (heads,) = axes.plot(bins, y, linestyle="", marker=marker, label=_named(label))
    axes.vlines(bins, 0, y, colors=heads.get_color(), linewidth=1.2)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.autoscale(axis="y")  # over an earlier series too, whose limit is fixed below
    axes.set_ylim(bottom=0)
    return axes


def points(
    frequencies: ArrayLike,
    values: ArrayLike,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    ylabel: str = "Ratio",
) -> Axes:
    """Draw every value of a map as a small dot above its frequency.

    Parameters
    ----------
    frequencies : array_like, (bins,)
        In Hz.
    values : array_like, (bins, frames)
        Of any unit, named by `ylabel`.
    ax : Axes, optional
        Where to draw; default, a new figure.
    label : str, optional
        For a legend.
    ylabel : str
        What the values are.

    Returns
    -------
    Axes
        Over frequency in kHz.

    Notes
    -----
    Used in chapter 5 of the book.

    Examples
    --------
    >>> len(points([0, 4000], np.ones((2, 3))).lines[0].get_xdata())
    6
    """
    axes, y = _axes(ax), np.asarray(values)
    x = np.repeat(_kilo(frequencies), y.shape[1])
    axes.plot(
        x, y.ravel(), linestyle="", marker=".", markersize=2.5, alpha=0.5, label=_named(label)
    )
    axes.set(xlabel="Frequency (kHz)", ylabel=ylabel)
    return axes


def accuracies(
    names: Sequence[str],
    accuracy: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    ax: Axes | None = None,
    *,
    label: str | None = None,
    marker: str = "o",
    offset: float = 0.0,
) -> Axes:
    """Draw one measure's accuracy for every signal: a marker and its interval, first name on top.

    Parameters
    ----------
    names : sequence of str
        Of the signals.
    accuracy, low, high : array_like, (names,)
        From 0 to 1; an interval may be NaN.
    ax : Axes, optional
        Where to draw; default, a new figure.
    label : str, optional
        For a legend.
    marker : str
        Of the measure.
    offset : float
        In rows, for measures beside each other.

    Returns
    -------
    Axes
        Over percent.

    References
    ----------
    Table 2 of Muckenhirn et al. (2019), as a picture.

    Notes
    -----
    Used in chapter 8 of the book.

    Examples
    --------
    >>> axes = accuracies(["recording", "noise"], [0.97, 0.1], [0.95, 0.05], [0.98, 0.2])
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['recording', 'noise']
    """
    axes, x = _axes(ax), 100 * np.asarray(accuracy, dtype=np.float64)
    rows = np.arange(len(names)) + offset
    bars = np.abs(100 * np.array([low, high], dtype=np.float64) - x)
    axes.errorbar(
        x, rows, xerr=bars, linestyle="", marker=marker, markersize=5, label=_named(label)
    )
    axes.set(xlabel="Right (%)", xlim=(-3, 103), ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(np.arange(len(names)), [drawn(name) for name in names])
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    return axes


def shares(
    values: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    ax: Axes | None = None,
    *,
    xlabel: str = "Found",
    ylabel: str = "Said",
) -> Axes:
    """Draw a table of shares, such as a confusion matrix: darker is more, percent in each cell.

    Parameters
    ----------
    values : array_like, (rows, columns)
        From 0 to 1; NaN, which has no share, stays white and empty.
    rows, columns : sequence of str
        Their names.
    ax : Axes, optional
        Where to draw; default, a new figure.
    xlabel, ylabel : str
        Of the axes.

    Returns
    -------
    Axes
        With the first row on top.

    Notes
    -----
    Used in chapter 6 of the book.

    Examples
    --------
    >>> axes = shares([[0.9, 0.1], [0.0, 1.0]], ["AA", "IY"], ["AA", "IY"])
    >>> [text.get_text() for text in axes.texts]
    ['90', '10', '100']
    """
    axes, table = _axes(ax), np.asarray(values, dtype=np.float64)
    axes.imshow(table, cmap=f"{COLOURMAP}_r", vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), share in np.ndenumerate(table):
        if share >= 0.005:  # not NaN, and not what would read 0
            colour = "white" if share > 0.45 else "black"
            axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", color=colour)
    across, down = ([drawn(name) for name in names] for names in (columns, rows))
    axes.set_xticks(range(len(columns)), across, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), down)
    axes.tick_params(length=0)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return axes


def picture(values: ArrayLike, ax: Axes | None = None, *, signed: bool = False) -> Axes:
    """Draw a picture without axes.

    Parameters
    ----------
    values : array_like, (3, height, width) or (height, width)
        From 0 to 1.
    ax : Axes, optional
        Where to draw; default, a new figure.
    signed : bool
        Values have both signs, as relevance has: 0 becomes mid-grey, and full scale is the 99.5th
        percentile of their moduli, so that a few extreme pixels do not hide all others.

    Returns
    -------
    Axes
        Without ticks and frame.

    References
    ----------
    As in figure 2 of Muckenhirn et al. (2019).

    Notes
    -----
    Used in chapter 3 of the book.

    Examples
    --------
    >>> picture(np.zeros((3, 4, 5)), signed=True).images[0].get_array().mean()
    np.float64(0.5)
    """
    axes, shades = _axes(ax), np.asarray(values, dtype=np.float64)
    if signed:
        moduli = np.abs(shades)
        shades = 0.5 + shades / (2 * (np.percentile(moduli, 99.5) or moduli.max() or 1.0))
    shades = np.clip(np.moveaxis(shades, 0, -1) if shades.ndim == 3 else shades, 0, 1)
    axes.imshow(shades, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    return axes


def player(samples: ArrayLike, sample_rate: float, label: str, *, rms: float = 0.05) -> HTML:
    """Return an audio player for a notebook, with its name, its length and a box for going round.

    Parameters
    ----------
    samples : array_like, (samples,)
        Of any scale; silence stays silent.
    sample_rate : float
        In Hz.
    label : str
        Its name.
    rms : float
        Every player of a page has the same root mean square, so that no signal wins by being
        louder; peaks beyond full scale are cut.

    Returns
    -------
    IPython.display.HTML
        What the notebook shows.

    Notes
    -----
    Used in nearly every chapter of the book, whose pages let players of one cell and one length
    give way to each other at the same moment.

    Examples
    --------
    >>> "<strong>Silence</strong> 0.01 s" in player(np.zeros(160), 16000, "Silence").data
    True
    """
    require("IPython")
    from IPython.display import HTML, Audio

    wave = np.asarray(samples, dtype=np.float64)
    loud = wave * rms / (np.sqrt(np.mean(wave**2)) or 1.0)
    sound = Audio(np.clip(loud, -1, 1), rate=round(sample_rate), normalize=False)
    name = escape(printable(label), quote=True)
    element = sound._repr_html_().replace("<audio ", f'<audio aria-label="{name}" ', 1)
    seconds = len(wave) / sample_rate
    # players show whole seconds, which of a vowel are none
    length = f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    tick = "this.closest('figure').querySelector('audio').loop = this.checked"
    loop = f'<label><input type="checkbox" onchange="{tick}"> loop</label>'
    return HTML(
        f'<figure class="relviz-player" data-name="{name}" data-seconds="{seconds:.4f}">'
        f"<figcaption><strong>{name}</strong> {length} {loop}</figcaption>{element}</figure>"
    )


def _named(label: str | None) -> str | None:
    """A legend's word: names may come from files, and their dollars begin no formula."""
    return None if label is None else drawn(label)


def _axes(ax: Axes | None) -> Axes:
    return plt.subplots()[1] if ax is None else ax


def _kilo(frequencies: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(frequencies, dtype=np.float64) / 1000


def _decibels(magnitude: ArrayLike, floor: float) -> NDArray[np.float64]:
    """20 log10 of the magnitude over its maximum, nothing below `floor`; `floor` where all is 0."""
    linear = np.asarray(magnitude, dtype=np.float64)
    lowest = 10 ** (floor / 20)
    peak = linear.max()
    return 20 * np.log10(np.maximum(linear / peak if peak > 0 else linear, lowest))
