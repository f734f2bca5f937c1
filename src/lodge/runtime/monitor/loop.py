"""The poll loop of a monitor: files with callbacks, timers, and the news of dead children.

An event loop of our own since asyncio costs megabytes a process. One thread; callbacks never block long.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import time
from collections.abc import Callable

READ = select.POLLIN
WRITE = select.POLLOUT
HANGUP = select.POLLHUP | select.POLLERR | select.POLLNVAL

_READINESS = READ | WRITE


class Timer:
    """Something that happens later, unless it is cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Let it not happen; idempotent."""
        self.callback = None


class _Watch:
    __slots__ = ("callback", "since")

    def __init__(self, callback: Callable[[int], None], since: int) -> None:
        self.callback = callback
        self.since = since


class Loop:
    """Files are watched by number: forget one before it is closed."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._watched: dict[int, _Watch] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._round = 0
        self._stopped = False

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call back with the events that are due: READ and WRITE as asked, HANGUP always."""
        self._watched[fd] = _Watch(callback, self._round)
        self._poll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Wait for other events of a watched file."""
        self._poll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Watch a file no more; idempotent."""
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, after so many seconds of the monotonic clock."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def on_child(self, callback: Callable[[], None]) -> None:
        """Call back after children have died: SIGCHLD, through a pipe of one's own."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

        def wake(_events: int) -> None:
            try:
                os.read(reader, 4096)
            except BlockingIOError:
                pass
            callback()

        self.watch(reader, READ, wake)

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopped:
            self.turn()

    def turn(self) -> None:
        """One round: wait for files and timers, call back."""
        self._round += 1
        for fd, events in self._poll.poll(self._patience()):
            watch = self._watched.get(fd)
            # A callback of this round may have closed the file and given its number to a new one.
            if watch is not None and watch.since != self._round:
                watch.callback(events & (_READINESS | HANGUP))
        while self._timers and self._timers[0][0] <= time.monotonic():
            timer = heapq.heappop(self._timers)[2]
            if timer.callback is not None:
                timer.callback()

    def _patience(self) -> int | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0, int((self._timers[0][0] - time.monotonic()) * 1000) + 1)

    def stop(self) -> None:
        """Let `run` return after this round."""
        self._stopped = True


def _nothing(_number: int, _frame: object) -> None:
    """A handler, so that the signal is delivered at all; the pipe tells."""
