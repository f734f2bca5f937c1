"""Published ports: what a container asks for, as the hands take it; what was bound, for inspect. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lodge.errors import Conflict, InvalidArgument
from lodge.network.contract import Port
from lodge.spec.container import PortBinding, Wish

_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?")
_ANY = "0.0.0.0"


def read_port(text: str) -> tuple[int, int, str]:
    """(first, last, protocol) of "80", "80/udp", "80-90/tcp"; InvalidArgument for anything else."""
    match = _PORT.fullmatch(text)
    if match:
        first, last = int(match[1]), int(match[2] or match[1])
        if 0 < first <= last < 65536:
            return first, last, match[3] or "tcp"
    raise InvalidArgument(f'invalid port specification: "{text}"')


def wanted(wish: Wish, default_address: str = "") -> tuple[Port, ...]:
    """All ports that a start publishes; `default_address` is for those that name none."""
    bindings = dict(wish.host.port_bindings or {})
    if wish.host.publish_all_ports:
        for text in wish.config.exposed_ports or {}:
            first, last, protocol = read_port(text)
            for number in range(first, last + 1):
                if not bindings.get(f"{number}/{protocol}") and not bindings.get(str(number)):
                    bindings[f"{number}/{protocol}"] = [PortBinding()]
    address = "" if default_address in ("", _ANY) else default_address
    found: list[Port] = []
    for text, places in bindings.items():
        first, last, protocol = read_port(text)
        for number in range(first, last + 1):
            found += [_one(number, protocol, place, address) for place in places or ()]
    return tuple(dict.fromkeys(sorted(found, key=lambda p: (p.container_port, p.protocol))))


def _one(number: int, protocol: str, place: PortBinding, address: str) -> Port:
    first, _, last = place.host_port.partition("-")
    return Port(
        container_port=number,
        protocol=protocol,
        host_ip=place.host_ip or address,
        host_port=int(first or 0),
        host_last=int(last or 0),
    )


def check_distinct(ports: Iterable[Port]) -> None:
    """Conflict, in Docker's words, when two ports of a container want the same place on the host."""
    seen: dict[tuple[str, int, str], int] = {}
    for port in ports:
        place = (port.host_ip or _ANY, port.host_port, port.protocol)
        if (
            port.host_port
            and not port.host_last
            and seen.setdefault(place, port.container_port) != (port.container_port)
        ):
            address = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip or _ANY
            raise Conflict(f"Bind for {address}:{port.host_port} failed: port is already allocated")


def bound(ports: Iterable[Port]) -> dict[str, list[PortBinding]]:
    """The map of inspect: every family of addresses a line of its own, IPv4 first."""
    found: dict[str, list[PortBinding]] = {}
    for port in sorted(ports, key=lambda p: (p.container_port, p.protocol, ":" in p.host_ip, p.host_port)):
        lines = found.setdefault(f"{port.container_port}/{port.protocol}", [])
        lines.append(PortBinding(host_ip=port.host_ip or _ANY, host_port=str(port.host_port)))
    return found


def as_ports(bindings: dict[str, list[PortBinding]]) -> tuple[Port, ...]:
    """The other way round: what is bound now, as the hands know it."""
    return tuple(
        _one(read_port(text)[0], read_port(text)[2], place, "")
        for text, places in bindings.items()
        for place in places
    )
