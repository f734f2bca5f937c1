"""The event loop of the porter: files with callbacks, and timers, on epoll(7).

One of our own since asyncio costs megabytes a process. One thread; callbacks never block. What a callback
raises is reported and the loop goes on: one container's trouble is not the others'.
"""

from __future__ import annotations

import heapq
import itertools
import select
import sys
import time
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR

Callback = Callable[[int], None]

# Files that are served in one round, before the timers have their turn.
_BATCH = 64
# Reports of one second; a defect that is hit a thousand times is not reported a thousand times.
_REPORTS = 5


class Timer:
    """Something that happens later, unless it is cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Let it not happen; idempotent."""
        self.callback = None


class Loop:
    """Files are watched by number: forget one before it is closed."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callback] = {}
        # Forgotten in this round: its number may belong to a new file already.
        self._stale: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self.stopped = False
        self._reports = 0
        self._reported_at = 0.0

    def watch(self, fd: int, events: int, callback: Callback) -> None:
        """Call back with the events that are due: READ and WRITE as asked, HANGUP always."""
        self._epoll.register(fd, events)
        self._watched[fd] = callback

    def change(self, fd: int, events: int) -> None:
        """Wait for other events of a watched file; none but HANGUP for 0."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Watch a file no more; idempotent."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            self._stale.add(fd)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after so many seconds of the monotonic clock."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def run(self) -> None:
        """Serve until `stop`."""
        while not self.stopped:
            self.turn()

    def turn(self) -> None:
        """One round: wait for files and timers, call back."""
        self._stale.clear()
        for fd, events in self._epoll.poll(self._patience(), _BATCH):
            callback = self._watched.get(fd)
            if callback is not None and fd not in self._stale:
                try:
                    callback(events)
                except Exception:
                    self._report()
        while self._timers and self._timers[0][0] <= time.monotonic():
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                try:
                    timer.callback()
                except Exception:
                    self._report()

    def _patience(self) -> float:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1.0

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported_at > 1:
            self._reported_at, self._reports = now, 0
        self._reports += 1
        if self._reports <= _REPORTS:
            sys.excepthook(*sys.exc_info())

    def stop(self) -> None:
        """Let `run` return after this round."""
        self.stopped = True

    def close(self) -> None:
        """Close the epoll file; what is watched stays open."""
        self._epoll.close()
