"""A client attached to a program: a stream socket that an engine handed over after its HTTP answer.

Output for it waits here, bounded by whoever feeds it (`congested`); its input goes to the program's `inlet`.
A client that vanished is dropped at once, one that is only slow is waited for.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol

from lodge.runtime.monitor.escape import Escape
from lodge.runtime.monitor.inlet import Inlet
from lodge.runtime.monitor.loop import HANGUP, READ, WRITE, Loop
from lodge.spec import streams

HIGH = 1024 * 1024
LOW = 256 * 1024

_INPUT_CHUNK = 32 * 1024
_LAST_CHUNKS = 16


class Owner(Protocol):
    """Who is told what becomes of a client: its session."""

    def client_input_ended(self, client: Client) -> None:
        """It will send no more."""

    def client_detached(self, client: Client) -> None:
        """It sent the detach keys."""

    def client_relieved(self, client: Client) -> None:
        """It was congested and is so no more, or it is gone."""

    def client_gone(self, client: Client) -> None:
        """Its socket is closed; called once."""


class Client:
    """Owns the socket. `inlet` is None for a client without input."""

    def __init__(
        self, loop: Loop, sock: socket.socket, owner: Owner, *, wanted: frozenset[int], framed: bool
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._socket = sock
        self._owner = owner
        self._wanted = wanted
        self._framed = framed
        self._inlet: Inlet | None = None
        self._escape: Escape | None = None
        self._waiting: deque[memoryview] = deque()
        self._size = 0
        # More waits for it than should: who feeds it is to wait until it is relieved.
        self.congested = False
        self._watching = 0
        self._ending = False
        # The other side has hung up: no output can reach it, but what it sent may still have to be read.
        self._deaf = False
        self._source: Callable[[], tuple[bytes, bool]] | None = None
        loop.watch(sock.fileno(), 0, self._ready)

    def take_input(self, inlet: Inlet, detach_keys: bytes, received: bytes) -> None:
        """Pass its input on, `received` first; with detach keys they are looked for."""
        self._inlet = inlet
        self._escape = Escape(detach_keys) if detach_keys else None
        if received:
            self._pass_on(received)
        self.update()

    def replay(self, source: Callable[[], tuple[bytes, bool]]) -> None:
        """Send what `source` gives, (bytes, whether there is more); take what is fed only after the last."""
        self._source = source
        self._refill()

    @property
    def open(self) -> bool:
        """Whether it is still there."""
        return self._socket.fileno() >= 0

    def feed(self, stream: int, data: bytes) -> None:
        """Send output of a stream, if it wants that stream."""
        if stream in self._wanted and self._source is None and not (self._deaf or self._ending):
            if self._framed:
                self.send(streams.header(stream, len(data)), data)
            else:
                self.send(data)

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are; what the socket does not take now waits."""
        if not self.open:
            return
        sent = 0
        if not self._waiting:
            try:
                sent = self._socket.sendmsg(parts, [], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                pass
            except OSError:
                self.hang_up()
                return
        for part in parts:
            if sent >= len(part):
                sent -= len(part)
            else:
                self._waiting.append(memoryview(part)[sent:])
                self._size += len(part) - sent
                sent = 0
        if self._size > HIGH:
            self.congested = True
        if self._waiting:
            self.update()

    def finish(self) -> None:
        """No more output will come: close when all has been sent; idempotent."""
        self._ending = True
        if not self._waiting and self._source is None:
            self.close()
        else:
            self.update()

    def close(self) -> None:
        """Close now; idempotent."""
        if self.open:
            self._loop.forget(self._socket.fileno())
            self._shut()
            self._waiting.clear()
            self._size = 0
            self._source = None
            self.congested = False
            self._owner.client_gone(self)

    def _shut(self) -> None:
        """Close the socket so that the other side sees an end: unread input would turn it into a reset."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            for _ in range(_LAST_CHUNKS):
                if not self._socket.recv(_INPUT_CHUNK):
                    break
        except OSError:
            pass
        self._socket.close()

    def hang_up(self) -> None:
        """Nothing can be sent to it any more; what it sent before may still be read."""
        self._deaf = True
        self._waiting.clear()
        self._size = 0
        self._source = None
        if self._inlet is None or self._ending:
            self.close()
        else:
            self.update()
            self._relieve()

    def update(self) -> None:
        """Wait for the right things: called when the inlet's room or the queue has changed."""
        if not self.open:
            return
        reading = self._inlet is not None and self._inlet.has_room and not self._ending
        events = (READ if reading else 0) | (WRITE if self._waiting else 0)
        fd = self._socket.fileno()
        if self._deaf and not events:
            # A hang-up is reported without end, so it must not be watched while nothing can be done.
            self._loop.forget(fd)
            self._watching = -1
        elif self._watching < 0:
            self._loop.watch(fd, events, self._ready)
            self._watching = events
        elif events != self._watching:
            self._loop.change(fd, events)
            self._watching = events

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & READ and self.open and self._inlet is not None:
            self._read()
        elif events & HANGUP and self.open and not events & READ:
            self.hang_up()

    def _relieve(self) -> None:
        if self.congested and self._size <= LOW:
            self.congested = False
            self._owner.client_relieved(self)

    def _flush(self) -> None:
        while self._waiting:
            part = self._waiting[0]
            try:
                sent = self._socket.send(part, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError:
                self.hang_up()
                return
            self._size -= sent
            if sent < len(part):
                self._waiting[0] = part[sent:]
                break
            self._waiting.popleft()
        self._refill()
        if self.open:
            self.update()
        self._relieve()

    def _refill(self) -> None:
        while self._source is not None and self.open and self._size <= LOW:
            data, more = self._source()
            if not more:
                self._source = None
            if data:
                self.send(data)
        if self._ending and not self._waiting and self._source is None:
            self.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_INPUT_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._pass_on(data)
            self.update()
            return
        self._inlet = None
        self._owner.client_input_ended(self)
        if self._deaf:
            self.close()
        self.update()

    def _pass_on(self, data: bytes) -> None:
        if self._escape is not None:
            data = self._escape.feed(data)
        if data and self._inlet is not None:
            self._inlet.write(data)
        if self._escape is not None and self._escape.found:
            self._owner.client_detached(self)
