"""A container's network as the hands shall make it: endpoints, names, routes, ports, bandwidth. Pure.

Takes the container with the addresses that it has by now, and its networks. Which endpoint has the default
route follows Docker: no internal network, then the higher gw-priority, then both families before one, then
the name of the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from lodge.engine.models import AddressRange, Container, Network
from lodge.engine.networks.predefined import BRIDGE
from lodge.errors import InvalidArgument
from lodge.network import contract
from lodge.spec.container import EndpointSettings

EGRESS = "io.lodge.egress"
INGRESS = "io.lodge.ingress"
_SYSCTLS = "com.docker.network.endpoint.sysctls"
_IFNAME = "com.docker.network.endpoint.ifname"
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmgt]?)(?:bit|bps)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Place(Struct):
    """A container's place in a network: the network and the endpoint, its addresses filled in."""

    network: Network
    endpoint: EndpointSettings


def in_order(places: Sequence[Place]) -> list[Place]:
    """As the interfaces are made, eth0 first: the one with the default route leads."""
    return sorted(
        places,
        key=lambda place: (
            place.network.internal,
            -place.endpoint.gw_priority,
            not (place.network.ipv4 and place.network.ipv6),
            place.network.name,
        ),
    )


def dns_names(container: Container, network: Network, aliases: Sequence[str]) -> list[str] | None:
    """What others of a network may call the container; None where nobody can ask (the default bridge)."""
    if network.predefined:
        return None
    found = [container.name, *aliases, container.id[:12]]
    if container.wish.config.hostname:
        found.append(container.wish.config.hostname)
    return list(dict.fromkeys(name for name in found if name))


def network_value(network: Network) -> contract.Network:
    """A network as the hands know it."""
    return contract.Network(
        id=network.id,
        name=network.name,
        driver=network.driver,
        link=network.link,
        subnets=tuple(subnet_value(one) for one in network.subnets),
        ipv4=network.ipv4,
        ipv6=network.ipv6,
        internal=network.internal,
        options={name: value for name, value in network.options.items() if name not in (EGRESS, INGRESS)},
    )


def subnet_value(subnet: AddressRange) -> contract.Subnet:
    """A subnet as the hands know it."""
    return contract.Subnet(
        subnet=subnet.subnet,
        gateway=subnet.gateway,
        range=subnet.range,
        auxiliary=subnet.auxiliary or {},
    )


def plan(
    container: Container,
    places: Sequence[Place],
    *,
    ports: tuple[contract.Port, ...],
    resolver: contract.Resolver,
    others: Mapping[str, str],
) -> contract.Sandbox:
    """The whole; `others` gives the ids of containers by the names that links use."""
    ordered = in_order(places)
    first4 = next((p for p in ordered if p.endpoint.gateway and not p.network.internal), None)
    first6 = next((p for p in ordered if p.endpoint.ipv6_gateway and not p.network.internal), None)
    return contract.Sandbox(
        container=container.id,
        hostname=container.wish.config.hostname,
        endpoints=tuple(_endpoint(place, place is first4, place is first6, others) for place in ordered),
        ports=ports,
        resolver=resolver,
        bandwidth=bandwidth(container, [place.network for place in ordered]),
    )


def _endpoint(place: Place, first4: bool, first6: bool, others: Mapping[str, str]) -> contract.Endpoint:
    settings = place.endpoint
    options = settings.driver_opts or {}
    return contract.Endpoint(
        id=settings.endpoint_id,
        network=place.network.id,
        mac=settings.mac_address,
        ipv4=f"{settings.ip_address}/{settings.ip_prefix_len}" if settings.ip_address else "",
        ipv6=f"{settings.global_ipv6_address}/{settings.global_ipv6_prefix_len}"
        if settings.global_ipv6_address
        else "",
        gateway4=settings.gateway if first4 else "",
        gateway6=settings.ipv6_gateway if first6 else "",
        interface=options.get(_IFNAME, ""),
        names=tuple(settings.dns_names or ()),
        links={alias: others.get(name, name) for name, alias in map(read_link, settings.links or ())},
        sysctls=endpoint_sysctls(options.get(_SYSCTLS, "")),
        options=options,
    )


def read_link(text: str) -> tuple[str, str]:
    """(name, alias) of `name[:alias]`; InvalidArgument in Docker's words."""
    name, colon, alias = text.partition(":")
    if not name or (colon and not alias) or ":" in alias:
        raise InvalidArgument(f"bad format for links: {text}")
    name = name.removeprefix("/")
    # A link as inspect shows it: /target:/owner/alias.
    return name, alias.rpartition("/")[2] or name


def endpoint_sysctls(text: str) -> dict[str, str]:
    """`net.ipv4.conf.IFNAME.forwarding=1,...` by name; InvalidArgument for what is no such list."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        words = name.split(".")
        if not equals or len(words) < 5 or words[0] != "net" or words[3] != "IFNAME":
            raise InvalidArgument(f"invalid endpoint sysctl setting: {part}")
        found[name] = value
    return found


def embedded(places: Sequence[Place]) -> bool:
    """Whether the container asks the engine's own name server: in any network but the default bridge."""
    return any(place.network.name != BRIDGE for place in places)


def bandwidth(container: Container, networks: Sequence[Network]) -> contract.Bandwidth:
    """Limits of the container's annotations or labels, else of the first network that has one."""
    sources: list[Mapping[str, str]] = [container.wish.host.annotations or {}]
    sources.append(container.wish.config.labels or {})
    sources += [network.options for network in networks]
    return contract.Bandwidth(egress=_rate(EGRESS, sources), ingress=_rate(INGRESS, sources))


def _rate(name: str, sources: Sequence[Mapping[str, str]]) -> int:
    return next((read_rate(source[name]) for source in sources if source.get(name)), 0)


def read_rate(text: str) -> int:
    """Bits a second of "10mbit", "1.5g", "500000"; InvalidArgument for anything else."""
    match = _RATE.fullmatch(text.strip())
    if not match:
        raise InvalidArgument(f"invalid rate: {text}", hint="write bits a second: 10mbit, 1.5gbit, 500k")
    return int(float(match[1]) * _UNITS[match[2].lower()])
