"""Telling systemd how it goes (sd_notify(3)), and the pid file. Both do nothing where nobody asked."""

from __future__ import annotations

import os
import socket

from lodge.errors import Conflict


def notify(state: str) -> None:
    """Send a state (READY=1, STOPPING=1, RELOADING=1) to the socket that systemd gave us."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in ("/", "@"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode("ascii"), "\0" + path[1:] if path[0] == "@" else path)
        except OSError:
            pass  # a service manager that doesn't listen is no reason to fail


class PidFile:
    """A pid file for the length of a with-block. Conflict when its process lives and is another."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        if not self._path:
            return
        pid = _read(self._path)
        if pid and pid != os.getpid() and _alive(pid):
            raise Conflict(f"process with PID {pid} is still running", hint=f"or remove {self._path}")
        os.makedirs(os.path.dirname(os.path.abspath(self._path)), exist_ok=True)
        with open(self._path, "w") as file:
            file.write(str(os.getpid()))

    def __exit__(self, *_: object) -> None:
        if self._path and _read(self._path) == os.getpid():
            os.unlink(self._path)


def _alive(pid: int) -> bool:
    """Whether a process has this number; one that was killed and is not reaped yet does not count."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _read(path: str) -> int:
    try:
        with open(path) as file:
            return int(file.read(32).strip() or 0)
    except (FileNotFoundError, ValueError):
        return 0
