"""Names: containers find each other at 127.0.0.11, and the rest is asked where it may be asked."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lodge.network.contract import Endpoint, Network, Resolver
from tests.privileged.network.conftest import HOST, WORLD, Guest, Scene, wait_for
from tests.unit.network.names import dns

SERVER = ("127.0.0.11", 53)


def guest(
    scene: Scene, network: Network, *names: str, upstreams: tuple[str, ...] = (), **more: object
) -> Guest:
    endpoint = scene.endpoint(network, names=names, **more)
    resolver = Resolver(embedded=True, upstreams=upstreams)
    return scene.start(scene.sandbox(endpoint, resolver=resolver))


def ask(guest: Guest, name: str, kind: int = 1, patience: float = 10.0) -> dns.Message:
    with guest.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(patience)
        sock.connect(SERVER)
        sock.send(dns.query(name, kind))
        return dns.read(sock.recv(65535))


def ask_by_tcp(guest: Guest, name: str) -> dns.Message:
    with guest.inside():
        sock = socket.socket()
    with sock:
        sock.settimeout(10)
        sock.connect(SERVER)
        message = dns.query(name)
        sock.sendall(len(message).to_bytes(2, "big") + message)
        found = b""
        while len(found) < 2 or len(found) < 2 + int.from_bytes(found[:2], "big"):
            piece = sock.recv(65535)
            assert piece, "the server hung up"
            found += piece
        return dns.read(found[2:])


class Upstream:
    """A server for everything, and who has asked it."""

    def __init__(self, make: Callable[[], socket.socket], address: str) -> None:
        self.asked: list[tuple[str, str]] = []
        self._socket = make()
        self._socket.bind((address, 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(4096)
            if not question:
                return
            self.asked.append((dns.read(question).questions[0][0], client[0]))
            self._socket.sendto(dns.response(question, ["203.0.113.9"]), client)

    def close(self, make: Callable[[], socket.socket]) -> None:
        with make() as sock:
            sock.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()


def udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def porters(scene: Scene) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            title = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"lodge-porter\0") and str(scene.directory).encode() in title:
            found.append(int(entry.name))
    return found


def test_containers_of_a_network_find_each_other(scene: Scene) -> None:
    network = scene.network(ipv6=True)
    web = guest(scene, network, "web", "shop")
    other = guest(scene, network, "other", "shop")
    assert ask(web, "other").data == [other.ipv4]
    assert ask(web, "OTHER.net1").data == [other.ipv4]
    assert ask(web, "other", 28).data == [other.ipv6]
    assert sorted(ask(other, "shop").data) == sorted([web.ipv4, other.ipv4])
    backwards = ".".join(reversed(web.ipv4.split("."))) + ".in-addr.arpa"
    assert ask(other, backwards, 12).data == ["web.net1"]
    assert ask_by_tcp(other, "web").data == [web.ipv4]
    scene.stop(web)
    assert ask(other, "shop").data == [other.ipv4]
    assert ask(other, "web").code == 2


def test_a_container_may_have_a_server_of_its_own_on_port_53(scene: Scene) -> None:
    web = guest(scene, scene.network(), "web")
    with web.inside():
        own = udp()
    with own:
        own.bind(("0.0.0.0", 53))
        assert ask(web, "web").data == [web.ipv4]


def test_networks_do_not_know_each_others_names(scene: Scene) -> None:
    front, back = scene.network(1), scene.network(2)
    web = guest(scene, front, "web")
    db = guest(scene, back, "db")
    assert ask(web, "db").code == 2
    both = scene.start(
        scene.sandbox(
            scene.endpoint(front, names=("both",)),
            scene.endpoint(back, gateway=False, names=("both",), links={"store": db.id}),
            resolver=Resolver(embedded=True),
        )
    )
    assert ask(both, "web").data == [web.ipv4]
    assert ask(both, "store").data == [db.ipv4]
    assert ask(both, "db.net2").data == [db.ipv4]
    assert ask(db, "store").code == 2


def test_servers_of_the_host_are_asked_by_the_host(scene: Scene) -> None:
    with scene.in_world():
        upstream = Upstream(udp, WORLD)
    try:
        web = guest(scene, scene.network(), "web", upstreams=(f"host({WORLD})",))
        assert ask(web, "example.org").data == ["203.0.113.9"]
        assert upstream.asked == [("example.org", HOST)]
    finally:
        with scene.in_world():
            upstream.close(udp)


def test_servers_of_the_container_are_asked_from_inside(scene: Scene) -> None:
    """--dns may name an address that only the container has; one that asks itself is left out."""
    web = guest(scene, scene.network(), "web", upstreams=("127.0.0.11", "127.0.0.77"))
    with web.inside():
        upstream = Upstream(udp, "127.0.0.77")
    try:
        assert ask(web, "example.org").data == ["203.0.113.9"]
        assert upstream.asked == [("example.org", "127.0.0.1")]
    finally:
        with web.inside():
            upstream.close(udp)


def test_not_a_packet_leaves_an_internal_network(scene: Scene) -> None:
    """Hostile.md, row 30: CVE-2024-29018, where the engine itself carried questions out."""
    with scene.in_world():
        upstream = Upstream(udp, WORLD)
    try:
        network = scene.network(internal=True)
        web = guest(scene, network, "web", upstreams=(f"host({WORLD})", WORLD))
        other = guest(scene, network, "other")
        assert ask(web, "leak.example.org").code == 2
        assert ask_by_tcp(web, "leak.example.org").code == 2
        assert ask(web, "other").data == [other.ipv4]
        assert upstream.asked == []
    finally:
        with scene.in_world():
            upstream.close(udp)


def test_names_outlive_the_engine_and_the_porter(scene: Scene) -> None:
    """Hostile.md, row 35: nobody who asks for a name notices."""
    network = scene.network()
    web, other = guest(scene, network, "web"), guest(scene, network, "other")
    scene.hands.close()
    assert ask(web, "other").data == [other.ipv4]
    scene.hands = scene.begin()
    scene.hands.open([network], [web.living(), other.living()])
    assert ask(web, "other").data == [other.ipv4]
    (before,) = porters(scene)
    os.kill(before, signal.SIGKILL)
    assert ask(web, "other").data == [other.ipv4]
    wait_for(lambda: porters(scene) not in ([], [before]))
    third = guest(scene, network, "third")
    assert ask(web, "third").data == [third.ipv4]
    scene.hands.close()
    os.kill(porters(scene)[0], signal.SIGKILL)
    wait_for(lambda: not porters(scene))
    scene.hands = scene.begin()
    scene.hands.open([network], [one.living() for one in (web, other, third)])
    assert ask(web, "third").data == [third.ipv4]


def test_a_container_that_floods_does_not_starve_others(scene: Scene) -> None:
    network = scene.network()
    flooder, web = guest(scene, network, "flooder"), guest(scene, network, "web")
    pid = os.fork()
    if pid == 0:
        # SAFETY: the child only sends, and ends without any of its parent's clean-up.
        try:
            with flooder.inside():
                sock = udp()
            sock.connect(SERVER)
            noise = [dns.query("web"), dns.query("nobody.example.org"), b"\xff" * 100, os.urandom(512)]
            end = time.monotonic() + 20
            while time.monotonic() < end:
                for one in noise:
                    try:
                        sock.send(one)
                    except OSError:
                        pass
        finally:
            os._exit(0)
    try:
        time.sleep(0.2)
        waits = []
        for _ in range(30):
            started = time.monotonic()
            assert ask(web, "flooder").data == [flooder.ipv4]
            waits.append(time.monotonic() - started)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert sorted(waits)[len(waits) // 2] < 1


def test_the_porter_leaves_with_the_last_container(scene: Scene) -> None:
    web = guest(scene, scene.network(), "web")
    assert ask(web, "web").data == [web.ipv4]
    scene.stop(web)
    assert len(porters(scene)) == 1
    scene.hands.close()
    wait_for(lambda: not porters(scene))
    scene.hands = scene.begin()
    assert not porters(scene)


@pytest.mark.parametrize("count", [200])
def test_starts_and_ends_leave_no_name_behind(scene: Scene, count: int) -> None:
    network = scene.network()
    watcher = guest(scene, network, "watcher")
    endpoints: list[Endpoint] = []
    for _ in range(count // 50):
        batch = [guest(scene, network, f"g{number}") for number in range(50)]
        endpoints += [one.sandbox.endpoints[0] for one in batch]
        assert ask(watcher, "g49").data == [batch[49].ipv4]
        for one in batch:
            scene.stop(one)
        assert ask(watcher, "g49").code == 2
    (pid,) = porters(scene)
    assert len(os.listdir(f"/proc/{pid}/fd")) < 20
    assert len(endpoints) == count
