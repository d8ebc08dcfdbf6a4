"""A folder of recordings to a dataset: on this machine or a Dask cluster, whatever is killed.

A recording is done when its row lies under `files`, which is written last, whole or not at all. So
nothing need be remembered: whoever is killed, the same command looks at what is there and goes on,
and what was computed twice is the same file. Workers write to the dataset themselves, so that they
and whoever calls must see recordings and dataset under the same paths.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import multiprocessing
import os
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from relviz import __version__, audio, files, results, tasks
from relviz._errors import ParameterError, RelvizError, WriteError
from relviz._extras import hushed, require
from relviz._text import printable
from relviz.asking import Asked, asked
from relviz.attributions import Method
from relviz.explanation._names import RELEVANCE
from relviz.explanation.recording import (
    LONGEST,
    STEP,
    agreement_of,
    effects_of,
    forecast_of,
    frames_of,
    long_enough,
    posteriors_of,
)
from relviz.results import BANDS, CUES, SCHEMA, frames_schema, recordings_schema
from relviz.signals import LONG, relevance_blocks
from relviz.spectral import spectral_relevance

require("cloudpickle", "dask", "distributed", "pyarrow")

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEAST_MEMORY", "SUFFIXES", "Done", "explain_folder"]

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aiff", ".aif", ".sph")
"""Of recordings."""

_MARGIN = 0.2
"""Seconds around a stretch, beyond a window, so that it is analysed as the whole would be."""

_KINDS = ("files", "frames", "signals")
"""Of files in a dataset; a row under the first says that those under the others are whole."""

LEAST_MEMORY = 1.0
"""GB that a worker must be allowed."""

_BLOCK = 1 << 20
"""Samples of a signal that are encoded at a time."""

_DEATHS = 5
"""Of workers, that one recording is forgiven."""

_AHEAD = 4
"""Recordings a worker that a scheduler holds at a time: a hundred thousand would burden it."""

_PATIENCE = "10s"
"""How long a scheduler may take to answer."""


class Done(NamedTuple):
    """What a call has come to.

    Parameters
    ----------
    explained : int
        Recordings in the dataset.
    seconds : float
        Of all of them together.
    failed : int
        Recordings that cannot be explained, listed in failures.parquet.
    gone : int
        Of those explained, how many are no longer under the folder.

    Examples
    --------
    >>> Done(3, 12.5, 0).explained
    3
    """

    explained: int
    seconds: float
    failed: int
    gone: int = 0


@dataclass(frozen=True)
class _Job:
    """All that a recording's rows depend on, besides the recording and the network."""

    folder: str
    out: str
    method: Method
    hop_length: int
    effects: bool
    signals: bool
    pad: bool


def explain_folder(
    folder: str | Path,
    out: str | Path,
    net: str | Path | Callable[..., Any] | Asked = "phones",
    *,
    method: Method = "guided",
    hop_length: int = 97,
    effects: bool = True,
    signals: bool = False,
    pad: bool = False,
    scheduler: str | None = None,
    jobs: int = -1,
    memory: float | None = None,
    prune: bool = False,
    progress: bool = False,
    say: Callable[[str], object] = print,
) -> Done:
    """Explain every recording under a folder; called again, go on with what is missing.

    Parameters
    ----------
    folder : str or Path
        Recordings at any depth, by their names (`SUFFIXES`).
    out : str or Path
        The dataset, as `relviz.results.open` reads it. One network and one method go into one.
    net : str, Path, callable or Asked
        As in `asked`. It travels to each worker once.
    method : str
        A name, as in `relviz.relevance`.
    hop_length : int
        As in `relviz.relevance_signal`.
    effects : bool
        Also change one cue at a time, in the first minute of each recording.
    signals : bool
        Also write each relevance signal, as FLAC at the network's rate, its peak scaled to 1.
    pad : bool
        Take recordings that are shorter than the network's window, too: they stand between zeros.
    scheduler : str, optional
        Address of a Dask scheduler, such as "tcp://10.0.0.1:8786"; default, a cluster of this
        machine's cores.
    jobs : int
        Workers of that: -1 for one a core. Each has one thread. Where they are started by a script,
        the call must stand under ``if __name__ == "__main__":``, as each reads the script first.
    memory : float, optional
        GB that each of these may take, at least `LEAST_MEMORY`; default, what this machine has for
        each core. One that takes more is ended, and its recording listed as failed after some
        tries. With jobs 1 there is no limit, and on a cluster of yours it is that cluster's.
    prune : bool
        Also remove the rows of recordings that are no longer under the folder; default, they stay,
        and `say` hears of them.
    progress : bool
        Show a bar with the rate and the time left.
    say : callable
        Takes lines such as the dashboard's address.

    Returns
    -------
    Done
        What the dataset holds now, and how many recordings failed.

    Raises
    ------
    ParameterError
        For a folder without recordings or one that cannot be read, a dataset of other settings, and
        a scheduler that is not there or went away; what is done stays done.
    WriteError
        For a full disk, and for a dataset that another call is writing.

    Notes
    -----
    A recording is analysed a minute at a time, but decoded as a whole. A worker took 0.9 GB for
    recordings of half a minute (make bench), and 1.4 GB for an hour at 16 kHz in mono
    (benchmarks/memory.py); to decode an hour at 44.1 kHz in stereo takes 2.7 GB besides. `memory`
    bounds it.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> from relviz.corpora import vowel
    >>> corpus, out = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> soundfile.write(corpus / "ah.wav", vowel(120, (700, 1200, 2500)), 16000)
    >>> done = explain_folder(corpus, out / "heard", effects=False, jobs=1)
    >>> done.explained, done.failed
    (1, 0)
    """
    runs_again = getattr(multiprocessing.current_process(), "_inheriting", False)
    if runs_again and scheduler is None and jobs != 1:
        raise ParameterError(
            "this script starts workers, and each of them runs it again: put the call of "
            'explain_folder under if __name__ == "__main__":, or use jobs=1.'
        )
    about = net if isinstance(net, Asked) else asked(net)
    source, target = Path(folder).resolve(), files.folder(out).resolve()
    if memory is not None and not LEAST_MEMORY <= memory < math.inf:
        raise ParameterError(
            f"memory is {memory:g} GB: give a worker at least {LEAST_MEMORY:g}, or leave it out."
        )
    job = _Job(str(source), str(target), method, hop_length, effects, signals, pad)
    with files.alone(target, busy="another call is writing this dataset: wait for it to end."):
        _settle(target, about, job)
        found = _recordings(source, target)
        gone = _gone(found, job, prune, say)
        todo = [path for path in found if not _is_done(path, job)]
        if progress and todo and scheduler is None:
            _say_how_long(todo, about, job, jobs, say)
        failed = _run(todo, about, job, scheduler, jobs, memory, progress, say)
        return _end(target, failed, gone)


def _say_how_long(
    todo: list[str], about: Asked, job: _Job, jobs: int, say: Callable[[str], object]
) -> None:
    """Say how long the network will take, by some of the recordings, where that is long."""
    lengths = []
    for path in todo[:: -(-len(todo) // 20)]:
        try:
            lengths.append(audio.duration(Path(job.folder, path)))
        except audio.AudioError:  # it will be among the failures
            continue
    if not lengths:
        return
    mean = sum(lengths) / len(lengths)
    one = forecast_of(about, mean, job.method, job.hop_length, job.effects, controls=False)
    seconds = one * len(todo) / min(tasks.workers(jobs), len(todo))
    if seconds > LONG:
        say(f"{tasks.lasting(seconds)} of {about.name} for {len(todo)} recordings")


def _recordings(source: Path, out: Path) -> list[str]:
    """Paths below the folder, in order, but not those below `out` or a linked folder."""
    if not source.is_dir():
        raise ParameterError(f"{printable(str(source))} is not a folder: check the path.")

    def refuse(error: OSError) -> None:  # passed over, its recordings would be missed by nobody
        raise ParameterError(
            f"{printable(os.fspath(error.filename))} cannot be read "
            f"({(error.strerror or str(error)).lower()}): allow it, or move it elsewhere."
        ) from error

    found = []
    for place, folders, names in os.walk(source, onerror=refuse):
        folders[:] = sorted(each for each in folders if Path(place, each) != out)
        found += [
            os.path.relpath(os.path.join(place, name), source)
            for name in sorted(names)
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not found:
        raise ParameterError(
            f"{printable(str(source))} holds no recordings: they end in {', '.join(SUFFIXES)}."
        )
    return found


def _settle(out: Path, about: Asked, job: _Job) -> None:
    """Write what the dataset is made with, or refuse to mix two ways to make it."""
    settings = {
        "schema": SCHEMA,
        "network": about.name,
        "weights": _weights(about),
        "sample_rate": about.sample_rate,
        "window": about.window,
        "normalise": about.normalise,
        "method": job.method,
        "hop_length": job.hop_length,
        "effects": job.effects,
        "signals": job.signals,
        **({"pad": True} if job.pad else {}),
    }
    path = out / "dataset.json"
    if path.exists():
        before = results.open(out).settings
        keys = [*settings, *({"pad"} & before.keys() - settings.keys())]
        other = [key for key in keys if before.get(key) != settings.get(key)]
        if other:
            raise ParameterError(
                f"{printable(str(out))} was begun with another {' and '.join(other)}: give what it "
                "was begun with, or another --out."
            )
        return
    files.write_text(path, json.dumps(settings | {"relviz": __version__}, indent=1) + "\n")


def _weights(about: Asked) -> str | None:
    """SHA-256 of a network's numbers, where it has a state."""
    if not isinstance(about.net, torch.nn.Module):
        return None
    digest = hashlib.sha256()
    for name, value in about.net.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _place(job: _Job, kind: str, path: str, suffix: str = ".parquet") -> Path:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return Path(job.out, kind, f"bucket={name[:2]}", name + suffix)


def _gone(found: list[str], job: _Job, prune: bool, say: Callable[[str], object]) -> int:
    """Rows of recordings that are no longer there: keep and count, or remove them.

    Drafts of processes that were killed long ago go in any case.
    """
    import pyarrow.parquet as pq

    for bucket in Path(job.out).glob("*/bucket=*"):
        files.sweep(bucket, age=files.ABANDONED)
    known = {_place(job, "files", path).stem for path in found}
    rows = [
        row for row in Path(job.out, "files").glob("bucket=*/*.parquet") if row.stem not in known
    ]
    if rows and not prune:
        example = pq.read_table(min(rows), columns=["path"])["path"][0].as_py()
        say(
            f"no longer in the folder: {len(rows)} recordings, such as {printable(example)}; their "
            "rows are kept, and --prune removes them."
        )
        return len(rows)
    if prune:
        for kind in _KINDS:
            for each in Path(job.out, kind).glob("bucket=*/*.*"):
                if each.stem not in known and each.suffix in (".parquet", ".flac"):
                    files.remove(each)
    return 0


def _is_done(path: str, job: _Job) -> bool:
    """Whether a recording's row is there, and the recording is the one that was read for it."""
    import pyarrow.parquet as pq

    row = _place(job, "files", path)
    if not row.exists() or not _place(job, "frames", path).exists():
        return False
    try:
        kept = pq.read_table(row, columns=["bytes", "modified"]).to_pylist()[0]
        stat = os.stat(os.path.join(job.folder, path))
    except (OSError, ValueError, LookupError):
        return False
    return (kept["bytes"], kept["modified"]) == (stat.st_size, stat.st_mtime_ns)


def _run(
    todo: list[str],
    about: Asked,
    job: _Job,
    scheduler: str | None,
    jobs: int,
    memory: float | None,
    progress: bool,
    say: Callable[[str], object],
) -> dict[str, str]:
    """Explain recordings on a cluster; return why some could not be."""
    if not todo:
        return {}
    from tqdm.auto import tqdm

    payload = _packed(about)
    failed: dict[str, str] = {}
    with tqdm(total=len(todo), desc="explain", unit="recording", disable=not progress) as bar:
        if jobs == 1 and scheduler is None:  # no need of a cluster
            answers: Iterable[Any] = map(partial(_explained, _load(payload), job), todo)
        else:
            answers = _on_cluster(todo, payload, job, scheduler, jobs, memory, say)
        for path, reason in answers:
            if reason is not None:
                failed[path] = reason
            bar.update()
    return failed


def _packed(about: Asked) -> bytes:
    """The network for other processes; with the code of a module that only this folder has."""
    import cloudpickle

    module = sys.modules.get(about.name.partition(":")[0]) if ":" in about.name else None
    here = getattr(module, "__file__", None)
    installed = {sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")}
    if module is None or here is None or any(here.startswith(str(each)) for each in installed):
        return bytes(cloudpickle.dumps(about))
    cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(about))
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _on_cluster(
    todo: list[str],
    payload: bytes,
    job: _Job,
    scheduler: str | None,
    jobs: int,
    memory: float | None,
    say: Callable[[str], object],
) -> Iterator[tuple[str, str | None]]:
    import dask
    from dask.distributed import (
        CancelledError,
        Client,
        KilledWorker,
        LocalCluster,
        as_completed,
    )
    from distributed.comm.core import CommClosedError

    gone = (CancelledError, CommClosedError, TimeoutError)
    for part in ("client", "nanny", "scheduler", "worker"):  # one sentence will do
        logging.getLogger(f"distributed.{part}").setLevel(logging.CRITICAL)
    theirs = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    theirs["DASK_LOGGING__DISTRIBUTED"] = "critical"
    # a thread would not set what is read when a library loads; a worker's death is no failure of
    # the recording that it had until it has happened as often; and a worker that waited for memory
    # would wait for ever, since what it has is its recording's
    quiet = {
        "distributed.nanny.pre-spawn-environ": theirs,
        "distributed.scheduler.allowed-failures": _DEATHS,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.comm.timeouts.connect": _PATIENCE,
    }
    # Ctrl-C has distributed cancel what it waits for, which fails where that has not begun yet
    with dask.config.set(quiet), hushed("tornado.application", logging.CRITICAL):
        try:
            cluster: Any = scheduler or LocalCluster(
                n_workers=min(tasks.workers(jobs), len(todo)),
                threads_per_worker=1,
                memory_limit="auto" if memory is None else round(memory * 1e9),
                dashboard_address=":0",  # any free port: another cluster may have the usual one
            )
            client = Client(cluster)
        except (OSError, RuntimeError) as error:
            if scheduler is None:
                reason = getattr(error, "strerror", None)
                said = "" if reason else ", and to what they said above"
                raise WriteError(
                    f"no workers can be started here ({(reason or str(error)).lower().rstrip('.')})"
                    f": see to {tempfile.gettempdir()}, where they write{said}, or use jobs 1."
                ) from error
            raise ParameterError(
                f"no Dask scheduler answers at {scheduler}: start one there (dask scheduler), or "
                "leave --scheduler out."
            ) from error
        try:
            if client.dashboard_link and _has_dashboard():
                say(f"dashboard: {client.dashboard_link}")
            # a task and no scattered value: whoever dies, it can be computed anew
            loaded = client.submit(
                _load, payload, key=f"network-{hashlib.sha256(payload).hexdigest()}"
            )
            workers = sum(client.nthreads().values())
            if not workers:
                say("the scheduler has no workers: waiting for some (dask worker ADDRESS)")
            waiting = iter(todo)

            def ask(path: str) -> Any:
                return client.submit(_explained, loaded, job, path, pure=False)

            named = {}
            for path in islice(waiting, _AHEAD * max(workers, 1)):
                named[ask(path)] = path
            arriving = as_completed(list(named))
            deadly = []
            for future in arriving:
                path = named.pop(future)
                try:
                    yield future.result()
                except KilledWorker:
                    deadly.append(path)
                future.release()
                if (following := next(waiting, None)) is not None:
                    later = ask(following)
                    named[later] = following
                    arriving.add(later)
            for path in deadly:  # alone: others may only have waited where one of them was tried
                try:
                    yield ask(path).result()
                except KilledWorker:
                    yield path, "the worker died each time it was tried: too little memory?"
        except gone as error:
            raise ParameterError(
                "the scheduler went away: what is done is kept, and the same command goes on with "
                "the rest."
            ) from error
        finally:
            with suppress(TimeoutError):  # what was to be done is done, however they end
                client.close(timeout=5)
            if scheduler is None:
                with suppress(TimeoutError):
                    cluster.close(timeout=30)


def _has_dashboard() -> bool:
    from importlib.util import find_spec

    return find_spec("bokeh") is not None


def _load(payload: bytes) -> Asked:
    """The network in a worker, once: torch must leave the other cores to the other workers."""
    import cloudpickle

    torch.set_num_threads(1)
    about: Asked = cloudpickle.loads(payload)
    return about


def _explained(about: Asked, job: _Job, path: str) -> tuple[str, str | None]:
    """Write a recording's rows; return its path, and why it cannot be explained."""
    import pandas as pd

    torch.set_num_threads(1)
    source, named = os.path.join(job.folder, path), _text(path)
    try:
        stat = os.stat(source)
        if _place(job, "files", path).exists() and not _is_done(path, job):
            _forget(path, job)  # the rows are another recording's, and this one may fail
        with open(source, "rb") as stream:
            checksum = hashlib.file_digest(stream, "sha256").hexdigest()
        wave = audio.read(source, about.sample_rate)
        wave = long_enough(wave, about, audio.shown(source), job.pad)
        signal, frames, row = _analysed(about, job, wave)
        row |= {
            "path": named,
            "seconds": len(wave) / about.sample_rate,
            "sha256": checksum,
            "bytes": stat.st_size,
            "modified": stat.st_mtime_ns,
        }
        frames.insert(0, "path", named)
        if job.signals:
            _write_signal(_place(job, "signals", path, ".flac"), signal, about.sample_rate)
        _write(_place(job, "frames", path), frames, frames_schema())
        _write(_place(job, "files", path), pd.DataFrame([row]), recordings_schema())
    except WriteError:  # the next would fail as well
        raise
    except OSError as error:
        return path, error.strerror or str(error)
    except RelvizError as error:
        return path, str(error)
    except Exception as error:  # one recording among thousands must not end the others' work
        return path, f"{type(error).__name__}: {error}"
    return path, None


def _text(path: str) -> str:
    """A path as tables can hold it: bytes that are no UTF-8 as in Python's source."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _forget(path: str, job: _Job) -> None:
    """Remove what the dataset has of a recording, its row first."""
    for kind in _KINDS:
        files.remove(_place(job, kind, path, ".flac" if kind == "signals" else ".parquet"))


def _analysed(
    about: Asked, job: _Job, wave: NDArray[np.float32]
) -> tuple[NDArray[np.float32], pd.DataFrame, dict[str, Any]]:
    """The relevance signal, a row a frame, and the recording's own row."""
    import pandas as pd

    step = round(STEP * about.sample_rate)
    given: dict[str, Any] = dict(window=about.window, normalise=about.normalise)
    heard: NDArray[Any] = wave
    if about.normalise == "utterance":  # by all of it, whatever stretch is looked at
        heard = ((wave - wave.mean(dtype=np.float64)) / wave.std(dtype=np.float64)).astype("f4")
        given["normalise"] = "none"
        about = replace(about, normalise="none")
    signal = np.zeros(len(wave), dtype=np.float32)
    for begin, block in relevance_blocks(
        about.net,
        heard,
        job.hop_length,
        method=job.method,
        centres=(0, len(heard) - 1),
        progress=False,
        **given,
    ):
        signal[begin : begin + len(block)] = block
    parts, energy = [], np.zeros(len(BANDS))
    effects = pd.DataFrame()
    for begin, end, first, last in _stretches(len(wave), step, about):
        times, posteriors = posteriors_of(about, heard[first:last])
        found = frames_of(
            about, wave[first:last], {RELEVANCE: signal[first:last]}, times, posteriors
        )
        found["time"] += first / about.sample_rate
        at = found["time"] * about.sample_rate
        parts.append(found[(begin <= at) & (at < end)])
        energy += _energies(signal[begin:end], about.sample_rate)
        if begin == 0 and job.effects:
            effects = effects_of(about, {}, heard[:end], "recording", parts[0], True)
    frames = pd.concat(parts, ignore_index=True)
    nats = {} if effects.empty else effects.set_index("cue")["nats"].to_dict()
    top = frames["class"].value_counts().sort_index().idxmax()
    row = {
        "frames": len(frames),
        "class": top,
        "share": (frames["class"] == top).mean(),
        "confidence": frames["confidence"].mean(),
        "f0_agreement": agreement_of(frames, [RELEVANCE]).loc[RELEVANCE, "f0"],
        **{
            f"band_{low}_{high}": value
            for (low, high), value in zip(BANDS, energy / max(energy.sum(), 1e-300), strict=True)
        },
        **{f"nats_{cue}": nats.get(cue, np.nan) for cue in CUES},
    }
    return signal, frames.rename(columns=lambda name: name.replace(" ", "_")), row


def _stretches(samples: int, step: int, about: Asked) -> Iterator[tuple[int, int, int, int]]:
    """Begin and end of each minute, and of what is looked at for it, on the grid of the frames."""
    size = round(LONGEST / STEP) * step
    margin = -(-(about.window + round(_MARGIN * about.sample_rate)) // step) * step
    for begin in range(0, samples, size):
        end = min(begin + size, samples)
        yield begin, end, max(0, begin - margin), min(samples, end + margin)


def _energies(signal: NDArray, rate: int) -> NDArray[np.float64]:
    if len(signal) < round(0.025 * rate):
        return np.zeros(len(BANDS))
    frequencies, _, magnitude = spectral_relevance(signal, rate, step=STEP)
    power = np.square(magnitude).sum(axis=1)
    return np.array(
        [power[(low <= frequencies) & (frequencies < high)].sum() for low, high in BANDS]
    )


def _write(path: Path, rows: pd.DataFrame, schema: Any) -> None:
    """Write a table as a whole; the same rows are the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(rows[schema.names], schema=schema, preserve_index=False)
    encoded = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(schema.metadata), encoded)
    _replace(path, encoded.getvalue())


def _write_signal(path: Path, signal: NDArray, rate: int) -> None:
    import soundfile

    peak = float(max(signal.max(), -signal.min()))
    encoded = io.BytesIO()
    with soundfile.SoundFile(encoded, "w", rate, 1, "PCM_16", format="FLAC") as file:
        for begin in range(0, len(signal), _BLOCK):
            block = signal[begin : begin + _BLOCK]
            file.write(block / peak if peak > 0 else block)
    _replace(path, encoded.getbuffer())


def _replace(path: Path, content: Any) -> None:
    """Write what was encoded before: Arrow and libsndfile do not say plainly what a disk says."""
    files.folder(path.parent)
    with files.replacing(path) as draft:
        draft.write_bytes(content)


def _end(out: Path, failed: Mapping[str, str], gone: int) -> Done:
    """Write down what failed, and count what is there."""
    import pandas as pd
    import pyarrow as pa

    rows = pd.DataFrame(
        sorted((_text(path), reason) for path, reason in failed.items()),
        columns=["path", "reason"],
        dtype=object,
    )
    schema = pa.schema([("path", pa.string()), ("reason", pa.string())])
    _write(out / "failures.parquet", rows, schema)
    seconds = results.open(out).recordings()["seconds"]
    return Done(len(seconds), float(seconds.sum()), len(failed), gone)
