"""Published ports of TCP and SCTP: connections taken on the host and made to the container."""

from __future__ import annotations

import errno
import socket
import time

from lodge.network.destinations import Destination
from lodge.network.loop import READ, Loop, Timer
from lodge.network.proxy.relay import Relay, reset_on_close

_ACCEPTS = 32
# No files left: look again after so long (seconds).
_PAUSE = 0.1
# How long a container may take to answer a connection.
_PATIENCE = 20.0
_SWEEP = 5.0


class Places:
    """How many connections all ports together may have, with two files each. No port gets them all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def share(self) -> int:
        """The limit of one port."""
        return max(1, self.limit * 7 // 8)


class StreamDoor:
    """A listening socket and where it leads. Owns the socket, and the connections through it."""

    def __init__(self, loop: Loop, places: Places, sock: socket.socket, where: Destination) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._places = places
        self._socket = sock
        self._where = where
        self._relays: dict[Relay, float] = {}
        self._sweeper: Timer | None = None
        self._pause: Timer | None = None
        self._listening = False
        self._listen()

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._relays)

    def lead(self, where: Destination) -> None:
        """Send new connections elsewhere."""
        self._where = where

    def retire(self) -> None:
        """Take no more connections; close the socket."""
        if self._listening:
            self._loop.forget(self._socket.fileno())
            self._listening = False
        if self._pause is not None:
            self._pause.cancel()
        self._socket.close()

    def close(self) -> None:
        """End everything."""
        self.retire()
        for relay in list(self._relays):
            relay.close(reset=True)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _listen(self) -> None:
        self._pause = None
        self._loop.watch(self._socket.fileno(), READ, self._accept)
        self._listening = True

    def _rest(self) -> None:
        self._loop.forget(self._socket.fileno())
        self._listening = False
        self._pause = self._loop.later(_PAUSE, self._listen)

    def _accept(self, _events: int) -> None:
        for _ in range(_ACCEPTS):
            if self._places.used >= self._places.limit or len(self._relays) >= self._places.share:
                self._rest()
                return
            try:
                near, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._rest()
                    return
                continue
            self._relay(near)

    def _relay(self, near: socket.socket) -> None:
        try:
            far = self._connect(near.proto)
        except OSError:
            reset_on_close(near)
            near.close()
            return
        for sock in (near, far):
            sock.setblocking(False)
            if sock.proto in (0, socket.IPPROTO_TCP):
                _tune(sock)
        relay = Relay(self._loop, near, far, self._gone)
        self._places.used += 1
        self._relays[relay] = time.monotonic()
        if self._sweeper is None:
            self._sweeper = self._loop.later(_SWEEP, self._sweep)

    def _connect(self, protocol: int) -> socket.socket:
        family, where = self._where
        far = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, protocol)
        try:
            far.connect(where)
        except BlockingIOError:
            pass
        except BaseException:
            far.close()
            raise
        return far

    def _gone(self, relay: Relay) -> None:
        del self._relays[relay]
        self._places.used -= 1

    def _sweep(self) -> None:
        """End connections that the container has not answered; the oldest come first."""
        self._sweeper = None
        given_up = time.monotonic() - _PATIENCE
        for relay, began in list(self._relays.items()):
            if began > given_up:
                break
            if not relay.connected:
                relay.close(reset=True)
        if any(not relay.connected for relay in self._relays):
            self._sweeper = self._loop.later(_SWEEP, self._sweep)


def _tune(sock: socket.socket) -> None:
    """Small pieces go on at once, and a side that has vanished without a word is noticed in two minutes."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6)
