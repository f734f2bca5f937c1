"""What a monitor leaves on disk, and how an engine reads it after either of the two died.

monitor.json is written when a container is made: who the monitor and the init are, so that a monitor that was
killed can be cleaned up after. exit.json is written when the container has ended, before anybody is told.
"""

from __future__ import annotations

import os

import msgspec
from msgspec import Struct

MONITOR_SOCKET = "monitor.sock"
MONITOR_RECORD = "monitor.json"
EXIT_RECORD = "exit.json"

_LONGEST_STAT = 4096


class ProcessIdentity(Struct, frozen=True, kw_only=True):
    """A process, not to be confused with a later one of the same pid: `start` as in /proc/PID/stat."""

    pid: int
    start: int

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The process that has this pid now; ProcessLookupError when there is none."""
        return cls(pid=pid, start=start_time(pid))

    @property
    def alive(self) -> bool:
        """Whether it still runs: a zombie does not."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            return False
        return int(fields[19]) == self.start and fields[0] not in (b"Z", b"X")


class MonitorRecord(Struct, kw_only=True):
    """A container that was made: by which monitor, with which init (None until it is there)."""

    id: str
    runtime: str
    bundle: str
    cgroups_path: str
    monitor: ProcessIdentity
    init: ProcessIdentity | None = None


class ExitRecord(Struct, kw_only=True, omit_defaults=True):
    """A container that ended; `error` when it could not be started or kept. Times are ns since the epoch."""

    id: str
    code: int
    at_ns: int
    started_at_ns: int = 0
    oom_killed: bool = False
    error: str = ""
    execs: dict[str, int] = {}
    log_dropped: int = 0


_monitor_decoder = msgspec.json.Decoder(MonitorRecord)
_exit_decoder = msgspec.json.Decoder(ExitRecord)


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot; ProcessLookupError when there is none."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ProcessLookupError(f"no process {pid}") from None
    try:
        # The name in parentheses may hold anything, parentheses included.
        return int(os.read(fd, _LONGEST_STAT).rpartition(b")")[2].split()[19])
    finally:
        os.close(fd)


def write_record(state_dir: str, name: str, record: MonitorRecord | ExitRecord) -> None:
    """Put a record in place of an older one, in one step: a reader sees the old or the new."""
    path = os.path.join(state_dir, name)
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, msgspec.json.encode(record))
    finally:
        os.close(fd)
    os.rename(temporary, path)


def read_monitor_record(state_dir: str) -> MonitorRecord | None:
    """The record of the monitor, None when there is none or it can't be read."""
    try:
        with open(os.path.join(state_dir, MONITOR_RECORD), "rb") as file:
            return _monitor_decoder.decode(file.read())
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def read_exit_record(state_dir: str) -> ExitRecord | None:
    """The record of the end, None when there is none or it can't be read."""
    try:
        with open(os.path.join(state_dir, EXIT_RECORD), "rb") as file:
            return _exit_decoder.decode(file.read())
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def clear_records(state_dir: str) -> None:
    """Remove what an earlier life left; idempotent."""
    for name in (MONITOR_SOCKET, MONITOR_RECORD, EXIT_RECORD, f"{EXIT_RECORD}.new", f"{MONITOR_RECORD}.new"):
        try:
            os.unlink(os.path.join(state_dir, name))
        except FileNotFoundError:
            pass
