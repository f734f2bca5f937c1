"""All networks in memory, found by id, name or a beginning of an id; their rows follow every change."""

from __future__ import annotations

from collections.abc import Iterator

from lodge.engine.models import Network
from lodge.engine.names import by_beginning
from lodge.engine.state.rows import Rows
from lodge.errors import Conflict, InvalidArgument, NotFound


class Book:
    """Each name and id once. Used by the loop's thread only."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._by_id = {network.id: network for network in rows.networks()}
        self._by_name = {network.name: network for network in self._by_id.values()}
        self._reserved: set[str] = set()

    def __iter__(self) -> Iterator[Network]:
        """In the order of their making."""
        return iter(list(self._by_id.values()))

    def named(self, name: str) -> Network | None:
        """The network of this very name."""
        return self._by_name.get(name)

    def by_id(self, id: str) -> Network | None:
        """The network of this very id."""
        return self._by_id.get(id)

    def find(self, term: str) -> Network:
        """The network that people mean: a full id, a name, or a beginning of one id alone.

        NotFound "network x not found"; InvalidArgument when a beginning fits several.
        """
        if not term:
            raise InvalidArgument("invalid name: name is empty")
        found = self._by_id.get(term) or self._by_name.get(term)
        if found is not None:
            return found
        fits = by_beginning(term, self._by_id)
        if len(fits) > 1:
            raise InvalidArgument(
                f"network {term} is ambiguous ({len(fits)} matches found based on ID prefix)"
            )
        if not fits:
            raise NotFound(f"network {term} not found")
        return self._by_id[fits[0]]

    def reserve(self, name: str) -> None:
        """Keep a name for a network in the making; Conflict in Docker's words."""
        if name in self._by_name or name in self._reserved:
            raise Conflict(f"network with name {name} already exists")
        self._reserved.add(name)

    def release(self, name: str) -> None:
        """Give a reserved name back; idempotent."""
        self._reserved.discard(name)

    def save(self, network: Network) -> None:
        """Insert or change one; its row is written first."""
        self._rows.save_network(network)
        self._reserved.discard(network.name)
        self._by_id[network.id] = network
        self._by_name[network.name] = network

    def drop(self, network: Network) -> None:
        """Forget one; idempotent."""
        self._rows.remove_network(network.id)
        self._by_id.pop(network.id, None)
        self._by_name.pop(network.name, None)
