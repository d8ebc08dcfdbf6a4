"""One function over many tasks: in this process or in several, with progress.

Nothing else knows how. Workers are those of joblib (loky): fresh processes, which take functions
that only a notebook knows. What hands out the work is a `concurrent.futures.Executor`, so that a
cluster which offers one can do the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from relviz._errors import ParameterError
from relviz._extras import require

__all__ = ["MOST", "lasting", "run", "workers"]

MOST = 4
"""Workers a core; more only take memory."""

Task = TypeVar("Task")
Result = TypeVar("Result")

_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM", "BLIS")
}
"""What tells a process's numerical libraries to leave the other cores to the other processes."""


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    jobs: int = -1,
    progress: bool = False,
    title: str = "tasks",
    unit: str = "task",
) -> Iterator[Result]:
    """Apply a function to every task, as the built-in `map`, by several workers.

    Parameters
    ----------
    function : callable
        Takes one task. What it is made of, and tasks and results, go to other processes: networks
        and arrays may, open files may not. A memory-mapped array would be sent as a whole, so let
        the function open it.
    tasks : iterable
        What it takes, one by one; seconds of work each are worth a worker.
    jobs : int
        Worker processes: -1 for one a core, -2 for one less, and so on; 1 for none, then all is
        done in this process. No more are started than there are tasks. Each has one thread.
    progress : bool
        Show a bar.
    title, unit : str
        What the bar says.

    Returns
    -------
    iterator
        The results, in the order of the tasks, as they come. The work begins when the first is
        asked for. Whatever ends the iteration, Ctrl-C or an exception among it, ends the workers;
        and they end by themselves when this process is no more.

    Raises
    ------
    ParameterError
        For 0 jobs, or more than `MOST` a core. What the function raises comes out where its result
        would have.

    Examples
    --------
    >>> list(run(abs, [-1, 2, -3], jobs=1))
    [1, 2, 3]
    """
    count = workers(jobs)
    todo = list(tasks)
    count = min(count, len(todo))
    results = _in_workers(function, todo, count) if count > 1 else map(function, todo)
    return _shown(results, len(todo), title, unit) if progress else results


def lasting(seconds: float) -> str:
    """Say about how long something will take.

    Parameters
    ----------
    seconds : float
        0 or more.

    Returns
    -------
    str
        In seconds, minutes or hours, to two digits.

    Examples
    --------
    >>> lasting(12.3), lasting(200), lasting(20000)
    ('about 12 s', 'about 3.3 min', 'about 5.6 h')
    """
    for unit, size in (("s", 1), ("min", 60)):
        if seconds < 100 * size:
            return f"about {float(f'{seconds / size:.2g}'):g} {unit}"
    return f"about {float(f'{seconds / 3600:.2g}'):g} h"


def workers(jobs: int) -> int:
    """Return how many workers are meant.

    Parameters
    ----------
    jobs : int
        As in `run`.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ParameterError
        For 0 jobs, or more than `MOST` a core.

    Examples
    --------
    >>> workers(1)
    1
    """
    if jobs == 0:
        raise ParameterError("jobs is 0: give 1 for this process alone, or -1 for one a core.")
    cores = os.cpu_count() or 1
    if jobs > MOST * cores:
        raise ParameterError(
            f"jobs is {jobs} and this machine has {cores} cores: give at most {MOST * cores}, or "
            "-1 for one a core."
        )
    require("joblib")
    import joblib

    return int(joblib.effective_n_jobs(jobs))


def _in_workers(
    function: Callable[[Task], Result], todo: Sequence[Task], workers: int
) -> Iterator[Result]:
    from joblib.externals.loky import ProcessPoolExecutor

    # a pool of its own: joblib shares one, and takes the next user's memory for a leak of ours
    pool = ProcessPoolExecutor(
        workers, env=_ONE_THREAD, initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        for job in [pool.submit(function, task) for task in todo]:
            yield job.result()
    finally:
        pool.shutdown(wait=True, kill_workers=True)


def _end_with(parent: int) -> None:
    """End this worker when its parent has ended, be it by SIGKILL: nobody hears its results."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _shown(results: Iterator[Result], total: int, title: str, unit: str) -> Iterator[Result]:
    from tqdm.auto import tqdm

    yield from tqdm(results, total=total, desc=title, unit=unit)
