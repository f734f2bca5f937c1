"""Rules that somebody else takes away are put back at once.

The kernel tells of each change of nf_tables; after a removal that is not our own ours are looked at, and
if anything is missing the whole is asserted again.
"""

from __future__ import annotations

import errno
import logging
import threading

from lodge.kernel.netlink.socket import NetlinkSocket
from lodge.kernel.nftables import watch
from lodge.network.firewall.wall import Wall
from lodge.network.keeper import Keeper

_log = logging.getLogger(__name__)


class Guard:
    """Watches with the keeper's thread; begun once."""

    def __init__(self, wall: Wall, keeper: Keeper) -> None:
        self._wall = wall
        self._keeper = keeper
        self._lock = threading.Lock()
        self._socket: NetlinkSocket | None = None

    def begin(self) -> None:
        """Watch from now on; again does no harm."""
        with self._lock:
            if self._socket is None:
                self._socket = watch.listener(self._wall.port())
                self._keeper.watch(self._socket.fileno(), self._heard)

    def close(self) -> None:
        """Stop; the keeper's thread has ended before."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _heard(self) -> None:
        if self._socket is None:
            return
        try:
            names = {found[1] for found in map(watch.removed_from, self._socket.events()) if found}
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            names = {self._wall.name}  # so much was changed that the kernel lost count: look
        if self._wall.name in names and not self._wall.stands():
            _log.warning("the firewall's rules were changed by somebody else; they are put back")
            self._wall.assert_all()
