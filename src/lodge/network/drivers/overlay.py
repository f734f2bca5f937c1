"""Networks of driver overlay: a bridge on each engine, the bridges joined by a vxlan over the hosts' network.

The other ends are told as an option (io.lodge.vxlan.peers: addresses, separated by commas); what a bridge
does not know is sent to all of them. Each engine chooses addresses of its guests: give each an ip range.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from ipaddress import ip_address

from lodge.errors import Conflict, InvalidArgument, Unsupported
from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NetlinkSocket, Refused
from lodge.network import host, naming, settings
from lodge.network.contract import Network, Settings
from lodge.network.drivers.bridge import BridgeDriver
from lodge.network.drivers.contract import Plug
from lodge.network.firewall.facts import Side
from lodge.network.settings import TunnelSettings
from lodge.network.space import Space

_OVERHEAD = 50
"""Bytes that a vxlan adds to a frame over IPv4 (RFC 7348); over IPv6 20 more."""


class OverlayDriver:
    """The bridge driver's work, and one vxlan a network."""

    own_mac = True

    def __init__(
        self, wanted: Settings, sock: NetlinkSocket, lock: threading.Lock, bridges: BridgeDriver
    ) -> None:
        self._settings = wanted
        self._socket = sock
        self._lock = lock
        self._bridges = bridges

    def check(self, network: Network) -> None:
        """Known options and addresses."""
        settings.check_known(network)
        options = settings.tunnel(network)
        if not 0 < options.vni < 1 << 24:
            raise InvalidArgument(f"vxlan id {options.vni} is not between 1 and 16777215")
        for address in (*options.peers, *filter(None, [options.local])):
            try:
                ip_address(address)
            except ValueError:
                raise InvalidArgument(f"invalid address of a vxlan's end: {address}") from None
        self._bridges.check(network)

    def create(self, network: Network) -> list[Side]:
        """The bridge, the vxlan on it, its other ends."""
        sides = self._bridges.create(network)
        options = settings.tunnel(network)
        name = _name(network)
        with self._lock:
            try:
                link = host.find_link(self._socket, name) or self._make(network, options, name)
                bridge = host.find_link(self._socket, network.link)
                master = links.settings(master=bridge.ifindex if bridge else None)
                self._socket.do(
                    links.change(name, up=True, also=master),
                    *(routes.flood(link.ifindex, ip_address(peer).packed) for peer in options.peers),
                    tolerate=(errno.EEXIST,),
                )
            except Refused as refused:
                if refused.errno == errno.EOPNOTSUPP:
                    raise Unsupported("this kernel has no vxlan links") from refused
                raise Conflict(
                    f"can't make the vxlan of network {network.name}: {refused.strerror}"
                ) from refused
        return sides

    def remove(self, network: Network) -> None:
        """Both go."""
        with self._lock:
            self._socket.do(links.delete(_name(network)), tolerate=(errno.ENODEV,))
        self._bridges.remove(network)

    def intact(self, network: Network) -> bool:
        """Whether both are there."""
        with self._lock:
            tunnel = host.find_link(self._socket, _name(network))
        return tunnel is not None and self._bridges.intact(network)

    def replug(self, network: Network, port: int) -> None:
        """The port on the bridge again."""
        self._bridges.replug(network, port)

    def plug(self, network: Network, space: Space, name: str) -> Plug:
        """As on any bridge, with frames that leave room for the vxlan's header."""
        plug = self._bridges.plug(network, space, name)
        if not settings.bridge(network).mtu:
            smaller = links.settings(mtu=1500 - _overhead(settings.tunnel(network)))
            space.sock.do(links.change(index=plug.inside, also=smaller))
            with self._lock:
                self._socket.do(links.change(index=plug.port, also=smaller), tolerate=(errno.ENODEV,))
        return plug

    def prefix(self, network: Network) -> str:
        """The network's own word, or "eth"."""
        return self._bridges.prefix(network)

    def leftovers(self, networks: Sequence[Network]) -> None:
        """Tunnels of networks that are gone; their bridges are the bridge driver's."""
        wanted = {network.id for network in networks}
        with self._lock:
            for link in host.every_link(self._socket):
                mark = naming.mark(link, self._settings.instance)
                if mark is not None and mark.kind == naming.TUNNEL and mark.id not in wanted:
                    self._socket.do(links.delete(index=link.ifindex), tolerate=(errno.ENODEV,))

    def _make(self, network: Network, options: TunnelSettings, name: str) -> links.Link:
        local = ip_address(options.local).packed if options.local else b""
        mark = naming.alias(self._settings.instance, naming.TUNNEL, network.id)
        self._socket.do(
            links.vxlan(name, options.vni, local=local, port=options.port),
            links.change(name, also=links.settings(alias=mark)),
        )
        return links.parse(self._socket.ask(links.get(name))[0])


def _name(network: Network) -> str:
    return "vx-" + network.id[:12]


def _overhead(options: TunnelSettings) -> int:
    over6 = any(":" in peer for peer in options.peers)
    return _OVERHEAD + 20 if over6 else _OVERHEAD
