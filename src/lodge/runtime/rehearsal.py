"""A rehearsal: the zygote plays a monitor's life some times before it forks the first.

Python writes to what it runs: it counts calls, specialises bytecode, fills the cache of attribute look-ups.
What it has written before the fork it need not write after it, so that these pages stay shared by all
monitors; that halves what a monitor takes for itself, and makes it faster. Nothing is started here and
nothing is left behind.
"""

from __future__ import annotations

import os
import socket
from typing import NoReturn

import msgspec

from lodge.kernel import sockets
from lodge.kernel.process import set_child_subreaper, set_pdeathsig
from lodge.runtime.contract import Dwelling
from lodge.runtime.link import MonitorLink
from lodge.runtime.messages import Attach, Launch, LogSpec, Query, SealedLaunch, Start
from lodge.runtime.monitor.cell import Cell
from lodge.runtime.monitor.delivered import DeliveredDwelling
from lodge.runtime.monitor.keeper import Keeper
from lodge.runtime.monitor.loop import Loop
from lodge.runtime.monitor.wings import Wings
from lodge.runtime.process.birth import Birth
from lodge.runtime.process.handshake import Channel, Prepared, Ready
from lodge.spec.mount import Mount
from lodge.spec.runtime import Linux, Namespace, Process, RuntimeConfig

# More than the order has.
_LONGEST = 1 << 16
# An interpreter specialises a function in its eighth to sixteenth call.
_TIMES = 20
# A play that went wrong ends after so many seconds, and costs nothing but warmth.
_PATIENCE = 0.5


class _Actor:
    """An init that was born ahead, played by a fork; its part of the talk is spoken by this process."""

    def __init__(self) -> None:
        self.cue, self._part = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        waiting, self._end = os.pipe2(os.O_CLOEXEC)

        def wait() -> NoReturn:
            os.close(self._end)
            os.read(waiting, 1)
            os._exit(0)

        # SAFETY: the zygote has one thread; the child only waits for its end.
        self.pid, self.pidfd = Birth().clone(wait)
        os.close(waiting)
        self._streams: list[int] = []

    def take_the_stage(self) -> None:
        """Say all that an init says until its program runs."""
        channel = Channel(self._part)
        channel.send(Prepared())
        channel.send(Ready())
        self._part.shutdown(socket.SHUT_WR)

    def speak(self) -> None:
        """Write what programs write."""
        _, self._streams = sockets.receive(self._part, _LONGEST)
        _, stdout, stderr = self._streams
        os.write(stdout, b"a line\nand another\n")
        os.write(stderr, b"not a whole line")

    def end(self) -> None:
        """End, as a process does."""
        for fd in (*self._streams, self._end):
            os.close(fd)
        self._part.close()


def rehearse(directory: str, wings: Wings) -> None:
    """Play, in a directory that is made for it and removed after. SIGCHLD must do what it does by default."""
    os.makedirs(directory, 0o700)
    try:
        for _ in range(_TIMES):
            # What the birth of a monitor calls; for this process it changes nothing.
            set_pdeathsig(0)
            set_child_subreaper(False)
            _play(directory, wings)
            wings.rehearse()
    finally:
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)


def _play(directory: str, wings: Wings) -> None:
    loop = Loop()
    loop.later(_PATIENCE, loop.stop)
    actor = _Actor()
    actor.take_the_stage()
    cell = Cell(actor.pid, actor.pidfd, actor.cue)
    made: list[Dwelling] = []

    def make(order: SealedLaunch) -> Dwelling:
        made.append(wings.dwelling(order, cell))
        return made[0]

    keeper = Keeper(loop, make)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    keeper.serve(theirs)
    engine = MonitorLink(ours)
    client, far_end = socket.socketpair()
    client.send(b"input\n")
    script = (_order(directory), Attach(request=2, stdin=True), Start(request=3), Query(request=4))
    for message in script:
        engine.send(message, [far_end.fileno()] if isinstance(message, Attach) else [])
        loop.turn()
        engine.receive()
    actor.speak()
    loop.turn()
    actor.end()
    loop.run()
    for dwelling in made:
        assert isinstance(dwelling, DeliveredDwelling)
        dwelling.let_go()
    engine.close()
    client.close()
    far_end.close()


def _order(directory: str) -> Launch:
    # No group of this name is made.
    linux = Linux(cgroups_path="/lodge-rehearsal", namespaces=[Namespace(type="pid")])
    return Launch(
        request=1,
        id="rehearsal",
        bundle=directory,
        state_dir=directory,
        config=RuntimeConfig(oci_version="1.2.0", process=Process(cwd="/", args=["x"]), linux=linux),
        root_mounts=[Mount(type="overlay", source="overlay", options=("lowerdir=/x",))],
        extras=msgspec.Raw(b"{}"),
        stdin=True,
        stdin_once=True,
        log=LogSpec(path=os.path.join(directory, "log")),
    )
