"""The keeper's end of the talk with its porter: requests are sent and waited for, in bounded time."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Sequence

from lodge.errors import StartFailed
from lodge.kernel import sockets
from lodge.runtime.vm.channel import Pipe
from lodge.runtime.vm.protocol import (
    FRAME_LIMIT,
    VERSION,
    Answer,
    Frame,
    Kind,
    ProtocolError,
    Reader,
    encode,
    read_answer,
)

_BUFFER = 4 << 20
_LAST_WORDS = 0
_NO_PIPES = Pipe(0)
# Not in the socket module; takes CAP_NET_ADMIN (socket(7)).
_SO_SNDBUFFORCE = 32


class MachineGone(StartFailed):
    """The machine has ended, or does not answer. `console` is the end of what its kernel said."""

    def __init__(self, message: str, console: str = "") -> None:
        super().__init__(message, exit_code=128, hint=console or None)
        self.console = console


class PorterLink:
    """Owns the socket. `oom_kills` counts what the agent told of it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._reader = Reader()
        self._came: list[Frame] = []
        self._ready: Frame | None = None
        self.oom_kills = 0
        self.console = ""

    @staticmethod
    def make() -> tuple[socket.socket, socket.socket]:
        """A pair for keeper and porter, wide enough for the longest frame."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            try:
                sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER)
            except OSError:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        return ours, theirs

    def fileno(self) -> int:
        """The socket."""
        return self._socket.fileno()

    def tell(
        self,
        kind: Kind,
        channel: int = 0,
        payload: bytes = b"",
        pipes: Pipe = _NO_PIPES,
        fds: Sequence[int] = (),
    ) -> None:
        """Send a request that is not waited for.

        The fds stay the caller's. ProcessLookupError without a porter.
        """
        message = bytes([pipes]) + encode(kind, channel, payload)
        try:
            if not select.select([], [self._socket], [], 10.0)[1]:
                raise MachineGone("the machine's porter does not listen")
            sockets.send(self._socket, message, fds)
        except OSError as error:
            raise ProcessLookupError(f"the machine is gone: {error}") from error

    def ask(
        self,
        kind: Kind,
        channel: int,
        payload: bytes = b"",
        *,
        patience: float,
        pipes: Pipe = _NO_PIPES,
        fds: Sequence[int] = (),
    ) -> Answer:
        """Send a request and wait for its answer; MachineGone when there is none in `patience` seconds."""
        try:
            self.tell(kind, channel, payload, pipes, fds)
        except ProcessLookupError as error:
            self._drain()
            raise self._gone(str(error)) from error
        deadline = time.monotonic() + patience
        while True:
            for frame in self._came:
                if frame.channel == channel:
                    self._came.remove(frame)
                    return read_answer(frame.payload)
            self._wait(deadline, kind.name)

    def await_ready(self, patience: float) -> str:
        """Wait until the agent is up; the kernel's release. MachineGone when it isn't in time."""
        deadline = time.monotonic() + patience
        while self._ready is None:
            self._wait(deadline, "boot")
        payload = self._ready.payload
        version = int.from_bytes(payload[:4], "little")
        if version != VERSION:
            raise MachineGone(f"the machine's agent speaks version {version}, not {VERSION}: lodge vm setup")
        return payload[4:].decode("ascii", "replace")

    def _wait(self, deadline: float, what: str) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._socket], [], [], left)[0]:
            raise self._gone(f"the machine did not answer in time ({what.lower()})")
        self._drain()

    def _drain(self) -> None:
        """Take all that is there."""
        while True:
            try:
                message, fds = sockets.receive(self._socket, FRAME_LIMIT + 64)
            except BlockingIOError:
                return
            except OSError as error:
                raise self._gone(str(error)) from error
            for fd in fds:
                os.close(fd)
            if not message:
                raise self._gone("the machine has ended")
            for frame in self._reader.feed(message):
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.READY:
                self._ready = frame
            case Kind.OUT_OF_MEMORY:
                self.oom_kills += 1
            case Kind.ANSWER if self._is_last_word(frame):
                self.console = read_answer(frame.payload).text.decode("utf-8", "replace").strip()
            case Kind.ANSWER:
                self._came.append(frame)
            case _:
                raise ProtocolError(f"the porter passes {frame.kind.name} on")

    def _is_last_word(self, frame: Frame) -> bool:
        return frame.channel == _LAST_WORDS and frame.payload[:4] == (5).to_bytes(4, "little")

    def _gone(self, reason: str) -> MachineGone:
        last = self.console.splitlines()[-12:]
        return MachineGone(reason, "\n".join(last))

    def look(self) -> None:
        """Take news that came by themselves, without waiting; nothing when the machine is gone."""
        try:
            self._drain()
        except MachineGone:
            return

    def close(self) -> None:
        """Close the socket: the porter ends."""
        self._socket.close()
