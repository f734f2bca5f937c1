import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.archive import pax
from lodge.archive.header import Member
from lodge.errors import Corrupt

_keys = st.text(min_size=1, max_size=30).map(lambda text: text.replace("=", "_").encode())


@given(st.dictionaries(_keys, st.binary(max_size=300), max_size=8))
def test_build_and_parse_are_inverse(records: dict[bytes, bytes]) -> None:
    assert pax.parse(pax.build(records)) == records


@pytest.mark.parametrize("length", [8, 9, 10, 97, 98, 99, 996, 997, 998, 9995])
def test_lengths_around_a_new_digit(length: int) -> None:
    record = pax.build({b"k": b"v" * length})
    assert record.startswith(b"%d k=" % len(record))
    assert pax.parse(record) == {b"k": b"v" * length}


def test_the_last_of_equal_keys_wins_and_padding_is_taken() -> None:
    assert pax.parse(b"6 a=1\n6 a=2\n\0\0\0") == {b"a": b"2"}


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"a=1\n",
        b"6 a=1",
        b"7 a=1\n",
        b"5 a=1\n",
        b"99 a=1\n",
        b"4 a1\n",
        b"-6 a=1\n",
        b" 6 a=1\n",
        b"99999999999999 a=1\n",
    ],
)
def test_parse_refuses(data: bytes) -> None:
    with pytest.raises(Corrupt):
        pax.parse(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused_or_parsed(data: bytes) -> None:
    member = Member(b"x", b"0")
    try:
        pax.apply(member, pax.parse(data))
    except Corrupt:
        return


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        (b"0", 0),
        (b"1.5", 1_500_000_000),
        (b"1700000000.123456789", 1_700_000_000_123_456_789),
        (b"1700000000.1234567899", 1_700_000_000_123_456_789),
        (b"-1.25", -1_250_000_000),
        (b"3.", 3_000_000_000),
    ],
)
def test_times(text: bytes, nanoseconds: int) -> None:
    member = Member(b"x", b"0")
    pax.apply(member, {b"mtime": text})
    assert member.mtime == nanoseconds


@pytest.mark.parametrize(
    "records",
    [
        {b"mtime": b"1e9"},
        {b"mtime": b""},
        {b"mtime": b"1" * 60},
        {b"size": b"-1"},
        {b"size": b"9" * 40},
        {b"uid": b"root"},
        {b"path": b"a\0b"},
        {b"linkpath": b"\0"},
    ],
)
def test_apply_refuses(records: dict[bytes, bytes]) -> None:
    with pytest.raises(Corrupt):
        pax.apply(Member(b"x", b"0"), records)


def test_apply_sets_all_that_it_knows() -> None:
    member = Member(b"x", b"0", size=3)
    pax.apply(
        member,
        {
            b"path": b"\xff/long",
            b"linkpath": b"to",
            b"size": b"9",
            b"uid": b"3000000",
            b"gid": b"4000000",
            b"SCHILY.xattr.user.a": b"\0b",
            b"comment": b"ignored",
        },
    )
    assert (member.name, member.link, member.size, member.real_size) == (b"\xff/long", b"to", 9, 9)
    assert (member.uid, member.gid, member.xattrs) == (3000000, 4000000, {b"user.a": b"\0b"})
    link = Member(b"x", b"1")
    pax.apply(link, {b"size": b"9"})
    assert link.size == 0
