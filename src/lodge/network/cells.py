"""The sandboxes of all containers: built, changed, released. Each step is undone when a later one fails."""

from __future__ import annotations

import errno
import resource
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

from msgspec import structs

from lodge.errors import NotFound
from lodge.kernel.netlink import links
from lodge.network import host, ports, settings
from lodge.network.cell import Cell
from lodge.network.contract import Bandwidth, Endpoint, Network, Port, Sandbox, Settings
from lodge.network.ears import Ears
from lodge.network.firewall.facts import Fact
from lodge.network.firewall.wall import Wall
from lodge.network.graves import Graves
from lodge.network.interfaces import Interfaces
from lodge.network.keeper import Keeper
from lodge.network.networks import Networks
from lodge.network.outside import Outside
from lodge.network.pool import Blank, Kind, Pool
from lodge.network.ports import Binding, Reserved
from lodge.network.space import Space

_BRIDGED = frozenset({"bridge", "overlay"})
_AHEAD = frozenset({"bridge"})
_SOON = 0.1


class Cells:
    """What all containers have. For any thread; calls about one container never overlap."""

    def __init__(self, wanted: Settings, networks: Networks, wall: Wall, keeper: Keeper) -> None:
        self._settings = wanted
        self._networks = networks
        self._wall = wall
        self.interfaces = Interfaces(networks)
        self.outside = Outside(f"{wanted.directory}/porter")
        self.pool = Pool(keeper, self._blank)
        self.graves = Graves(wanted.instance, keeper, wall, networks.drivers, lambda: self._built)
        self._lock = threading.Lock()
        self._cells: dict[str, Cell] = {}
        self._built = 0.0
        self._keeper = keeper
        self._spent: list[Ears] = []

    def __getitem__(self, container: str) -> Cell:
        try:
            return self._cells[container]
        except KeyError:
            raise NotFound(f"container {container} has no network") from None

    def all(self) -> list[Cell]:
        """Every container's."""
        with self._lock:
            return list(self._cells.values())

    def hold(self, cell: Cell) -> None:
        """Remember one."""
        with self._lock:
            self._cells[cell.sandbox.container] = cell

    def build(self, sandbox: Sandbox, space: Space | None = None) -> Cell:
        """All of a container's network: in a namespace made ahead or in `space`, which is the cell's then."""
        self._built = time.monotonic()
        self._begin_anew(sandbox.container, space)
        for endpoint in sandbox.endpoints:
            self.mend(self._networks[endpoint.network])
        cell = Cell(sandbox)
        with ExitStack() as undo:
            cell.space = space
            undo.callback(cell.close)
            cell.bindings, new = self._reserve(sandbox, [])
            undo.callback(ports.close, new)
            blank = self._blank_for(sandbox, space)
            cell.space = blank.space
            if blank.ears is not None:
                undo.callback(blank.ears.close)
            self.interfaces.furnish(cell, blank.space, blank.plug)
            undo.callback(self._retract, cell)
            self.publish(cell, blank.ears, new)
            self._limit(cell, Bandwidth())
            self.hold(cell)
            undo.pop_all()
        ports.close(new)
        self._spend(blank.ears)
        return cell

    def _begin_anew(self, container: str, space: Space | None) -> None:
        """Whatever a container had before goes, also from a namespace that is furnished again."""
        before = self._cells.get(container)
        if before is None:
            return
        if space is not None:
            same = Cell(before.sandbox)
            self.interfaces.find(same, space)
            for endpoint_id in list(same.plugs):
                self.interfaces.take(same, space, endpoint_id)
        self.release(container)

    def settle(self, container: str) -> None:
        """The container lives in its namespace. One descriptor each is held, while there are plenty."""
        plenty = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4
        self[container].settle(hold=len(self._cells) < plenty)

    def connect(self, cell: Cell, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> str:
        """One more interface in a running container."""
        self.mend(self._networks[endpoint.network])
        space = Space.foreign(pid)
        before, cell.sandbox = cell.sandbox, sandbox
        try:
            plug = self.interfaces.add(cell, space, endpoint)
            try:
                self._hear_and_publish(cell, pid)
                self._limit(cell, Bandwidth())
            except BaseException:
                self.interfaces.take(cell, space, endpoint.id)
                raise
        except BaseException:
            cell.sandbox = before
            self.interfaces.route(cell, space)
            self.publish(cell)
            raise
        finally:
            space.close()
        return plug.name

    def disconnect(self, cell: Cell, pid: int, endpoint: Endpoint, sandbox: Sandbox) -> None:
        """One interface less; ports and the default route follow the endpoint that has them now."""
        space = Space.foreign(pid)
        try:
            cell.sandbox = sandbox
            self.interfaces.take(cell, space, endpoint.id)
            self.interfaces.route(cell, space)
            self.change(cell, pid, sandbox)
        finally:
            space.close()

    def change(self, cell: Cell, pid: int, sandbox: Sandbox) -> tuple[Port, ...]:
        """Other ports, names or limits; gives the ports as bound."""
        before = cell.sandbox, cell.bindings
        bindings, new = self._reserve(sandbox, cell.bindings)
        try:
            cell.sandbox, cell.bindings = sandbox, bindings
            self._hear_and_publish(cell, pid, new)
            if sandbox.bandwidth != before[0].bandwidth:
                self._limit(cell, before[0].bandwidth)
        except BaseException:
            cell.sandbox, cell.bindings = before
            self.publish(cell)
            raise
        finally:
            ports.close(new)
        return tuple(binding.port for binding in bindings)

    def release(self, container: str) -> None:
        """Ports and names are free when this returns. Idempotent."""
        with self._lock:
            cell = self._cells.pop(container, None)
        if cell is None:
            return
        if self._settings.firewall:
            self._wall.say_all({owner(cell): (), **self.graves.facts(_ports(cell))})
        self.outside.leave(container)
        if cell.sandbox.bandwidth.egress:
            self._networks.drivers.limiter.forget(container)
        if flows := ports.ended_flows(cell.bindings):
            self._keeper.later(0, lambda: self._wall.forget_flows(flows))
        self.graves.dig(cell.give_up(), _ports(cell))

    def publish(self, cell: Cell, ears: Ears | None = None, new: Sequence[Reserved] = ()) -> None:
        """Tell the wall and the porter what is true of a container now."""
        if self._settings.firewall:
            self._wall.say(owner(cell), self.facts(cell))
            if flows := ports.stale_flows(reserved.binding for reserved in new):
                self._wall.forget_flows(flows)
        networks = self._networks.some(endpoint.network for endpoint in cell.sandbox.endpoints)
        self.outside.attend(cell, networks, ears, new)
        cell.hearing = cell.sandbox.resolver.embedded and (cell.hearing or ears is not None)

    def _limit(self, cell: Cell, before: Bandwidth) -> None:
        """Set the limits of a container's interfaces; nothing to do for one that has none and had none."""
        wanted = cell.sandbox.bandwidth
        if wanted != Bandwidth() or before != Bandwidth():
            container = cell.sandbox.container
            self._networks.drivers.limiter.limit(container, _ports(cell), wanted)

    def facts(self, cell: Cell) -> list[Fact]:
        """What the wall shall know of a container."""
        found = self.interfaces.facts(cell, self.all())
        found += ports.openings(cell.bindings)
        for version in (4, 6):
            endpoint = self._bridged(cell.holder(version))
            if endpoint is not None:
                options = settings.bridge(self._networks[endpoint.network])
                if (options.mode4 if version == 4 else options.mode6) == "routed" or options.trusted:
                    found += ports.direct(cell.sandbox.ports, endpoint, version)
        return found

    def bindings(self, sandbox: Sandbox) -> list[Binding]:
        """What a sandbox's ports mean on this host: they lead to the endpoints with the default routes."""
        cell = Cell(sandbox)
        holder4, holder6 = self._bridged(cell.holder(4)), self._bridged(cell.holder(6))
        networks = [self._networks[one.network] for one in (holder4, holder6) if one is not None]
        if not networks or not sandbox.ports:
            return []
        options = settings.bridge(networks[0])
        options = structs.replace(options, mode6=settings.bridge(networks[-1]).mode6)
        wanted = self._settings
        by_kernel = wanted.firewall and (options.publish or wanted.publish) == "kernel"
        return ports.plan(
            sandbox.ports, holder4, holder6, options,
            proxy=wanted.proxy or not by_kernel, kernel=by_kernel, ipv6_host=host.has_ipv6(),
        )  # fmt: skip

    def _bridged(self, endpoint: Endpoint | None) -> Endpoint | None:
        """The endpoint, if it is on a bridge: elsewhere nothing is published."""
        if endpoint is None or self._networks[endpoint.network].driver not in _BRIDGED:
            return None
        return endpoint

    def mend(self, network: Network) -> None:
        """A network whose links somebody has deleted is made again, and its guests are put back."""
        if self._networks.intact(network):
            return
        self.pool.forget(network.id)
        driver = self._networks.driver(network)
        for cell in self.all():
            for endpoint in cell.sandbox.endpoints:
                plug = cell.plugs.get(endpoint.id)
                if endpoint.network == network.id and plug is not None and plug.port:
                    driver.replug(network, plug.port)

    def ports(self) -> set[int]:
        """The numbers of the host's ends of all interfaces, of those made ahead too."""
        return {plug.port for cell in self.all() for plug in cell.plugs.values()} | self.pool.ports()

    def close(self) -> None:
        """Let go; containers keep what they have."""
        self.pool.close()
        self._close_spent()
        self.outside.close()
        for cell in self.all():
            cell.close()
        self.graves.close()

    def _reserve(self, sandbox: Sandbox, held: Sequence[Binding]) -> tuple[list[Binding], list[Reserved]]:
        """All bindings of a wish, and the sockets of those that are not held yet."""
        wished = [ports.keep(binding, held) for binding in self.bindings(sandbox)]
        mine = {binding.key for binding in held}
        missing = [binding for binding in wished if binding.key not in mine]
        others = {binding.key for cell in self.all() for binding in cell.bindings}
        new = ports.reserve(missing, others)
        bound = iter(new)
        return [b if b.key in mine else next(bound).binding for b in wished], new

    def _retract(self, cell: Cell) -> None:
        self._wall.forget(owner(cell))
        self.outside.leave(cell.sandbox.container)

    def _hear_and_publish(self, cell: Cell, pid: int, new: Sequence[Reserved] = ()) -> None:
        """A container that comes to its first network with names gets its name server's sockets now."""
        ears = None
        if cell.sandbox.resolver.embedded and not cell.hearing:
            space = Space.foreign(pid)
            try:
                ears = Ears(space, new=False)
            finally:
                space.close()
        try:
            self.publish(cell, ears, new)
        finally:
            self._spend(ears)

    def _spend(self, ears: Ears | None) -> None:
        """The porter has its own copies: close ours when nobody waits."""
        if ears is not None:
            with self._lock:
                self._spent.append(ears)
            self._keeper.later(_SOON, self._close_spent)

    def _close_spent(self) -> None:
        with self._lock:
            spent, self._spent = self._spent, []
        for ears in spent:
            ears.close()

    def _blank_for(self, sandbox: Sandbox, space: Space | None) -> Blank:
        embedded = sandbox.resolver.embedded
        if space is not None:
            space.sock.do(links.change("lo", up=True))
            return Blank(space, None, Ears(space, new=False) if embedded else None)
        first = self._networks[sandbox.endpoints[0].network] if sandbox.endpoints else None
        if first is not None and first.driver in _AHEAD:
            return self.pool.take(Kind(first.id, embedded))
        return _empty(ipv6=any(endpoint.ipv6 for endpoint in sandbox.endpoints), names=embedded)

    def _blank(self, kind: Kind) -> Blank:
        network = self._networks[kind.network]
        driver = self._networks.driver(network)
        blank = _empty(ipv6=network.ipv6, names=kind.names)
        try:
            plug = driver.plug(network, blank.space, driver.prefix(network) + "0")
            blank.space.sock.do(
                links.change(index=plug.inside, also=links.settings(quiet6=True)),
                links.change(index=plug.inside, up=True),
                tolerate=(errno.EAFNOSUPPORT,),
            )
        except BaseException:
            blank.close()
            raise
        blank.plug = plug
        return blank


def _ports(cell: Cell) -> list[int]:
    return [plug.port for plug in cell.plugs.values() if plug.port]


def owner(cell: Cell) -> str:
    """The name under which the wall knows a container."""
    return f"container {cell.sandbox.container}"


def _empty(*, ipv6: bool, names: bool) -> Blank:
    """A namespace with nothing but lo."""
    space = Space.create(ipv6=ipv6)
    try:
        return Blank(space, None, Ears(space, new=True) if names else None)
    except BaseException:
        space.close()
        raise
