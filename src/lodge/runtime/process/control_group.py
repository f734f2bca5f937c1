"""A container's control group as its keeper handles it: its name, a signal to all in it, its end."""

from __future__ import annotations

import os

from lodge.errors import Unsupported
from lodge.kernel.cgroups import Cgroup
from lodge.kernel.process import pidfd_open, pidfd_send_signal


def cgroup_path(wanted: str, identity: str) -> str:
    """The group of a config's `cgroupsPath`; the identity at the top when it says nothing."""
    if ":" in wanted:
        raise Unsupported(
            "cgroupsPath in systemd's form (slice:prefix:name): control groups are made directly"
        )
    return wanted or f"/{identity}"


def clear_cgroup(cgroup: Cgroup) -> None:
    """End what is left in a group and remove it; nothing to do is no error."""
    if not cgroup.exists():
        return
    if cgroup.pids():
        cgroup.kill()
    cgroup.remove()


def signal_member(cgroup: Cgroup, pid: int, number: int) -> None:
    """Signal a process that is in the group for certain: the pid is pinned, then looked up again."""
    try:
        pidfd = pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if pid in cgroup.pids():
            pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
