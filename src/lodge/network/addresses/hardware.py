"""MAC addresses: random ones as Docker makes them for bridges and endpoints, and those made of an address."""

from __future__ import annotations

import os
import re

from lodge.errors import InvalidArgument
from lodge.network.addresses.ranges import read_address

_MAC = re.compile(r"[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}", re.ASCII)

_MULTICAST = 0x01
_LOCAL = 0x02


def random_mac() -> str:
    """Unicast and locally administered, else random, as Docker's since version 28."""
    octets = bytearray(os.urandom(6))
    octets[0] = octets[0] & ~_MULTICAST | _LOCAL
    return octets.hex(":")


def mac_of(ipv4: str) -> str:
    """02:42 and the four bytes of an address: the same for the same address, as overlays want it."""
    _, number = read_address(ipv4.partition("/")[0])
    return (b"\x02\x42" + number.to_bytes(4, "big")).hex(":")


def read_mac(text: str) -> str:
    """In lower case with colons; InvalidArgument for what is none, or names a group."""
    if not _MAC.fullmatch(text):
        raise InvalidArgument(f"invalid MAC address: {text}")
    mac = text.lower().replace("-", ":")
    if int(mac[:2], 16) & _MULTICAST:
        raise InvalidArgument(f"invalid MAC address: {text} names a group of interfaces")
    return mac
