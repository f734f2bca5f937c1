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


def serve(sock: socket.socket, make_dwelling: MakeDwelling, settled: Callable[[], None]) -> None:
    """Be the monitor that talks on this socket, until all is over."""
    loop = Loop()
    keeper = Keeper(loop, make_dwelling, settled)
    loop.on_child(keeper.reap)
    keeper.serve(sock)
    try:
        loop.run()
    except Exception as error:
        try:
            keeper.give_up(error)
        except Exception as second:
            keeper.give_up(second)
        loop.run()


def become_monitor(sock: socket.socket, make_dwelling: MakeDwelling, settled: Callable[[], None]) -> NoReturn:
    """Turn this process, a fresh fork, into a monitor; it ends here. `settled` as in `Keeper`."""
    status = 1
    try:
        detach("lodge-monitor")
        set_child_subreaper(True)

        def named(order: SealedLaunch) -> Dwelling:
            set_title(["lodge-monitor", order.id[:_SHORT]])
            return make_dwelling(order)

        serve(sock, named, settled)
        status = 0
    finally:
        # Never return into the code of the zygote, never run its exit handlers.
        os._exit(status)
