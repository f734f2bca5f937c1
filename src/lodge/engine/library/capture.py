"""A client in this very process: gives a program its input and collects its output, through a socket pair."""

from __future__ import annotations

import asyncio
import socket

from lodge.errors import Corrupt
from lodge.spec.streams import HEADER_SIZE, STDERR, parse_header

_PIECE = 1 << 18


class Capture:
    """One connection. Hand it over, then `run` it; `stdout` and `stderr` hold what came so far."""

    def __init__(self, *, framed: bool, stdin: bytes | None = None) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._framed = framed
        self._input = stdin
        self._left = b""
        self.stdout = bytearray()
        self.stderr = bytearray()

    def take(self) -> tuple[int, bytes]:
        """The end that is given away."""
        return self._theirs.detach(), b""

    async def run(self) -> None:
        """Feed and collect until the program has closed its streams; call it once."""
        feeding = asyncio.ensure_future(self._feed())
        try:
            loop = asyncio.get_running_loop()
            while data := await loop.sock_recv(self._ours, _PIECE):
                self._collect(data)
        except ConnectionResetError:
            # The monitor went away with unread input: its program had closed its standard input.
            pass
        finally:
            feeding.cancel()
            self.close()

    async def _feed(self) -> None:
        if self._input is None:
            return
        try:
            await asyncio.get_running_loop().sock_sendall(self._ours, self._input)
            self._ours.shutdown(socket.SHUT_WR)
        except OSError:
            # The program reads no further, which is its right.
            pass

    def _collect(self, data: bytes) -> None:
        if not self._framed:
            self.stdout += data
            return
        self._left += data
        place, whole = 0, self._left
        while len(whole) - place >= HEADER_SIZE:
            stream, length = parse_header(whole[place : place + HEADER_SIZE])
            end = place + HEADER_SIZE + length
            if stream > STDERR:
                raise Corrupt(f"a frame of stream {stream}")
            if end > len(whole):
                break
            (self.stderr if stream == STDERR else self.stdout).extend(whole[place + HEADER_SIZE : end])
            place = end
        self._left = whole[place:]

    def close(self) -> None:
        """Give the sockets back; idempotent."""
        self._ours.close()
        self._theirs.close()
