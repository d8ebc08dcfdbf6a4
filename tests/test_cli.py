"""`relviz` on the command line, as a user would type it."""

import subprocess
import sys

import pandas as pd
import pytest

from relviz import __version__, cli
from relviz.networks import PHONE_CNN, SPEAKER_CNN
from relviz.studies import vowels as study


def test_help_teaches(capsys):
    for arguments in (["--help"], ["evaluate", "vowels", "--help"], ["data", "fetch", "--help"]):
        with pytest.raises(SystemExit) as done:
            cli.main(arguments)
        assert done.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "examples:" in text and "untrained networks" in text and "goes on with" in text


def test_as_an_installed_command():
    done = subprocess.run(
        [sys.executable, "-m", "relviz.cli", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.strip() == f"relviz {__version__}"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_evaluate_vowels(suffix, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / f"table2.{suffix}"
    arguments = ["evaluate", "vowels", "--talkers", "1", "--seeds", "1", "--full", "-o", str(path)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr()
    assert "Synthetic speech" in printed.err and "signals x tokens" in printed.err
    assert f"cells in {path}" in printed.err
    for row in ("paper (GBP, TIMIT)", "original recording", "untrained, gradient, one window"):
        assert row in printed.out
    table = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    assert set(table["vowel"]) == {"ah", "eh", "iy", "oa", "uw", "mean"}
    assert table["accuracy"].between(0, 1).all() and list(tmp_path.glob("*.part")) == []


def test_trained_networks_stand_beside_controls_of_their_own_shape(monkeypatch, tmp_path, capsys):
    seen = {}

    def table2(signals, corpus, **options):
        seen.update(signals)
        return study.score(study.estimates({"original": study.original}, corpus, jobs=1))

    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(study, "table2", table2)
    few = ["evaluate", "vowels", "--talkers", "1", "--seeds", "2", "--network"]
    assert cli.main([*few, "phones"]) == 0
    for name, count in (("phones", 3), ("phones-shuffled", 3), ("untrained", 2)):
        assert len(seen[f"{name}, GBP, hop 97"]) == len(seen[f"{name}, gradient, hop 97"]) == count
    assert seen["untrained, GBP, hop 97"][0].net.architecture == PHONE_CNN
    seen.clear()
    assert cli.main([*few, "speakers"]) == 0
    assert seen["untrained, GBP, hop 97"][0].net.architecture == SPEAKER_CNN
    assert "phones-shuffled, GBP, hop 97" not in seen
    capsys.readouterr()
    assert "one at a time" in refused([*few, "phones", "--network", "speakers"], capsys)
    assert "nowhere is not there" in refused([*few, "nowhere"], capsys)


def refused(arguments, capsys):
    assert cli.main(arguments) == 1
    message = capsys.readouterr().err
    assert message.startswith("relviz: ") and message.count("\n") == 1
    return message


def test_refusals_are_one_sentence(monkeypatch, tmp_path, capsys):
    vowels = ["evaluate", "vowels", "-o"]
    assert "neither .csv nor .parquet" in refused([*vowels, "table.xls"], capsys)
    assert "is not a folder" in refused([*vowels, str(tmp_path / "no" / "t.csv")], capsys)
    (tmp_path / "t.csv").mkdir()
    assert "is a folder: name a file" in refused([*vowels, str(tmp_path / "t.csv")], capsys)
    monkeypatch.setenv("RELVIZ_DATA", str(tmp_path / "nowhere"))
    assert "nowhere" in refused(["data", "status"], capsys)
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "vowels", "--seeds", "0"])
    assert "0 is not 1 or more" in capsys.readouterr().err


def test_interrupt(monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_data_status", stop)
    assert cli.main(["data", "status"]) == 130
    assert capsys.readouterr().err == "relviz: stopped.\n"


def test_data_status(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("RELVIZ_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.main(["data", "status"]) == 0
    assert "aev: no recordings, synthetic speech stands in" in capsys.readouterr().out


def test_a_failed_write_leaves_no_half_table(tmp_path, monkeypatch):
    def full(table, path, **_):
        path.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match="No space"):
        cli._write(pd.DataFrame({"a": [1]}), tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []
