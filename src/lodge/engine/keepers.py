"""The engine's side of the talk with one monitor: requests with their answers, and the facts in between.

The link never blocks; the loop watches it. The vocabulary is in `runtime.messages`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from lodge.errors import Unavailable
from lodge.runtime.failures import error_of
from lodge.runtime.messages import Answer, Event, Failed, Request

if TYPE_CHECKING:
    from lodge.runtime.link import MonitorLink


_log = logging.getLogger(__name__)

FIRST = 1
"""The number of the request with which a monitor is launched."""


class Keeper:
    """One link. Facts go to `on_fact`; `on_end` is called once, when the monitor is gone."""

    def __init__(
        self, link: MonitorLink, on_fact: Callable[[Event], None], on_end: Callable[[], None]
    ) -> None:
        self._link = link
        self._on_fact = on_fact
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._numbers = count(FIRST + 1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._ended = False
        self._fd = link.fileno()
        self._loop.add_reader(self._fd, self._readable)

    @property
    def ended(self) -> bool:
        """Whether the talk is over."""
        return self._ended

    def next_number(self) -> int:
        """A number for a request."""
        return next(self._numbers)

    def post(self, request: Request, fds: Sequence[int] = ()) -> asyncio.Future[Answer]:
        """Send a request; the future brings the answer, or raises the kind of its failure.

        Requests are answered in order, so several can be posted at once. The fds stay the caller's.
        """
        future = self.expect(request.request)
        if self._ended:
            return future
        try:
            self._link.send(request, fds)
        except OSError:
            self._end()
            return future
        if self._link.backlog:
            self._loop.add_writer(self._fd, self._writable)
        return future

    def expect(self, number: int) -> asyncio.Future[Answer]:
        """The answer to a request that was sent already."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        if self._ended:
            future.set_exception(_gone())
            future.exception()
        else:
            self._waiting[number] = future
        return future

    def _writable(self) -> None:
        try:
            if self._link.flush():
                self._loop.remove_writer(self._fd)
        except OSError:
            self._end()

    def listen(self) -> None:
        """Hear at once what the monitor has said already, before the loop gets to it."""
        if not self._ended:
            self._readable()

    def _readable(self) -> None:
        try:
            received = self._link.receive()
        except OSError as error:
            _log.warning("a monitor can't be heard any more: %s", error)
            self._end()
            return
        for message, _fds in received:
            if isinstance(message, Answer):
                self._answered(message)
            else:
                self._on_fact(message)
        if self._link.ended:
            self._end()

    def _answered(self, answer: Answer) -> None:
        future = self._waiting.pop(answer.request, None)
        if future is None or future.done():
            return
        if isinstance(answer, Failed):
            future.set_exception(error_of(answer))
            # Whoever posted a row of requests looks at the first failure only.
            future.exception()
        else:
            future.set_result(answer)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._link.close()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(_gone())
                future.exception()
        self._on_end()

    def close(self) -> None:
        """Leave the talk; the monitor goes on. No further call of `on_fact` or `on_end`."""
        self._on_end = _nothing
        self._end()


def _gone() -> Unavailable:
    return Unavailable("the container's monitor has ended")


def _nothing() -> None:
    pass
