"""A host and the world around it, each a network namespace; sandboxes made by the hands; probes between them.

The test's own thread is in the host's namespace, and so is every thread and process that it begins: the
machine's own links and rules are never touched. Sockets of containers and of the world are made by a visit.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from lodge.kernel import netspaces
from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.network import host
from lodge.network.contract import Endpoint, Living, Network, Port, Ready, Sandbox, Settings, Subnet
from lodge.network.hands import NetworkHands

INSTANCE = "7e57ab1e"
HOST, WORLD = "192.0.2.1", "192.0.2.2"
HOST6, WORLD6 = "2001:db8::1", "2001:db8::2"
PATIENCE = 2.0


@dataclass
class Guest:
    """A container: its wish, the process that holds its namespace, its bound ports."""

    sandbox: Sandbox
    ready: Ready
    process: subprocess.Popen[bytes]
    networks: dict[str, Network] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.sandbox.container

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ipv4(self) -> str:
        return self.sandbox.endpoints[0].ipv4.partition("/")[0]

    @property
    def ipv6(self) -> str:
        return self.sandbox.endpoints[0].ipv6.partition("/")[0]

    @property
    def port(self) -> int:
        return self.ready.ports[0].host_port

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with netspaces.visiting(fd):
                yield
        finally:
            os.close(fd)

    def links(self) -> dict[str, links.Link]:
        with self.inside(), NetlinkSocket() as sock:
            return {link.name: link for link in map(links.parse, sock.ask(links.dump()))}

    def living(self) -> Living:
        wish = self.sandbox
        bound = Sandbox(
            container=wish.container, endpoints=wish.endpoints, ports=self.ready.ports,
            resolver=wish.resolver, bandwidth=wish.bandwidth,
        )  # fmt: skip
        return Living(sandbox=bound, pid=self.pid)


class Scene:
    """The host; begins hands, networks, guests, and ends all."""

    def __init__(self, directory: Path, world: int) -> None:
        self.directory = directory
        self.world = world
        self.networks: list[Network] = []
        self.guests: list[Guest] = []
        self.hands = self.begin()
        self._number = 1

    def begin(self, **settings: object) -> NetworkHands:
        return NetworkHands(Settings(directory=str(self.directory), instance=INSTANCE, **settings))  # type: ignore[arg-type]

    def network(
        self, number: int = 1, *, ipv6: bool = False, internal: bool = False, **options: str
    ) -> Network:
        """10.<number>.0.0/16 on bridge t<number>; options without their prefix (enable_icc="false")."""
        prefixes = {"driver.mtu": "com.docker.network.", "publish": "io.lodge.", "antispoof": "io.lodge."}
        subnets = [Subnet(subnet=f"10.{number}.0.0/16", gateway=f"10.{number}.0.1")]
        if ipv6:
            subnets.append(Subnet(subnet=f"fd00:{number}::/64", gateway=f"fd00:{number}::1"))
        network = Network(
            id=f"{number:x}".rjust(2, "0") * 32, name=f"net{number}", driver="bridge", link=f"t{number}",
            subnets=tuple(subnets), ipv6=ipv6, internal=internal,
            options={prefixes.get(k, "com.docker.network.bridge.") + k: v for k, v in options.items()},
        )  # fmt: skip
        self.hands.create(network)
        self.networks.append(network)
        return network

    def endpoint(self, network: Network, *, gateway: bool = True, **more: object) -> Endpoint:
        self._number += 1
        n, subnet = self._number, network.subnets[0]
        base = subnet.subnet.split(".")
        values: dict[str, object] = {
            "id": f"{n:064x}",
            "network": network.id,
            "mac": f"02:42:0a:00:{n >> 8:02x}:{n & 255:02x}",
            "ipv4": f"{base[0]}.{base[1]}.{n >> 8}.{n & 255}/16",
        }
        if gateway and not network.internal:
            values["gateway4"] = subnet.gateway
        if network.ipv6:
            six = network.subnets[1]
            values["ipv6"] = six.subnet.replace("/64", f"{n:x}/64")
            if gateway and not network.internal:
                values["gateway6"] = six.gateway
        return Endpoint(**{**values, **more})  # type: ignore[arg-type]

    def sandbox(self, *endpoints: Endpoint, **more: object) -> Sandbox:
        container = endpoints[0].id[::-1] if endpoints else os.urandom(32).hex()
        return Sandbox(container=container, endpoints=endpoints, **more)  # type: ignore[arg-type]

    def start(self, sandbox: Sandbox) -> Guest:
        ready = self.hands.prepare(sandbox)
        process = subprocess.Popen(["nsenter", f"--net={ready.path}", "sleep", "600"])
        wait_for(lambda: Path(f"/proc/{process.pid}/comm").read_text().strip() == "sleep")
        self.hands.started(sandbox.container, process.pid)
        guest = Guest(sandbox, ready, process)
        self.guests.append(guest)
        return guest

    def guest(self, network: Network, *ports: Port, **more: object) -> Guest:
        return self.start(self.sandbox(self.endpoint(network, **more), ports=ports))

    def stop(self, guest: Guest) -> None:
        guest.process.kill()
        guest.process.wait()
        self.hands.release(guest.id)
        self.guests.remove(guest)

    def end(self) -> None:
        for guest in list(self.guests):
            self.stop(guest)
        for network in self.networks:
            self.hands.remove(network)
        self.hands.close()

    @contextlib.contextmanager
    def in_world(self) -> Iterator[None]:
        with netspaces.visiting(self.world):
            yield

    def link(self, name: str) -> links.Link | None:
        with NetlinkSocket() as sock:
            found = [links.parse(answer) for answer in sock.ask(links.dump())]
        return next((link for link in found if link.name == name), None)


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


@pytest.fixture(params=["1"], ids=["filtered bridges"])
def bridge_netfilter(request: pytest.FixtureRequest) -> str:
    """Whether bridged packets pass the host's IP rules too, as Docker's hosts have it."""
    return str(request.param)


@pytest.fixture
def scene(tmp_path: Path, bridge_netfilter: str) -> Iterator[Scene]:
    with netspaces.in_new() as host_fd:
        world = _world()
        for name in ("iptables", "ip6tables"):
            host.set_sysctl(f"bridge/bridge-nf-call-{name}", bridge_netfilter)
        scene = Scene(tmp_path, world)
        try:
            yield scene
        finally:
            scene.end()
            os.close(world)
            os.close(host_fd)


def _world() -> int:
    """Another machine on the same net, joined to this host's eth0; it knows no route to containers."""
    with netspaces.in_new() as world:
        outside = NetlinkSocket()
    with outside, NetlinkSocket() as here:
        born = links.settings(netns=world)
        here.do(links.change("lo", up=True), links.veth("eth0", "eth0", peer_also=born))
        for sock, address, address6 in ((here, HOST, HOST6), (outside, WORLD, WORLD6)):
            index = links.parse(sock.ask(links.get("eth0"))[0]).ifindex
            sock.do(
                links.change("lo", up=True),
                links.change(index=index, up=True),
                routes.add_address(index, f"{address}/24"),
                routes.add_address(index, f"{address6}/64"),
            )
    return world


class Listener:
    """A server on a TCP or UDP port, made where the caller is."""

    def __init__(self, address: str, port: int, kind: int = socket.SOCK_STREAM) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.socket(family, kind)
        self.sock.settimeout(PATIENCE)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            self.sock.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def client(self) -> str:
        """The address of the next client, as the server sees it; it gets a word back."""
        if self.sock.type == socket.SOCK_DGRAM:
            _, address = self.sock.recvfrom(100)
            self.sock.sendto(b"hello", address)
            return str(address[0])
        connection, address = self.sock.accept()
        connection.sendall(b"hello")
        connection.close()
        return str(address[0])


def reach(
    listener: Listener, address: str, port: int, *, source: str = "", patience: float = PATIENCE
) -> str:
    """Connect from where the caller is; gives the client's address as the listener sees it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, listener.sock.type) as client:
        client.settimeout(patience)
        if source:
            client.bind((source, 0))
        client.connect((address, port))
        if client.type == socket.SOCK_DGRAM:
            client.send(b"hello?")
            listener.sock.settimeout(patience)
        seen = listener.client()
        assert client.recv(100) == b"hello"
        return seen


def refused(listener: Listener, address: str, port: int) -> bool:
    """Nothing arrives within a moment."""
    try:
        reach(listener, address, port, patience=0.3)
    except OSError:
        return True
    return False


def route_to(address: str, length: int, gateway: str) -> None:
    """Let where the caller is send packets to a prefix over a gateway."""
    with NetlinkSocket() as sock:
        index = links.parse(sock.ask(links.get("eth0"))[0]).ifindex
        destination = (socket.inet_aton(address), length)
        sock.do(routes.add_route(destination, index, gateway=socket.inet_aton(gateway)))
