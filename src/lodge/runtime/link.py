"""A socket on which messages with file descriptors travel: both ends of the talk with a monitor.

Never blocks and knows no event loop: whoever owns a link watches `fileno()` for reading, and for writing
while `backlog` is not zero. What the messages say is next door in `messages`.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from lodge.kernel import sockets
from lodge.runtime import messages

# A longer message travels as a file in memory: the socket's buffer is bounded (net.core.wmem_max).
_INLINE = 60_000
_LONGEST = 64 << 20
_ENCLOSED = b"@"
# So many messages may wait for the other side before it counts as gone.
_BACKLOG = 4096


class LinkBroken(OSError):
    """The other side ended the link, stopped listening or sent what can't be read."""


class Link:
    """One end. Owns the socket; `receive` passes the ownership of fds on."""

    def __init__(self, sock: socket.socket, decoder: msgspec.json.Decoder[Any]) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._decoder = decoder
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self.ended = False
        # Nothing can be sent any more; what the other side sent before may still be received.
        self._mute = False

    def fileno(self) -> int:
        """The socket's fd; -1 when closed."""
        return self._socket.fileno()

    @property
    def backlog(self) -> int:
        """How many messages wait until the socket can be written again."""
        return len(self._queue)

    def send(self, message: messages.Message, fds: Sequence[int] = ()) -> None:
        """Send, or queue where the socket is full (then call `flush` when it can be written).

        The fds stay the caller's, who may close them at once. LinkBroken when the other side is gone: what it
        sent before can still be received.
        """
        text = messages.encode(message)
        if len(text) > _INLINE:
            self._send_enclosed(text, fds)
        else:
            self._send(text, fds)

    def _send_enclosed(self, text: bytes, fds: Sequence[int]) -> None:
        fd = os.memfd_create("lodge-message", os.MFD_CLOEXEC)
        try:
            view = memoryview(text)
            while view:
                view = view[os.write(fd, view) :]
            self._send(_ENCLOSED, [fd, *fds])
        finally:
            os.close(fd)

    def _send(self, text: bytes, fds: Sequence[int]) -> None:
        if self.ended or self._mute:
            raise LinkBroken("the link has ended")
        if not self._queue:
            try:
                sockets.send(self._socket, text, fds)
                return
            except BlockingIOError:
                pass
            except OSError as error:
                raise self._muted(error) from error
        if len(self._queue) >= _BACKLOG:
            raise self._broken("the other side does not read")
        self._queue.append((text, [os.dup(fd) for fd in fds]))

    def flush(self) -> bool:
        """Send what waits; whether nothing waits any more. LinkBroken as for `send`."""
        while self._queue:
            text, fds = self._queue[0]
            try:
                sockets.send(self._socket, text, fds)
            except BlockingIOError:
                return False
            except OSError as error:
                raise self._muted(error) from error
            self._queue.popleft()
            _close_all(fds)
        return True

    def receive(self) -> list[tuple[Any, list[int]]]:
        """All messages that are there, each with its fds (now the caller's); sets `ended` at the end.

        LinkBroken for an unreadable message: the link is of no more use then.
        """
        received: list[tuple[Any, list[int]]] = []
        while not self.ended:
            try:
                text, fds = sockets.receive(self._socket)
            except BlockingIOError:
                break
            except ConnectionResetError:
                # The other side ended without having read everything. Said once; what it sent comes after.
                continue
            except OSError as error:
                if received:
                    break
                raise self._broken(error) from error
            if not text:
                _close_all(fds)
                self.ended = True
                break
            received.append(self._decode(text, fds))
        return received

    def _decode(self, text: bytes, fds: list[int]) -> tuple[Any, list[int]]:
        try:
            if text == _ENCLOSED and fds:
                text = _read_enclosed(fds.pop(0))
            return self._decoder.decode(text), fds
        except (msgspec.DecodeError, OSError) as error:
            _close_all(fds)
            raise self._broken(f"a message can't be read: {error}") from error

    def _muted(self, reason: OSError) -> LinkBroken:
        self._mute = True
        while self._queue:
            _close_all(self._queue.popleft()[1])
        return LinkBroken(f"the other side does not listen any more: {reason}")

    def _broken(self, reason: object) -> LinkBroken:
        self.ended = True
        return LinkBroken(f"the link to the other side broke: {reason}")

    def close(self) -> None:
        """Close the socket and drop what waits; idempotent."""
        self.ended = True
        while self._queue:
            _close_all(self._queue.popleft()[1])
        self._socket.close()


class MonitorLink(Link):
    """The engine's end: sends requests, receives answers and events."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, _to_engine)

    @classmethod
    def connect(cls, path: str) -> MonitorLink:
        """The link to a monitor that runs, by its monitor.sock; OSError when nobody listens there."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connect_unix(sock, path)
        except BaseException:
            sock.close()
            raise
        return cls(sock)


class EngineLink(Link):
    """The monitor's end: receives requests, sends answers and events."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, _to_monitor)


_to_engine = messages.decoder_of(messages.ToEngine)
_to_monitor = messages.decoder_of(messages.ToMonitor)


def connect_unix(sock: socket.socket, path: str) -> None:
    """Connect by a path of any length (an address holds 107 bytes): through the directory's fd."""
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    finally:
        os.close(directory)


def bind_unix(sock: socket.socket, path: str) -> None:
    """Bind, with mode 0600, in place of what is there; a path of any length."""
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        name = os.path.basename(path)
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            pass
        # SAFETY: the mask is the process's; a monitor has one thread.
        mask = os.umask(0o177)
        try:
            sock.bind(f"/proc/self/fd/{directory}/{name}")
        finally:
            os.umask(mask)
    finally:
        os.close(directory)


def _read_enclosed(fd: int) -> bytes:
    try:
        size = os.fstat(fd).st_size
        if size > _LONGEST:
            raise OSError(f"it is {size} bytes long")
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
