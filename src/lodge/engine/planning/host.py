"""What planning must know of the host: a value, made once by the engine (or by a test)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from msgspec import Struct

from lodge.engine.planning.remap import Mappings
from lodge.kernel.capabilities import NAMES


class DeviceNode(Struct, frozen=True):
    """A device node of the host: type b or c, numbers, permission bits, owner."""

    path: str
    type: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int


def devices_below(path: str) -> list[DeviceNode]:
    """The device at a path, or all devices in a directory and below; OSError when there is nothing."""
    info = os.stat(path)
    if stat.S_ISDIR(info.st_mode):
        found: list[DeviceNode] = []
        for entry in sorted(os.scandir(path), key=lambda e: e.name):
            # As Docker: what every container has of its own is not taken over.
            if entry.name in ("pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"):
                continue
            if entry.is_dir(follow_symlinks=False):
                found += devices_below(entry.path)
            elif not entry.is_symlink():
                found += _node(entry.path, entry.stat(follow_symlinks=False))
        return found
    return _node(path, info)


def _node(path: str, info: os.stat_result) -> list[DeviceNode]:
    kind = "b" if stat.S_ISBLK(info.st_mode) else "c" if stat.S_ISCHR(info.st_mode) else ""
    if not kind:
        return []
    return [
        DeviceNode(
            path=path,
            type=kind,
            major=os.major(info.st_rdev),
            minor=os.minor(info.st_rdev),
            mode=stat.S_IMODE(info.st_mode),
            uid=info.st_uid,
            gid=info.st_gid,
        )
    ]


class HostFacts(Struct, kw_only=True):
    """Processors, memory, what the control groups can do, and how to look at devices and directories."""

    cpus: int = 1
    cpu_list: str = "0"
    memory_nodes: str = "0"
    memory: int = 0
    cgroup_version: int = 1
    controllers: frozenset[str] = frozenset(
        {"cpu", "cpuset", "memory", "pids", "blkio", "devices", "freezer"}
    )
    swap_limit: bool = True
    blkio_weight: bool = True
    realtime: bool = False
    cgroup_namespaces: bool = True
    apparmor: bool = False
    selinux: bool = False
    kernel: tuple[int, int] = (6, 1)
    ipv4_forwarding: bool = True
    capabilities: tuple[str, ...] = NAMES
    mappings: Mappings = Mappings()
    devices: Callable[[str], list[DeviceNode]] = devices_below
