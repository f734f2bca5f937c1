"""Streams of bytes as the archive tools take them: anything with `read`, and a buffer to cut pieces from.

`Readable` is all that is asked of a stream. `Source` adds what a tar parser needs: exactly n bytes, or the
pieces of a payload without copying, or an honest error that the stream is too short.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from lodge.errors import Corrupt

CHUNK = 1 << 20
"""Bytes asked for at a time: large enough that Python's share of a copy is nothing."""


class Readable(Protocol):
    """A stream of bytes that can only be read forward."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, at least one; nothing only at the end."""


class DescriptorReader:
    """Reads an open file descriptor that somebody else owns and closes."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; nothing at the end."""
        return os.read(self._fd, size)


class Source:
    """A readable with a buffer. `offset` counts the bytes handed out."""

    __slots__ = ("_buffer", "_position", "_readable", "_size", "_started")

    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._buffer = b""
        self._position = 0
        self._size = 0
        self._started = 0

    @property
    def offset(self) -> int:
        """How many bytes were taken from the start on."""
        return self._started + self._position

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer at the end, and leave them to be taken."""
        while self._size - self._position < size:
            more = self._readable.read(CHUNK)
            if not more:
                break
            self._replace(self._buffer[self._position :] + more)
        return self._buffer[self._position : self._position + size]

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, whatever is at hand; nothing only at the end (a `Readable`)."""
        if self._position == self._size and not self._fill():
            return b""
        start = self._position
        end = min(start + size, self._size)
        self._position = end
        return self._buffer if end - start == self._size else self._buffer[start:end]

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes; raises Corrupt when the stream ends before."""
        start = self._position
        end = start + size
        if end <= self._size:
            self._position = end
            return self._buffer[start:end]
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes | memoryview]:
        """Yield the next `size` bytes in pieces as they lie in the buffer; Corrupt if some are missing.

        The stream goes on after the last piece only when the iterator was used up.
        """
        while size:
            start = self._position
            if start == self._size:
                if not self._fill():
                    raise Corrupt(f"unexpected end of the stream: {size} more bytes were announced")
                start = 0
            length = min(size, self._size - start)
            self._position = start + length
            size -= length
            whole = length == self._size
            yield self._buffer if whole else memoryview(self._buffer)[start : start + length]

    def skip(self, size: int) -> None:
        """Pass over `size` bytes; raises Corrupt when the stream ends before."""
        ahead = self._size - self._position
        if size <= ahead:
            self._position += size
            return
        for _ in self.pieces(size):
            pass

    def drain(self) -> None:
        """Read to the end of the stream, so that whoever checks its digest sees all of it."""
        self._position = self._size
        while self._fill():
            self._position = self._size

    def _fill(self) -> bool:
        data = self._readable.read(CHUNK)
        self._replace(data)
        return bool(data)

    def _replace(self, data: bytes) -> None:
        self._started += self._position
        self._buffer = data
        self._size = len(data)
        self._position = 0
