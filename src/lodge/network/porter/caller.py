"""The porter's end of the link to an engine: its messages, one after the other, and what it is shown."""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from lodge.kernel import sockets
from lodge.network.loop import READ, WRITE, Loop
from lodge.network.porter import messages
from lodge.network.porter.desk import Desk
from lodge.network.porter.messages import PROTOCOL, Done, HeldPort, HeldSandbox, Hello, Message, Shown

_ROUND = 64
_decoder = messages.decoder_of(messages.ToPorter)


class Caller:
    """One engine. Owns the socket; `gone` is called when it has hung up."""

    def __init__(self, loop: Loop, desk: Desk, sock: socket.socket, gone: Callable[[], None]) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._desk = desk
        self._socket = sock
        self._gone = gone
        self._outbox: deque[tuple[bytes, list[int]]] = deque()
        loop.watch(sock.fileno(), READ, self._serve)

    def greet(self) -> None:
        """Show what is held. The sockets are duplicated, since sending may have to wait."""
        self._desk.begin()
        self._send(Hello(protocol=PROTOCOL, pid=os.getpid()))
        for container, key, fds in self._desk.holdings():
            shown: Message = (
                HeldPort(container=container, key=key) if key else HeldSandbox(container=container)
            )
            self._send(shown, fds)
        self._send(Shown())

    def close(self) -> None:
        """Hang up; idempotent."""
        if self._socket.fileno() >= 0:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            while self._outbox:
                _close_all(self._outbox.popleft()[1])

    def drain(self) -> None:
        """Take all that an engine has said before it died: another one is there."""
        try:
            while message := sockets.receive(self._socket):
                if not message[0]:
                    break
                self._take(*message)
        except OSError:
            pass

    def listen(self) -> None:
        """Take what has been said until now, out of turn."""
        self._serve(READ)

    def _serve(self, events: int) -> None:
        try:
            if events & WRITE:
                self._flush()
            for _ in range(_ROUND):
                if self._socket.fileno() < 0:
                    return
                text, fds = sockets.receive(self._socket)
                if not text:
                    raise ConnectionResetError
                self._take(text, fds)
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            self._gone()

    def _take(self, text: bytes, fds: list[int]) -> None:
        """One message. What can't be done is reported and passed over: the engine can't do it better."""
        socks: list[socket.socket] = []
        try:
            while fds:
                socks.append(socket.socket(fileno=fds[0]))
                del fds[0]
            self._do(_decoder.decode(text), socks)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            sys.stderr.write(f"lodge-porter: {text[:200]!r}: {error}\n")
        finally:
            _close_all(fds)
            for sock in socks:
                sock.close()

    def _do(self, message: Any, socks: list[socket.socket]) -> None:
        """Whoever takes a socket for its own takes it out of the list."""
        desk = self._desk
        match message:
            case messages.Join():
                desk.join(message.network, message.member)
            case messages.Leave():
                desk.leave(message.network, message.endpoint)
            case messages.Open():
                desk.open(message.container, message.view, socks)
            case messages.Close():
                desk.close(message.container)
            case messages.Reserve():
                desk.reserve(message.container, message.key, message.target, socks)
            case messages.Free():
                desk.free(message.container, message.key)
                self._send(Done(request=message.request))
            case messages.Settle():
                desk.settle()
                self._send(Done(request=message.request))
            case messages.Retire():
                desk.retire()

    def _send(self, message: Message, fds: list[int] | None = None) -> None:
        text = messages.encode(message)
        if not self._outbox:
            try:
                sockets.send(self._socket, text, fds or ())
                return
            except BlockingIOError:
                self._loop.change(self._socket.fileno(), READ | WRITE)
            except OSError:
                # It has hung up, as reading will tell.
                return
        self._outbox.append((text, [os.dup(fd) for fd in fds or ()]))

    def _flush(self) -> None:
        while self._outbox:
            text, fds = self._outbox[0]
            sockets.send(self._socket, text, fds)
            self._outbox.popleft()
            _close_all(fds)
        self._loop.change(self._socket.fileno(), READ)


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
