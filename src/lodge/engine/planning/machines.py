"""Containers that live in a machine of their own: which these are, and what makes no sense for them. Pure.

Asked for by `Isolation: vm` (docker run --isolation vm) or by the runtime's name (--runtime vm).
"""

from __future__ import annotations

from lodge.engine.planning.namespaces import HOST, joined
from lodge.engine.settings import OWN_RUNTIMES
from lodge.errors import InvalidArgument, Unsupported
from lodge.spec.container import HostConfig

VM = "vm"
"""The word for a machine, as an isolation and as a runtime."""

_OWN_KERNEL = "a container in a machine has a kernel of its own"

PS_TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
"""The columns in which a machine's processes are told."""


def wanted(host: HostConfig) -> bool:
    """Whether it shall live in a machine."""
    return host.isolation == VM or host.runtime == VM


def check(host: HostConfig) -> None:
    """InvalidArgument for words at odds, Unsupported for options that mean nothing in a machine."""
    if host.isolation not in ("", "default", "process", VM):
        raise InvalidArgument(f"invalid isolation ({host.isolation}): linux only supports 'default'")
    if not wanted(host):
        return
    if host.isolation == VM and host.runtime not in ("", VM, *OWN_RUNTIMES):
        raise InvalidArgument(f"conflicting options: isolation vm and runtime {host.runtime}")
    for mode, name in ((host.pid_mode, "pid"), (host.ipc_mode, "ipc")):
        if mode == HOST or joined(mode):
            raise Unsupported(
                f"--{name} {mode}: {_OWN_KERNEL}, so it shares no processes or memory with others"
            )
    for mode, name in (
        (host.uts_mode, "uts"),
        (host.userns_mode, "userns"),
        (host.cgroupns_mode, "cgroupns"),
    ):
        if mode == HOST:
            raise Unsupported(f"--{name} host: {_OWN_KERNEL}, which has no such namespace of the host")
    if host.network_mode == HOST or joined(host.network_mode):
        raise Unsupported(
            f"--network {host.network_mode}: {_OWN_KERNEL} and a network stack in it",
            hint="connect it to a network instead: it has its own address there",
        )
    if host.devices or host.device_requests:
        raise Unsupported(f"--device and --gpus: {_OWN_KERNEL}, which does not see the host's devices")
    if host.cpuset_mems:
        raise Unsupported(f"--cpuset-mems: {_OWN_KERNEL}, which has one memory node")


def check_rewiring(host: HostConfig) -> None:
    """Unsupported for a machine that runs: its cards are those that it was started with."""
    if wanted(host):
        raise Unsupported(
            "a machine that runs can't be connected to further networks",
            hint="stop it, connect it, start it again",
        )
