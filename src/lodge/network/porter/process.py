"""Starting a porter, and reaching one that runs: the socket to it, either way.

Like the zygote it is executed through its own file descriptors, isolated and without site, so that a porter
has the same modules whatever the engine around it has imported.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import sys

from lodge.kernel.process import pidfd_open, pidfd_send_signal
from lodge.network.porter.address import LINK_FD, LISTEN_FD, TITLE, socket_path

_log = logging.getLogger(__name__)

# Above the numbers that the new process starts with, so that none is overwritten on the way to it.
_HIGH = 10
_BUFFER = 4 << 20

_PROGRAM = "import sys; sys.path[:0] = {path!r}; from lodge.network.porter.main import main; main()"


def connect(directory: str) -> socket.socket | None:
    """A socket to the porter that runs; None when there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        # By the directory's fd: the path may be longer than an address can hold.
        place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sock.connect(socket_path(f"/proc/self/fd/{place}"))
        finally:
            os.close(place)
    except OSError:
        sock.close()
        return None
    _widen(sock)
    return sock


def spawn(directory: str, interpreter: str) -> tuple[socket.socket, int]:
    """Start a porter without waiting for it: the socket to it and its pid. Messages may be sent at once."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs, _listen(directory) as listener:
            pid = _execute(directory, interpreter, theirs, listener)
    except BaseException:
        ours.close()
        raise
    _widen(ours)
    return ours, pid


def _listen(directory: str) -> socket.socket:
    """The socket for the engines to come, in place of that of a porter before."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = socket_path(f"/proc/self/fd/{place}")
    try:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        # The directory is nobody else's; the mask of a process with threads is better left alone.
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen()
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(place)
    return sock


def _execute(directory: str, interpreter: str, link: socket.socket, listener: socket.socket) -> int:
    program = _PROGRAM.format(path=[entry for entry in sys.path if entry])
    arguments = [interpreter, "-I", "-S", "-X", "utf8", "-c", program, directory]
    inherited = [fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, _HIGH) for sock in (link, listener)]
    try:
        return os.posix_spawn(
            interpreter,
            arguments,
            {},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, inherited[0], LINK_FD),
                (os.POSIX_SPAWN_DUP2, inherited[1], LISTEN_FD),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT],
            setsid=True,
        )
    finally:
        for fd in inherited:
            os.close(fd)


def _widen(sock: socket.socket) -> None:
    """Room for the messages of many containers while the porter starts."""
    # Linux 2.6.14: SO_SNDBUFFORCE, beyond net.core.wmem_max for CAP_NET_ADMIN.
    try:
        sock.setsockopt(socket.SOL_SOCKET, 32, _BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)


def end(pid: int, patience: float) -> None:
    """Wait `patience` seconds for the end of a porter; kill it else. Collect it where it is our child."""
    try:
        pidfd = pidfd_open(pid)
    except OSError:
        return
    try:
        if not select.select([pidfd], [], [], patience)[0]:
            _log.warning("the porter (process %d) does not answer and is replaced", pid)
            pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ChildProcessError, ProcessLookupError):
        pass
    finally:
        os.close(pidfd)


def kill_hung(pid: int, directory: str) -> None:
    """Kill the porter of a directory that does not answer. Nothing when the pid is somebody else's by now."""
    try:
        pidfd = pidfd_open(pid)
    except OSError:
        return
    try:
        # Asked for after the pidfd was opened: what it says then is of the process that is killed.
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            title = file.read()
        if title.rstrip(b"\0").split(b"\0") == [TITLE.encode(), os.fsencode(directory)]:
            pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])
            os.waitpid(pid, 0)
    except OSError:
        pass
    finally:
        os.close(pidfd)
