"""Which driver a network has."""

from __future__ import annotations

import threading

from lodge.errors import InvalidArgument
from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.network.bandwidth import Limiter
from lodge.network.contract import Network, Settings
from lodge.network.drivers.bridge import BridgeDriver
from lodge.network.drivers.contract import Driver
from lodge.network.drivers.overlay import OverlayDriver
from lodge.network.drivers.parent import ParentDriver


class Drivers:
    """One driver of each kind, on one socket in the host's namespace."""

    def __init__(self, wanted: Settings) -> None:
        self.lock = threading.Lock()
        self.socket = NetlinkSocket()
        self.limiter = Limiter(wanted.instance, self.socket, self.lock)
        bridges = BridgeDriver(wanted, self.socket, self.lock)
        self._all: dict[str, Driver] = {
            "bridge": bridges,
            "macvlan": ParentDriver("macvlan", wanted, self.socket, self.lock),
            "ipvlan": ParentDriver("ipvlan", wanted, self.socket, self.lock),
            "overlay": OverlayDriver(wanted, self.socket, self.lock, bridges),
        }

    def of(self, network: Network) -> Driver:
        """The driver of a network; InvalidArgument for a word that names none."""
        try:
            return self._all[network.driver]
        except KeyError:
            raise InvalidArgument(
                f"could not find plugin {network.driver} in v1 plugin registry: plugin not found"
            ) from None

    def all(self) -> list[Driver]:
        """Every driver."""
        return list(self._all.values())

    def close(self) -> None:
        """Let go."""
        self.socket.close()
