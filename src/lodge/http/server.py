"""The server: a handler, its connections, its listening sockets, and the one timer for those who dawdle."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from lodge.http.answer import Clock
from lodge.http.connection import Connection
from lodge.http.exchange import Exchange
from lodge.http.limits import Limits

if TYPE_CHECKING:
    import ssl

    from lodge.http.tls import TlsLayer

Handler = Callable[[Exchange], Coroutine[Any, Any, None] | None]
"""Answers an exchange: at once (then it returns None), or by a coroutine that is run as a task."""


_SWEEP_SECONDS = 1.0
_BACKLOG = 1024


class Server:
    """Serves one handler on any number of sockets. `banner` holds header lines that every answer carries."""

    def __init__(
        self,
        handler: Handler,
        *,
        banner: bytes = b"",
        limits: Limits | None = None,
        http2: Callable[[], asyncio.Protocol] | None = None,
    ) -> None:
        self.handler = handler
        self.banner = banner
        self.limits = limits or Limits()
        self.http2 = http2
        self.clock = Clock()
        self.connections: set[Connection] = set()
        self._watched: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._listeners: list[asyncio.Server] = []

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Serve on a bound socket; it is closed with the server."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        factory = self._plain
        if tls is not None:
            from lodge.http.tls import TlsLayer

            factory = functools.partial(_under_tls, TlsLayer, tls, self)
        if sock.family == socket.AF_UNIX:
            listener = await loop.create_unix_server(factory, sock=sock, backlog=_BACKLOG)
        else:
            listener = await loop.create_server(factory, sock=sock, backlog=_BACKLOG)
        self._listeners.append(listener)

    def _plain(self) -> asyncio.Protocol:
        return Connection(self)

    async def close(self, grace: float = 5.0) -> None:
        """Stop listening, let running requests finish for `grace` seconds, then break what is left."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self.connections):
            connection.shut(now=False)
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while any(connection.busy for connection in self.connections) and loop.time() < end:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.shut(now=True)
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._listeners.clear()

    def watch(self, connection: Connection, seconds: float) -> None:
        """Call `timed_out` of a connection after so many seconds, unless it is unwatched before."""
        loop = asyncio.get_running_loop()
        connection.deadline = loop.time() + seconds
        self._watched.add(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def unwatch(self, connection: Connection) -> None:
        """Forget a deadline."""
        if connection.deadline:
            connection.deadline = 0.0
            self._watched.discard(connection)

    def _sweep(self) -> None:
        self._sweeper = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [one for one in self._watched if one.deadline <= now]:
            self.unwatch(connection)
            connection.timed_out()
        if self._watched:
            self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)


def _under_tls(layer: type[TlsLayer], context: ssl.SSLContext, server: Server) -> asyncio.Protocol:
    return layer(context, Connection(server))
