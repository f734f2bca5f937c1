"""--sysctl: allowed is what belongs to a namespace that the container has of its own.

Source: the checks of runc's config validation, which Docker relies on.
"""

from __future__ import annotations

from lodge.engine.planning.defaults import SYSCTLS_OF_PRIVATE_NETWORK
from lodge.engine.planning.namespaces import HOST, private_network
from lodge.errors import InvalidArgument
from lodge.spec.container import HostConfig

_IPC = frozenset(
    {
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    }
)


def check(host: HostConfig) -> None:
    """InvalidArgument for one that would change the host."""
    for name in host.sysctls or {}:
        key = name.replace("/", ".")
        if key in _IPC or key.startswith("fs.mqueue."):
            if host.ipc_mode == HOST:
                raise InvalidArgument(f'sysctl "{name}" is not allowed in the hosts ipc namespace')
        elif key.startswith("net."):
            if host.network_mode == HOST:
                raise InvalidArgument(f'sysctl "{name}" not allowed in host network namespace')
        elif key == "kernel.domainname":
            if host.uts_mode == HOST:
                raise InvalidArgument(f'sysctl "{name}" is not allowed in the hosts UTS namespace')
        elif key == "kernel.hostname":
            raise InvalidArgument(
                f'sysctl "{name}" is not allowed as it conflicts with the OCI "hostname" field'
            )
        else:
            raise InvalidArgument(f'sysctl "{name}" is not in a separate kernel namespace')


def plan(host: HostConfig, domainname: str, *, users: bool = False) -> dict[str, str]:
    """All sysctls to set; the wish wins over the defaults. `users`: in a user namespace of its own."""
    found: dict[str, str] = {}
    if private_network(host.network_mode):
        found.update(SYSCTLS_OF_PRIVATE_NETWORK)
        if users:
            # The range names groups that don't exist there.
            del found["net.ipv4.ping_group_range"]
    if domainname and host.uts_mode != HOST:
        found["kernel.domainname"] = domainname
    found.update(host.sysctls or {})
    return found
