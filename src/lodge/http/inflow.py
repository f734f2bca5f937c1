"""A request body for a blocking reader in a thread: it reads the socket itself.

The event loop stops reading from the connection for that time, so a big upload costs no hop between threads
and the bytes are not copied twice. What the reader took beyond the body's end goes back to the connection.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import deque
from typing import Protocol

from lodge.errors import TimedOut
from lodge.http.body import Body, client_gone
from lodge.http.framing import Chunked, Counted

_READ = 512 * 1024


class BlockingReader(Protocol):
    """What `exchange.inflow()` gives."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, empty at the end; Unavailable when the client is gone."""
        ...


class _Shelf:
    """Pieces waiting to be handed out in other sizes."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = deque(pieces)

    def put(self, pieces: list[bytes]) -> None:
        self._pieces.extend(pieces)

    def take(self, size: int) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        if 0 <= size < len(piece):
            self._pieces.appendleft(piece[size:])
            piece = piece[:size]
        return piece


class SocketInflow:
    """Reads a plain socket through a descriptor of its own (`close` gives it up)."""

    __slots__ = ("_decoder", "_fd", "_poll", "_shelf", "_silence")

    def __init__(self, fd: int, decoder: Counted | Chunked, pieces: list[bytes], *, silence: float) -> None:
        self._fd = fd
        self._decoder = decoder
        self._shelf = _Shelf(pieces)
        self._silence = silence
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes (whatever is there for -1), empty at the end of the body."""
        if size < 0:
            return b"".join(iter(lambda: self._some(-1), b""))
        return self._some(size) if size else b""

    def _some(self, size: int) -> bytes:
        while not (piece := self._shelf.take(size)):
            if self._decoder.done:
                return b""
            data = self._receive()
            if not data:
                raise client_gone()
            self._shelf.put(self._decoder.feed(data))
        return piece

    def _receive(self) -> bytes:
        while True:
            try:
                return os.read(self._fd, _READ)
            except BlockingIOError:
                if not self._poll.poll(self._silence * 1000):
                    raise TimedOut("timed out while reading the request body") from None
            except OSError:
                raise client_gone() from None

    def close(self) -> None:
        """Give the descriptor up. Never while another thread reads."""
        os.close(self._fd)


class LoopInflow:
    """Reads through the event loop: for TLS, where only the loop knows the plain bytes."""

    __slots__ = ("_body", "_loop", "_shelf")

    def __init__(self, body: Body, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._loop = loop
        self._shelf = _Shelf(body.take())

    def read(self, size: int = -1, /) -> bytes:
        """See BlockingReader."""
        if size < 0:
            return b"".join(iter(lambda: self._some(-1), b""))
        return self._some(size) if size else b""

    def _some(self, size: int) -> bytes:
        piece = self._shelf.take(size)
        if not piece:
            piece = asyncio.run_coroutine_threadsafe(self._body.next(), self._loop).result()
            self._shelf.put([piece] if piece else [])
            piece = self._shelf.take(size)
        return piece
