"""A program's standard input, as the monitor's end of its pipe or terminal.

Bounded: what does not fit into the program's pipe waits here, and clients are asked for more only while there
is room. The other direction is next door in `outlet`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from lodge.runtime.monitor.loop import WRITE, Loop

_ROOM = 64 * 1024


class Inlet:
    """Owns the fd. `on_room` is called when bytes that waited have gone."""

    def __init__(self, loop: Loop, fd: int, on_room: Callable[[], None]) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._on_room = on_room
        self._waiting = bytearray()
        self._ending = False

    @property
    def has_room(self) -> bool:
        """Whether clients may be read; also when closed, since what comes then is dropped."""
        return len(self._waiting) < _ROOM

    def write(self, data: bytes) -> None:
        """Pass bytes on; dropped when the program has closed its input."""
        if self._fd < 0 or self._ending:
            return
        if not self._waiting:
            data = data[self._push(data) :]
        if data and self._fd >= 0:
            if not self._waiting:
                self._loop.watch(self._fd, WRITE, self._writable)
            self._waiting += data

    def finish(self) -> None:
        """No more will come: close once everything is through; idempotent."""
        self._ending = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close now; idempotent."""
        self._waiting.clear()
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _push(self, data: bytes | bytearray) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            # EPIPE, EIO: nobody will read this input any more.
            self.close()
            return 0

    def _writable(self, _events: int) -> None:
        del self._waiting[: self._push(self._waiting)]
        if not self._waiting:
            if self._ending:
                self.close()
            elif self._fd >= 0:
                self._loop.forget(self._fd)
        if self.has_room:
            self._on_room()
