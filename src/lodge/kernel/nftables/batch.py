"""One transaction of nf_tables: all of it becomes true at one moment, or nothing.

Bytes can be packed ahead and sent many times. Source: <linux/netfilter/nfnetlink.h>, nf_tables.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Self

from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.kernel.netlink.wire import (
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    Request,
    attribute,
    be32,
    nested,
    text,
)
from lodge.kernel.nftables import types
from lodge.kernel.nftables.expressions import Expression
from lodge.kernel.nftables.ruleset import FAMILIES, HOOKS, Chain, Element, Set, Table

_NFTABLES = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
(
    NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, DELCHAIN, NEWRULE, GETRULE, DELRULE,
    NEWSET, GETSET, DELSET, NEWSETELEM, GETSETELEM, DELSETELEM, NEWGEN, GETGEN,
) = range(17)  # fmt: skip

_SET_INTERVAL, _SET_MAP, _SET_CONCAT = 0x4, 0x8, 0x80
_ELEM_INTERVAL_END = 1
_ELEMENTS_IN_ONE = 500
_GENERIC = struct.Struct(">BBH")


def header(family: int, resource: int = 0) -> bytes:
    """Struct nfgenmsg."""
    return _GENERIC.pack(family, 0, resource)


def message(kind: int, flags: int, family: int, *parts: bytes) -> Request:
    """One request of nf_tables."""
    return Request(_NFTABLES << 8 | kind, flags, header(family) + b"".join(parts))


def _words_for_nft(each: Set) -> bytes:
    """User data by which nft(8) knows the key's order of bytes; the kernel only keeps it.

    libnftnl's NFTNL_UDATA_SET_KEYBYTEORDER: 0 each field its own, 1 the host's, 2 big.
    """
    order = 0 if len(each.key) > 1 else 1 if each.key[0] is types.IFINDEX else 2
    return b"\0\4" + struct.pack("=I", order)


class Batch:
    """Requests in order, to be sent as one transaction."""

    def __init__(self) -> None:
        self._requests: list[Request] = []

    def __len__(self) -> int:
        return len(self._requests)

    def replace_table(self, table: Table) -> Self:
        """The table as it is here, whatever was there under its name."""
        self.remove_table(table.family, table.name)
        return self.add_table(table)

    def add_table(self, table: Table) -> Self:
        """The table with all that is in it; it must not be there yet."""
        family = FAMILIES[table.family]
        self._add(NEWTABLE, NLM_F_CREATE, family, text(1, table.name), be32(2, 0))
        for number, each in enumerate(table.sets, 1):
            self._set(table, each, number)
        for chain in table.chains:
            self._chain(table, chain)
        for chain in table.chains:
            for rule in chain.rules:
                self._rule(table, chain.name, rule)
        for each in table.sets:
            if each.intervals:
                self._intervals(table, each)
            self.add(table.family, table.name, each, each.elements)
        return self

    def remove_table(self, family: str, name: str) -> Self:
        """No table of this name, whether there was one or not."""
        number = FAMILIES[family]
        self._add(NEWTABLE, NLM_F_CREATE, number, text(1, name), be32(2, 0))
        self._add(DELTABLE, 0, number, text(1, name))
        return self

    def add(self, family: str, table: str, into: Set, elements: Iterable[Element]) -> Self:
        """More elements; those that are there already stay (a map's other value is refused)."""
        self._elements(NEWSETELEM, NLM_F_CREATE, family, table, into, list(elements), data=True)
        return self

    def remove(self, family: str, table: str, out_of: Set, elements: Iterable[Element]) -> Self:
        """Fewer elements; one that is not there fails the transaction with ENOENT."""
        self._elements(DELSETELEM, 0, family, table, out_of, list(elements), data=False)
        return self

    def refill(self, family: str, table: str, each: Set) -> Self:
        """Have these elements or intervals in the set, and no others."""
        self._add(DELSETELEM, 0, FAMILIES[family], text(1, table), text(2, each.name))
        if each.intervals:
            self._intervals(Table(family, table, (), ()), each)
        return self.add(family, table, each, each.elements)

    def pack(self) -> tuple[bytes, int]:
        """(bytes of the transaction, sequence number of the last request, which is acknowledged)."""
        begin = Request(_BATCH_BEGIN, 0, header(0, _NFTABLES)).pack(1)
        end = Request(_BATCH_END, 0, header(0, _NFTABLES)).pack(len(self._requests) + 2)
        last = len(self._requests) + 1
        middle = [
            request.pack(number, NLM_F_ACK if number == last else 0)
            for number, request in enumerate(self._requests, 2)
        ]
        return b"".join([begin, *middle, end]), last

    def commit(self, sock: NetlinkSocket) -> None:
        """Make it true; `netlink.socket.Refused` when the kernel refuses any part, and then nothing is."""
        if self._requests:
            packed, last = self.pack()
            if len(packed) > 1 << 17:
                sock.grow(len(packed) * 2)
            sock.transact(packed, last)

    def _add(self, kind: int, flags: int, family: int, *parts: bytes) -> None:
        self._requests.append(message(kind, flags, family, *parts))

    def _set(self, table: Table, each: Set, number: int) -> None:
        flags = _SET_MAP if each.data else 0
        if each.intervals is not None:
            flags |= _SET_INTERVAL
        if each.prefixes:
            flags |= _SET_INTERVAL | _SET_CONCAT
        parts = [
            text(1, table.name), text(2, each.name), be32(3, flags),
            be32(4, types.number(each.key)), be32(5, types.length(each.key)),
        ]  # fmt: skip
        if each.data:
            parts += [be32(6, types.number(each.data)), be32(7, types.length(each.data))]
        if each.prefixes:
            fields = (nested(1, be32(1, (kind.length + 3) & ~3)) for kind in each.key)
            parts.append(nested(9, nested(2, *fields)))
        parts.append(be32(10, number))
        parts.append(attribute(13, _words_for_nft(each)))
        self._add(NEWSET, NLM_F_CREATE, FAMILIES[table.family], *parts)

    def _chain(self, table: Table, chain: Chain) -> None:
        parts = [text(1, table.name), text(3, chain.name)]
        if chain.base:
            hook = be32(1, HOOKS[chain.base.hook]) + be32(2, chain.base.priority)
            parts += [nested(4, hook), be32(5, 1), text(7, chain.base.type)]
        self._add(NEWCHAIN, NLM_F_CREATE, FAMILIES[table.family], *parts)

    def _rule(self, table: Table, chain: str, rule: Sequence[Expression]) -> None:
        expressions = nested(4, *(part.data for part in rule))
        self._add(
            NEWRULE, NLM_F_CREATE | NLM_F_APPEND, FAMILIES[table.family],
            text(1, table.name), text(2, chain), expressions,
        )  # fmt: skip

    def _elements(
        self,
        kind: int,
        flags: int,
        family: str,
        table: str,
        each: Set,
        elements: list[Element],
        *,
        data: bool,
    ) -> None:
        for start in range(0, len(elements), _ELEMENTS_IN_ONE):
            listed = []
            for element in elements[start : start + _ELEMENTS_IN_ONE]:
                first, last = types.span(each.key, element.key)
                inner = nested(1, attribute(1, first))
                if each.prefixes:
                    inner += nested(10, attribute(1, last))
                if data and each.data:
                    inner += nested(2, attribute(1, types.encode(each.data, element.data)))
                listed.append(nested(1, inner))
            self._add(kind, flags, FAMILIES[family], text(1, table), text(2, each.name), nested(3, *listed))

    def _intervals(self, table: Table, each: Set) -> None:
        """Each stretch is its first address and, as an end, the one after its last (if there is one)."""
        listed = []
        for stretch in each.intervals or ():
            first, last = ip_address(stretch.first), ip_address(stretch.last)
            listed.append(nested(1, nested(1, attribute(1, first.packed))))
            if int(last) + 1 < 1 << 8 * len(last.packed):
                end = (last + 1).packed
                listed.append(nested(1, nested(1, attribute(1, end)), be32(3, _ELEM_INTERVAL_END)))
        family = FAMILIES[table.family]
        self._add(
            NEWSETELEM, NLM_F_CREATE, family, text(1, table.name), text(2, each.name), nested(3, *listed)
        )
