"""Links of rtnetlink(7): veth, bridge, macvlan, ipvlan, vxlan, vlan; made, changed, deleted, listed.

Functions return requests for `NetlinkSocket`; sources: rtnetlink(7), <linux/if_link.h>.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import NamedTuple

from lodge.kernel.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Answer,
    Request,
    as_text,
    attribute,
    be16,
    by_type,
    nested,
    text,
    u8,
    u16,
    u32,
)

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18

IFF_UP = 0x1
_LINK = struct.Struct("=BxHiII")

IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_MASTER = 10
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_STATS64 = 23
IFLA_AF_SPEC = 26
IFLA_NET_NS_FD = 28
IFLA_EXT_MASK = 29
_RTEXT_FILTER_SKIP_STATS = 8
_INFO_KIND = 1
_INFO_DATA = 2
_INFO_SLAVE_KIND = 4
_INFO_SLAVE_DATA = 5
_BRPORT_MODE = 4
_INET6_ADDR_GEN_MODE = 8
_ADDR_GEN_MODE_NONE = 1

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}


class Link(NamedTuple):
    """One device as the kernel tells of it; `stats` are the 23 and more numbers of rtnl_link_stats64."""

    ifindex: int
    name: str
    kind: str
    flags: int
    mtu: int
    mac: str
    master: int
    alias: str
    parent: int
    stats: tuple[int, ...]

    @property
    def up(self) -> bool:
        """Whether it was switched on."""
        return bool(self.flags & IFF_UP)


def mac_bytes(mac: str) -> bytes:
    """The six bytes of "02:42:..."."""
    return bytes.fromhex(mac.replace(":", ""))


def settings(
    *,
    mac: str = "",
    mtu: int = 0,
    master: int | None = None,
    netns: int | None = None,
    rename: str = "",
    alias: str | None = None,
    quiet6: bool = False,
) -> bytes:
    """Attributes that a link is made with or changed to.

    `master` 0 takes it out of its bridge; `netns` is a descriptor; `quiet6`: no IPv6 link-local address.
    """
    parts = []
    if mac:
        parts.append(attribute(IFLA_ADDRESS, mac_bytes(mac)))
    if mtu:
        parts.append(u32(IFLA_MTU, mtu))
    if master is not None:
        parts.append(u32(IFLA_MASTER, master))
    if netns is not None:
        parts.append(u32(IFLA_NET_NS_FD, netns))
    if rename:
        parts.append(text(IFLA_IFNAME, rename))
    if alias is not None:
        parts.append(attribute(IFLA_IFALIAS, alias.encode()))
    if quiet6:
        mode = u8(_INET6_ADDR_GEN_MODE, _ADDR_GEN_MODE_NONE)
        parts.append(nested(IFLA_AF_SPEC, nested(socket.AF_INET6, mode)))
    return b"".join(parts)


def new(kind: str, name: str, *, data: bytes = b"", parent: int = 0, also: bytes = b"") -> Request:
    """Make a link; EEXIST when the name is taken. `data`: what its kind asks for; `also`: `settings`."""
    info = text(_INFO_KIND, kind) + (nested(_INFO_DATA, data) if data else b"")
    body = _LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + also
    if parent:
        body += u32(IFLA_LINK, parent)
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body + nested(IFLA_LINKINFO, info))


def veth(name: str, peer: str, *, also: bytes = b"", peer_also: bytes = b"") -> Request:
    """Make a pair; `peer_also` says with `netns` where the other end is born."""
    end = _LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, peer) + peer_also
    return new("veth", name, data=attribute(1 | 0x8000, end), also=also)


def bridge(name: str, *, also: bytes = b"") -> Request:
    """Make a bridge without spanning tree, so that ports forward at once."""
    data = u32(1, 0) + u32(5, 0)  # IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE
    return new("bridge", name, data=data, also=also)


def macvlan(name: str, parent: int, mode: str, *, also: bytes = b"") -> Request:
    """Make a macvlan on a parent; `mode` a word of MACVLAN_MODES."""
    return new("macvlan", name, data=u32(1, MACVLAN_MODES[mode]), parent=parent, also=also)


def ipvlan(name: str, parent: int, mode: str, flag: str, *, also: bytes = b"") -> Request:
    """Make an ipvlan on a parent; EOPNOTSUPP where the kernel has none."""
    data = u16(1, IPVLAN_MODES[mode]) + u16(2, IPVLAN_FLAGS[flag])
    return new("ipvlan", name, data=data, parent=parent, also=also)


def ifb(name: str) -> Request:
    """Make an intermediate link, at whose exit packets of others wait."""
    return new("ifb", name)


def vlan(name: str, parent: int, tag: int) -> Request:
    """Make a sub-interface for an 802.1q tag; EOPNOTSUPP where the kernel has none."""
    return new("vlan", name, data=u16(1, tag), parent=parent)


def vxlan(name: str, vni: int, *, local: bytes = b"", port: int = 4789, parent: int = 0) -> Request:
    """Make a vxlan that learns; remote ends are forwarding entries of `routes.flood`."""
    data = u32(1, vni) + be16(15, port) + u8(7, 1)  # IFLA_VXLAN_ID, _PORT, _LEARNING
    if local:
        data += attribute(4 if len(local) == 4 else 17, local)
    if parent:
        data += u32(3, parent)
    return new("vxlan", name, data=data)


def change(
    name: str = "", *, index: int = 0, up: bool | None = None, also: bytes = b"", kind_data: bytes = b""
) -> Request:
    """Change a link, by name or by index; `also` are `settings`."""
    flags = IFF_UP if up else 0
    mask = 0 if up is None else IFF_UP
    body = _LINK.pack(0, 0, index, flags, mask)
    if name and not index:
        body += text(IFLA_IFNAME, name)
    return Request(RTM_NEWLINK, 0, body + also + kind_data)


def hairpin(name: str) -> Request:
    """Let a bridge send a frame back by the port by which it came; for a port of a bridge."""
    slave = text(_INFO_SLAVE_KIND, "bridge") + nested(_INFO_SLAVE_DATA, u8(_BRPORT_MODE, 1))
    return change(name, also=nested(IFLA_LINKINFO, slave))


def delete(name: str = "", *, index: int = 0) -> Request:
    """Delete a link, its pair with it; ENODEV when there is none."""
    body = _LINK.pack(0, 0, index, 0, 0)
    return Request(RTM_DELLINK, 0, body + (text(IFLA_IFNAME, name) if name and not index else b""))


def dump(*, stats: bool = False) -> Request:
    """Ask for all links."""
    mask = b"" if stats else u32(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
    return Request(RTM_GETLINK, NLM_F_DUMP, _LINK.pack(0, 0, 0, 0, 0) + mask)


def get(name: str = "", *, index: int = 0) -> Request:
    """Ask for one link; ENODEV when there is none."""
    body = _LINK.pack(0, 0, index, 0, 0) + (text(IFLA_IFNAME, name) if name and not index else b"")
    return Request(RTM_GETLINK, 0, body + u32(IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS))


def parse(answer: Answer) -> Link:
    """A RTM_NEWLINK or RTM_DELLINK taken apart."""
    _, _, index, flags, _ = _LINK.unpack_from(answer.body)
    found = by_type(answer.body, _LINK.size)
    info = by_type(found.get(IFLA_LINKINFO, b""))
    numbers = found.get(IFLA_STATS64, b"")
    return Link(
        ifindex=index,
        name=as_text(found.get(IFLA_IFNAME, b"")),
        kind=as_text(info.get(_INFO_KIND, b"")),
        flags=flags,
        mtu=int.from_bytes(found.get(IFLA_MTU, b""), sys.byteorder),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        master=int.from_bytes(found.get(IFLA_MASTER, b""), sys.byteorder),
        alias=as_text(found.get(IFLA_IFALIAS, b"")),
        parent=int.from_bytes(found.get(IFLA_LINK, b""), sys.byteorder),
        stats=struct.unpack(f"={len(numbers) // 8}Q", numbers[: len(numbers) // 8 * 8]),
    )
