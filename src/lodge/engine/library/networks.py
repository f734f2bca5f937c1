"""Networks for programs: made, connected, removed; on an event loop, and for scripts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from lodge.engine.engine import Engine as Core
from lodge.engine.models import AddressRange, Network
from lodge.spec.container import EndpointIpam, EndpointSettings

Many = list


class AsyncNetworks:
    """The networks of an engine, by name or id."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnets: Sequence[str] = (),
        internal: bool = False,
        ipv6: bool = False,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Network:
        """Make one; Conflict when the name is taken. Without `subnets` free ones are chosen."""
        wanted = Network(
            id="",
            name=name,
            created_at=0,
            driver=driver,
            asked=[AddressRange(subnet=text) for text in subnets],
            internal=internal,
            ipv6=ipv6 or any(":" in text for text in subnets),
            options=dict(options or {}),
            labels=dict(labels or {}),
        )
        return await self._core.networks.create(wanted)

    async def list(self) -> Many[Network]:
        """All, in the order of their making."""
        return await self._core.networks.list({})

    async def get(self, name: str) -> Network:
        """One; NotFound."""
        return await self._core.networks.get(name)

    async def remove(self, name: str) -> None:
        """Remove it; Forbidden while containers run in it."""
        await self._core.networks.remove(name)

    async def connect(
        self, name: str, container: str, *, aliases: Sequence[str] = (), ip: str = "", ip6: str = ""
    ) -> None:
        """Let a container into it, live where it runs."""
        ipam = EndpointIpam(ipv4_address=ip, ipv6_address=ip6) if ip or ip6 else None
        asked = EndpointSettings(aliases=[*aliases] or None, ipam_config=ipam)
        await self._core.networks.connect(name, container, asked)

    async def disconnect(self, name: str, container: str) -> None:
        """Take a container out of it."""
        await self._core.networks.disconnect(name, container, force=False)


class Networks:
    """The networks of an engine; each method as in `AsyncNetworks`."""

    def __init__(self, networks: AsyncNetworks, call: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._networks = networks
        self._call = call

    def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        subnets: Sequence[str] = (),
        internal: bool = False,
        ipv6: bool = False,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Network:
        """Make one; Conflict when the name is taken. Without `subnets` free ones are chosen."""
        made: Network = self._call(
            self._networks.create(
                name,
                driver=driver,
                subnets=subnets,
                internal=internal,
                ipv6=ipv6,
                options=options,
                labels=labels,
            )
        )
        return made

    def list(self) -> Many[Network]:
        """All, in the order of their making."""
        found: Many[Network] = self._call(self._networks.list())
        return found

    def get(self, name: str) -> Network:
        """One; NotFound."""
        network: Network = self._call(self._networks.get(name))
        return network

    def remove(self, name: str) -> None:
        """Remove it; Forbidden while containers run in it."""
        self._call(self._networks.remove(name))

    def connect(
        self, name: str, container: str, *, aliases: Sequence[str] = (), ip: str = "", ip6: str = ""
    ) -> None:
        """Let a container into it, live where it runs."""
        self._call(self._networks.connect(name, container, aliases=aliases, ip=ip, ip6=ip6))

    def disconnect(self, name: str, container: str) -> None:
        """Take a container out of it."""
        self._call(self._networks.disconnect(name, container))
