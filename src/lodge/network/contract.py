"""What the engine and the network room say to each other: plain values, wished and found.

The engine decides (which networks, which address for whom, which names, which ports) and keeps the rows; the
hands make the kernel agree and keep nothing that can't be found again from these values. All calls of `Hands`
block; they may come from several threads, and those about one container never overlap.

    network    a bridge (or the parent of macvlan, ipvlan, a vxlan), its subnets and options
    sandbox    one container's network namespace: endpoints, published ports, names that it may ask for
    endpoint   one interface of a sandbox in one network
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct, field


class Subnet(Struct, frozen=True, kw_only=True):
    """One address range of a network, resolved: `subnet` "10.1.0.0/16", `gateway` "10.1.0.1" or ""."""

    subnet: str
    gateway: str = ""
    range: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)


class Network(Struct, frozen=True, kw_only=True):
    """A network as it shall be: `options` are Docker's driver options, checked; `link` the bridge's name."""

    id: str
    name: str
    driver: str
    link: str
    subnets: tuple[Subnet, ...] = ()
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    options: dict[str, str] = field(default_factory=dict)


class Endpoint(Struct, frozen=True, kw_only=True):
    """One interface as it shall be.

    `ipv4`, `ipv6` with prefix length ("10.1.0.2/16") or "". `interface` is the name inside, "" for the next
    free ethN. `names` are what others of this network may call it; `links` what it alone may call others:
    alias to container id. `gateway4`, `gateway6`: set on the endpoint that holds the default route, else "".
    """

    id: str
    network: str
    mac: str
    ipv4: str = ""
    ipv6: str = ""
    gateway4: str = ""
    gateway6: str = ""
    interface: str = ""
    names: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


class Port(Struct, frozen=True, kw_only=True):
    """One published port.

    `host_port` 0 wants a free one of the ephemeral range; `host_last` closes a range to pick from.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_last: int = 0


class Resolver(Struct, frozen=True, kw_only=True):
    """What the name server of a sandbox forwards to; `embedded` False leaves 127.0.0.11 away."""

    embedded: bool = False
    upstreams: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    domain: str = ""


class Bandwidth(Struct, frozen=True, kw_only=True):
    """Limits in bits a second, 0 for none: what the container may send, what it may receive."""

    egress: int = 0
    ingress: int = 0


class Sandbox(Struct, frozen=True, kw_only=True):
    """One container's network as it shall be."""

    container: str
    hostname: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[Port, ...] = ()
    resolver: Resolver = Resolver()
    bandwidth: Bandwidth = Bandwidth()


class Ready(Struct, frozen=True, kw_only=True):
    """A sandbox that stands.

    `path` can be opened for setns(2) until `started` was called; `ports` as bound, each address family apart;
    `interfaces` endpoint id to the name inside.
    """

    path: str
    ports: tuple[Port, ...] = ()
    interfaces: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Counters(Struct, frozen=True, kw_only=True):
    """What one interface has counted, as /proc/net/dev says it from the container's side."""

    interface: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


class Living(Struct, frozen=True, kw_only=True):
    """A container that runs while the hands come up again: its wish, the pid of its init, its bound ports."""

    sandbox: Sandbox
    pid: int


class Settings(Struct, frozen=True, kw_only=True):
    """What holds for all networks of one engine.

    `directory` is the room's own, lost at a restart of the machine; `instance` tells the links and rules of
    several engines on one machine apart (8 hex digits). `firewall` False: no rules at all; `forward`: switch
    forwarding of packets on where it is off; `masquerade` False: no network hides behind the host;
    `proxy` False: no user-space proxy, ports are held only; `publish`: "kernel" or "proxy" (the host's own
    input rules decide who reaches a port). `closed` are TCP ports of this host that no container reaches:
    the engine's own API.
    """

    directory: str
    instance: str
    firewall: bool = True
    forward: bool = True
    masquerade: bool = True
    proxy: bool = True
    publish: str = "kernel"
    closed: tuple[int, ...] = ()


class Hands(Protocol):
    """The network room as the engine sees it; `lodge.network.hands.NetworkHands` is it."""

    def open(self, networks: Sequence[Network], living: Sequence[Living]) -> list[str]:
        """Make the kernel agree with what is wanted; what else is ours goes. Gives warnings."""
        ...

    def close(self) -> None:
        """Let go; networks, name server and ports live on without the engine."""
        ...

    def check(self, network: Network) -> None:
        """Raise for a network that this host can't make (unknown parent, overlap); do nothing."""
        ...

    def create(self, network: Network) -> None:
        """Make its links and rules; undone when it fails."""
        ...

    def remove(self, network: Network) -> None:
        """Remove them; idempotent."""
        ...

    def prepare(self, sandbox: Sandbox) -> Ready:
        """A namespace with all interfaces, addresses, routes, rules, names and ports, for a start.

        Conflict when a port is taken, with Docker's words. Nothing is left of it when it fails.
        """
        ...

    def started(self, container: str, pid: int) -> None:
        """The container lives in it: its init holds the namespace from now on."""
        ...

    def furnish(self, sandbox: Sandbox, pid: int) -> Ready:
        """As `prepare`, in a namespace that exists (of a user namespace), before its program runs."""
        ...

    def connect(self, container: str, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> str:
        """Add an interface to a running container (`sandbox`: the whole wish afterwards); gives its name."""
        ...

    def disconnect(self, container: str, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> None:
        """Take an interface away; `sandbox` is the whole wish afterwards (the default route may move)."""
        ...

    def change(self, container: str, pid: int, sandbox: Sandbox) -> tuple[Port, ...]:
        """Other ports, names or bandwidth for a running container, live. Nothing changes when it fails."""
        ...

    def release(self, container: str) -> None:
        """The container has ended: ports and names are free when this returns, the links go later."""
        ...

    def counters(self, pid: int) -> list[Counters]:
        """The interfaces of a running container, without lo."""
        ...

    def taken(self) -> list[str]:
        """Subnets that this host uses already (addresses and routes), for choosing a free one."""
        ...
