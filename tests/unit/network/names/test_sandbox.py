"""A whole name server on sockets of this machine's loopback, with upstreams that the test plays."""

import socket
import time
from collections.abc import Iterator

import pytest

from lodge.network.loop import Loop
from lodge.network.names import asking, streams
from lodge.network.names.asking import Quota
from lodge.network.names.book import Book
from lodge.network.names.question import NOERROR, REFUSED, SERVFAIL
from lodge.network.names.sandbox import NameServer
from lodge.network.names.view import Attachment, Member, Upstream, View
from tests.unit.network.names import dns
from tests.unit.network.turning import turn_for, turn_until


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def server() -> tuple[socket.socket, socket.socket]:
    """The two sockets of an upstream, of one port: by UDP, and listening by TCP."""
    while True:
        udp = bound()
        try:
            tcp = socket.create_server(udp.getsockname())
        except OSError:
            # Somebody else has this port by TCP.
            udp.close()
            continue
        tcp.setblocking(False)
        return udp, tcp


class Played:
    """A name server, its clients and two upstreams, in one thread."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.quota = Quota(1000)
        both = [server(), server()]
        self.upstreams = [udp for udp, _ in both]
        self.listeners = [tcp for _, tcp in both]
        book = Book()
        book.join("n", Member(endpoint="e", container="c", names=("web",), ipv4="10.1.0.2"))
        udp, tcp = bound(), socket.create_server(("127.0.0.1", 0))
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            tcp.setsockopt(socket.SOL_SOCKET, option, 65536)
        self.address, self.stream_address = udp.getsockname(), tcp.getsockname()
        self.server = NameServer(self.loop, self.quota, book, self.view(), udp, tcp)
        self.client = bound()
        self.client.connect(self.address)

    def view(self, **options: bool) -> View:
        return View(
            networks=(Attachment(network="n"),),
            upstreams=tuple(
                Upstream(address=one.getsockname()[0], port=one.getsockname()[1]) for one in self.upstreams
            ),
            **options,
        )

    def close(self) -> None:
        self.server.close()
        assert self.quota.used == 0
        for sock in (*self.upstreams, *self.listeners, self.client):
            sock.close()
        self.loop.close()

    def received(self, sock: socket.socket, patience: float = 10.0) -> tuple[bytes, tuple[str, int]]:
        found: list[tuple[bytes, tuple[str, int]]] = []

        def look() -> bool:
            try:
                found.append(sock.recvfrom(65535))
            except BlockingIOError:
                return False
            return True

        turn_until(self.loop, look, patience)
        return found[0]

    def answer(self) -> dns.Message:
        return dns.read(self.received(self.client)[0])

    def connect(self) -> socket.socket:
        sock = socket.create_connection(self.stream_address)
        sock.setblocking(False)
        return sock

    def stream(self, sock: socket.socket, length: int) -> bytes:
        """So many bytes, or fewer at the end."""
        found = bytearray()
        ended: list[bool] = []

        def look() -> bool:
            try:
                piece = sock.recv(65535)
            except BlockingIOError:
                return False
            except ConnectionError:
                piece = b""
            found.extend(piece)
            if not piece:
                ended.append(True)
            return bool(ended) or len(found) >= length

        turn_until(self.loop, look)
        return bytes(found)


@pytest.fixture
def played() -> Iterator[Played]:
    played = Played()
    yield played
    played.close()


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def test_known_names_by_udp(played: Played) -> None:
    for number in range(100):
        played.client.send(dns.query("web", number=number))
    assert [played.answer().id for _ in range(100)] == list(range(100))


def test_the_rest_is_forwarded(played: Played) -> None:
    played.client.send(dns.query("example.org", edns=1232))
    asked, sender = played.received(played.upstreams[0])
    assert asked[2:] == dns.query("example.org", edns=1232)[2:]
    played.upstreams[0].sendto(dns.response(asked, ["9.9.9.9"]), sender)
    assert played.answer().data == ["9.9.9.9"]


def test_each_question_has_a_port_of_its_own(played: Played) -> None:
    senders = set()
    for number in range(20):
        played.client.send(dns.query(f"{number}.example.org"))
        senders.add(played.received(played.upstreams[0])[1])
    assert len(senders) == 20


def test_an_answer_from_elsewhere_is_not_believed(played: Played) -> None:
    played.client.send(dns.query("example.org"))
    asked, sender = played.received(played.upstreams[0])
    played.upstreams[1].sendto(dns.response(asked, ["6.6.6.6"]), sender)
    turn_for(played.loop, 0.05)
    played.upstreams[0].sendto(dns.response(asked, ["9.9.9.9"]), sender)
    assert played.answer().data == ["9.9.9.9"]


def test_a_failing_server_is_passed_over(played: Played) -> None:
    played.client.send(dns.query("example.org"))
    asked, sender = played.received(played.upstreams[0])
    played.upstreams[0].sendto(dns.response(asked, [], SERVFAIL), sender)
    asked, sender = played.received(played.upstreams[1])
    played.upstreams[1].sendto(dns.response(asked, [], REFUSED), sender)
    assert played.answer().code == SERVFAIL


def test_a_server_that_is_not_there_is_passed_over(played: Played) -> None:
    played.upstreams[0].close()
    gone = Upstream(address="127.0.0.1", port=1)
    unreachable = Upstream(address="255.255.255.255")
    played.server.change(
        View(
            upstreams=(
                gone,
                unreachable,
                Upstream(address="127.0.0.1", port=played.upstreams[1].getsockname()[1]),
            )
        )
    )
    played.client.send(dns.query("example.org"))
    asked, sender = played.received(played.upstreams[1])
    played.upstreams[1].sendto(dns.response(asked, ["9.9.9.9"]), sender)
    assert played.answer().data == ["9.9.9.9"]


def test_a_silent_server_is_given_up(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.1)
    played.client.send(dns.query("example.org"))
    played.received(played.upstreams[0])
    played.received(played.upstreams[1])
    assert played.answer().code == SERVFAIL


def test_a_flood_has_an_end_and_others_are_served(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "UNDERWAY", 4)
    monkeypatch.setattr(asking, "WAITING", 6)
    for number in range(50):
        played.client.send(dns.query("example.org", number=number))
        turn_for(played.loop, 0.001)
    refused = [played.answer() for _ in range(40)]
    assert {one.code for one in refused} == {REFUSED}
    assert played.quota.used == 4
    played.client.send(dns.query("web"))
    assert played.answer().data == ["10.1.0.2"]
    for _ in range(10):
        asked, sender = played.received(played.upstreams[0])
        played.upstreams[0].sendto(dns.response(asked, ["9.9.9.9"]), sender)
    assert [played.answer().data for _ in range(10)] == [["9.9.9.9"]] * 10


def test_an_internal_sandbox_sends_nothing(played: Played) -> None:
    played.server.change(played.view(external=False))
    played.client.send(dns.query("example.org"))
    assert played.answer().code == SERVFAIL
    for upstream in played.upstreams:
        with pytest.raises(BlockingIOError):
            upstream.recv(1)


def test_noise_gets_no_answer(played: Played) -> None:
    for noise in (b"", b"x", bytes(11), dns.query("web", flags=0x8180), b"\xff" * 500):
        played.client.send(noise)
    played.client.send(dns.query("web"))
    assert played.answer().data == ["10.1.0.2"]


def test_questions_by_tcp(played: Played) -> None:
    with played.connect() as client:
        message = framed(dns.query("web", number=1))
        client.send(message[:5])
        turn_for(played.loop, 0.02)
        client.send(message[5:] + framed(dns.query("web", number=2)))
        answers = played.stream(client, 2 * (2 + 12 + 9 + 16))
    length = int.from_bytes(answers[:2], "big")
    assert dns.read(answers[2 : 2 + length]).data == ["10.1.0.2"]
    assert dns.read(answers[4 + length :]).id == 2


def test_tcp_is_forwarded_by_tcp(played: Played) -> None:
    with played.connect() as client:
        client.send(framed(dns.query("example.org")))
        client.shutdown(socket.SHUT_WR)
        taken: list[socket.socket] = []

        def accepted() -> bool:
            try:
                taken.append(played.listeners[0].accept()[0])
            except BlockingIOError:
                return False
            return True

        turn_until(played.loop, accepted)
        with taken[0] as upstream:
            upstream.setblocking(False)
            asked = played.stream(upstream, 2 + len(dns.query("example.org")))[2:]
            answer = framed(dns.response(asked, [f"9.9.{n // 250}.{n % 250}" for n in range(1000)]))
            upstream.setblocking(True)
            upstream.settimeout(5)
            upstream.sendall(answer[:100])
            turn_for(played.loop, 0.02)
            upstream.sendall(answer[100:])
            said = played.stream(client, len(answer))
            assert played.stream(client, 1) == b""
    assert len(dns.read(said[2:]).answers) == 1000


def test_a_tcp_upstream_that_hangs_up_is_passed_over(played: Played) -> None:
    with played.connect() as client:
        client.send(framed(dns.query("example.org")))
        for listener in played.listeners:
            taken: list[socket.socket] = []

            def accepted(listener: socket.socket = listener, taken: list[socket.socket] = taken) -> bool:
                try:
                    taken.append(listener.accept()[0])
                except BlockingIOError:
                    return False
                return True

            turn_until(played.loop, accepted)
            taken[0].close()
        said = played.stream(client, 14)
    assert dns.read(said[2:]).code == SERVFAIL


def test_tcp_noise_ends_the_connection(played: Played) -> None:
    with played.connect() as client:
        client.send(b"\x00\x03abc" * 50)
        assert played.stream(client, 1) == b""


def test_clients_by_tcp_are_few_and_not_for_ever(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "CLIENTS", 3)
    monkeypatch.setattr(streams, "IDLE", 0.2)
    clients = [played.connect() for _ in range(5)]
    assert played.stream(clients[0], 1) == b""
    clients[4].send(framed(dns.query("web")))
    assert len(played.stream(clients[4], 30)) >= 30
    started = time.monotonic()
    for client in clients[1:]:
        assert played.stream(client, 1) == b""
        client.close()
    clients[0].close()
    assert time.monotonic() - started < 5


def test_a_client_that_does_not_read_waits(played: Played) -> None:
    """It is its own answers that pile up, and only so many."""
    with socket.socket() as client:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            client.setsockopt(socket.SOL_SOCKET, option, 4096)
        client.connect(played.stream_address)
        client.setblocking(False)
        question = framed(dns.query("web"))
        refused = 0
        while refused < 10:
            try:
                client.send(question * 100)
                refused = 0
            except BlockingIOError:
                refused += 1
            turn_for(played.loop, 0.01)
        (one,) = played.server._streams._clients
        assert 0 < len(one._outbox) < streams._OUTBOX + 65537


def test_nothing_is_cached_over_a_change(played: Played) -> None:
    played.client.send(dns.query("web"))
    assert played.answer().code == NOERROR
    played.server.change(View())
    played.client.send(dns.query("web"))
    assert played.answer().code == SERVFAIL
