"""What the hands remember of one container's network while it has one."""

from __future__ import annotations

from lodge.network import host
from lodge.network.contract import Endpoint, Network, Sandbox
from lodge.network.drivers.contract import Plug
from lodge.network.firewall.facts import Bond, Guest
from lodge.network.ports import Binding
from lodge.network.settings import BridgeSettings
from lodge.network.space import Space


class Cell:
    """A container's sandbox as made: its interfaces by endpoint, its ports as bound.

    `space` is open until the container lives in it.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.space: Space | None = None
        self.plugs: dict[str, Plug] = {}
        self.bindings: list[Binding] = []
        self.hearing = False
        """Whether its name server's sockets were made."""
        self.warnings: list[str] = []

    def close(self) -> None:
        """Let go of the namespace."""
        space, self.space = self.space, None
        if space is not None:
            space.close()

    def settle(self, *, hold: bool) -> None:
        """Somebody lives in it now; `hold` keeps its descriptor, so that it can be buried in its time."""
        if self.space is not None and hold:
            self.space.sock.close()
        else:
            self.close()

    def give_up(self) -> int:
        """The namespace's descriptor, for whoever buries it; -1 when it is not held."""
        space, self.space = self.space, None
        if space is None:
            return -1
        space.sock.close()
        fd, space.fd = space.fd, -1
        return fd

    def holder(self, version: int) -> Endpoint | None:
        """The endpoint that has the default route: ports lead to it."""
        for endpoint in self.sandbox.endpoints:
            if endpoint.gateway4 if version == 4 else endpoint.gateway6:
                return endpoint
        return None


def bare(address: str) -> str:
    """An address without its length."""
    return address.partition("/")[0]


def guest(endpoint: Endpoint, plug: Plug, network: Network, options: BridgeSettings) -> Guest:
    """An interface on a bridge as the firewall knows it."""
    return Guest(
        index=plug.port,
        mac=endpoint.mac,
        ipv4=bare(endpoint.ipv4),
        ipv6=bare(endpoint.ipv6),
        apart=not options.icc and not host.bridges_filter(),
        guarded=options.antispoof and bool(network.subnets),
    )


def bonds(endpoint: Endpoint, others: list[Endpoint]) -> list[Bond]:
    """Links of an endpoint to others of its network."""
    return [
        Bond(first=bare(mine), second=bare(theirs))
        for other in others
        for mine, theirs in ((endpoint.ipv4, other.ipv4), (endpoint.ipv6, other.ipv6))
        if mine and theirs
    ]
