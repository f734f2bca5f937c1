"""Frames and fields: cut in any pieces, hostile bytes, and the numbers of both sides."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.runtime.vm import protocol
from lodge.runtime.vm.parts.agent import SOURCES
from lodge.runtime.vm.protocol import Field, Frame, Kind, ProtocolError, Reader, Stage, encode, field

GUESTS = [kind for kind in Kind if kind >= Kind.READY]
frames = st.builds(
    Frame, st.sampled_from(GUESTS), st.integers(0, protocol.LAST_CHANNEL), st.binary(max_size=300)
)


@given(st.lists(frames, max_size=8), st.integers(1, 50))
def test_frames_survive_any_cut(sent: list[Frame], size: int) -> None:
    data = b"".join(encode(frame.kind, frame.channel, frame.payload) for frame in sent)
    reader = Reader()
    found = [
        frame for start in range(0, len(data), size) for frame in reader.feed(data[start : start + size])
    ]
    assert found == sent


@given(st.binary(max_size=200))
def test_hostile_bytes_are_frames_or_an_error(data: bytes) -> None:
    try:
        found = Reader().feed(data)
    except ProtocolError:
        return
    assert all(frame.kind in GUESTS for frame in found)


def test_a_guest_can_not_speak_for_the_host() -> None:
    with pytest.raises(ProtocolError):
        Reader().feed(encode(Kind.SPAWN, 1))


def test_a_length_beyond_the_limit_is_refused_before_it_is_waited_for() -> None:
    with pytest.raises(ProtocolError):
        Reader().feed(b"\x42\x00\x00\x00\xff\xff\xff\x7f")
    with pytest.raises(ValueError, match="limit"):
        encode(Kind.INPUT, 1, bytes(protocol.FRAME_LIMIT + 1))


@given(st.lists(st.tuples(st.sampled_from(list(Field)), st.binary(max_size=60)), max_size=10))
def test_fields_come_back(sent: list[tuple[Field, bytes]]) -> None:
    payload = b"".join(field(tag, value) for tag, value in sent)
    assert list(protocol.read_fields(payload)) == sent


@given(st.binary(max_size=60))
def test_hostile_fields_are_an_error_at_worst(payload: bytes) -> None:
    try:
        found = list(protocol.read_fields(payload))
    except ProtocolError:
        return
    assert sum(6 + len(value) for _, value in found) == len(payload)


@given(st.binary(max_size=20))
def test_answers_and_numbers_are_checked(payload: bytes) -> None:
    for read in (protocol.read_answer, protocol.read_number):
        try:
            assert read(payload) is not None
        except ProtocolError:
            continue


def test_both_sides_have_the_same_numbers() -> None:
    header = (SOURCES / "agent.h").read_text()
    theirs = {name: int(value) for name, value in re.findall(r"^\t(\w+) = (\d+),", header, re.MULTILINE)}
    ours = {kind.name: kind.value for kind in Kind}
    ours |= {f"F_{tag.name}": tag.value for tag in Field}
    ours |= {f"AT_{stage.name}": stage.value for stage in Stage}
    assert theirs == ours
    defined = dict(re.findall(r"^#define (\w+) (.+)$", header, re.MULTILINE))
    assert defined["PROTOCOL_VERSION"] == f"{protocol.VERSION}u"
    assert defined["FRAME_LIMIT"] == "(1u << 20)"
    assert defined["WINDOW"] == "(256u * 1024u)"
