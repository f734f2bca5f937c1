"""Forgetting connections that the kernel tracks: ctnetlink, for those that a filter names (Linux 5.8).

Source: <linux/netfilter/nfnetlink_conntrack.h>. A kernel without ctnetlink refuses with EINVAL or EOPNOTSUPP.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from lodge.kernel.netlink.wire import Request, attribute, be16, nested, u8, u32

_CTNETLINK, _DELETE = 1, 2
_ORIGINAL, _REPLY, _FILTER = 1, 2, 25
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SOURCE, _PROTO_NUMBER, _DESTINATION_PORT = 1 << 0, 1 << 3, 1 << 5
_GENERIC = struct.Struct(">BBH")
_FAMILIES = {4: 2, 6: 10}


def forget_port(version: int, protocol: int, port: int) -> Request:
    """Forget all that was sent to a port of any address, as the sender wrote it."""
    proto = nested(_TUPLE_PROTO, u8(1, protocol), be16(3, port))
    flags = nested(_FILTER, u32(1, _PROTO_NUMBER | _DESTINATION_PORT), u32(2, 0))
    return _delete(version, nested(_ORIGINAL, proto) + flags)


def forget_answers_of(address: str) -> Request:
    """Forget all whose answers come from an address: what was translated to it, or sent to itself."""
    value = ip_address(address)
    source = attribute(1 if value.version == 4 else 3, value.packed)
    flags = nested(_FILTER, u32(1, 0), u32(2, _IP_SOURCE))
    return _delete(value.version, nested(_REPLY, nested(_TUPLE_IP, source)) + flags)


def _delete(version: int, body: bytes) -> Request:
    return Request(_CTNETLINK << 8 | _DELETE, 0, _GENERIC.pack(_FAMILIES[version], 0, 0) + body)
