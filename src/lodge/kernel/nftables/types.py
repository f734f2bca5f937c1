"""The kinds of values that a set of nf_tables holds: their numbers, lengths, bytes and words.

The numbers are nft(8)'s own (libnftables, datatype.h): the kernel keeps them for it and does not read them.
In a concatenation each field starts at a multiple of four bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import NamedTuple

Value = str | int
"""An address or name as text; a port, a protocol's or a link's number as int."""


class Type(NamedTuple):
    """One kind of value."""

    name: str
    number: int
    length: int
    encode: Callable[[Value], bytes]


def _address(value: Value) -> bytes:
    return ip_address(value).packed


def _hardware(value: Value) -> bytes:
    return bytes.fromhex(str(value).replace(":", ""))


def _index(value: Value) -> bytes:
    return int(value).to_bytes(4, sys.byteorder)


def _port(value: Value) -> bytes:
    return int(value).to_bytes(2, "big")


def _protocol(value: Value) -> bytes:
    return PROTOCOLS[str(value)].to_bytes(1, "big")


PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}

IPV4 = Type("ipv4_addr", 7, 4, _address)
IPV6 = Type("ipv6_addr", 8, 16, _address)
ETHER = Type("ether_addr", 9, 6, _hardware)
PROTOCOL = Type("inet_proto", 12, 1, _protocol)
SERVICE = Type("inet_service", 13, 2, _port)
IFINDEX = Type("iface_index", 20, 4, _index)


def number(types: Sequence[Type]) -> int:
    """The number of a concatenation: six bits for each field."""
    result = 0
    for kind in types:
        result = result << 6 | kind.number
    return result


def length(types: Sequence[Type]) -> int:
    """The bytes of a value or a concatenation of several."""
    if len(types) == 1:
        return types[0].length
    return sum((kind.length + 3) & ~3 for kind in types)


def encode(types: Sequence[Type], values: Sequence[Value]) -> bytes:
    """The bytes of one element's key or data."""
    if len(types) == 1:
        return types[0].encode(values[0])
    parts = (kind.encode(value) for kind, value in zip(types, values, strict=True))
    return b"".join(part + bytes(-len(part) & 3) for part in parts)


def span(types: Sequence[Type], values: Sequence[Value]) -> tuple[bytes, bytes]:
    """The bytes of the first and the last key that an element with prefixes ("10.0.0.0/8") stands for."""
    first: list[Value] = []
    last: list[Value] = []
    for value in values:
        if isinstance(value, str) and "/" in value:
            network = ip_network(value)
            first.append(str(network[0]))
            last.append(str(network[-1]))
        else:
            first.append(value)
            last.append(value)
    return encode(types, first), encode(types, last)


def words(types: Sequence[Type]) -> str:
    """The type as nft(8) spells it."""
    return " . ".join(kind.name for kind in types)
