"""HTTP/1.1 answers however they arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.client.failures import Unreachable
from lodge.client.http1 import read_response, send_request
from lodge.errors import Internal


class Wire:
    """A stream that hands out prepared bytes in pieces of chosen sizes, and keeps what is sent."""

    def __init__(self, data: bytes, cuts: list[int] | None = None) -> None:
        self.left = data
        self.cuts = cuts or [1 << 20]
        self.turn = 0
        self.sent = b""

    def recv(self, size: int, /) -> bytes:
        cut = min(size, self.cuts[self.turn % len(self.cuts)])
        self.turn += 1
        piece, self.left = self.left[:cut], self.left[cut:]
        return piece

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def send(self, data: bytes, /) -> int:
        self.sent += data
        return len(data)

    def shutdown(self, how: int, /) -> None:
        raise AssertionError(how)

    def fileno(self) -> int:
        raise AssertionError

    def setblocking(self, flag: bool, /) -> None:
        raise AssertionError(flag)

    def settimeout(self, value: float | None, /) -> None:
        raise AssertionError(value)

    def close(self) -> None:
        self.left = b""


CUTS = st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=6)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6), CUTS)
def test_a_chunked_body_comes_out_whole(chunks: list[bytes], cuts: list[int]) -> None:
    body = (
        b"".join(b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        + b"0\r\nTrailer: x\r\n\r\n"
    )
    response = read_response(
        Wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body, cuts), "GET"
    )
    assert response.read_all() == b"".join(chunks)
    assert response.done
    assert response.reusable


@given(st.binary(max_size=300), CUTS)
def test_a_body_of_known_length_ends_there(body: bytes, cuts: list[int]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    response = read_response(Wire(head + body + b"next", cuts), "GET")
    assert response.read_all() == body
    assert response.done


@given(st.binary(max_size=300), CUTS)
def test_a_body_without_a_length_ends_with_the_connection(body: bytes, cuts: list[int]) -> None:
    response = read_response(Wire(b"HTTP/1.1 200 OK\r\n\r\n" + body, cuts), "GET")
    assert response.read_all() == body
    assert not response.reusable


@given(st.lists(st.text("ab c", min_size=1), max_size=5), CUTS)
def test_lines_come_out_one_by_one(lines: list[str], cuts: list[int]) -> None:
    body = "\r\n".join(lines).encode()
    response = read_response(Wire(b"HTTP/1.1 200 OK\r\n\r\n" + body, cuts), "GET")
    assert list(response.lines()) == [line.strip().encode() for line in lines if line.strip()]


def test_interim_answers_are_skipped_and_names_are_lower_case() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nX-Thing:  a:b \r\nContent-Length: 0\r\n\r\n"
    response = read_response(Wire(data, [3]), "POST")
    assert (response.status, response.headers["x-thing"], response.done) == (201, "a:b", True)


def test_a_switch_of_protocols_keeps_the_bytes_that_came_with_it() -> None:
    data = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nfirst words"
    response = read_response(Wire(data), "POST")
    assert (response.status, response.pending) == (101, b"first words")


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"],
)
def test_a_connection_that_breaks_is_unreachable(data: bytes) -> None:
    with pytest.raises(Unreachable, match="closed the connection"):
        read_response(Wire(data), "GET").read_all()


def test_a_chunk_that_breaks_off_is_unreachable() -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
    with pytest.raises(Unreachable):
        read_response(Wire(data), "GET").read_all()


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_another_protocol_is_told_apart(data: bytes) -> None:
    with pytest.raises(Internal, match="does not speak"):
        read_response(Wire(data), "GET")


def test_a_chunk_size_that_is_none_is_told() -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with pytest.raises(Internal, match="chunk size"):
        read_response(Wire(data), "GET").read_all()


def test_bytes_get_a_length_and_pieces_go_out_in_chunks() -> None:
    wire = Wire(b"")
    send_request(wire, "POST", "/x", headers={"Host": "h"}, body=b"abc")
    assert wire.sent == b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
    wire = Wire(b"")
    send_request(wire, "PUT", "/x", headers={}, body=iter([b"ab", b"", b"c"]))
    assert wire.sent == b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    wire = Wire(b"")
    send_request(wire, "POST", "/x", headers={})
    assert wire.sent.endswith(b"Content-Length: 0\r\n\r\n")
