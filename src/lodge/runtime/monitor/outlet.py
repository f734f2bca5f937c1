"""One output stream of a program: read from its pipe or terminal, given to the log and to clients."""

from __future__ import annotations

import os
from collections.abc import Callable

from lodge.runtime.monitor.loop import READ, Loop

CHUNK = 64 * 1024
# At the end of a program a foreign process may still write without end; this is more than a pipe holds.
_DRAIN_CHUNKS = 64


class Outlet:
    """Owns the fd. `deliver(stream, data)` gets every chunk; `on_end` is called once, when all is read."""

    def __init__(
        self,
        loop: Loop,
        fd: int,
        stream: int,
        deliver: Callable[[int, bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._stream = stream
        self._deliver = deliver
        self._on_end = on_end
        self._paused = False
        loop.watch(fd, READ, self._readable)

    @property
    def open(self) -> bool:
        """Whether more may come."""
        return self._fd >= 0

    def pause(self) -> None:
        """Read no more, so that the program waits once its pipe is full; idempotent."""
        if self.open and not self._paused:
            self._paused = True
            # Forgotten, not just unasked: a hang-up of the other side would be reported without end.
            self._loop.forget(self._fd)

    def resume(self) -> None:
        """Read on; idempotent."""
        if self.open and self._paused:
            self._paused = False
            self._loop.watch(self._fd, READ, self._readable)

    def drain(self) -> None:
        """Read what is there now, without waiting."""
        for _ in range(_DRAIN_CHUNKS):
            if not self.open or not self._read():
                return

    def close(self) -> None:
        """Stop reading for good; idempotent, `on_end` is not called."""
        if self.open:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self, _events: int) -> None:
        self._read()

    def _read(self) -> bool:
        """Pass one chunk on; False when there is none now, or no more at all."""
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            # A terminal says EIO when its last user is gone.
            data = b""
        if data:
            self._deliver(self._stream, data)
            return True
        self.close()
        self._on_end()
        return False
