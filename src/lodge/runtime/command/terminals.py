"""The caller's side of a program: its terminal passed on, signals forwarded, its end awaited."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lodge.errors import StartFailed, TimedOut
from lodge.kernel import sockets, tty
from lodge.kernel.process import set_child_subreaper
from lodge.runtime.program import ChildProgram

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_CHUNK = 65536


def warn(text: str) -> None:
    """Say something that is no failure of the command."""
    print(f"lodge-runtime: {text}", file=sys.stderr)


def become_reaper() -> None:
    """Adopt orphans of the container, so that they end as children of somebody who waits."""
    set_child_subreaper(True)


def send_file(path: str, fd: int, text: bytes) -> None:
    """Send a descriptor to the unix socket at `path`, with a text that names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(path)
            sockets.send(sock, text, [fd])
        except OSError as error:
            raise StartFailed(f"socket {path}: {error.strerror}") from None


def wait_readable(fd: int, seconds: float) -> None:
    """Wait until a descriptor can be read (a pidfd: until its process has ended); TimedOut."""
    waiter = select.poll()
    waiter.register(fd, select.POLLIN)
    if not waiter.poll(seconds * 1000):
        raise TimedOut(f"the process did not end within {seconds:.0f} s")


class Session:
    """A program that this command waits for."""

    def __init__(self, program: ChildProgram, wakeup: int) -> None:
        self._program = program
        self._master = program.streams.terminal
        self._wakeup = wakeup
        self._input_open = self._master is not None

    def wait(self) -> int:
        """Pass signals and the terminal on until the program has ended; its exit code."""
        waiter = select.poll()
        waiter.register(self._program.fileno(), select.POLLIN)
        waiter.register(self._wakeup, select.POLLIN)
        if self._master is not None:
            self._copy_size()
            waiter.register(self._master, select.POLLIN)
            waiter.register(0, select.POLLIN)
        while True:
            ready = {fd for fd, _ in waiter.poll()}
            if self._wakeup in ready:
                self._forward()
            if self._master is not None and self._master in ready and not self._copy(self._master, 1):
                waiter.unregister(self._master)
            if self._input_open and 0 in ready and not self._copy(0, self._master or 0):
                waiter.unregister(0)
                self._input_open = False
            if self._program.fileno() in ready:
                return self._finish()

    def _finish(self) -> int:
        code = self._program.reap()
        if self._master is not None:
            os.set_blocking(self._master, False)
            while self._copy(self._master, 1):
                pass
        return code

    def _copy(self, source: int, target: int) -> bool:
        """Copy what is there; False at the end (a terminal whose other side is gone says EIO)."""
        try:
            data = os.read(source, _CHUNK)
        except OSError:
            return False
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]
        return bool(data)

    def _forward(self) -> None:
        for number in os.read(self._wakeup, 64):
            if number == signal.SIGWINCH:
                self._copy_size()
            elif number in _FORWARDED:
                try:
                    self._program.signal(number)
                except ProcessLookupError:
                    return

    def _copy_size(self) -> None:
        if self._master is not None and os.isatty(0):
            tty.set_window_size(self._master, *tty.window_size(0))


@contextmanager
def session(program: ChildProgram, *, detached: bool) -> Iterator[Session]:
    """Hold the caller's terminal raw and its signals caught, as long as the program is waited for."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    raw = None
    before = {}
    try:
        if not detached:
            signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
            for number in (*_FORWARDED, signal.SIGWINCH):
                before[number] = signal.signal(number, lambda _number, _frame: None)
            if program.streams.terminal is not None and os.isatty(0):
                raw = tty.make_raw(0)
        yield Session(program, reader)
    finally:
        if raw is not None:
            tty.restore(0, raw)
        if not detached:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
