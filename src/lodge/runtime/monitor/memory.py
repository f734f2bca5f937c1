"""The news that the kernel killed a process of the container for want of memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from lodge.runtime.monitor.loop import READ, Loop

_LARGEST_NEWS = 4096


@runtime_checkable
class TellsOfMemory(Protocol):
    """A dwelling that can tell at once; of others one learns when their program ends."""

    def oom_event_fd(self) -> int | None:
        """Readable when memory ran out; None when it can't. The caller's to close."""


class MemoryWatch:
    """Owns the descriptor. `on_news` is called whenever a look at the count is worth it."""

    def __init__(self, loop: Loop, fd: int, on_news: Callable[[], object]) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._on_news = on_news
        loop.watch(fd, READ, self._readable)

    def _readable(self, _events: int) -> None:
        try:
            os.read(self._fd, _LARGEST_NEWS)
        except BlockingIOError:
            return
        self._on_news()

    def close(self) -> None:
        """Watch no more; idempotent."""
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1
