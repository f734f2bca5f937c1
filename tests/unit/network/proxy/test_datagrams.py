"""Conversations through a door, over this machine's loopback."""

import socket
from collections.abc import Iterator

import pytest

from lodge.network.loop import Loop
from lodge.network.proxy import datagrams
from lodge.network.proxy.door import open_door
from lodge.network.proxy.streams import Places
from tests.unit.network.turning import turn_for, turn_until


def bound(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.setblocking(False)
    return sock


class Played:
    def __init__(self, address: str = "0.0.0.0") -> None:
        self.loop = Loop()
        self.target = bound()
        sock = bound(address)
        self.port = sock.getsockname()[1]
        door = open_door(self.loop, Places(1), sock, (socket.AF_INET, self.target.getsockname()))
        assert isinstance(door, datagrams.DatagramDoor)
        self.door = door
        self.clients: list[socket.socket] = []

    def client(self, to: str = "127.0.0.1") -> socket.socket:
        sock = bound("::1" if ":" in to else "127.0.0.1")
        sock.connect((to, self.port))
        self.clients.append(sock)
        return sock

    def received(self, sock: socket.socket) -> tuple[bytes, tuple[str, int]]:
        found: list[tuple[bytes, tuple[str, int]]] = []

        def look() -> bool:
            try:
                found.append(sock.recvfrom(65535))
            except BlockingIOError:
                return False
            return True

        turn_until(self.loop, look)
        return found[0]

    def close(self) -> None:
        self.door.close()
        for sock in (*self.clients, self.target):
            sock.close()
        self.loop.close()


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


def test_each_client_has_its_conversation(played: Played) -> None:
    clients = [played.client() for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    for _ in clients:
        data, sender = played.received(played.target)
        played.target.sendto(b"re: " + data, sender)
    assert [played.received(client)[0] for client in clients] == [b"re: 0", b"re: 1", b"re: 2"]
    clients[0].send(b"again")
    played.received(played.target)
    assert len(played.door._conversations) == 3


def test_the_answer_comes_from_where_the_question_went(played: Played) -> None:
    """A connected client takes no answer from another address of the host."""
    client = played.client("127.0.0.7")
    client.send(b"x")
    data, sender = played.received(played.target)
    played.target.sendto(data, sender)
    assert played.received(client) == (b"x", ("127.0.0.7", played.port))


def test_ipv6_outside_ipv4_inside() -> None:
    played = Played("::")
    client = played.client("::1")
    client.send(b"six")
    data, sender = played.received(played.target)
    played.target.sendto(data, sender)
    assert played.received(client)[0] == b"six"
    played.close()


def test_quiet_conversations_end(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "IDLE", 0.1)
    monkeypatch.setattr(datagrams, "_SWEEP", 0.05)
    played.client().send(b"x")
    turn_until(played.loop, lambda: len(played.door._conversations) == 1)
    turn_until(played.loop, lambda: len(played.door._conversations) == 0)
    assert played.received(played.target)[0] == b"x"


def test_conversations_are_so_many_at_most(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "CONVERSATIONS", 4)
    clients = [played.client() for _ in range(8)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
        turn_for(played.loop, 0.005)
    assert [one.client for one in played.door._conversations.values()] == [
        client.getsockname() for client in clients[4:]
    ]


def test_nobody_listens_in_the_container(played: Played) -> None:
    address = played.target.getsockname()
    played.target.close()
    client = played.client()
    for _ in range(3):
        client.send(b"lost")
        turn_for(played.loop, 0.01)
    played.target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    played.target.bind(address)
    played.target.setblocking(False)
    client.send(b"found")
    assert played.received(played.target)[0] == b"found"


def test_another_target(played: Played) -> None:
    client = played.client()
    client.send(b"x")
    played.received(played.target)
    with bound() as other:
        played.door.lead((socket.AF_INET, other.getsockname()))
        client.send(b"y")
        assert played.received(other)[0] == b"y"


def test_an_end_frees_the_port(played: Played) -> None:
    played.door.retire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", played.port))
        assert other.getsockname()[1] == played.port
