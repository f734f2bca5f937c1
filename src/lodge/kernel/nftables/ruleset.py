"""A table of nf_tables as a value: sets with elements, chains with rules; printed as nft(8) would read it."""

from __future__ import annotations

from collections.abc import Sequence
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
    """A set, or with `data` a map; `intervals` holds `Range`s instead of elements."""

    name: str
    key: tuple[Type, ...]
    data: tuple[Type, ...] = ()
    elements: tuple[Element, ...] = ()
    intervals: tuple[Range, ...] | None = None


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
    if each.intervals is not None:
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


def ranges(prefixes: Sequence[tuple[str, str]]) -> tuple[Range, ...]:
    """Stretches in order, those that overlap or touch made one: what a set of intervals takes.

    Each prefix as (first, last) address of one version.
    """
    from ipaddress import ip_address

    merged: list[tuple[int, int]] = []
    pairs = [(ip_address(first), ip_address(last)) for first, last in prefixes]
    for low, high in sorted((int(a), int(b)) for a, b in pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    if not pairs:
        return ()
    make = type(pairs[0][0])
    return tuple(Range(str(make(low)), str(make(high))) for low, high in merged)
