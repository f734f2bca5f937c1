"""The engine's hands for networks: `contract.Hands` with the kernel behind it.

Networks are made by drivers, sandboxes taken from a pool, ports bound and given to the porter, rules said to
the wall. What is remembered here is found again from the kernel and the engine's rows at the next start.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from lodge.errors import LodgeError
from lodge.network import host
from lodge.network.cell import Cell
from lodge.network.cells import Cells
from lodge.network.contract import Counters, Endpoint, Living, Network, Port, Ready, Sandbox, Settings
from lodge.network.firewall.wall import Wall
from lodge.network.guard import Guard
from lodge.network.keeper import Keeper
from lodge.network.networks import Networks
from lodge.network.revival import revive
from lodge.network.space import Space, counters


class NetworkHands:
    """Fulfils `contract.Hands`, for the network namespace of the thread that makes it."""

    def __init__(self, wanted: Settings) -> None:
        self._settings = wanted
        self._keeper = Keeper()
        self._wall = Wall(wanted.instance, closed=wanted.closed)
        self._networks = Networks(wanted, self._wall)
        self._cells = Cells(wanted, self._networks, self._wall, self._keeper)
        self._guard = Guard(self._wall, self._keeper)

    def open(self, networks: Sequence[Network], living: Sequence[Living]) -> list[str]:
        """Make the kernel agree with what is wanted; what else is ours goes. Gives warnings."""
        warnings = revive(self._settings, self._networks, self._cells, self._wall, networks, living)
        if networks and self._settings.firewall:
            self._guard.begin()
        return warnings

    def close(self) -> None:
        """Let go; networks, name server and ports live on without the engine."""
        with ExitStack() as last:
            # Backwards; each is closed whatever happens to the others.
            for part in (self._networks, self._wall, self._guard, self._cells, self._keeper):
                last.callback(part.close)

    def check(self, network: Network) -> None:
        """Raise for a network that this host can't make."""
        self._networks.check(network)

    def create(self, network: Network) -> None:
        """Make its links and rules; undone when it fails."""
        self._networks.create(network)
        if self._settings.firewall:
            self._guard.begin()

    def remove(self, network: Network) -> None:
        """Remove them; idempotent."""
        self._cells.pool.forget(network.id)
        self._networks.remove(network)

    def prepare(self, sandbox: Sandbox) -> Ready:
        """A namespace with all interfaces, addresses, routes, rules, names and ports, for a start."""
        cell = self._cells.build(sandbox)
        space = cell.space
        path = f"/proc/{os.getpid()}/fd/{space.fd}" if space is not None else ""
        return self._ready(cell, path)

    def started(self, container: str, pid: int) -> None:
        """The container lives in it: its init holds the namespace from now on."""
        del pid
        self._cells.settle(container)

    def furnish(self, sandbox: Sandbox, pid: int) -> Ready:
        """As `prepare`, in a namespace that exists, before its program runs."""
        cell = self._cells.build(sandbox, Space.foreign(pid))
        self._cells.settle(sandbox.container)
        return self._ready(cell, f"/proc/{pid}/ns/net")

    def connect(self, container: str, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> str:
        """Add an interface to a running container; gives its name."""
        return self._cells.connect(self._cells[container], pid, endpoint, sandbox)

    def disconnect(self, container: str, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> None:
        """Take an interface away; the default route may move."""
        self._cells.disconnect(self._cells[container], pid, endpoint, sandbox)

    def change(self, container: str, pid: int, sandbox: Sandbox) -> tuple[Port, ...]:
        """Other ports, names or bandwidth for a running container, live. Nothing changes when it fails."""
        return self._cells.change(self._cells[container], pid, sandbox)

    def release(self, container: str) -> None:
        """The container has ended: ports and names are free when this returns, the links go later."""
        self._cells.release(container)

    def counters(self, pid: int) -> list[Counters]:
        """The interfaces of a running container, without lo."""
        try:
            space = Space.of(pid)
        except LodgeError:
            return []
        try:
            return [counters(link) for link in space.links(stats=True) if link.name != "lo" and link.stats]
        finally:
            space.close()

    def taken(self) -> list[str]:
        """Subnets that this host uses already (addresses and routes)."""
        drivers = self._networks.drivers
        with drivers.lock:
            return host.taken(drivers.socket)

    def rules(self) -> str:
        """The rules of all networks in the language of nft(8), as they shall be."""
        return self._wall.text()

    def _ready(self, cell: Cell, path: str) -> Ready:
        return Ready(
            path=path,
            ports=tuple(binding.port for binding in cell.bindings),
            interfaces={endpoint: plug.name for endpoint, plug in cell.plugs.items()},
            warnings=tuple(cell.warnings),
        )
