"""Sandboxes made ahead: a namespace whose first interface is on its bridge already, waiting for a container.

Making one costs milliseconds, taking one nothing. Only networks that are in use have any; a network that was
not asked for a while has none again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from lodge.network.drivers.contract import Plug
from lodge.network.ears import Ears
from lodge.network.keeper import Keeper
from lodge.network.space import Space

DEPTH = 3
IDLE = 30.0
_CALM = 0.02


class Kind(NamedTuple):
    """What is made ahead: for which network, with a name server's sockets or without."""

    network: str
    names: bool


class Blank:
    """A sandbox that waits: its namespace, its first interface (up, without addresses), its name sockets."""

    def __init__(self, space: Space, plug: Plug | None, ears: Ears | None) -> None:
        self.space = space
        self.plug = plug
        self.ears = ears

    def close(self) -> None:
        """Let it go, all of it."""
        if self.ears is not None:
            self.ears.close()
        self.space.close()


class _Shelf:
    """The blanks of one kind."""

    def __init__(self) -> None:
        self.blanks: deque[Blank] = deque()
        self.asked = 0.0
        self.filling = False


class Pool:
    """Takes blanks and has the keeper make others."""

    def __init__(self, keeper: Keeper, make: Callable[[Kind], Blank]) -> None:
        self._keeper = keeper
        self._make = make
        self._lock = threading.Lock()
        self._shelves: dict[Kind, _Shelf] = {}
        self._closed = False

    def take(self, kind: Kind) -> Blank:
        """A blank of this kind: a waiting one, or one made now."""
        with self._lock:
            shelf = self._shelves.setdefault(kind, _Shelf())
            shelf.asked = time.monotonic()
            blank = shelf.blanks.popleft() if shelf.blanks else None
            if not shelf.filling and not self._closed:
                shelf.filling = True
                self._keeper.later(_CALM, lambda: self._fill(kind))
        return blank or self._make(kind)

    def forget(self, network: str) -> None:
        """Let the blanks of a network go: it has changed, or is no more."""
        with self._lock:
            gone = [self._shelves.pop(kind) for kind in list(self._shelves) if kind.network == network]
        for shelf in gone:
            for blank in shelf.blanks:
                blank.close()

    def ports(self) -> set[int]:
        """The numbers of the host's ends of all blanks."""
        with self._lock:
            return {
                blank.plug.port
                for shelf in self._shelves.values()
                for blank in shelf.blanks
                if blank.plug is not None
            }

    def close(self) -> None:
        """Let all go."""
        with self._lock:
            self._closed = True
            kinds = list(self._shelves)
        for kind in kinds:
            self.forget(kind.network)

    def _fill(self, kind: Kind) -> None:
        """Make one, and come again until there are enough; a start that is under way goes first."""
        with self._lock:
            shelf = self._shelves.get(kind)
            if shelf is None or self._closed:
                return
            calm = time.monotonic() - shelf.asked
            full = len(shelf.blanks) >= DEPTH
            shelf.filling = not full
        if full:
            self._keeper.later(IDLE, lambda: self._drain(kind))
            return
        if calm < _CALM and shelf.blanks:
            self._keeper.later(_CALM - calm, lambda: self._fill(kind))
            return
        try:
            blank = self._make(kind)
        except Exception:
            with self._lock:
                shelf.filling = False
                forgotten = self._shelves.get(kind) is not shelf
            if forgotten:
                return  # the network went while this was made
            raise
        with self._lock:
            kept = self._shelves.get(kind) is shelf and not self._closed
            if kept:
                shelf.blanks.append(blank)
        if not kept:
            blank.close()
            return
        self._keeper.later(0, lambda: self._fill(kind))

    def _drain(self, kind: Kind) -> None:
        with self._lock:
            shelf = self._shelves.get(kind)
            idle = shelf is not None and time.monotonic() - shelf.asked >= IDLE and not shelf.filling
        if idle:
            with self._lock:
                shelf = self._shelves.pop(kind, None)
            for blank in shelf.blanks if shelf else ():
                blank.close()
