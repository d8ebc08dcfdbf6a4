"""The page of an explanation: one file that asks nobody for anything, read from disk or by mail."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray
from torch import nn

from relviz import __version__, plots
from relviz._text import drawn, printable
from relviz.explanation._names import GRADIENT, PERMUTED, RELEVANCE, UNTRAINED
from relviz.signals import relevance_signal
from relviz.spectral import spectral_relevance
from relviz.widgets.frame import FOLDER, script, style
from relviz.widgets.relevance import Recording, RelevanceExplorer

Explained = Any
"""A `relviz.explanation.Explanation`, which calls this module, and so is not imported here."""

__all__ = ["framed", "index", "page"]

_HERE = Path(__file__).parent
_INK = "#010203"
"""Stands in a figure for the colour of the text around it, in either theme."""

_DPI = 110
"""Of maps, and of dots."""

_COLUMNS = 900
"""Of a waveform."""

_SHOWN = 8
"""Classes whose posteriors are drawn."""

_ROWS = 200
"""Decisions that are listed."""

_SAYS = {
    "recording": "The recording",
    RELEVANCE: "What the network's decision depends on",
    GRADIENT: "The same network's plain gradient",
    UNTRAINED: "The same method on a network that learnt nothing",
    PERMUTED: "The same method on a network whose weights have changed places",
}


def page(found: Explained) -> str:
    """Return the page of an explanation: HTML that holds its pictures, sounds and scripts.

    Parameters
    ----------
    found : Explanation
        Of `relviz.explanation.explain`.

    Returns
    -------
    str
        All of the page.

    Examples
    --------
    >>> from relviz.corpora import vowel
    >>> from relviz.explanation import explain
    >>> found = explain(vowel(120, (500, 1500, 2500)), "phones", effects=False)
    >>> page(found).count("<figure>")
    10
    """
    explorer = _Ready(found)
    state = {
        name: getattr(explorer, name) for name in ("says", "talker", "network", "method", "hop")
    }
    parts = [
        _head(found),
        _answer(found),
        '<h2>Listen</h2><div id="player"></div>',
        *_pictures(found),
        _numbers(found),
        _decisions(found),
        "<h2>Explore</h2><p>Choose a stretch in a waveform to see its spectra and hear it.</p>"
        '<div id="explorer"></div>',
    ]
    data = base64.b64encode(explorer.data).decode()
    code = script("relevance.js").replace(
        "export default { render };", "const explorer = { render };"
    )
    own = re.sub(r"^import .*;$", "", (FOLDER / "report.js").read_text(), flags=re.MULTILINE)
    names = json.dumps([[key, _SAYS[name]] for key, name in explorer.ready.items()])
    return _page(
        f"relviz: {found.name}",
        "\n".join(parts),
        f'<script type="application/json" id="state">{_inert(json.dumps(state))}</script>'
        f'<script type="application/json" id="sounds">{_inert(names)}</script>'
        f'<script type="text/plain" id="data">{data}</script>'
        f'<script type="module">{code}\n{own}</script>',
    )


def framed(found: Explained) -> str:
    """Return the page within another one, as a notebook shows it.

    Parameters
    ----------
    found : Explanation
        Of `relviz.explanation.explain`.

    Returns
    -------
    str
        HTML of a frame, which can run its scripts and nothing else.

    Examples
    --------
    >>> from relviz.corpora import vowel
    >>> from relviz.explanation import explain
    >>> found = explain(vowel(120, (500, 1500, 2500)), "phones", effects=False)
    >>> framed(found).startswith("<iframe")
    True
    """
    return (
        f'<iframe srcdoc="{escape(page(found))}" sandbox="allow-scripts" '
        f'title="{escape(f"relviz: {found.name}")}" '
        'style="width: 100%; height: 40rem; border: 1px solid #888"></iframe>'
    )


def index(title: str, rows: Iterable[tuple[str, str, str]]) -> str:
    """Return a page of links to reports.

    Parameters
    ----------
    title : str
        Of the page.
    rows : iterable of (str, str, str)
        Of each report its address, or "" where there is none, its name, and what is said of it.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> '<a href="a%20b.html">a b</a> 2 s' in index("Heard", [("a b.html", "a b", "2 s")])
    True
    """
    listed = "".join(
        f"<li>{_link(address, printable(name))} {escape(printable(about))}</li>"
        for address, name, about in rows
    )
    return _page(title, f"<h1>{escape(printable(title))}</h1><ul>{listed}</ul>", "")


def _link(address: str, name: str) -> str:
    return f'<a href="{quote(address)}">{escape(name)}</a>' if address else escape(name)


class _Ready(RelevanceExplorer):
    """The relevance explorer with signals that are there already."""

    def __init__(self, found: Explained) -> None:
        self._found, about = found, found.about
        networks: dict[str, Callable[..., Any]] = {about.name: _standing_for(found, about.net)}
        kind = "permuted" if PERMUTED in found.signals else "untrained"
        if {UNTRAINED, PERMUTED} & found.signals.keys():
            networks[kind] = _standing_for(found, about.net)
        methods = dict.fromkeys([found.method, "gradient"])
        kinds = {
            RELEVANCE: (about.name, found.method),
            GRADIENT: (about.name, "gradient"),
            UNTRAINED: (kind, found.method),
            PERMUTED: (kind, found.method),
        }
        self.ready = {"0": "recording"} | {
            f"0/{net}/{method}/{found.hop_length}": name
            for name, (net, method) in kinds.items()
            if name in found.signals
        }
        super().__init__(
            [Recording(found.name, "this one", found.wave)],
            networks,
            methods=dict.fromkeys(methods, _unused),
            hops=(found.hop_length,),
            sample_rate=about.sample_rate,
        )

    def _relevance(self, wave: NDArray, name: str, method: str, hop: int) -> NDArray[np.float64]:
        found = self._found
        ready = self.ready.get(f"0/{name}/{method}/{hop}")
        if ready is not None:
            return found.signals[ready]
        control = found.about.control()
        assert control is not None  # else it is not among the networks
        return relevance_signal(
            control[1].net,
            wave,
            hop,
            method="gradient",
            window=found.about.window,
            normalise=found.about.normalise,
            centres=(0, len(wave) - 1),
            progress=False,
        )


def _unused(net: Any, x: Any, target: Any) -> Any:
    raise NotImplementedError


def _standing_for(found: Explained, net: Any) -> Callable[..., Any]:
    """The network, or, of one that does not say at which rate it hears, something that does."""
    if isinstance(net, nn.Module) and getattr(net, "metadata", None) is not None:
        return net

    def stand(x: Any) -> Any:
        return net(x)

    stand.sample_rate, stand.window = found.sample_rate, found.about.window  # type: ignore[attr-defined]
    return stand


def _head(found: Explained) -> str:
    about = found.about
    facts = {
        "Network": about.name,
        "Hears": f"{1000 * about.window / about.sample_rate:.0f} ms at {about.sample_rate} Hz",
        "Method": f"{found.method}, hop {found.hop_length}",
        "Length": f"{found.seconds:.2f} s",
        "relviz": __version__,
        "SHA-256 of the samples": found.checksum[:16] + "…",
    }
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(printable(v))}</dd>" for k, v in facts.items())
    return f"<h1>{escape(printable(found.name))}</h1><dl>{rows}</dl>"


def _answer(found: Explained) -> str:
    """The decision in one line, and how sure it was."""
    mean = found.posteriors.mean(axis=0)
    top = int(mean.argmax())
    share = float((found.frames["class"] == found.named(top)).mean())
    return (
        f"<p>Over the whole recording the network hears <b>{escape(printable(found.named(top)))}"
        f"</b> most: it wins in {100 * share:.0f} % of the frames, and has "
        f"{100 * mean[top]:.0f} % of the probability. The mean confidence is "
        f"{100 * found.frames['confidence'].mean():.0f} %.</p>"
    )


def _pictures(found: Explained) -> list[str]:
    rate = found.sample_rate
    signals = {"recording": found.wave.astype(np.float64), **found.signals}
    shown: list[str] = ["<h2>Waveform and relevance</h2>"]
    for name, signal in signals.items():
        what = "Amplitude" if name == "recording" else "Relevance"
        shown.append(
            _figure(
                partial(_waveform, signal, rate, what),
                _SAYS[name],
                f"{_SAYS[name]}, {what.lower()} over time.",
                height=1.7,
            )
        )
    shown.append("<h2>Spectrogram and spectral relevance</h2>")
    for name, signal in signals.items():
        shown.append(
            _figure(
                partial(_map, found, signal, name),
                f"{_SAYS[name]}, with its F1 to F3 (dots) where the recording is voiced",
                f"{_SAYS[name]}: frequency over time, in dB, formants as dots.",
                height=2.6,
            )
        )
    shown.append("<h2>F0</h2>")
    shown.append(
        _figure(
            partial(_f0, found),
            "F0 of the recording (line) and of the relevance signals (dots), every 10 ms",
            "F0 in Hz over time, of the recording and of each relevance signal.",
        )
    )
    shown.append("<h2>Posteriors</h2>")
    shown.append(
        _figure(
            partial(_posteriors, found),
            f"Posteriors of the {min(_SHOWN, found.posteriors.shape[1])} classes that have most",
            "Probability of each class over time.",
            height=2.6,
        )
    )
    return shown


def _waveform(signal: NDArray, rate: int, what: str, ax: Axes) -> None:
    """Lowest and highest sample of each of some hundred stretches: what a pixel could show."""
    size = -(-len(signal) // _COLUMNS)
    rows = np.pad(signal, (0, -len(signal) % size), mode="edge").reshape(-1, size)
    at = np.arange(len(rows)) * size / rate
    ax.fill_between(at, rows.min(axis=1), rows.max(axis=1), color=_INK, linewidth=0.4)
    ax.set(xlabel="Time (s)", ylabel=what, xlim=(0, len(signal) / rate))


def _map(found: Explained, signal: NDArray, name: str, ax: Axes) -> None:
    rate = found.sample_rate
    # enough for an eye: a pixel is wider than 5 ms of a long recording
    step = max(0.005, found.seconds / 600)
    plots.spectral_map(
        *spectral_relevance(signal, rate, step=step), ax, highest=min(5000, rate / 2)
    )
    voiced = found.frames[found.frames["f0 recording"].notna()]
    for number in (1, 2, 3):
        ax.plot(voiced["time"], voiced[f"f{number} {name}"] / 1000, ".w", ms=2.2, rasterized=True)


def _f0(found: Explained, ax: Axes) -> None:
    frames = found.frames
    ax.plot(frames["time"], frames["f0 recording"], color=_INK, label="recording")
    markers = zip(found.signals, plots.COLOURS[1:], "ox^", strict=False)
    for name, colour, marker in markers:
        ax.plot(
            frames["time"],
            frames[f"f0 {name}"],
            marker,
            color=colour,
            ms=2.5,
            label=name,
            rasterized=True,
        )
    ax.set(xlabel="Time (s)", ylabel="F0 (Hz)", xlim=(0, found.seconds))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=2, fontsize="small")


def _posteriors(found: Explained, ax: Axes) -> None:
    order = np.argsort(-found.posteriors.mean(axis=0))[:_SHOWN]
    half = 0.005
    ax.imshow(
        found.posteriors[:, order].T,
        aspect="auto",
        vmin=0,
        vmax=1,
        cmap=plots.COLOURMAP,
        extent=(0, found.times[-1] + half, len(order) - 0.5, -0.5),
        interpolation="nearest",
    )
    ax.set_yticks(range(len(order)), [drawn(printable(found.named(n))) for n in order])
    ax.set(xlabel="Time (s)")


def _figure(draw: Callable[[Axes], Any], caption: str, says: str, *, height: float = 2.2) -> str:
    """An SVG whose ink is that of the page, in a figure with words for those who do not see it."""
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    look: Any = plots.STYLE | dict.fromkeys(inked, _INK)
    look |= {"svg.fonttype": "none", "font.family": "sans-serif"}
    with plt.rc_context(look):
        figure, ax = plt.subplots(figsize=(6.4, height))
        draw(ax)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, dpi=_DPI, metadata={"Date": None})
        plt.close(figure)
    drawing = text.getvalue()
    drawing = drawing[drawing.index("<svg") :].replace(_INK, "currentColor")
    drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{escape(says)}" ', 1)
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def _numbers(found: Explained) -> str:
    parts = [
        "<h2>Does the relevance signal have the recording's F0 and formants?</h2>",
        "<p>Share of the voiced frames in which it does: F0 within a semitone, formants within "
        "15 %. A network that learnt nothing stands beside: what it reaches too is no sign of "
        "what was learnt.</p>",
        _table(
            "Agreement",
            ["Signal", "F0", "F1", "F2", "F3"],
            [
                [_SAYS[str(name)], *(_percent(row[cue]) for cue in ("f0", "f1", "f2", "f3"))]
                for name, row in found.agreement.iterrows()
            ],
        ),
        "<h2>What if one cue were another?</h2>",
    ]
    if found.effects.empty:
        parts.append(
            "<p>Cues were not changed: nobody asked for it, or too few frames are voiced.</p>"
        )
        return "".join(parts)
    parts.append(
        "<p>One cue of this recording is changed, the rest held, and the network asked again: how "
        "far its posteriors move, in nats, and in how many places its class is another. Noise of "
        "the same energy and spectrum stands beside it.</p>"
    )
    of_net = found.effects[found.effects["network"] == found.about.name].set_index("cue")
    is_control = found.effects["network"].isin([UNTRAINED, PERMUTED])
    control = found.effects[is_control].set_index("cue")
    rows = [
        [
            str(cue),
            f"{row['nats']:.3f}",
            "" if np.isnan(row["noise nats"]) else f"{row['noise nats']:.3f}",
            _percent(row["changed"]),
            _percent(control["changed"].get(cue, np.nan)),
        ]
        for cue, row in of_net.iterrows()
    ]
    copied = PERMUTED if PERMUTED in found.signals else UNTRAINED
    head = ["Cue", "Nats", "Noise, nats", "Other class", f"{copied.capitalize()}: other class"]
    parts.append(_table("Effects of cues", head, rows))
    return "".join(parts)


def _decisions(found: Explained) -> str:
    listed = found.decisions()
    rows = [
        [
            f"{row['start']:.2f}",
            f"{row['end']:.2f}",
            str(row["class"]),
            _percent(row["posterior"]),
            _percent(row["confidence"]),
        ]
        for _, row in listed.head(_ROWS).iterrows()
    ]
    more = f"<p>The first {_ROWS} of {len(listed)}.</p>" if len(listed) > _ROWS else ""
    head = ["From (s)", "To (s)", "Class", "Posterior", "Confidence"]
    return (
        "<h2>Decisions</h2><p>Confidence is 1 less the entropy of the posteriors, in units of the "
        f"largest there can be.</p><details><summary>All of them</summary>{more}"
        f"{_table('Decisions', head, rows)}</details>"
    )


def _table(name: str, head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    body = "".join(
        f'<tr><th scope="row">{escape(printable(row[0]))}</th>'
        + "".join(f"<td>{escape(printable(each))}</td>" for each in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        '<div class="wide" tabindex="0" role="region" '
        f'aria-label="{name}">'
        f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _percent(value: float) -> str:
    return "" if np.isnan(value) else f"{100 * value:.0f} %"


def _inert(text: str) -> str:
    """JSON that cannot end the script it stands in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data: blob:"
)
"""What a browser lets the page do: nothing that leaves it."""


def _page(title: str, body: str, scripts: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(printable(title))}</title>
<style>{style()}
{(_HERE / "report.css").read_text()}</style>
</head>
<body>
<main>
{body}
</main>
{scripts}
</body>
</html>
"""
