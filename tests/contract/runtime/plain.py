"""A dwelling that is none: plain processes of the host. It lets the monitor be tested without root.

Run as a program with a socket's number it is a monitor over this dwelling.
"""

import fcntl
import os
import pty
import signal
import socket
import struct
import sys
import termios
from types import SimpleNamespace
from typing import Any

from lodge.errors import Conflict, StartFailed
from lodge.kernel.process import pidfd_open
from lodge.runtime.contract import StdioRequest, Streams
from lodge.runtime.monitor.birth import Birth, ignore_signals
from lodge.runtime.monitor.order import config_of
from lodge.runtime.program import ChildProgram
from lodge.spec.runtime import Process, Resources, RuntimeConfig


class PlainDwelling:
    """Programs of the host in process groups of their own."""

    def __init__(self, config: RuntimeConfig) -> None:
        assert config.process is not None
        self._process = config.process
        self._programs: list[ChildProgram] = []
        self._gate = -1
        self._error = -1
        self._paused = False

    def create(self, stdio: StdioRequest) -> ChildProgram:
        if self._process.cwd == "/nowhere":
            raise StartFailed("the working directory is missing", exit_code=128)
        program, self._gate, self._error = _fork(self._process, stdio)
        self._programs.append(program)
        return program

    def start(self) -> None:
        _open_gate(self._gate, self._error, self._process)

    def execute(self, process: Process, stdio: StdioRequest, extras: Any = None) -> ChildProgram:
        if self._paused:
            raise Conflict("cannot exec in a paused container")
        program, gate, error = _fork(process, stdio)
        self._programs.append(program)
        _open_gate(gate, error, process)
        return program

    def signal_all(self, number: int) -> None:
        for program in self._programs:
            if not program.ended:
                os.killpg(program.pid, number)

    def pause(self) -> None:
        self.signal_all(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        self.signal_all(signal.SIGCONT)
        self._paused = False

    def update(self, resources: Resources) -> None:
        self.resources = resources

    def stats(self) -> Any:
        return {"pids": len(self._programs)}

    def processes(self) -> list[int]:
        return [program.pid for program in self._programs if not program.ended]

    def oom_kills(self) -> int:
        return 0

    def remove(self) -> None:
        for program in self._programs:
            try:
                os.killpg(program.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _fork(process: Process, stdio: StdioRequest) -> tuple[ChildProgram, int, int]:
    gate_reader, gate = os.pipe()
    error, error_writer = os.pipe()
    child: list[int] = []
    streams = Streams()
    if stdio.inherit:
        child = [os.dup(fd) for fd in stdio.inherit]
    elif stdio.terminal:
        streams.terminal, slave = pty.openpty()
        if stdio.window:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *stdio.window, 0, 0))
        child = [slave, os.dup(slave), os.dup(slave)]
    else:
        stdin, streams.stdin = os.pipe()
        streams.stdout, stdout = os.pipe()
        streams.stderr, stderr = os.pipe()
        if not stdio.stdin:
            os.close(streams.stdin)
            streams.stdin = None
        child = [stdin, stdout, stderr]
    # SAFETY: the process has one thread.
    pid = os.fork()
    if pid == 0:
        _become(process, child, gate_reader, error_writer, stdio.terminal)
    for fd in (*child, gate_reader, error_writer):
        os.close(fd)
    return ChildProgram(pid, pidfd_open(pid), streams), gate, error


def _become(process: Process, child: list[int], gate: int, error: int, terminal: bool) -> None:
    try:
        os.setsid()
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        for number, fd in enumerate(child):
            os.dup2(fd, number)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if os.read(gate, 1):
            os.execvpe(process.args[0], process.args, dict(each.split("=", 1) for each in process.env))
    except OSError as failure:
        os.write(error, b"%d" % (failure.errno or 0))
    finally:
        os._exit(127)


def _open_gate(gate: int, error: int, process: Process) -> None:
    os.write(gate, b"s")
    os.close(gate)
    failure = os.read(error, 16)
    os.close(error)
    if failure:
        text = f'exec: "{process.args[0]}": executable file not found in $PATH'
        raise StartFailed(text, exit_code=127)


if __name__ == "__main__":
    settings = SimpleNamespace(sock=socket.socket(fileno=int(sys.argv[1])))
    ignore_signals()
    Birth(lambda order: PlainDwelling(config_of(order)), lambda: None).become_monitor(settings.sock)
