"""Coming up: networks, running containers and the porter are compared with what is wanted, and made to agree.

After a crash at any moment, links, rules and sockets of ours that belong to nothing go; what is missing is
made. Links carry our mark; the tables have our name; the porter tells what it holds.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from lodge.errors import LodgeError
from lodge.kernel.netlink import links
from lodge.network import host, naming, ports
from lodge.network.cell import Cell
from lodge.network.cells import Cells, owner
from lodge.network.contract import Living, Network, Settings
from lodge.network.ears import Ears
from lodge.network.firewall.facts import Fact
from lodge.network.firewall.wall import Wall
from lodge.network.networks import Networks
from lodge.network.ports import Binding, Reserved
from lodge.network.space import Space

Facts = list[tuple[str, Sequence[Fact]]]


def revive(
    wanted: Settings,
    known: Networks,
    cells: Cells,
    wall: Wall,
    networks: Sequence[Network],
    living: Sequence[Living],
) -> list[str]:
    """Everything, in the order in which things stand on each other. Gives warnings for people."""
    warnings: list[str] = []
    facts: Facts = []
    for network in networks:
        try:
            facts.append(known.found(network))
        except (LodgeError, OSError) as error:
            warnings.append(f"network {network.name}: {error}")
    found: list[tuple[Cell, int]] = []
    for one in living:
        try:
            cell, words = _find(known, cells, one)
        except (LodgeError, OSError) as error:
            warnings.append(f"container {one.sandbox.container[:12]}: {error}")
            continue
        warnings += words
        found.append((cell, one.pid))
        cells.hold(cell)
    if wanted.firewall:
        facts += [(owner(cell), cells.facts(cell)) for cell, _ in found]
        wall.load(facts)
        if any(network.driver == "bridge" and not network.internal for network in networks):
            warnings += host.strict_neighbours(wall.name)
    _bury(wanted, known, cells, networks)
    warnings += _serve(known, cells, found)
    return warnings


def _find(known: Networks, cells: Cells, one: Living) -> tuple[Cell, list[str]]:
    """A running container's sandbox as it is; ports on bridges are put back where they belong."""
    cell = Cell(one.sandbox)
    space = Space.of(one.pid)
    try:
        missing = cells.interfaces.find(cell, space)
    finally:
        space.close()
    for endpoint in one.sandbox.endpoints:
        plug = cell.plugs.get(endpoint.id)
        if plug is not None and plug.port:
            network = known[endpoint.network]
            known.driver(network).replug(network, plug.port)
    cell.bindings = cells.bindings(one.sandbox)
    words = [
        f"container {one.sandbox.container[:12]}: the interface of endpoint {e[:12]} is gone" for e in missing
    ]
    return cell, words


def _bury(wanted: Settings, known: Networks, cells: Cells, networks: Sequence[Network]) -> None:
    """Links with our mark that belong to nothing."""
    alive = cells.ports()
    drivers = known.drivers
    with drivers.lock:
        for link in host.every_link(drivers.socket):
            mark = naming.mark(link, wanted.instance)
            if mark is not None and mark.kind == naming.PORT and link.ifindex not in alive:
                drivers.socket.do(links.delete(index=link.ifindex), tolerate=(errno.ENODEV,))
    drivers.limiter.leftovers(cell.sandbox.container for cell in cells.all())
    for driver in drivers.all():
        driver.leftovers(networks)


def _serve(known: Networks, cells: Cells, found: Sequence[tuple[Cell, int]]) -> list[str]:
    """Names and ports of running containers; sockets that no porter holds any more are made again."""
    needed = [(cell, pid) for cell, pid in found if cell.bindings or cell.sandbox.resolver.embedded]
    if not needed and not cells.outside.was_used():
        return []
    warnings: list[str] = []
    held = cells.outside.held()
    for cell, pid in needed:
        keys = set(held.get(cell.sandbox.container, ()))
        new, words = _missing([b for b in cell.bindings if b.key not in keys])
        warnings += words
        ears = _ears(pid) if cell.sandbox.resolver.embedded and "dns" not in keys else None
        cell.hearing = cell.sandbox.resolver.embedded
        networks = known.some(endpoint.network for endpoint in cell.sandbox.endpoints)
        cells.outside.attend(cell, networks, ears, new)
        ports.close(new)
        if ears is not None:
            ears.close()
    cells.outside.settle()
    return warnings


def _missing(bindings: Sequence[Binding]) -> tuple[list[Reserved], list[str]]:
    new: list[Reserved] = []
    words = []
    for binding in bindings:
        try:
            new += ports.reserve([binding], ())
        except LodgeError as error:
            words.append(f"a published port could not be taken again: {error}")
            new.append(Reserved(binding, None))
    return new, words


def _ears(pid: int) -> Ears:
    space = Space.of(pid)
    try:
        return Ears(space, new=False)
    finally:
        space.close()
