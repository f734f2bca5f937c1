"""Which namespaces a container has of its own, shares with the host, or joins of another container.

Pure: `Shared` tells the pids of the containers that are joined.
"""

from __future__ import annotations

from msgspec import Struct

from lodge.errors import InvalidArgument
from lodge.spec.container import HostConfig
from lodge.spec.runtime import Namespace

HOST = "host"
NONE = "none"
IPC_NONE = "none"
PRIVATE = "private"
SHAREABLE = "shareable"
_CONTAINER = "container:"


class Shared(Struct, frozen=True, kw_only=True):
    """The pids of inits whose namespaces are joined; 0 where none is."""

    network: int = 0
    ipc: int = 0
    pid: int = 0


def joined(mode: str) -> str:
    """The container that a mode as container:NAME names; "" for other modes."""
    return mode.removeprefix(_CONTAINER) if mode.startswith(_CONTAINER) else ""


def check(host: HostConfig) -> None:
    """InvalidArgument for modes that don't exist, in Docker's words."""
    if host.ipc_mode not in ("", NONE, HOST, PRIVATE, SHAREABLE) and not joined(host.ipc_mode):
        raise InvalidArgument(f"invalid IPC mode: {host.ipc_mode}")
    if host.pid_mode not in ("", PRIVATE, HOST) and not joined(host.pid_mode):
        raise InvalidArgument(f"invalid PID mode: {host.pid_mode}")
    if host.uts_mode not in ("", HOST):
        raise InvalidArgument(f"invalid UTS mode: {host.uts_mode}")
    if host.userns_mode not in ("", HOST, "remap"):
        raise InvalidArgument(f"invalid USER mode: {host.userns_mode}")
    if host.cgroupns_mode not in ("", PRIVATE, HOST):
        raise InvalidArgument(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    if host.network_mode.startswith(_CONTAINER) and not joined(host.network_mode):
        raise InvalidArgument("Invalid network mode: invalid container format container:<name|id>")


def plan(host: HostConfig, shared: Shared, *, users: bool = False, network_path: str = "") -> list[Namespace]:
    """The namespaces that are made or joined; the host's are left out. `users`: one for users too.

    `network_path` is a network namespace that was made ready.
    """
    found = [Namespace(type="user")] if users else []
    found.append(Namespace(type="mount"))
    if network_path:
        found.append(Namespace(type="network", path=network_path))
    else:
        _add(found, "network", host.network_mode, shared.network, "net")
    _add(found, "ipc", host.ipc_mode, shared.ipc, "ipc")
    _add(found, "pid", host.pid_mode, shared.pid, "pid")
    _add(found, "uts", host.uts_mode, 0, "uts")
    _add(found, "cgroup", host.cgroupns_mode, 0, "cgroup")
    return found


def _add(found: list[Namespace], type: str, mode: str, pid: int, file: str) -> None:
    if joined(mode):
        found.append(Namespace(type=type, path=f"/proc/{pid}/ns/{file}"))
    elif mode != HOST:
        found.append(Namespace(type=type))


def private_network(mode: str) -> bool:
    """Whether the container has a network namespace of its own."""
    return mode != HOST and not joined(mode)
