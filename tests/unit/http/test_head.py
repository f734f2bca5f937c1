"""Heads: what is read, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument, LodgeError, Unsupported
from lodge.http.head import CHUNKED, parse, percent_decode


def test_reads_method_target_and_headers() -> None:
    head = parse(
        b"POST /v1.43/a%20b?x=1%202&y HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\n"
    )
    assert (head.method, head.path, head.query) == ("POST", "/v1.43/a b", "x=1%202&y")
    assert head.headers["x-a"] == "1, 2"
    assert head.length == 5
    assert head.keep_alive
    assert not head.upgrade


def test_upgrade_and_absolute_form() -> None:
    head = parse(b"POST http://docker/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    assert head.path == "/x"
    assert head.upgrade
    assert head.keep_alive


def test_old_clients_close() -> None:
    assert not parse(b"GET / HTTP/1.0\r\n\r\n").keep_alive
    assert not parse(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").keep_alive


def test_chunked() -> None:
    assert parse(b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").length == CHUNKED


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: -1",
        b"Content-Length: 1_0",
        b"Content-Length: 1, 2",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Bad Header",
        b"X: a\x00b",
    ],
)
def test_refuses(lines: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse(b"POST / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n\r\n")


def test_refuses_unknown_coding() -> None:
    with pytest.raises((Unsupported, InvalidArgument)):
        parse(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")


@pytest.mark.parametrize("text", ["%", "%1", "%zz", "%+1", "a% 1", "%ff"])
def test_refuses_bad_escapes(text: str) -> None:
    with pytest.raises(InvalidArgument):
        percent_decode(text)


@given(st.text())
def test_percent_round_trip(text: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in text.encode())
    assert percent_decode(encoded) == text


@given(st.binary(max_size=300))
def test_never_another_error(data: bytes) -> None:
    try:
        parse(data + b"\r\n\r\n")
    except LodgeError:
        pass
