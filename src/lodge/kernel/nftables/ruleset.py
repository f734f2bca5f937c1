"""A table of nf_tables as a value: sets with elements, chains with rules; printed as nft(8) would read it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import NamedTuple

from lodge.kernel.nftables import types
from lodge.kernel.nftables.expressions import (
    NFPROTO_BRIDGE,
    NFPROTO_INET,
    NFPROTO_IPV4,
    NFPROTO_IPV6,
    Expression,
)
from lodge.kernel.nftables.types import Type, Value

FAMILIES = {"inet": NFPROTO_INET, "ip": NFPROTO_IPV4, "ip6": NFPROTO_IPV6, "bridge": NFPROTO_BRIDGE}
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}

Key = tuple[Value, ...]


class Element(NamedTuple):
    """One element: its key, and what a map has for it."""

    key: Key
    data: Key = ()


class Range(NamedTuple):
    """One stretch of addresses in a set of intervals: first and last."""

    first: str
    last: str


class Set(NamedTuple):
    """A set, or with `data` a map.

    `intervals` holds `Range`s instead of elements; with `prefixes`, addresses in the keys of elements are
    prefixes (Linux 5.6).
    """

    name: str
    key: tuple[Type, ...]
    data: tuple[Type, ...] = ()
    elements: tuple[Element, ...] = ()
    intervals: tuple[Range, ...] | None = None
    prefixes: bool = False


class Base(NamedTuple):
    """Where a chain is hooked: type "filter" or "nat", hook, priority (accepts what it does not drop)."""

    type: str
    hook: str
    priority: int


class Chain(NamedTuple):
    """A chain; without `base` others jump to it."""

    name: str
    base: Base | None
    rules: tuple[tuple[Expression, ...], ...]


class Table(NamedTuple):
    """A whole table."""

    family: str
    name: str
    sets: tuple[Set, ...]
    chains: tuple[Chain, ...]


def render(table: Table) -> str:
    """The table in the language of nft(8)."""
    lines = [f"table {table.family} {table.name} {{"]
    for each in table.sets:
        lines += _set_lines(each)
    for chain in table.chains:
        lines.append(f"\tchain {chain.name} {{")
        if chain.base:
            base = chain.base
            lines.append(f"\t\ttype {base.type} hook {base.hook} priority {base.priority}; policy accept;")
        lines += ["\t\t" + " ".join(part.words for part in rule) for rule in chain.rules]
        lines.append("\t}")
    return "\n".join([*lines, "}"])


def _set_lines(each: Set) -> list[str]:
    kind = types.words(each.key)
    if each.data:
        kind += f" : {types.words(each.data)}"
    lines = [f"\t{'map' if each.data else 'set'} {each.name} {{", f"\t\ttype {kind}"]
    if each.intervals is not None or each.prefixes:
        lines.append("\t\tflags interval")
    items = [element_words(e) for e in each.elements]
    items += [f"{r.first}-{r.last}" for r in each.intervals or ()]
    if items:
        lines.append(f"\t\telements = {{ {', '.join(items)} }}")
    return [*lines, "\t}"]


def element_words(element: Element) -> str:
    """One element as nft(8) spells it."""
    key = " . ".join(map(str, element.key))
    return f"{key} : {' . '.join(map(str, element.data))}" if element.data else key


def ranges(prefixes: Iterable[str]) -> tuple[Range, ...]:
    """Prefixes of one version as stretches, those that overlap or touch made one: for a set of intervals."""
    merged: list[tuple[int, int]] = []
    networks = sorted(map(ip_network, prefixes), key=lambda network: int(network[0]))
    for network in networks:
        low, high = int(network[0]), int(network[-1])
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    address = IPv4Address if networks and networks[0].version == 4 else IPv6Address
    return tuple(Range(str(address(low)), str(address(high))) for low, high in merged)
