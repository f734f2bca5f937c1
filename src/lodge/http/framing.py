"""Where a body ends: counted bytes or chunked coding (RFC 9112, section 7.1). Pure: bytes in, bytes out.

The same decoders serve the event loop and the blocking reader (`inflow`).
"""

from __future__ import annotations

from typing import Protocol

from lodge.errors import InvalidArgument
from lodge.http.head import CHUNKED

_HEX = b"0123456789abcdefABCDEF"
_MAX_LINE = 4096
_MAX_TRAILERS = 16 * 1024


class Decoder(Protocol):
    """Finds the end of one body. `rest` holds what came after it."""

    done: bool
    rest: bytes

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of the body that `data` brings. InvalidArgument for a framing error."""
        ...


class Counted:
    """A body of a known number of bytes."""

    __slots__ = ("done", "left", "rest")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """See Decoder."""
        left = self.left
        if len(data) > left:
            self.rest = data[left:]
            data = data[:left]
        self.left = left - len(data)
        self.done = self.left == 0
        return [data] if data else []


class Chunked:
    """A body in chunks, each with its length; extensions are read over, trailers are forgotten."""

    __slots__ = ("_left", "_line", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self._left = 0  # of the running chunk with its CRLF; 0: a size line comes; -1: trailers come
        self._line = b""
        self._trailers = 0
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """See Decoder."""
        pieces: list[bytes] = []
        if self._line:
            data = self._line + data
            self._line = b""
        position, end = 0, len(data)
        while position < end and not self.done:
            if self._left > 0:
                position = self._take_chunk(data, position, pieces)
                continue
            newline = data.find(b"\n", position)
            if newline < 0:
                self._keep_line(data[position:])
                break
            line = data[position:newline].rstrip(b"\r")
            position = newline + 1
            if self._left < 0:
                self._trailer(line)
            else:
                self._size(line)
        if self.done:
            self.rest = data[position:]
        return pieces

    def _take_chunk(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Take payload and the CRLF behind it (`_left` counts both, so 2 are left when the payload ends)."""
        payload = self._left - 2
        if payload > 0:
            piece = data[position : position + payload] if position or payload < len(data) else data
            pieces.append(piece)
            self._left -= len(piece)
            return position + len(piece)
        mark = data[position : position + self._left]
        if mark != b"\r\n"[2 - self._left :][: len(mark)]:
            raise InvalidArgument("malformed chunked encoding")
        self._left -= len(mark)
        return position + len(mark)

    def _keep_line(self, line: bytes) -> None:
        if len(line) > _MAX_LINE:
            raise InvalidArgument("malformed chunked encoding: line too long")
        self._line = line

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].strip()
        # int() alone would take signs, prefixes and underscores: a way to smuggle requests
        if not digits or digits.translate(None, _HEX) or len(digits) > 16 or len(line) > _MAX_LINE:
            raise InvalidArgument("malformed chunked encoding: bad chunk size")
        size = int(digits, 16)
        self._left = size + 2 if size else -1

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > _MAX_TRAILERS:
            raise InvalidArgument("malformed chunked encoding: trailers too long")
        self.done = not line


def decoder(length: int) -> Counted | Chunked:
    """The decoder for a body of that length (of `Head.length`)."""
    return Chunked() if length == CHUNKED else Counted(length)


def chunk(data: bytes) -> bytes:
    """One chunk as it goes out; `data` must not be empty, for that would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
