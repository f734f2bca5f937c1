import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.archive import header
from lodge.errors import Corrupt
from tests.unit.archive.making import entry, raw_header, tar


def test_parses_what_the_standard_library_writes() -> None:
    info, _ = entry("a/b", b"xyz", mode=0o4751, uid=12, gid=34, mtime=1_700_000_000)
    member = header.parse(tar((info, b"xyz"), format=tarfile.USTAR_FORMAT)[:512])
    assert (member.name, member.type, member.mode, member.uid, member.gid) == (b"a/b", b"0", 0o4751, 12, 34)
    assert (member.size, member.mtime) == (3, 1_700_000_000 * 10**9)


def test_prefix_belongs_to_posix_only() -> None:
    assert header.parse(raw_header(b"name", prefix=b"some/dir")).name == b"some/dir/name"
    assert header.parse(raw_header(b"name", prefix=b"some/dir", magic=b"ustar  \0")).name == b"name"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"644\0junk", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"        ", 0),
        (b"\x80\0\0\0\0\0\1\0", 256),
        (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
        (b"12345670", 0o12345670),
    ],
)
def test_number(field: bytes, value: int) -> None:
    assert header.number(field) == value


@pytest.mark.parametrize(
    "field", [b"0000089\0", b"-1      ", b"0x10   \0", b"1_0    \0", b"\x7f" * 8, b"\xbf" + b"\xff" * 11]
)
def test_number_refuses(field: bytes) -> None:
    with pytest.raises(Corrupt):
        header.number(field)


def test_a_wrong_checksum_is_noticed() -> None:
    block = bytearray(raw_header(b"x"))
    block[0] ^= 1
    with pytest.raises(Corrupt, match="checksum"):
        header.parse(bytes(block))


def test_signed_checksums_of_old_writers_are_taken() -> None:
    block = bytearray(raw_header(b"\xe4\xf6\xfc"))
    blank = block[:148] + b" " * 8 + block[156:]
    block[148:156] = b"%06o\0 " % sum(b - 256 if b > 127 else b for b in blank)
    assert header.parse(bytes(block)).name == b"\xe4\xf6\xfc"


def test_old_archives_mark_directories_by_a_slash() -> None:
    assert header.parse(raw_header(b"dir/", type_=b"\0")).type == header.DIRECTORY
    assert header.parse(raw_header(b"file", type_=b"\0")).type == header.REGULAR
    assert header.parse(raw_header(b"file", type_=b"7")).type == header.REGULAR


def test_links_and_directories_have_no_payload_whatever_they_say() -> None:
    for type_ in (b"1", b"2", b"3", b"4", b"5", b"6"):
        assert header.parse(raw_header(b"x", b"00000001000\0", type_)).size == 0


def test_negative_size_is_refused() -> None:
    with pytest.raises(Corrupt, match="negative"):
        header.parse(raw_header(b"x", b"\xff" * 12))


@given(st.binary(min_size=512, max_size=512))
def test_any_block_is_refused_or_parsed(block: bytes) -> None:
    try:
        header.parse(block)
    except Corrupt:
        return


@given(
    name=st.binary(min_size=1, max_size=100).filter(
        lambda name: b"\0" not in name and not name.endswith(b"/")
    ),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 0o7777777),
    size=st.integers(0, 0o77777777777),
    seconds=st.integers(0, 0o77777777777),
)
def test_build_and_parse_are_inverse(name: bytes, mode: int, uid: int, size: int, seconds: int) -> None:
    made = header.Member(name, header.REGULAR, mode=mode, uid=uid, size=size, mtime=seconds * 10**9)
    found = header.parse(header.build(made, name, b""))
    assert (found.name, found.mode, found.uid, found.size, found.mtime) == (
        name,
        mode,
        uid,
        size,
        seconds * 10**9,
    )
