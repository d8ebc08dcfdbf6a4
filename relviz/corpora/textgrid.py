"""Alignments as TextGrids, for Praat and whatever else reads them."""

from __future__ import annotations

from pathlib import Path

from relviz import files
from relviz.corpora.corpus import CorpusError
from relviz.corpora.speech import Alignment

__all__ = ["text", "write"]


def text(spans: Alignment, duration: float | None = None, tier: str = "phones") -> str:
    """Return an alignment as the text of a TextGrid with one tier of intervals.

    Parameters
    ----------
    spans : tuple of Span
        In order, not overlapping; between them there are intervals without label.
    duration : float, optional
        Seconds of the recording; default, where the last span ends.
    tier : str
        What the tier is called.

    Returns
    -------
    str
        In Praat's long format.

    Raises
    ------
    CorpusError
        For no spans, spans out of order, and a recording that ends before they do.

    Examples
    --------
    >>> from relviz.corpora import Span
    >>> print(text((Span(0.25, 0.5, "AH"),), 0.75).splitlines()[13])
            intervals: size = 3
    """
    ends = [0.0, *(span.end for span in spans)]
    if not spans or any(not last <= span.start < span.end for last, span in zip(ends, spans)):  # noqa: B905
        raise CorpusError("These spans are none or not in order: give an alignment as it was made.")
    end = ends[-1] if duration is None else duration
    if ends[-1] - end > 1e-6:
        raise CorpusError(
            f"The alignment ends at {ends[-1]:.3f} s and its recording at {end:.3f} s: give the "
            "recording that was aligned."
        )
    rows: list[tuple[float, float, str]] = []
    for last, span in zip(ends, spans):  # noqa: B905
        if span.start > last:
            rows.append((last, span.start, ""))
        rows.append((span.start, span.end, span.label))
    if end > ends[-1]:
        rows.append((ends[-1], end, ""))
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end!r}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        f"        name = {_quoted(tier)}",
        "        xmin = 0",
        f"        xmax = {end!r}",
        f"        intervals: size = {len(rows)}",
    ]
    for number, (start, stop, label) in enumerate(rows, 1):
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start!r}",
            f"            xmax = {stop!r}",
            f"            text = {_quoted(label)}",
        ]
    return "\n".join(lines) + "\n"


def write(
    path: Path | str, spans: Alignment, duration: float | None = None, tier: str = "phones"
) -> None:
    """Write an alignment as a TextGrid, whole or not at all.

    Parameters
    ----------
    path : Path or str
        Where to; Praat knows it by the suffix ".TextGrid".
    spans : tuple of Span
        As in `text`.
    duration : float, optional
        As in `text`.
    tier : str
        As in `text`.

    Raises
    ------
    CorpusError
        For what `text` raises.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.corpora import Span
    >>> path = Path(tempfile.mkdtemp()) / "a.TextGrid"
    >>> write(path, (Span(0.0, 0.5, "AH"),))
    >>> path.read_text().splitlines()[0]
    'File type = "ooTextFile"'
    """
    files.write_text(Path(path).expanduser(), text(spans, duration, tier))


def _quoted(label: str) -> str:
    """Write a string as Praat does: a quote within is doubled."""
    return '"' + label.replace('"', '""') + '"'
