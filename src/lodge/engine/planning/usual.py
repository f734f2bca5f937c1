"""The container that most are like: Docker's defaults and nothing else.

The runtime makes what is in here before a container is asked for (`runtime.process.prefab`); one that differs
in any of it takes longer to start, nothing worse. A test compares it with what is planned for a container
without wishes.
"""

from __future__ import annotations

import msgspec

from lodge.engine.planning.defaults import (
    MASKED_PATHS,
    MOUNTS,
    READONLY_PATHS,
    SYSCTLS_OF_PRIVATE_NETWORK,
)
from lodge.spec.runtime import OCI_VERSION, Linux, Mount, Namespace, Process, Root, RuntimeConfig

_NAMESPACES = ("mount", "network", "ipc", "pid", "uts", "cgroup")


def usual_config(shm_size: int) -> RuntimeConfig:
    """What containers with this size of /dev/shm (bytes) have in common; their group's mount is not."""
    return RuntimeConfig(
        oci_version=OCI_VERSION,
        root=Root(path="rootfs"),
        mounts=[_sized(mount, shm_size) for mount in MOUNTS if mount.type != "cgroup"],
        process=Process(cwd="/", args=["-"]),
        linux=Linux(
            namespaces=[Namespace(type=kind) for kind in _NAMESPACES],
            sysctl=dict(SYSCTLS_OF_PRIVATE_NETWORK),
            masked_paths=list(MASKED_PATHS),
            readonly_paths=list(READONLY_PATHS),
        ),
    )


def _sized(mount: Mount, shm_size: int) -> Mount:
    if mount.destination != "/dev/shm":
        return mount
    return msgspec.structs.replace(mount, options=[*mount.options, f"size={shm_size}"])
