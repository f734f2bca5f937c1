"""The codec: what is written is read again, what others write is understood, rubbish is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.api.buildkit.protobuf import FLAG, NUMBER, RAW, TEXT, Many, Mapping, Schema, varint
from lodge.errors import InvalidArgument

INNER = Schema("Inner", a=(1, TEXT), n=(2, NUMBER))
OUTER = Schema(
    "Outer",
    text=(1, TEXT),
    raw=(2, RAW),
    number=(3, NUMBER),
    flag=(4, FLAG),
    inner=(5, INNER),
    texts=(6, Many(TEXT)),
    numbers=(7, Many(NUMBER)),
    inners=(8, Many(INNER)),
    mapping=(9, Mapping(TEXT)),
    schemas=(16, Mapping(INNER)),
)
LONGS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
INNERS = st.fixed_dictionaries({"a": st.text(), "n": LONGS})
MESSAGES = st.fixed_dictionaries(
    {
        "text": st.text(),
        "raw": st.binary(),
        "number": LONGS,
        "flag": st.booleans(),
        "inner": st.none() | INNERS,
        "texts": st.lists(st.text(), max_size=4),
        "numbers": st.lists(LONGS, max_size=4),
        "inners": st.lists(INNERS, max_size=4),
        "mapping": st.dictionaries(st.text(), st.text(), max_size=4),
        "schemas": st.dictionaries(st.text(), INNERS, max_size=4),
    }
)


@given(MESSAGES)
def test_what_is_written_is_read_again(message: dict[str, Any]) -> None:
    assert OUTER.decode(OUTER.encode(message)) == message


@given(st.binary(max_size=200))
def test_rubbish_is_read_or_refused(data: bytes) -> None:
    try:
        found = OUTER.decode(data)
    except InvalidArgument:
        return
    assert set(found) == set(OUTER.fields)


def test_known_bytes() -> None:
    # The examples of the encoding's own description.
    assert OUTER.decode(b"\x18\x96\x01")["number"] == 150
    assert OUTER.decode(b"\x0a\x07testing")["text"] == "testing"
    assert varint(-1) == b"\xff" * 9 + b"\x01"
    packed = b"\x3a\x06\x03\x8e\x02\x9e\xa7\x05"
    assert OUTER.decode(packed)["numbers"] == [3, 270, 86942]


def test_unknown_fields_are_skipped_and_empty_ones_left_out() -> None:
    unknown = b"\xa0\x06\x05" + b"\xad\x06abcd" + b"\xa9\x06abcdefgh" + b"\xa2\x06\x02xy"
    assert OUTER.decode(unknown + b"\x20\x01")["flag"] is True
    assert OUTER.encode({"text": "", "number": 0, "flag": False, "inner": None}) == b""
    assert OUTER.encode({"inner": {}}) == b"\x2a\x00"


@pytest.mark.parametrize(
    "data", [b"\x0a\x05ab", b"\x0b", b"\x08", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x08\x01"]
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(InvalidArgument, match="Outer"):
        OUTER.decode(data)


def test_depth_is_bounded() -> None:
    deep = Schema("Deep")
    deep.__init__("Deep", again=(1, deep))  # type: ignore[misc]
    data = b""
    for _ in range(100):
        data = b"\x0a" + varint(len(data)) + data
    with pytest.raises(InvalidArgument, match="too deeply"):
        deep.decode(data)
