import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodge.archive.reader import TarReader
from lodge.errors import Corrupt
from tests.unit.archive.making import Dribble, entry, padded, raw_header, tar

END = bytes(1024)


def read(data: bytes) -> list[tuple[bytes, bytes]]:
    reader = TarReader(io.BytesIO(data))
    return [(member.name, reader.data(1 << 20)) for member in reader]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_every_format(format: int) -> None:
    long = "d" * 80 + "/" + "f" * 90
    data = tar(entry("a", b"1"), entry(long, b"x" * 1000), entry("l", "t" * 90, "link"), format=format)
    assert read(data) == [(b"a", b"1"), (long.encode(), b"x" * 1000), (b"l", b"")]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_long_names_and_links(format: int) -> None:
    name, link = "n/" * 200 + "x", "l/" * 150
    reader = TarReader(io.BytesIO(tar(entry(name, link, "link"), format=format)))
    member = reader.next()
    assert member is not None
    assert (member.name, member.link) == (name.encode(), link.encode())
    assert reader.next() is None


def test_reads_big_numbers_times_and_names_that_are_no_text() -> None:
    info, data = entry("x", b"1", uid=3_000_000, mtime=1_700_000_000.5)
    info.pax_headers = {"SCHILY.xattr.user.k": "v"}
    member = TarReader(io.BytesIO(tar((info, data)))).next()
    assert member is not None
    assert (member.uid, member.mtime, member.xattrs) == (
        3_000_000,
        1_700_000_000_500_000_000,
        {b"user.k": b"v"},
    )
    raw = raw_header(b"\xff\xfe") + END
    assert read(raw) == [(b"\xff\xfe", b"")]


def test_global_headers_hold_for_all_that_follows() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"mtime": "7", "comment": "c"}) as archive:
        for name in ("a", "b"):
            info, _ = entry(name)
            archive.addfile(info)
    reader = TarReader(io.BytesIO(out.getvalue()))
    assert [(member.name, member.mtime) for member in reader] == [(b"a", 7 * 10**9), (b"b", 7 * 10**9)]


def test_payloads_may_be_left_unread_or_read_in_pieces() -> None:
    data = tar(entry("a", b"x" * 5000), entry("b", b"y" * 700), entry("c", b"z"))
    reader = TarReader(Dribble(data))
    assert reader.next() is not None
    assert reader.next() is not None
    assert b"".join(reader.pieces()) == b"y" * 700
    third = reader.next()
    assert third is not None
    assert third.name == b"c"
    assert reader.next() is None


def test_leaving_the_pieces_early_is_well() -> None:
    reader = TarReader(Dribble(tar(entry("a", b"x" * 5000), entry("b", b"y"))))
    reader.next()
    next(reader.pieces())
    second = reader.next()
    assert second is not None
    assert second.name == b"b"


def test_data_has_a_cap() -> None:
    reader = TarReader(io.BytesIO(tar(entry("a", b"x" * 100))))
    reader.next()
    with pytest.raises(Corrupt, match="larger than 99"):
        reader.data(99)


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 512,
        b"short",
        raw_header(b"a", b"00000001000\0") + b"x" * 100,
        raw_header(b"L", b"00000000010\0", b"L"),
        raw_header(b"L", b"77777777777\0", b"L") + END,
        raw_header(b"p", b"77777777777\0", b"x") + END,
        raw_header(b"p", b"00000000005\0", b"x") + padded(b"junk\n") + raw_header(b"a") + END,
        raw_header(b"p", b"00000000006\0", b"x") + padded(b"6 a=1\n") + END,
    ],
)
def test_refuses(data: bytes) -> None:
    with pytest.raises(Corrupt):
        read(data)


def test_ends_that_are_not_quite_right_are_taken() -> None:
    member = raw_header(b"a", b"00000000001\0") + padded(b"1")
    for end in (b"", bytes(512), END, bytes(10240), bytes(100)):
        assert read(member + end) == [(b"a", b"1")]
    # The padding of the last member is missing.
    assert read(raw_header(b"a", b"00000000001\0") + b"1") == [(b"a", b"1")]
    # What follows the end is not looked at.
    assert read(member + END + b"garbage") == [(b"a", b"1")]
    assert read(b"") == []


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read(data: st.DataObject) -> None:
    good = bytearray(tar(entry("a", b"1" * 600), entry("b" * 150, b"2"), entry("c", "x", "link")))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        read(bytes(good[:cut]))
    except Corrupt:
        return
