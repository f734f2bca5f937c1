"""Addresses, routes and neighbours of rtnetlink(7).

Addresses are packed bytes (4 or 16); a prefix is (bytes, length). Functions return requests for
`NetlinkSocket`; sources: rtnetlink(7), <linux/if_addr.h>, <linux/neighbour.h>.
"""

from __future__ import annotations

import socket
import struct
import sys
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import NamedTuple

from lodge.kernel.netlink.links import mac_bytes
from lodge.kernel.netlink.wire import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Answer,
    Request,
    attribute,
    by_type,
    u32,
)

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29

_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")

_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_RT_TABLE_MAIN = 254
_RTPROT_STATIC = 4
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK = 0, 253
_RTN_UNICAST, _RTN_BLACKHOLE = 1, 6
_NDA_DST, _NDA_LLADDR = 1, 2
_NTF_SELF = 0x02
_NUD_PERMANENT_NOARP = 0x80 | 0x40


class Address(NamedTuple):
    """One address of one link."""

    ifindex: int
    interface: IPv4Interface | IPv6Interface


class Route(NamedTuple):
    """One route of the main table: where to, by which link, over which gateway ("" for none)."""

    destination: str
    ifindex: int
    gateway: str


def _family(packed: bytes) -> int:
    return socket.AF_INET if len(packed) == 4 else socket.AF_INET6


def _address_body(index: int, interface: str) -> bytes:
    value = ip_interface(interface)
    packed = value.ip.packed
    body = _ADDRESS.pack(_family(packed), value.network.prefixlen, 0, 0, index)
    body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    if value.version == 4 and value.network.prefixlen < 31:
        body += attribute(_IFA_BROADCAST, value.network.broadcast_address.packed)
    if value.version == 6:
        body += u32(_IFA_FLAGS, _IFA_F_NODAD)
    return body


def add_address(index: int, interface: str) -> Request:
    """Add "10.1.0.2/16"; ready at once, also of version 6 (no duplicate detection). EEXIST when there."""
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, _address_body(index, interface))


def delete_address(index: int, interface: str) -> Request:
    """Take it away; EADDRNOTAVAIL when it is not there."""
    return Request(RTM_DELADDR, 0, _address_body(index, interface))


def dump_addresses(family: int = 0) -> Request:
    """Ask for all addresses."""
    return Request(RTM_GETADDR, NLM_F_DUMP, _ADDRESS.pack(family, 0, 0, 0, 0))


def parse_address(answer: Answer) -> Address:
    """A RTM_NEWADDR taken apart."""
    _, length, _, _, index = _ADDRESS.unpack_from(answer.body)
    found = by_type(answer.body, _ADDRESS.size)
    packed = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    return Address(index, ip_interface((packed, length)))


def _route_body(destination: tuple[bytes, int], index: int, gateway: bytes, metric: int) -> bytes:
    packed, length = destination
    scope = _RT_SCOPE_UNIVERSE if gateway or len(packed) == 16 else _RT_SCOPE_LINK
    body = _ROUTE.pack(_family(packed), length, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, scope, _RTN_UNICAST, 0)
    if length:
        body += attribute(_RTA_DST, packed)
    if gateway:
        body += attribute(_RTA_GATEWAY, gateway)
    if metric:
        body += u32(_RTA_PRIORITY, metric)
    return body + u32(_RTA_OIF, index)


def add_route(
    destination: tuple[bytes, int], index: int, *, gateway: bytes = b"", metric: int = 0
) -> Request:
    """Add or replace a route by a link, over a gateway or without."""
    return Request(
        RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, _route_body(destination, index, gateway, metric)
    )


def default_route(version: int) -> tuple[bytes, int]:
    """The destination that means everything."""
    return (bytes(4 if version == 4 else 16), 0)


def dump_routes(family: int = 0) -> Request:
    """Ask for all routes."""
    return Request(RTM_GETROUTE, NLM_F_DUMP, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0))


def parse_route(answer: Answer) -> Route | None:
    """A RTM_NEWROUTE taken apart; None for one that is no plain route of the main table."""
    family, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(answer.body)
    found = by_type(answer.body, _ROUTE.size)
    if int.from_bytes(found.get(_RTA_TABLE, bytes([table])), sys.byteorder) != _RT_TABLE_MAIN:
        return None
    if kind != _RTN_UNICAST:
        return None
    make = IPv4Address if family == socket.AF_INET else IPv6Address
    packed = found.get(_RTA_DST, bytes(4 if family == socket.AF_INET else 16))
    gateway = found.get(_RTA_GATEWAY, b"")
    index = int.from_bytes(found.get(_RTA_OIF, b""), sys.byteorder)
    return Route(f"{make(packed)}/{length}", index, str(make(gateway)) if gateway else "")


def neighbour(index: int, address: bytes, mac: str) -> Request:
    """Say for good which hardware address one has."""
    body = _NEIGHBOUR.pack(_family(address), index, 0x80, 0, 0)
    body += attribute(_NDA_DST, address) + attribute(_NDA_LLADDR, mac_bytes(mac))
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body)


def flood(index: int, remote: bytes, *, remove: bool = False) -> Request:
    """Let a vxlan send what it knows no end for to one more remote end; or no longer."""
    body = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, _NUD_PERMANENT_NOARP, _NTF_SELF, 0)
    body += attribute(_NDA_LLADDR, bytes(6)) + attribute(_NDA_DST, remote)
    if remove:
        return Request(RTM_DELNEIGH, 0, body)
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND, body)
