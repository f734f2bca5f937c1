"""Removing networks: one that is named, or all that nobody is in."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from lodge.engine.filters import before, check_keys, prunable
from lodge.engine.models import Container, Network, Pruned
from lodge.engine.networks.wiring import made_of_links
from lodge.engine.parts import Parts
from lodge.errors import Forbidden, LodgeError

_log = logging.getLogger(__name__)


def members(parts: Parts, network: Network) -> list[Container]:
    """The containers that have an address in a network now."""
    return [
        each.container
        for each in parts.census
        if any(one.network_id == network.id and one.endpoint_id for one in each.container.networks.values())
    ]


async def remove(parts: Parts, network: Network) -> None:
    """Remove it; Forbidden for a predefined one, and while containers run in it or networks depend on it."""
    if network.predefined:
        raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
    if any(each.origin == network.name for each in parts.book):
        raise Forbidden(f'error while removing network: configuration network "{network.name}" is in use')
    if inside := members(parts, network):
        listed = ", ".join(f'name:"{each.name}" id:"{_endpoint(each, network)[:12]}"' for each in inside)
        raise Forbidden(
            f"error while removing network: network {network.name} has active endpoints ({listed})"
        )
    # From here on nobody can enter it; after a crash the hands' next opening sweeps what has no row.
    parts.book.drop(network)
    if made_of_links(network):
        from lodge.engine.planning.sandbox import network_value

        await parts.wiring.ready()
        parts.wiring.ledger.remove(network.id)
        try:
            await parts.bridge.call(parts.wiring.hands.remove, network_value(network))
        except (LodgeError, OSError) as error:
            _log.warning("network %s could not be taken down: %s", network.name, error)
    parts.events.publish("network", "destroy", network.id, {"name": network.name, "type": network.driver})


def _endpoint(container: Container, network: Network) -> str:
    return next(one.endpoint_id for one in container.networks.values() if one.network_id == network.id)


async def prune(parts: Parts, filters: Mapping[str, Sequence[str]]) -> Pruned:
    """Remove those that no running container is in."""
    check_keys(filters, ("label", "label!", "until"))
    until = before(filters)
    pruned = Pruned(deleted=[], image_deletions=[])
    # Those that others depend on come last.
    for network in sorted(parts.book, key=lambda one: one.config_only):
        if network.predefined or members(parts, network) or not prunable(network.labels, filters):
            continue
        if until is not None and network.created_at > until:
            continue
        if any(each.origin == network.name for each in parts.book):
            continue
        await remove(parts, network)
        pruned.deleted.append(network.name)
    parts.events.publish("network", "prune", "", {"reclaimed": "0"})
    return pruned
