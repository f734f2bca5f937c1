"""One sandbox's namespace in our hands: its descriptor and a netlink socket inside; links dressed there."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address

from lodge.errors import Internal, InvalidArgument, NotFound
from lodge.kernel import netspaces
from lodge.kernel.netlink import links, routes
from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.kernel.netlink.wire import Request
from lodge.network import host
from lodge.network.contract import Counters, Endpoint
from lodge.network.naming import link_local

# In every new namespace: the neighbours are told at once who has an address now.
_DEFAULTS = {"ipv4/conf/default/arp_notify": "1", "ipv6/conf/default/ndisc_notify": "1"}


class Space:
    """A network namespace. Owns its descriptor and a socket inside."""

    def __init__(self, fd: int, sock: NetlinkSocket, *, ipv6: bool | None = None) -> None:
        self.fd = fd
        self.sock = sock
        self.ipv6 = ipv6
        """Whether new links have IPv6; None when somebody else made the namespace."""

    @classmethod
    def create(cls, *, ipv6: bool) -> Space:
        """A new namespace with lo up; without `ipv6`, links that come have none (lo has)."""
        with netspaces.in_new() as fd:
            try:
                for name, value in _DEFAULTS.items():
                    _try_sysctl(name, value)
                if not ipv6:
                    _try_sysctl("ipv6/conf/default/disable_ipv6", "1")
                sock = NetlinkSocket()
            except BaseException:
                os.close(fd)
                raise
        space = cls(fd, sock, ipv6=ipv6)
        try:
            sock.do(links.change("lo", up=True))
        except BaseException:
            space.close()
            raise
        return space

    @classmethod
    def of(cls, pid: int) -> Space:
        """The namespace of a process; NotFound when it is gone."""
        try:
            fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NotFound(f"process {pid} has no network any more: {error.strerror}") from None
        try:
            with netspaces.visiting(fd):
                return cls(fd, NetlinkSocket())
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def foreign(cls, pid: int) -> Space:
        """As `of`, for what changes it; Internal when it is the caller's own."""
        space = cls.of(pid)
        here = netspaces.current()
        try:
            own = netspaces.same(here, space.fd)
        finally:
            os.close(here)
        if own:
            space.close()
            raise Internal(f"process {pid} is in the host's network")
        return space

    def close(self) -> None:
        """Let go; without a process in it the namespace goes, and its links with it."""
        self.sock.close()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def links(self, *, stats: bool = False) -> list[links.Link]:
        """All its links."""
        return [links.parse(answer) for answer in self.sock.ask(links.dump(stats=stats))]

    def index(self, name: str) -> int:
        """The number of a link; OSError ENODEV when there is none."""
        return links.parse(self.sock.ask(links.get(name))[0]).ifindex

    def write_sysctls(self, values: Mapping[str, str]) -> None:
        """Write net.* of this namespace; keys as paths ("ipv4/conf/eth0/forwarding")."""
        if values:
            with netspaces.visiting(self.fd):
                for name, value in values.items():
                    host.set_sysctl(name, value)

    def disable_ipv6(self, interface: str, *, disable: bool) -> None:
        """Switch IPv6 of one interface; a kernel without it has nothing to switch."""
        with netspaces.visiting(self.fd):
            _try_sysctl(f"ipv6/conf/{interface}/disable_ipv6", "1" if disable else "0")

    def ears(self, address: str) -> tuple[socket.socket, socket.socket]:
        """Sockets inside for a name server, on free ports of an address: UDP, and TCP that listens."""
        with netspaces.visiting(self.fd):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            udp.bind((address, 0))
            tcp.bind((address, 0))
            tcp.listen(128)
        except OSError:
            udp.close()
            tcp.close()
            raise
        return udp, tcp


def dress(endpoint: Endpoint, index: int, *, default4: bool = True, default6: bool = True) -> list[Request]:
    """Give a link inside its addresses, its hardware address and its routes, and switch it on.

    Addresses come first: the change of the hardware address is what makes the kernel announce them.
    """
    requests = [links.change(index=index, also=links.settings(quiet6=True))]
    requests += [routes.add_address(index, address) for address in (endpoint.ipv4, endpoint.ipv6) if address]
    if endpoint.ipv6 and endpoint.mac:
        requests.append(routes.add_address(index, f"{link_local(endpoint.mac)}/64"))
    requests.append(links.change(index=index, up=True, also=links.settings(mac=endpoint.mac)))
    for gateway, wanted in ((endpoint.gateway4, default4), (endpoint.gateway6, default6)):
        if gateway and wanted:
            requests += default_route(endpoint, index, gateway)
    return requests


def default_route(endpoint: Endpoint, index: int, gateway: str) -> list[Request]:
    """Send everything else over a gateway, which may lie outside the endpoint's own subnet."""
    address = ip_address(gateway)
    default = routes.default_route(address.version)
    own = endpoint.ipv4 if address.version == 4 else endpoint.ipv6
    found = [routes.add_route(default, index, gateway=address.packed)]
    if own.endswith(("/32", "/128")):
        length = 32 if address.version == 4 else 128
        found.insert(0, routes.add_route((address.packed, length), index))
    return found


def endpoint_sysctls(endpoint: Endpoint, interface: str) -> dict[str, str]:
    """An endpoint's own sysctls as paths; IFNAME in a key stands for its interface.

    InvalidArgument for one that is not of an interface.
    """
    found = {}
    for key, value in endpoint.sysctls.items():
        parts = key.split(".")
        if parts[0] != "net" or "IFNAME" not in parts:
            raise InvalidArgument(f"sysctl {key!r} of an endpoint must be net.<...>.IFNAME.<...>")
        found["/".join(interface if part == "IFNAME" else part for part in parts[1:])] = value
    return found


def counters(link: links.Link) -> Counters:
    """The numbers of one link as `docker stats` names them."""
    rx, tx, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped = link.stats[:8]
    return Counters(
        interface=link.name, rx_packets=rx, tx_packets=tx, rx_bytes=rx_bytes, tx_bytes=tx_bytes,
        rx_errors=rx_errors, tx_errors=tx_errors, rx_dropped=rx_dropped, tx_dropped=tx_dropped,
    )  # fmt: skip


def _try_sysctl(name: str, value: str) -> None:
    """A kernel without the switch (no IPv6) needs none."""
    try:
        host.set_sysctl(name, value)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
