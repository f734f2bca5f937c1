"""The rules in the kernel: facts come and go one by one, and the whole is re-asserted when others broke it.

All methods may be called by any thread. A fact has an owner ("network <id>", "container <id>"): what an
owner says replaces what it said before.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lodge.errors import Unavailable
from lodge.kernel.netlink.socket import NETLINK_NETFILTER, NetlinkSocket, Refused
from lodge.kernel.netlink.wire import Request
from lodge.kernel.nftables import watch
from lodge.kernel.nftables.batch import Batch
from lodge.kernel.nftables.ruleset import Element, Set, Table, render
from lodge.kernel.nftables.types import Value
from lodge.network.firewall import plan
from lodge.network.firewall.facts import Fact, Side

PREFIX = "lodge-"
_NO_FLOWS = (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP)

_Said = Mapping[str, tuple[Fact, ...]]
"""Owners and what they say."""


class Wall:
    """The two tables of one engine."""

    def __init__(self, instance: str, *, closed: Sequence[int] = ()) -> None:
        self.name = PREFIX + instance
        self._lock = threading.Lock()
        self._facts: dict[str, tuple[Fact, ...]] = {}
        self._held: Counter[plan.Item] = Counter(_closed(port) for port in closed)
        self._socket: NetlinkSocket | None = None
        self._standing = False

    def close(self) -> None:
        """Let go; the rules stay."""
        with self._lock:
            self._drop_socket()

    def load(self, facts: Iterable[tuple[str, Sequence[Fact]]]) -> None:
        """Begin anew with these facts of these owners, whatever the kernel holds under our name."""
        with self._lock:
            closed = [item for item in self._held if item.set == "closed"]
            self._facts = {owner: tuple(said) for owner, said in facts}
            self._held = Counter(closed)
            for said in self._facts.values():
                self._held.update(item for fact in said for item in plan.items(fact))
            with _explained():
                self._assert()

    def say(self, owner: str, facts: Sequence[Fact]) -> None:
        """What is true of an owner from now on; nothing changes when the kernel refuses."""
        self.say_all({owner: facts})

    def forget(self, *owners: str) -> None:
        """Nothing is true of some owners any more; tables that hold nothing are taken away whole."""
        self.say_all(dict.fromkeys(owners, ()))

    def say_all(self, said: Mapping[str, Sequence[Fact]]) -> None:
        """What is true of several owners, all at one moment."""
        with self._lock:
            before = {owner: self._facts.get(owner, ()) for owner in said}
            after = {owner: tuple(facts) for owner, facts in said.items()}
            if before != after:
                with _explained():
                    self._change(before, after)

    def forget_flows(self, requests: Sequence[Request]) -> None:
        """Let the kernel forget connections (`conntrack`); one that can't be asked to is left to its time."""
        with self._lock:
            for refused in self._open().try_all(requests):
                if refused is not None and refused.errno not in _NO_FLOWS:
                    raise refused

    def stands(self) -> bool:
        """Whether the kernel still has as many rules as there shall be; True when nothing is needed."""
        with self._lock:
            if not self._standing:
                return True
            inet, bridge = plan.tables(self.name, Counter(), ())
            for table in (inet, bridge):
                wanted = sum(len(chain.rules) for chain in table.chains)
                try:
                    found = watch.count_rules(self._open(), table.family, self.name)
                except OSError:
                    return False
                if found != wanted:
                    return False
            return True

    def assert_all(self) -> None:
        """Make the kernel agree, all in one transaction."""
        with self._lock:
            if self._standing:
                self._assert()

    def port(self) -> int:
        """The address of our socket: notices of our own changes carry it."""
        with self._lock:
            return self._open().address()

    def text(self) -> str:
        """The rules as nft(8) would read them."""
        with self._lock:
            return "\n".join(map(render, self._tables()))

    def _change(self, before: _Said, after: _Said) -> None:
        old, new = _count(before), _count(after)
        gone = [item for item, n in (old - new).items() if self._held[item] == n]
        come = [item for item in new - old if not self._held[item]]
        self._replace(after, old, new)
        try:
            if not self._standing or not self._facts:
                self._assert()
            else:
                known = (fact for said in (before, after) for facts in said.values() for fact in facts)
                self._increment(gone, come, ranges_too=any(isinstance(fact, Side) for fact in known))
        except OSError:
            self._replace(before, new, old)
            raise

    def _replace(self, said: _Said, old: Counter[plan.Item], new: Counter[plan.Item]) -> None:
        self._held.subtract(old)
        self._held.update(new)
        for item in old:
            if not self._held[item]:
                del self._held[item]
        for owner, facts in said.items():
            self._facts.pop(owner, None)
            if facts:
                self._facts[owner] = facts

    def _increment(self, gone: list[plan.Item], come: list[plan.Item], *, ranges_too: bool) -> None:
        batch = Batch()
        for name, elements in _by_set(gone).items():
            family = "bridge" if name in plan.BRIDGE_SETS else "inet"
            batch.remove(family, self.name, _set(name), elements)
        for name, elements in _by_set(come).items():
            family = "bridge" if name in plan.BRIDGE_SETS else "inet"
            batch.add(family, self.name, _set(name), elements)
        if ranges_too:
            kept = zip(("kept4", "kept6"), plan.kept(self._sides()), strict=True)
            for name, intervals in kept:
                batch.refill("bridge", self.name, plan.BRIDGE_SETS[name]._replace(intervals=intervals))
        try:
            batch.commit(self._open())
        except Refused:
            # Somebody was at our tables: the whole says the same and more.
            self._assert()

    def _assert(self) -> None:
        batch = Batch()
        if self._facts:
            for table in self._tables():
                batch.replace_table(table)
        else:
            batch.remove_table("inet", self.name).remove_table("bridge", self.name)
        batch.commit(self._open())
        self._standing = bool(self._facts)

    def _tables(self) -> tuple[Table, Table]:
        return plan.tables(self.name, self._held, self._sides())

    def _sides(self) -> list[Side]:
        return [fact for said in self._facts.values() for fact in said if isinstance(fact, Side)]

    def _open(self) -> NetlinkSocket:
        if self._socket is None:
            self._socket = NetlinkSocket(NETLINK_NETFILTER)
        return self._socket

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """The kernel's no in words for people."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"the kernel refuses the firewall's rules: {error.strerror}",
            hint="networks need nf_tables with its families inet and bridge, or --iptables=false",
        ) from error


def _closed(port: Value) -> plan.Item:
    return plan.Item("closed", Element((port,)))


def _count(said: _Said) -> Counter[plan.Item]:
    return Counter(item for facts in said.values() for fact in facts for item in plan.items(fact))


def _by_set(items: Iterable[plan.Item]) -> dict[str, list[Element]]:
    found: dict[str, list[Element]] = {}
    for item in items:
        found.setdefault(item.set, []).append(item.element)
    return found


def _set(name: str) -> Set:
    return plan.BRIDGE_SETS.get(name) or plan.SETS[name]
