"""Questions to upstreams: a socket for each, so that the kernel picks a port and checks the sender.

A sandbox has so many on their way at a time, and so many more that wait; all sandboxes together have as many
as the process has room for. What is beyond is refused at once: a container that floods only floods itself.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable

from lodge.network.destinations import Destination, destination
from lodge.network.loop import HANGUP, READ, WRITE, Loop, Timer
from lodge.network.names import answers
from lodge.network.names.exchange import PATIENCE, Exchange, Verdict
from lodge.network.names.places import Host, Inside, Place
from lodge.network.names.question import REFUSED, SERVFAIL

# Of one sandbox: on their way, and waiting. Together Docker's number.
UNDERWAY = 256
WAITING = 768
_SWEEP = 0.25
_LONGEST = 65535

Reply = Callable[[bytes], None]


class Quota:
    """How many questions all sandboxes together may have on their way: each has a file."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class _Attempt:
    """A question to one server: its socket, since when, and how far a stream has come."""

    __slots__ = ("began", "exchange", "inbox", "outbox", "reply", "sock")

    def __init__(self, exchange: Exchange, reply: Reply, sock: socket.socket) -> None:
        self.exchange = exchange
        self.reply = reply
        self.sock = sock
        self.began = time.monotonic()
        self.outbox = b""
        self.inbox = bytearray()


class Asking:
    """The questions of one sandbox."""

    def __init__(self, loop: Loop, quota: Quota, witness: socket.socket) -> None:
        """`witness`: a socket of the sandbox's, by which its namespace is found."""
        self._loop = loop
        self._quota = quota
        self._host: Place = Host()
        self._inside: Place = Inside(witness)
        # In the order in which they began, so that the first is the first to be given up.
        self._underway: dict[int, _Attempt] = {}
        self._waiting: deque[tuple[float, Exchange, Reply]] = deque()
        self._sweeper: Timer | None = None

    def ask(self, exchange: Exchange, reply: Reply) -> None:
        """Ask one server after the other; `reply` is called once, now or later."""
        if len(self._underway) < UNDERWAY and self._quota.used < self._quota.limit:
            self._begin(exchange, reply)
        elif self._underway and len(self._waiting) < WAITING:
            self._waiting.append((time.monotonic(), exchange, reply))
        else:
            reply(answers.error(exchange.message, REFUSED, exchange.question))

    def close(self) -> None:
        """Forget all of them, unanswered."""
        self._waiting.clear()
        for attempt in list(self._underway.values()):
            self._end(attempt)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _begin(self, exchange: Exchange, reply: Reply) -> None:
        """Ask the next server that can be asked at all."""
        while (server := exchange.next()) is not None:
            place = self._inside if server.inside else self._host
            kind = socket.SOCK_STREAM if exchange.stream else socket.SOCK_DGRAM
            try:
                where = destination(server.address, server.port)
                sock = place.socket(where[0], kind)
            except OSError:
                continue
            try:
                self._send(_Attempt(exchange, reply, sock), where)
            except OSError:
                sock.close()
                continue
            return
        reply(answers.error(exchange.message, SERVFAIL, exchange.question))

    def _send(self, attempt: _Attempt, where: Destination) -> None:
        message = attempt.exchange.outgoing()
        fd = attempt.sock.fileno()
        if attempt.exchange.stream:
            attempt.outbox = len(message).to_bytes(2, "big") + message
            try:
                attempt.sock.connect(where[1])
            except BlockingIOError:
                pass
            self._loop.watch(fd, WRITE, lambda events: self._stream(attempt, events))
        else:
            attempt.sock.connect(where[1])
            attempt.sock.send(message)
            self._loop.watch(fd, READ, lambda _: self._datagram(attempt))
        self._underway[fd] = attempt
        self._quota.used += 1
        if self._sweeper is None:
            self._sweeper = self._loop.later(_SWEEP, self._sweep)

    def _datagram(self, attempt: _Attempt) -> None:
        try:
            answer = attempt.sock.recv(_LONGEST)
        except BlockingIOError:
            return
        except OSError:
            self._next(attempt)
            return
        self._judge(attempt, answer)

    def _stream(self, attempt: _Attempt, events: int) -> None:
        try:
            if attempt.outbox:
                sent = attempt.sock.send(attempt.outbox)
                attempt.outbox = attempt.outbox[sent:]
                if not attempt.outbox:
                    self._loop.change(attempt.sock.fileno(), READ)
                return
            received = attempt.sock.recv(_LONGEST)
        except BlockingIOError:
            if not events & HANGUP:
                return
            received = b""
        except OSError:
            received = b""
        if not received:
            self._next(attempt)
            return
        attempt.inbox += received
        length = int.from_bytes(attempt.inbox[:2], "big")
        if len(attempt.inbox) >= 2 + length:
            answer = bytes(attempt.inbox[2 : 2 + length])
            del attempt.inbox[: 2 + length]
            self._judge(attempt, answer)

    def _judge(self, attempt: _Attempt, answer: bytes) -> None:
        verdict = attempt.exchange.judge(answer)
        if verdict is Verdict.BELIEVE:
            self._end(attempt)
            attempt.reply(attempt.exchange.incoming(answer))
            self._admit()
        elif verdict is Verdict.ASK_NEXT:
            self._next(attempt)

    def _next(self, attempt: _Attempt) -> None:
        self._end(attempt)
        self._begin(attempt.exchange, attempt.reply)
        self._admit()

    def _end(self, attempt: _Attempt) -> None:
        fd = attempt.sock.fileno()
        if self._underway.pop(fd, None) is not None:
            self._quota.used -= 1
            self._loop.forget(fd)
            attempt.sock.close()

    def _admit(self) -> None:
        """Who waited has its turn."""
        while self._waiting and len(self._underway) < UNDERWAY and self._quota.used < self._quota.limit:
            _, exchange, reply = self._waiting.popleft()
            self._begin(exchange, reply)

    def _sweep(self) -> None:
        """Give up what had no answer in time; waiting counts."""
        self._sweeper = None
        given_up = time.monotonic() - PATIENCE
        while self._underway:
            attempt = next(iter(self._underway.values()))
            if attempt.began > given_up:
                break
            self._next(attempt)
        while self._waiting and self._waiting[0][0] <= given_up:
            _, exchange, reply = self._waiting.popleft()
            reply(answers.error(exchange.message, REFUSED, exchange.question))
        if (self._underway or self._waiting) and self._sweeper is None:
            self._sweeper = self._loop.later(_SWEEP, self._sweep)
