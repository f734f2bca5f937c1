"""A blob that comes from another registry while clients already read it: one download, any number of readers.

The thread that downloads tells the loop how far it is; readers wait on the loop. The last bytes are held back
until the digest of all is known to be right, so no client takes a forged blob for a whole one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import BinaryIO

from lodge.errors import Unavailable

_PIECE = 256 * 1024
_HELD_BACK = 64 * 1024


class Incoming:
    """One blob on its way. Its methods belong to the loop; `tell`, `found` and `ended` to the thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []
        self.size = -1
        self.path = ""
        self.done = False
        self.error: BaseException | None = None
        self._arrived = 0

    def found(self, size: int, path: str) -> None:
        """In the thread: how large it will be, and where it grows."""
        self._loop.call_soon_threadsafe(self._found, size, path)

    def tell(self, arrived: int) -> None:
        """In the thread: so many bytes are in the file."""
        self._loop.call_soon_threadsafe(self._tell, arrived)

    def ended(self, error: BaseException | None) -> None:
        """In the thread: it is verified and on the shelf, or will not be."""
        self._loop.call_soon_threadsafe(self._end, error)

    async def begun(self) -> None:
        """Wait until its size is known, or it has ended. Raises what went wrong."""
        while self.size < 0 and not self.done:
            await self._news()
        self._check()

    async def finished(self) -> None:
        """Wait for its end. Raises what went wrong."""
        while not self.done:
            await self._news()
        self._check()

    async def pieces(self) -> AsyncIterator[bytes]:
        """All its bytes in order, as they arrive; after `begun`. Raises what went wrong."""
        offset = 0
        with await self._open() as file:
            while offset < self.size:
                end = self.size if self.done else min(self._arrived, self.size - _HELD_BACK)
                if end <= offset:
                    await self._news()
                    self._check()
                    continue
                data = file.read(min(_PIECE, end - offset))
                if not data:
                    raise Unavailable("the blob was withdrawn while it was read")
                offset += len(data)
                yield data

    async def _open(self) -> BinaryIO:
        try:
            return open(self.path, "rb", buffering=0)
        except FileNotFoundError:
            await self.finished()  # it was put on its shelf a moment ago
            return open(self.path, "rb", buffering=0)

    def _found(self, size: int, path: str) -> None:
        self.size, self.path = size, path
        self._wake()

    def _tell(self, arrived: int) -> None:
        self._arrived = arrived
        self._wake()

    def _end(self, error: BaseException | None) -> None:
        self.done, self.error = True, error
        self._wake()

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    async def _news(self) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
