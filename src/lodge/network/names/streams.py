"""Questions by TCP: RFC 7766. Few clients of a sandbox at a time, each with few questions, none for long."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from lodge.network.loop import HANGUP, READ, WRITE, Loop, Timer
from lodge.network.names.asking import Asking
from lodge.network.names.exchange import Exchange, servers
from lodge.network.names.question import is_query
from lodge.network.names.resolver import Resolver

CLIENTS = 32
IDLE = 10.0
# Answers that a client does not read, its questions that have no answer yet, and how long one may be.
_OUTBOX = 16 << 10
_QUESTIONS = 4
_LONGEST = 2048
_ACCEPTS = 8
_CHUNK = 4096


class Streams:
    """A listening TCP socket of one sandbox. Owns it, and its connections."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        resolver: Resolver,
        asking: Asking,
        news: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self.loop = loop
        self.resolver = resolver
        self.asking = asking
        self.news = news
        self._socket = sock
        # The one that was quiet for longest comes first.
        self._clients: dict[_Client, None] = {}
        self._sweeper: Timer | None = None
        loop.watch(sock.fileno(), READ, self._accept)

    def close(self) -> None:
        """Stop, and end all connections."""
        self.loop.forget(self._socket.fileno())
        self._socket.close()
        for client in list(self._clients):
            client.close()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def active(self, client: _Client) -> None:
        """It has done something."""
        self._clients.pop(client, None)
        self._clients[client] = None
        if self._sweeper is None:
            self._sweeper = self.loop.later(IDLE, self._sweep)

    def gone(self, client: _Client) -> None:
        """It has ended."""
        self._clients.pop(client, None)

    def _accept(self, _events: int) -> None:
        for _ in range(_ACCEPTS):
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            if len(self._clients) >= CLIENTS:
                next(iter(self._clients)).close()
            self.active(_Client(self, sock))

    def _sweep(self) -> None:
        self._sweeper = None
        given_up = time.monotonic() - IDLE
        for client in list(self._clients):
            if client.since > given_up:
                break
            client.close()
        if self._clients:
            self._sweeper = self.loop.later(IDLE / 2, self._sweep)


class _Client:
    """One connection: messages with their lengths before them, both ways."""

    def __init__(self, server: Streams, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._server = server
        self._socket = sock
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._open_questions = 0
        self._finished = False
        self.since = time.monotonic()
        self._events = READ
        server.loop.watch(sock.fileno(), READ, self._serve)

    def close(self) -> None:
        """End it; idempotent."""
        fd = self._socket.fileno()
        if fd >= 0:
            self._server.loop.forget(fd)
            self._socket.close()
            self._server.gone(self)

    def _serve(self, events: int) -> None:
        self.since = time.monotonic()
        self._server.active(self)
        try:
            if events & HANGUP:
                self.close()
                return
            if events & WRITE:
                self._flush()
            if events & READ:
                self._receive()
        except OSError:
            self.close()

    def _receive(self) -> None:
        try:
            received = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        self._inbox += received
        self._finished = not received
        self._read()

    def _read(self) -> None:
        """Answer what is complete; a client that asks faster than it listens has to wait."""
        while len(self._inbox) >= 2 and self._open_questions < _QUESTIONS and len(self._outbox) < _OUTBOX:
            length = int.from_bytes(self._inbox[:2], "big")
            if length > _LONGEST:
                self._inbox.clear()
                self._finished = True
                break
            if len(self._inbox) < 2 + length:
                break
            message = bytes(self._inbox[2 : 2 + length])
            del self._inbox[: 2 + length]
            self._answer(message)
        self._settle()

    def _answer(self, message: bytes) -> None:
        if not is_query(message):
            self._inbox.clear()
            self._finished = True
            return
        self._server.news()
        if self._socket.fileno() < 0:
            return
        resolver = self._server.resolver
        answer = resolver.answer(message, stream=True)
        if isinstance(answer, bytes):
            self._queue(answer)
            return
        self._open_questions += 1
        exchange = Exchange(message, answer, servers(resolver.view), stream=True)
        self._server.asking.ask(exchange, self._reply)

    def _reply(self, answer: bytes) -> None:
        self._open_questions -= 1
        if self._socket.fileno() < 0:
            return
        self._queue(answer)
        try:
            self._read()
        except OSError:
            self.close()

    def _queue(self, answer: bytes) -> None:
        self._outbox += len(answer).to_bytes(2, "big") + answer

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._outbox)
        except BlockingIOError:
            return
        del self._outbox[:sent]
        self._read()

    def _settle(self) -> None:
        """Wait for what can happen next; end when nothing can."""
        if self._socket.fileno() < 0:
            return
        if self._outbox and not self._events & WRITE:
            sent = 0
            try:
                sent = self._socket.send(self._outbox)
            except BlockingIOError:
                pass
            del self._outbox[:sent]
        if self._finished and not self._outbox and not self._open_questions:
            self.close()
            return
        busy = self._open_questions >= _QUESTIONS or len(self._outbox) >= _OUTBOX
        events = (0 if busy or self._finished else READ) | (WRITE if self._outbox else 0)
        if events != self._events:
            self._events = events
            self._server.loop.change(self._socket.fileno(), events)
