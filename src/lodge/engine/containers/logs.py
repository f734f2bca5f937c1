"""Reading a container's log, and following it while the container runs.

Reading blocks on the disk, so it goes through the bridge, a large piece at a time; news of a followed log
come by inotify. Following ends with the container.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator

from lodge.engine.census import Resident
from lodge.engine.models import LogQuery
from lodge.engine.parts import Parts
from lodge.engine.planning import logging
from lodge.errors import InvalidArgument, Unsupported
from lodge.kernel import inotify
from lodge.runtime.logs.reader import LogReader
from lodge.runtime.logs.view import View
from lodge.spec.streams import STDERR, STDOUT

_MASK = inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO
_LOOK_AGAIN = 1.0


async def read(parts: Parts, resident: Resident, query: LogQuery) -> AsyncIterator[bytes]:
    """The bytes as they go out. InvalidArgument without a stream, Unsupported for a driver without a log.

    Errors come from this call, not from the iteration.
    """
    if not (query.stdout or query.stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    container = resident.container
    spec = logging.spec(container)
    if spec is None or spec.driver == "none":
        raise Unsupported("configured logging driver does not support reading")
    terminal = container.wish.config.tty
    wanted = {STDOUT} if query.stdout else set()
    if query.stderr:
        wanted.add(STDERR)
    view = View(
        wanted=frozenset(wanted) | ({STDOUT, STDERR} if terminal else set()),
        framed=not terminal,
        since=query.since,
        until=query.until,
        timestamps=query.timestamps,
        details=query.details,
        tail=query.tail,
    )
    follow = query.follow and not (query.until and query.until <= time.time_ns())
    reader = await parts.bridge.call(LogReader, spec, view, follow=follow)
    return _stream(parts, resident, reader, query.until if follow else 0, follow=follow)


async def _stream(
    parts: Parts, resident: Resident, reader: LogReader, until: int, *, follow: bool
) -> AsyncIterator[bytes]:
    news = _News(reader.directory) if follow else None
    try:
        while not reader.finished:
            # Asked before the read: what is written between the two is then read at the next turn.
            alive = follow and resident.container.state.running and not resident.gone
            data = await parts.bridge.call(reader.read)
            if data:
                yield data
                continue
            if not alive or news is None or (until and time.time_ns() >= until):
                return
            await news.wait(resident, until)
    finally:
        if news is not None:
            news.close()
        reader.close()


class _News:
    """Waits for changes in a directory, or for the container's end."""

    def __init__(self, directory: str) -> None:
        self._fd = inotify.inotify_init()
        try:
            inotify.inotify_add_watch(self._fd, directory, _MASK)
        except BaseException:
            os.close(self._fd)
            raise
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._loop.add_reader(self._fd, self._changed)

    def _changed(self) -> None:
        inotify.read_events(self._fd)
        self._event.set()

    async def wait(self, resident: Resident, until: int) -> None:
        """Until something has changed, the container has ended, or the time is over."""
        patience = _LOOK_AGAIN
        if until:
            patience = min(patience, max(0.0, (until - time.time_ns()) / 1e9))
        if not self._event.is_set():
            end = self._loop.create_future()
            resident.ends.append(end)
            change = asyncio.ensure_future(self._event.wait())
            try:
                await asyncio.wait([end, change], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            finally:
                change.cancel()
                if not end.done():
                    end.cancel()
                if end in resident.ends:
                    resident.ends.remove(end)
        self._event.clear()

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
