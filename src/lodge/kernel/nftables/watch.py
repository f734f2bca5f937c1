"""What others do to nf_tables: which tables are there, and notice of every change.

Notices carry the address of the socket that asked for the change: one's own are left out.
"""

from __future__ import annotations

from lodge.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from lodge.kernel.netlink.wire import NLM_F_DUMP, Answer, as_text, attributes, by_type, text
from lodge.kernel.nftables.batch import (
    DELCHAIN,
    DELRULE,
    DELSET,
    DELSETELEM,
    DELTABLE,
    GETCHAIN,
    GETRULE,
    GETSETELEM,
    GETTABLE,
    message,
)
from lodge.kernel.nftables.ruleset import FAMILIES, HOOKS

_NFNLGRP_NFTABLES = 7
_REMOVALS = frozenset(10 << 8 | kind for kind in (DELTABLE, DELCHAIN, DELRULE, DELSET, DELSETELEM))
_NAMES = {number: name for name, number in FAMILIES.items()}


def listener(ignore: int) -> NetlinkSocket:
    """A socket that hears of every change of nf_tables in this namespace but those of one socket.

    `ignore` is the other's `address()`. The kernel drops its notices itself, so that a thread that waits here
    is not woken by every start of a container.
    """
    sock = NetlinkSocket(NETLINK_NETFILTER, groups=(_NFNLGRP_NFTABLES,))
    sock.drop_notices_of(ignore)
    return sock


def removed_from(answer: Answer) -> tuple[str, str] | None:
    """(family, table) when a notice says that something was taken out of a table, else None."""
    if answer.kind not in _REMOVALS:
        return None
    family = _NAMES.get(answer.body[0], "")
    return family, as_text(by_type(answer.body, 4).get(1, b""))


def tables(sock: NetlinkSocket) -> list[tuple[str, str]]:
    """(family, name) of every table."""
    answers = sock.ask(message(GETTABLE, NLM_F_DUMP, 0))
    return [
        (_NAMES.get(answer.body[0], ""), as_text(by_type(answer.body, 4).get(1, b""))) for answer in answers
    ]


def count_rules(sock: NetlinkSocket, family: str, table: str) -> int:
    """How many rules a table has in all chains."""
    answers = sock.ask(message(GETRULE, NLM_F_DUMP, FAMILIES[family], text(1, table)))
    return sum(as_text(by_type(answer.body, 4).get(1, b"")) == table for answer in answers)


def dropping_chains(sock: NetlinkSocket, hook: str) -> list[tuple[str, str, str]]:
    """(family, table, chain) of every chain at a hook that drops what none of its rules knows."""
    found = []
    for answer in sock.ask(message(GETCHAIN, NLM_F_DUMP, 0)):
        parts = by_type(answer.body, 4)
        number = by_type(parts.get(4, b"")).get(1, b"")
        if int.from_bytes(number, "big") == HOOKS[hook] and number and parts.get(5) == bytes(4):
            table, chain = (as_text(parts.get(key, b"")) for key in (1, 3))
            found.append((_NAMES.get(answer.body[0], "?"), table, chain))
    return found


def elements(sock: NetlinkSocket, family: str, table: str, set_name: str) -> list[bytes]:
    """The keys in a set, as bytes."""
    request = message(GETSETELEM, NLM_F_DUMP, FAMILIES[family], text(1, table), text(2, set_name))
    keys = []
    for answer in sock.ask(request):
        for _, element in attributes(by_type(answer.body, 4).get(3, b"")):
            keys.append(by_type(by_type(element)[1])[1])
    return keys
