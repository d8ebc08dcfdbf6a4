"""Files from strangers: a small run of tools/malformed.py, and that it sees what it looks for."""

import random
from pathlib import Path

import pytest

from tools import malformed

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is Linux's")


@pytest.mark.slow
def test_damaged_files_are_refused_by_name_or_read_right(tmp_path: Path) -> None:
    found = list(malformed.run(100, seed=1, folder=tmp_path))
    assert {each.kind for each in found} == set(malformed.KINDS)
    assert [each for each in found if each.verdict in malformed.BAD] == []
    assert sum(each.verdict == "refused" for each in found) > 50
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_damages_the_same_way() -> None:
    for kind in malformed.KINDS:
        one, other, third = (malformed.whole(kind, random.Random(seed)) for seed in (4, 4, 5))
        assert one == other and one[1] in one[0] and third[1] in third[0]
        changed = {
            malformed.damage(one[0][one[1]], kind, one[1], random.Random(seed))[0]
            for seed in (4, 4, 5, 6)
        }
        assert 2 <= len(changed) <= 3


@pytest.mark.slow
def test_every_bad_end_is_seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A reader that does what its file says, in the same process as all others."""
    ends = (*malformed.GOOD, *malformed.BAD)
    with malformed.Worker(memory=500, seconds=3.0) as worker:
        for end in ends:
            place = tmp_path / end.replace(" ", "-")
            malformed.write(place, {"stranger.bin": end.encode()})
            verdict, _ = worker.judge("itself", place, "stranger.bin", "")
            assert verdict == end
    results = [malformed.Result(i, "itself", "x", "", end, "") for i, end in enumerate(ends)]
    rows = malformed.table(results).splitlines()
    assert rows[0].split() == " ".join(ends).split()
    assert rows[1].split() == ["itself", *["1"] * len(ends)]


def test_the_command_fails_where_one_file_ends_badly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> list[malformed.Result]:
        return [malformed.Result(0, "sound", "sound.wav", "cut", end, "x") for end in ends]

    monkeypatch.setattr(malformed, "run", run)
    ends = malformed.GOOD
    assert malformed.main([]) == 0
    ends = (*malformed.GOOD, "hang")
    assert malformed.main(["--count", "3"]) == 1
    assert capsys.readouterr().out.splitlines()[2] == "sound 0, cut: hang: 'x'"
