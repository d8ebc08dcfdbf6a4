"""A folder to a dataset, on real Dask clusters, whoever is killed on the way."""

import errno
import itertools
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

import relviz.results
from relviz import corpora
from relviz._errors import ParameterError, WriteError
from relviz.cli import main
from relviz.explanation import asked, corpus, explain, explain_folder
from tools import cluster

COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six short recordings, one of them below, and one that is none."""
    place = tmp_path_factory.mktemp("corpus")
    cluster.recordings(place, COUNT)
    (place / "notes.txt").write_text("no recording")
    return place


@pytest.fixture(scope="module")
def right(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("right")
    done = explain_folder(folder, out, effects=False, jobs=1)
    assert done == (COUNT, pytest.approx(0.5 * COUNT), 1, 0)
    return relviz.results.open(out)


def same(one: relviz.results.Results, other: relviz.results.Results) -> bool:
    return one.recordings().equals(other.recordings()) and one.frames().equals(other.frames())


@pytest.mark.slow
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


@pytest.mark.slow
def test_failures_have_their_reason(right):
    failed = right.failures()
    assert list(failed["path"]) == ["bad.wav"]
    assert "cannot be read as audio" in failed["reason"][0]


@pytest.mark.slow
def test_one_that_breaks_the_analysis_does_not_end_the_others(folder, tmp_path, monkeypatch):
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_lazy_views_hold_the_same_whatever_buckets_are_called(right, tmp_path):
    """Some are all digits, which Dask reads as numbers where it may."""
    import pyarrow.parquet as pq

    shutil.copy(right.folder / "dataset.json", tmp_path)
    for kind in ("files", "frames"):
        for i, path in enumerate(sorted((right.folder / kind).rglob("*.parquet"))):
            bucket = tmp_path / kind / f"bucket={('00', '12', '1e')[i % 3]}"
            bucket.mkdir(parents=True, exist_ok=True)
            pq.write_table(pq.read_table(path, partitioning=None), bucket / path.name)
    found = relviz.results.open(tmp_path)
    assert list(found.lazy().columns) == relviz.results.frames_schema().names
    means = found.lazy().groupby("class")["posterior"].mean().compute()
    expected = right.frames().groupby("class")["posterior"].mean()
    assert np.allclose(means.sort_index(), expected.sort_index())
    whole = found.lazy("files").compute().sort_values("path", ignore_index=True)
    assert np.allclose(whole["seconds"], right.recordings()["seconds"])
    assert list(whole["path"]) == list(right.recordings()["path"])


@pytest.mark.slow
def test_called_again_it_does_what_is_missing_and_what_changed(folder, tmp_path, right):
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


@pytest.mark.slow
def test_what_is_no_longer_there_stays_until_it_is_pruned(folder, tmp_path):
    copy, out, said = tmp_path / "corpus", tmp_path / "out", []
    shutil.copytree(folder, copy)
    again = partial(explain_folder, copy, out, effects=False, signals=True, jobs=1, say=said.append)
    assert again() == (COUNT, 0.5 * COUNT, 1, 0)
    (copy / "4.wav").unlink()
    (copy / "0.wav").write_text("no sound any more")
    assert again() == (COUNT - 1, 0.5 * (COUNT - 1), 2, 1)  # of another 0.wav, no row is true
    assert said == [
        "no longer in the folder: 1 recordings, such as 4.wav; their rows are kept, and --prune "
        "removes them."
    ]
    assert list(relviz.results.open(out).failures()["path"]) == ["0.wav", "bad.wav"]
    assert again(prune=True) == (COUNT - 2, 0.5 * (COUNT - 2), 2, 0)
    left = relviz.results.open(out)
    assert set(left.recordings()["path"]) == {"1.wav", "2.wav", "5.wav", "b elow/3.wav"}
    assert len(left.lazy()) == len(left.frames())
    assert len(list(out.rglob("*.flac"))) == COUNT - 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such name")
def test_a_name_may_have_any_bytes(folder, tmp_path):
    (tmp_path / "in").mkdir()
    for source, name in (("0.wav", b"caf\xe9.wav"), ("bad.wav", b"b\xe4d.wav")):
        shutil.copy(folder / source, tmp_path / "in" / os.fsdecode(name))
    for _ in range(2):
        assert explain_folder(tmp_path / "in", tmp_path / "out", effects=False, jobs=1)[2:] == (
            1,
            0,
        )
    found = relviz.results.open(tmp_path / "out")
    assert list(found.recordings()["path"]) == [r"caf\xe9.wav"]
    assert list(found.failures()["path"]) == [r"b\xe4d.wav"]


def test_a_folder_that_cannot_be_read_is_not_passed_over(folder, tmp_path, monkeypatch):
    scandir = os.scandir

    def refused(path):
        if os.fspath(path).endswith("b elow"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(ParameterError, match=r"b elow cannot be read \(permission denied\): allow"):
        explain_folder(folder, tmp_path, jobs=1)


def test_drafts_of_the_killed_are_no_rows_and_go(folder, right, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(right.folder, out)
    old, young = (out / f"frames/bucket=00/.{i}.parquet.1-1.part" for i in range(2))
    old.parent.mkdir(exist_ok=True)
    for draft in (old, young):
        draft.write_bytes(b"PAR1 and no more")
    os.utime(old, (0, 0))
    found = relviz.results.open(out)
    assert same(found, right) and len(found.lazy()) == len(right.frames())
    explain_folder(folder, out, effects=False, jobs=1)
    assert young.exists() and not old.exists()


def test_two_ways_are_not_mixed(folder, right):
    with pytest.raises(ParameterError, match="begun with another method: give what it was begun"):
        explain_folder(folder, right.folder, method="gradient", effects=False, jobs=1)
    with pytest.raises(ParameterError, match="begun with another network and weights"):
        explain_folder(folder, right.folder, "phones-1", effects=False, jobs=1)


@pytest.mark.slow
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
    lines = []
    monkeypatch.setattr(corpus, "forecast_of", lambda *a, **k: 3600.0)
    monkeypatch.setattr(corpus, "_explained", lambda *a: pytest.fail("not yet") if not lines else 1)
    with pytest.raises(TypeError):  # what the stand-in gives is no answer
        explain_folder(folder, tmp_path, effects=False, jobs=1, progress=True, say=lines.append)
    assert lines == ["about 7 h of phones for 7 recordings"]


@pytest.mark.slow
def test_refusals(tmp_path, folder, monkeypatch):
    with pytest.raises(ParameterError, match="is not a folder"):
        explain_folder(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="holds no recordings: they end in"):
        explain_folder(tmp_path / "empty", tmp_path / "out")
    for memory in (0.5, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match=r"memory is \S+ GB: give a worker at least 1, or"):
            explain_folder(folder, tmp_path / "other", memory=memory)
    monkeypatch.setattr(corpus, "_PATIENCE", "1s")
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


@pytest.mark.slow
def test_a_stretch_is_analysed_as_the_whole(tmp_path, monkeypatch):
    """Relevance and posteriors know no seams where a recording is taken in parts."""
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


@pytest.mark.slow
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
    tornado, told = logging.getLogger("tornado.application"), []
    # asked for while the cluster runs
    monkeypatch.setattr(
        corpus, "_has_dashboard", lambda: told.append(tornado.isEnabledFor(logging.ERROR))
    )
    arguments = ["explain", str(folder), "--network", "own_of_tests:Net", "--method", "gradient"]
    assert main([*arguments, "--out", "heard", "--no-effects", "--jobs", "2"]) == 1
    assert told == [False] and tornado.isEnabledFor(logging.ERROR)
    said = capsys.readouterr()
    assert f"heard: {COUNT} recordings" in said.out
    assert "1 recordings were not explained: see heard/failures.parquet" in said.err
    found = relviz.results.open(tmp_path / "heard")
    assert found.settings["sample_rate"] == 8000
    assert len(found.recordings()) == COUNT


def begun(out: Path, process: subprocess.Popen) -> None:
    """Wait until a recording is done."""
    for _ in range(1200):
        if list(out.glob("files/*/*.parquet")) or process.poll() is not None:
            return
        time.sleep(0.05)


def command(folder: Path, out: Path, *options: str) -> list[str]:
    words = [sys.executable, "-m", "relviz.cli", "explain", str(folder), "--out", str(out)]
    return [*words, "--no-effects", *options]


def without_bar(error: str) -> list[str]:
    lines = [line for line in error.splitlines() if line and not line.startswith("explain:")]
    # how long it will take is said where that is long, as on a busy machine
    return [line for line in lines if not line.startswith(("dashboard:", "about "))]


@pytest.mark.slow
def test_of_two_calls_at_once_one_is_refused(folder, right, tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen(
        command(folder, out, "--jobs", "1"), stderr=subprocess.PIPE, text=True
    ) as first:
        while not (out / "dataset.json").exists() and first.poll() is None:
            time.sleep(0.01)
        with pytest.raises(WriteError, match="another call is writing this dataset: wait for it"):
            explain_folder(folder, out, effects=False, jobs=1)
        assert "1 recordings were not explained" in first.communicate()[1]
    assert same(relviz.results.open(out), right)


LIMITED = """
import resource, sys
from relviz.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_what_a_disk_does_not_take_ends_it_in_one_sentence(folder, right, tmp_path):
    """By the limit of a file's size, which every machine can set; nothing is half written."""
    words = command(folder, tmp_path, "--jobs", "1")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *words[3:]], capture_output=True, text=True
    )
    assert done.returncode == 1 and not done.stdout
    said = r"relviz: \S+\.parquet cannot be written \(file too large\): choose another place\."
    (line,) = without_bar(done.stderr)
    assert re.fullmatch(said, line), line
    assert list(tmp_path.rglob("*.part*")) == []
    explain_folder(folder, tmp_path, effects=False, jobs=1)
    assert same(relviz.results.open(tmp_path), right)


DISK = """
import json, os, shutil, subprocess, sys
disk, copy, words = sys.argv[1], sys.argv[2], sys.argv[3:]
mount = ["mount", "-t", "tmpfs", "-o"]
if subprocess.run([*mount, "size=100k", "tmpfs", disk], capture_output=True).returncode:
    sys.exit(77)
said = []
for size in ("100k", "100m"):
    subprocess.run([*mount, f"remount,size={size}", "tmpfs", disk], check=True)
    done = subprocess.run(words, capture_output=True, text=True)
    words[-1] = "1"  # going on needs no cluster, which takes seconds to start
    said.append((done.returncode, done.stdout, done.stderr))
    shutil.copytree(os.path.join(disk, "out"), os.path.join(copy, size))
print(json.dumps(said))
"""


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_full_disk_ends_it_in_one_sentence(jobs, folder, right, tmp_path):
    """A small disk of its own, in a name space of its own, then the same disk with more room."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare: this system gives nobody a disk of one's own")
    disk = tmp_path / "disk"
    disk.mkdir()
    words = command(folder, disk / "out", "--signals", "--jobs", jobs)
    place = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", DISK]
    done = subprocess.run(
        [*place, str(disk), str(tmp_path), *words], capture_output=True, text=True
    )
    if done.returncode and not done.stdout:
        pytest.skip("this system gives nobody a disk of one's own")
    (code, out, error), again = json.loads(done.stdout)
    assert code == 1 and not out
    (line,) = without_bar(error)
    end = r"cannot be written \(no space left on device\): make room and run this again\."
    assert re.fullmatch(rf"relviz: \S+ {end}", line), line
    left = relviz.results.open(tmp_path / "100k").recordings()
    expected = right.recordings()
    assert len(left) < COUNT
    assert left.equals(expected[expected["path"].isin(left["path"])].reset_index(drop=True))
    assert again[0] == 1 and "1 recordings were not explained" in again[2]
    assert same(relviz.results.open(tmp_path / "100m"), right)
    assert len(list((tmp_path / "100m").rglob("*.flac"))) == COUNT


def test_workers_that_cannot_start(folder, tmp_path, monkeypatch):
    from dask import distributed

    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(distributed, "LocalCluster", full)
    with pytest.raises(WriteError, match=r"no workers can be started here \(no space left on dev"):
        explain_folder(folder, tmp_path, effects=False, jobs=2)


@pytest.mark.slow
def test_a_worker_that_reads_a_script_may_explain_by_itself(folder, right, tmp_path, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    explain_folder(folder, tmp_path, effects=False, jobs=1)
    assert same(relviz.results.open(tmp_path), right)
    with pytest.raises(ParameterError, match="this script starts workers, and each of them"):
        explain_folder(folder, tmp_path, effects=False, jobs=2)


@pytest.mark.slow
def test_a_script_that_its_own_workers_would_run_again(folder, tmp_path):
    words = f"from relviz.explanation import explain_folder\nexplain_folder({str(folder)!r}, 'out')"
    (tmp_path / "script.py").write_text(words)
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert 'put the call of explain_folder under if __name__ == "__main__":, or' in done.stderr
    *_, last = done.stderr.splitlines()
    assert re.search(
        r"no workers can be started .* and to what they said above, or use jobs 1\.$", last
    )


@pytest.mark.slow
def test_a_scheduler_without_workers_is_waited_for(folder, right, tmp_path):
    from dask.distributed import LocalCluster

    said = []
    with LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as workers:

        def hear(line):
            said.append(line)
            workers.scale(1)

        out = tmp_path / "out"
        explain_folder(folder, out, effects=False, scheduler=workers.scheduler_address, say=hear)
    assert said[-1] == "the scheduler has no workers: waiting for some (dask worker ADDRESS)"
    assert same(relviz.results.open(out), right)


HUNGRY = """
import time
import torch
from torch import nn
class Net(nn.Module):
    sample_rate, window, normalise = 8000, 800, "none"
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 3, 80, 40)
    def forward(self, x):
        if 0.9 < x.abs().max() < 1:  # and not the noise with which a network is asked
            more = torch.ones(400_000_000)
            time.sleep(60)
        return torch.relu(self.conv(x[:, None])).mean(-1)
"""


@pytest.mark.slow
def test_a_worker_that_takes_too_much_ends_nobody_elses_work(folder, tmp_path, monkeypatch):
    """The one that needs it is listed, and those that waited in the same worker are not."""
    monkeypatch.setattr(corpus, "_DEATHS", 0)
    (tmp_path / "hungry_of_tests.py").write_text(HUNGRY)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i in range(4):
        wave, rate = soundfile.read(folder / f"{i if i != 3 else 4}.wav")
        soundfile.write(f"in/{i}.wav", wave / abs(wave).max() * (0.99 if i == 1 else 0.5), rate)
    given = dict(method="gradient", effects=False, jobs=2, memory=1.2, say=lambda _: None)
    done = explain_folder("in", "out", "hungry_of_tests:Net", **given)
    assert (done.explained, done.failed) == (3, 1)
    failed = relviz.results.open("out").failures()
    assert list(failed["path"]) == ["1.wav"]
    assert "the worker died each time it was tried: too little memory" in failed["reason"][0]


@pytest.mark.slow
def test_ctrl_c_leaves_what_is_done(folder, right, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(folder, out, "--jobs", "2"), stderr=subprocess.PIPE, text=True
    )
    begun(out, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode in (1, 130)
    assert "Traceback" not in error, error
    explain_folder(folder, out, effects=False, jobs=1)
    assert same(relviz.results.open(out), right)
