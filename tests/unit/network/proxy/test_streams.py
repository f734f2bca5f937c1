"""Connections through a door, over this machine's loopback."""

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from lodge.network.loop import Loop
from lodge.network.proxy import streams
from lodge.network.proxy.door import Kept, open_door
from lodge.network.proxy.streams import Places, StreamDoor
from tests.unit.network.turning import turn_for, turn_until


class Running:
    """A door whose loop runs in a thread, so that tests may block."""

    def __init__(self, limit: int = 100) -> None:
        self.loop = Loop()
        self.places = Places(limit)
        self.target = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.target.settimeout(10)
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = listener.getsockname()
        door = open_door(self.loop, self.places, listener, (socket.AF_INET, self.target.getsockname()))
        assert isinstance(door, StreamDoor)
        self.door = door
        self._orders, self._wake = socket.socketpair()
        self._todo: list[Callable[[], None]] = []
        self.loop.watch(self._orders.fileno(), 1, self._obey)
        self._thread = threading.Thread(target=self.loop.run)
        self._thread.start()

    def _obey(self, _events: int) -> None:
        self._orders.recv(1)
        self._todo.pop(0)()

    def order(self, what: Callable[[], None]) -> None:
        """Let the loop's thread do something."""
        done = threading.Event()

        def obeyed() -> None:
            what()
            done.set()

        self._todo.append(obeyed)
        self._wake.send(b"x")
        assert done.wait(10)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=10)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """A client and the container's end of its connection."""
        client = self.connect()
        server, _ = self.target.accept()
        server.settimeout(10)
        return client, server

    def close(self) -> None:
        self.order(self.door.close)
        assert self.places.used == 0
        self.loop.stop()
        self._wake.send(b"x")
        self._todo.append(lambda: None)
        self._thread.join(10)
        self.target.close()
        self._orders.close()
        self._wake.close()
        self.loop.close()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.close()


def read_all(sock: socket.socket) -> bytes:
    found = bytearray()
    while piece := sock.recv(1 << 16):
        found += piece
    return bytes(found)


def test_both_ways(running: Running) -> None:
    client, server = running.pair()
    with client, server:
        client.sendall(b"question")
        assert server.recv(100) == b"question"
        server.sendall(b"answer")
        assert client.recv(100) == b"answer"


def test_half_a_connection_may_end(running: Running) -> None:
    client, server = running.pair()
    with client, server:
        client.sendall(b"all of it")
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"all of it"
        server.sendall(b"still here")
        assert client.recv(100) == b"still here"
        server.close()
        assert client.recv(1) == b""
    turn = 0
    while running.door.connections and turn < 100:
        turn += 1
        running.order(lambda: None)
    assert running.door.connections == 0


def test_much_goes_through_both_ways_at_once(running: Running) -> None:
    client, server = running.pair()
    content = os.urandom(8 << 20)
    found: dict[str, bytes] = {}

    def send(sock: socket.socket) -> None:
        sock.sendall(content)
        sock.shutdown(socket.SHUT_WR)

    def receive(name: str, sock: socket.socket) -> None:
        found[name] = read_all(sock)

    with client, server:
        threads = [threading.Thread(target=send, args=(one,)) for one in (client, server)]
        threads += [
            threading.Thread(target=receive, args=(name, one))
            for name, one in (("client", client), ("server", server))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert found["client"] == content
    assert found["server"] == content


def test_a_slow_reader_holds_up_the_writer_and_costs_a_chunk(running: Running) -> None:
    client, server = running.pair()
    with client, server:
        client.settimeout(0.3)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += client.send(bytes(1 << 16))
        except TimeoutError:
            pass
        assert sent < 64 << 20
        (relay,) = running.door._relays
        assert len(relay._far.outbox) <= 128 << 10
        client.settimeout(10)
        client.shutdown(socket.SHUT_WR)
        assert len(read_all(server)) == sent


def test_a_reset_is_passed_on(running: Running) -> None:
    client, server = running.pair()
    with client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        server.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_nobody_listens_in_the_container(running: Running) -> None:
    def try_it() -> None:
        with running.connect() as client:
            client.recv(1)

    running.target.close()
    with pytest.raises(ConnectionResetError):
        try_it()


def test_another_target(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(10)
        running.order(lambda: running.door.lead((socket.AF_INET, other.getsockname())))
        with running.connect() as client:
            server, _ = other.accept()
            with server:
                server.sendall(b"other")
                assert client.recv(10) == b"other"


def test_an_end_cuts_connections_but_a_retirement_does_not(running: Running) -> None:
    client, server = running.pair()
    with client, server:
        running.order(running.door.retire)
        with pytest.raises(ConnectionRefusedError):
            running.connect()
        client.sendall(b"on")
        assert server.recv(10) == b"on"
        running.order(running.door.close)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_there_is_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_PAUSE", 0.01)
    running = Running(limit=8)
    clients = [running.connect() for _ in range(10)]
    servers = [running.target.accept()[0] for _ in range(7)]
    running.target.settimeout(0.1)
    with pytest.raises(TimeoutError):
        running.target.accept()
    clients[0].close()
    servers[0].close()
    running.target.settimeout(10)
    servers.append(running.target.accept()[0])
    for sock in (*clients, *servers):
        sock.close()
    running.close()


def test_a_container_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_PATIENCE", 0.05)
    monkeypatch.setattr(streams, "_SWEEP", 0.05)
    loop = Loop()
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname(), timeout=10)
    door = open_door(loop, Places(10), listener, (socket.AF_INET, full.getsockname()))
    turn_until(loop, lambda: door.connections == 1)
    turn_until(loop, lambda: door.connections == 0)
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    door.close()
    for sock in (client, full, *fillers):
        sock.close()
    loop.close()


def test_no_files_left_is_no_end() -> None:
    loop = Loop()
    target = socket.create_server(("127.0.0.1", 0))
    listener = socket.create_server(("127.0.0.1", 0))
    door = open_door(loop, Places(100), listener, (socket.AF_INET, target.getsockname()))
    client = socket.create_connection(listener.getsockname(), timeout=10)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        turn_for(loop, 0.05)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert door.connections == 0
    turn_until(loop, lambda: door.connections == 1)
    door.close()
    for sock in (client, target):
        sock.close()
    loop.close()


def test_a_port_may_be_kept_only() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    address = sock.getsockname()
    door = open_door(Loop(), Places(1), sock, None)
    assert isinstance(door, Kept)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address)
    door.close()
    with socket.socket() as other:
        other.bind(address)
        assert other.getsockname() == address


def test_ipv6_outside_ipv4_inside() -> None:
    loop = Loop()
    target = socket.create_server(("127.0.0.1", 0))
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    door = open_door(loop, Places(10), listener, (socket.AF_INET, target.getsockname()))
    client = socket.create_connection(listener.getsockname()[:2], timeout=10)
    client.sendall(b"six")
    turn_for(loop, 0.05)
    target.settimeout(10)
    server, _ = target.accept()
    assert server.recv(10) == b"six"
    door.close()
    for sock in (client, server, target):
        sock.close()
    loop.close()
