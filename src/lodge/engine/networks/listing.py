"""Lists of networks by Docker's filters. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from lodge.engine.filters import check_keys, flag, matches_labels
from lodge.engine.models import Network
from lodge.errors import InvalidArgument

_KNOWN = ("dangling", "driver", "id", "label", "name", "scope", "type")
Test = Callable[[Network, str], bool]

_TESTS: dict[str, Test] = {
    "driver": lambda network, value: value == network.driver,
    "id": lambda network, value: network.id.startswith(value),
    "name": lambda network, value: value in network.name,
    "scope": lambda network, value: value == network.scope,
    "type": lambda network, value: network.predefined == (value == "builtin"),
}


def select(
    networks: Iterable[Network], filters: Mapping[str, Sequence[str]], used: Collection[str]
) -> list[Network]:
    """Those that the filters choose; `used` are the ids of networks that containers are in."""
    check_keys(filters, _KNOWN)
    for value in filters.get("type", ()):
        if value not in ("builtin", "custom"):
            raise InvalidArgument(f"invalid filter: 'type'='{value}'")
    dangling = flag(filters, "dangling", False) if filters.get("dangling") else None
    return [
        network
        for network in networks
        if _passes(network, filters)
        and (dangling is None or dangling == (not network.predefined and network.id not in used))
    ]


def _passes(network: Network, filters: Mapping[str, Sequence[str]]) -> bool:
    if not matches_labels(network.labels, filters.get("label", ())):
        return False
    return all(
        any(test(network, value) for value in filters[key])
        for key, test in _TESTS.items()
        if filters.get(key)
    )
