"""relviz.tasks: the built-in map, whoever does the work."""

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from relviz import tasks
from relviz._errors import ParameterError


def here(task):
    import torch

    return task, os.getpid(), torch.get_num_threads()


def fail_at_two(task):
    if task == 2:
        raise ParameterError("2 cannot be right: give 3.")
    return task


@pytest.mark.parametrize(("jobs", "count"), [(1, 3), (2, 1), (-1, 0)])
def test_in_this_process(jobs, count):
    """Also where there are too few tasks for two workers."""
    found = [here(i)[:2] for i in range(count)]
    assert [row[:2] for row in tasks.run(here, range(count), jobs=jobs)] == found


@pytest.mark.slow
def test_in_several_processes_in_order():
    found = list(tasks.run(lambda i: (time.sleep(0.3 * (i == 0)), here(i))[1], range(6), jobs=2))
    assert [task for task, _, _ in found] == list(range(6))
    assert len({process for _, process, _ in found} - {os.getpid()}) == 2
    assert {threads for _, _, threads in found} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_comes_out_where_its_result_would(jobs):
    results = tasks.run(fail_at_two, range(4), jobs=jobs)
    assert list(islice(results, 2)) == [0, 1]
    with pytest.raises(ParameterError, match=r"^2 cannot be right: give 3\.$"):
        next(results)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_progress(jobs, capsys):
    assert list(tasks.run(abs, [-1, 2], jobs=jobs, progress=True, title="signs")) == [1, 2]
    said = capsys.readouterr().err
    assert "signs: 100%" in said and "2/2" in said
    assert list(tasks.run(abs, [-1, 2], jobs=jobs)) == [1, 2]
    assert capsys.readouterr().err == ""


def test_refuses_no_jobs():
    with pytest.raises(ParameterError) as caught:
        tasks.run(abs, [1], jobs=0)
    assert str(caught.value) == "jobs is 0: give 1 for this process alone, or -1 for one a core."


def test_refuses_more_workers_than_help():
    most = tasks.MOST * os.cpu_count()
    assert list(tasks.run(abs, [-1], jobs=most)) == [1]
    with pytest.raises(ParameterError, match=f"this machine has .* cores: give at most {most}, or"):
        tasks.run(abs, range(10), jobs=100_000)


STOPPED = """
import os, signal, sys, time
from relviz import tasks

def work(task):
    if task:
        time.sleep(600)
    return os.getpid()

try:
    for process in tasks.run(work, range(6), jobs=2):
        print(process, flush=True)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.slow
def test_ctrl_c_ends_the_workers():
    done = subprocess.run(
        [sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=60
    )
    process, said = done.stdout.split()
    assert said == "stopped" and done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)


ORPHANS = """
import os, sys, time
from relviz import tasks

def work(task):
    if task > 1:
        time.sleep(600)
    time.sleep(0.3)
    return os.getpid()

for process in tasks.run(work, range(6), jobs=2):
    print(process, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_workers_end_with_their_parent(number):
    """However it ends: nobody else would end them."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    workers = {int(parent.stdout.readline()) for _ in range(2)}
    parent.send_signal(number)
    parent.wait(60)
    limit = time.monotonic() + 60
    while alive := [worker for worker in workers if is_alive(worker)]:
        assert time.monotonic() < limit, alive
        time.sleep(0.05)


def is_alive(process):
    """Whether it runs; what has ended may wait for somebody to take note of it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True


@pytest.mark.slow
def test_giving_up_ends_the_workers():
    results = tasks.run(here, range(6), jobs=2, progress=True)
    _, process, _ = next(results)
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
