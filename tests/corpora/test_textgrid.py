"""TextGrids, read by Praat."""

from pathlib import Path

import parselmouth
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parselmouth.praat import call

from relviz import cli
from relviz.corpora import CorpusError, Span, textgrid


def read(path: Path) -> list[tuple[float, float, str]]:
    """What Praat finds in the first tier."""
    grid = parselmouth.read(str(path))
    assert isinstance(grid, parselmouth.TextGrid)
    return [
        (
            call(grid, "Get start time of interval", 1, number),
            call(grid, "Get end time of interval", 1, number),
            call(grid, "Get label of interval", 1, number),
        )
        for number in range(1, call(grid, "Get number of intervals", 1) + 1)
    ]


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.floats(0, 0.5), st.floats(0.01, 0.5), st.sampled_from(["AA", "SIL", 'a"b', "ɑ"])
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([0.0, 0.25]),
)
def test_praat_reads_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, steps: list, rest: float
) -> None:
    spans, now = [], 0.0
    for gap, length, label in steps:
        start = round(now + gap, 4) if gap > 0.001 else now
        now = round(start + length, 4)
        spans.append(Span(start, now, label))
    path = tmp_path_factory.mktemp("grids") / "a.TextGrid"
    textgrid.write(path, tuple(spans), now + rest)
    found = read(path)
    assert [row[2] for row in found if row[2]] == [span.label for span in spans]
    named = [row for row in found if row[2]]
    assert [row[0] for row in named] == pytest.approx([span.start for span in spans])
    assert [row[1] for row in named] == pytest.approx([span.end for span in spans])
    assert found[0][0] == 0 and found[-1][1] == pytest.approx(now + rest)
    assert [row[1] for row in found[:-1]] == [row[0] for row in found[1:]]  # without a gap


@pytest.mark.parametrize(
    ("spans", "duration", "why"),
    [
        ((), None, "none or not in order"),
        ((Span(0, 1, "a"), Span(0.5, 2, "b")), None, "none or not in order"),
        ((Span(1, 1, "a"),), None, "none or not in order"),
        ((Span(-1, 1, "a"),), None, "none or not in order"),
        ((Span(0, 1, "a"),), 0.5, "ends at 1.000 s and its recording at 0.500 s"),
    ],
)
def test_what_is_no_alignment(
    tmp_path: Path, spans: tuple, duration: float | None, why: str
) -> None:
    with pytest.raises(CorpusError, match=why):
        textgrid.write(tmp_path / "a.TextGrid", spans, duration)
    assert not list(tmp_path.iterdir())


def test_a_command_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from relviz import corpora

    spoken = corpora.spoken(("Male1",), ("Go now.", "We see you."))
    silent = [*spoken, corpora.Utterance("mute", "m", "0")]
    loaded = corpora.SpeechCorpus(tuple(silent), corpora.Source("synthetic"))
    monkeypatch.setattr(corpora, "load", lambda *_: loaded)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "grids"
    line = ["data", "align", "mini-librispeech", "--out", str(out), "--jobs", "1"]
    assert cli.main(line) == 0
    printed = capsys.readouterr()
    assert printed.out == f"2 TextGrids are in {out}, 1 are left out\n"
    assert "mute is left out: no transcript." in printed.err
    labels = [row[2] for row in read(out / f"{spoken[0].name}.TextGrid")]
    assert [label for label in labels if label != "SIL"] == ["G", "OW", "N", "AW"]
    monkeypatch.undo()
    assert cli.main(["data", "align", "aev", "--out", str(out)]) == 2  # vowels, no utterances
    assert 'Choose from: "mini-librispeech", "' in capsys.readouterr().err
