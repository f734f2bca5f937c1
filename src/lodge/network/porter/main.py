"""The porter's process: made by `process.spawn`, ends when nobody needs it.

argv[1] is its directory. The link to the engine that started it is open already, and so is the socket for the
next one.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys

from lodge.kernel.process import close_range, set_title
from lodge.network.loop import READ, Loop, Timer
from lodge.network.porter.address import LINK_FD, LISTEN_FD, TITLE
from lodge.network.porter.caller import Caller
from lodge.network.porter.desk import Desk

# An engine that needs nothing for so long gets another porter when it does (seconds).
_IDLE = 30.0
_CALLERS = 4
# Files that are neither questions nor connections: sandboxes and ports have at least so many.
_RESERVE = 2048


def main() -> None:
    """Serve until there is nothing to do."""
    # SAFETY: nothing of ours is open yet; what a careless parent left open shall not live on here.
    close_range(LISTEN_FD + 1)
    directory = sys.argv[1]
    set_title([TITLE, directory])
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    loop = Loop()
    desk = Desk(loop, _files())
    porch = Porch(loop, desk, socket.socket(fileno=LISTEN_FD))
    porch.welcome(socket.socket(fileno=LINK_FD))
    # What lives now lives for ever.
    gc.collect()
    gc.freeze()
    loop.run()


def _files() -> int:
    """How many files connections and questions may take."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    files = hard if hard != resource.RLIM_INFINITY else 1 << 20
    return max(files // 2, files - _RESERVE)


class Porch:
    """Where engines come in: one at a time, the last counts."""

    def __init__(self, loop: Loop, desk: Desk, listener: socket.socket) -> None:
        self._loop = loop
        self._desk = desk
        self._caller: Caller | None = None
        self._idle: Timer | None = None
        # Whoever connects is told this process's id from now on, not that of the engine that made the socket.
        listener.listen(_CALLERS)
        listener.setblocking(False)
        self._socket = listener
        desk.on_idle = self._leave
        desk.on_retire = self._retire
        desk.news = self._listen_first
        loop.watch(self._socket.fileno(), READ, self._come_in)

    def welcome(self, sock: socket.socket) -> None:
        """Serve an engine; one that was there before is not served any more."""
        if self._caller is not None:
            self._caller.drain()
            self._caller.close()
        self._caller = Caller(self._loop, self._desk, sock, self._gone)
        self._caller.greet()

    def _come_in(self, _events: int) -> None:
        try:
            sock, _ = self._socket.accept()
        except OSError:
            return
        self.welcome(sock)

    def _gone(self) -> None:
        self._caller = None
        # Standard error was that engine's: whoever reads it shall see its end.
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, 2)
        os.close(null)
        self._leave()

    def _listen_first(self) -> None:
        if self._caller is not None:
            self._caller.listen()

    def _leave(self) -> None:
        """Nothing may be left to do: end at once when nobody is there, after a while else."""
        if self._desk.busy:
            return
        if self._caller is None:
            # The next engine may stand at the door already.
            self._come_in(READ)
        if self._caller is None:
            self._loop.stop()
        elif self._idle is None:
            self._idle = self._loop.later(_IDLE, self._tire)

    def _tire(self) -> None:
        """What an engine says in this very moment it says again to the next porter."""
        self._idle = None
        if not self._desk.busy:
            self._loop.stop()

    def _retire(self) -> None:
        """The next porter has the address."""
        self._loop.forget(self._socket.fileno())
        self._socket.close()
