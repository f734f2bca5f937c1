"""Interfaces of running containers: several networks, names, limits, counters, other drivers."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from lodge.errors import Conflict, InvalidArgument, Unsupported
from lodge.kernel import netspaces
from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.network.contract import Bandwidth, Network, Port, Resolver, Settings, Subnet
from lodge.network.hands import NetworkHands
from tests.privileged.network.conftest import (
    HOST,
    WORLD,
    Guest,
    Listener,
    Scene,
    reach,
    refused,
    route_to,
    wait_for,
)


def default_gateway(guest: Guest) -> str:
    with guest.inside(), NetlinkSocket() as sock:
        found = [routes.parse_route(answer) for answer in sock.ask(routes.dump_routes(socket.AF_INET))]
    return next((route.gateway for route in found if route and route.destination == "0.0.0.0/0"), "")


def read_sysctl(guest: Guest, name: str) -> str:
    with guest.inside(), open(f"/proc/sys/net/{name}", encoding="ascii") as file:
        return file.read().strip()


def test_several_networks_at_the_start(scene: Scene) -> None:
    first, second = scene.network(1), scene.network(2, ipv6=True)
    wish = scene.sandbox(scene.endpoint(first, gateway=False), scene.endpoint(second, interface="data"))
    guest = scene.start(wish)
    assert list(guest.ready.interfaces.values()) == ["eth0", "data"]
    assert guest.links().keys() == {"lo", "eth0", "data"}
    assert default_gateway(guest) == "10.2.0.1"
    assert read_sysctl(guest, "ipv6/conf/eth0/disable_ipv6") == "1"
    assert read_sysctl(guest, "ipv6/conf/data/disable_ipv6") == "0"


def test_an_interface_has_its_own_name_mtu_and_sysctls(scene: Scene) -> None:
    network = scene.network(**{"driver.mtu": "1400"})
    sysctls = {"net.ipv4.conf.IFNAME.log_martians": "1"}
    guest = scene.guest(network, interface="wan", sysctls=sysctls)
    link = guest.links()["wan"]
    assert (link.mtu, link.mac) == (1400, guest.sandbox.endpoints[0].mac)
    assert read_sysctl(guest, "ipv4/conf/wan/log_martians") == "1"
    for name in ("", "a/b", "x" * 16, "lo"):
        if name:
            with pytest.raises((InvalidArgument, Conflict)):
                scene.guest(network, interface=name)


def test_networks_come_and_go_while_it_runs(scene: Scene) -> None:
    first, second = scene.network(1), scene.network(2)
    guest, other = scene.guest(first), scene.guest(second)
    more = scene.endpoint(second, gateway=False)
    whole = scene.sandbox(*guest.sandbox.endpoints, more)
    assert scene.hands.connect(guest.id, guest.pid, more, whole) == "eth1"
    with other.inside():
        server = Listener("0.0.0.0", 80)
    with server, guest.inside():
        assert reach(server, other.ipv4, 80) == more.ipv4.partition("/")[0]
    assert default_gateway(guest) == "10.1.0.1"
    rest = replace(whole, endpoints=(replace(more, gateway4="10.2.0.1"),))
    scene.hands.disconnect(guest.id, guest.pid, guest.sandbox.endpoints[0], rest)
    assert guest.links().keys() == {"lo", "eth1"}
    assert default_gateway(guest) == "10.2.0.1"


def test_a_connection_that_fails_changes_nothing(scene: Scene) -> None:
    first, second = scene.network(1), scene.network(2)
    guest = scene.guest(first)
    more = scene.endpoint(second, interface="eth0", gateway=False)
    with pytest.raises(Conflict):
        scene.hands.connect(guest.id, guest.pid, more, scene.sandbox(*guest.sandbox.endpoints, more))
    assert guest.links().keys() == {"lo", "eth0"}
    assert default_gateway(guest) == "10.1.0.1"


def test_a_namespace_that_exists_is_furnished(scene: Scene) -> None:
    network = scene.network()
    wish = scene.sandbox(scene.endpoint(network), ports=(Port(container_port=80, host_port=8080),))
    process = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    wait_for(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n")
    ready = scene.hands.furnish(wish, process.pid)
    guest = Guest(wish, ready, process)
    scene.guests.append(guest)
    scene.hands.started(guest.id, guest.pid)
    with guest.inside():
        server = Listener("0.0.0.0", 80)
    with server, scene.in_world():
        assert reach(server, HOST, 8080) == WORLD


def test_a_namespace_is_furnished_again(scene: Scene) -> None:
    network = scene.network()
    resolver = Resolver(embedded=True)
    guest = scene.start(scene.sandbox(scene.endpoint(network, names=("web",)), resolver=resolver))
    scene.hands.furnish(guest.sandbox, guest.pid)
    assert guest.links().keys() == {"lo", "eth0"}
    assert resolve(guest, b"web").endswith(socket.inet_aton(guest.ipv4))


def resolve(guest: Guest, name: bytes) -> bytes:
    """The name server's answer to a question for an address, as it came."""
    with guest.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(5)
        client.connect(("127.0.0.11", 53))
        client.send(b"\x12\x34\x01\0\0\1\0\0\0\0\0\0" + bytes([len(name)]) + name + b"\0\0\1\0\1")
        return client.recv(512)


def test_the_name_servers_address_leads_to_sockets_and_leaves_port_53_free(scene: Scene) -> None:
    network = scene.network()
    with Listener(HOST, 53, socket.SOCK_DGRAM) as upstream:
        resolver = Resolver(embedded=True, upstreams=(f"host({HOST})",))
        wish = scene.sandbox(scene.endpoint(network, names=("web",)), resolver=resolver)
        guest = scene.start(wish)
        with guest.inside():
            own = Listener("0.0.0.0", 53, socket.SOCK_DGRAM)
        with own:
            assert resolve(guest, b"web").endswith(socket.inet_aton(guest.ipv4))
        assert upstream


def test_counters_count(scene: Scene) -> None:
    guest = scene.guest(scene.network())
    before = scene.hands.counters(guest.pid)[0]
    with guest.inside():
        server = Listener("0.0.0.0", 80, socket.SOCK_DGRAM)
    with server:
        reach(server, guest.ipv4, 80)
    after = scene.hands.counters(guest.pid)[0]
    assert after.interface == "eth0"
    assert after.rx_packets > before.rx_packets
    assert after.tx_bytes > before.tx_bytes


@pytest.mark.parametrize("way", ["egress", "ingress"])
def test_bandwidth_is_limited_and_the_limit_is_lifted(scene: Scene, way: str) -> None:
    limit = Bandwidth(**{way: 8_000_000})
    guest = scene.start(scene.sandbox(scene.endpoint(scene.network()), bandwidth=limit))
    limited = seconds_for(guest, 500_000, way)
    scene.hands.change(guest.id, guest.pid, replace(guest.sandbox, bandwidth=Bandwidth()))
    assert 0.3 < limited < 1.5
    assert seconds_for(guest, 500_000, way) < 0.1
    scene.stop(guest)
    assert not [link for link in links_here() if link.name.startswith("lifb")]


def seconds_for(guest: Guest, size: int, way: str) -> float:
    with guest.inside():
        server = Listener("0.0.0.0", 80)
    with server, socket.create_connection((guest.ipv4, 80)) as client:
        inside, _ = server.sock.accept()
        with inside:
            sender, receiver = (inside, client) if way == "egress" else (client, inside)
            sender.setblocking(False)
            start, left, received = time.monotonic(), size, 0
            while received < size:
                try:
                    left -= sender.send(bytes(min(left, 65536))) if left else 0
                except BlockingIOError:
                    pass
                try:
                    received += len(receiver.recv(65536, socket.MSG_DONTWAIT))
                except BlockingIOError:
                    time.sleep(0.001)
            return time.monotonic() - start


def links_here() -> list[links.Link]:
    with NetlinkSocket() as sock:
        return [links.parse(answer) for answer in sock.ask(links.dump())]


@pytest.mark.parametrize("mode", ["routed", "nat-unprotected", "isolated"])
def test_gateway_modes(scene: Scene, mode: str) -> None:
    network = scene.network(internal=mode == "isolated", gateway_mode_ipv4=mode)
    guest = scene.guest(network, Port(container_port=80))
    with guest.inside():
        server, other = Listener("0.0.0.0", 80), Listener("0.0.0.0", 81)
    with server, other, scene.in_world():
        route_to("10.1.0.0", 16, HOST)
        if mode == "isolated":
            assert refused(server, guest.ipv4, 80)
            return
        assert reach(server, guest.ipv4, 80) == WORLD
        if mode == "routed":
            assert refused(other, guest.ipv4, 81)
            assert guest.ready.ports[0].host_ip == "::"
        else:
            assert reach(other, guest.ipv4, 81) == WORLD


def parent_network(driver: str, **options: str) -> Network:
    subnet = Subnet(subnet="192.0.2.0/24", gateway="192.0.2.254")
    return Network(id="c" * 64, name="lan", driver=driver, link="", subnets=(subnet,), options=options)


def test_a_macvlan_guest_is_a_machine_of_its_own(scene: Scene) -> None:
    network = parent_network("macvlan", parent="eth0")
    scene.hands.create(network)
    scene.networks.append(network)
    guest = scene.guest(network, ipv4="192.0.2.40/24", gateway4="")
    with scene.in_world():
        server = Listener(WORLD, 80)
    with server, guest.inside():
        assert reach(server, WORLD, 80) == "192.0.2.40"


def test_macvlan_without_a_parent_joins_its_guests_only(scene: Scene) -> None:
    network = parent_network("macvlan")
    scene.hands.create(network)
    scene.networks.append(network)
    one = scene.guest(network, ipv4="192.0.2.40/24", gateway4="")
    two = scene.guest(network, ipv4="192.0.2.41/24", gateway4="")
    with one.inside():
        server = Listener("192.0.2.40", 80)
    with server, two.inside():
        assert reach(server, "192.0.2.40", 80) == "192.0.2.41"
    scene.stop(one)
    scene.stop(two)
    scene.networks.remove(network)
    scene.hands.remove(network)
    wait_for(lambda: not [link for link in links_here() if link.name.startswith("dm-")])


def test_parents_that_can_not_be_are_refused(scene: Scene) -> None:
    with pytest.raises(InvalidArgument):
        scene.hands.check(parent_network("macvlan", parent="nope0"))
    with pytest.raises(InvalidArgument):
        scene.hands.check(parent_network("macvlan", parent="eth0", macvlan_mode="sideways"))
    with pytest.raises(InvalidArgument):
        scene.hands.check(parent_network("bridge", color="red"))


def test_ipvlan_works_or_is_called_unsupported(scene: Scene) -> None:
    network = parent_network("ipvlan", parent="eth0", ipvlan_mode="l2")
    try:
        scene.hands.create(network)
    except Unsupported:
        with NetlinkSocket() as sock, pytest.raises(OSError, match="not supported"):
            sock.do(links.ipvlan("ipv0", 1, "l2", "bridge"))
        return
    scene.networks.append(network)
    guest = scene.guest(network, ipv4="192.0.2.40/24", gateway4="", mac="")
    with scene.in_world():
        server = Listener(WORLD, 80)
    with server, guest.inside():
        assert reach(server, WORLD, 80) == "192.0.2.40"


def test_two_engines_share_an_overlay(scene: Scene) -> None:
    def overlay(local: str, peer: str) -> Network:
        return Network(
            id="d" * 64, name="wide", driver="overlay", link="wide0",
            subnets=(Subnet(subnet="10.50.0.0/16"),),
            options={"io.lodge.vxlan.local": local, "io.lodge.vxlan.peers": peer},
        )  # fmt: skip

    here = overlay(HOST, WORLD)
    scene.hands.create(here)
    scene.networks.append(here)
    guest = scene.guest(here, ipv4="10.50.0.2/16", gateway4="")
    with scene.in_world():
        there = NetworkHands(Settings(directory=str(scene.directory / "there"), instance="0123abcd"))
        there.create(overlay(WORLD, HOST))
        wish = scene.sandbox(scene.endpoint(here, ipv4="10.50.1.2/16", gateway4=""))
        ready = there.prepare(wish)
        fd = os.open(ready.path, os.O_RDONLY)
        with netspaces.visiting(fd):
            server = Listener("10.50.1.2", 80)
        os.close(fd)
    try:
        with server, guest.inside():
            assert guest.links()["eth0"].mtu == 1450
            assert reach(server, "10.50.1.2", 80) == "10.50.0.2"
    finally:
        with scene.in_world():
            there.release(wish.container)
            there.remove(overlay(WORLD, HOST))
            there.close()
