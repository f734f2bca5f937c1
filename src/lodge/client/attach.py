"""The attached stream: stdin up, output down, over a connection that the daemon has handed over.

One poll loop in one thread. Input is sent without blocking, so a program that writes much and reads little
can never lock both sides; other descriptors (signals) can be watched by the same loop. Terminals, signals
and exit codes are the command's business (`lodge.cli`).
"""

from __future__ import annotations

import os
import select

from lodge.client.http1 import RECEIVE_SIZE
from lodge.client.transport import SHUT_WR
from lodge.errors import InvalidArgument
from lodge.wire.frames import STDERR, SYSTEM_ERROR, Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lodge.client.http1 import Response

DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q"
_INPUT_SIZE = 1 << 16
_MSG_DONTWAIT = 0x40  # Linux; elsewhere the blocking send is used
_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR


def parse_detach_keys(text: str) -> bytes:
    """The bytes of a key sequence such as "ctrl-p,ctrl-q" or "ctrl-],x"; empty for an empty text."""
    codes = bytearray()
    for key in text.split(",") if text else ():
        name = key.removeprefix("ctrl-")
        if len(key) == 1 and key.isascii():
            codes.append(ord(key))
        elif name != key and len(name) == 1 and name.lower() in "@abcdefghijklmnopqrstuvwxyz[\\]^_":
            codes.append(ord(name.upper()) - 64)
        else:
            raise InvalidArgument(f"Unknown character: '{key}' in detach keys {text}")
    return bytes(codes)


class DetachScanner:
    """Watches typed input for the detach sequence; the sequence itself is never passed on."""

    __slots__ = ("_held", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on of `data`, and whether the sequence is complete."""
        keys = self._keys
        if not keys:
            return data, False
        passed = bytearray()
        for byte in data:
            if byte == keys[self._held]:
                self._held += 1
                if self._held == len(keys):
                    self._held = 0
                    return bytes(passed), True
                continue
            passed += keys[: self._held]
            self._held = 1 if byte == keys[0] else 0
            if not self._held:
                passed.append(byte)
        return bytes(passed), False


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, waiting where the descriptor does not block by itself."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()


class Attachment:
    """One attached session between the descriptors of this process and a hijacked answer.

    `stdin` None sends no input and leaves the daemon's half open; `multiplexed` says that the output carries
    frames (no terminal). `detach_keys` empty never detaches.
    """

    def __init__(
        self,
        response: Response,
        *,
        stdin: int | None,
        stdout: int | None = 1,
        stderr: int | None = 2,
        multiplexed: bool = True,
        detach_keys: bytes = b"",
    ) -> None:
        self._stream = response.stream
        self._socket = response.stream.fileno()
        self._early = response.pending
        self._stdin = stdin
        self._outputs = (stdout, stdout, stderr, stderr)
        self._decoder = Decoder() if multiplexed else None
        self._keys = DetachScanner(detach_keys)
        self._unsent = b""
        self._input_ended = stdin is None
        self._encrypted = hasattr(response.stream, "pending")

    def run(self, watch: Mapping[int, Callable[[], None]] | None = None) -> bool:
        """Copy until the daemon ends the stream; True when the user typed the detach sequence before.

        `watch` maps further descriptors to what to call when they are readable.
        """
        watch = watch or {}
        if self._early:
            self._put_out(self._early)
        while True:
            for descriptor, happened in self._wait(watch):
                if descriptor == self._socket:
                    if happened & select.POLLOUT:
                        self._send()
                    if happened & _READABLE and not self._receive():
                        return False
                elif descriptor == self._stdin and not self._input_ended:
                    if self._take_input():
                        return True
                elif descriptor in watch:
                    watch[descriptor]()

    def close(self) -> None:
        """Give the connection back."""
        self._stream.close()

    def _wait(self, watch: Mapping[int, Callable[[], None]]) -> list[tuple[int, int]]:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        if self._stdin is not None and not self._input_ended and not self._unsent:
            poll.register(self._stdin, select.POLLIN)
        for descriptor in watch:
            poll.register(descriptor, select.POLLIN)
        return poll.poll()

    def _receive(self) -> bool:
        if self._encrypted:
            return self._receive_encrypted()
        try:
            data = self._stream.recv(RECEIVE_SIZE)
        except ConnectionResetError:
            data = b""
        if data:
            self._put_out(data)
        return bool(data)

    def _receive_encrypted(self) -> bool:
        """Take everything that has been decrypted, and wait for nothing.

        What made the socket readable may be a session ticket or half a record, and waiting for the rest
        would keep the input from being sent.
        """
        import ssl

        self._stream.setblocking(False)
        try:
            while data := self._stream.recv(RECEIVE_SIZE):
                self._stream.setblocking(True)
                self._put_out(data)
                self._stream.setblocking(False)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except (ConnectionResetError, ssl.SSLError):
            pass  # an end without a close notice is an end
        finally:
            self._stream.setblocking(True)
        return False

    def _put_out(self, data: bytes) -> None:
        pieces = self._decoder.feed(data) if self._decoder else [(1, data)]
        for stream, payload in pieces:
            descriptor = self._outputs[stream]
            if descriptor is not None:
                write_all(descriptor, payload)
            if stream == SYSTEM_ERROR and descriptor is None:
                write_all(STDERR, payload)

    def _take_input(self) -> bool:
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, _INPUT_SIZE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a terminal that hung up
        if data:
            self._unsent, detached = self._keys.feed(data)
            self._send()
            return detached
        self._input_ended = True
        self._half_close()
        return False

    def _send(self) -> None:
        if not self._unsent:
            return
        try:
            if self._encrypted or not _NONBLOCKING:
                self._stream.sendall(self._unsent)
                self._unsent = b""
            else:
                sent = self._stream.send(self._unsent, _MSG_DONTWAIT)  # type: ignore[call-arg]
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._unsent = b""
            self._input_ended = True  # nobody reads it any more; the output may still come

    def _half_close(self) -> None:
        try:
            if self._encrypted:
                # Python cannot half-close TLS; the end of the TCP direction says the same to the other side.
                import socket

                socket.socket.shutdown(self._stream, SHUT_WR)  # type: ignore[arg-type]
            else:
                self._stream.shutdown(SHUT_WR)
        except OSError:
            pass  # the other side was first


_NONBLOCKING = os.uname().sysname == "Linux"
