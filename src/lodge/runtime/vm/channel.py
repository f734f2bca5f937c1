"""One program of a machine as the porter sees it: pipes on this side, windows and frames on the other."""

from __future__ import annotations

import contextlib
import functools
import os
import select
from collections.abc import Callable, Iterator
from enum import IntFlag

from lodge.runtime.vm.protocol import WINDOW, Frame, Kind, ProtocolError, read_number

_CHUNK = 32 * 1024
_STDOUT, _STDERR = 1, 2
_EAGER = WINDOW // 4


class Pipe(IntFlag):
    """Which descriptors come with a program, in this order, after its status pipe."""

    STDIN = 1
    STDOUT = 2
    STDERR = 4
    TERMINAL = 8
    FIRST = 16
    """No descriptor: it is the container's own program."""


class Channel:
    """Owns the descriptors. `send` takes frames for the agent."""

    def __init__(self, number: int, send: Callable[[Frame], None], pipes: Pipe, fds: list[int]) -> None:
        self._number = number
        self._send = send
        self._status, *rest = fds
        self._first = Pipe.FIRST in pipes
        self._input = rest.pop(0) if Pipe.STDIN in pipes else -1
        self._outputs: dict[int, int] = {}
        for pipe, stream in ((Pipe.STDOUT, _STDOUT), (Pipe.STDERR, _STDERR)):
            if pipe in pipes:
                self._outputs[stream] = rest.pop(0)
        if Pipe.TERMINAL in pipes:
            self._outputs[_STDOUT] = rest.pop(0)
            self._input = os.dup(self._outputs[_STDOUT])
        for fd in (self._input, *self._outputs.values()):
            if fd >= 0:
                os.set_blocking(fd, False)
        self._waiting: dict[int, bytearray] = {stream: bytearray() for stream in self._outputs}
        self._ended: set[int] = set()
        self._window = WINDOW
        self._used = 0
        self._unsaid = 0
        self._code: int | None = None

    @property
    def busy(self) -> bool:
        """Whether output waits for its reader."""
        return any(self._waiting.values())

    @property
    def over(self) -> bool:
        """Whether nothing more will happen here."""
        return self._status < 0 and not self._outputs

    def watched(self) -> Iterator[tuple[int, int, Callable[[], None]]]:
        """What to wait for: descriptor, events, what to do then."""
        if self._input >= 0 and self._window > 0:
            yield self._input, select.POLLIN, self._read_input
        for stream, fd in self._outputs.items():
            if self._waiting[stream]:
                yield fd, select.POLLOUT, functools.partial(self._write, stream)

    def take(self, frame: Frame) -> None:
        """A frame of the agent; ProtocolError for one that makes no sense here."""
        match frame.kind:
            case Kind.OUTPUT:
                self._take_output(frame.payload)
            case Kind.OUTPUT_END if len(frame.payload) == 1:
                self._ended.add(frame.payload[0])
                self._close_if_through(frame.payload[0])
            case Kind.TAKEN:
                taken = read_number(frame.payload)
                if taken > WINDOW - self._window:
                    raise ProtocolError("more input was taken than was given")
                self._window += taken
            case Kind.EXITED:
                if self._code is None:
                    self._code = read_number(frame.payload) & 0xFF
                self._tell_code()
            case _:
                raise ProtocolError(f"{frame.kind.name} on a channel")

    def _take_output(self, payload: bytes) -> None:
        stream = payload[0] if payload else 0
        if stream not in (_STDOUT, _STDERR) or stream in self._ended:
            raise ProtocolError(f"output of stream {stream}")
        length = len(payload) - 1
        self._used += length
        if self._used > WINDOW:
            raise ProtocolError("more output than its window")
        if stream in self._outputs:
            self._waiting[stream] += payload[1:]
            self._write(stream)
        else:
            self._account(length)

    def _write(self, stream: int) -> None:
        fd = self._outputs.get(stream, -1)
        if fd < 0:
            return
        waiting = self._waiting[stream]
        try:
            done = os.write(fd, waiting)
        except BlockingIOError:
            return
        except OSError:
            # Nobody reads any more: what comes is dropped, as a container's would be.
            done = len(waiting)
        del waiting[:done]
        self._account(done)
        self._close_if_through(stream)
        self._tell_code()

    def _account(self, length: int) -> None:
        """Give the window back in large pieces."""
        self._used -= length
        self._unsaid += length
        if self._unsaid >= _EAGER or (self._unsaid and not self._used):
            self._send(Frame(Kind.CREDIT, self._number, self._unsaid.to_bytes(4, "little")))
            self._unsaid = 0

    def _close_if_through(self, stream: int) -> None:
        if stream in self._ended and stream in self._outputs and not self._waiting[stream]:
            os.close(self._outputs.pop(stream))
            if not self._outputs:
                self._close_input()

    def _read_input(self) -> None:
        if self._input < 0:
            return
        try:
            data = os.read(self._input, min(_CHUNK, self._window))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._window -= len(data)
            self._send(Frame(Kind.INPUT, self._number, data))
            return
        self._send(Frame(Kind.INPUT_END, self._number))
        self._close_input()

    def _close_input(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1

    def _tell_code(self) -> None:
        """The end of the first program is told after its output: its keeper ends the machine then."""
        if self._code is None or self._status < 0 or (self._first and self.busy):
            return
        # One that could not be started has no reader any more.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._status, bytes([self._code]))
        os.close(self._status)
        self._status = -1
        self._close_input()

    def machine_gone(self) -> None:
        """No more will come; what is there is still delivered."""
        self._close_input()
        for stream in (_STDOUT, _STDERR):
            self._ended.add(stream)
            self._close_if_through(stream)
        self._send = _nobody

    def close(self) -> None:
        """Give all descriptors back."""
        self._close_input()
        for fd in (self._status, *self._outputs.values()):
            if fd >= 0:
                os.close(fd)
        self._status = -1
        self._outputs.clear()


def _nobody(_frame: Frame) -> None:
    """The machine is gone."""
