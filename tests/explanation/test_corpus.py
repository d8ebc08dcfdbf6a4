"""A folder to a dataset, on real Dask clusters, whoever is killed on the way."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import relviz.results
from relviz import corpora
from relviz._errors import ParameterError
from relviz.cli import main
from relviz.explanation import asked, explain, explain_folder

COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six short recordings, one of them below, and one that is none."""
    place = tmp_path_factory.mktemp("corpus")
    (place / "b elow").mkdir()
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        f0, formants = 100 + 20 * i, (400 + 50 * i, 1400, 2500)
        wave = corpora.vowel(f0, formants, duration=0.5)
        wave = wave + 1e-3 * rng.standard_normal(len(wave))
        soundfile.write(place / ("b elow" if i == 3 else "") / f"{i}.wav", wave, 16000)
    (place / "bad.wav").write_text("no sound")
    (place / "notes.txt").write_text("no recording")
    return place


@pytest.fixture(scope="module")
def right(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("right")
    done = explain_folder(folder, out, effects=False, jobs=1)
    assert done == (COUNT, pytest.approx(0.5 * COUNT), 1)
    return relviz.results.open(out)


def same(one: relviz.results.Results, other: relviz.results.Results) -> bool:
    return one.recordings().equals(other.recordings()) and one.frames().equals(other.frames())


def test_rows_are_those_of_one_recording_explained(folder, right):
    said = explain(folder / "2.wav", effects=False)
    frames = right.frames()
    frames = frames[frames["path"] == "2.wav"]
    assert np.allclose(frames["time"], said.times)
    assert list(frames["class"]) == list(said.frames["class"])
    assert np.allclose(frames["posterior"], said.frames["posterior"], atol=1e-6)
    for cue in ("f0", "f1", "f2", "f3"):
        for of in ("recording", "relevance"):
            one, other = frames[f"{cue}_{of}"], said.frames[f"{cue} {of}"]
            assert np.allclose(one, other, rtol=1e-4, equal_nan=True), (cue, of)
    row = right.recordings().set_index("path").loc["2.wav"]
    assert row["seconds"] == pytest.approx(0.5)
    assert row["f0_agreement"] == pytest.approx(said.agreement.loc["relevance", "f0"])
    assert row.filter(like="band_").sum() == pytest.approx(1, abs=1e-5)


def test_failures_have_their_reason(right):
    failed = right.failures()
    assert list(failed["path"]) == ["bad.wav"]
    assert "cannot be read as audio" in failed["reason"][0]


def test_one_that_breaks_the_analysis_does_not_end_the_others(folder, tmp_path, monkeypatch):
    from relviz.explanation import corpus

    analysed = corpus._analysed

    turns = itertools.count()

    def broken(about, job, wave):
        if next(turns) == 2:
            raise KeyError("f9")
        return analysed(about, job, wave)

    monkeypatch.setattr(corpus, "_analysed", broken)
    done = explain_folder(folder, tmp_path, effects=False, jobs=1)
    assert (done.explained, done.failed) == (COUNT - 1, 2)
    assert "KeyError: 'f9'" in list(relviz.results.open(tmp_path).failures()["reason"])


def test_the_layout_is_plain_parquet_with_its_version(right):
    import pyarrow.dataset as ds

    assert right.settings["schema"] == relviz.results.SCHEMA
    for kind, schema in (
        ("frames", relviz.results.frames_schema()),
        ("files", relviz.results.recordings_schema()),
    ):
        found = ds.dataset(right.folder / kind, format="parquet", partitioning="hive")
        assert found.schema.names[:-1] == schema.names
        assert found.schema.metadata[b"relviz"] == b"1"
    assert right.lazy("files").compute()["path"].nunique() == COUNT
    assert len(right.lazy()) == len(right.frames())


def test_called_again_it_does_what_is_missing_and_what_changed(folder, tmp_path, right):
    import shutil

    copy, out = tmp_path / "corpus", tmp_path / "out"
    shutil.copytree(folder, copy)
    explain_folder(copy, out, effects=False, jobs=1)
    written = {path: path.stat().st_mtime_ns for path in out.rglob("bucket=*/*.parquet")}
    gone = sorted((out / "files").rglob("*.parquet"))[0]
    gone.unlink()
    soundfile.write(copy / "0.wav", corpora.vowel(200, (500, 1500, 2500), duration=0.6), 16000)
    done = explain_folder(copy, out, effects=False, jobs=1)
    assert done.explained == COUNT
    changed = [path for path, at in written.items() if path.stat().st_mtime_ns != at]
    assert len(changed) in (2, 4)  # two files each of what is gone and what changed, or of both
    assert relviz.results.open(out).recordings().set_index("path").loc["0.wav", "seconds"] == 0.6


def test_two_ways_are_not_mixed(folder, right):
    with pytest.raises(ParameterError, match="begun with another method: give what it was begun"):
        explain_folder(folder, right.folder, method="gradient", effects=False, jobs=1)
    with pytest.raises(ParameterError, match="begun with another network and weights"):
        explain_folder(folder, right.folder, "phones-1", effects=False, jobs=1)


def test_short_recordings_are_padded_if_asked_for(folder, tmp_path):
    net = asked(lambda x: x.relu()[:, :3], window=12000, sample_rate=16000)
    refused = explain_folder(folder, tmp_path / "a", net, effects=False, jobs=1)
    assert refused.explained == 0
    reasons = relviz.results.open(tmp_path / "a").failures()["reason"]
    assert (
        reasons.str.contains(r"fewer than the 12000 that <lambda> hears: .* \(--pad\)").sum() == 6
    )
    done = explain_folder(folder, tmp_path / "b", net, effects=False, jobs=1, pad=True)
    assert done.explained == COUNT
    one = explain(folder / "2.wav", net, effects=False, pad=True)
    frames = relviz.results.open(tmp_path / "b").frames()
    frames = frames[frames["path"] == "2.wav"]
    assert np.allclose(frames["posterior"], one.frames["posterior"], atol=1e-6)
    for pad, out in ((False, "b"), (True, "a")):
        with pytest.raises(ParameterError, match="begun with another pad"):
            explain_folder(folder, tmp_path / out, net, effects=False, jobs=1, pad=pad)


def test_a_slow_network_is_told_before(folder, tmp_path, monkeypatch):
    from relviz.explanation import corpus

    lines = []
    monkeypatch.setattr(corpus, "forecast_of", lambda *a, **k: 3600.0)
    monkeypatch.setattr(corpus, "_explained", lambda *a: pytest.fail("not yet") if not lines else 1)
    with pytest.raises(TypeError):  # what the stand-in gives is no answer
        explain_folder(folder, tmp_path, effects=False, jobs=1, progress=True, say=lines.append)
    assert lines == ["about 7 h of phones for 7 recordings"]


def test_refusals(tmp_path, folder):
    with pytest.raises(ParameterError, match="is not a folder"):
        explain_folder(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="holds no recordings: they end in"):
        explain_folder(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ParameterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        explain_folder(folder, tmp_path / "other", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ParameterError, match=r"holds no dataset\.json"):
        relviz.results.open(tmp_path)
    for text in ("no json", "[]"):
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(ParameterError, match=r"holds no dataset\.json|version None of the"):
            explain_folder(folder, tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(ParameterError, match="version 99 of the layout"):
        relviz.results.open(tmp_path)


def test_a_stretch_is_analysed_as_the_whole(tmp_path, monkeypatch):
    """Relevance and posteriors know no seams where a recording is taken in parts."""
    from relviz.explanation import corpus

    rng = np.random.default_rng(1)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/long.wav", 0.1 * rng.standard_normal(40_000), 16000)
    explain_folder(tmp_path / "in", tmp_path / "whole", effects=False, jobs=1)
    monkeypatch.setattr(corpus, "LONGEST", 0.7)
    explain_folder(tmp_path / "in", tmp_path / "parts", effects=False, jobs=1)
    one, other = (relviz.results.open(tmp_path / name).frames() for name in ("whole", "parts"))
    assert np.allclose(one["time"], other["time"])
    assert np.allclose(one["posterior"], other["posterior"], atol=1e-6)
    assert np.allclose(one["f1_relevance"], other["f1_relevance"], rtol=1e-5, equal_nan=True)


def test_signals_are_written_as_flac(tmp_path, folder):
    explain_folder(folder, tmp_path, effects=False, signals=True, jobs=1)
    heard = sorted((tmp_path / "signals").rglob("*.flac"))
    assert len(heard) == COUNT
    samples, rate = soundfile.read(heard[0])
    assert rate == 16000
    assert abs(samples).max() == pytest.approx(1, abs=1e-4)


MINE = """
import torch
from torch import nn
class Net(nn.Module):
    sample_rate, window = 8000, 800
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 3, 80, 40)
    def forward(self, x):
        return torch.relu(self.conv(x[:, None])).mean(-1)
"""


@pytest.mark.slow
def test_a_local_cluster_and_a_network_of_ones_own(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_of_tests.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    arguments = ["explain", str(folder), "--network", "own_of_tests:Net", "--method", "gradient"]
    assert main([*arguments, "--out", "heard", "--no-effects", "--jobs", "2"]) == 1
    said = capsys.readouterr()
    assert f"heard: {COUNT} recordings" in said.out
    assert "1 recordings were not explained: see heard/failures.parquet" in said.err
    found = relviz.results.open(tmp_path / "heard")
    assert found.settings["sample_rate"] == 8000
    assert len(found.recordings()) == COUNT


class Cluster:
    """`dask scheduler` and two `dask worker`, as processes that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, folder / "scheduler.json"
        self.start_scheduler()
        self.workers = [self.worker() for _ in range(2)]

    def start(self, *arguments: str) -> subprocess.Popen:
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], start_new_session=True, **quiet
        )

    def start_scheduler(self) -> None:
        self.address.unlink(missing_ok=True)
        file = ["--scheduler-file", str(self.address)]
        self.scheduler = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *file
        )
        for _ in range(600):
            if self.address.exists():
                self.url = json.loads(self.address.read_text())["address"]
                return
            time.sleep(0.1)
        raise TimeoutError("the scheduler did not start")

    def worker(self) -> subprocess.Popen:
        options = ["--nthreads", "1", "--nworkers", "1", "--no-dashboard"]
        return self.start("worker", self.url, *options, "--local-directory", str(self.folder))

    def kill(self, process: subprocess.Popen) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        for process in (self.scheduler, *self.workers):
            if process.poll() is None:
                self.kill(process)


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.end()


def called(folder: Path, out: Path, url: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "relviz.cli", "explain", str(folder), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--no-effects", "--scheduler", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(out: Path, process: subprocess.Popen) -> None:
    """Wait until a recording is done."""
    for _ in range(1200):
        if list(out.glob("files/*/*.parquet")) or process.poll() is not None:
            return
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "scheduler", "client"])
def test_whoever_is_killed_the_dataset_is_the_same(victim, folder, right, cluster, tmp_path):
    out = tmp_path / "out"
    process = called(folder, out, cluster.url)
    begun(out, process)
    if victim == "worker":
        cluster.kill(cluster.workers[0])
    elif victim == "scheduler":
        cluster.kill(cluster.scheduler)
    else:
        process.kill()
    said, error = process.communicate(timeout=300)
    if victim == "worker":
        assert process.returncode == 1  # for bad.wav alone
        assert f"{COUNT} recordings" in said
    elif victim == "scheduler" and process.returncode is not None:
        cluster.end()
        cluster.start_scheduler()
        cluster.workers = [cluster.worker()]
        assert re.search("scheduler went away|not explained", error), error
    again = called(folder, out, cluster.url)
    said, error = again.communicate(timeout=300)
    assert again.returncode == 1, error
    assert "1 recordings were not explained" in error
    assert same(relviz.results.open(out), right)
    assert list(relviz.results.open(out).failures()["path"]) == ["bad.wav"]


@pytest.mark.slow
def test_ctrl_c_leaves_what_is_done(folder, right, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "relviz.cli", "explain", str(folder), "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--no-effects", "--jobs", "2"], stderr=subprocess.PIPE, text=True
    )
    begun(out, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode in (1, 130)
    assert "Traceback" not in error
    explain_folder(folder, out, effects=False, jobs=1)
    assert same(relviz.results.open(out), right)
