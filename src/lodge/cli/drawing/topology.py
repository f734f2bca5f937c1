"""Who is where: read from GET /networks and GET /containers/json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

_ALIVE = ("running", "paused", "restarting")
_BRIDGE = "com.docker.network.bridge."
_ANY = ("0.0.0.0", "::")
# The predefined networks come first, those without links last.
_ORDER = {"bridge": 0, "host": 2, "null": 3}


@dataclass(frozen=True)
class Place:
    """A container in a network. `ports` are published ones, told in one of its networks only."""

    name: str
    image: str
    state: str
    addresses: tuple[str, ...] = ()
    mac: str = ""
    others: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A network: what it is made of, its rules in words, and who is in it."""

    name: str
    driver: str
    link: str
    subnets: tuple[tuple[str, str], ...] = ()
    rules: tuple[str, ...] = ()
    places: tuple[Place, ...] = field(default_factory=tuple)


def topology(networks: Iterable[Json], containers: Iterable[Json]) -> list[Segment]:
    """All networks in a fixed order, with the containers that live."""
    living = sorted((one for one in containers if one.get("State") in _ALIVE), key=_name)
    guests = _guests(living)
    return [
        Segment(
            name=network["Name"],
            driver=network["Driver"],
            link=_link(network),
            subnets=_subnets(network),
            rules=tuple(_rules(network)),
            places=tuple(
                _place(one, network["Name"], guests.get(one["Id"], ()))
                for one in living
                if network["Name"] in _attachments(one)
            ),
        )
        for network in sorted(networks, key=_rank)
    ]


def _rank(network: Json) -> tuple[int, str]:
    predefined = network["Name"] == "bridge" or network["Driver"] in ("host", "null")
    return _ORDER[network["Driver"]] if predefined else 1, network["Name"]


def _name(container: Json) -> str:
    names = container.get("Names") or [container["Id"][:12]]
    return str(names[0]).removeprefix("/")


def _attachments(container: Json) -> Mapping[str, Json]:
    return (container.get("NetworkSettings") or {}).get("Networks") or {}


def _guests(living: Iterable[Json]) -> dict[str, tuple[str, ...]]:
    """Names of those that share another's namespace, by its id."""
    found: dict[str, tuple[str, ...]] = {}
    for one in living:
        kind, _, host = str((one.get("HostConfig") or {}).get("NetworkMode", "")).partition(":")
        if kind == "container":
            found[host] = (*found.get(host, ()), _name(one))
    return found


def _place(container: Json, network: str, guests: tuple[str, ...]) -> Place:
    attachments = _attachments(container)
    endpoint = attachments[network]
    pairs = (("IPAddress", "IPPrefixLen"), ("GlobalIPv6Address", "GlobalIPv6PrefixLen"))
    return Place(
        name=_name(container),
        image=str(container.get("Image", "")),
        state=str(container["State"]),
        addresses=tuple(str(endpoint[key]) for key, _ in pairs if endpoint.get(key)),
        mac=str(endpoint.get("MacAddress") or ""),
        others=tuple(sorted(name for name in attachments if name != network)),
        ports=_ports(container) if network == _outward(attachments) else (),
        guests=guests,
    )


def _outward(attachments: Mapping[str, Json]) -> str:
    """The network by which a container reaches the world, as Docker chooses it."""

    def rank(name: str) -> tuple[bool, int, str]:
        endpoint = attachments[name]
        return not endpoint.get("Gateway"), -int(endpoint.get("GwPriority") or 0), name

    return min(attachments, key=rank)


def _ports(container: Json) -> tuple[str, ...]:
    """Published ports, "8080 → 80/tcp"; the address only where it is not every one."""
    bound: dict[tuple[int, str, int], set[str]] = {}
    for port in container.get("Ports") or ():
        if port.get("PublicPort"):
            key = (int(port["PublicPort"]), str(port["Type"]), int(port["PrivatePort"]))
            bound.setdefault(key, set()).add(str(port.get("IP", "")))
    found = []
    for (public, kind, private), addresses in sorted(bound.items()):
        everywhere = addresses >= set(_ANY)
        for address in [""] if everywhere else sorted(addresses):
            shown = f"[{address}]:" if ":" in address else f"{address}:" if address else ""
            found.append(f"{shown}{public} → {private}/{kind}")
    return tuple(found)


def _link(network: Json) -> str:
    """The device of the host that carries it."""
    options = network.get("Options") or {}
    if network["Driver"] == "bridge":
        return str(options.get(_BRIDGE + "name") or f"br-{network['Id'][:12]}")
    return str(options.get("parent") or "")


def _subnets(network: Json) -> tuple[tuple[str, str], ...]:
    blocks = (network.get("IPAM") or {}).get("Config") or ()
    return tuple((str(one.get("Subnet") or ""), str(one.get("Gateway") or "")) for one in blocks)


def _rules(network: Json) -> Iterable[str]:
    """What packets may do, in words."""
    options = network.get("Options") or {}
    if network["Driver"] not in ("bridge", "overlay"):
        return
    if network.get("Internal"):
        yield "internal: nothing goes out"
    elif options.get(_BRIDGE + "enable_ip_masquerade", "true") == "true":
        yield "goes out behind the host's address"
    else:
        yield "goes out with its own addresses"
    if options.get(_BRIDGE + "enable_icc", "true") == "false":
        yield "containers do not reach each other"
    if options.get("io.lodge.publish") == "proxy":
        yield "published ports obey the host's firewall"
