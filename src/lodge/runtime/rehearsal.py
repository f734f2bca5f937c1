"""A rehearsal: the zygote plays a monitor's life some times before it forks the first.

Python writes to what it runs: it counts calls, specialises bytecode, fills the cache of attribute look-ups.
What it has written before the fork it need not write after it, so that these pages stay shared by all
monitors; that halves what a monitor takes for itself, and makes it faster. Nothing is started here and
nothing is left behind.
"""

from __future__ import annotations

import os
import socket
from typing import Any

import msgspec

from lodge.kernel.process import set_child_subreaper, set_name, set_pdeathsig
from lodge.runtime.contract import StdioRequest, Streams
from lodge.runtime.link import MonitorLink
from lodge.runtime.messages import Attach, Execute, Launch, LogSpec, Message, Query, Start
from lodge.runtime.monitor.keeper import Keeper
from lodge.runtime.monitor.loop import Loop
from lodge.spec.mount import Mount
from lodge.spec.runtime import Linux, Namespace, Process, RuntimeConfig

# An interpreter specialises a function in its eighth to sixteenth call.
_TIMES = 20
# A play that went wrong ends after so many seconds, and costs nothing but warmth.
_PATIENCE = 0.5


class _Part:
    """A program that is played: two pipes and the pid of this process. It ends when `end` is called."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        stdin, stdin_writer = os.pipe2(os.O_CLOEXEC)
        stdout, self._stdout = os.pipe2(os.O_CLOEXEC)
        stderr, self._stderr = os.pipe2(os.O_CLOEXEC)
        self.streams = Streams(stdin=stdin_writer, stdout=stdout, stderr=stderr)
        self._stdin = stdin
        self._alive, self._end = os.pipe2(os.O_CLOEXEC)

    def fileno(self) -> int:
        return self._alive

    def speak(self) -> None:
        """Write what programs write."""
        os.write(self._stdout, b"a line\nand another\n")
        os.write(self._stderr, b"not a whole line")

    def end(self) -> None:
        """End, as a process does."""
        for fd in (self._stdin, self._stdout, self._stderr, self._end):
            os.close(fd)

    def reap(self) -> int:
        return 0

    def signal(self, number: int) -> None:
        """Nothing is played of it."""

    def resize(self, rows: int, columns: int) -> None:
        """Nothing is played of it."""

    def close(self) -> None:
        os.close(self._alive)


class _Stage:
    """A dwelling that is played."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []

    def create(self, _stdio: StdioRequest) -> _Part:
        self.parts.append(_Part())
        return self.parts[-1]

    def start(self) -> None:
        """Nothing is played of it."""

    def execute(self, _process: Process, stdio: StdioRequest, _extras: Any = None) -> _Part:
        return self.create(stdio)

    def signal_all(self, number: int) -> None:
        """Nothing is played of it."""

    def pause(self) -> None:
        """Nothing is played of it."""

    def resume(self) -> None:
        """Nothing is played of it."""

    def update(self, resources: Any) -> None:
        """Nothing is played of it."""

    def stats(self) -> dict[str, int]:
        return {}

    def processes(self) -> list[int]:
        return []

    def oom_kills(self) -> int:
        return 0

    def remove(self) -> None:
        """Nothing is played of it."""


def rehearse(directory: str) -> None:
    """Play, in a directory that is made for it and removed after."""
    os.makedirs(directory, 0o700)
    try:
        for _ in range(_TIMES):
            # What the birth of a monitor calls; for this process it changes nothing.
            set_pdeathsig(0)
            set_child_subreaper(False)
            set_name("lodge-zygote")
            _play(directory)
    finally:
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)


def _play(directory: str) -> None:
    stage = _Stage()
    loop = Loop()
    loop.later(_PATIENCE, loop.stop)
    keeper = Keeper(loop, lambda _order: stage)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    keeper.serve(theirs)
    engine = MonitorLink(ours)
    script: list[Message] = [
        _order(directory),
        Attach(request=2, stdin=True),
        Start(request=3),
        Query(request=4),
        Execute(request=5, exec_id="x", process=Process(cwd="/", args=["x"]), stdin=True),
    ]
    clients: list[socket.socket] = []
    for message in script:
        fds = []
        if isinstance(message, Attach | Execute):
            client, far_end = socket.socketpair()
            clients += [client, far_end]
            client.send(b"input\n")
            fds = [far_end.fileno()]
        engine.send(message, fds)
        loop.turn()
        engine.receive()
    for part in stage.parts:
        part.speak()
        loop.turn()
    for part in reversed(stage.parts):
        part.end()
        loop.turn()
    loop.run()
    engine.close()
    for client in clients:
        client.close()


def _order(directory: str) -> Launch:
    linux = Linux(cgroups_path="/x", namespaces=[Namespace(type="pid")])
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
