"""The porter between a played keeper and a played agent: streams, windows, ends, nonsense."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from lodge.runtime.vm.channel import Pipe
from lodge.runtime.vm.names import Names
from lodge.runtime.vm.porter import Porter
from lodge.runtime.vm.porter_link import MachineGone, PorterLink
from lodge.runtime.vm.protocol import WINDOW, Frame, Kind, ProtocolError, Reader, encode


class Play:
    """The porter in a thread; `agent` is the agent's end, `link` the keeper's."""

    def __init__(self) -> None:
        ours, theirs = PorterLink.make()
        self.link = PorterLink(ours)
        self.agent, agent = socket.socketpair()
        self.console, console = socket.socketpair()
        self.agent.settimeout(5)
        self._reader = Reader(Kind)
        self._came: list[Frame] = []
        self._socks = (theirs, agent, console)
        self._thread = threading.Thread(target=Porter(theirs, agent, console, None).serve)
        self._thread.start()

    def next(self) -> Frame:
        while not self._came:
            self._came += self._reader.feed(self.agent.recv(65536))
        return self._came.pop(0)

    def say(self, kind: Kind, channel: int = 0, payload: bytes = b"") -> None:
        self.agent.sendall(encode(kind, channel, payload))

    def spawn(self, *, first: bool = False) -> tuple[int, int, int]:
        """A program: its status, input and output."""
        status, status_end = os.pipe()
        stdin, ours_in = os.pipe()
        ours_out, stdout = os.pipe()
        pipes = Pipe.STDIN | Pipe.STDOUT | (Pipe.FIRST if first else Pipe(0))
        self.link.tell(Kind.SPAWN, 1, b"", pipes, [status_end, stdin, stdout])
        for fd in (status_end, stdin, stdout):
            os.close(fd)
        assert self.next().kind is Kind.SPAWN
        return status, ours_in, ours_out

    def close(self) -> None:
        self.agent.close()
        self.console.close()
        self._thread.join(5)
        assert not self._thread.is_alive()
        self.link.close()
        for sock in self._socks:
            sock.close()


@pytest.fixture
def play() -> Iterator[Play]:
    play = Play()
    yield play
    play.close()


def test_streams_pass_and_windows_are_given_back(play: Play) -> None:
    status, stdin, stdout = play.spawn()
    os.write(stdin, b"hello")
    assert play.next() == Frame(Kind.INPUT, 1, b"hello")
    play.say(Kind.OUTPUT, 1, b"\x01there")
    assert os.read(stdout, 10) == b"there"
    assert play.next() == Frame(Kind.CREDIT, 1, (5).to_bytes(4, "little"))
    os.close(stdin)
    assert play.next() == Frame(Kind.INPUT_END, 1)
    play.say(Kind.EXITED, 1, (3).to_bytes(4, "little"))
    assert os.read(status, 2) == b"\x03"
    play.say(Kind.OUTPUT_END, 1, b"\x01")
    assert os.read(stdout, 1) == b""
    os.close(status)
    os.close(stdout)


def test_a_machine_that_dies_leaves_no_code_and_its_last_words(play: Play) -> None:
    status, stdin, stdout = play.spawn(first=True)
    play.console.sendall(b"Kernel panic - not syncing\n")
    play.say(Kind.OUTPUT, 1, b"\x01last")
    play.agent.close()
    assert os.read(stdout, 10) == b"last"
    assert os.read(status, 1) == b""
    with pytest.raises(MachineGone) as caught:
        play.link.ask(Kind.FIGURES, 9, patience=0.3)
    assert "panic" in caught.value.console
    for fd in (status, stdin, stdout):
        os.close(fd)


@pytest.mark.parametrize(
    "nonsense",
    [
        encode(Kind.OUTPUT, 9, b"\x01x"),
        encode(Kind.OUTPUT, 1, b"\x07x"),
        encode(Kind.OUTPUT, 1, b"\x01" + bytes(WINDOW + 1)),
        encode(Kind.TAKEN, 1, (5).to_bytes(4, "little")),
        encode(Kind.EXITED, 1, b"x"),
        encode(Kind.SPAWN, 2),
        encode(Kind.NAME_QUERY, 0, bytes(30)),
        b"\xff" * 64,
    ],
)
def test_a_machine_that_speaks_nonsense_is_given_up(play: Play, nonsense: bytes) -> None:
    status, stdin, stdout = play.spawn(first=True)
    play.agent.sendall(nonsense)
    with pytest.raises(MachineGone) as caught:
        play.link.ask(Kind.FIGURES, 9, patience=0.3)
    assert "nonsense" in caught.value.console
    assert os.read(status, 1) == b""
    for fd in (status, stdin, stdout):
        os.close(fd)


def test_questions_for_names_find_their_way_back() -> None:
    ours, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    names = Names(ours)
    asker = bytes([127, 0, 0, 1]) + (4242).to_bytes(2, "big")
    names.ask(asker + b"\xab\xcd" + bytes(10) + b"question")
    question = server.recv(100)
    assert question[2:] == bytes(10) + b"question"
    server.send(question[:2] + bytes(10) + b"answer")
    assert names.answers() == [asker + b"\xab\xcd" + bytes(10) + b"answer"]
    server.send(b"\x77\x77" + bytes(10) + b"unasked")
    assert names.answers() == []
    with pytest.raises(ProtocolError):
        names.ask(b"short")
    ours.close()
    server.close()
