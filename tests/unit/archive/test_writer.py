import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.archive.header import DIRECTORY, HARDLINK, REGULAR, SYMLINK, Member
from lodge.archive.reader import TarReader
from lodge.archive.writer import TarWriter, headers


def written(*members: Member, precise: bool = False) -> bytes:
    out: list[bytes] = []
    writer = TarWriter(out.append, precise=precise)
    for member in members:
        writer.add(member, b"x" * member.size)
    writer.finish()
    return b"".join(out)


_names = st.binary(min_size=1, max_size=400).map(lambda name: name.replace(b"\0", b"_").strip(b"/") or b"n")


@given(
    name=_names,
    link=_names,
    uid=st.integers(0, 1 << 31),
    mtime=st.integers(-(10**18), 10**20),
    size=st.integers(0, 2000),
    value=st.binary(max_size=50),
)
def test_what_is_written_is_read(
    name: bytes, link: bytes, uid: int, mtime: int, size: int, value: bytes
) -> None:
    member = Member(name, REGULAR, uid=uid, gid=uid, mtime=mtime, size=size, xattrs={b"user.k": value})
    other = Member(name, SYMLINK, link=link)
    reader = TarReader(io.BytesIO(written(member, other, precise=True)))
    first = reader.next()
    assert first is not None
    assert (first.name, first.uid, first.gid, first.mtime) == (name, uid, uid, mtime)
    assert (first.size, first.xattrs, reader.data(2000)) == (size, {b"user.k": value}, b"x" * size)
    second = reader.next()
    assert second is not None
    assert (second.name, second.link) == (name, link)
    assert reader.next() is None


def test_others_read_it(tmp_path: Path) -> None:
    long = b"d" * 120 + b"/" + b"f" * 120
    members = [
        Member(b"dir/", DIRECTORY, mode=0o755),
        Member(b"dir/f", REGULAR, mode=0o4755, size=700, mtime=1_700_000_000 * 10**9),
        Member(long, REGULAR, size=3),
        Member(b"\xc3\xa4" * 200, REGULAR),
        Member(b"l", SYMLINK, link=b"t" * 200),
        Member(b"h", HARDLINK, link=b"dir/f"),
        Member(b"big", REGULAR, uid=1 << 30),
    ]
    data = written(*members)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = archive.getmembers()
    assert [info.name for info in found] == ["dir", "dir/f", long.decode(), "ä" * 200, "l", "h", "big"]
    assert (found[1].mode, found[1].size, found[1].mtime) == (0o4755, 700, 1_700_000_000)
    assert (found[4].linkname, found[6].uid) == ("t" * 200, 1 << 30)
    (tmp_path / "x.tar").write_bytes(data)
    listed = subprocess.run(["tar", "-tf", str(tmp_path / "x.tar")], check=True, capture_output=True).stdout
    assert listed.count(b"\n") == 7


def test_ustar_is_enough_where_it_is_enough() -> None:
    assert len(headers(Member(b"a/" * 60 + b"x", REGULAR, mtime=1))) == 512
    assert len(headers(Member(b"x" * 101, REGULAR))) == 3 * 512
    assert len(headers(Member(b"x", REGULAR, mtime=1))) == 512
    assert len(headers(Member(b"x", REGULAR, mtime=1), precise=True)) == 3 * 512


def test_a_payload_of_another_length_than_announced_stays_in_its_place() -> None:
    out: list[bytes] = []
    writer = TarWriter(out.append)
    for name, payload in ((b"short", b"123"), (b"long", b"1234567890")):
        member = Member(name, REGULAR, size=5)
        writer.begin(member)
        writer.data(payload)
        writer.end(member)
    writer.finish()
    reader = TarReader(io.BytesIO(b"".join(out)))
    assert [reader.data(10) for _ in reader] == [b"123\0\0", b"12345"]


@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 157, 254, 255, 256, 257])
def test_names_around_the_limits_of_ustar(length: int) -> None:
    for name in (
        b"d" * (length - 50) + b"/" + b"f" * 49,
        b"x" * length,
        b"a/" * (length // 2) + b"z" * (length % 2),
    ):
        member = TarReader(io.BytesIO(written(Member(name, REGULAR)))).next()
        assert member is not None
        assert member.name == name
