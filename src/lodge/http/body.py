"""The body of a request, for readers on the event loop: as a whole within a limit, or piece by piece.

The connection (`connection.py`) puts pieces in; a full buffer makes it stop reading from the client. A hand
that reads in a thread of its own gets an `inflow` instead, which takes the socket for that time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from lodge.errors import Exhausted, TimedOut, Unavailable
from lodge.http.framing import Chunked, Counted


class ClientGone(Unavailable):
    """The client closed its connection before the end."""


class TooLarge(Exhausted):
    """A body is larger than its reader allows (413)."""


class Body:
    """What follows the head of one request."""

    __slots__ = (
        "_more",
        "_pieces",
        "_resume",
        "_waiter",
        "buffered",
        "decoder",
        "failure",
        "started",
        "wanted",
    )

    def __init__(
        self, decoder: Counted | Chunked, *, wanted: Callable[[], None], resume: Callable[[], None]
    ) -> None:
        self.decoder = decoder
        self.buffered = 0
        self.failure: Exception | None = None
        self.started = False
        self.wanted = wanted
        self._resume = resume
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def complete(self) -> bool:
        """All of it has arrived (it may still wait for its reader)."""
        return self.decoder.done

    def put(self, pieces: list[bytes]) -> None:
        """Called by the connection with what arrived."""
        for piece in pieces:
            self._pieces.append(piece)
            self.buffered += len(piece)
        self._wake()

    def fail(self, failure: Exception) -> None:
        """Called by the connection: nothing more will come."""
        if not self.complete and self.failure is None:
            self.failure = failure
        self._wake()

    def take(self) -> list[bytes]:
        """All pieces that wait now."""
        pieces = list(self._pieces)
        self._pieces.clear()
        self.buffered = 0
        return pieces

    async def read(self, limit: int, *, seconds: float) -> bytes:
        """The whole body. Raises TooLarge over `limit` bytes, TimedOut after a long silence."""
        pieces: list[bytes] = []
        size = 0
        if isinstance(self.decoder, Counted) and not self.complete and self.decoder.left > limit:
            raise TooLarge(f"request body is larger than {limit} bytes")
        while True:
            try:
                piece = self._next_now() if self._pieces or self.complete else None
                if piece is None:
                    async with asyncio.timeout(seconds):
                        piece = await self.next()
            except TimeoutError:
                raise TimedOut("timed out while reading the request body") from None
            if not piece:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            size += len(piece)
            if size > limit:
                raise TooLarge(f"request body is larger than {limit} bytes")
            pieces.append(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.next():
            yield piece

    async def next(self) -> bytes:
        """The next piece; empty at the end. Raises Unavailable when the client went away before it."""
        while not self._pieces:
            if self.complete:
                return b""
            if self.failure is not None:
                raise self.failure
            self._ask()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._next_now()

    def _next_now(self) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.popleft()
        self.buffered -= len(piece)
        if not self.complete:
            self._resume()
        return piece

    def _ask(self) -> None:
        if not self.started:
            self.wanted()  # the client may wait for 100 Continue

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def client_gone() -> ClientGone:
    """The error of a reader whose client vanished."""
    return ClientGone("the client closed the connection in the middle of the request body")
