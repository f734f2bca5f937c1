"""Looking at the host, once, for what planning must know of it."""

from __future__ import annotations

import os

from lodge.engine.planning import remap
from lodge.engine.planning.host import HostFacts
from lodge.kernel import apparmor, capabilities, selinux, system
from lodge.kernel.cgroups.contract import Hierarchy
from lodge.kernel.cgroups.detect import detect


def gather(userns_remap: str = "") -> HostFacts:
    """The facts of this host; Unsupported when it has no control groups, InvalidArgument for a bad remap."""
    hierarchy = detect()
    major, minor = system.kernel_version().split(".")[:2]
    return HostFacts(
        cpus=system.cpu_count(),
        cpu_list=_read("/sys/devices/system/cpu/online") or "0",
        memory_nodes=_read("/sys/devices/system/node/online") or "0",
        memory=system.memory_total(),
        cgroup_version=hierarchy.version,
        controllers=hierarchy.controllers,
        swap_limit=hierarchy.swap_limits,
        blkio_weight=_has_weight(hierarchy),
        realtime=_has_file(hierarchy, "cpu", "cpu.rt_runtime_us"),
        apparmor=apparmor.enabled(),
        selinux=selinux.enabled(),
        kernel=(int(major), int("".join(c for c in minor if c.isdigit()))),
        ipv4_forwarding=_read("/proc/sys/net/ipv4/ip_forward") == "1",
        # What the engine does not have it can't give: not all that the kernel knows.
        mappings=remap.read(userns_remap, _read("/etc/subuid"), _read("/etc/subgid")),
        capabilities=tuple(capabilities.names(capabilities.current().bounding)),
    )


def _has_weight(hierarchy: Hierarchy) -> bool:
    if hierarchy.version == 2:
        return "io" in hierarchy.controllers
    return any(_has_file(hierarchy, "blkio", name) for name in ("blkio.weight", "blkio.bfq.weight"))


def _has_file(hierarchy: Hierarchy, controller: str, name: str) -> bool:
    """Whether a controller has a setting: in its root, or in a group there, since roots show fewer."""
    paths = hierarchy.group("/lodge").paths()
    group = paths.get(controller) or paths.get("", "")
    if not group:
        return False
    root = os.path.dirname(group)
    groups = [root, *(entry.path for entry in os.scandir(root) if entry.is_dir())]
    return any(os.path.exists(os.path.join(each, name)) for each in groups[:4])


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
