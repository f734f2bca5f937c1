"""Connecting containers to networks and disconnecting them: running ones live, others for the next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lodge.engine.census import Resident
from lodge.engine.models import Container, Network
from lodge.engine.networks import texts
from lodge.engine.networks.attaching import Attachments, asked_of
from lodge.engine.networks.places import check, fresh
from lodge.engine.parts import Parts
from lodge.engine.planning import machines
from lodge.engine.planning.namespaces import HOST, NONE, joined
from lodge.errors import Conflict, Forbidden, NotFound
from lodge.spec.container import EndpointSettings

if TYPE_CHECKING:
    from lodge.network.contract import Port

_TO_HOST = "cannot connect container to host network - container must be created in host network mode"
_FROM_HOST = "container cannot be disconnected from host network or connected to host network"
_PRIVATE = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)


async def connect(
    parts: Parts, attachments: Attachments, resident: Resident, network: Network, asked: EndpointSettings
) -> None:
    """Let a container into a network. Forbidden in Docker's words for what can't be."""
    async with resident.lock:
        container = resident.container
        _check_connect(container, network)
        check(asked, network, network.name)
        if network.name in container.networks:
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        endpoint = fresh(asked)
        live = container.state.running and bool(container.state.pid)
        if live:
            machines.check_rewiring(container.wish.host)
        if live and network.name not in (HOST, NONE):
            await _enter(parts, attachments, container, network, endpoint, asked)
        else:
            _remember(container, network, endpoint, asked)
            _name(container, network, endpoint)
        parts.rows.save(container)
        if endpoint.endpoint_id:
            attachments.announce(container, network.id, "connect")


def _check_connect(container: Container, network: Network) -> None:
    if container.state.status in ("removing", "dead"):
        raise Conflict(f"Container {container.id} is marked for removal and cannot be connected to networks")
    if joined(container.wish.host.network_mode):
        raise Forbidden("container sharing network namespace with another container or host cannot be"
                        " connected to any other network")  # fmt: skip
    if network.name == HOST and HOST not in container.networks:
        raise Forbidden(_TO_HOST)
    if HOST in container.networks and network.name != HOST:
        raise Forbidden("container sharing network namespace with another container or host cannot be"
                        " connected to any other network")  # fmt: skip
    if (network.name == NONE and container.networks) or NONE in container.networks:
        raise Forbidden(_PRIVATE)
    if network.config_only:
        raise Forbidden(f"cannot connect to a configuration-only network: {network.name}")


def _remember(
    container: Container, network: Network, endpoint: EndpointSettings, asked: EndpointSettings
) -> None:
    container.networks[network.name] = endpoint
    networking = container.wish.networking
    networking.endpoints_config = {**(networking.endpoints_config or {}), network.name: asked}


def _forget(container: Container, name: str) -> None:
    container.networks.pop(name, None)
    networking = container.wish.networking
    networking.endpoints_config = {
        key: value for key, value in (networking.endpoints_config or {}).items() if key != name
    }


def _name(container: Container, network: Network, endpoint: EndpointSettings) -> None:
    from lodge.engine.planning.sandbox import dns_names

    endpoint.dns_names = dns_names(container, network, endpoint.aliases or ())


async def _enter(
    parts: Parts,
    attachments: Attachments,
    container: Container,
    network: Network,
    endpoint: EndpointSettings,
    asked: EndpointSettings,
) -> None:
    """Give a running container an interface; nothing is changed when that fails."""
    from lodge.engine.planning import ports

    await parts.wiring.ready()
    _remember(container, network, endpoint, asked)
    try:
        attachments.occupy(container, network.name, endpoint)
        if container.interfaces:
            held = ports.as_ports(container.ports)
            interface = await _plug(attachments, parts, container, endpoint, held)
        else:
            interface = await _plug_first(attachments, parts, container, endpoint)
    except BaseException:
        attachments.vacate(endpoint)
        _forget(container, network.name)
        raise
    container.interfaces = {**container.interfaces, endpoint.endpoint_id: interface}
    _rewrite(parts, container)


async def _plug_first(
    attachments: Attachments, parts: Parts, container: Container, endpoint: EndpointSettings
) -> str:
    """Give its first interface to one that has lost all, or never had any; its ports come with it."""
    from lodge.engine.networks import plans
    from lodge.engine.planning import ports

    whole = plans.whole(parts, container)
    hands, pid = parts.wiring.hands, container.state.pid
    try:
        interface = await _plug(attachments, parts, container, endpoint, ())
    except NotFound:
        ready = await attachments.furnish(container, whole, pid)
        return ready.interfaces.get(endpoint.endpoint_id, "")
    if whole.ports:
        bound = await attachments.in_turn(container.id, hands.change, container.id, pid, whole)
        container.ports = ports.bound(bound)
    return interface


async def _plug(
    attachments: Attachments,
    parts: Parts,
    container: Container,
    endpoint: EndpointSettings,
    held: tuple[Port, ...],
) -> str:
    """Add one interface to those that it has; gives its name."""
    from lodge.engine.networks import plans

    wish = plans.whole(parts, container, held)
    own = next(each for each in wish.endpoints if each.id == endpoint.endpoint_id)
    hands = parts.wiring.hands
    return await attachments.in_turn(
        container.id, hands.connect, container.id, container.state.pid, own, wish
    )


def _rewrite(parts: Parts, container: Container) -> None:
    """Its files say where it is now."""
    if container.hosts_path:
        texts.write_hosts(parts, container)
        texts.write_resolv_conf(parts, container)


async def disconnect(parts: Parts, attachments: Attachments, resident: Resident, network: Network) -> None:
    """Take a container out of a network; Forbidden when it is not in it."""
    async with resident.lock:
        container = resident.container
        endpoint = container.networks.get(network.name)
        if HOST in container.networks and network.name == HOST and container.state.running:
            raise Forbidden(_FROM_HOST)
        if endpoint is None:
            raise Forbidden(f"container {container.id} is not connected to network {network.name}")
        was_in = bool(endpoint.endpoint_id)
        if was_in and endpoint.mac_address and container.state.pid:
            await _leave(parts, attachments, container, network, endpoint)
        else:
            _forget(container, network.name)
        parts.rows.save(container)
        if was_in:
            attachments.announce(container, network.id, "disconnect")


async def _leave(
    parts: Parts,
    attachments: Attachments,
    container: Container,
    network: Network,
    endpoint: EndpointSettings,
) -> None:
    from lodge.engine.networks import plans
    from lodge.engine.planning import ports

    await parts.wiring.ready()
    standing = plans.whole(parts, container, ports.as_ports(container.ports))
    own = next(each for each in standing.endpoints if each.id == endpoint.endpoint_id)
    asked = asked_of(container, network.name)
    _forget(container, network.name)
    wish = plans.whole(parts, container, ports.as_ports(container.ports) if container.networks else ())
    try:
        await attachments.in_turn(
            container.id, parts.wiring.hands.disconnect, container.id, container.state.pid, own, wish
        )
    except NotFound:
        pass
    except BaseException:
        _remember(container, network, endpoint, asked)
        raise
    container.interfaces = {
        key: value for key, value in container.interfaces.items() if key != endpoint.endpoint_id
    }
    if not container.networks:
        container.ports = {}
    attachments.vacate(msgspec.structs.replace(endpoint))
    _rewrite(parts, container)
