"""Alignments as TextGrids, for Praat and whatever else reads them; Praat writes them itself."""

from __future__ import annotations

from pathlib import Path

from relviz import files
from relviz._extras import require
from relviz.corpora.corpus import CorpusError
from relviz.corpora.speech import Alignment

__all__ = ["write"]


def write(
    path: Path | str, spans: Alignment, duration: float | None = None, tier: str = "phones"
) -> None:
    """Write an alignment as a TextGrid with one tier of intervals, whole or not at all.

    Parameters
    ----------
    path : Path or str
        Where to; Praat knows it by the suffix ".TextGrid".
    spans : tuple of Span
        In order, not overlapping; between them there are intervals without label.
    duration : float, optional
        Seconds of the recording; default, where the last span ends.
    tier : str
        What the tier is called, one word.

    Raises
    ------
    CorpusError
        For no spans, spans out of order, and a recording that ends before they do.
    WriteError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from relviz.corpora import Span
    >>> path = Path(tempfile.mkdtemp()) / "a.TextGrid"
    >>> write(path, (Span(0.25, 0.5, "AH"),), 0.75)
    >>> path.read_text().splitlines()[13]
    '        intervals: size = 3 '
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
    require("parselmouth")
    import parselmouth
    from parselmouth.praat import call

    edges = sorted({edge for span in spans for edge in span[:2] if 0 < edge < end})
    grid = parselmouth.TextGrid(0.0, end, [tier])
    for edge in edges:
        call(grid, "Insert boundary", 1, edge)
    numbers = {start: number for number, start in enumerate([0.0, *edges], 1)}
    for span in spans:
        call(grid, "Set interval text", 1, numbers[span.start], span.label)
    with files.replacing(path) as draft:
        grid.save(str(draft))
