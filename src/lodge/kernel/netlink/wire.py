"""Messages of netlink(7) as bytes: requests with their attributes, answers taken apart.

Numbers are in the machine's order unless a function says otherwise. Nothing here touches a socket. Sources:
netlink(7), <linux/netlink.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_DUMP = 0x300
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF

_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class Request(NamedTuple):
    """One message to the kernel: its type, its flags (beyond NLM_F_REQUEST), its body with family header."""

    kind: int
    flags: int
    body: bytes

    def pack(self, sequence: int, extra_flags: int = 0) -> bytes:
        """The bytes, padded to four; `sequence` comes back in the answer."""
        body = self.body
        flags = self.flags | extra_flags | NLM_F_REQUEST
        return (
            HEADER.pack(HEADER.size + len(body), self.kind, flags, sequence, 0)
            + body
            + _PADDING[len(body) & 3]
        )


class Answer(NamedTuple):
    """One message of the kernel."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + _PADDING[len(value) & 3]


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return attribute(kind, value.to_bytes(1, "little"))


def u16(kind: int, value: int) -> bytes:
    """An attribute of two bytes."""
    return attribute(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes."""
    return attribute(kind, struct.pack("=I", value))


def u64(kind: int, value: int) -> bytes:
    """An attribute of eight bytes."""
    return attribute(kind, struct.pack("=Q", value))


def be16(kind: int, value: int) -> bytes:
    """An attribute of two bytes in network order."""
    return attribute(kind, value.to_bytes(2, "big"))


def be32(kind: int, value: int) -> bytes:
    """An attribute of four bytes in network order."""
    return attribute(kind, (value & 0xFFFFFFFF).to_bytes(4, "big"))


def text(kind: int, value: str) -> bytes:
    """An attribute that is a string, with its closing null."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(inner))


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each attribute, flags of the type taken off; ends at the first that does not fit."""
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            return
        yield kind & _NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def by_type(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes by type; of several with one type the last."""
    return dict(attributes(data, offset))


def as_text(value: bytes) -> str:
    """A string attribute's value without its null."""
    return value.split(b"\0", 1)[0].decode(errors="replace")


def messages(data: bytes) -> Iterator[Answer]:
    """The messages of one datagram; ends at the first that does not fit."""
    offset, end = 0, len(data)
    while offset + HEADER.size <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > end:
            return
        yield Answer(kind, flags, sequence, data[offset + HEADER.size : offset + length])
        offset += (length + 3) & ~3
