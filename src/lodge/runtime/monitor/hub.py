"""The links of a monitor to engines: the inherited one, and those that come by monitor.sock later."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from lodge.runtime.link import EngineLink, LinkBroken, bind_unix
from lodge.runtime.messages import Message
from lodge.runtime.monitor.loop import READ, WRITE, Loop

# How long an engine that does not read may keep a monitor that has nothing else to do.
_PATIENCE = 5.0


class Hub:
    """Owns the listening socket and the links. `handle(link, message, fds)` gets every request."""

    def __init__(self, loop: Loop, handle: Callable[[EngineLink, Any, list[int]], None]) -> None:
        self._loop = loop
        self._handle = handle
        self._links: list[EngineLink] = []
        self._listener: socket.socket | None = None
        self._path = ""
        self._on_silence: Callable[[], None] | None = None

    @property
    def empty(self) -> bool:
        """Whether no engine is linked."""
        return not self._links

    def add(self, sock: socket.socket) -> None:
        """Take a connected socket as a link."""
        link = EngineLink(sock)
        self._links.append(link)
        self._loop.watch(link.fileno(), READ, lambda events: self._ready(link, events))

    def listen(self, path: str) -> None:
        """Let engines connect at `path`, which only root can."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        bind_unix(self._listener, path)
        self._listener.listen(16)
        self._path = path
        self._loop.watch(self._listener.fileno(), READ, self._connected)

    def broadcast(self, message: Message) -> None:
        """Tell every engine."""
        for link in list(self._links):
            self.answer(link, message)

    def answer(self, link: EngineLink, message: Message) -> None:
        """Tell one engine; one that is gone is forgotten."""
        if link not in self._links:
            return
        try:
            link.send(message)
        except LinkBroken:
            # An engine that died may have said more before: it is dropped when all that is read.
            if link.ended or self._on_silence is not None:
                self._drop(link)
            return
        if link.backlog:
            self._loop.change(link.fileno(), READ | WRITE)

    def close_door(self) -> None:
        """Let nobody connect any more, and make the path free; idempotent."""
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass

    def leave(self, on_silence: Callable[[], None]) -> None:
        """Close the links once everything is said, or after some seconds; then call back, once."""
        self._on_silence = on_silence
        self._loop.later(_PATIENCE, self._leave_now)
        for link in list(self._links):
            if not link.backlog:
                self._drop(link)
        self._check_silence()

    def _leave_now(self) -> None:
        for link in list(self._links):
            self._drop(link)

    def _connected(self, _events: int) -> None:
        if self._listener is None:
            return
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        self.add(sock)

    def _ready(self, link: EngineLink, events: int) -> None:
        try:
            if events & WRITE and self._flushed(link) and self._on_silence is not None:
                self._drop(link)
                return
            received = link.receive() if events & ~WRITE else []
        except LinkBroken:
            self._drop(link)
            return
        for message, fds in received:
            self._handle(link, message, fds)
        if link.ended:
            self._drop(link)

    def _flushed(self, link: EngineLink) -> bool:
        """Send what waits; whether nothing waits any more (also because nobody listens)."""
        try:
            done = link.flush()
        except LinkBroken:
            done = True
        if done:
            self._loop.change(link.fileno(), READ)
        return done

    def _drop(self, link: EngineLink) -> None:
        if link in self._links:
            self._links.remove(link)
            self._loop.forget(link.fileno())
            link.close()
            self._check_silence()

    def _check_silence(self) -> None:
        if self._on_silence is not None and not self._links:
            callback, self._on_silence = self._on_silence, None
            callback()
