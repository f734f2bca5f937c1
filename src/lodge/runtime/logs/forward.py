"""Output sent on to a log service of the host or the net, beside what is kept for `logs`.

A service that is slow or away never holds up the program: what it does not take at once waits in a bounded
queue, and what falls out of that is counted. The services' own languages are next door: `syslog`, `journald`;
`services` puts them together.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

WAITING = 1 << 20
"""Bytes that wait for a service."""
_CONNECT_SECONDS = 2.0
_LAST_SECONDS = 1.0
_AGAIN = (errno.EAGAIN, errno.ENOBUFS, errno.EINTR)


class Formatter(Protocol):
    """The language of a service."""

    def message(self, stream: int, line: bytes, at_ns: int, partial: bool) -> bytes:
        """One line of output, without its newline, as one message."""


class Place(Struct, frozen=True):
    """Where a service listens: the family and type of the socket, and the address to connect to."""

    family: int
    type: int
    place: str | tuple[str, int]


class Forwarder:
    """Sends lines to one service. `on_trouble(message, dropped bytes)` hears when that begins to fail."""

    def __init__(self, formatter: Formatter, address: Place, on_trouble: Callable[[str, int], None]) -> None:
        """OSError when the service can't be reached: the container then does not start, as with Docker."""
        self._formatter = formatter
        self._address = address
        self._on_trouble = on_trouble
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0
        self._failing = False
        self._socket: socket.socket | None = self._connect()

    def _connect(self) -> socket.socket:
        made = socket.socket(self._address.family, self._address.type | socket.SOCK_CLOEXEC)
        try:
            made.settimeout(_CONNECT_SECONDS)
            made.connect(self._address.place)
            made.setblocking(False)
        except BaseException:
            made.close()
            raise
        return made

    def send(self, stream: int, group: bytes, at_ns: int) -> None:
        """Send a group of whole lines, or a piece of a line that has no end yet."""
        partial = not group.endswith(b"\n")
        for line in group.splitlines():
            self._queue(self._formatter.message(stream, line, at_ns, partial))
        self._flush()

    def _queue(self, message: bytes) -> None:
        if self._size + len(message) > WAITING:
            self.dropped += len(message)
            self._tell("the log service does not keep up")
            return
        self._waiting.append(message)
        self._size += len(message)

    def _flush(self) -> None:
        try:
            if self._socket is None:
                self._socket = self._connect()
            while self._waiting:
                message = self._waiting[0]
                sent = self._socket.send(message)
                self._size -= sent
                if sent < len(message) and self._address.type == socket.SOCK_STREAM:
                    self._waiting[0] = message[sent:]
                    continue
                self._size -= len(message) - sent
                self._waiting.popleft()
            self._failing = False
        except OSError as error:
            if error.errno not in _AGAIN:
                self._lose_connection(error)

    def _lose_connection(self, error: OSError) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if error.errno == errno.EMSGSIZE:
            # Too long for a datagram of this service: it would be so forever.
            self.dropped += len(self._waiting[0])
            self._size -= len(self._waiting.popleft())
        self._tell(error.strerror or os.strerror(error.errno or errno.EIO))

    def _tell(self, message: str) -> None:
        if not self._failing:
            self._failing = True
            self._on_trouble(f"output can't be sent on: {message}", self.dropped)

    def close(self) -> None:
        """Give the service one more moment for what waits; idempotent."""
        if self._socket is not None:
            self._socket.settimeout(_LAST_SECONDS)
            self._flush()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._waiting.clear()
        self._size = 0
