"""One request and its answer: what a handler gets.

A handler answers in exactly one of five ways: `respond` (all at once), `send_file`, `stream` (piece by
piece), `upgrade` (the connection is given away raw) or `websocket`. A handler that is `bound` ends when its
client goes away; any other runs to its end, so that a request that is cut off leaves nothing half-made.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, BinaryIO

from lodge.errors import Internal
from lodge.http.answer import Headers, has_body, header_lines, status_line
from lodge.http.body import Body, ClientGone
from lodge.http.framing import LAST_CHUNK, chunk
from lodge.http.handover import Handover
from lodge.http.head import Head
from lodge.http.inflow import BlockingReader

if TYPE_CHECKING:
    from lodge.http.connection import Connection

_PIPE_READ = 256 * 1024


class Exchange:
    """A request that is being answered."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_inflow",
        "body",
        "bound",
        "handover",
        "head",
        "status",
        "written",
    )

    def __init__(self, head: Head, body: Body, connection: Connection) -> None:
        self.head = head
        self.body = body
        self.bound = False
        self.handover: Handover | None = None
        self.status = 0
        self.written = 0
        self._connection = connection
        self._chunked = False
        self._inflow: BlockingReader | None = None

    @property
    def gone(self) -> bool:
        """The client is not there any more."""
        return self._connection.gone

    @property
    def peer(self) -> str:
        """Who asks, for the log."""
        return self._connection.peer

    @property
    def plain_tcp(self) -> bool:
        """It came over TCP without TLS: perhaps from a web page in this machine's browser."""
        return self._connection.plain_tcp

    async def read(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes."""
        return await self.body.read(limit, seconds=self._connection.limits.body_seconds)

    def inflow(self) -> BlockingReader:
        """The body for a blocking reader in a thread. It belongs to that thread until the handler ends."""
        if self._inflow is None:
            self._inflow = self._connection.lend_input(self.body)
        return self._inflow

    def give_back(self) -> None:
        """No thread reads the body any more: from here on a client that goes away is noticed at once."""
        self._connection.take_back_input(self.body)

    def respond(
        self,
        status: int,
        content: bytes = b"",
        *,
        content_type: str = "application/json",
        headers: Headers = (),
    ) -> None:
        """Answer at once; does nothing but remember the status when the client is gone."""
        self._begin(status)
        lines = [status_line(status), self._connection.banner, header_lines(headers)]
        if status >= 200 and status not in (204, 304):
            if content:
                lines.append(f"Content-Type: {content_type}\r\n".encode("latin-1"))
            lines.append(b"Content-Length: %d\r\n" % len(content))
        lines.append(self._connection.closing_lines())
        if has_body(status, self.head.method):
            lines.append(content)
            self.written = len(content)
        self._connection.write(b"".join(lines))

    def stream(
        self, status: int = 200, *, content_type: str = "application/json", headers: Headers = ()
    ) -> Stream:
        """Begin an answer of unknown length; the headers go out at once."""
        self._begin(status)
        body = has_body(status, self.head.method)
        self._chunked = body and self.head.version != "1.0"
        lines = [status_line(status), self._connection.banner, header_lines(headers)]
        lines.append(f"Content-Type: {content_type}\r\n".encode("latin-1") if content_type else b"")
        if self._chunked:
            lines.append(b"Transfer-Encoding: chunked\r\n")
        elif body:
            self._connection.close_after()
        lines.append(self._connection.closing_lines())
        self._connection.write(b"".join(lines))
        return Stream(self, self._connection, chunked=self._chunked, silent=not body)

    def announce(self, status: int, length: int, *, content_type: str, headers: Headers = ()) -> Stream:
        """Answer with a head that names a body of `length` bytes, to be written to what is returned.

        For HEAD that is the whole answer.
        """
        self._begin(status)
        lines = [status_line(status), self._connection.banner, header_lines(headers)]
        lines.append(f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n".encode("latin-1"))
        lines.append(self._connection.closing_lines())
        self._connection.write(b"".join(lines))
        return Stream(self, self._connection, chunked=False, silent=not has_body(status, self.head.method))

    async def send_file(
        self,
        status: int,
        file: BinaryIO,
        offset: int,
        count: int,
        *,
        content_type: str,
        headers: Headers = (),
    ) -> None:
        """Answer with `count` bytes of an open, real file from `offset` on. Raises ClientGone."""
        self.announce(status, count, content_type=content_type, headers=headers)
        if has_body(status, self.head.method):
            await self._connection.send_file(file, offset, count)
            self.written = count

    def upgrade(self, content_type: str, headers: Headers = (), *, raw_type: str = "") -> Handover:
        """Answer 101, or 200 with `raw_type` when no upgrade was asked for; give the connection away."""
        switching = self.head.upgrade
        self._begin(101 if switching else 200)
        kind = content_type if switching else raw_type or content_type
        lines = [status_line(self.status), f"Content-Type: {kind}\r\n".encode("latin-1")]
        if switching:
            lines.append(b"Connection: Upgrade\r\nUpgrade: tcp\r\n")
        lines += [self._connection.banner, header_lines(headers), b"\r\n"]
        self._connection.write(b"".join(lines))
        self.handover = self._connection.give_away()
        return self.handover

    def switch(self, protocol: str) -> Handover:
        """Answer 101 to a client that asked for another protocol; give the connection away."""
        self._begin(101)
        lines = f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        self._connection.write(status_line(101) + lines.encode("latin-1"))
        self.handover = self._connection.give_away()
        return self.handover

    def websocket(self) -> Handover:
        """Answer a websocket handshake (RFC 6455), and give away a socket that speaks its payload.

        InvalidArgument when the request is no handshake.
        """
        from lodge.http.websocket import Codec, accept_lines

        lines = accept_lines(self.head)
        self._begin(101)
        self._connection.write(b"".join([b"HTTP/1.1 101 Switching Protocols\r\n", lines, b"\r\n"]))
        self.handover = self._connection.give_away(Codec())
        return self.handover

    def abort(self) -> None:
        """Break the connection: an answer that has begun can't be finished."""
        self._connection.abort()

    def _begin(self, status: int) -> None:
        if self.status:
            raise Internal("a request is answered twice")
        self.status = status


class Stream:
    """An answer that is being written piece by piece."""

    __slots__ = ("_chunked", "_connection", "_exchange", "_silent", "ended")

    def __init__(self, exchange: Exchange, connection: Connection, *, chunked: bool, silent: bool) -> None:
        self._exchange = exchange
        self._connection = connection
        self._chunked = chunked
        self._silent = silent
        self.ended = False

    async def write(self, data: bytes) -> None:
        """Send a piece, and wait while the client is slow. Raises ClientGone."""
        if self._connection.gone:
            raise ClientGone("the client closed the connection")
        if not data or self._silent:
            return
        self._exchange.written += len(data)
        self._connection.write(chunk(data) if self._chunked else data)
        if self._connection.slow:
            await self._connection.drain()

    async def pump(self, fd: int) -> None:
        """Send all that comes out of a pipe; closes `fd`."""
        os.set_blocking(fd, False)
        loop = asyncio.get_running_loop()
        try:
            while data := await _read_pipe(loop, fd):
                await self.write(data)
        finally:
            os.close(fd)

    def end(self) -> None:
        """Say that this was all."""
        if not self.ended:
            self.ended = True
            if self._chunked and not self._connection.gone:
                self._connection.write(LAST_CHUNK)

    def abort(self) -> None:
        """Break the connection, so that the client sees that the answer is not whole."""
        self.ended = True
        self._connection.abort()


async def _read_pipe(loop: asyncio.AbstractEventLoop, fd: int) -> bytes:
    while True:
        try:
            return os.read(fd, _PIPE_READ)
        except BlockingIOError:
            readable: asyncio.Future[None] = loop.create_future()
            loop.add_reader(fd, _wake, readable)
            try:
                await readable
            finally:
                loop.remove_reader(fd)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
