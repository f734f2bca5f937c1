"""One program with its streams, its log and its attached clients, from its start to the last byte.

The container's program and every exec is a session. Output goes to the log first, then to the clients; one
that reads slowly holds the program back, as with Docker. When the program has ended, its output is read to
the end; a foreign process that keeps a pipe open delays that by `GRACE` seconds at most.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Protocol

from lodge.runtime.contract import Program
from lodge.runtime.messages import Attach, Execute
from lodge.runtime.monitor.client import Client
from lodge.runtime.monitor.inlet import Inlet
from lodge.runtime.monitor.loop import READ, Loop, Timer
from lodge.runtime.monitor.outlet import Outlet
from lodge.spec.streams import STDERR, STDOUT

GRACE = 2.0


class Sink(Protocol):
    """The part of a log that a session uses."""

    def write(self, stream: int, data: bytes) -> None:
        """Take a chunk of output; never fails, never waits for long."""

    def replay(self, *, wanted: frozenset[int], framed: bool) -> Callable[[], tuple[bytes, bool]]:
        """What was written so far, as a source for `Client.replay`."""


class Session:
    """Owns the program's descriptors and streams, and the clients' sockets.

    `close_input` says what the end of a client's input means: True closes the program's input too (unless it
    is a terminal), False ends the client's connection, as Docker does. `on_exit` is called when the program
    has ended, before the rest of its output is read, `on_end(code)` after that, each once. `on_detach` is
    called when a client used the detach keys.
    """

    def __init__(
        self,
        loop: Loop,
        program: Program,
        *,
        close_input: bool,
        log: Sink | None = None,
        on_exit: Callable[[], None] | None = None,
        on_end: Callable[[int], None],
        on_detach: Callable[[], None],
        on_client_gone: Callable[[], None],
    ) -> None:
        self._loop = loop
        self.program = program
        self.pid = program.pid
        self._log = log
        self._on_exit = on_exit
        self._on_end = on_end
        self._on_detach = on_detach
        self._on_client_gone = on_client_gone
        self._clients: list[Client] = []
        self._grace: Timer | None = None
        self.code: int | None = None
        self._over = False
        streams = program.streams
        self._terminal = streams.terminal is not None
        self._close_input = close_input and not self._terminal
        self._outlets: list[Outlet] = []
        self._inlet: Inlet | None = None
        self._take_streams()
        loop.watch(program.fileno(), READ, self._program_ended)

    def _take_streams(self) -> None:
        """From now on the outlets and the inlet own the descriptors."""
        streams = self.program.streams
        stdin, stdout, stderr = streams.stdin, streams.stdout, streams.stderr
        if streams.terminal is not None:
            # Two owners, two descriptors.
            stdout, stdin = os.dup(streams.terminal), os.dup(streams.terminal)
        else:
            streams.stdin = streams.stdout = streams.stderr = None
        for fd, number in ((stdout, STDOUT), (stderr, STDERR)):
            if fd is not None:
                self._outlets.append(Outlet(self._loop, fd, number, self._deliver, self._output_ended))
        if stdin is not None:
            self._inlet = Inlet(self._loop, stdin, self._input_has_room)

    @property
    def attached(self) -> int:
        """How many clients there are."""
        return len(self._clients)

    @property
    def over(self) -> bool:
        """Whether the program has ended and its output is read."""
        return self._over

    def attach(self, fd: int, wish: Attach | Execute) -> None:
        """Connect a client's socket, which is owned here from now on."""
        wanted = frozenset(number for number, on in ((STDOUT, wish.stdout), (STDERR, wish.stderr)) if on)
        client = Client(self._loop, socket.socket(fileno=fd), self, wanted=wanted, framed=wish.framed)
        self._clients.append(client)
        if isinstance(wish, Attach) and wish.replay and self._log is not None:
            client.replay(self._log.replay(wanted=wanted, framed=wish.framed))
        if wish.stdin and self._inlet is not None:
            client.take_input(self._inlet, wish.detach_keys if self._terminal else b"", wish.received)
        if self._over or (isinstance(wish, Attach) and not wish.live):
            client.finish()

    def announce(self, stream: int, text: bytes) -> None:
        """Send the clients bytes that the program did not write."""
        for client in list(self._clients):
            client.feed(stream, text)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size."""
        self.program.resize(rows, columns)

    def program_ended(self) -> None:
        """Somebody noticed that the program has ended, perhaps before the loop did; idempotent."""
        if self.code is None:
            self._program_ended(READ)

    def end_now(self) -> None:
        """Wait for no more output of a program that has ended; idempotent."""
        self._finish()

    def close(self) -> None:
        """Give everything back at once, clients included; the program is left alone."""
        self._stop_reading()
        for client in list(self._clients):
            client.close()
        if self.code is None:
            self._loop.forget(self.program.fileno())
        self.program.close()

    def _deliver(self, stream: int, data: bytes) -> None:
        if self._log is not None:
            self._log.write(stream, data)
        congested = False
        for client in list(self._clients):
            client.feed(stream, data)
            congested |= client.congested
        # After the end the pipes hold little, and nobody shall wait for a slow client to learn the exit code.
        if congested and self.code is None:
            for outlet in self._outlets:
                outlet.pause()

    def _program_ended(self, _events: int) -> None:
        self._loop.forget(self.program.fileno())
        self.code = self.program.reap()
        if self._on_exit is not None:
            self._on_exit()
        self._grace = self._loop.later(GRACE, self._finish)
        for outlet in self._outlets:
            outlet.resume()
            outlet.drain()
        self._output_ended()

    def _output_ended(self) -> None:
        if self.code is not None and not any(outlet.open for outlet in self._outlets):
            self._finish()

    def _finish(self) -> None:
        if self._over or self.code is None:
            return
        self._over = True
        if self._grace is not None:
            self._grace.cancel()
        self._stop_reading()
        self.program.close()
        # Told before its clients' connections end: a client that asks for the code then must get it.
        self._on_end(self.code)
        for client in list(self._clients):
            client.finish()

    def _stop_reading(self) -> None:
        for outlet in self._outlets:
            outlet.close()
        if self._inlet is not None:
            self._inlet.close()
        self.program.streams.close()

    def _input_has_room(self) -> None:
        for client in list(self._clients):
            client.update()

    def client_input_ended(self, client: Client) -> None:
        """A client will send no more input."""
        if self._close_input:
            if self._inlet is not None:
                self._inlet.finish()
        else:
            client.finish()

    def client_detached(self, client: Client) -> None:
        """A client used the detach keys."""
        client.finish()
        self._on_detach()

    def client_relieved(self, _client: Client) -> None:
        """A client can take output again."""
        if not any(other.congested for other in self._clients):
            for outlet in self._outlets:
                outlet.resume()

    def client_gone(self, client: Client) -> None:
        """A client's connection is closed."""
        self._clients.remove(client)
        self.client_relieved(client)
        self._on_client_gone()
