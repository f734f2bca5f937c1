"""Bodies end exactly where they end, however the bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.errors import InvalidArgument
from lodge.http.framing import LAST_CHUNK, Chunked, Counted, chunk


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(point % (len(data) + 1) for point in points)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(st.binary(min_size=1, max_size=50)), st.binary(max_size=20), st.lists(st.integers(0, 999)))
def test_chunked_however_cut(pieces: list[bytes], rest: bytes, points: list[int]) -> None:
    decoder = Chunked()
    got = b""
    left = b""
    for part in cut(b"".join(map(chunk, pieces)) + LAST_CHUNK + rest, points):
        if decoder.done:
            left += part
        else:
            got += b"".join(decoder.feed(part))
            left += decoder.rest
    assert decoder.done
    assert got == b"".join(pieces)
    assert left == rest


def test_extensions_and_trailers() -> None:
    decoder = Chunked()
    assert decoder.feed(b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nnext") == [b"abc"]
    assert decoder.done
    assert decoder.rest == b"next"


@pytest.mark.parametrize(
    "data", [b"x\r\n", b"-1\r\n", b"+1\r\n", b"1_0\r\n", b"\r\n", b"3\r\nabcd\r\n", b"0x3\r\n"]
)
def test_refuses(data: bytes) -> None:
    with pytest.raises(InvalidArgument):
        Chunked().feed(data)


def test_bounded_lines_and_trailers() -> None:
    with pytest.raises(InvalidArgument):
        Chunked().feed(b"1" * 5000)
    decoder = Chunked()
    decoder.feed(b"0\r\n")
    with pytest.raises(InvalidArgument):
        decoder.feed((b"X: " + b"y" * 1000 + b"\r\n") * 100)


def test_counted() -> None:
    decoder = Counted(5)
    assert decoder.feed(b"abc") == [b"abc"]
    assert not decoder.done
    assert decoder.feed(b"defg") == [b"de"]
    assert decoder.done
    assert decoder.rest == b"fg"
    assert Counted(0).done
