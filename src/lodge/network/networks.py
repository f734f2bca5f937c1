"""The networks of one engine: their values, their drivers, what the wall is told of them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from lodge.errors import NotFound
from lodge.network.contract import Network, Settings
from lodge.network.drivers.contract import Driver
from lodge.network.drivers.table import Drivers
from lodge.network.firewall.facts import Fact
from lodge.network.firewall.wall import Wall


class Networks:
    """Makes, repairs and removes networks. For any thread."""

    def __init__(self, wanted: Settings, wall: Wall) -> None:
        self.drivers = Drivers(wanted)
        self._firewall = wanted.firewall
        self._wall = wall
        self._lock = threading.Lock()
        self._known: dict[str, Network] = {}

    def __getitem__(self, network_id: str) -> Network:
        try:
            return self._known[network_id]
        except KeyError:
            raise NotFound(f"network {network_id} not found") from None

    def driver(self, network: Network) -> Driver:
        """Who makes it."""
        return self.drivers.of(network)

    def some(self, ids: Iterable[str]) -> list[Network]:
        """Those of these ids that are known."""
        return [self._known[one] for one in ids if one in self._known]

    def check(self, network: Network) -> None:
        """Raise for one that can't be made."""
        self.driver(network).check(network)

    def create(self, network: Network) -> None:
        """Make it, and its rules; undone when that fails."""
        driver = self.driver(network)
        driver.check(network)
        try:
            facts = driver.create(network)
            if self._firewall:
                self._wall.say(_owner(network), facts)
        except BaseException:
            driver.remove(network)
            raise
        self._known[network.id] = network

    def found(self, network: Network) -> tuple[str, Sequence[Fact]]:
        """Make or repair it while coming up; the wall is told of all together."""
        facts = self.driver(network).create(network)
        self._known[network.id] = network
        return _owner(network), facts if self._firewall else ()

    def intact(self, network: Network) -> bool:
        """Whether it is still there; when it is not, it is made again and False says so."""
        driver = self.driver(network)
        if driver.intact(network):
            return True
        with self._lock:
            if not driver.intact(network):
                self.create(network)
        return False

    def remove(self, network: Network) -> None:
        """Remove it and its rules; idempotent."""
        self._known.pop(network.id, None)
        self._wall.forget(_owner(network))
        self.driver(network).remove(network)

    def close(self) -> None:
        """Let go."""
        self.drivers.close()


def _owner(network: Network) -> str:
    return f"network {network.id}"
