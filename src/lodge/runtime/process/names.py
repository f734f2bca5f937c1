"""What a container calls itself and what its kernel says: host name, loopback, sysctls, joined namespaces.

A namespace that is given by path is joined by the child that was cloned into the new ones; pid and time
namespaces take effect for children only, so the keeper joins those around the clone (`birth`).
"""

from __future__ import annotations

import os

from lodge.errors import InvalidArgument
from lodge.kernel import namespaces as ns
from lodge.kernel import netlink, procfs
from lodge.kernel.process import setdomainname, sethostname
from lodge.runtime.process.operation import Operation, Site
from lodge.spec.runtime import Linux, RuntimeConfig

# Sysctls that the IPC namespace holds; kernel.* is the host's otherwise.
_IPC_SYSCTLS = frozenset(
    f"kernel.{name}"
    for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)


class JoinNamespaces(Operation, frozen=True):
    """Join namespaces by the files that stand for them."""

    spaces: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n".join(f"join {kind} {path}" for kind, path in self.spaces)

    def perform(self, _site: Site) -> None:
        """A file that is no namespace of its kind is refused by setns(2)."""
        for kind, path in self.spaces:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                ns.setns(fd, ns.NAMESPACES[kind][0])
            finally:
                os.close(fd)


class LoopbackUp(Operation, frozen=True):
    """Switch the loopback device of a new network namespace on."""

    def __str__(self) -> str:
        return "ip link set lo up"

    def perform(self, _site: Site) -> None:
        """By rtnetlink."""
        netlink.set_link_up("lo")


class SetNames(Operation, frozen=True):
    """Give the new UTS namespace its names."""

    hostname: str
    domainname: str

    def __str__(self) -> str:
        lines = [f"hostname {self.hostname}"] if self.hostname else []
        return "\n".join([*lines, f"domainname {self.domainname}"] if self.domainname else lines)

    def perform(self, _site: Site) -> None:
        """Those that are not empty."""
        if self.hostname:
            sethostname(self.hostname)
        if self.domainname:
            setdomainname(self.domainname)


class WriteSysctls(Operation, frozen=True):
    """Set kernel parameters of the container's namespaces."""

    values: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "\n".join(f"sysctl {name}={value}" for name, value in self.values)

    def perform(self, _site: Site) -> None:
        """Through a procfs that nobody else can reach or cover (CVE-2025-52881)."""
        private = procfs.open_procfs()
        try:
            for name, value in self.values:
                procfs.write_sysctl(private, name, value)
        finally:
            os.close(private)


def plan_names(config: RuntimeConfig, linux: Linux) -> list[Operation]:
    """What to set in new namespaces; InvalidArgument where it would change the host's."""
    paths = {namespace.type: namespace.path for namespace in linux.namespaces}
    operations: list[Operation] = []
    if paths.get("network") == "":
        operations.append(LoopbackUp())
    if config.hostname or config.domainname:
        if "uts" not in paths:
            raise InvalidArgument("hostname: a UTS namespace of the container's own is needed to set it")
        operations.append(SetNames(config.hostname, config.domainname))
    if linux.sysctl:
        for name in linux.sysctl:
            _check_sysctl(name, paths, config.hostname)
        operations.append(WriteSysctls(tuple(linux.sysctl.items())))
    return operations


def plan_joins(linux: Linux) -> list[Operation]:
    """The namespaces that the child joins by itself; `birth` sees to user, pid and time."""
    order = ("ipc", "uts", "network", "cgroup")
    paths = {namespace.type: namespace.path for namespace in linux.namespaces}
    spaces = tuple((kind, paths[kind]) for kind in order if paths.get(kind))
    return [JoinNamespaces(spaces)] if spaces else []


def _check_sysctl(name: str, paths: dict[str, str], hostname: str) -> None:
    """Only what a namespace of the container's own holds may be set."""
    dotted = name.replace("/", ".")
    if dotted in _IPC_SYSCTLS or dotted.startswith("fs.mqueue."):
        space = "ipc"
    elif dotted.startswith("net."):
        space = "network"
    elif dotted == "kernel.domainname":
        space = "uts"
    elif dotted == "kernel.hostname":
        if hostname:
            raise InvalidArgument("sysctl kernel.hostname: the config has a hostname already")
        space = "uts"
    elif dotted.startswith("user."):
        space = "user"
    else:
        raise InvalidArgument(f'sysctl "{name}" is not in a separate kernel namespace')
    if space not in paths:
        raise InvalidArgument(f'sysctl "{name}" is not allowed in the host\'s {space} namespace')
