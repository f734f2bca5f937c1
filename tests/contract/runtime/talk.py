"""One end of a talk with a monitor, for tests: requests with their answers, facts as they come, clients."""

import itertools
import os
import select
import socket
import struct
import time
from typing import Any, TypeVar

from lodge.runtime.link import LinkBroken, MonitorLink
from lodge.runtime.messages import Answer, Attach, Event, Execute, Failed, Request, Signal
from lodge.spec.runtime import Process

# The first machine of its kind is booted, frozen and copied, perhaps after an accelerator that hangs.
PATIENCE = 60.0
E = TypeVar("E", bound=Event)


class Talk:
    """Speaks for an engine."""

    def __init__(self, link: MonitorLink) -> None:
        self.link = link
        self.answers: dict[int, Answer] = {}
        self.events: list[Event] = []
        self._numbers = itertools.count(1)

    def post(self, kind: type[Request], fds: tuple[int, ...] = (), **fields: Any) -> int:
        """Send a request; its number."""
        number = next(self._numbers)
        self.link.send(kind(request=number, **fields), fds)
        return number

    def ask(self, kind: type[Request], fds: tuple[int, ...] = (), **fields: Any) -> Any:
        """Send a request and wait for its answer."""
        return self.answer(self.post(kind, fds, **fields))

    def answer(self, number: int) -> Any:
        """The answer to a request."""
        self._until(lambda: number in self.answers, f"an answer to {number}")
        return self.answers.pop(number)

    def done(self, kind: type[Request], fds: tuple[int, ...] = (), **fields: Any) -> Any:
        """Ask, and see that it was done."""
        answer = self.ask(kind, fds, **fields)
        assert not isinstance(answer, Failed), answer
        return answer

    def fact(self, kind: type[E], **fields: Any) -> E:
        """Wait for a fact, and take it."""

        def find() -> E | None:
            for event in self.events:
                if isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items()):
                    return event
            return None

        self._until(lambda: find() is not None, f"{kind.__name__} {fields}, came: {self.events}")
        event = find()
        assert event is not None
        self.events.remove(event)
        return event

    def ended(self) -> None:
        """Wait for the end of the link."""
        self._until(lambda: self.link.ended, "the end of the link")

    def _until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self.link.ended and not condition():
                raise AssertionError(f"the monitor ended the link; waited for {what}")
            if not select.select([self.link], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"waited in vain for {what}")
            for message, fds in self.link.receive():
                assert not fds
                if isinstance(message, Answer):
                    self.answers[message.request] = message
                else:
                    self.events.append(message)
            if self.link.ended and condition():
                return

    def attach(self, **fields: Any) -> "Client":
        """Attach a client and see that it is."""
        client, theirs = Client.pair()
        self.done(Attach, (theirs.fileno(),), **fields)
        theirs.close()
        return client

    def execute(self, exec_id: str, args: list[str], **fields: Any) -> tuple["Client", Any]:
        """Run a further program with a client; the answer is not checked."""
        client, theirs = Client.pair()
        env = ["PATH=/usr/bin:/bin"]
        answer = self.ask(
            Execute,
            (theirs.fileno(),),
            exec_id=exec_id,
            process=Process(cwd="/", args=args, env=env, terminal=bool(fields.get("terminal"))),
            **fields,
        )
        theirs.close()
        return client, answer

    def close(self) -> None:
        """Leave."""
        self.link.close()

    def end(self) -> None:
        """End the container, if it is still there, and leave."""
        try:
            self.post(Signal, number=9)
            self.ended()
        except (LinkBroken, AssertionError):
            pass
        self.close()


class Client:
    """The far end of an attached connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.settimeout(PATIENCE)

    @classmethod
    def pair(cls) -> tuple["Client", socket.socket]:
        """A client, and the socket that is handed over for it."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    def send(self, data: bytes) -> None:
        """Send input."""
        self.socket.sendall(data)

    def half_close(self) -> None:
        """No more input."""
        self.socket.shutdown(socket.SHUT_WR)

    def read_until(self, text: bytes) -> bytes:
        """Read raw output until some text has come."""
        out = b""
        while text not in out:
            data = self.socket.recv(65536)
            assert data, f"the connection ended before {text!r}: {out!r}"
            out += data
        return out

    def read_all(self) -> bytes:
        """Everything to the end."""
        out = bytearray()
        while data := self.socket.recv(1 << 20):
            out += data
        return bytes(out)

    def frames(self) -> dict[int, bytes]:
        """Everything to the end, by stream; the frames are checked."""
        return split(self.read_all())

    def close(self) -> None:
        """Vanish."""
        self.socket.close()

    def __del__(self) -> None:
        self.socket.close()


def split(data: bytes) -> dict[int, bytes]:
    """Frames apart, by stream."""
    streams: dict[int, bytes] = {}
    while data:
        stream, length = struct.unpack(">BxxxI", data[:8])
        assert len(data) >= 8 + length, "a frame is cut off"
        streams[stream] = streams.get(stream, b"") + data[8 : 8 + length]
        data = data[8 + length :]
    return streams


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process that is no child of ours."""
    deadline = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.005)


def open_files(pid: int) -> dict[int, str]:
    """What a process has open."""
    names = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            names[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
    return names
