"""One connection, both ways: what comes in on one side goes out on the other, ends included."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from lodge.network.loop import HANGUP, READ, WRITE, Loop

CHUNK = 128 << 10
# Chunks of one connection in a round, before others have their turn.
_ROUND = 4
_RESET = struct.pack("ii", 1, 0)

# Read into and written from within one callback: one for all.
_buffer = memoryview(bytearray(CHUNK))


def reset_on_close(sock: socket.socket) -> None:
    """Let the other side see that this is no orderly end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    except OSError:
        pass


class _Side:
    """One socket. `outbox` waits to be sent to it; it has `ended` its own way; our way to it is `shut`."""

    __slots__ = ("ended", "events", "outbox", "shut", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.events = 0
        self.outbox = b""
        self.ended = False
        self.shut = False


class Relay:
    """Owns both sockets. `far` may still be connecting. `gone` is called once, at the end."""

    __slots__ = ("_far", "_gone", "_loop", "_near", "connected")

    def __init__(
        self, loop: Loop, near: socket.socket, far: socket.socket, gone: Callable[[Relay], None]
    ) -> None:
        self._loop = loop
        self._near = _Side(near)
        self._far = _Side(far)
        self._gone = gone
        self.connected = False
        self._watch(self._far, WRITE)

    def close(self, *, reset: bool = False) -> None:
        """End both connections, at once when `reset`; idempotent."""
        if self._near.sock.fileno() < 0:
            return
        for side in (self._near, self._far):
            self._watch(side, 0)
            if reset:
                reset_on_close(side.sock)
            side.sock.close()
        self._gone(self)

    def _serve(self, side: _Side, events: int) -> None:
        try:
            if not self.connected:
                self._connect()
            elif events & (WRITE | HANGUP):
                self._flush(side)
            if self.connected and events & (READ | HANGUP) and side.events & READ:
                self._pump(side)
            self._settle()
        except OSError:
            self.close(reset=True)

    def _connect(self) -> None:
        code = self._far.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, "the container does not take the connection")
        self.connected = True

    def _pump(self, source: _Side) -> None:
        sink = self._far if source is self._near else self._near
        for _ in range(_ROUND):
            try:
                length = source.sock.recv_into(_buffer)
            except BlockingIOError:
                return
            if not length:
                source.ended = True
                return
            sent = 0
            try:
                sent = sink.sock.send(_buffer[:length])
            except BlockingIOError:
                pass
            if sent < length:
                sink.outbox = bytes(_buffer[sent:length])
                return
            if length < CHUNK:
                return

    def _flush(self, sink: _Side) -> None:
        try:
            sent = sink.sock.send(sink.outbox) if sink.outbox else 0
        except BlockingIOError:
            return
        sink.outbox = sink.outbox[sent:]

    def _settle(self) -> None:
        """Pass on ends; wait for what can happen next; leave when both ways are done."""
        for source, sink in ((self._near, self._far), (self._far, self._near)):
            if source.ended and not sink.outbox and not sink.shut:
                sink.shut = True
                try:
                    sink.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    # It has ended its way too, and is gone.
                    sink.ended = True
        if self._near.shut and self._far.shut:
            self.close()
            return
        for side, other in ((self._near, self._far), (self._far, self._near)):
            reading = READ if not side.ended and not other.outbox else 0
            self._watch(side, reading | (WRITE if side.outbox else 0))

    def _watch(self, side: _Side, events: int) -> None:
        """A side that is waited for in no way is not watched at all: its hang-up would be told for ever."""
        if events == side.events:
            return
        fd = side.sock.fileno()
        if not side.events:
            self._loop.watch(fd, events, lambda seen: self._serve(side, seen))
        elif events:
            self._loop.change(fd, events)
        else:
            self._loop.forget(fd)
        side.events = events
