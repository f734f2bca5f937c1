"""The engine's end of the porter: what it shall answer and forward. Blocks briefly; for any thread.

`Porter` remembers all that it said, with duplicates of the sockets, so that a porter that dies is replaced at
once and goes on with the same sockets; and the porter gives them to the next engine (see `messages`). A call
costs a message, not an answer, but for `free` and `settle`.

    porter = Porter(directory)
    held = porter.open()                          what a porter has kept from the engine before
    porter.join(...), .open_sandbox(...), ...     all that is wanted; sockets only where `held` has none
    porter.settle()                               what was not given goes
    ...                                           changes, one by one
    porter.close()                                it goes on without us
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from collections.abc import Iterable

from lodge.errors import Unavailable
from lodge.kernel.sockets import peer_credentials
from lodge.network.names.view import Member, View
from lodge.network.porter import process
from lodge.network.porter.held import Held, Memory
from lodge.network.porter.link import Link, LinkLost
from lodge.network.porter.messages import (
    PROTOCOL,
    Close,
    Free,
    HeldPort,
    HeldSandbox,
    Hello,
    Join,
    Leave,
    Message,
    Open,
    Reserve,
    Retire,
    Settle,
    Shown,
    Target,
)

_log = logging.getLogger(__name__)

_END_PATIENCE = 2.0
# For one that has hung up, which is the last that it does.
_GRACE = 0.5


class Porter:
    """One engine's porter; the process is started when there is something for it to do."""

    def __init__(self, directory: str, *, interpreter: str = sys.executable) -> None:
        """`directory`: the porter's own, below the exec root; made when it is missing."""
        self._directory = directory
        self._interpreter = interpreter
        self._lock = threading.RLock()
        self._memory = Memory()
        self._link: Link | None = None
        self._pid = 0
        self._request = 0

    # At the start and the end of an engine

    def open(self) -> Held:
        """Find the porter that runs, if there is one, and what it holds. Its sockets are ours too now."""
        with self._lock:
            sock = process.connect(self._directory)
            if sock is None:
                return Held()
            link = Link(sock)
            try:
                known = self._listen(link)
                if not known:
                    link.send(Retire())
            except LinkLost as error:
                _log.warning("%s; another one takes over", error)
                known = False
                # It must not go on beside the next one with the same sockets.
                process.kill_hung(peer_credentials(sock)[0], self._directory)
            if known:
                self._adopt(link, 0)
            else:
                # Of another version, or dying. Its sockets, as far as it has shown them, live on in the next.
                link.close()
                if self._memory:
                    self._replace()
            return self._memory.held()

    def _listen(self, link: Link) -> bool:
        """Take in what a porter shows; whether it speaks our version."""
        hello, _ = link.receive()
        while True:
            message, fds = link.receive()
            if isinstance(message, Shown):
                return isinstance(hello, Hello) and hello.protocol == PROTOCOL
            if isinstance(message, HeldSandbox) and len(fds) == 2:
                self._memory.sandbox(message.container, None, fds)
            elif isinstance(message, HeldPort) and len(fds) == 1:
                self._memory.port(message.container, message.key, None, fds)
            else:
                for fd in fds:
                    os.close(fd)

    def settle(self) -> None:
        """Everything wanted has been given again: what else a porter kept goes, and its sockets with it."""
        with self._lock:
            self._memory.settle()
            self._ask(Settle(request=self._number()))

    def close(self) -> None:
        """Let go. The porter goes on for as long as it has something to do."""
        with self._lock:
            link, self._link = self._link, None
            if link is not None:
                link.hang_up()
            pid, self._pid = self._pid, 0
            if pid and not self._memory:
                process.end(pid, _END_PATIENCE)
            self._memory.close()

    @property
    def alive(self) -> bool:
        """Whether a porter runs."""
        with self._lock:
            return self._link is not None

    # Names

    def join(self, network: str, member: Member) -> None:
        """An endpoint can be called from now on by whoever is in this network; also after a change of it."""
        with self._lock:
            self._memory.join(network, member)
            self._tell(Join(network=network, member=member))

    def leave(self, network: str, endpoint: str) -> None:
        """It can not be called any more; idempotent."""
        with self._lock:
            if self._memory.leave(network, endpoint):
                self._tell(Leave(network=network, endpoint=endpoint))

    def open_sandbox(self, container: str, view: View, udp: int = -1, tcp: int = -1) -> None:
        """Answer a sandbox's questions on two sockets made inside it: bound UDP, bound and listening TCP.

        They are duplicated; the caller's stay the caller's. Without sockets: one that is open (or was found
        by `open`) sees another view.
        """
        with self._lock:
            fds = [os.dup(udp), os.dup(tcp)] if udp >= 0 else []
            known = self._memory.sandbox(container, view, fds)
            self._tell(Open(container=container, view=view), known if fds else ())

    def close_sandbox(self, container: str) -> None:
        """Answer it no more; idempotent."""
        with self._lock:
            if self._memory.forget_sandbox(container):
                self._tell(Close(container=container))

    # Ports

    def reserve(self, container: str, key: str, target: Target, fd: int = -1) -> None:
        """Keep a bound socket for a container and forward what arrives to the target, if it has an address.

        The socket is duplicated. TCP and SCTP with an address: it must listen already. `key` names the port
        within the container ("tcp/0.0.0.0:80"). Without a socket: one that is kept gets another target.
        """
        with self._lock:
            fds = [os.dup(fd)] if fd >= 0 else []
            known = self._memory.port(container, key, target, fds)
            self._tell(Reserve(container=container, key=key, target=target), known if fds else ())

    def free(self, container: str, keys: Iterable[str] | None = None) -> None:
        """Close ports of a container, all without `keys`; they can be bound again when this returns.

        Connections through them end. Idempotent.
        """
        with self._lock:
            for key in [""] if keys is None else list(keys):
                if self._memory.forget_ports(container, key):
                    self._ask(Free(request=self._number(), container=container, key=key))

    # The process

    def _tell(self, message: Message, fds: Iterable[int] = ()) -> None:
        """Send; a porter that is not there (any more) is started and told everything, this included."""
        link = self._link
        if link is not None:
            try:
                link.send(message, list(fds))
                return
            except LinkLost as error:
                _log.warning("%s; another one takes over", error)
                self._lose()
        if self._memory:
            self._replace()

    def _number(self) -> int:
        self._request += 1
        return self._request

    def _ask(self, request: Free | Settle) -> None:
        """Send and wait for the answer. A porter that takes over knows only what is wanted now."""
        link = self._link
        if link is None:
            return
        try:
            link.send(request)
            link.await_done(request.request)
        except LinkLost as error:
            _log.warning("%s; another one takes over", error)
            self._lose()
            if self._memory:
                self._replace()

    def _replace(self) -> None:
        for _ in range(2):
            try:
                sock, pid = process.spawn(self._directory, self._interpreter)
            except OSError as error:
                raise Unavailable(f"the name server of networks can't be started: {error}") from error
            link = Link(sock)
            try:
                for message, fds in self._memory.everything():
                    link.send(message, fds)
            except LinkLost:
                link.close()
                process.end(pid, 0)
                continue
            self._adopt(link, pid)
            return
        raise Unavailable("the name server of networks does not start")

    def _adopt(self, link: Link, pid: int) -> None:
        self._link, self._pid = link, pid
        threading.Thread(target=self._watch, args=(link,), name="porter-watch", daemon=True).start()

    def _watch(self, link: Link) -> None:
        """Wait until a porter dies, and start another: nobody shall have to ask first."""
        poll = select.poll()
        poll.register(link.fileno(), 0)
        poll.poll()
        with self._lock:
            if self._link is link:
                self._lose()
                if self._memory:
                    _log.warning("the porter has ended; another one takes over")
                    try:
                        self._replace()
                    except Unavailable as error:
                        _log.error("%s", error)
            link.close()

    def _lose(self) -> None:
        """The link is of no more use: its watcher, which is on its way, closes it."""
        link, self._link = self._link, None
        pid, self._pid = self._pid, 0
        if link is not None:
            link.hang_up()
        if pid:
            process.end(pid, _GRACE)
