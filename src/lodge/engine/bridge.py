"""The one bridge from the engine's loop to blocking hands: a small pool of threads, made at first use.

What takes less than the hop itself (some 0.1 ms) is called directly by who knows that; everything else that
may block comes through here.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, ParamSpec, TypeVar

from lodge.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

# A thread that waits for a client (an upload) must not hold up the others: hence more than processors.
_THREADS = max(16, 4 * (os.cpu_count() or 1))
_AHEAD = 64


class Bridge:
    """Runs blocking calls. One an engine; closed with it."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lodge-hand")
        return self._pool

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function gives or raises. It goes on to its end even when the caller is cancelled."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads(), lambda: function(*args, **kwargs))

    def spawn(self, function: Callable[[], Any]) -> None:
        """Start work that nobody waits for; it must handle its own errors."""
        self._threads().submit(function)

    async def iterate(self, make: Callable[[Callable[[T], None]], Any]) -> AsyncIterator[T]:
        """Values that a blocking function hands to its argument while it works, then its error if it has one.

        The function waits while too much is unread. When the reader goes away its next value raises
        Unavailable in it, so that it can stop.
        """
        relay: _Relay[T] = _Relay(asyncio.get_running_loop())
        work = asyncio.ensure_future(self.call(relay.run, make))
        try:
            while True:
                await relay.news.wait()
                relay.news.clear()
                for value in relay.take():
                    yield value
                if relay.over and not relay.waiting:
                    await work
                    return
        finally:
            relay.abandon()
            if not work.done():
                with suppress(Exception):
                    await asyncio.shield(work)

    def close(self) -> None:
        """Wait for what still works, then end the threads; idempotent."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


class _Relay(Generic[T]):
    """A bounded queue from one thread to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._values: deque[T] = deque()
        self._room = threading.Semaphore(_AHEAD)
        self._abandoned = False
        self.over = False
        self.news = asyncio.Event()

    def run(self, make: Callable[[Callable[[T], None]], Any]) -> None:
        """In the thread: do the work."""
        try:
            make(self._put)
        finally:
            self.over = True
            self._wake()

    def _put(self, value: T) -> None:
        self._room.acquire()
        if self._abandoned:
            raise Unavailable("nobody waits for this any more")
        self._values.append(value)
        self._wake()

    def _wake(self) -> None:
        # The loop may have been closed under a thread that outlived it.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.news.set)

    @property
    def waiting(self) -> bool:
        """Whether values are there that nobody took."""
        return bool(self._values)

    def take(self) -> Iterator[T]:
        """In the loop: what is there now."""
        while self._values:
            value = self._values.popleft()
            self._room.release()
            yield value

    def abandon(self) -> None:
        """In the loop: nobody reads any more."""
        self._abandoned = True
        self._room.release(_AHEAD)
