"""Networks of driver bridge: a bridge on the host, a pair of links for each guest."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from ipaddress import ip_interface, ip_network

from lodge.errors import Conflict, InvalidArgument
from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NetlinkSocket, Refused
from lodge.kernel.netlink.wire import Request
from lodge.network import host, naming, settings
from lodge.network.contract import Network, Settings
from lodge.network.drivers.contract import Plug
from lodge.network.firewall.facts import Side
from lodge.network.settings import BridgeSettings
from lodge.network.space import Space


class BridgeDriver:
    """Makes bridges through one socket in the host's namespace."""

    own_mac = True

    def __init__(self, wanted: Settings, sock: NetlinkSocket, lock: threading.Lock) -> None:
        self._settings = wanted
        self._socket = sock
        self._lock = lock
        self._netfilter = host.sysctl("bridge/bridge-nf-call-iptables") == "1"
        self._index: dict[str, int] = {}
        """Network id to the number of its bridge."""

    def check(self, network: Network) -> None:
        """Known options; a name that is free or a bridge's; isolation with internal networks only."""
        settings.check_known(network)
        options = settings.bridge(network)
        for mode, family in ((options.mode4, "ipv4"), (options.mode6, "ipv6")):
            if mode == "isolated" and not network.internal:
                raise InvalidArgument(
                    f"gateway mode 'isolated' for {family} can only be used for an internal network"
                )
        if not network.link or len(network.link.encode()) > 15 or "/" in network.link:
            raise InvalidArgument(f"invalid name of a bridge: {network.link!r}")
        with self._lock:
            found = host.find_link(self._socket, network.link)
        if found is not None and found.kind != "bridge":
            raise Conflict(f"existing interface {network.link} is not a bridge")
        if found is not None and found.alias.startswith("lodge:"):
            mark = naming.mark(found, self._settings.instance)
            if mark is None or mark.id != network.id:
                raise Conflict(f"the bridge {network.link} belongs to another network ({found.alias})")

    def create(self, network: Network) -> list[Side]:
        """The bridge with its address, up; one that the user made is used as it is, with ours added."""
        options = settings.bridge(network)
        with self._lock:
            try:
                link = self._find(network) or self._make(network, options)
                self._configure(network, options, link)
                if not network.internal and self._settings.forward:
                    host.forward(ipv4=network.ipv4, ipv6=network.ipv6)
            except OSError as error:
                raise Conflict(f"can't make the bridge {network.link}: {error.strerror}") from error
            self._index[network.id] = link.ifindex
        return [self._side(network, options, link.ifindex)]

    def remove(self, network: Network) -> None:
        """The bridge goes, unless the user had made it."""
        with self._lock:
            self._index.pop(network.id, None)
            for link in host.every_link(self._socket):
                if naming.mark(link, self._settings.instance) == (naming.BRIDGE, network.id):
                    self._socket.do(links.delete(index=link.ifindex), tolerate=(errno.ENODEV,))

    def intact(self, network: Network) -> bool:
        """Whether the bridge that we know is there."""
        with self._lock:
            index = self._index.get(network.id)
            try:
                return index is not None and bool(self._socket.ask(links.get(index=index)))
            except OSError:
                return False

    def replug(self, network: Network, port: int) -> None:
        """The port on the bridge again."""
        with self._lock:
            master = links.settings(master=self._index[network.id])
            self._socket.do(links.change(index=port, up=True, also=master), tolerate=(errno.ENODEV,))

    def plug(self, network: Network, space: Space, name: str) -> Plug:
        """A pair: one end on the bridge, one inside."""
        options = settings.bridge(network)
        port = naming.random_name()
        mark = naming.alias(self._settings.instance, naming.PORT, network.id)
        mtu = links.settings(mtu=options.mtu)
        with self._lock:
            bridge = self._index.get(network.id)
            if bridge is None:
                raise Refused(errno.ENODEV, network.link, 0)
            self._socket.do(links.veth(port, name, also=mtu, peer_also=mtu + links.settings(netns=space.fd)))
            try:
                self._socket.do(
                    links.change(port, also=links.settings(alias=mark)),
                    links.change(port, also=links.settings(quiet6=True)),
                    links.change(port, up=True, also=links.settings(master=bridge)),
                    *self._hairpin(port),
                    tolerate=(errno.EAFNOSUPPORT,),
                )
                outside = links.parse(self._socket.ask(links.get(port))[0])
            except OSError:
                self._socket.do(links.delete(port), tolerate=(errno.ENODEV,))
                raise
        # The pair's two numbers: the host's link says the other's.
        return Plug(outside.parent, name, outside.ifindex)

    def prefix(self, network: Network) -> str:
        """The network's own word, or "eth"."""
        return settings.bridge(network).prefix

    def leftovers(self, networks: Sequence[Network]) -> None:
        """Bridges of this engine whose networks are gone."""
        wanted = {network.id for network in networks}
        with self._lock:
            for link in host.every_link(self._socket):
                mark = naming.mark(link, self._settings.instance)
                if mark is not None and mark.kind == naming.BRIDGE and mark.id not in wanted:
                    self._socket.do(links.delete(index=link.ifindex), tolerate=(errno.ENODEV,))

    def _hairpin(self, port: str) -> list[Request]:
        """Where bridged packets are translated, one to a guest's own port never leaves the bridge."""
        return [links.hairpin(port)] if self._netfilter else []

    def _find(self, network: Network) -> links.Link | None:
        """The bridge of this network, under whatever name; else one of the wished name."""
        for link in host.every_link(self._socket):
            if naming.mark(link, self._settings.instance) == (naming.BRIDGE, network.id):
                if link.name != network.link:
                    # Somebody renamed it. A link that is up keeps its name on older kernels.
                    name = links.settings(rename=network.link)
                    self._socket.do(
                        links.change(index=link.ifindex, up=False),
                        links.change(index=link.ifindex, also=name),
                    )
                return link._replace(name=network.link)
        return host.find_link(self._socket, network.link)

    def _make(self, network: Network, options: BridgeSettings) -> links.Link:
        mark = naming.alias(self._settings.instance, naming.BRIDGE, network.id)
        also = links.settings(mac=naming.bridge_mac(network.id), mtu=options.mtu)
        # One message: a sudden death leaves no bridge that nobody knows.
        self._socket.do(
            links.bridge(network.link, also=also),
            links.change(network.link, also=links.settings(alias=mark)),
            links.change(network.link, also=links.settings(quiet6=True)),
            tolerate=(errno.EAFNOSUPPORT,),
        )
        return links.parse(self._socket.ask(links.get(network.link))[0])

    def _configure(self, network: Network, options: BridgeSettings, link: links.Link) -> None:
        wanted = _addresses(network, options, link.mac)
        present = [routes.parse_address(answer) for answer in self._socket.ask(routes.dump_addresses())]
        ours = {a.interface for a in present if a.ifindex == link.ifindex}
        requests = [routes.add_address(link.ifindex, a) for a in wanted if ip_interface(a) not in ours]
        if naming.mark(link, self._settings.instance) is not None:
            stale = ours - {ip_interface(a) for a in wanted}
            requests += [routes.delete_address(link.ifindex, str(a)) for a in stale]
        self._socket.do(*requests, links.change(index=link.ifindex, up=True), tolerate=(errno.EEXIST,))
        if network.ipv4:
            # Only where a rule forbids the guests to use it.
            local = self._settings.firewall and not network.internal
            host.set_sysctl(f"ipv4/conf/{network.link}/route_localnet", "1" if local else "0")
        if host.sysctl(f"ipv6/conf/{network.link}/accept_ra"):
            host.set_sysctl(f"ipv6/conf/{network.link}/accept_ra", "0")

    def _side(self, network: Network, options: BridgeSettings, index: int) -> Side:
        hide = options.masquerade and self._settings.masquerade and not network.internal
        trusted = (host.find_link(self._socket, name) for name in options.trusted)
        prefixes = [ip_network(subnet.subnet) for subnet in network.subnets]
        return Side(
            index=index,
            internal=network.internal,
            icc=options.icc,
            mode4=options.mode4,
            mode6=options.mode6,
            masquerade4=hide and options.mode4.startswith("nat"),
            masquerade6=hide and options.mode6.startswith("nat"),
            source4=options.source4,
            source6=options.source6,
            prefixes4=tuple(str(prefix) for prefix in prefixes if prefix.version == 4),
            prefixes6=tuple(str(prefix) for prefix in prefixes if prefix.version == 6),
            trusted=tuple(link.ifindex for link in trusted if link is not None),
        )


def _addresses(network: Network, options: BridgeSettings, mac: str) -> list[str]:
    """The host's own addresses on the bridge, with length.

    The link-local one is ours to add: the kernel's would be tentative for seconds, and no neighbour is asked
    for anything before it is not.
    """
    found = []
    if network.ipv6 and options.mode6 != "isolated":
        found.append(f"{naming.link_local(mac)}/64")
    for subnet in network.subnets:
        net = ip_network(subnet.subnet)
        isolated = (options.mode4 if net.version == 4 else options.mode6) == "isolated"
        inhibited = net.version == 4 and options.inhibit4
        if subnet.gateway and not isolated and not inhibited:
            found.append(f"{subnet.gateway}/{net.prefixlen}")
    return found
