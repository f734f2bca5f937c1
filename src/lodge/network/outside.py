"""What a sandbox has outside of the kernel's rules: its name server's sockets and its ports' sockets.

The porter keeps them; it is loaded and asked at the first container that needs it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lodge.network.cell import Cell
from lodge.network.contract import Network
from lodge.network.ears import Ears
from lodge.network.ports import Binding, Reserved

if TYPE_CHECKING:
    from lodge.network.porter.attendant import Attendant, Door


class Outside:
    """The porter as far as the hands need it. For any thread."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._attendant: Attendant | None = None
        self._attended: set[str] = set()

    def held(self) -> dict[str, tuple[str, ...]]:
        """What a porter of before has: containers to keys of sockets ("dns" for names). Asked first."""
        with self._lock:
            return self._porter().held()

    def was_used(self) -> bool:
        """Whether a porter was ever started here since the machine was: else there is nothing to ask."""
        return os.path.isdir(self._directory)

    def settle(self) -> None:
        """What was not attended to since `held` goes."""
        with self._lock:
            self._porter().settle()

    def attend(
        self, cell: Cell, networks: Iterable[Network], ears: Ears | None, new: Sequence[Reserved]
    ) -> None:
        """Names and ports as the cell has them now; `new` come with their sockets, the others are held."""
        container = cell.sandbox.container
        embedded = cell.sandbox.resolver.embedded
        with self._lock:
            if not (embedded or cell.bindings or container in self._attended):
                return
            sockets = {each.binding.key: each.socket for each in new}
            doors = []
            for binding in cell.bindings:
                sock = sockets.get(binding.key)
                if binding.key in sockets and sock is None:
                    continue
                doors.append(_door(binding, -1 if sock is None else sock.fileno()))
            hearing = (ears.udp.fileno(), ears.tcp.fileno()) if ears is not None and embedded else ()
            self._attended.add(container)
            self._porter().attend(cell.sandbox, networks, hearing, doors)

    def leave(self, container: str) -> None:
        """Nothing is kept for a container any more."""
        with self._lock:
            if container in self._attended:
                self._attended.discard(container)
                self._porter().leave(container)

    def close(self) -> None:
        """Let go; the porter goes on."""
        with self._lock:
            attendant, self._attendant = self._attendant, None
            if attendant is not None:
                attendant.close()

    def _porter(self) -> Attendant:
        if self._attendant is None:
            from lodge.network.porter.attendant import open_porter

            self._attendant = open_porter(self._directory)
        return self._attendant


def _door(binding: Binding, fd: int) -> Door:
    from lodge.network.porter.attendant import Door

    target = binding.target if binding.proxied else ""
    return Door(
        key=binding.key,
        fd=fd,
        protocol=binding.port.protocol,
        target_address=target,
        target_port=binding.port.container_port if target else 0,
    )
