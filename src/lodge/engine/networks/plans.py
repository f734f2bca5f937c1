"""What the hands are told of a container: its row and the book of networks, looked up and planned.

Imported when a network is first needed; the planning itself is pure and next door (`planning.sandbox`).
"""

from __future__ import annotations

from lodge.engine.models import Container, Network
from lodge.engine.networks.book import Book
from lodge.engine.parts import Parts
from lodge.engine.planning import files, ports, resolving, sandbox
from lodge.engine.planning.sandbox import Place
from lodge.errors import LodgeError, NotFound
from lodge.network import contract
from lodge.spec.container import EndpointSettings


def network_of(book: Book, name: str, endpoint: EndpointSettings) -> Network:
    """The network of a place: the one that it was in before, else by its name; NotFound in Docker's words."""
    if not endpoint.network_id:
        return book.find(name)
    found = book.by_id(endpoint.network_id)
    if found is None:
        raise NotFound(f"network {endpoint.network_id} not found")
    return found


def places(parts: Parts, container: Container) -> list[Place]:
    """The container's places that have interfaces, in the order of these."""
    found: list[Place] = []
    for endpoint in container.networks.values():
        network = parts.book.by_id(endpoint.network_id) if endpoint.endpoint_id else None
        if network is not None and network.subnets:
            found.append(Place(network=network, endpoint=endpoint))
    return sandbox.in_order(found)


def whole(
    parts: Parts, container: Container, published: tuple[contract.Port, ...] | None = None
) -> contract.Sandbox:
    """The container's sandbox; `published` ports are those that it asks for, unless others are given."""
    standing = places(parts, container)
    if published is None:
        published = ports.wanted(container.wish, bind_address(parts, standing)) if standing else ()
    ports.check_distinct(published)
    return sandbox.plan(
        container,
        standing,
        ports=published,
        resolver=resolver(parts, container, standing),
        others=_others(parts, standing),
    )


def bind_address(parts: Parts, standing: list[Place]) -> str:
    """Where ports are published that name no address: the network with the default route says it."""
    option = "com.docker.network.bridge.host_binding_ipv4"
    own = standing[0].network.options.get(option, "") if standing else ""
    return own or parts.settings.network.bind_address


def _others(parts: Parts, standing: list[Place]) -> dict[str, str]:
    found: dict[str, str] = {}
    for place in standing:
        for text in place.endpoint.links or ():
            name, _ = sandbox.read_link(text)
            try:
                found[name] = parts.census.find(name).id
            except LodgeError:
                continue
    return found


def resolver(parts: Parts, container: Container, standing: list[Place]) -> contract.Resolver:
    """What the container's name server forwards to; nothing where every network is internal."""
    if not sandbox.embedded(standing):
        return contract.Resolver()
    host, settings = container.wish.host, parts.settings
    made = resolving.make(
        files.read(files.RESOLV_CONF),
        servers=host.dns or settings.dns,
        search=host.dns_search or settings.dns_search,
        options=host.dns_options or settings.dns_options,
        shared=False,
        embedded=True,
        ipv6=False,
    )
    outside = not all(place.network.internal for place in standing)
    return contract.Resolver(
        embedded=True,
        upstreams=tuple(made.upstreams) if outside else (),
        search=tuple(made.search),
        options=tuple(made.options),
        domain=container.wish.config.domainname,
    )


def living(parts: Parts, container: Container) -> contract.Living | None:
    """A running container as the hands meet it again; None for one without interfaces."""
    if not places(parts, container):
        return None
    held = ports.as_ports(container.ports)
    return contract.Living(sandbox=whole(parts, container, held), pid=container.state.pid)
