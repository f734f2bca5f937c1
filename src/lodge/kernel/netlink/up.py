"""The little of rtnetlink(7) that every container needs: bringing a link up, in the namespace of the caller.

It stands alone, so that the fork server loads nothing more: the rest of the package is the network room's.
"""

from __future__ import annotations

import os
import socket
import struct

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")

_NLMSG_ERROR = 2
_NLM_F_REQUEST_ACK = 0x1 | 0x4
_RTM_NEWLINK = 16
_IFLA_IFNAME = 3
_IFF_UP = 0x1


def set_link_up(name: str) -> None:
    """Bring a network device up, as `ip link set NAME up`; ENODEV when there is none of this name."""
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as sock:
        sock.sendto(link_up_request(name), (0, 0))
        code = parse_acknowledgement(sock.recv(4096))
    if code:
        raise OSError(code, os.strerror(code), name)


def link_up_request(name: str) -> bytes:
    """The message: RTM_NEWLINK for a device by name, with IFF_UP to be changed."""
    value = name.encode() + b"\0"
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), _IFLA_IFNAME) + value
    attribute += bytes(-len(attribute) % 4)
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, _IFF_UP, _IFF_UP) + attribute
    return _HEADER.pack(_HEADER.size + len(body), _RTM_NEWLINK, _NLM_F_REQUEST_ACK, 1, 0) + body


def parse_acknowledgement(answer: bytes) -> int:
    """The errno of an answer, 0 for success; ValueError for something else."""
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind != _NLMSG_ERROR:
        raise ValueError(f"unexpected netlink answer of type {kind}")
    (code,) = _ERROR.unpack_from(answer, _HEADER.size)
    return -int(code)
