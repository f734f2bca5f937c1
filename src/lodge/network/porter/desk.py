"""What the porter holds: the book of names, a name server for each sandbox, a door for each port."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

from lodge.network.destinations import destination
from lodge.network.loop import Loop
from lodge.network.names.asking import Quota
from lodge.network.names.book import Book
from lodge.network.names.sandbox import NameServer
from lodge.network.names.view import Member, View
from lodge.network.porter.messages import Target
from lodge.network.proxy.door import Door, open_door
from lodge.network.proxy.streams import Places

# A look every so often whether connections of a porter that retired have ended (seconds).
_LOOK = 1.0


class _Port:
    __slots__ = ("door", "sock", "target")

    def __init__(self, sock: socket.socket, target: Target, door: Door) -> None:
        self.sock = sock
        self.target = target
        self.door = door


class Desk:
    """One engine's things. Errors of one thing are OSError or ValueError and change nothing else."""

    def __init__(self, loop: Loop, files: int) -> None:
        """`files`: how many questions and connections may have open."""
        self._loop = loop
        self._book = Book()
        self._quota = Quota(files // 8)
        self._places = Places(files * 7 // 16)
        self._servers: dict[str, NameServer] = {}
        self._ports: dict[tuple[str, str], _Port] = {}
        self._retired: list[Door] = []
        # What the engine of now has not spoken of yet.
        self._stale_members: set[tuple[str, str]] = set()
        self._stale_servers: set[str] = set()
        self._stale_ports: set[tuple[str, str]] = set()
        self.on_idle: Callable[[], None] = lambda: None
        self.on_retire: Callable[[], None] = lambda: None
        self.news: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """Whether anybody would miss this process."""
        return bool(self._servers or self._ports or self._retired)

    def begin(self) -> None:
        """A new engine: what it does not speak of until `settle` goes then."""
        self._stale_members = self._book.members()
        self._stale_servers = set(self._servers)
        self._stale_ports = set(self._ports)

    def settle(self) -> None:
        """See `begin`."""
        for network, endpoint in self._stale_members:
            self._book.leave(network, endpoint)
        for container in self._stale_servers:
            self.close(container)
        for container, key in self._stale_ports:
            self.free(container, key)
        self._stale_members, self._stale_servers, self._stale_ports = set(), set(), set()

    def join(self, network: str, member: Member) -> None:
        """A member is there, or is another."""
        self._stale_members.discard((network, member.endpoint))
        self._book.join(network, member)

    def leave(self, network: str, endpoint: str) -> None:
        """It is gone."""
        self._book.leave(network, endpoint)

    def open(self, container: str, view: View, socks: list[socket.socket]) -> None:
        """A sandbox; its two sockets are taken out of the list."""
        self._stale_servers.discard(container)
        if len(socks) == 2:
            self.close(container)
            tcp, udp = socks.pop(), socks.pop()
            self._servers[container] = NameServer(
                self._loop, self._quota, self._book, view, udp, tcp, self.news
            )
        elif container in self._servers:
            self._servers[container].change(view)

    def close(self, container: str) -> None:
        """It is gone; idempotent."""
        server = self._servers.pop(container, None)
        if server is not None:
            server.close()
        self.on_idle()

    def reserve(self, container: str, key: str, target: Target, socks: list[socket.socket]) -> None:
        """A port; its socket is taken out of the list."""
        self._stale_ports.discard((container, key))
        where = destination(target.address, target.port) if target.address else None
        port = self._ports.get((container, key))
        if socks:
            sock = socks.pop()
            if port is not None:
                port.door.close()
        elif port is None or port.target == target:
            return
        elif where is not None and port.target.address:
            port.target = target
            port.door.lead(where)
            return
        else:
            # From a socket that is only kept to one that is forwarded, or back.
            sock = socket.socket(fileno=os.dup(port.sock.fileno()))
            port.door.close()
        door = open_door(self._loop, self._places, sock, where)
        self._ports[container, key] = _Port(sock, target, door)

    def free(self, container: str, key: str) -> None:
        """Close one port, or all for the key ""; idempotent."""
        for place in [place for place in self._ports if place[0] == container and key in ("", place[1])]:
            self._ports.pop(place).door.close()
        self.on_idle()

    def holdings(self) -> Iterator[tuple[str, str, list[int]]]:
        """(container, key of a port or "", sockets) of everything."""
        for container, server in self._servers.items():
            yield container, "", [sock.fileno() for sock in server.sockets]
        for (container, key), port in self._ports.items():
            yield container, key, [port.sock.fileno()]

    def retire(self) -> None:
        """Let go of all sockets; connections go on to their end, then this process can leave."""
        self.on_retire()
        for port in self._ports.values():
            port.door.retire()
            self._retired.append(port.door)
        self._ports.clear()
        for container in list(self._servers):
            self.close(container)
        self._look()

    def _look(self) -> None:
        self._retired = [door for door in self._retired if door.connections]
        if self._retired:
            self._loop.later(_LOOK, self._look)
        self.on_idle()
