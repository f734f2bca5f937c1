"""Frames of multiplexed streams, whole and torn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import Corrupt
from lodge.wire.frames import STDERR, STDOUT, Decoder, encode, header

FRAMES = st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), st.binary(max_size=40)), max_size=12)


def joined(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Neighbours of one stream as one piece."""
    found: list[tuple[int, bytes]] = []
    for stream, data in pieces:
        if found and found[-1][0] == stream:
            found[-1] = (stream, found[-1][1] + data)
        elif data:
            found.append((stream, data))
    return found


def test_the_header_is_the_stream_and_a_big_endian_length() -> None:
    assert header(STDERR, 258) == b"\x02\0\0\0\0\0\x01\x02"
    assert encode(STDOUT, b"hi") == b"\x01\0\0\0\0\0\0\x02hi"


@given(FRAMES, st.lists(st.integers(min_value=1, max_value=20), min_size=1))
def test_pieces_come_out_however_the_bytes_are_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(encode(stream, payload) for stream, payload in frames)
    decoder = Decoder()
    pieces: list[tuple[int, bytes]] = []
    position = turn = 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        pieces += decoder.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    decoder.close()
    assert joined(pieces) == joined(frames)


def test_a_payload_is_handed_out_before_it_is_complete() -> None:
    decoder = Decoder()
    assert decoder.feed(header(STDOUT, 1 << 30) + b"begin") == [(STDOUT, b"begin")]
    assert decoder.feed(b"more") == [(STDOUT, b"more")]
    with pytest.raises(Corrupt, match="middle of a frame"):
        decoder.close()


@pytest.mark.parametrize("head", [b"\x04\0\0\0\0\0\0\1", b"\x01\0\1\0\0\0\0\1", b"HTTP/1.1"])
def test_what_is_no_header_is_refused(head: bytes) -> None:
    with pytest.raises(Corrupt, match="unrecognized input header"):
        Decoder().feed(head)


def test_a_stream_that_ends_in_a_header_is_broken() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x01\0\0") == []
    with pytest.raises(Corrupt):
        decoder.close()
