"""Giving a connection away: the socket itself, or the far end of a relay where its bytes need translation.

The taker gets a descriptor and the bytes that the client sent too early (behind the request). After that this
process has no part in the connection, so it outlives the server.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Protocol

from lodge.errors import Unavailable


class Translator(Protocol):
    """What stands between a client's bytes and the payload (websocket frames; nothing for TLS)."""

    def receive(self, data: bytes) -> tuple[list[bytes], list[bytes], bool]:
        """Bytes of the client: payloads for the taker, replies to the client, whether it said goodbye."""
        ...

    def send(self, data: bytes) -> bytes:
        """A payload of the taker, as the client wants it."""
        ...

    def goodbye(self) -> bytes:
        """What the client is told at the end."""
        ...


class Plain:
    """No translation: TLS does it below us."""

    def receive(self, data: bytes) -> tuple[list[bytes], list[bytes], bool]:
        """See Translator."""
        return [data], [], False

    def send(self, data: bytes) -> bytes:
        """See Translator."""
        return data

    def goodbye(self) -> bytes:
        """See Translator."""
        return b""


class Handover:
    """A connection that can be taken, once."""

    __slots__ = ("_take", "taken")

    def __init__(self, take: Callable[[], tuple[int, bytes]]) -> None:
        self._take = take
        self.taken = False

    def take(self) -> tuple[int, bytes]:
        """The descriptor (the taker closes it) and the bytes that came too early; Unavailable if gone."""
        if self.taken:
            raise Unavailable("the connection has been given away already")
        self.taken = True
        return self._take()


def take_socket(transport: asyncio.Transport, early: bytes) -> tuple[int, bytes]:
    """Take a plain socket out of its transport."""
    if transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()
        raise Unavailable("the client closed the connection")
    fd = os.dup(transport.get_extra_info("socket").fileno())
    # abort() closes the transport's descriptor without a shutdown: ours keeps the connection alive
    transport.abort()
    return fd, early


def take_relay(transport: asyncio.Transport, early: bytes, translator: Translator) -> tuple[int, bytes]:
    """Put a socket pair between the client and the taker, fed by the event loop."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    Relay(transport, ours, translator, early)
    return theirs.detach(), b""


class Relay(asyncio.Protocol):
    """Carries bytes between a client's transport and a socket pair, both ways, with backpressure."""

    def __init__(
        self, client: asyncio.Transport, ours: socket.socket, translator: Translator, early: bytes
    ) -> None:
        self._client = client
        self._translator = translator
        self._inner = _Inner(self, ours)
        self._ended = False
        client.set_protocol(self)
        client.resume_reading()
        if early:
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """From the client."""
        payloads, replies, goodbye = self._translator.receive(data)
        for reply in replies:
            self._client.write(reply)
        for payload in payloads:
            self._inner.write(payload)
        if goodbye:
            self._inner.end()

    def eof_received(self) -> bool:
        """The client has no more to say; it may still listen."""
        self._inner.end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        del error
        self._inner.close()

    def pause_writing(self) -> None:
        """The client is slow: the program waits."""
        self._inner.pause()

    def resume_writing(self) -> None:
        """The client is ready again."""
        self._inner.resume()

    def from_program(self, data: bytes) -> None:
        """Payload for the client."""
        self._client.write(self._translator.send(data))

    def program_ended(self) -> None:
        """All is said: tell the client, and close when it has it."""
        if not self._ended:
            self._ended = True
            if goodbye := self._translator.goodbye():
                self._client.write(goodbye)
            self._client.close()

    def hold(self) -> None:
        """The program does not read: the client waits."""
        self._client.pause_reading()

    def release(self) -> None:
        """The program reads again."""
        if not self._client.is_closing():
            self._client.resume_reading()


class _Inner:
    """Our end of the socket pair, on bare readers and writers (it must connect without an await)."""

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self._relay = relay
        self._sock: socket.socket | None = sock
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._ending = False
        self._loop.add_reader(sock.fileno(), self._readable)

    def write(self, data: bytes) -> None:
        if self._sock is None or self._ending:
            return
        if not self._waiting:
            self._loop.add_writer(self._sock.fileno(), self._writable)
        self._waiting += data
        if len(self._waiting) > 256 * 1024:
            self._relay.hold()

    def end(self) -> None:
        self._ending = True
        if not self._waiting and self._sock is not None:
            self._shut()

    def pause(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())

    def resume(self) -> None:
        if self._sock is not None:
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()

    def _shut(self) -> None:
        if self._sock is not None:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            data = self._sock.recv(256 * 1024)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._relay.from_program(data)
        else:
            self.close()
            self._relay.program_ended()

    def _writable(self) -> None:
        if self._sock is None:
            return
        try:
            sent = self._sock.send(self._waiting)
        except BlockingIOError:
            return
        except OSError:
            self._waiting.clear()  # the program's side is closed: what the client says is for nobody
            sent = 0
        del self._waiting[:sent]
        if not self._waiting:
            self._loop.remove_writer(self._sock.fileno())
            self._relay.release()
            if self._ending:
                self._shut()
