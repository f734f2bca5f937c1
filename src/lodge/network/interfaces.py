"""Interfaces in a sandbox: made for each endpoint, dressed, taken away, found again.

Works on a `Space` and a `Cell`; the drivers make the links.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from msgspec import structs

from lodge.errors import Conflict, InvalidArgument
from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import Refused
from lodge.kernel.netlink.wire import Request
from lodge.network import settings
from lodge.network.cell import Cell, bonds, guest
from lodge.network.contract import Endpoint
from lodge.network.drivers.contract import Plug
from lodge.network.firewall.facts import Fact
from lodge.network.networks import Networks
from lodge.network.space import Space, default_route, dress, endpoint_sysctls

_HARMLESS = (errno.EEXIST, errno.EAFNOSUPPORT)


class Interfaces:
    """Endpoints made real."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def furnish(self, cell: Cell, space: Space, ahead: Plug | None = None) -> None:
        """An interface for every endpoint of the cell; `ahead` is the first one's, if it was made before."""
        for endpoint in cell.sandbox.endpoints:
            plug, ahead = self._plug(cell, space, endpoint, ahead), None
            cell.plugs[endpoint.id] = plug
            self._dress(space, endpoint, plug)

    def add(self, cell: Cell, space: Space, endpoint: Endpoint) -> Plug:
        """One more, in a sandbox that is in use."""
        plug = self._plug(cell, space, endpoint, None)
        cell.plugs[endpoint.id] = plug
        try:
            self._dress(space, endpoint, plug)
            self.route(cell, space)
        except BaseException:
            self.take(cell, space, endpoint.id)
            raise
        return plug

    def take(self, cell: Cell, space: Space, endpoint_id: str) -> None:
        """One less; the default route is the caller's next step."""
        plug = cell.plugs.pop(endpoint_id, None)
        if plug is not None:
            space.sock.do(links.delete(index=plug.inside), tolerate=(errno.ENODEV,))

    def route(self, cell: Cell, space: Space) -> None:
        """Default routes as the endpoints say."""
        requests: list[Request] = []
        for endpoint in cell.sandbox.endpoints:
            plug = cell.plugs.get(endpoint.id)
            for gateway in (endpoint.gateway4, endpoint.gateway6):
                if gateway and plug is not None:
                    requests += default_route(endpoint, plug.inside, gateway)
        space.sock.do(*requests, tolerate=(errno.EEXIST,))

    def find(self, cell: Cell, space: Space) -> list[str]:
        """Know a sandbox's interfaces again; gives the endpoints that have none any more.

        By their hardware addresses or, where the container changed its own or has none, by the others.
        """
        known = {link.ifindex: link for link in space.links()}
        by_address = {link.mac: link for link in known.values() if link.mac}
        for answer in space.sock.ask(routes.dump_addresses()):
            address = routes.parse_address(answer)
            by_address[str(address.interface)] = known[address.ifindex]
        missing = []
        for endpoint in cell.sandbox.endpoints:
            marks = (endpoint.mac.lower(), endpoint.ipv4, endpoint.ipv6)
            link = next((by_address[mark] for mark in marks if mark in by_address), None)
            if link is None:
                missing.append(endpoint.id)
            else:
                port = link.parent if link.kind == "veth" else 0
                cell.plugs[endpoint.id] = Plug(link.ifindex, link.name, port)
        return missing

    def facts(self, cell: Cell, cells: Iterable[Cell]) -> list[Fact]:
        """What the firewall shall know of the cell's interfaces."""
        found: list[Fact] = []
        for endpoint in cell.sandbox.endpoints:
            plug = cell.plugs.get(endpoint.id)
            if plug is None or not plug.port:
                continue
            network = self._networks[endpoint.network]
            options = settings.bridge(network)
            found.append(guest(endpoint, plug, network, options))
            if endpoint.links and not options.icc:
                found += bonds(endpoint, _linked(endpoint, cells))
        return found

    def _plug(self, cell: Cell, space: Space, endpoint: Endpoint, ahead: Plug | None) -> Plug:
        network = self._networks[endpoint.network]
        driver = self._networks.driver(network)
        used = {plug.name for plug in cell.plugs.values()}
        name = endpoint.interface or _free_name(driver.prefix(network), used)
        _check_name(name, used)
        if ahead is not None:
            return ahead if ahead.name == name else _rename(space, ahead, name)
        try:
            return driver.plug(network, space, name)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise Conflict(f"the interface {name} exists already in the container") from error
            raise Conflict(f"can't make an interface of network {network.name}: {error.strerror}") from error

    def _dress(self, space: Space, endpoint: Endpoint, plug: Plug) -> None:
        sysctls = endpoint_sysctls(endpoint, plug.name)
        if not self._networks.driver(self._networks[endpoint.network]).own_mac:
            endpoint = structs.replace(endpoint, mac="")
        ipv6 = bool(endpoint.ipv6)
        if space.ipv6 is not ipv6:
            space.disable_ipv6(plug.name, disable=not ipv6)
        try:
            space.sock.do(*dress(endpoint, plug.inside), tolerate=_HARMLESS)
            space.write_sysctls(sysctls)
        except FileNotFoundError as error:
            raise InvalidArgument(f"unknown sysctl of an endpoint: {error.filename}") from error
        except Refused as refused:
            raise Conflict(f"can't configure interface {plug.name}: {refused.strerror}") from refused


def _free_name(prefix: str, used: set[str]) -> str:
    number = 0
    while f"{prefix}{number}" in used:
        number += 1
    return f"{prefix}{number}"


def _check_name(name: str, used: set[str]) -> None:
    if name in used or name == "lo":
        raise Conflict(f"the interface name {name} is used twice in one container")
    if not name or len(name.encode()) > 15 or "/" in name or name in {".", ".."} or name.split() != [name]:
        raise InvalidArgument(f"invalid interface name: {name!r}")


def _rename(space: Space, plug: Plug, name: str) -> Plug:
    """Down first: older kernels refuse it for a link that is up."""
    space.sock.do(
        links.change(index=plug.inside, up=False),
        links.change(index=plug.inside, also=links.settings(rename=name)),
    )
    return plug._replace(name=name)


def _linked(endpoint: Endpoint, cells: Iterable[Cell]) -> list[Endpoint]:
    wanted = set(endpoint.links.values())
    return [
        other
        for cell in cells
        if cell.sandbox.container in wanted
        for other in cell.sandbox.endpoints
        if other.network == endpoint.network
    ]
