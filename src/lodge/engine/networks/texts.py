"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container: put together and written, also live.

The texts are made by `planning.files`. The files are mounted by their inodes, so a change is written in
place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from lodge.engine.models import Container
from lodge.engine.networks.predefined import BRIDGE
from lodge.engine.parts import Parts
from lodge.engine.planning import files, resolving
from lodge.engine.planning.namespaces import HOST, private_network
from lodge.errors import Conflict, NotFound


def write_all(parts: Parts, container: Container) -> None:
    """All three, for a start."""
    _write(container.hostname_path, container.wish.config.hostname + "\n")
    write_hosts(parts, container)
    write_resolv_conf(parts, container)


def write_hosts(parts: Parts, container: Container) -> None:
    """/etc/hosts as it is now; Conflict for a link to a container that does not run."""
    config, host = container.wish.config, container.wish.host
    if host.network_mode == HOST:
        text = files.read(files.HOSTS) + files.extra_lines(host.extra_hosts, "127.0.0.1")
    else:
        text = files.hosts(
            config.hostname,
            config.domainname,
            host.extra_hosts,
            addresses=list(_addresses(parts, container)),
            gateways=host_gateways(parts),
            links=[(address, names) for address, names, _ in linked(parts, container)],
        )
    _write(container.hosts_path, text)


def write_resolv_conf(parts: Parts, container: Container) -> None:
    """/etc/resolv.conf as it is now: the engine's own name server in every network but the default bridge."""
    host, settings = container.wish.host, parts.settings
    made = resolving.make(
        files.read(files.RESOLV_CONF),
        servers=host.dns or settings.dns,
        search=host.dns_search or settings.dns_search,
        options=host.dns_options or settings.dns_options,
        shared=not private_network(host.network_mode),
        embedded=any(each.endpoint_id and name != BRIDGE for name, each in container.networks.items())
        and _has_interfaces(container),
        ipv6=any(each.global_ipv6_address for each in container.networks.values()),
    )
    _write(container.resolv_conf_path, made.text())


def _has_interfaces(container: Container) -> bool:
    return any(each.ip_address or each.global_ipv6_address for each in container.networks.values())


def _addresses(parts: Parts, container: Container) -> Iterator[str]:
    if not _has_interfaces(container):
        return
    from lodge.engine.networks.plans import places

    for place in places(parts, container):
        yield from filter(None, (place.endpoint.ip_address, place.endpoint.global_ipv6_address))


def host_gateways(parts: Parts) -> list[str]:
    """The addresses of the host as containers see it: as set, else those of the default bridge."""
    if parts.settings.network.host_gateways:
        return parts.settings.network.host_gateways
    bridge = parts.book.named(BRIDGE)
    return [one.gateway for one in bridge.subnets if one.gateway] if bridge is not None else []


def linked(parts: Parts, container: Container) -> Iterator[tuple[str, str, Container]]:
    """(address, names, container) of each link on the default bridge; Conflict when one does not run."""
    for alias, other_id in container.links.items():
        try:
            other = parts.census.find(other_id).container
        except NotFound:
            continue
        place = other.networks.get(BRIDGE)
        if not other.state.running or place is None or not place.ip_address:
            raise Conflict(
                f"Cannot link to a non running container: /{other.name} AS /{container.name}/{alias}"
            )
        names = [alias, other.wish.config.hostname, other.name]
        yield place.ip_address, " ".join(dict.fromkeys(filter(None, names))), other


def linked_variables(parts: Parts, container: Container) -> list[str]:
    """What its links add to a program's environment; a running one may outlive those that it has links to."""
    if not container.links:
        return []
    from lodge.engine.planning import links

    by_id = {other: alias for alias, other in container.links.items()}
    try:
        found = list(linked(parts, container))
    except Conflict:
        if not container.state.running:
            raise
        return []
    return [
        text
        for address, _, other in found
        for text in links.variables(container.name, by_id[other.id], address, other.wish)
    ]


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(fd, text.encode(errors="surrogateescape"))
    finally:
        os.close(fd)
