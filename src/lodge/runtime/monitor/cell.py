"""The monitor's hand on an init that was born ahead, before the monitor itself has an order.

The init has made what every usual container has (`process.prefab`) and waits. An order is passed on to it as
it came; when it fits, the init makes the rest and becomes the program, with nobody in between. When it does
not, a midwife makes the container.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from msgspec import Raw

from lodge.errors import LodgeError, StartFailed
from lodge.kernel import namespaces as ns
from lodge.kernel.process import set_name, set_pdeathsig
from lodge.runtime.contract import StdioRequest, Streams
from lodge.runtime.link import Link, LinkBroken
from lodge.runtime.messages import SealedLaunch, decoder_of, encode
from lodge.runtime.monitor.midwife import wait_for
from lodge.runtime.process import handshake
from lodge.runtime.process.dwelling import ProcessDwelling
from lodge.runtime.process.handshake import Channel, Misfit, Prepared, Ready, Start, TerminalOpened
from lodge.runtime.process.hooks import HookRunner
from lodge.runtime.process.prefab import Pattern, build
from lodge.runtime.process.stdio import Stdio
from lodge.runtime.program import ChildProgram
from lodge.spec.runtime import OCI_VERSION, State

_order_decoder = decoder_of(SealedLaunch)

MakeDwelling = Callable[[SealedLaunch], ProcessDwelling]


class Cell:
    """One init without an order. Use it once, or `dismiss` it."""

    def __init__(self, pid: int, pidfd: int, sock: socket.socket) -> None:
        self.pid = pid
        self._init = ChildProgram(pid, pidfd, Streams())
        self._link = Link(sock, _order_decoder)
        self._channel = Channel(sock)
        self._streams: Stdio | None = None

    @classmethod
    def fork(
        cls, pattern: Pattern, place: str, make_dwelling: MakeDwelling, leave: Callable[[], None]
    ) -> Cell:
        """Fork one. In the child `leave` is called first, to close what is not its own."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # SAFETY: this process, a fresh fork of the zygote, has one thread.
        pid, pidfd = ns.clone3(pattern.flags)
        if pid == 0:
            ours.close()
            _live(theirs, pattern, place, make_dwelling, leave)
        theirs.close()
        return cls(pid, pidfd, ours)

    def order(self, order: SealedLaunch) -> None:
        """Pass an order on; the init begins at once. `program` tells what came of it."""
        self._streams = Stdio(StdioRequest(terminal=order.terminal, stdin=order.stdin))
        try:
            self._link.send(order, self._streams.child)
        except LinkBroken:
            # It has died; `program` will see that.
            pass
        self._streams.close_child_side()

    def program(self) -> ChildProgram | None:
        """The container, made up to right before its program; None when this cell can't be it.

        Errors as `Dwelling.create`.
        """
        streams = self._streams
        assert streams is not None
        self._channel.sock.setblocking(True)
        try:
            fits = self._fits(streams.streams)
        except BaseException:
            streams.abandon()
            raise
        if not fits:
            streams.abandon()
            return None
        self._init.streams = streams.streams
        return self._init

    def _fits(self, streams: Streams) -> bool:
        try:
            self._channel.expect_any(Prepared)
        except LodgeError:
            # Nothing could be made ahead; whoever makes it now will say why.
            return False
        message, terminal = self._channel.expect_any(Misfit, TerminalOpened, Ready)
        if isinstance(message, TerminalOpened):
            streams.terminal = terminal
            self._channel.expect_any(Ready)
        return not isinstance(message, Misfit)

    def start(self) -> None:
        """Let the program run; errors as `Dwelling.start`."""
        try:
            self._channel.send(Start())
            self._channel.expect_end()
        except BrokenPipeError:
            raise StartFailed("the container ended before it was started") from None
        finally:
            self._channel.close()

    def dismiss(self) -> None:
        """End an init that nobody needs, and collect it. Idempotent; not after `program` gave one."""
        self._channel.close()
        self._init.kill()
        self._init.close()


def _live(
    sock: socket.socket,
    pattern: Pattern,
    place: str,
    make_dwelling: MakeDwelling,
    leave: Callable[[], None],
) -> NoReturn:
    """The whole life of an init without an order."""
    channel = Channel(sock)
    try:
        set_pdeathsig(signal.SIGKILL)
        leave()
        set_name("lodge-cell")
        hooks = HookRunner(None, State(OCI_VERSION, "", "creating", 0, ""))
        trees = build(pattern, place, channel, hooks)
        channel.send(Prepared())
        rehearse(make_dwelling, pattern)
        order, streams = wait_for(Link(sock, _order_decoder))
        sock.setblocking(True)
        stdio = StdioRequest(terminal=order.terminal, window=order.window)
        if not order.terminal:
            stdio = StdioRequest(inherit=(streams[0], streams[1], streams[2]))
        make_dwelling(order).inhabit(pattern, trees, stdio, channel)
    except LinkBroken:
        # Dismissed, or the monitor has died.
        pass
    except BaseException as error:
        os.write(sock.fileno(), handshake.failed(error))
    finally:
        os._exit(1)


def rehearse(make_dwelling: MakeDwelling, pattern: Pattern) -> None:
    """Read and plan an order that nobody gave.

    Python writes to all that it touches, and each page that it writes to first is a page fault: what is
    faulted in now will not be later, when somebody waits.
    """
    text = encode(SealedLaunch(request=0, id="-", bundle="/", state_dir="/", config=Raw(pattern.text)))
    make_dwelling(_order_decoder.decode(text)).fitting(StdioRequest(inherit=(0, 1, 2)), pattern, ())
