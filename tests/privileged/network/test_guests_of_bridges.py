"""Containers on bridges: who reaches whom, under which address, and who does not."""

import contextlib
import shutil
import socket
import subprocess

import pytest

from lodge.errors import Conflict
from lodge.network.contract import Port
from tests.privileged.network.conftest import (
    HOST,
    HOST6,
    WORLD,
    WORLD6,
    Listener,
    Scene,
    reach,
    refused,
    route_to,
)


def test_neighbours_and_the_host_reach_each_other(scene: Scene) -> None:
    network = scene.network(ipv6=True)
    one, two = scene.guest(network), scene.guest(network)
    for address, other in ((one.ipv4, two.ipv4), (one.ipv6, two.ipv6)):
        with one.inside():
            server = Listener(address, 80)
        with server:
            with two.inside():
                assert reach(server, address, 80) == other
            gateway = "fd00:1::1" if ":" in address else "10.1.0.1"
            assert reach(server, address, 80) == gateway


def test_the_world_is_reached_behind_the_hosts_address(scene: Scene) -> None:
    network = scene.network(ipv6=True)
    guest = scene.guest(network)
    for address, seen in ((WORLD, HOST), (WORLD6, HOST6)):
        with scene.in_world():
            server = Listener(address, 80)
        with server, guest.inside():
            assert reach(server, address, 80) == seen


def test_networks_are_isolated_from_each_other_and_from_the_world(scene: Scene) -> None:
    one, two = scene.guest(scene.network(1)), scene.guest(scene.network(2))
    with one.inside():
        server = Listener(one.ipv4, 80)
    with server:
        with two.inside():
            assert refused(server, one.ipv4, 80)
        # Another host that knows a way to the container's address is no better off.
        with scene.in_world():
            route_to("10.1.0.0", 16, HOST)
            assert refused(server, one.ipv4, 80)


BOTH_BRIDGES = pytest.mark.parametrize(
    "bridge_netfilter", ["0", "1"], indirect=True, ids=["plain", "filtered"]
)


@BOTH_BRIDGES
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_published_port_is_reached_and_the_clients_address_is_kept(scene: Scene, kind: int) -> None:
    network = scene.network(ipv6=True)
    word = "tcp" if kind == socket.SOCK_STREAM else "udp"
    guest = scene.guest(network, Port(container_port=80, protocol=word))
    neighbour, stranger = scene.guest(network), scene.guest(scene.network(2, ipv6=True))
    for own, host, world in ((guest.ipv4, HOST, WORLD), (guest.ipv6, HOST6, WORLD6)):
        with guest.inside():
            server = Listener(own, 80, kind)
        with server:
            with scene.in_world():
                assert reach(server, host, guest.port) == world
            assert reach(server, host, guest.port) == host
            for other in (guest, neighbour, stranger):
                with other.inside():
                    assert reach(server, host, guest.port)


def test_a_udp_client_that_goes_on_sending_meets_the_new_container(scene: Scene) -> None:
    """The kernel remembers where a client's datagrams went: an old container's address, or nowhere."""
    network = scene.network()
    with scene.in_world():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.connect((HOST, 5000))
        client.send(b"before there is anybody")
        for word in (b"first", b"second"):
            guest = scene.guest(network, Port(container_port=53, protocol="udp", host_port=5000))
            with guest.inside():
                server = Listener("0.0.0.0", 53, socket.SOCK_DGRAM)
            with server:
                with contextlib.suppress(ConnectionRefusedError):
                    client.send(b"")  # takes the refusal of before
                    server.sock.recv(100)
                client.send(word)
                assert server.client() == WORLD
            scene.stop(guest)


def test_a_port_of_the_loopback_address_stays_on_the_machine(scene: Scene) -> None:
    network = scene.network()
    guest = scene.guest(network, Port(container_port=80, host_ip="127.0.0.1", host_port=8080))
    with guest.inside():
        server = Listener("0.0.0.0", 80)
    with server:
        assert reach(server, "127.0.0.1", 8080) == "10.1.0.1"
        with scene.in_world():
            assert refused(server, HOST, 8080)
            route_to("127.0.0.1", 32, HOST)
        other = scene.guest(network)
        with other.inside():
            assert refused(server, HOST, 8080)
            assert refused(server, "10.1.0.1", 8080)


def test_loopback_of_version_6_and_a_guest_without_it_go_through_the_proxy(scene: Scene) -> None:
    guest = scene.guest(scene.network(), Port(container_port=80, host_port=8080))
    assert [port.host_ip for port in guest.ready.ports] == ["0.0.0.0", "::"]
    with guest.inside():
        server = Listener("0.0.0.0", 80)
    with server:
        assert reach(server, "::1", 8080) == "10.1.0.1"
        with scene.in_world():
            assert reach(server, HOST6, 8080) == "10.1.0.1"


def test_with_the_proxy_only_the_hosts_own_rules_decide(scene: Scene) -> None:
    guest = scene.guest(scene.network(publish="proxy"), Port(container_port=80, host_port=8080))
    with guest.inside():
        server = Listener("0.0.0.0", 80)
    with server:
        assert reach(server, HOST, 8080) == "10.1.0.1"
        nft("add table inet admin; add chain inet admin input { type filter hook input priority 0; };"
            "add rule inet admin input tcp dport 8080 drop")  # fmt: skip
        with scene.in_world():
            assert refused(server, HOST, 8080)


def test_a_taken_port_is_a_conflict_before_the_start(scene: Scene) -> None:
    network = scene.network()
    wish = Port(container_port=80, host_port=8080)
    first = scene.guest(network, wish)
    with pytest.raises(Conflict, match=r"Bind for 0\.0\.0\.0:8080 failed: port is already allocated"):
        scene.guest(network, wish)
    with Listener("0.0.0.0", 8081), pytest.raises(Conflict) as caught:
        scene.guest(network, Port(container_port=80, host_port=8081))
    assert caught.value.message == "failed to bind host port 0.0.0.0:8081/tcp: address already in use"
    scene.stop(first)
    assert scene.guest(network, wish).port == 8080


def test_a_free_port_of_a_range_is_found(scene: Scene) -> None:
    network = scene.network()
    wish = Port(container_port=80, host_port=9000, host_last=9001)
    assert [scene.guest(network, wish).port for _ in range(2)] == [9000, 9001]
    with pytest.raises(Conflict):
        scene.guest(network, wish)


def test_ports_of_a_running_container_change(scene: Scene) -> None:
    guest = scene.guest(scene.network(), Port(container_port=80, host_port=8080))
    with guest.inside():
        server, other = Listener("0.0.0.0", 80), Listener("0.0.0.0", 81)
    with server, other:
        wish = scene.sandbox(*guest.sandbox.endpoints, ports=(
            Port(container_port=81, host_port=8080), Port(container_port=80, host_port=8081),
        ))  # fmt: skip
        ports = scene.hands.change(guest.id, guest.pid, wish)
        assert [(port.host_port, port.container_port) for port in ports if port.host_ip == "0.0.0.0"] == [
            (8080, 81),
            (8081, 80),
        ]
        with scene.in_world():
            assert reach(other, HOST, 8080) == WORLD
            assert reach(server, HOST, 8081) == WORLD
        assert reach(other, "::1", 8080)
        scene.hands.change(guest.id, guest.pid, scene.sandbox(*guest.sandbox.endpoints))
        with scene.in_world():
            assert refused(server, HOST, 8081)
    with Listener("0.0.0.0", 8080), Listener("0.0.0.0", 8081):
        pass


@BOTH_BRIDGES
def test_nobody_speaks_without_inter_container_communication_but_who_is_linked(scene: Scene) -> None:
    network = scene.network(enable_icc="false")
    server = scene.guest(network, Port(container_port=80, host_port=8080))
    stranger = scene.guest(network)
    friend = scene.start(scene.sandbox(scene.endpoint(network, links={"db": server.id})))
    with server.inside():
        listener = Listener("0.0.0.0", 80)
    with listener:
        with stranger.inside():
            assert refused(listener, server.ipv4, 80)
            assert reach(listener, HOST, 8080)
        with friend.inside():
            assert reach(listener, server.ipv4, 80) == friend.ipv4


def test_thousands_of_connections_to_a_published_port(scene: Scene) -> None:
    guest = scene.guest(scene.network(), Port(container_port=80, host_port=8080))
    with guest.inside():
        server = socket.create_server(("", 80), backlog=4096)
    with contextlib.ExitStack() as held:
        held.enter_context(server)
        with scene.in_world():
            clients = [held.enter_context(socket.create_connection((HOST, 8080), 5)) for _ in range(3000)]
        served = [held.enter_context(server.accept()[0]) for _ in clients]
        served[-1].sendall(b"last")
        clients[-1].settimeout(5)
        assert clients[-1].recv(10) == b"last"


def test_a_closed_port_of_the_host_is_shut_for_containers(scene: Scene) -> None:
    scene.hands.close()
    scene.hands = scene.begin(closed=(2375,))
    guest = scene.guest(scene.network())
    with Listener("0.0.0.0", 2375) as api, Listener("0.0.0.0", 2376) as other:
        with guest.inside():
            assert refused(api, HOST, 2375)
            assert refused(api, "10.1.0.1", 2375)
            assert reach(other, HOST, 2376) == guest.ipv4
        with scene.in_world():
            assert reach(api, HOST, 2375) == WORLD


def nft(text: str) -> None:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed")
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
