"""The porter: a process that stands between a machine and its keeper, with no rights of its own.

It alone reads what the agent says, which is hostile input, and carries streams: each program of the machine
has a channel there and pipes here. The keeper, which is privileged, never sees a byte that was not checked.

    keeper  -- requests as frames, with the program's pipes --> porter -- frames --> QEMU -- port --> agent
            <-- answers ----------------------------------------        <-- frames --

A request is one SEQPACKET message: a byte that says which pipes came with it (bits of `Pipe`), a frame, and
the
descriptors: first the status pipe, then the others in the order of their bits. When a program ends its exit
code is written to its status pipe; a status pipe that ends without one belongs to a machine that died.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from typing import NoReturn

from lodge.kernel import sockets
from lodge.runtime.vm import protocol
from lodge.runtime.vm.channel import Channel, Pipe
from lodge.runtime.vm.names import Names
from lodge.runtime.vm.protocol import Frame, Kind, ProtocolError, Reader, encode

_CHUNK = 128 * 1024
_CONSOLE_TAIL = 8192
# What waits for the agent; it takes input only in windows, so this is many programs' worth.
_MOST_WAITING = 16 << 20
LAST_WORDS = 0
"""The channel of the porter's own last word: an ANSWER with the end of the machine's console."""


class Porter:
    """The porter's whole work.

    `agent` and `console` lead to QEMU, `control` to the keeper, `names` to a name server where there is one.
    """

    def __init__(
        self,
        control: socket.socket,
        agent: socket.socket,
        console: socket.socket,
        names: socket.socket | None,
    ) -> None:
        self._names = Names(names) if names is not None else None
        self._control = control
        self._agent = agent
        self._console: socket.socket | None = console
        self._reader = Reader()
        self._channels: dict[int, Channel] = {}
        self._outgoing = bytearray()
        self._tail = b""
        self._poll = select.poll()
        self._alive = True
        for sock in (agent, console):
            sock.setblocking(False)

    def serve(self) -> None:
        """Carry until the machine or the keeper is gone, and all output is delivered."""
        while self._alive or any(channel.busy for channel in self._channels.values()):
            watched = self._watched()
            poll = select.poll()
            for fd, (events, _) in watched.items():
                poll.register(fd, events)
            # Once the machine is gone, a reader that does not read holds nobody up for long.
            ready = poll.poll(None if self._alive else 2000)
            if not ready and not self._alive:
                break
            for fd, _ in ready:
                watched[fd][1]()
        self._say_last_words()

    def _watched(self) -> dict[int, tuple[int, Callable[[], None]]]:
        watched: dict[int, tuple[int, Callable[[], None]]] = {}
        if self._alive:
            watched[self._control.fileno()] = (select.POLLIN, self._read_control)
            events = select.POLLIN | (select.POLLOUT if self._outgoing else 0)
            watched[self._agent.fileno()] = (events, self._exchange)
            if self._names is not None:
                watched[self._names.fileno()] = (select.POLLIN, self._answer_names)
            if self._console is not None:
                watched[self._console.fileno()] = (select.POLLIN, self._read_console)
        for channel in list(self._channels.values()):
            for fd, events, act in channel.watched():
                before = watched.get(fd, (0, act))[0]
                watched[fd] = (before | events, act)
        return watched

    def _read_control(self) -> None:
        message, fds = sockets.receive(self._control, protocol.FRAME_LIMIT + 64)
        if not message:
            # The keeper is gone, and so will be the machine.
            os._exit(0)
        [frame] = Reader(Kind).feed(message[1:])
        if frame.kind is Kind.SPAWN:
            self._channels[frame.channel] = Channel(frame.channel, self._send, Pipe(message[0]), fds)
        self._send(frame)

    def _send(self, frame: Frame) -> None:
        self._outgoing += encode(frame.kind, frame.channel, frame.payload)
        if len(self._outgoing) > _MOST_WAITING:
            self._machine_gone("the machine does not listen")
        self._write()

    def _write(self) -> None:
        try:
            while self._outgoing and self._alive:
                del self._outgoing[: self._agent.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            # Reading says the same, after what can still be read.
            self._outgoing.clear()

    def _exchange(self) -> None:
        if not self._alive:
            return
        self._write()
        try:
            data = self._agent.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._machine_gone("")
            return
        try:
            for frame in self._reader.feed(data):
                self._take(frame)
        except ProtocolError as error:
            self._machine_gone(f"the machine speaks nonsense: {error}")

    def _take(self, frame: Frame) -> None:
        """One frame of the agent, checked."""
        match frame.kind:
            case Kind.ANSWER:
                protocol.read_answer(frame.payload)
                self._tell(frame)
            case Kind.READY | Kind.OUT_OF_MEMORY:
                self._tell(frame)
            case Kind.NAME_QUERY if self._names is not None:
                self._names.ask(frame.payload)
            case _:
                channel = self._channels.get(frame.channel)
                if channel is None:
                    raise ProtocolError(f"{frame.kind.name} on channel {frame.channel}, which nobody opened")
                channel.take(frame)
        for number in [number for number, channel in self._channels.items() if channel.over]:
            del self._channels[number]

    def _tell(self, frame: Frame) -> None:
        try:
            sockets.send(self._control, encode(frame.kind, frame.channel, frame.payload))
        except OSError:
            os._exit(0)

    def _answer_names(self) -> None:
        assert self._names is not None
        for payload in self._names.answers():
            self._send(Frame(Kind.NAME_ANSWER, 0, payload))

    def _read_console(self) -> None:
        # The end of the machine, noticed in the same round, has read and closed it already.
        if self._console is None:
            return
        try:
            data = self._console.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._console.close()
            self._console = None
            return
        self._tail = (self._tail + data)[-_CONSOLE_TAIL:]

    def _machine_gone(self, reason: str) -> None:
        if self._console is not None:
            self._read_console()
        self._alive = False
        if reason:
            self._tail += f"\n{reason}".encode()
        self._agent.close()
        for channel in self._channels.values():
            channel.machine_gone()

    def _say_last_words(self) -> None:
        payload = (5).to_bytes(4, "little") + bytes(4) + self._tail
        self._tell(Frame(Kind.ANSWER, LAST_WORDS, payload))
        for channel in self._channels.values():
            channel.close()


def become_porter(
    control: socket.socket, agent: socket.socket, console: socket.socket, names: socket.socket | None
) -> NoReturn:
    """Serve in this process, a fresh fork that has given up its rights; it ends here."""
    try:
        Porter(control, agent, console, names).serve()
    finally:
        os._exit(0)
