"""One client's connection: bytes to requests, answers to bytes, one request at a time.

A request begins when its head is whole; what comes behind it waits until it is answered (pipelining),
unless the connection is given away, when those bytes go with it. Nothing here awaits: it is the protocol
that asyncio calls, and it starts one task a request at most.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, BinaryIO

from lodge.errors import InvalidArgument, LodgeError
from lodge.http import framing
from lodge.http.answer import CONTINUE
from lodge.http.body import Body, ClientGone, client_gone
from lodge.http.exchange import Exchange
from lodge.http.handover import Handover, Plain, Translator, take_relay, take_socket
from lodge.http.head import Head, parse
from lodge.http.inflow import BlockingReader, LoopInflow, SocketInflow
from lodge.http.limits import Limits

if TYPE_CHECKING:
    from lodge.http.server import Server

_log = logging.getLogger("lodge.http")
_TLS_PIECE = 256 * 1024
_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"


class Connection(asyncio.Protocol):
    """The protocol of one connection (see the module)."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.limits: Limits = server.limits
        self.banner = server.banner
        self.gone = False
        self.slow = False
        self.plain_tcp = False
        self.deadline = 0.0
        self._transport: asyncio.Transport
        self._buffer: bytes | bytearray = b""
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._keep_alive = True
        self._reading = True
        self._advancing = False
        self._discarding = False
        self._lent: SocketInflow | None = None
        self._drained: list[asyncio.Future[None]] = []

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.plain_tcp = isinstance(transport.get_extra_info("peername"), tuple) and not self.encrypted
        transport.set_write_buffer_limits(high=self.limits.write_buffer)
        self._server.connections.add(self)
        self._idle()

    def data_received(self, data: bytes) -> None:
        """Bytes came: of the running request, of one to come, or of one that nobody wants."""
        if self._exchange is None:
            if not self._discarding:
                if not self._buffer and self.limits.idle_seconds:
                    self._server.unwatch(self)
                self._append(data)
                self._advance()
        elif not self._exchange.body.complete:
            self._feed(self._exchange.body, data)
        else:
            self._append(data)
            if len(self._buffer) > self.limits.ahead:
                self._pause()

    def eof_received(self) -> bool:
        """The client closed its side. Whoever is bound to it ends; others may still answer."""
        self._keep_alive = False
        exchange = self._exchange
        if exchange is None:
            return False
        exchange.body.fail(client_gone())
        if exchange.bound:
            self._leave()
            return False
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is closed, by whom ever."""
        del error
        self._server.connections.discard(self)
        self._server.unwatch(self)
        if self._exchange is None or self._exchange.handover is None:
            self._leave()
        for future in self._drained:
            if not future.done():
                future.set_result(None)

    def pause_writing(self) -> None:
        """The client is slow."""
        self.slow = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.slow = False
        for future in self._drained:
            if not future.done():
                future.set_result(None)
        self._drained.clear()

    # What exchanges and streams call

    @property
    def peer(self) -> str:
        """Who is at the other end, for the log."""
        name = self._transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else "@"

    @property
    def encrypted(self) -> bool:
        """TLS: the socket itself is of no use to anybody else."""
        return self._transport.get_extra_info("sslcontext") is not None

    def write(self, data: bytes) -> None:
        """Send, or keep for sending."""
        if not self.gone:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has caught up. Raises ClientGone."""
        if self.slow and not self.gone:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._drained.append(future)
            await future
        if self.gone:
            raise ClientGone("the client closed the connection")

    async def send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send a part of a file behind what was written; by the kernel where nothing has to be encrypted.

        Raises ClientGone, also when the client takes next to nothing for `limits.body_seconds`.
        """
        loop, end = asyncio.get_running_loop(), offset + count
        while offset < end:
            size = min(end - offset, self.limits.file_piece)
            try:
                async with asyncio.timeout(self.limits.body_seconds):
                    if self.encrypted:
                        size = min(size, _TLS_PIECE)
                        self.write(os.pread(file.fileno(), size, offset))
                        await self.drain()
                    elif self.gone or self._transport.is_closing():
                        raise ClientGone("the client closed the connection")
                    else:
                        size = await loop.sendfile(self._transport, file, offset, size, fallback=False)
            except (OSError, TimeoutError):
                size = 0
            if not size:  # the client is gone or stuck, or the file is shorter than it was
                self._transport.abort()
                raise ClientGone("the client does not take the answer")
            offset += size

    def closing_lines(self) -> bytes:
        """The last headers of an answer: the date, and whether the connection ends with it."""
        exchange = self._exchange
        assert exchange is not None
        if not self._keep_alive or not exchange.head.keep_alive:
            return self._server.clock.line() + b"Connection: close\r\n\r\n"
        if exchange.head.version == "1.0":
            return self._server.clock.line() + b"Connection: keep-alive\r\n\r\n"
        return self._server.clock.line() + b"\r\n"

    def close_after(self) -> None:
        """Close the connection when the running request is answered."""
        self._keep_alive = False

    def abort(self) -> None:
        """Break the connection at once."""
        self._transport.abort()

    def lend_input(self, body: Body) -> BlockingReader:
        """Give the reading side to a thread until the handler ends."""
        self._expect()
        loop = asyncio.get_running_loop()
        if self.encrypted:
            return LoopInflow(body, loop)
        self._pause()
        fd = os.dup(self._transport.get_extra_info("socket").fileno())
        self._lent = SocketInflow(fd, body.decoder, body.take(), silence=self.limits.body_seconds)
        return self._lent

    def take_back_input(self, body: Body) -> None:
        """The thread has read the whole body: watch the client again, so that its leaving is noticed."""
        if self._lent is not None and body.complete:
            self._return_input(body)
            self._resume()

    def give_away(self, translator: Translator | None = None) -> Handover:
        """Give the whole connection away: the socket, or a relay where bytes must be translated."""
        self._pause()

        def take() -> tuple[int, bytes]:
            early, self._buffer = bytes(self._buffer), b""
            self._server.connections.discard(self)
            if translator is not None:
                return take_relay(self._transport, early, translator)
            if self.encrypted:
                return take_relay(self._transport, early, Plain())
            return take_socket(self._transport, early)

        return Handover(take)

    # What the server calls

    @property
    def busy(self) -> bool:
        """A request is being answered."""
        return self._exchange is not None

    def shut(self, *, now: bool) -> None:
        """End it: an idle one at once, a bound request is cancelled, others may finish unless `now`."""
        self._keep_alive = False
        if self._exchange is None or now:
            self._transport.abort() if now else self._transport.close()
        elif self._exchange.bound and self._task is not None:
            self._task.cancel()

    def timed_out(self) -> None:
        """The deadline has passed: a head that never ended, or a lingering close."""
        if self._discarding:
            self._transport.abort()
        elif self._exchange is None and not self._buffer:
            self._transport.close()
        elif self._exchange is None:
            self._refuse(408, "timed out while reading the request")

    # Requests, one after the other

    def _append(self, data: bytes) -> None:
        if not self._buffer:
            self._buffer = data
        elif isinstance(self._buffer, bytearray):
            self._buffer += data
        else:
            self._buffer = bytearray(self._buffer) + data

    def _advance(self) -> None:
        """Begin requests as long as whole heads are there and nothing is being answered."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._exchange is None and self._buffer and not self._discarding and not self.gone:
                if self._buffer[0] in b"\r\n":
                    self._buffer = self._buffer.lstrip(b"\r\n")  # RFC 9112, section 2.2
                    continue
                if not 0x20 < self._buffer[0] < 0x7F:
                    # no method begins so; above all a TLS greeting, whose sender would wait for us
                    self._refuse(400, "malformed HTTP request")
                    return
                end = self._buffer.find(b"\r\n\r\n")
                if end < 0 or end > self.limits.head:
                    self._await_head(len(self._buffer) if end < 0 else end)
                    return
                raw, self._buffer = bytes(self._buffer[: end + 4]), bytes(self._buffer[end + 4 :])
                self._server.unwatch(self)
                self._begin(raw)
        finally:
            self._advancing = False

    def _await_head(self, size: int) -> None:
        if size > self.limits.head:
            self._refuse(431, "request header fields too large")
        elif not self.deadline:
            self._server.watch(self, self.limits.head_seconds)

    def _begin(self, raw: bytes) -> None:
        if raw == _PREFACE:
            self._preface(raw)
            return
        try:
            head = parse(raw)
        except LodgeError as error:
            self._refuse(400 if isinstance(error, InvalidArgument) else 501, error.message)
            return
        body = Body(framing.decoder(head.length), wanted=self._expect, resume=self._resume_body)
        exchange = self._exchange = Exchange(head, body, self)
        if not body.complete and self._buffer:
            rest, self._buffer = bytes(self._buffer), b""
            self._feed(body, rest)
        self._start(exchange)

    def _preface(self, raw: bytes) -> None:
        """HTTP/2 with prior knowledge: somebody else's protocol, if anybody wants it."""
        factory = self._server.http2
        if factory is None:
            self._refuse(505, "HTTP/2 is not supported here")
            return
        self._server.connections.discard(self)
        early = raw + bytes(self._buffer)
        protocol = factory()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(early)

    def _start(self, exchange: Exchange) -> None:
        try:
            running = self._server.handler(exchange)
        except Exception as error:
            self._failed(exchange, error)
            running = None
        if running is None:
            self._finish(exchange)
            return
        self._task = asyncio.get_running_loop().create_task(self._run(running, exchange))

    async def _run(self, running: Coroutine[Any, Any, None], exchange: Exchange) -> None:
        try:
            await running
        except asyncio.CancelledError:
            if not self.gone and exchange.handover is None:
                self._transport.abort()
            raise
        except ClientGone:
            pass
        except Exception as error:
            self._failed(exchange, error)
        finally:
            self._task = None
            self._finish(exchange)

    def _failed(self, exchange: Exchange, error: Exception) -> None:
        """A handler let an error through: a defect. Answer 500, or break off an answer that has begun."""
        _log.error("%s %s failed", exchange.head.method, exchange.head.path, exc_info=error)
        if exchange.status:
            self._transport.abort()
        else:
            exchange.respond(500, b'{"message":"internal error"}\n')

    def _finish(self, exchange: Exchange) -> None:
        """The request is answered: go on with the next, or close."""
        self._return_input(exchange.body)
        if not exchange.status and not self.gone:
            self._failed(exchange, RuntimeError("no answer was given"))
        self._exchange = None
        if exchange.handover is not None:
            if not exchange.handover.taken:
                self._transport.abort()
            return
        if self.gone:
            return
        if not exchange.body.complete:
            self._drop_rest()
        elif not (self._keep_alive and exchange.head.keep_alive):
            self._transport.close()
        else:
            self._resume()
            self._advance()
            self._idle()

    def _idle(self) -> None:
        """Nothing is asked: not for ever, where that is limited."""
        if self.limits.idle_seconds and self._exchange is None and not self._buffer:
            self._server.watch(self, self.limits.idle_seconds)

    def _return_input(self, body: Body) -> None:
        if self._lent is not None:
            self._lent.close()
            self._lent = None
        if body.complete and body.decoder.rest:
            rest, body.decoder.rest = body.decoder.rest, b""
            self._buffer = rest + bytes(self._buffer)

    def _leave(self) -> None:
        """The client went away."""
        self.gone = True
        exchange = self._exchange
        if exchange is not None:
            exchange.body.fail(client_gone())
            if exchange.bound and self._task is not None:
                self._task.cancel()
        for future in self._drained:
            if not future.done():
                future.set_result(None)

    # Bodies

    def _feed(self, body: Body, data: bytes) -> None:
        try:
            pieces = body.decoder.feed(data)
        except InvalidArgument as error:
            self._keep_alive = False
            body.fail(error)
            self._pause()
            return
        body.put(pieces)
        if body.complete:
            rest, body.decoder.rest = body.decoder.rest, b""
            if rest:
                self._append(rest)
        elif body.buffered > self.limits.body_buffer:
            self._pause()

    def _expect(self) -> None:
        """The handler wants the body: a client that asked first is told to go on."""
        exchange = self._exchange
        if exchange is None or exchange.body.started:
            return
        exchange.body.started = True
        waits = exchange.head.headers.get("expect", "").lower() == "100-continue"
        if waits and not exchange.status and not exchange.body.complete:
            self.write(CONTINUE)

    def _resume_body(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.body.buffered <= self.limits.body_buffer // 2:
            self._resume()

    def _drop_rest(self) -> None:
        """The answer is out but the client still sends: read on for a moment, so that it can read the answer.

        Closing a socket with unread bytes would reset it, and the client would lose the answer.
        """
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._discarding = True
        self._server.watch(self, self.limits.linger_seconds)
        self._resume()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what is no request, and close."""
        self._buffer = b""
        self._keep_alive = False
        head = Head("GET", "", "", {}, keep_alive=False)
        body = Body(framing.decoder(0), wanted=self._expect, resume=self._resume_body)
        exchange = self._exchange = Exchange(head, body, self)
        exchange.respond(
            status, b"400 Bad Request: " + message.encode(), content_type="text/plain; charset=utf-8"
        )
        self._exchange = None
        self._drop_rest()

    def _pause(self) -> None:
        if self._reading and not self.gone:
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._reading and not self.gone and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()
