"""A machine's place in networks: taps beside the interfaces of a namespace that the network room has made.

Each interface gets a tap, and everything that comes in by one goes out by the other (tc, mirred): the machine
has the interface's hardware address, its addresses and routes, and for everybody else nothing is different
from a container's. The name server of user networks hears in the namespace, at an address that inside the
machine is the machine's own: its questions are carried by the porter.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from msgspec import Struct

from lodge.errors import Unsupported
from lodge.kernel import netspaces
from lodge.kernel.netlink import links, queues, routes
from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.kernel.netlink.wire import Request
from lodge.spec.runtime import RuntimeConfig

MOST_INTERFACES = 4
NAME_SERVER = ("127.0.0.11", 53)
_FIRST_INDEX = 2
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x2, 0x1000, 0x4000
_NLM_F_ACK = 4


class Interface(Struct, frozen=True):
    """One interface: its tap, open; its hardware address; what the machine's kernel is told of it."""

    tap: int
    mac: str
    messages: tuple[bytes, ...]


class Wires(Struct):
    """All interfaces of a machine. `space` is the namespace, `names` leads to its name server.

    -1 and None: none.
    """

    space: int = -1
    interfaces: tuple[Interface, ...] = ()
    names: socket.socket | None = None

    def close(self) -> None:
        """Give everything back but the namespace, in which a process lives then."""
        for interface in self.interfaces:
            os.close(interface.tap)
        self.interfaces = ()
        if self.names is not None:
            self.names.close()
            self.names = None
        if self.space >= 0:
            os.close(self.space)
            self.space = -1


def connect(config: RuntimeConfig) -> Wires:
    """Taps in the namespace of a config; no wires at all where it names none."""
    path = _space_of(config)
    if not path:
        return Wires()
    wires = Wires(space=os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    try:
        with netspaces.visiting(wires.space):
            with NetlinkSocket() as talk:
                wires.interfaces = tuple(_all(talk))
            names = socket.socket(
                socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            )
        names.connect(NAME_SERVER)
        wires.names = names
    except BaseException:
        wires.close()
        raise
    return wires


def _space_of(config: RuntimeConfig) -> str:
    spaces = config.linux.namespaces if config.linux else ()
    return next((space.path for space in spaces if space.type == "network"), "")


def _all(talk: NetlinkSocket) -> Iterator[Interface]:
    found = [links.parse(answer) for answer in talk.ask(links.dump())]
    cards = [
        link
        for link in found
        if link.name != "lo" and link.mac and link.kind in ("veth", "macvlan", "vxlan", "")
    ]
    if len(cards) > MOST_INTERFACES:
        raise Unsupported(f"a machine has room for {MOST_INTERFACES} networks, not {len(cards)}")
    addresses = [routes.parse_address(answer) for answer in talk.ask(routes.dump_addresses())]
    ways = [way for answer in talk.ask(routes.dump_routes()) if (way := routes.parse_route(answer))]
    for number, link in enumerate(sorted(cards, key=lambda link: link.name)):
        index = _FIRST_INDEX + number
        told: list[Request] = [
            links.change(index=index, up=True, also=links.settings(mtu=link.mtu, rename=link.name))
        ]
        told += [
            routes.add_address(index, str(address.interface))
            for address in addresses
            if address.ifindex == link.ifindex and not address.interface.is_link_local
        ]
        told += _routes(ways, link.ifindex, index)
        messages = tuple(request.pack(1, _NLM_F_ACK) for request in told)
        yield Interface(_tap(talk, link, f"tap{number}"), link.mac, messages)


def _routes(ways: list[routes.Route], interface: int, index: int) -> Iterator[Request]:
    """Routes over gateways and to other places; those to the own subnets come with the addresses."""
    for way in ways:
        target = ip_network(way.destination)
        if way.ifindex != interface or target.is_link_local or target.is_multicast:
            continue
        if not way.gateway:
            continue
        place = (target.network_address.packed, target.prefixlen)
        yield routes.add_route(place, index, gateway=ip_address(way.gateway).packed)


def _tap(talk: NetlinkSocket, link: links.Link, name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        [tap] = [links.parse(answer) for answer in talk.ask(links.get(name))]
        talk.do(links.change(index=tap.ifindex, up=True, also=links.settings(mtu=link.mtu, quiet6=True)))
        talk.do(queues.ingress(tap.ifindex), queues.ingress(link.ifindex), tolerate=(errno.EEXIST,))
        talk.do(
            queues.redirect(tap.ifindex, link.ifindex),
            queues.redirect(link.ifindex, tap.ifindex),
        )
    except BaseException:
        os.close(fd)
        raise
    return fd
