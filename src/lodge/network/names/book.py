"""Who is called what: a table for each network, fed by one change at a time."""

from __future__ import annotations

import socket

from lodge.network.names.view import Member


class Entry:
    """A member with its addresses as bytes, b"" for none, and the keys under which it is found."""

    __slots__ = ("ipv4", "ipv6", "member", "names", "reverse")

    def __init__(self, member: Member) -> None:
        self.member = member
        self.ipv4 = _packed(member.ipv4, socket.AF_INET)
        self.ipv6 = _packed(member.ipv6, socket.AF_INET6)
        self.names = tuple(dict.fromkeys(name_key(name) for name in member.names))
        self.reverse = [reverse_key(address) for address in (self.ipv4, self.ipv6) if address]


class Table:
    """The members of one network."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._names: dict[bytes, dict[str, Entry]] = {}
        self._containers: dict[str, Entry] = {}
        self._addresses: dict[bytes, Entry] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def join(self, member: Member) -> None:
        """Add a member, in place of what was known of its endpoint."""
        self.leave(member.endpoint)
        entry = self._entries[member.endpoint] = Entry(member)
        self._containers[member.container] = entry
        for name in entry.names:
            self._names.setdefault(name, {})[member.endpoint] = entry
        for address in entry.reverse:
            self._addresses[address] = entry

    def leave(self, endpoint: str) -> None:
        """Take a member out; idempotent."""
        entry = self._entries.pop(endpoint, None)
        if entry is None:
            return
        for name in entry.names:
            named = self._names[name]
            del named[endpoint]
            if not named:
                del self._names[name]
        for address in entry.reverse:
            if self._addresses.get(address) is entry:
                del self._addresses[address]
        if self._containers.get(entry.member.container) is entry:
            del self._containers[entry.member.container]

    def named(self, key: bytes) -> list[Entry]:
        """All members with a name."""
        return list(self._names.get(key, {}).values())

    def container(self, container: str) -> Entry | None:
        """The endpoint of a container."""
        return self._containers.get(container)

    def reverse(self, key: bytes) -> str:
        """The first name of whoever has an address, "" for nobody."""
        entry = self._addresses.get(key)
        return entry.member.names[0] if entry is not None and entry.member.names else ""

    @property
    def endpoints(self) -> list[str]:
        """All endpoints."""
        return list(self._entries)


class Book:
    """All tables. `edition` grows with every change: what was made of an older one is out of date."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self.edition = 0

    def join(self, network: str, member: Member) -> None:
        """Add or replace a member. ValueError for an address that is none."""
        self._tables.setdefault(network, Table()).join(member)
        self.edition += 1

    def leave(self, network: str, endpoint: str) -> None:
        """Take it out; idempotent."""
        table = self._tables.get(network)
        if table is not None:
            table.leave(endpoint)
            if not table:
                del self._tables[network]
        self.edition += 1

    def table(self, network: str) -> Table | None:
        """A network's table, None while it has no member."""
        return self._tables.get(network)

    def members(self) -> set[tuple[str, str]]:
        """All pairs of network and endpoint."""
        return {
            (network, endpoint) for network, table in self._tables.items() for endpoint in table.endpoints
        }


def name_key(name: str) -> bytes:
    """A name as `question.read_name` gives it."""
    return name.rstrip(".").lower().encode()


def reverse_key(packed: bytes) -> bytes:
    """The name of a reverse look-up: RFC 1035, 3.5; RFC 3596, 2.5."""
    if len(packed) == 4:
        return b".".join(b"%d" % byte for byte in reversed(packed)) + b".in-addr.arpa"
    return ".".join(reversed(packed.hex())).encode() + b".ip6.arpa"


def _packed(address: str, family: int) -> bytes:
    text = address.partition("/")[0]
    if not text:
        return b""
    try:
        return socket.inet_pton(family, text)
    except OSError:
        raise ValueError(f"{address!r} is no address") from None
