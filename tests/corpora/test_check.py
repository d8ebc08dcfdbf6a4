"""What `relviz data check` says of a corpus in which one thing of each kind is wrong."""

import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from relviz import cli
from relviz.corpora import CorpusError, locate
from relviz.corpora.check import check
from tools import malformed

RNG = np.random.default_rng(0)


def sound(path: Path, wave: np.ndarray, rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LibriSpeech with a good recording, and each thing that may be wrong with one."""
    monkeypatch.setenv("RELVIZ_DATA", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    top = tmp_path / "mine" / "LibriSpeech"
    folder = top / "dev-clean" / "84" / "1"
    noise = 0.1 * RNG.standard_normal(32000)
    sound(folder / "84-1-0000.flac", noise)
    sound(folder / "84-1-0001.flac", np.clip(20 * noise, -1, 1))
    sound(folder / "84-1-0002.flac", noise[:8000], 8000)
    sound(folder / "84-1-0003.flac", np.zeros(16000))
    sound(folder / "84-1-0004.flac", noise)
    sound(folder / "84-1-0006.flac", noise)
    whole = (folder / "84-1-0004.flac").read_bytes()
    (folder / "84-1-0004.flac").write_bytes(whole[: len(whole) // 2])
    (folder / "84-1.trans.txt").write_text(
        "84-1-0000 HELLO THERE\n84-1-0001 THE JABBERWOCK\n84-1-0002 JABBERWOCK TOVES\n"
        "84-1-0003 YES\n84-1-0004 YES\n84-1-0005 NOT HERE\n"
    )
    return tmp_path / "mine"


def test_everything_that_is_wrong_is_said(root: Path) -> None:
    report = check("mini-librispeech", ["dev-clean"], root, jobs=1)
    found = {each.name[-4:]: each for each in report.recordings}
    assert list(found) == ["0000", "0001", "0002", "0003", "0004", "0006"]
    assert report.speakers == 1 and not report.usable
    assert found["0000"].seconds == pytest.approx(2) and found["0000"].clipped == 0
    assert found["0000"].level == pytest.approx(-20, abs=0.2)
    assert 0.2 < found["0001"].clipped < 0.7
    assert found["0002"].sample_rate == 8000 and found["0002"].seconds == pytest.approx(1)
    assert "0003.flac is silent" in found["0003"].wrong
    assert "0004.flac" in found["0004"].wrong and np.isnan(found["0004"].seconds)
    assert report.skipped == {
        "84-1-0001": "not in the dictionary: jabberwock",
        "84-1-0002": "not in the dictionary: jabberwock, toves",
        "84-1-0006": "no transcript",
    }
    assert report.unknown == {"jabberwock": 2, "toves": 1}
    assert "dev-clean/84/1/84-1-0005.flac" in report.missing
    own = check(
        "mini-librispeech", ["dev-clean"], root, {"jabberwock": ("K",), "toves": ("T",)}, jobs=1
    )
    assert own.skipped == {"84-1-0006": "no transcript"}


def test_the_command_lists_it_and_its_status_says_so(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = ["data", "check", "mini-librispeech", "--root", str(root), "--jobs", "1", "--most", "1"]
    assert cli.main(line) == 1
    printed = capsys.readouterr()
    assert printed.err.endswith(
        "relviz: 2 files of mini-librispeech cannot be used: they are listed last.\n"
    )
    assert "mini-librispeech: 100%" in printed.err
    out = printed.out
    assert out.startswith("Recordings: LibriSpeech (Panayotov et al., 2015), from the folder given")
    for words in (
        "6 recordings of 1 speakers, 0.00 h",
        "8000 Hz: 1, 16000 Hz: 3",
        "clipped            1: 84-1-0001 (",
        "  jabberwock (2)\n  and 1 more",
        "left out of phones 3:\n",
    ):
        assert words in out
    # of what cannot be used, nothing is left out
    last = out.partition("cannot be used     2:")[2]
    assert "0003.flac" in last and "0004.flac" in last
    assert "RELVIZ_DATA" not in out + printed.err
    own = tmp_path / "own.dict"
    own.write_text("TOVES T OW V Z\nJABBERWOCK\n")
    assert cli.main([*line, "--dictionary", str(own)]) == 1
    assert f"{own}, line 2: 'JABBERWOCK' has no phones" in capsys.readouterr().err


def test_what_is_only_missing_or_left_out_is_no_failure(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in ("0003", "0004"):
        (root / "LibriSpeech/dev-clean/84/1" / f"84-1-{number}.flac").unlink()
    line = ["data", "check", "mini-librispeech", "--root", str(root), "--jobs", "1"]
    assert cli.main(line) == 0
    assert "cannot be used     0" in capsys.readouterr().out


def test_annotations_are_read_too(tmp_path: Path) -> None:
    for name in ("sx1", "sx2"):
        path = tmp_path / "timit-sample" / "dr1-faaa0" / f"{name}.wav"
        sound(path, 0.1 * RNG.standard_normal(16000))
        path.with_suffix(".phn").write_text("0 16000 h#\n")
    path.with_suffix(".phn").write_text("")
    report = check("timit-sample", root=tmp_path, jobs=1)
    wrong = [each.wrong for each in report.recordings if each.wrong]
    assert wrong == [f"{path.with_suffix('.phn')} has no line: replace it by the file of LDC93S1."]
    assert "dr1-fvmh0/sx206.wav" in report.missing


@pytest.mark.slow
def test_nothing_to_check(nowhere: Path, tmp_path: Path) -> None:
    for name, way in (("mini-librispeech", "fetch mini-librispeech"), ("aev", "fetch aev")):
        with pytest.raises(CorpusError, match=f"is not here, so .*: run `relviz data {way}`"):
            check(name)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["aev", "timit-sample"])
def test_real_recordings(name: str) -> None:
    if locate(name) is None:
        pytest.skip(f"no recordings: set RELVIZ_DATA or run `relviz data fetch {name}`")
    report = check(name, jobs=1)
    assert report.usable and not report.skipped
    assert {each.sample_rate for each in report.recordings} == {16000}
    assert all(-60 < each.level < 0 and each.seconds > 0.1 for each in report.recordings)


def test_what_strangers_wrote_is_listed_and_not_obeyed(root: Path) -> None:
    """A transcript may speak of recordings that no file can be, and of words for a terminal."""
    transcript = next(root.rglob("*.trans.txt"))
    said = transcript.read_text() + "/etc/passwd A B\n../../x A\n84-1-\x1b[2J A\n"
    transcript.write_text(said)
    report = check("mini-librispeech", ["dev-clean"], root, jobs=1)
    assert {f"dev-clean/84/1/{name}.flac" for name in ("/etc/passwd", "../../x")} <= {
        *report.missing
    }
    lines = report.lines()
    assert all(line.isprintable() for line in lines)
    assert any(line.endswith(r"84-1-\x1b[2J.flac") for line in lines)


def test_a_vowel_whose_recording_ends_before_it(tmp_path: Path) -> None:
    """The command of tools/malformed.py has whole tables, and recordings of a second."""
    files, _ = malformed.whole("tables", random.Random(0))
    files["men/m01ah.wav"] = malformed.sound("wav", 0.3)
    malformed.write(tmp_path, files)
    report = check("aev", root=tmp_path, jobs=1)
    wrong = {each.name: each.wrong for each in report.recordings if each.wrong}
    table = tmp_path / "timedata.dat"
    assert set(wrong) == {"m01ah"}
    assert wrong["m01ah"].startswith(
        f"{tmp_path / 'men' / 'm01ah.wav'} ends at 0.300 s, but {table}, line 2, says that its "
    )
