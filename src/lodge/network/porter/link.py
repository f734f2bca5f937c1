"""The engine's end of the socket to a porter: messages and sockets out, answers in. Blocks, with patience."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from lodge.kernel import sockets
from lodge.network.porter import messages

# A porter that does not take or answer a message for so long is as good as dead (seconds).
PATIENCE = 10.0

_decoder = messages.decoder_of(messages.ToEngine)
_TIMEVAL = struct.Struct("@ll")


class LinkLost(OSError):
    """The porter has died, or does not answer."""


class Link:
    """Owns the socket. For one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        # Not `settimeout`: that would make the file description, which is shared, non-blocking.
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(int(PATIENCE), 0))
        self._socket = sock

    def fileno(self) -> int:
        """Hangs up when the porter dies, and when this end is closed."""
        return self._socket.fileno()

    def send(self, message: messages.Message, fds: Sequence[int] = ()) -> None:
        """Send; the fds stay the caller's."""
        try:
            sockets.send(self._socket, messages.encode(message), fds)
        except OSError as error:
            raise LinkLost(f"the porter does not listen: {error}") from error

    def receive(self) -> tuple[Any, list[int]]:
        """The next message with its fds, which are the caller's now."""
        try:
            text, fds = sockets.receive(self._socket)
        except OSError as error:
            raise LinkLost(f"the porter does not answer: {error}") from error
        if not text:
            raise LinkLost("the porter has ended")
        try:
            return _decoder.decode(text), fds
        except msgspec.DecodeError as error:
            for fd in fds:
                os.close(fd)
            raise LinkLost(f"the porter can't be understood: {error}") from error

    def await_done(self, request: int) -> None:
        """Wait until a request is answered."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            message, fds = self.receive()
            for fd in fds:
                os.close(fd)
            if isinstance(message, messages.Done) and message.request == request:
                return
        raise LinkLost("the porter does not answer")

    def hang_up(self) -> None:
        """Let whoever watches `fileno` notice, before `close`."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket; idempotent."""
        self._socket.close()
