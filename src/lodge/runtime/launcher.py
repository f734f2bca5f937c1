"""Where an engine gets its monitors from: the owner of the zygote process.

The zygote is executed from a read-only detached mount of the interpreter, so that no container can write to
the program that its monitor and init came from through /proc/PID/exe (CVE-2019-5736).
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence

import msgspec

from lodge.errors import Unavailable
from lodge.kernel import mount
from lodge.kernel.process import pidfd_open, pidfd_send_signal
from lodge.runtime.files.orders import FileOrder, from_worker
from lodge.runtime.jobs import CONTROL_FD, FILES, MONITOR, READY, Settings
from lodge.runtime.link import Link, MonitorLink
from lodge.runtime.messages import Launch
from lodge.spec.runtime import RuntimeConfig

_log = logging.getLogger(__name__)

# How long the zygote may take to start, and to take a job when many are waiting (seconds).
_START_PATIENCE = 20.0
_JOB_PATIENCE = 20.0
_END_PATIENCE = 2.0

# Above the numbers that the new process starts with, so that none is overwritten on the way to it.
_HIGH = 10

# msgspec does without typing_extensions, which would bring inspect, ast and tokenize: a tenth of all memory,
# which each fork must copy the tables of.
_PROGRAM = (
    "import sys; sys.path[:0] = {path!r}; sys.modules['typing_extensions'] = None;"
    " from lodge.runtime.zygote import main; main()"
)


class Launcher:
    """Owns the zygote. Not for use by several threads at once.

    `usual` is what most containers will be like (`jobs.Settings`).
    """

    def __init__(
        self,
        exec_root: str,
        state_root: str,
        *,
        usual: RuntimeConfig | None = None,
        interpreter: str = sys.executable,
    ) -> None:
        self._settings = Settings(exec_root=exec_root, state_root=state_root, usual=usual)
        self._interpreter = interpreter
        self._control: socket.socket | None = None
        self._ready = False
        self._pid = 0

    def begin(self) -> None:
        """Start the zygote without waiting for it, as `open` does. The exec root must exist. Idempotent."""
        if self.alive:
            return
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._pid = self._spawn(theirs)
        self._control = ours
        self._ready = False

    def open(self) -> None:
        """Start the zygote and wait until it is ready (some 50 ms); idempotent while it lives."""
        self.begin()
        control = self._control
        if self._ready or control is None:
            return
        ready = select.select([control], [], [], _START_PATIENCE)[0]
        if not ready or control.recv(1) != READY:
            self.close()
            raise Unavailable("the zygote did not start", hint="its reason is on the daemon's standard error")
        control.setblocking(False)
        self._ready = True

    def _spawn(self, control: socket.socket) -> int:
        path = [entry for entry in sys.path if entry]
        program = _PROGRAM.format(path=path)
        settings = msgspec.json.encode(self._settings).decode()
        # Isolated and without site: nothing of the user's environment, no .pth files, a fixed set of imports.
        arguments = [self._interpreter, "-I", "-S", "-X", "utf8", "-c", program, settings]
        inherited = fcntl.fcntl(control, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        protected = _protected(os.path.realpath(self._interpreter))
        try:
            executable = self._interpreter if protected is None else f"/proc/self/fd/{protected}"
            return os.posix_spawn(
                executable,
                arguments,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, 2, 1),
                    (os.POSIX_SPAWN_DUP2, inherited, CONTROL_FD),
                ],
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM],
                setsid=True,
            )
        finally:
            os.close(inherited)
            if protected is not None:
                os.close(protected)

    @property
    def alive(self) -> bool:
        """Whether the zygote is there."""
        if self._control is None:
            return False
        poll = select.poll()
        poll.register(self._control, 0)
        return not poll.poll(0)

    def fileno(self) -> int:
        """Hangs up when the zygote dies; -1 without one."""
        return -1 if self._control is None else self._control.fileno()

    def launch(self, order: Launch) -> MonitorLink:
        """Start a monitor with an order; returns at once, before the monitor exists.

        More messages may be sent on the link right away. Should the monitor never come to be, the link ends
        without an answer.
        """
        link = MonitorLink(self._start(MONITOR))
        try:
            link.send(order)
        except BaseException:
            link.close()
            raise
        return link

    def files(self, order: FileOrder, fds: Sequence[int] = ()) -> Link:
        """Start a file worker with an order (see `files.orders`); the fds stay the caller's.

        The link brings the answer; the worker ends by itself, and with this engine.
        """
        link = Link(self._start(FILES), from_worker)
        try:
            link.send(order, fds)
        except BaseException:
            link.close()
            raise
        return link

    def _start(self, job: bytes) -> socket.socket:
        """A new process's socket. A dead zygote is replaced."""
        self.open()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._send(job, theirs)
        except BaseException:
            ours.close()
            raise
        return ours

    def _send(self, job: bytes, sock: socket.socket) -> None:
        assert self._control is not None
        while True:
            try:
                socket.send_fds(self._control, [job], [sock.fileno()])
                return
            except BlockingIOError:
                if not select.select([], [self._control], [], _JOB_PATIENCE)[1]:
                    raise Unavailable("the zygote is overloaded") from None
            except OSError as error:
                raise Unavailable(f"the zygote is gone: {error}") from error

    def close(self) -> None:
        """Let the zygote end; monitors go on. Idempotent."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._pid:
            pid, self._pid = self._pid, 0
            _collect(pid)


def _collect(pid: int) -> None:
    """Wait for a child that is about to end; one that does not is killed."""
    try:
        pidfd = pidfd_open(pid)
    except OSError:
        return
    try:
        if not select.select([pidfd], [], [], _END_PATIENCE)[0]:
            pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        # Somebody else in this process collects all children.
        pass
    finally:
        os.close(pidfd)


def _protected(interpreter: str) -> int | None:
    """The interpreter on a read-only mount that only this fd holds; None where that can't be made."""
    flags = mount.OPEN_TREE_CLONE | mount.OPEN_TREE_CLOEXEC
    try:
        tree = mount.open_tree(mount.AT_FDCWD, interpreter, flags)
        try:
            mount.mount_setattr(tree, "", mount.AT_EMPTY_PATH, attr_set=mount.MOUNT_ATTR_RDONLY)
            return fcntl.fcntl(tree, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        finally:
            os.close(tree)
    except OSError as error:
        _log.warning("the interpreter can't be protected by a read-only mount: %s", error)
        return None
