"""Archives from strangers: what a tar file can claim, and how little of it is believed."""

import gzip
import hashlib
import io
import os
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relviz.corpora import archive
from relviz.corpora.archive import ArchiveError, unpack

CONTENT = os.urandom(3000)
LISTED = {"a/x.flac": hashlib.sha256(CONTENT).hexdigest()}


def member(
    name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, pax: dict[str, str] | None = None
) -> bytes:
    """The head of a member, as it stands in an archive."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.pax_headers = size, kind, pax or {}
    return info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


GOOD = member("top/a/x.flac", len(CONTENT)) + padded(CONTENT)
END = bytes(1024)


def refusal(folder: Path, data: bytes, most: int = archive.LARGEST) -> str:
    path = folder / "stranger.tar.gz"
    path.write_bytes(data)
    with pytest.raises(ArchiveError) as refused:
        unpack(path, folder / "to", LISTED, most)
    return str(refused.value)


def test_a_plain_tar_is_read_too(tmp_path: Path) -> None:
    for data in (GOOD + END, gzip.compress(GOOD + END)):
        (tmp_path / "plain.tar").write_bytes(data)
        unpack(tmp_path / "plain.tar", tmp_path / "to", LISTED)
        assert (tmp_path / "to" / "a" / "x.flac").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (member("top/hole", kind=tarfile.GNUTYPE_SPARSE), "is not to be trusted (top/hole has hol"),
        (
            member("top/a/x.flac", len(CONTENT), pax={"GNU.sparse.size": "8796093022208"})
            + padded(CONTENT),
            "is not to be trusted (top/a/x.flac has holes)",
        ),
        (
            member("head", 900_000_000, tarfile.XHDTYPE),
            "is not to be trusted (a head of 900000000 bytes)",
        ),
        (
            member("head", 900_000_000, tarfile.GNUTYPE_LONGNAME),
            "is not to be trusted (a head of 900000000 bytes)",
        ),
        (
            member("top/a/x.flac", pax={"size": "-1024"}),
            "is not to be trusted (top/a/x.flac has holes)",
        ),
        (
            member("top/b", pax={"path": "../../../evil.txt"}),
            "is not to be trusted ('../../../evil.txt' would be extracted to",
        ),
        (member("top/b", pax={"path": "top/a\0b"}), "is no whole tar archive ("),
        (
            member("head", 0, tarfile.XHDTYPE) * 3000,
            "is no whole tar archive (maximum recursion depth exceeded",
        ),
        (member("top/b", 1 << 50), "is no whole tar archive (a member ends early)"),
    ],
    ids=[
        "sparse",
        "PAX sparse",
        "PAX head",
        "long name",
        "negative",
        "PAX path",
        "NUL",
        "chain",
        "years",
    ],
)
def test_claims_that_are_not_believed(tmp_path: Path, data: bytes, reason: str) -> None:
    assert refusal(tmp_path, data + GOOD + END).startswith(reason)
    assert not list(tmp_path.parent.rglob("evil*"))


def test_a_name_out_of_an_archive_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    said = refusal(tmp_path, member("top/\x1b[2J", kind=tarfile.GNUTYPE_SPARSE) + END)
    assert said == r"is not to be trusted (top/\x1b[2J has holes)"


@pytest.mark.slow
def test_a_megabyte_that_unpacks_to_a_thousand(tmp_path: Path) -> None:
    zeros = 50_000_000
    data = gzip.compress(member("top/zeros", zeros) + bytes(zeros) + GOOD + END)
    assert len(data) < 100_000
    said = "unpacks to more than the 1000000 bytes that it can have"
    assert refusal(tmp_path, data, 1_000_000) == said


@pytest.mark.slow
def test_listed_members_are_not_read_whole_into_memory(tmp_path: Path) -> None:
    content = bytes(30_000_000)
    listed = {"big": hashlib.sha256(content).hexdigest()}
    data = gzip.compress(member("top/big", len(content)) + padded(content) + END, 1)
    (tmp_path / "big.tar.gz").write_bytes(data)
    del content, data
    tracemalloc.start()
    try:
        unpack(tmp_path / "big.tar.gz", tmp_path, listed)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "big").stat().st_size == 30_000_000


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
def test_a_few_bytes_changed_are_read_right_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    body = bytearray(
        member("top/a/x.flac", len(CONTENT), pax={"comment": "ü" * 200}) + padded(CONTENT)
    )
    spots = st.tuples(st.integers(0, 2047), st.binary(min_size=1, max_size=12))
    for at, piece in data.draw(st.lists(spots, min_size=1, max_size=4)):
        body[at : at + len(piece)] = piece
    path = tmp_path / "stranger.tar"
    path.write_bytes(bytes(body) + END)
    try:
        unpack(path, tmp_path / "to", LISTED)
    except ArchiveError:
        assert True  # the one thing that it may raise
    else:
        assert (tmp_path / "to/a/x.flac").read_bytes() == CONTENT


def test_a_zip_archive_whose_list_points_before_its_beginning(tmp_path: Path) -> None:
    """Which is no fault of the disk: the download may not stay, or it stops every later one."""
    path = tmp_path / "stranger.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("top/a/x.flac", CONTENT)
    unpack(path, tmp_path / "to", LISTED)
    path.write_bytes(path.read_bytes()[300:])
    with pytest.raises(ArchiveError, match=r"^is no whole zip archive \("):
        unpack(path, tmp_path / "to", LISTED)


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_a_zip_archive_packed_in_a_way_of_few_others(tmp_path: Path, way: int) -> None:
    """Their decoders have errors of their own, and hundreds of MB to take."""
    path = tmp_path / "stranger.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("top/a/x.flac", CONTENT)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 10 : at + 12] = way.to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"^holds top/a/x\.flac packed in a way of few others$"):
        unpack(path, tmp_path / "to", LISTED)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_no_pattern_takes_what_leaves_the_folder(tmp_path: Path, kind: str) -> None:
    """Not even one that matches every path."""
    path, inside = tmp_path / f"a.{kind}", tmp_path / "in" / "to"
    names = ("top/right", "top/../beside", "top//absolute", "top/b/../c")
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, "x")
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = 1
                archive.addfile(member, io.BytesIO(b"x"))
    inside.mkdir(parents=True)
    assert unpack(path, inside, {}, unlisted=r".*") == {"right"}
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == [path.name, "right"]
