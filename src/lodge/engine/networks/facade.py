"""Networks for whoever calls the engine; fulfils `lodge.api.backend.Networks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lodge.engine.models import Member, Network, Pruned
from lodge.engine.networks import creation, joining, listing, removal
from lodge.engine.networks.attaching import Attachments
from lodge.engine.networks.predefined import BRIDGE
from lodge.engine.parts import Parts
from lodge.errors import NotFound
from lodge.spec.container import EndpointSettings

Many = list


class Networks:
    """All networks of an engine, by name or id. NotFound "network x not found" from every method."""

    def __init__(self, parts: Parts, attachments: Attachments) -> None:
        self._parts = parts
        self._attachments = attachments

    async def create(self, wanted: Network, *, ingress: bool = False) -> Network:
        """Make one of a wish without id; see `creation`."""
        return await creation.create(self._parts, wanted, ingress=ingress)

    async def get(self, name: str) -> Network:
        """One."""
        network = self._parts.book.find(name)
        await self._resolved(network)
        return network

    async def list(self, filters: Mapping[str, Sequence[str]]) -> Many[Network]:
        """Those that the filters choose, in the order of their making."""
        used = {
            endpoint.network_id
            for each in self._parts.census
            for endpoint in each.container.networks.values()
            if endpoint.endpoint_id
        }
        found = listing.select(self._parts.book, filters, used)
        for network in found:
            await self._resolved(network)
        return found

    async def _resolved(self, network: Network) -> None:
        """The default bridge has no subnet until the hands say what this host uses already."""
        if network.name == BRIDGE and not network.subnets:
            await self._parts.wiring.ready()

    async def members(self, name: str) -> Many[Member]:
        """The running containers in a network, by id."""
        network = self._parts.book.find(name)
        found = []
        for container in removal.members(self._parts, network):
            place = next(one for one in container.networks.values() if one.network_id == network.id)
            found.append(
                Member(
                    container_id=container.id,
                    name=container.name,
                    endpoint_id=place.endpoint_id,
                    mac_address=place.mac_address,
                    ipv4=f"{place.ip_address}/{place.ip_prefix_len}" if place.ip_address else "",
                    ipv6=f"{place.global_ipv6_address}/{place.global_ipv6_prefix_len}"
                    if place.global_ipv6_address
                    else "",
                )
            )
        return sorted(found, key=lambda one: one.container_id)

    async def remove(self, name: str) -> None:
        """Remove one; see `removal`."""
        await removal.remove(self._parts, self._parts.book.find(name))

    async def prune(self, filters: Mapping[str, Sequence[str]]) -> Pruned:
        """Remove those that no running container is in."""
        return await removal.prune(self._parts, filters)

    async def connect(self, name: str, container: str, asked: EndpointSettings) -> None:
        """Let a container into a network."""
        network = self._parts.book.find(name)
        await joining.connect(
            self._parts, self._attachments, self._parts.census.find(container), network, asked
        )

    async def disconnect(self, name: str, container: str, *, force: bool) -> None:
        """Take a container out of a network; with `force` a container that is gone is none of them."""
        network = self._parts.book.find(name)
        try:
            resident = self._parts.census.find(container)
        except NotFound:
            if force:
                return
            raise
        await joining.disconnect(self._parts, self._attachments, resident, network)
