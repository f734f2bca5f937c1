"""How a fork of the zygote becomes a monitor, and serves until its container is over."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from lodge.kernel.process import set_child_subreaper, set_name, set_pdeathsig, set_title
from lodge.runtime.contract import Dwelling
from lodge.runtime.messages import SealedLaunch
from lodge.runtime.monitor.keeper import Keeper, MakeDwelling
from lodge.runtime.monitor.loop import Loop

_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGQUIT)
# As much of an id as people are shown.
_SHORT = 12


def ignore_signals() -> None:
    """Ignore what a terminal or an operator sends to a daemon; children inherit it."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)


def detach(name: str) -> None:
    """Leave everything of the daemon: session and terminal, directory, standard streams, its death."""
    set_pdeathsig(0)
    os.setsid()
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)
    set_name(name)


class Birth:
    """A monitor that is not one yet: what needs no order is made when this is. `settled` as in `Keeper`."""

    def __init__(self, make_dwelling: MakeDwelling, settled: Callable[[], None]) -> None:
        def named(order: SealedLaunch) -> Dwelling:
            # After the order was passed on: nobody waits for a name.
            dwelling = make_dwelling(order)
            set_title(["lodge-monitor", order.id[:_SHORT]])
            return dwelling

        self._loop = Loop()
        self._keeper = Keeper(self._loop, named, settled)

    def become_monitor(self, sock: socket.socket) -> NoReturn:
        """Turn this process, a fresh fork, into the monitor that talks on this socket; it ends here."""
        status = 1
        try:
            detach("lodge-monitor")
            set_child_subreaper(True)
            self._loop.on_child(self._keeper.reap)
            self._keeper.serve(sock)
            self._run()
            status = 0
        finally:
            # Never return into the code of the zygote, never run its exit handlers.
            os._exit(status)

    def _run(self) -> None:
        """Until all is over."""
        try:
            self._loop.run()
        except Exception as error:
            try:
                self._keeper.give_up(error)
            except Exception as second:
                self._keeper.give_up(second)
            self._loop.run()
