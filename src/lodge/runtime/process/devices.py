"""The container's /dev: device nodes, links, the multiplexer of its terminals.

Nodes are made relative to a directory that is resolved inside the root and pinned (CVE-2026-41579: an image
with a link as /dev must not get nodes on the host). In a user namespace mknod(2) is refused, so the host's
nodes are bound instead.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from lodge.errors import InvalidArgument
from lodge.kernel import mount as m
from lodge.kernel import paths
from lodge.runtime.process.operation import Operation, Site
from lodge.spec.runtime import Device, DeviceRule, RuntimeConfig

_KINDS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}

# config-linux.md, Default Devices
DEFAULT_DEVICES = tuple(
    Device(path=f"/dev/{name}", type="c", major=major, minor=minor, file_mode=0o666)
    for name, major, minor in (
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    )
)
# What every container may use whatever its rules say, as with runc and crun: the default devices, terminals,
# and making nodes, which grants nothing by itself.
_GRANTED = (
    *(("c", device.major, device.minor, "rwm") for device in DEFAULT_DEVICES),
    ("c", 5, 2, "rwm"),
    ("c", 136, None, "rwm"),
    ("c", None, None, "m"),
    ("b", None, None, "m"),
)
# runtime-linux.md, Dev symbolic links
LINKS = (
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
)
_CORE = ("/dev/core", "/proc/kcore")
_PTMX = "/dev/ptmx"
_ONTO = m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH


class MakeDevice(Operation, frozen=True):
    """Make one node; what stands at its place already is left as it is."""

    path: str
    mode: int
    device: int
    uid: int
    gid: int

    def __str__(self) -> str:
        numbers = f"{os.major(self.device)}:{os.minor(self.device)}"
        return f"mknod {self.path} {stat.filemode(self.mode)} {numbers} {self.uid}:{self.gid}"

    def perform(self, site: Site) -> None:
        """The umask is 0 here, so the mode is exact."""
        directory, name = os.path.split(self.path)
        parent = site.directory(directory)
        try:
            os.mknod(name, self.mode, self.device, dir_fd=parent)
        except FileExistsError:
            return
        except PermissionError:  # no CAP_MKNOD: a container in a container
            _bind_node(self.path, parent, name)
            return
        if self.uid or self.gid:
            os.chown(name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)


class BindDevice(Operation, frozen=True):
    """Show the host's node of the same path."""

    path: str

    def __str__(self) -> str:
        return f"bind {self.path} {self.path}"

    def perform(self, site: Site) -> None:
        """A link at the place is not followed."""
        directory, name = os.path.split(self.path)
        _bind_node(self.path, site.directory(directory), name)


class Link(Operation, frozen=True):
    """Make a symbolic link, over an older one when `replace`."""

    path: str
    target: str
    replace: bool = False

    def __str__(self) -> str:
        return f"ln -s{'f' if self.replace else ''} {self.target} {self.path}"

    def perform(self, site: Site) -> None:
        """What stands at its place already is left, unless it shall be replaced."""
        directory, name = os.path.split(self.path)
        parent = site.directory(directory)
        if self.replace:
            try:
                os.unlink(name, dir_fd=parent)
            except FileNotFoundError:
                pass
        try:
            os.symlink(self.target, name, dir_fd=parent)
        except FileExistsError:
            if self.replace:
                raise


def plan_devices(config: RuntimeConfig) -> list[Operation]:
    """The nodes of the config, those that every container has, and the links.

    Nothing when the host's /dev is bound whole: that one is not ours to fill.
    """
    if any(os.path.normpath(mount.destination) == "/dev" and is_bind(mount) for mount in config.mounts):
        return []
    linux = config.linux
    assert linux is not None
    wanted = {os.path.normpath(device.path): device for device in (*DEFAULT_DEVICES, *linux.devices)}
    wanted.pop(_PTMX, None)
    bound = any(namespace.type == "user" for namespace in linux.namespaces)
    operations: list[Operation] = [
        BindDevice(path) if bound else _node(path, device) for path, device in wanted.items()
    ]
    operations.append(Link(_PTMX, "pts/ptmx", replace=True))
    links = (*LINKS, _CORE) if os.path.exists(_CORE[1]) else LINKS
    operations += [Link(path, target) for path, target in links]
    return operations


def granted(rules: Sequence[DeviceRule]) -> list[DeviceRule]:
    """A config's rules with what no container can do without; what none names is refused."""
    own = [
        DeviceRule(allow=True, type=kind, major=major, minor=minor, access=access)
        for kind, major, minor, access in _GRANTED
    ]
    return [*rules, *own]


def is_bind(mount: object) -> bool:
    """Whether a mount of a config shows a part of the host's tree."""
    options = getattr(mount, "options", ())
    return getattr(mount, "type", "") == "bind" or "bind" in options or "rbind" in options


def _node(path: str, device: Device) -> MakeDevice:
    kind = _KINDS.get(device.type)
    if kind is None:
        raise InvalidArgument(f"device {device.path}: unknown type {device.type!r}")
    if not path.startswith("/"):
        raise InvalidArgument(f"device {device.path}: the path must be absolute")
    permissions = 0o666 if device.file_mode is None else device.file_mode & 0o7777
    number = 0 if device.type == "p" else os.makedev(device.major, device.minor)
    return MakeDevice(path, kind | permissions, number, device.uid or 0, device.gid or 0)


def _bind_node(source: str, parent: int, name: str) -> None:
    tree = m.open_tree(m.AT_FDCWD, source, m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC)
    try:
        target = _empty_file(parent, name)
        try:
            m.move_mount(tree, "", target, "", _ONTO)
        finally:
            os.close(target)
    finally:
        os.close(tree)


def _empty_file(parent: int, name: str) -> int:
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=parent))
    except FileExistsError:
        pass
    fd = paths.openat2(parent, name, os.O_PATH | os.O_NOFOLLOW, 0, paths.RESOLVE_BENEATH)
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return fd
