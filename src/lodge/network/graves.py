"""Namespaces of ended containers, held until it is calm.

When a namespace dies, the kernel takes its links apart and holds up everything else that is done to links
meanwhile, for tens of milliseconds: in a row of short containers each start would wait for the end before.
So an ended sandbox stays, mute, until nothing was started for a moment or there are many; then all go at
once, which costs hardly more than one.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from lodge.kernel.netlink import links
from lodge.network import host, naming
from lodge.network.drivers.table import Drivers
from lodge.network.firewall.facts import Fact, Muted
from lodge.network.firewall.wall import Wall
from lodge.network.keeper import Keeper

MANY = 24
_CALM = 0.25
_GRACE = 1.0
"""Seconds after which links are deleted by hand: a namespace that somebody else holds does not die."""


class Graves:
    """Holds descriptors of namespaces and the numbers of their ports. For any thread."""

    def __init__(
        self, instance: str, keeper: Keeper, wall: Wall, drivers: Drivers, asked: Callable[[], float]
    ) -> None:
        self._instance = instance
        self._keeper = keeper
        self._wall = wall
        self._drivers = drivers
        self._asked = asked
        self._lock = threading.Lock()
        self._open: list[tuple[int, frozenset[int]]] = []
        self._muted: set[int] = set()
        self._planned = False

    def facts(self, ports: Iterable[int]) -> dict[str, Sequence[Fact]]:
        """What the wall shall be told together with the end of the container."""
        return {_owner(port): [Muted(index=port)] for port in ports}

    def dig(self, fd: int, ports: Iterable[int]) -> None:
        """Take over a namespace (-1: it is not held) and its ports."""
        with self._lock:
            self._open.append((fd, ports := frozenset(ports)))
            self._muted |= ports
            planned, self._planned = self._planned, True
        if not planned:
            self._keeper.later(_CALM, self._visit)

    def close(self) -> None:
        """Let all namespaces go now, and forget them: nobody comes to do it later."""
        with self._lock:
            buried, self._open = self._open, []
            ports, self._muted = self._muted, set()
        _close(buried)
        self._wall.forget(*map(_owner, ports))

    def _visit(self) -> None:
        with self._lock:
            busy = time.monotonic() - self._asked() < _CALM and len(self._open) < MANY
            buried: list[tuple[int, frozenset[int]]] = []
            if not busy:
                buried, self._open = self._open, []
            self._planned = busy
        if busy:
            self._keeper.later(_CALM / 4, self._visit)
            return
        _close(buried)
        ports = frozenset[int]().union(*(each for _, each in buried))
        self._keeper.later(_GRACE, lambda: self._level(ports))

    def _level(self, ports: frozenset[int]) -> None:
        """Delete what is left of the links, and forget them."""
        with self._drivers.lock:
            sock = self._drivers.socket
            for link in host.every_link(sock):
                if link.ifindex in ports and naming.mark(link, self._instance) is not None:
                    sock.do(links.delete(index=link.ifindex), tolerate=(errno.ENODEV,))
        with self._lock:
            self._muted -= ports
        self._wall.forget(*map(_owner, ports))


def _owner(port: int) -> str:
    return f"grave {port}"


def _close(buried: Iterable[tuple[int, frozenset[int]]]) -> None:
    for fd, _ in buried:
        if fd >= 0:
            os.close(fd)
