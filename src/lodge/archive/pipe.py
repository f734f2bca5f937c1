"""A bounded pipe of byte pieces between two threads of this process, without copying."""

from __future__ import annotations

import queue

from lodge.errors import Unavailable

_END = b""


class Pipe:
    """One thread writes, another reads (a `Readable`). Either may give up, and the other learns of it.

    A writer whose reader has gone goes on writing into nothing: it has other readers to serve.
    """

    def __init__(self, depth: int = 8) -> None:
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(depth)
        self._abandoned = False
        self._ended = False

    def write(self, piece: bytes) -> None:
        """Hand a piece over; waits while the reader is behind."""
        if piece and not self._abandoned:
            self._queue.put(piece)

    def finish(self) -> None:
        """Say that all was written."""
        self._end(_END)

    def fail(self, error: BaseException) -> None:
        """Say that the rest will never come; the reader gets the error."""
        self._end(error)

    def _end(self, last: bytes | BaseException) -> None:
        if not self._abandoned:
            self._queue.put(last)

    def read(self, size: int, /) -> bytes:  # noqa: ARG002 - pieces are handed on as they came
        """Return the next piece, whatever its length; nothing at the end."""
        if self._ended:
            return _END
        piece = self._queue.get()
        if isinstance(piece, BaseException):
            self._ended = True
            raise Unavailable(f"the stream broke off: {piece}") from piece
        self._ended = not piece
        return piece

    def abandon(self) -> None:
        """Say that nothing will be read any more, and free a writer that waits."""
        self._abandoned = True
        while not self._queue.empty():
            self._queue.get_nowait()
