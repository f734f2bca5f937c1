"""The variables that a link of the default bridge brings: where the other container's ports are. Pure.

Source: Docker's legacy links; the names are made of the alias in capitals.
"""

from __future__ import annotations

from collections.abc import Sequence

from lodge.engine.planning.ports import read_port
from lodge.spec.container import Wish

_NOT_PASSED_ON = ("HOME", "PATH")


def variables(owner: str, alias: str, address: str, other: Wish) -> list[str]:
    """Those of one link: `owner` is who has it, `address` the other's."""
    prefix = alias.upper().replace("-", "_")
    ports = _ports(other)
    found: list[str] = []
    if ports:
        number, protocol = ports[0]
        found.append(f"{prefix}_PORT={protocol}://{address}:{number}")
    for number, protocol in ports:
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        found += [
            f"{name}={protocol}://{address}:{number}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={number}",
            f"{name}_PROTO={protocol}",
        ]
    found += _runs(prefix, address, ports)
    found.append(f"{prefix}_NAME=/{owner}/{alias}")
    for entry in other.config.env or ():
        name, equals, value = entry.partition("=")
        if equals and name not in _NOT_PASSED_ON:
            found.append(f"{prefix}_ENV_{name}={value}")
    return found


def _ports(other: Wish) -> list[tuple[int, str]]:
    """What the other exposes or publishes, TCP first."""
    found: set[tuple[int, str]] = set()
    for text in (*(other.config.exposed_ports or {}), *(other.host.port_bindings or {})):
        first, last, protocol = read_port(text)
        found |= {(number, protocol) for number in range(first, last + 1)}
    return sorted(found, key=lambda port: (port[1], port[0]))


def _runs(prefix: str, address: str, ports: Sequence[tuple[int, str]]) -> list[str]:
    """START and END of ports that follow each other."""
    found: list[str] = []
    position = 0
    while position < len(ports):
        first, protocol = last, _ = ports[position]
        while position + 1 < len(ports) and ports[position + 1] == (last + 1, protocol):
            position += 1
            last = ports[position][0]
        position += 1
        if last > first:
            name = f"{prefix}_PORT_{first}_{protocol.upper()}"
            found += [
                f"{name}_START={protocol}://{address}:{first}",
                f"{name}_PORT_START={first}",
                f"{name}_END={protocol}://{address}:{last}",
                f"{name}_PORT_END={last}",
            ]
    return found
