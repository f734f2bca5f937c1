"""Networks of drivers macvlan and ipvlan: a sandbox's interface lies directly on a link of the host.

Neither bridge nor rules: guests are in the parent's network as if they were machines of their own. A parent
"eth0.10" that is missing is made as a sub-interface of that vlan; without a parent guests see only each
other, over a link of ours that leads nowhere.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence

from lodge.errors import Conflict, InvalidArgument, Unsupported
from lodge.kernel.netlink import links
from lodge.kernel.netlink.socket import NetlinkSocket, Refused
from lodge.kernel.netlink.wire import Request
from lodge.network import host, naming, settings
from lodge.network.contract import Network, Settings
from lodge.network.drivers.contract import Plug
from lodge.network.firewall.facts import Side
from lodge.network.naming import Mark
from lodge.network.space import Space

_Chooser = Callable[[Mark], bool]


class ParentDriver:
    """macvlan or ipvlan, `kind` says which."""

    def __init__(self, kind: str, wanted: Settings, sock: NetlinkSocket, lock: threading.Lock) -> None:
        self._kind = kind
        self.own_mac = kind != "ipvlan"
        self._settings = wanted
        self._socket = sock
        self._lock = lock

    def check(self, network: Network) -> None:
        """Known options, a kernel that has the driver, a parent that exists or can be made."""
        settings.check_known(network)
        options = settings.parent(network)
        self._probe()
        with self._lock:
            if options.parent and host.find_link(self._socket, options.parent) is None:
                if not options.tag:
                    raise InvalidArgument(
                        f"invalid subinterface vlan name {options.parent}, example formatting is eth0.10"
                    )
                if host.find_link(self._socket, options.trunk) is None:
                    raise InvalidArgument(f"parent interface {options.trunk} was not found on the host")

    def create(self, network: Network) -> list[Side]:
        """Make the parent, where it is not the user's own."""
        with self._lock:
            if host.find_link(self._socket, self._parent_name(network)) is None:
                self._make_parent(network)
        return []

    def remove(self, network: Network) -> None:
        """The parent goes if it was made here."""
        with self._lock:
            self._delete_parents(lambda mark: mark.id == network.id)

    def intact(self, network: Network) -> bool:
        """Whether the parent is there."""
        with self._lock:
            return host.find_link(self._socket, self._parent_name(network)) is not None

    def replug(self, network: Network, port: int) -> None:
        """Nothing of a guest is on the host."""

    def plug(self, network: Network, space: Space, name: str) -> Plug:
        """Born on the parent, under a name of its own, straight into the sandbox."""
        options = settings.parent(network)
        also = links.settings(netns=space.fd, mtu=options.mtu)
        with self._lock:
            parent = host.find_link(self._socket, self._parent_name(network))
            if parent is None:
                raise Refused(errno.ENODEV, options.parent, 0)
            if self._kind == "macvlan":
                request = links.macvlan(name, parent.ifindex, options.mode, also=also)
            else:
                request = links.ipvlan(name, parent.ifindex, options.mode, options.flag, also=also)
            self._socket.do(request)
        return Plug(space.index(name), name, 0)

    def prefix(self, network: Network) -> str:
        """The network's own word, or "eth"."""
        return settings.parent(network).prefix

    def leftovers(self, networks: Sequence[Network]) -> None:
        """Parents made for networks that are gone."""
        wanted = {network.id for network in networks}
        with self._lock:
            self._delete_parents(lambda mark: mark.id not in wanted)

    def _parent_name(self, network: Network) -> str:
        options = settings.parent(network)
        return options.parent or "dm-" + network.id[:11]

    def _make_parent(self, network: Network) -> None:
        options = settings.parent(network)
        name = self._parent_name(network)
        for request in self._parent_requests(network, name, options):
            try:
                self._socket.do(request)
            except Refused as refused:
                self._socket.do(links.delete(name), tolerate=(errno.ENODEV,))
                if refused.errno == errno.EOPNOTSUPP:
                    raise Unsupported(
                        f"this kernel can't make the parent {name}: it has no vlan links"
                    ) from refused
                raise Conflict(f"can't make the parent {name}: {refused.strerror}") from refused

    def _parent_requests(
        self, network: Network, name: str, options: settings.ParentSettings
    ) -> list[Request]:
        mark = links.settings(alias=naming.alias(self._settings.instance, naming.PARENT, network.id))
        if options.parent:
            trunk = host.find_link(self._socket, options.trunk)
            if trunk is None or not options.tag:
                raise InvalidArgument(f"parent interface {options.parent} was not found on the host")
            made = [links.vlan(name, trunk.ifindex, options.tag)]
        else:
            # A pair whose other end nobody uses: it leads nowhere and yet has a carrier.
            end = "dn" + name[2:]
            made = [links.veth(name, end), links.change(end, up=True)]
        return [*made, links.change(name, also=mark), links.change(name, up=True)]

    def _delete_parents(self, unwanted: _Chooser) -> None:
        for link in host.every_link(self._socket):
            mark = naming.mark(link, self._settings.instance)
            if mark is not None and mark.kind == naming.PARENT and unwanted(mark):
                self._socket.do(links.delete(index=link.ifindex), tolerate=(errno.ENODEV,))

    def _probe(self) -> None:
        """Unsupported where the kernel has no such links: the one way to know is to ask for one."""
        name = naming.random_name()
        data = (
            links.macvlan(name, 1, "bridge")
            if self._kind == "macvlan"
            else links.ipvlan(name, 1, "l2", "bridge")
        )
        with self._lock:
            refused = self._socket.try_all([data])[0]
            if refused is None:
                self._socket.do(links.delete(name))
            elif refused.errno == errno.EOPNOTSUPP:
                raise Unsupported(f"this kernel has no {self._kind} links")
