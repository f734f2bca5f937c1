"""Directories of a cgroup file system: making, walking, emptying, removing."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator

from lodge.kernel.cgroups import files
from lodge.kernel.process.pidfd import pidfd_open, pidfd_send_signal

# How long a directory may stay busy after its last process was seen to end: the kernel frees tasks later.
_REMOVE_SECONDS = 5.0
_FIRST_PAUSE = 0.0002
_LONGEST_PAUSE = 0.05


def normalize(path: str) -> str:
    """The name of a group as "/a/b"; ValueError for one that could lead elsewhere."""
    parts = [part for part in path.split("/") if part]
    if not parts or any(part in (".", "..") or "\0" in part or "\n" in part for part in parts):
        raise ValueError(f"not the name of a control group: {path!r}")
    return "/" + "/".join(parts)


def below(root: str, path: str) -> str:
    """A path of /proc/self/cgroup as seen in a mount that shows only what is below `root`."""
    if root == "/" or not (path == root or path.startswith(f"{root}/")):
        return path
    return path[len(root) :] or "/"


def pauses(seconds: float) -> Iterator[None]:
    """Yield at once and then again after growing pauses, until the time is up."""
    return pauses_until(time.monotonic() + seconds)


def removal_deadline() -> float:
    """When removals that begin now run out of patience (time.monotonic)."""
    return time.monotonic() + _REMOVE_SECONDS


def pauses_until(deadline: float) -> Iterator[None]:
    """As `pauses`, until a moment of time.monotonic; once in any case."""
    pause = _FIRST_PAUSE
    yield
    while time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        yield


def children(directory: str) -> list[str]:
    """The groups directly inside; empty when the directory is gone."""
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, OSError) as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return []
        raise


def pids(directory: str, recursive: bool) -> list[int]:
    """The processes in a directory (and below); those that go meanwhile may be among them."""
    try:
        text = files.read(f"{directory}/cgroup.procs")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return []
        if error.errno != errno.EOPNOTSUPP:  # a threaded group of version 2 has no processes of its own
            raise
        text = ""
    found = [int(line) for line in text.split() if line != "0"]
    if recursive:
        for child in children(directory):
            found.extend(pids(child, True))
    return found


def remove(directory: str, deadline: float | None = None) -> None:
    """Remove a directory and all inside it, with patience for what is busy; no error when it is gone."""
    # SAFETY: rmdir only, on a cgroup file system: no file can be lost, a group with processes stays.
    last: OSError | None = None
    for _ in pauses_until(removal_deadline() if deadline is None else deadline):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                raise
            last = error
            for child in children(directory):
                _remove_child(child)
        else:
            return
    if last is not None:
        raise last


def _remove_child(directory: str) -> None:
    """One attempt, deepest first; what stays busy is for the caller's next round."""
    for child in children(directory):
        _remove_child(child)
    try:
        os.rmdir(directory)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY):
            raise


def kill_frozen(directory: str) -> None:
    """SIGKILL all processes of a frozen tree; they end when it thaws, and can't be replaced before."""
    for pid in pids(directory, True):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def kill_running(directory: str) -> int:
    """SIGKILL all processes of a running tree once; returns how many there were.

    A pid read may belong to somebody else an instant later, so each is pinned and looked up again.
    """
    found = pids(directory, True)
    for pid in found:
        try:
            pidfd = pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if pid in pids(directory, True):
                pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)
    return len(found)
