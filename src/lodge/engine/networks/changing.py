"""Live changes of a container's network: other published ports, other limits of bandwidth.

What stays published stays as it is bound, also on a port that was chosen; all changes or none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from lodge.engine.models import Container, NetworkChange
from lodge.engine.networks.attaching import Attachments, wired
from lodge.engine.networks.places import wired as wired_mode
from lodge.engine.parts import Parts
from lodge.engine.planning import ports
from lodge.engine.planning.sandbox import EGRESS, INGRESS, read_rate
from lodge.errors import InvalidArgument
from lodge.network.contract import Port
from lodge.spec.container import Wish

_RATES = (EGRESS, INGRESS)


async def change(parts: Parts, attachments: Attachments, container: Container, asked: NetworkChange) -> None:
    """Write the wish, and make it so where the container runs. The caller holds its lock and saves the row.

    InvalidArgument for what no port or rate is, Conflict for a port that is taken: then nothing has changed.
    """
    wish = _changed(container.wish, asked)
    if asked.port_bindings is not None and not wired_mode(wish.host.network_mode):
        raise InvalidArgument("ports can't be published without a network of the container's own")
    # Read before anything is done, to refuse it.
    ports.wanted(wish)
    before, container.wish = container.wish, wish
    try:
        if container.state.running and container.state.pid and wired(container):
            await _apply(parts, attachments, container)
    except BaseException:
        container.wish = before
        raise


def _changed(wish: Wish, asked: NetworkChange) -> Wish:
    host, config = msgspec.structs.replace(wish.host), msgspec.structs.replace(wish.config)
    if asked.port_bindings is not None:
        host.port_bindings = asked.port_bindings
        exposed: dict[str, Any] = {port if "/" in port else f"{port}/tcp": {} for port in asked.port_bindings}
        config.exposed_ports = {**(config.exposed_ports or {}), **exposed} or None
    if asked.annotations:
        for name, value in asked.annotations.items():
            if name not in _RATES:
                raise InvalidArgument(
                    f"the annotation {name} can't be changed", hint=f"{' and '.join(_RATES)} can"
                )
            if value:
                read_rate(value)
        merged = {**(host.annotations or {}), **asked.annotations}
        host.annotations = {name: value for name, value in merged.items() if value} or None
    return msgspec.structs.replace(wish, host=host, config=config)


async def _apply(parts: Parts, attachments: Attachments, container: Container) -> None:
    from lodge.engine.networks import plans

    await parts.wiring.ready()
    bound = ports.as_ports(container.ports)
    address = plans.bind_address(parts, plans.places(parts, container))
    wanted = ports.wanted(container.wish, address)
    kept = tuple(port for port in bound if any(_is_of(port, wish) for wish in wanted))
    fresh = tuple(wish for wish in wanted if not any(_is_of(port, wish) for port in bound))
    sandbox = plans.whole(parts, container, (*kept, *fresh))
    now: Iterable[Port] = await attachments.in_turn(
        container.id, parts.wiring.hands.change, container.id, container.state.pid, sandbox
    )
    container.ports = ports.bound(now)


def _is_of(port: Port, wish: Port) -> bool:
    """Whether a bound port is what a wish came to."""
    if (port.container_port, port.protocol) != (wish.container_port, wish.protocol):
        return False
    if wish.host_ip not in ("", port.host_ip):
        return False
    return not wish.host_port or wish.host_port <= port.host_port <= (wish.host_last or wish.host_port)
