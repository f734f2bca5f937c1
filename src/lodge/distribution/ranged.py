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
"""Of one blob. So many segments are ahead of its reader at most."""
_MOST_AHEAD = 8
"""Segments of all blobs together, but for one each: it is what bounds the memory."""
_PIECE = 256 << 10
_LOOK = 0.1
"""Seconds after which a connection looks again whether another blob has made room."""
_ahead = threading.BoundedSemaphore(_MOST_AHEAD)


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
        self._ready: dict[int, bytearray] = {}
        self._next = 0
        self._holding: set[int] = set()
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
                segment = memoryview(self._ready.pop(number))
                self._taken = number + 1
                self._give_back({number})
                self._news.notify_all()
            for start in range(0, len(segment), _PIECE):
                yield bytes(segment[start : start + _PIECE])

    def close(self) -> None:
        """End the connections. Idempotent."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._abort.drop(self._callback)
        for thread in self._threads:
            thread.join()
        with self._news:
            self._give_back(set(self._holding))

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def _fetch_all(self) -> None:
        """In a thread: fetch segments until there are no more."""
        try:
            while (number := self._claim()) is not None:
                segment = self._fetch(number)
                with self._news:
                    self._ready[number] = segment
                    self._news.notify_all()
        except Exception as error:
            with self._news:
                self._failure = self._failure or error
                self._news.notify_all()

    def _claim(self) -> int | None:
        """Take the next segment as soon as there is room; there always is for the one that is read next."""
        with self._news:
            while self._next < self._count and not self._over():
                if self._next == self._taken:
                    break
                if self._next < self._taken + CONNECTIONS and _ahead.acquire(blocking=False):
                    self._holding.add(self._next)
                    break
                self._news.wait(_LOOK)
            if self._next >= self._count or self._over():
                return None
            self._next += 1
            return self._next - 1

    def _give_back(self, numbers: set[int]) -> None:
        """Make room: these segments are no longer ahead."""
        for number in numbers & self._holding:
            self._holding.discard(number)
            _ahead.release()

    def _over(self) -> bool:
        return self._closed or self._failure is not None or self._abort.is_set

    def _fetch(self, number: int) -> bytearray:
        start = self._start + number * SEGMENT
        end = min(start + SEGMENT, self._blob.size)
        segment = bytearray(end - start)
        done = 0
        with self._places.blob(self._blob.id, self._blob.size, start=start, end=end) as stream:
            if stream.start != start:
                raise NoRanges
            while done < len(segment) and (piece := stream.read(_PIECE)):
                if self._closed:
                    raise Aborted("context canceled")
                segment[done : done + len(piece)] = piece
                done += len(piece)
        return segment
