"""A container's streams: clients that attach, the size of the terminal, the log.

An attached client's socket goes to the monitor and never comes back; before the container has started it
waits here, and goes along with the start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from lodge.engine.census import Resident
from lodge.engine.containers import logs
from lodge.engine.containers.news import announce
from lodge.engine.models import AttachQuery, LogQuery
from lodge.engine.parts import Parts
from lodge.errors import Conflict, InvalidArgument, LodgeError
from lodge.runtime.messages import Attach, Resize
from lodge.runtime.monitor.escape import DEFAULT_KEYS, parse_keys

if TYPE_CHECKING:
    from typing import Protocol

    class Handover(Protocol):
        """A client's connection that is given away; see `lodge.api.backend`."""

        def take(self) -> tuple[int, bytes]:
            """Give up the socket and what was read of it too early."""
            ...


_log = logging.getLogger(__name__)
# The loop itself keeps no hold of its tasks.
_telling: set[asyncio.Task[None]] = set()


def detach_keys(text: str) -> bytes:
    """The bytes of the keys; Docker's ctrl-p ctrl-q when nothing is said."""
    try:
        return parse_keys(text) or DEFAULT_KEYS
    except InvalidArgument as error:
        raise InvalidArgument(f"Invalid detach keys ({text}) provided") from error


def attach(
    parts: Parts, resident: Resident, query: AttachQuery, *, framed: bool
) -> Callable[[Handover], None]:
    """Check everything; the returned call hands the connection over."""
    container = resident.container
    keys = detach_keys(query.detach_keys)
    match container.state.status:
        case "paused":
            raise Conflict(f"container {container.id} is paused, unpause the container before attach")
        case "restarting":
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        case "removing" | "dead":
            raise Conflict(f"container {container.id} is marked for removal")
        case _:
            pass
    request = Attach(
        request=0,
        stdin=query.stdin and container.wish.config.open_stdin,
        stdout=query.stdout,
        stderr=query.stderr,
        framed=framed,
        detach_keys=keys,
        replay=query.logs,
        live=query.stream,
    )

    def hand_over(client: Handover) -> None:
        fd, received = client.take()
        if not query.stream and not container.state.running:
            # Nothing comes any more: what was said is all that there is to say.
            task = asyncio.get_running_loop().create_task(_tell_past(parts, resident, query, fd))
            _telling.add(task)
            task.add_done_callback(_telling.discard)
            return
        request.received = received
        try:
            _pass_on(resident, request, fd)
        finally:
            os.close(fd)
        announce(parts, resident, "attach")

    return hand_over


async def _tell_past(parts: Parts, resident: Resident, query: AttachQuery, fd: int) -> None:
    """Write what the log holds to a client's connection, and close it."""
    with socket.socket(fileno=fd) as client:
        client.setblocking(False)
        if not query.logs or not (query.stdout or query.stderr):
            return
        loop = asyncio.get_running_loop()
        try:
            wanted = LogQuery(stdout=query.stdout, stderr=query.stderr)
            async for piece in await logs.read(parts, resident, wanted):
                await loop.sock_sendall(client, piece)
        except (OSError, LodgeError) as error:
            _log.debug("a client of the past of %s: %s", resident.container.name, error)


def _pass_on(resident: Resident, request: Attach, fd: int) -> None:
    keeper = resident.keeper
    if keeper is not None and not keeper.ended:
        request.request = keeper.next_number()
        keeper.post(request, [fd])
    elif not resident.gone:
        _drop_vanished(resident)
        resident.early.append((request, os.dup(fd)))


def _drop_vanished(resident: Resident) -> None:
    """Let go of early clients that have hung up, so that nobody can pile them up."""
    poller = select.poll()
    for _request, fd in resident.early:
        poller.register(fd, select.POLLHUP)
    gone = {fd for fd, _events in poller.poll(0)}
    for _request, fd in resident.early:
        if fd in gone:
            os.close(fd)
    resident.early = [(request, fd) for request, fd in resident.early if fd not in gone]


async def resize(parts: Parts, resident: Resident, rows: int, columns: int) -> None:
    """Set the terminal's size; Conflict when it does not run."""
    keeper = resident.keeper
    if keeper is None or not resident.container.state.running:
        raise Conflict(f"container {resident.id} is not running")
    await keeper.post(Resize(request=keeper.next_number(), rows=rows, columns=columns))
    announce(parts, resident, "resize", height=str(rows), width=str(columns))
