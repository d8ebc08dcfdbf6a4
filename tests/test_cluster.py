"""Killed anywhere: a small run of tools/cluster.py, and that it sees what it looks for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from relviz import results
from relviz.explanation import explain_folder
from tools import cluster


@pytest.mark.slow
@pytest.mark.parametrize("part", cluster.PARTS)
def test_whatever_is_killed_the_dataset_is_the_same(part: str) -> None:
    """In a process of its own, as it forks."""
    words = [sys.executable, cluster.__file__, "--kills", "1", "--recordings", "4", part]
    environment = os.environ | {"PYTHONPATH": str(cluster.ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed 1 times" in done.stdout and done.stdout.endswith(": the same each time\n")


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> results.Results:
    place = tmp_path_factory.mktemp("cluster")
    cluster.recordings(place / "in", 4)
    explain_folder(place / "in", place / "out", hop_length=997, effects=False, jobs=1)
    return results.open(place / "out")


def twice(row: Path) -> None:
    shutil.copy(row, row.with_name("another.parquet"))


def lost(row: Path) -> None:
    row.unlink()


def changed(row: Path) -> None:
    table = pq.read_table(row, partitioning=None)
    number = table.schema.get_field_index("seconds" if "seconds" in table.schema.names else "time")
    column = table.column(number)
    values = [value + 1 for value in column.to_pylist()]
    field = table.schema.field(number)
    pq.write_table(table.set_column(number, field, [values]), row)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["files", "frames"])
@pytest.mark.parametrize(
    ("damage", "seen"), [(twice, "rows twice"), (lost, "lacks"), (changed, "rows differ")]
)
def test_what_is_not_the_same_is_seen(right, tmp_path, kind, damage, seen) -> None:  # type: ignore[no-untyped-def]
    assert cluster.differs(right, right) == [] == cluster.torn(right, right)
    copy = tmp_path / "out"
    shutil.copytree(right.folder, copy)
    damage(min((copy / kind).rglob("*.parquet")))
    wrong = cluster.differs(results.open(copy), right)
    assert any(seen in each for each in wrong), wrong
    complete = kind == "files" and damage is lost  # a row that is not there yet is no harm
    assert bool(cluster.torn(results.open(copy), right)) is not complete


def test_how_a_command_ends_is_seen() -> None:
    assert cluster.whole("4 recordings", "1 recordings were not explained", 1, 4) == []
    assert cluster.whole("4 recordings", "1 recordings were not explained", -9, 4) != []
    assert cluster.whole("3 recordings", "1 recordings were not explained", 1, 4) != []


def test_a_part_that_is_none() -> None:
    with pytest.raises(SystemExit):
        cluster.main(["nanny"])
