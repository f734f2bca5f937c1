"""A blob over several connections at once, for lines that give each connection only a share.

The rest of a blob is cut into segments; each connection fetches the next one that nobody has, and they are
handed on in order. So few segments are ahead of the reader that the memory stays small, whatever the size of
the blob, and what has been handed on is always a beginning that a later attempt can go on from.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from lodge.distribution.abort import Abort, Aborted
from lodge.distribution.registries import Places
from lodge.distribution.transport import Broken
from lodge.spec.descriptor import Descriptor

SEGMENT = 2 << 20
"""Bytes of one request."""
CONNECTIONS = 4
"""Of one blob. Each holds one segment at most, and so does the reader."""
_PIECE = 256 << 10


class NoRanges(Exception):
    """The registry sends whole blobs only."""


class Ranged:
    """Reads a blob from `start` on. Iterate over it once; close it."""

    def __init__(self, places: Places, blob: Descriptor, start: int, abort: Abort) -> None:
        self._places = places
        self._blob = blob
        self._start = start
        self._count = -(-(blob.size - start) // SEGMENT)
        self._news = threading.Condition()
        self._ready: dict[int, list[bytes]] = {}
        self._next = 0
        self._taken = 0
        self._failure: Exception | None = None
        self._closed = False
        self._callback = abort.add(self._wake)
        self._abort = abort
        self._threads = [
            threading.Thread(target=self._fetch_all, name="lodge-range", daemon=True)
            for _ in range(min(CONNECTIONS, self._count))
        ]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes in order. Raises Broken, Aborted, NoRanges, and what a refusal means."""
        for number in range(self._count):
            with self._news:
                while number not in self._ready and self._failure is None and not self._abort.is_set:
                    self._news.wait()
                if number not in self._ready:
                    self._abort.check()
                    raise self._failure or Broken("unexpected EOF")
                pieces = self._ready.pop(number)
                self._taken = number + 1
                self._news.notify_all()
            yield from pieces

    def close(self) -> None:
        """End the connections. Idempotent."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._abort.drop(self._callback)
        for thread in self._threads:
            thread.join()

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def _fetch_all(self) -> None:
        """In a thread: fetch segments until there are no more."""
        try:
            while (number := self._claim()) is not None:
                pieces = self._fetch(number)
                with self._news:
                    self._ready[number] = pieces
                    self._news.notify_all()
        except Exception as error:
            with self._news:
                self._failure = self._failure or error
                self._news.notify_all()

    def _claim(self) -> int | None:
        """Take the next segment, as soon as it is not too far ahead of the reader."""
        with self._news:
            while self._next < self._count and self._next >= self._taken + CONNECTIONS and not self._over():
                self._news.wait()
            if self._next >= self._count or self._over():
                return None
            self._next += 1
            return self._next - 1

    def _over(self) -> bool:
        return self._closed or self._failure is not None or self._abort.is_set

    def _fetch(self, number: int) -> list[bytes]:
        start = self._start + number * SEGMENT
        end = min(start + SEGMENT, self._blob.size)
        pieces: list[bytes] = []
        with self._places.blob(self._blob.id, self._blob.size, start=start, end=end) as stream:
            if stream.start != start:
                raise NoRanges
            while start < end and (piece := stream.read(_PIECE)):
                if self._closed:
                    raise Aborted("context canceled")
                start += len(piece)
                pieces.append(piece)
        return pieces
