"""Streams of bytes between clients and blocking hands: what comes in, and pipes out with their end."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from lodge.engine.bridge import Bridge
from lodge.errors import Corrupt

_ROOM = 1 << 20


class Inflow(Protocol):
    """A request's body as a hand reads it, in a thread of its own."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        ...


class Outflow(Struct):
    """A pipe's reading end, the reader's to close, and how the making ended (raises its error)."""

    fd: int
    done: Awaitable[None]


def send_file(pipe: int, file: int, size: int) -> None:
    """Put the first `size` bytes of a file into a pipe by reference: no byte of it is copied here.

    Corrupt when the file is shorter.
    """
    done = 0
    while done < size:
        count = os.sendfile(pipe, file, done, size - done)
        if not count:
            raise Corrupt(f"a file has {done} bytes instead of {size}")
        done += count


def pipe_out(bridge: Bridge, work: Callable[[int], None]) -> Outflow:
    """Let a blocking function write to a pipe; it gets the writing end, and closes it.

    A reader that goes away ends the work by EPIPE, which is no error then.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):
        # The usual 64 KiB would have the two sides wait for each other all the time.
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _ROOM)

    def run() -> None:
        try:
            work(writing)
        except BrokenPipeError:
            pass

    return Outflow(fd=reading, done=asyncio.ensure_future(bridge.call(run)))
