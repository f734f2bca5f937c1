"""One background thread of the room: what nobody shall wait for, and what must be noticed at once.

Jobs run one after the other, each at its time; descriptors are watched meanwhile. The thread begins with the
first job and sleeps without a timer when there is nothing to do.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import select
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)

Job = Callable[[], None]


class Keeper:
    """Runs jobs at their times; a job's exception is logged and ends only itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: list[tuple[float, int, Job]] = []
        self._number = itertools.count()
        self._watched: dict[int, Job] = {}
        self._poll = select.poll()
        self._bell = -1
        self._thread: threading.Thread | None = None
        self._closing = False

    def later(self, seconds: float, job: Job) -> None:
        """Do it in so many seconds."""
        with self._lock:
            heapq.heappush(self._jobs, (time.monotonic() + seconds, next(self._number), job))
            self._begin()

    def watch(self, fd: int, job: Job) -> None:
        """Do it whenever a descriptor can be read."""
        with self._lock:
            self._watched[fd] = job
            self._poll.register(fd, select.POLLIN)
            self._begin()

    def close(self) -> None:
        """End; jobs that were not begun are dropped."""
        with self._lock:
            self._closing = True
            thread, self._thread = self._thread, None
            if thread is not None:
                os.eventfd_write(self._bell, 1)
        if thread is not None:
            thread.join()
            os.close(self._bell)

    def _begin(self) -> None:
        if self._closing:
            return
        if self._thread is None:
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._poll.register(self._bell, select.POLLIN)
            self._thread = threading.Thread(target=self._run, name="network-keeper", daemon=True)
            self._thread.start()
        elif threading.current_thread() is not self._thread:
            os.eventfd_write(self._bell, 1)

    def _run(self) -> None:
        while not self._closing:
            for fd, _ in self._poll.poll(self._patience()):
                if fd == self._bell:
                    os.eventfd_read(self._bell)
                else:
                    self._do(self._watched[fd])
            while not self._closing and (job := self._due()) is not None:
                self._do(job)

    def _patience(self) -> float | None:
        with self._lock:
            if not self._jobs:
                return None
            return max(0.0, (self._jobs[0][0] - time.monotonic()) * 1000)

    def _due(self) -> Job | None:
        with self._lock:
            if self._jobs and self._jobs[0][0] <= time.monotonic():
                return heapq.heappop(self._jobs)[2]
            return None

    def _do(self, job: Job) -> None:
        try:
            job()
        except Exception:
            _log.exception("a job of the network's background failed")
