"""The parts of a rule of nf_tables: each with the bytes for the kernel and the words of nft(8).

A statement of nft is often several expressions: one loads a value into a register, the next looks at it. An
`Expression` here is a whole statement, so that its words and its bytes stay together. Source:
<linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from lodge.kernel.netlink.wire import attribute, be32, nested, text

_ELEM = 1
_REGISTER = 8  # NFT_REG32_00; each holds four bytes

_META = {"protocol": 1, "mark": 3, "iif": 4, "oif": 5, "nfproto": 15, "l4proto": 16, "pkttype": 19}
_LINK_LAYER, _NETWORK, _TRANSPORT = 0, 1, 2
_CT = {"state": 0, "direction": 1, "status": 2}
_FIB = {"oif": 1, "type": 3}
_FIB_FLAGS = {"saddr": 1, "daddr": 2, "mark": 4, "iif": 8, "oif": 16}

NF_DROP, NF_ACCEPT = 0, 1
NFT_JUMP, NFT_GOTO, NFT_RETURN = -3, -4, -5
NFPROTO_INET, NFPROTO_IPV4, NFPROTO_BRIDGE, NFPROTO_IPV6 = 1, 2, 7, 10

_CT_STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8}
_CT_STATUSES = {"snat": 0x10, "dnat": 0x20}
_RTN_UNICAST, _RTN_LOCAL = 1, 2


class Expression(NamedTuple):
    """One statement of a rule."""

    words: str
    data: bytes


class Load(NamedTuple):
    """A value that a rule looks at: its words, its expression without the register, its length."""

    words: str
    kind: str
    data: bytes
    length: int


def _expression(name: str, data: bytes) -> bytes:
    return nested(_ELEM, text(1, name), nested(2, data))


def meta(key: str, length: int = 4) -> Load:
    """What is known about the packet: "iif", "oif", "nfproto", "l4proto", ..."""
    return Load(f"meta {key}", "meta", be32(2, _META[key]), length)


def payload(words: str, base: int, offset: int, length: int) -> Load:
    """Bytes of the packet."""
    return Load(words, "payload", be32(2, base) + be32(3, offset) + be32(4, length), length)


IIF = meta("iif")
OIF = meta("oif")
L4PROTO = meta("l4proto", 1)
IP_SADDR = payload("ip saddr", _NETWORK, 12, 4)
IP_DADDR = payload("ip daddr", _NETWORK, 16, 4)
IP6_SADDR = payload("ip6 saddr", _NETWORK, 8, 16)
IP6_DADDR = payload("ip6 daddr", _NETWORK, 24, 16)
SPORT = payload("th sport", _TRANSPORT, 0, 2)
DPORT = payload("th dport", _TRANSPORT, 2, 2)
ETHER_SADDR = payload("ether saddr", _LINK_LAYER, 6, 6)
ARP_SENDER = payload("arp saddr ip", _NETWORK, 14, 4)
ICMPV6_TYPE = payload("icmpv6 type", _TRANSPORT, 0, 1)
ND_TARGET = payload("icmpv6 taddr", _TRANSPORT, 8, 16)


def _load(load: Load, register: int) -> bytes:
    return _expression(load.kind, be32(1, register) + load.data)


def _loads(loads: Sequence[Load]) -> bytes:
    """Load several values one after the other, each at the next free four bytes."""
    parts = []
    register = _REGISTER
    for load in loads:
        parts.append(_load(load, register))
        register += (load.length + 3) // 4
    return b"".join(parts)


def _words(loads: Sequence[Load]) -> str:
    return " . ".join(load.words for load in loads)


def compare(load: Load, words: str, value: bytes, *, differs: bool = False) -> Expression:
    """Go on when a value is this one, or (`differs`) is not."""
    data = be32(1, _REGISTER) + be32(2, 1 if differs else 0) + nested(3, attribute(1, value))
    sign = "!= " if differs else ""
    return Expression(f"{load.words} {sign}{words}", _load(load, _REGISTER) + _expression("cmp", data))


def nfproto(family: int) -> Expression:
    """IPv4 or IPv6 only."""
    words = {NFPROTO_IPV4: "ipv4", NFPROTO_IPV6: "ipv6"}[family]
    return compare(meta("nfproto", 1), words, bytes([family]))


def ethertype(words: str, number: int) -> Expression:
    """Frames of this protocol only (in a table of bridge)."""
    return compare(meta("protocol", 2), words, number.to_bytes(2, "big"))


def l4proto(words: str, number: int) -> Expression:
    """Packets of this transport only."""
    return compare(L4PROTO, words, bytes([number]))


def within(load: Load, words: str, prefix: bytes, length: int, *, differs: bool = False) -> Expression:
    """Go on when an address lies in a prefix of `length` bits, or (`differs`) does not."""
    size = load.length
    mask = ((1 << 8 * size) - (1 << 8 * size - length)).to_bytes(size, "big")
    bitwise = be32(1, _REGISTER) + be32(2, _REGISTER) + be32(3, size)
    bitwise += nested(4, attribute(1, mask)) + nested(5, attribute(1, bytes(size)))
    cmp = be32(1, _REGISTER) + be32(2, 1 if differs else 0) + nested(3, attribute(1, prefix))
    sign = "!= " if differs else ""
    return Expression(
        f"{load.words} {sign}{words}",
        _load(load, _REGISTER) + _expression("bitwise", bitwise) + _expression("cmp", cmp),
    )


def member(set_name: str, *loads: Load, absent: bool = False) -> Expression:
    """Go on when the values are an element of a set, or (`absent`) are none."""
    data = text(1, set_name) + be32(2, _REGISTER)
    if absent:
        data += be32(5, 1)
    sign = "!= " if absent else ""
    return Expression(f"{_words(loads)} {sign}@{set_name}", _loads(loads) + _expression("lookup", data))


def _bits(load: Load, words: str, mask: int) -> Expression:
    size = 4
    bitwise = be32(1, _REGISTER) + be32(2, _REGISTER) + be32(3, size)
    bitwise += nested(4, attribute(1, struct.pack("=I", mask))) + nested(5, attribute(1, bytes(size)))
    cmp = be32(1, _REGISTER) + be32(2, 1) + nested(3, attribute(1, bytes(size)))
    return Expression(
        f"{load.words} {words}",
        _load(load, _REGISTER) + _expression("bitwise", bitwise) + _expression("cmp", cmp),
    )


def ct_state(*states: str) -> Expression:
    """Go on in these states of a connection."""
    load = Load("ct state", "ct", be32(2, _CT["state"]), 4)
    mask = sum(_CT_STATES[state] for state in states)
    return _bits(load, ",".join(states), mask)


def ct_status(status: str) -> Expression:
    """Go on when the connection has been translated: "dnat" or "snat"."""
    return _bits(Load("ct status", "ct", be32(2, _CT["status"]), 4), status, _CT_STATUSES[status])


def to_this_host() -> Expression:
    """Go on when the destination is an address of this host."""
    data = be32(2, _FIB["type"]) + be32(3, _FIB_FLAGS["daddr"])
    return compare(Load("fib daddr type", "fib", data, 4), "local", struct.pack("=I", _RTN_LOCAL))


def past_this_link() -> Expression:
    """Go on when the destination is neither an address of the link by which the packet came nor a group."""
    data = be32(2, _FIB["type"]) + be32(3, _FIB_FLAGS["daddr"] | _FIB_FLAGS["iif"])
    load = Load("fib daddr . iif type", "fib", data, 4)
    return compare(load, "unicast", struct.pack("=I", _RTN_UNICAST))


def no_way_back() -> Expression:
    """Go on when an answer to the source would not leave by the link by which the packet came."""
    data = be32(2, _FIB["oif"]) + be32(3, _FIB_FLAGS["saddr"] | _FIB_FLAGS["iif"])
    return compare(Load("fib saddr . iif oif", "fib", data, 4), "0", struct.pack("=I", 0))


def dnat_by_map(map_name: str, family: int, *loads: Load) -> Expression:
    """Send the packet to the address and port that a map has for these values; go on when it has none."""
    lookup = text(1, map_name) + be32(2, _REGISTER) + be32(3, _REGISTER)
    ports = _REGISTER + (1 if family == NFPROTO_IPV4 else 4)
    nat = be32(1, 1) + be32(2, family)
    nat += be32(3, _REGISTER) + be32(4, _REGISTER) + be32(5, ports) + be32(6, ports) + be32(7, 3)
    ip = "ip" if family == NFPROTO_IPV4 else "ip6"
    return Expression(
        f"dnat {ip} to {_words(loads)} map @{map_name}",
        _loads(loads) + _expression("lookup", lookup) + _expression("nat", nat),
    )


def snat_by_map(map_name: str, family: int, *loads: Load) -> Expression:
    """Give the packet the source address that a map has for these values; go on when it has none."""
    lookup = text(1, map_name) + be32(2, _REGISTER) + be32(3, _REGISTER)
    nat = be32(1, 0) + be32(2, family) + be32(3, _REGISTER) + be32(4, _REGISTER) + be32(7, 1)
    ip = "ip" if family == NFPROTO_IPV4 else "ip6"
    return Expression(
        f"snat {ip} to {_words(loads)} map @{map_name}",
        _loads(loads) + _expression("lookup", lookup) + _expression("nat", nat),
    )


def set_port(protocol: str, which: str, port: int) -> Expression:
    """Write a port into the packet, stateless: `which` "sport" or "dport" of "tcp" or "udp"."""
    offset, checksum = {"sport": 0, "dport": 2}[which], {"tcp": 16, "udp": 6}[protocol]
    write = be32(5, _REGISTER) + be32(2, _TRANSPORT) + be32(3, offset) + be32(4, 2)
    write += be32(6, 1) + be32(7, checksum) + be32(8, 0)
    return Expression(
        f"{protocol} {which} set {port}",
        _immediate(_REGISTER, port.to_bytes(2, "big")) + _expression("payload", write),
    )


def _immediate(register: int, value: bytes) -> bytes:
    return _expression("immediate", be32(1, register) + nested(2, attribute(1, value)))


def masquerade() -> Expression:
    """Give the packet the address of the link by which it leaves."""
    return Expression("masquerade", nested(_ELEM, text(1, "masq"), nested(2)))


def counter() -> Expression:
    """Count."""
    return Expression("counter", nested(_ELEM, text(1, "counter"), nested(2)))


def _verdict(code: int, chain: str = "") -> bytes:
    data = be32(1, code) + (text(2, chain) if chain else b"")
    return _expression("immediate", be32(1, 0) + nested(2, nested(2, data)))


ACCEPT = Expression("accept", _verdict(NF_ACCEPT))
DROP = Expression("drop", _verdict(NF_DROP))
RETURN = Expression("return", _verdict(NFT_RETURN))


def jump(chain: str) -> Expression:
    """Go on in another chain, and come back when it says nothing."""
    return Expression(f"jump {chain}", _verdict(NFT_JUMP, chain))
