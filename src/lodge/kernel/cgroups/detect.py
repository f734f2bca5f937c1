"""Which control groups this host has: one look at the mount table picks the implementation.

All controllers on version 1 mounts, or some there and an empty version 2 beside them (hybrid): version 1.
Only a version 2 mount: version 2.
"""

from __future__ import annotations

from collections.abc import Iterable

from lodge.errors import Unsupported
from lodge.kernel.cgroups.contract import Hierarchy
from lodge.kernel.cgroups.v1 import V1Hierarchy, V1Mount
from lodge.kernel.cgroups.v2 import V2Hierarchy
from lodge.kernel.mount.table import Mount, mountinfo

# Options of a version 1 mount that name controllers; the others are settings of the file system.
V1_CONTROLLERS = (
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "name=systemd",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
)


def detect() -> Hierarchy:
    """The host's hierarchy; lodge.errors.Unsupported when no control groups are mounted."""
    return choose(mountinfo())


def choose(mounts: Iterable[Mount]) -> Hierarchy:
    """The hierarchy for a mount table."""
    version1: list[V1Mount] = []
    version2: Mount | None = None
    seen: set[str] = set()
    for mount in mounts:
        if mount.fstype == "cgroup2" and version2 is None:
            version2 = mount
        elif mount.fstype == "cgroup":
            names = tuple(name for name in V1_CONTROLLERS if name in mount.super_options)
            if names and seen.isdisjoint(names):
                seen.update(names)
                version1.append(V1Mount(mount.mount_point, names, mount.root))
    if seen - {"name=systemd"}:
        return V1Hierarchy(version1)
    if version2 is not None:
        return V2Hierarchy(version2.mount_point, version2.root)
    raise Unsupported(
        "no control groups are mounted",
        hint="mount them: mount -t cgroup2 none /sys/fs/cgroup",
    )
