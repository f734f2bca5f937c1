"""A machine's processes, as children of the keeper: the hypervisor, its porter, its file server.

And their end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import NoReturn

from msgspec import Struct, field
from msgspec.structs import replace

from lodge.kernel.namespaces import clone3
from lodge.kernel.process import close_range, pidfd_send_signal, set_name, set_pdeathsig
from lodge.runtime.vm.network import Wires
from lodge.runtime.vm.parts.base import Base
from lodge.runtime.vm.porter import become_porter
from lodge.runtime.vm.porter_link import PorterLink
from lodge.runtime.vm.qemu import command, process
from lodge.runtime.vm.qemu.control import Control

_TAIL = 2000
_PASSED_ON = (
    "program", "accelerator", "memory", "processors", "image",
    "memory_file", "memory_shared", "state", "confined",
)  # fmt: skip


class Wish(Struct, kw_only=True):
    """What a machine shall be. Sizes are MiB; `image`, `memory_file` and `state` are descriptors or -1.

    They stay the caller's. Its processes are born into new `namespaces`; `enter_cage` runs in the
    hypervisor's process before its execve, `enter_cell` in the porter's.
    """

    program: str
    accelerator: str
    memory: int
    processors: int
    image: int = -1
    wires: Wires = field(default_factory=Wires)
    memory_file: int = -1
    memory_shared: bool = False
    state: int = -1
    namespaces: int = 0
    enter_cage: Callable[[], None]
    enter_cell: Callable[[], None]
    confined: bool = True


class Machine:
    """One that was started; `close` ends it, then calls `on_close`.

    `files` is the stream on which it asks for the host's files.
    """

    def __init__(self, wish: Wish, base: Base) -> None:
        self._stderr = os.memfd_create("qemu-stderr", os.MFD_CLOEXEC)
        self._pids: list[tuple[int, int]] = []
        self._namespaces = wish.namespaces
        self.on_close: Callable[[], None] | None = None
        ends = [process.pair() for _ in range(4)]
        (agent, agent_of), (self.files, files_of), (control, control_of), (console, console_of) = ends
        try:
            self.pid = self._start(
                wish, base, [sock.fileno() for sock in (agent_of, files_of, control_of, console_of)]
            )
            self.control = Control(control)
            link, theirs = PorterLink.make()
            names = wish.wires.names
            self.porter = PorterLink(link)
            self._fork(
                "lodge-porter",
                wish.enter_cell,
                lambda: become_porter(theirs, agent, console, names),
                [sock.fileno() for sock in (theirs, agent, console, names) if sock is not None],
            )
            theirs.close()
        finally:
            for sock in (agent, agent_of, files_of, control_of, console, console_of):
                sock.close()

    def _start(self, wish: Wish, base: Base, sockets: Sequence[int]) -> int:
        agent, files, control, console = sockets
        fields = {name: getattr(wish, name) for name in _PASSED_ON}
        taps = [interface.tap for interface in wish.wires.interfaces]
        machine = command.Machine(
            agent=agent,
            files=files,
            control=control,
            console=console,
            cards=tuple((interface.tap, interface.mac) for interface in wish.wires.interfaces),
            **fields,
        )
        fds = [fd for fd in (*sockets, wish.image, *taps, wish.memory_file, wish.state) if fd >= 0]
        seen = base if wish.namespaces == 0 else replace(base, directory="/base")
        words = command.command(machine, seen)
        pid, pidfd = process.start(words, fds, self._stderr, wish.namespaces, wish.enter_cage)
        self._pids.append((pid, pidfd))
        return pid

    def fork_server(
        self,
        name: str,
        enter: Callable[[], None],
        serve: Callable[[], NoReturn],
        fds: Sequence[int],
    ) -> None:
        """Fork a server that has nothing of the keeper's but these files; it ends with the keeper."""
        self._fork(name, enter, serve, fds)

    def _fork(
        self, name: str, enter: Callable[[], None], serve: Callable[[], NoReturn], fds: Sequence[int]
    ) -> None:
        parent = os.getpid()
        # SAFETY: the keeper has one thread; the child serves and ends.
        pid, pidfd = clone3(self._namespaces)
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _close_all_but(fds)
                set_name(name)
                enter()
                set_pdeathsig(signal.SIGKILL)
                if os.getppid() in (parent, 0):
                    serve()
            finally:
                os._exit(1)
        self._pids.append((pid, pidfd))

    @property
    def pids(self) -> list[int]:
        """The processes of the host that it is made of, the hypervisor first."""
        return [pid for pid, _ in self._pids]

    def complaint(self) -> str:
        """The end of what the hypervisor said to its standard error."""
        size = os.fstat(self._stderr).st_size
        text = os.pread(self._stderr, _TAIL, max(0, size - _TAIL)).decode("utf-8", "replace")
        return text.strip()

    def close(self) -> None:
        """End all processes and give everything back; idempotent."""
        self.porter.close()
        self.control.close()
        self.files.close()
        pids, self._pids = self._pids, []
        for _, pidfd in pids:
            try:
                pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pid, pidfd in pids:
            os.close(pidfd)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                # Whoever collects all children of this process was faster.
                continue
        if self._stderr >= 0:
            os.close(self._stderr)
            self._stderr = -1
        if self.on_close is not None:
            act, self.on_close = self.on_close, None
            act()


def _close_all_but(fds: Sequence[int]) -> None:
    first = 3
    for fd in sorted(fds):
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)
