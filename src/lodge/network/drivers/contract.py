"""What a driver does; the hands know no more of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from lodge.network.contract import Network
from lodge.network.firewall.facts import Side
from lodge.network.space import Space


class Plug(NamedTuple):
    """One interface in a sandbox: its number and name inside, and the port on the host (0 for none)."""

    inside: int
    name: str
    port: int


class Driver(Protocol):
    """One kind of network. Methods may be called again with the same network at any time.

    `own_mac`: interfaces have hardware addresses of their own, not their parent's.
    """

    own_mac: bool

    def check(self, network: Network) -> None:
        """Raise when this host can't make it; change nothing."""
        ...

    def create(self, network: Network) -> list[Side]:
        """Make or repair its links; gives what the firewall shall know of it."""
        ...

    def remove(self, network: Network) -> None:
        """Remove what `create` made."""
        ...

    def intact(self, network: Network) -> bool:
        """Whether what `create` made is still there; cheap, asked before each use."""
        ...

    def plug(self, network: Network, space: Space, name: str) -> Plug:
        """Make an interface in a sandbox, without addresses."""
        ...

    def replug(self, network: Network, port: int) -> None:
        """Put the host's end of an interface back into its place."""
        ...

    def prefix(self, network: Network) -> str:
        """How interfaces in sandboxes are named: "eth"."""
        ...

    def leftovers(self, networks: Sequence[Network]) -> None:
        """Remove links of networks that are not among these."""
        ...
