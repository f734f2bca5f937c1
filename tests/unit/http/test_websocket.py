"""Websocket frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.http.head import Head
from lodge.http.websocket import Codec, accept_lines, frame, unmask

MASK = b"\x01\x02\x03\x04"


def masked(opcode: int, payload: bytes) -> bytes:
    raw = bytearray(frame(opcode, payload))
    raw[1] |= 0x80
    head = len(raw) - len(payload)
    return bytes(raw[:head]) + MASK + unmask(payload, MASK)


def test_handshake_of_the_rfc() -> None:
    headers = {"upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in accept_lines(Head("GET", "/", "", headers))
    with pytest.raises(InvalidArgument):
        accept_lines(Head("GET", "/", "", {"upgrade": "websocket"}))


@given(st.lists(st.binary(max_size=70000), max_size=3), st.integers(1, 5000))
def test_payloads_however_cut(payloads: list[bytes], step: int) -> None:
    codec = Codec()
    data = b"".join(masked(2, payload) for payload in payloads)
    got: list[bytes] = []
    for start in range(0, len(data), step):
        got += codec.receive(data[start : start + step])[0]
    assert got == payloads


def test_ping_close_and_protocol_errors() -> None:
    codec = Codec()
    assert codec.receive(masked(9, b"hi")) == ([], [frame(10, b"hi")], False)
    assert codec.receive(masked(8, b"")) == ([], [frame(8, b"\x03\xe8")], True)
    assert codec.send(b"late") == b""
    assert Codec().receive(frame(2, b"not masked"))[1] == [frame(8, b"\x03\xea")]
    assert Codec().receive(bytes((0x82, 0xFF)) + (1 << 40).to_bytes(8, "big"))[2]


@given(st.binary(max_size=200))
def test_never_an_error(data: bytes) -> None:
    payloads, replies, _ = Codec().receive(data)
    assert isinstance(payloads, list)
    assert isinstance(replies, list)
