"""The midwife: a process that makes a monitor's container, of any kind, and then ends.

Making a container runs through most of the process wing's code, and Python writes to all that it touches: the
pages of a monitor that did it itself would be its own for ever, some three megabytes. So the midwife, a child
of the monitor, does it; the init is born as the monitor's child (CLONE_PARENT), and its descriptors are
handed over. It stays until the program has started.

    monitor                       midwife
      | SealedLaunch --------------> |
      | <-- Done + pidfd, streams    |   or Failed, and it ends
      | Start ---------------------> |
      | <-- Done                     |   or Failed, and it ends in any case
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from lodge.errors import Internal
from lodge.kernel.process import close_range, set_name, set_pdeathsig
from lodge.runtime.contract import Dwelling, Program, StdioRequest, Streams
from lodge.runtime.failures import error_of, failed
from lodge.runtime.link import Link, LinkBroken
from lodge.runtime.messages import Done, Failed, Message, SealedLaunch, Start, decoder_of
from lodge.runtime.program import ChildProgram

_to_midwife = decoder_of(SealedLaunch | Start)
_from_midwife = decoder_of(Done | Failed)


class Midwife:
    """The monitor's side. Use it once, or `dismiss` it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    def fork(cls, make_dwelling: Callable[[SealedLaunch], Dwelling]) -> Midwife:
        """Fork one."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        # SAFETY: a monitor has one thread.
        if os.fork() == 0:
            _serve(theirs, make_dwelling, parent)
        theirs.close()
        return cls(Link(ours, _from_midwife))

    def create(self, order: SealedLaunch) -> ChildProgram:
        """Have the container made up to right before its program; errors as `Dwelling.create`."""
        done, fds = self._ask(order)
        streams = Streams()
        pidfd, *rest = fds
        if order.terminal:
            [streams.terminal] = rest
        else:
            if order.stdin:
                streams.stdin = rest.pop(0)
            streams.stdout, streams.stderr = rest
        return ChildProgram(done.pid, pidfd, streams)

    def start(self, request: int) -> None:
        """Have the program started; errors as `Dwelling.start`."""
        try:
            self._ask(Start(request=request))
        finally:
            self.dismiss()

    def dismiss(self) -> None:
        """Let it go: it ends, and an init that it has not started ends too. Idempotent."""
        self._link.close()

    def _ask(self, message: Message) -> tuple[Done, list[int]]:
        try:
            self._link.send(message)
            answer, fds = wait_for(self._link)
        except LinkBroken as error:
            raise Internal(f"the process that makes the container has died: {error}") from error
        if isinstance(answer, Failed):
            raise error_of(answer)
        return answer, fds


def wait_for(link: Link) -> tuple[Any, list[int]]:
    """The next message; LinkBroken at the end of the link."""
    while True:
        select.select([link], [link] if link.backlog else [], [])
        link.flush()
        received = link.receive()
        if received:
            return received[0]
        if link.ended:
            raise LinkBroken("it has ended")


def _serve(
    sock: socket.socket,
    make_dwelling: Callable[[SealedLaunch], Dwelling],
    parent: int,
) -> NoReturn:
    """The midwife's whole life."""
    try:
        set_pdeathsig(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
        _keep_only(sock)
        set_name("lodge-midwife")
        link = Link(sock, _to_midwife)
        order, _ = wait_for(link)
        dwelling = make_dwelling(order)
        if _answered(link, order.request, lambda: _create(dwelling, order)):
            start, _ = wait_for(link)
            _answered(link, start.request, lambda: _start(dwelling))
    except LinkBroken:
        # Dismissed, or the monitor has died.
        pass
    finally:
        os._exit(0)


def _keep_only(sock: socket.socket) -> None:
    """Close what the monitor has open besides the standard streams: links, clients, the log."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    close_range(3, sock.fileno() - 1)
    close_range(sock.fileno() + 1)


def _answered(link: Link, request: int, work: Callable[[], Program | None]) -> bool:
    """Do a piece of work and answer with what came of it; whether it is done."""
    try:
        program = work()
    except Exception as error:
        link.send(failed(request, error))
        return False
    if program is None:
        link.send(Done(request=request))
        return True
    streams = program.streams
    mine = (streams.terminal, streams.stdin, streams.stdout, streams.stderr)
    link.send(
        Done(request=request, pid=program.pid), [program.fileno(), *(fd for fd in mine if fd is not None)]
    )
    # Only the monitor shall hold them, or their ends would not be seen.
    streams.close()
    return True


def _create(dwelling: Dwelling, order: SealedLaunch) -> Program:
    return dwelling.create(StdioRequest(terminal=order.terminal, stdin=order.stdin, window=order.window))


def _start(dwelling: Dwelling) -> None:
    dwelling.start()
