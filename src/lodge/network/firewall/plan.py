"""The rules as a pure function: chains that never change, sets and maps that hold what does.

A container's start adds a few elements and nothing else, so it costs the same with one container and with a
thousand. Links are known by index, so that a renamed one is as guarded as before. The chains, in order of a
packet's way:

    bridge prerouting   nobody on a guarded port speaks with another's hardware or network address
    bridge forward      networks without inter-container communication
    inet raw            loopback addresses stay on the machine
    inet dstnat         published ports, for the host's own packets too
    inet input          who comes from a bridge must live there; internal networks see their gateway only
    inet forward        internal networks, sources, isolation, published ports
    inet srcnat         hiding behind the host, and the way back of a hairpin
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from lodge.kernel.nftables import expressions as x
from lodge.kernel.nftables.ruleset import Base, Chain, Element, Range, Set, Table, ranges
from lodge.kernel.nftables.types import ETHER, IFINDEX, IPV4, IPV6, PROTOCOL, SERVICE
from lodge.network.firewall.facts import Bond, Fact, Guest, Muted, Opening, Side

RAW, DSTNAT, FILTER, SRCNAT = -300, -100, 0, 100

SETS = {
    each.name: each
    for each in (
        Set("bridges", (IFINDEX,)),
        Set("pairs", (IFINDEX, IFINDEX)),
        Set("home4", (IFINDEX, IPV4), prefixes=True),
        Set("home6", (IFINDEX, IPV6), prefixes=True),
        Set("together", (IFINDEX, IFINDEX)),
        Set("internal", (IFINDEX,)),
        Set("masquerade4", (IFINDEX,)),
        Set("masquerade6", (IFINDEX,)),
        Set("source4", (IFINDEX,), (IPV4,)),
        Set("source6", (IFINDEX,), (IPV6,)),
        Set("open4", (IFINDEX,)),
        Set("open6", (IFINDEX,)),
        Set("routed4", (IFINDEX,)),
        Set("routed6", (IFINDEX,)),
        Set("trusted", (IFINDEX, IFINDEX)),
        Set("direct4", (IPV4, PROTOCOL, SERVICE)),
        Set("direct6", (IPV6, PROTOCOL, SERVICE)),
        Set("ports4", (IPV4, PROTOCOL, SERVICE), (IPV4, SERVICE)),
        Set("ports6", (IPV6, PROTOCOL, SERVICE), (IPV6, SERVICE)),
        Set("any4", (PROTOCOL, SERVICE), (IPV4, SERVICE)),
        Set("any6", (PROTOCOL, SERVICE), (IPV6, SERVICE)),
        Set("linked4", (IPV4, IPV4)),
        Set("linked6", (IPV6, IPV6)),
        Set("loopback", (IPV4, PROTOCOL, SERVICE)),
        Set("closed", (SERVICE,)),
    )
}
BRIDGE_SETS = {
    each.name: each
    for each in (
        Set("muted", (IFINDEX,)),
        Set("guarded", (IFINDEX,)),
        Set("own4", (IFINDEX, IPV4)),
        Set("own6", (IFINDEX, IPV6)),
        Set("own_mac", (IFINDEX, ETHER)),
        Set("macs", (ETHER,)),
        Set("kept4", (IPV4,), intervals=()),
        Set("kept6", (IPV6,), intervals=()),
        Set("apart", (IFINDEX,)),
        Set("bonds4", (IPV4, IPV4)),
        Set("bonds6", (IPV6, IPV6)),
    )
}


class Item(NamedTuple):
    """One element and the set that it belongs to."""

    set: str
    element: Element


def items(fact: Fact) -> list[Item]:
    """The elements that one fact brings."""
    if isinstance(fact, Side):
        return _side(fact)
    if isinstance(fact, Guest):
        return _guest(fact)
    if isinstance(fact, Opening):
        return _opening(fact)
    if isinstance(fact, Muted):
        return [Item("muted", Element((fact.index,)))]
    return _bond(fact)


def _side(side: Side) -> list[Item]:
    one, pair = (side.index,), (side.index, side.index)
    chosen = {
        "bridges": True,
        "internal": side.internal,
        "masquerade4": side.masquerade4,
        "masquerade6": side.masquerade6,
        "open4": side.mode4 == "nat-unprotected",
        "open6": side.mode6 == "nat-unprotected",
        "routed4": side.mode4 == "routed",
        "routed6": side.mode6 == "routed",
    }
    found = [Item(name, Element(one)) for name, wanted in chosen.items() if wanted]
    found.append(Item("pairs", Element(pair)))
    if side.icc:
        found.append(Item("together", Element(pair)))
    for version, prefixes in ((4, side.prefixes4), (6, side.prefixes6)):
        found += [Item(f"home{version}", Element((side.index, prefix))) for prefix in prefixes]
    for name, source in (("source4", side.source4), ("source6", side.source6)):
        if source:
            found.append(Item(name, Element(one, (source,))))
    return found + [Item("trusted", Element((index, side.index))) for index in side.trusted]


def _guest(guest: Guest) -> list[Item]:
    found = []
    if guest.apart:
        found.append(Item("apart", Element((guest.index,))))
    if not guest.guarded:
        return found
    found += [
        Item("guarded", Element((guest.index,))),
        Item("own_mac", Element((guest.index, guest.mac))),
        Item("macs", Element((guest.mac,))),
    ]
    for name, address in (("own4", guest.ipv4), ("own6", guest.ipv6)):
        if address:
            found.append(Item(name, Element((guest.index, address))))
    return found


def _opening(opening: Opening) -> list[Item]:
    version, where = opening.version, (opening.protocol, opening.host_port)
    target = (opening.target, opening.target_port)
    found = []
    if opening.kernel and opening.host:
        found.append(Item(f"ports{version}", Element((opening.host, *where), target)))
    elif opening.kernel:
        found.append(Item(f"any{version}", Element(where, target)))
    if version == 4 and opening.host.startswith("127."):
        found.append(Item("loopback", Element((opening.host, *where))))
    if opening.direct:
        key = (opening.target, opening.protocol, opening.target_port)
        found.append(Item(f"direct{version}", Element(key)))
    return found


def _bond(bond: Bond) -> list[Item]:
    version = 6 if ":" in bond.first else 4
    ways = ((bond.first, bond.second), (bond.second, bond.first))
    return [Item(f"{name}{version}", Element(way)) for name in ("bonds", "linked") for way in ways]


def kept(sides: Iterable[Side]) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """The addresses of all networks, of version 4 and of version 6: used by their owners only."""
    sides = list(sides)
    return (
        ranges([prefix for side in sides for prefix in side.prefixes4]),
        ranges([prefix for side in sides for prefix in side.prefixes6]),
    )


def tables(name: str, held: Counter[Item], sides: Iterable[Side]) -> tuple[Table, Table]:
    """Both tables, with every element."""
    by_set: dict[str, list[Element]] = {}
    for item in held:
        by_set.setdefault(item.set, []).append(item.element)
    kept4, kept6 = kept(sides)
    intervals = {"kept4": kept4, "kept6": kept6}

    def filled(sets: dict[str, Set]) -> tuple[Set, ...]:
        return tuple(
            each._replace(intervals=intervals[key])
            if key in intervals
            else each._replace(elements=tuple(by_set.get(key, ())))
            for key, each in sets.items()
        )

    return (
        Table("inet", name, filled(SETS), _inet_chains()),
        Table("bridge", name, filled(BRIDGE_SETS), _bridge_chains()),
    )


_V4, _V6 = x.nfproto(x.NFPROTO_IPV4), x.nfproto(x.NFPROTO_IPV6)
_FROM_BRIDGE, _TO_BRIDGE = x.member("bridges", x.IIF), x.member("bridges", x.OIF)
_SAME_BRIDGE = x.member("pairs", x.IIF, x.OIF)
_LOOPBACK4 = x.within(x.IP_DADDR, "127.0.0.0/8", b"\x7f\0\0\0", 8)
_LO = struct.pack("=I", 1)  # the index of lo, in every namespace


def _inet_chains() -> tuple[Chain, ...]:
    return (
        Chain("ports", None, _ports()),
        Chain("into", None, _into()),
        Chain("raw", Base("filter", "prerouting", RAW), _raw()),
        Chain("dstnat", Base("nat", "prerouting", DSTNAT), ((x.to_this_host(), x.jump("ports")),)),
        Chain("dstnat_own", Base("nat", "output", DSTNAT), ((x.to_this_host(), x.jump("ports")),)),
        Chain("input", Base("filter", "input", FILTER), _input()),
        Chain("forward", Base("filter", "forward", FILTER), _forward()),
        Chain("srcnat", Base("nat", "postrouting", SRCNAT), _srcnat()),
    )


Rules = tuple[tuple[x.Expression, ...], ...]


def _ports() -> Rules:
    loopback6 = x.compare(x.IP6_DADDR, "::1", bytes(15) + b"\1")
    return (
        (_V4, x.dnat_by_map("ports4", x.NFPROTO_IPV4, x.IP_DADDR, x.L4PROTO, x.DPORT)),
        (_V4, x.dnat_by_map("any4", x.NFPROTO_IPV4, x.L4PROTO, x.DPORT)),
        # A packet from ::1 can't leave the loopback device: the proxy serves it.
        (_V6, loopback6, x.RETURN),
        (_V6, x.dnat_by_map("ports6", x.NFPROTO_IPV6, x.IP6_DADDR, x.L4PROTO, x.DPORT)),
        (_V6, x.dnat_by_map("any6", x.NFPROTO_IPV6, x.L4PROTO, x.DPORT)),
    )


def _raw() -> Rules:
    not_lo = x.compare(x.IIF, '"lo"', _LO, differs=True)
    return (
        # route_localnet is on at our bridges, for the host's own packets: nothing from there may use it.
        (_FROM_BRIDGE, _V4, _LOOPBACK4, x.DROP),
        (not_lo, _V4, x.member("loopback", x.IP_DADDR, x.L4PROTO, x.DPORT), x.DROP),
    )


def _input() -> Rules:
    tcp = x.l4proto("tcp", 6)
    return (
        (_FROM_BRIDGE, x.no_way_back(), x.DROP),
        (x.member("internal", x.IIF), x.past_this_link(), x.DROP),
        (_FROM_BRIDGE, tcp, x.member("closed", x.DPORT), x.DROP),
    )


def _forward() -> Rules:
    return (
        (x.member("together", x.IIF, x.OIF), x.ACCEPT),
        (x.member("internal", x.IIF), x.DROP),
        (x.member("internal", x.OIF), x.DROP),
        (_FROM_BRIDGE, x.no_way_back(), x.DROP),
        (x.ct_state("established", "related"), x.ACCEPT),
        (_TO_BRIDGE, x.jump("into")),
    )


def _into() -> Rules:
    direct4 = x.member("direct4", x.IP_DADDR, x.L4PROTO, x.DPORT)
    direct6 = x.member("direct6", x.IP6_DADDR, x.L4PROTO, x.DPORT)
    trusted = x.member("trusted", x.IIF, x.OIF)
    routed4, routed6 = x.member("routed4", x.OIF), x.member("routed6", x.OIF)
    return (
        (x.ct_status("dnat"), x.ACCEPT),
        (_V4, x.member("linked4", x.IP_SADDR, x.IP_DADDR), x.ACCEPT),
        (_V6, x.member("linked6", x.IP6_SADDR, x.IP6_DADDR), x.ACCEPT),
        (_V4, x.member("open4", x.OIF), x.ACCEPT),
        (_V6, x.member("open6", x.OIF), x.ACCEPT),
        (_V4, routed4, x.l4proto("icmp", 1), x.ACCEPT),
        (_V6, routed6, x.l4proto("ipv6-icmp", 58), x.ACCEPT),
        (_V4, routed4, direct4, x.ACCEPT),
        (_V6, routed6, direct6, x.ACCEPT),
        (_V4, trusted, direct4, x.ACCEPT),
        (_V6, trusted, direct6, x.ACCEPT),
        (x.DROP,),
    )


def _srcnat() -> Rules:
    from_loopback = x.within(x.IP_SADDR, "127.0.0.0/8", b"\x7f\0\0\0", 8)
    return (
        # Back to the bridge that it came from. With br_netfilter the packet may never leave it, and then the
        # kernel does not say by which link it came: the source tells.
        (_V4, x.ct_status("dnat"), x.member("home4", x.OIF, x.IP_SADDR), x.masquerade()),
        (_V6, x.ct_status("dnat"), x.member("home6", x.OIF, x.IP6_SADDR), x.masquerade()),
        (_SAME_BRIDGE, x.RETURN),
        (_V4, x.snat_by_map("source4", x.NFPROTO_IPV4, x.IIF)),
        (_V6, x.snat_by_map("source6", x.NFPROTO_IPV6, x.IIF)),
        (_V4, x.member("masquerade4", x.IIF), x.masquerade()),
        (_V6, x.member("masquerade6", x.IIF), x.masquerade()),
        (_TO_BRIDGE, _V4, from_loopback, x.masquerade()),
    )


_IP, _IP6, _ARP = x.ethertype("ip", 0x0800), x.ethertype("ip6", 0x86DD), x.ethertype("arp", 0x0806)
_ICMPV6 = x.l4proto("ipv6-icmp", 58)


def _bridge_chains() -> tuple[Chain, ...]:
    muted, guarded = x.member("muted", x.IIF), x.member("guarded", x.IIF)
    apart = (x.member("apart", x.IIF), x.member("apart", x.OIF))
    return (
        Chain("guard", None, _guard()),
        Chain("apart", None, _apart()),
        Chain("prerouting", Base("filter", "prerouting", RAW), ((muted, x.DROP), (guarded, x.jump("guard")))),
        Chain("forward", Base("filter", "forward", FILTER), ((*apart, x.jump("apart")),)),
    )


def _guard() -> Rules:
    others_mac = (x.member("own_mac", x.IIF, x.ETHER_SADDR, absent=True), x.member("macs", x.ETHER_SADDR))
    advertised = (_IP6, _ICMPV6, x.compare(x.ICMPV6_TYPE, "nd-neighbor-advert", b"\x88"))
    return (
        (*others_mac, x.DROP),
        (_IP, x.member("own4", x.IIF, x.IP_SADDR), x.ACCEPT),
        (_IP, x.member("kept4", x.IP_SADDR), x.DROP),
        (_ARP, x.member("own4", x.IIF, x.ARP_SENDER), x.ACCEPT),
        (_ARP, x.member("kept4", x.ARP_SENDER), x.DROP),
        # Nobody plays router for the others.
        (_IP6, _ICMPV6, x.compare(x.ICMPV6_TYPE, "nd-router-advert", b"\x86"), x.DROP),
        (_IP6, _ICMPV6, x.compare(x.ICMPV6_TYPE, "nd-redirect", b"\x89"), x.DROP),
        (
            *advertised,
            x.member("own6", x.IIF, x.ND_TARGET, absent=True),
            x.member("kept6", x.ND_TARGET),
            x.DROP,
        ),
        (_IP6, x.member("own6", x.IIF, x.IP6_SADDR), x.ACCEPT),
        (_IP6, x.member("kept6", x.IP6_SADDR), x.DROP),
    )


def _apart() -> Rules:
    return (
        (_ARP, x.ACCEPT),
        (_IP, x.member("bonds4", x.IP_SADDR, x.IP_DADDR), x.ACCEPT),
        (_IP6, x.member("bonds6", x.IP6_SADDR, x.IP6_DADDR), x.ACCEPT),
        (x.DROP,),
    )
