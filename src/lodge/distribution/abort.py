"""A way to end work in threads that wait for a net: everything that waits, waits for this as well."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lodge.errors import Unavailable


class Aborted(Unavailable):
    """Nobody wants the result any more."""


class Abort:
    """Set once, from any thread. Callbacks run then, or at once when it was set before."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._count = 0

    def set(self) -> None:
        """End the work. Idempotent."""
        self._event.set()
        with self._lock:
            callbacks, self._callbacks = self._callbacks, {}
        for callback in callbacks.values():
            callback()

    @property
    def is_set(self) -> bool:
        """Whether the work is to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Aborted when the work is to end."""
        if self._event.is_set():
            raise Aborted("context canceled")

    def wait(self, seconds: float) -> None:
        """Sleep; raises Aborted as soon as the work is to end."""
        if self._event.wait(seconds):
            raise Aborted("context canceled")

    def add(self, callback: Callable[[], None]) -> int:
        """Call it when the work is to end; returns a number for `drop`."""
        with self._lock:
            self._count += 1
            if not self._event.is_set():
                self._callbacks[self._count] = callback
                return self._count
        callback()
        return self._count

    def drop(self, number: int) -> None:
        """Forget a callback. Idempotent."""
        with self._lock:
            self._callbacks.pop(number, None)
