"""Blocks of addresses as numbers: reading, comparing, containing. The tool of the modules beside it."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

BITS = {4: 32, 6: 128}


class Block(NamedTuple):
    """A CIDR block: `first` and `last` are its addresses as numbers. Sorts by version, then by place."""

    version: int
    first: int
    last: int
    length: int

    def __str__(self) -> str:
        return f"{address_text(self.first, self.version)}/{self.length}"

    @property
    def size(self) -> int:
        """How many addresses it has."""
        return self.last - self.first + 1

    def overlaps(self, other: Block) -> bool:
        """Whether an address lies in both."""
        return self.version == other.version and self.first <= other.last and other.first <= self.last

    def holds(self, other: Block) -> bool:
        """Whether all of `other` lies in it."""
        return self.version == other.version and self.first <= other.first and other.last <= self.last

    def has(self, version: int, number: int) -> bool:
        """Whether an address lies in it."""
        return version == self.version and self.first <= number <= self.last


def block_at(version: int, number: int, length: int) -> Block:
    """The block of a prefix length that an address lies in."""
    bits = BITS[version] - length
    first = number >> bits << bits
    return Block(version, first, first + (1 << bits) - 1, length)


def read_block(text: str) -> tuple[Block, bool]:
    """Read "10.1.0.0/16" (or a single address); whether no bit was set behind the prefix. ValueError else."""
    address, _, length = text.partition("/")
    version, number = read_address(address)
    if length and not (length.isascii() and length.isdecimal()):
        raise ValueError(f"{text!r} has no prefix length")
    bits = int(length) if length else BITS[version]
    if bits > BITS[version]:
        raise ValueError(f"{text!r} has a prefix length beyond {BITS[version]}")
    block = block_at(version, number, bits)
    return block, block.first == number


def read_address(text: str) -> tuple[int, int]:
    """(version, number) of an address; one of IPv4 in IPv6's clothes is IPv4. ValueError for others."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError(f"{text!r} has a zone")
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
    return address.version, int(address)


def address_text(number: int, version: int) -> str:
    """An address as people write it."""
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))
