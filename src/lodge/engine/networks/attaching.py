"""The sandboxes of starting, running and ending containers: addresses taken, hands told, all given back.

A container's calls of the hands follow each other (`in_turn`); those of different containers run beside each
other. A start waits for ends that are under way where a port or a static address may still be held; nobody
waits for anything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from lodge.engine import names
from lodge.engine.models import Container, Network
from lodge.engine.networks import texts
from lodge.engine.parts import Parts
from lodge.errors import Conflict, LodgeError
from lodge.spec.container import EndpointSettings

if TYPE_CHECKING:
    from lodge.network.contract import Living, Ready, Sandbox

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
_WITHOUT_INTERFACES = ("host", "none")


def wired(container: Container) -> bool:
    """Whether its places in networks are interfaces: not those of none and host."""
    return any(name not in _WITHOUT_INTERFACES for name in container.networks)


def asked_of(container: Container, name: str) -> EndpointSettings:
    """What was asked for a place, without the addresses that it has."""
    return (container.wish.networking.endpoints_config or {}).get(name) or EndpointSettings()


class Attachments:
    """See the module. One an engine."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wiring = parts.wiring
        self._turns: dict[str, asyncio.Future[None]] = {}
        self._releases: set[asyncio.Future[None]] = set()
        self._wiring.living = self._living

    def _living(self, container: Container) -> Living | None:
        from lodge.engine.networks import plans

        return plans.living(self._parts, container)

    # A start

    async def settle(self, container: Container) -> Sandbox:
        """Take addresses for all places; gives what the hands shall make. Nothing is kept when it fails.

        NotFound for a network that is gone, the ledger's errors for addresses.
        """
        from lodge.engine.networks import plans

        await self._wiring.ready()
        try:
            for name, endpoint in container.networks.items():
                self.occupy(container, name, endpoint)
            return plans.whole(self._parts, container)
        except BaseException:
            self._vacate_all(container)
            raise

    def occupy(self, container: Container, name: str, endpoint: EndpointSettings) -> None:
        """Give one place its ids, addresses and names."""
        from lodge.engine.networks import ledgers, plans
        from lodge.engine.planning.sandbox import dns_names

        network = plans.network_of(self._parts.book, name, endpoint)
        ledgers.occupy(self._wiring.ledger, network, endpoint, asked_of(container, name))
        endpoint.network_id, endpoint.endpoint_id = network.id, names.new_id()
        endpoint.dns_names = dns_names(container, network, endpoint.aliases or ())

    async def stand(self, container: Container, sandbox: Sandbox) -> Ready:
        """Have a namespace made for a start; Docker's words around a port that is taken."""
        await self._until_free(container, sandbox)
        return await self._taken_up(
            container, sandbox, self.in_turn(container.id, self._wiring.hands.prepare, sandbox)
        )

    async def furnish(self, container: Container, sandbox: Sandbox, pid: int) -> Ready:
        """As `stand`, in the namespace that a container's init has made already."""
        await self._until_free(container, sandbox)
        return await self._taken_up(
            container, sandbox, self.in_turn(container.id, self._wiring.hands.furnish, sandbox, pid)
        )

    async def _taken_up(
        self, container: Container, sandbox: Sandbox, standing: asyncio.Future[Ready]
    ) -> Ready:
        from lodge.engine.planning import ports

        try:
            ready = await standing
        except Conflict as error:
            leader = sandbox.endpoints[0]
            error.message = (
                "driver failed programming external connectivity on endpoint "
                f"{container.name} ({leader.id}): {error.message}"
            )
            raise
        for warning in ready.warnings:
            _log.warning("container %s: %s", container.name, warning)
        container.ports = ports.bound(ready.ports)
        container.interfaces = dict(ready.interfaces)
        return ready

    async def _until_free(self, container: Container, sandbox: Sandbox) -> None:
        """Wait for ends under way, where what they hold may be what this start needs."""
        static = any(asked_of(container, name).ipam_config for name in container.networks)
        if self._releases and (sandbox.ports or static):
            await asyncio.wait(list(self._releases))

    def started(self, container: Container, pid: int) -> None:
        """Its program runs: the sandbox is its own now. Places without interfaces get their ids here."""
        container.sandbox_id = names.new_id() if container.networks else ""
        if wired(container):
            # One that a new engine finds running is told to the hands when these are opened.
            if self._wiring.opened:
                self._background(container.id, self._wiring.hands.started, container.id, pid)
        else:
            for name, endpoint in container.networks.items():
                network = self._parts.book.named(name)
                endpoint.network_id = network.id if network is not None else ""
                endpoint.endpoint_id = names.new_id()

    def announce_start(self, container: Container) -> None:
        """Tell that it is connected; its row is written by now."""
        for endpoint in container.networks.values():
            self.announce(container, endpoint.network_id, "connect")
        for other in self._linking(container):
            with suppress(LodgeError, OSError):
                self._tell_of(container, other)

    def announce(self, container: Container, network_id: str, action: str) -> None:
        """Publish that a container came into a network, or left it."""
        network = self._parts.book.by_id(network_id)
        if network is not None:
            attributes = {"container": container.id, "name": network.name, "type": network.driver}
            self._parts.events.publish("network", action, network.id, attributes)

    def _linking(self, container: Container) -> list[Container]:
        """The running containers that have a link to this one."""
        return [
            each.container
            for each in self._parts.census
            if each.container.state.pid
            and (
                container.id in each.container.links.values()
                or any(one.links for one in each.container.networks.values())
            )
        ]

    def _tell_of(self, container: Container, other: Container) -> None:
        """A link on the default bridge is a line in a file, others are names that the name server knows."""
        if container.id in other.links.values():
            texts.write_hosts(self._parts, other)
        texts_of = [text for one in other.networks.values() for text in one.links or ()]
        if any(text.partition(":")[0] in (container.name, container.id) for text in texts_of):
            from lodge.engine.networks import plans
            from lodge.engine.planning import ports

            sandbox = plans.whole(self._parts, other, ports.as_ports(other.ports))
            self._background(other.id, self._change, other, sandbox)

    def _change(self, container: Container, sandbox: Sandbox) -> None:
        self._wiring.hands.change(container.id, container.state.pid, sandbox)

    # An end

    def ended(self, container: Container) -> None:
        """It runs no more, or never did: what it had is free, its row says so. Nobody waits for the links."""
        held = wired(container) and any(each.endpoint_id for each in container.networks.values())
        told = bool(container.sandbox_id)
        left = [each.network_id for each in container.networks.values() if each.endpoint_id]
        self._vacate_all(container)
        container.sandbox_id, container.ports, container.interfaces = "", {}, {}
        if told:
            for network_id in left:
                self.announce(container, network_id, "disconnect")
        if held and self._wiring.begun:
            release = asyncio.ensure_future(self._release(container.id))
            self._releases.add(release)
            release.add_done_callback(self._releases.discard)

    async def _release(self, id: str) -> None:
        try:
            await self._wiring.ready()
            await self.in_turn(id, self._wiring.hands.release, id)
        except (LodgeError, OSError) as error:
            _log.warning("the network of container %s could not be taken down: %s", id[:12], error)

    def _vacate_all(self, container: Container) -> None:
        for endpoint in container.networks.values():
            self.vacate(endpoint)

    def vacate(self, endpoint: EndpointSettings) -> None:
        """Give the addresses of one place back; what was asked for and where stays. Idempotent."""
        if endpoint.mac_address and self._wiring.counted:
            from lodge.engine.networks import ledgers

            ledgers.vacate(self._wiring.ledger, endpoint.network_id, endpoint)
        endpoint.mac_address = endpoint.endpoint_id = endpoint.gateway = endpoint.ipv6_gateway = ""
        endpoint.ip_address, endpoint.ip_prefix_len = "", 0
        endpoint.global_ipv6_address, endpoint.global_ipv6_prefix_len = "", 0

    # The hands

    def in_turn(
        self, id: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Call the hands for a container once its earlier calls are done; goes on if nobody waits."""
        previous = self._turns.get(id)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns[id] = done

        async def call() -> T:
            try:
                if previous is not None:
                    await previous
                return await self._parts.bridge.call(function, *args, **kwargs)
            finally:
                done.set_result(None)
                if self._turns.get(id) is done:
                    del self._turns[id]

        return asyncio.ensure_future(call())

    def _background(self, id: str, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        def heed(future: asyncio.Future[None]) -> None:
            if not future.cancelled() and (error := future.exception()) is not None:
                _log.warning("the network of container %s: %s", id[:12], error)

        self.in_turn(id, function, *args, **kwargs).add_done_callback(heed)

    async def renamed(self, container: Container) -> None:
        """It has another name: its neighbours ask for that one from now on."""
        from lodge.engine.networks import plans
        from lodge.engine.planning import ports
        from lodge.engine.planning.sandbox import dns_names

        changed = False
        for endpoint in container.networks.values():
            network = self._parts.book.by_id(endpoint.network_id)
            if network is not None and not network.predefined:
                endpoint.dns_names = dns_names(container, network, endpoint.aliases or ())
                changed = True
        if changed and container.state.running and container.state.pid:
            await self._wiring.ready()
            sandbox = plans.whole(self._parts, container, ports.as_ports(container.ports))
            await self.in_turn(
                container.id, self._wiring.hands.change, container.id, container.state.pid, sandbox
            )

    def users(self, network: Network) -> list[Container]:
        """The running containers in a network."""
        return [
            each.container
            for each in self._parts.census
            if any(
                one.network_id == network.id and one.endpoint_id for one in each.container.networks.values()
            )
        ]

    async def close(self) -> None:
        """Wait until what ended is taken down."""
        if self._releases:
            await asyncio.wait(list(self._releases), timeout=5)
        waiting = list(self._turns.values())
        if waiting:
            await asyncio.wait(waiting, timeout=5)
