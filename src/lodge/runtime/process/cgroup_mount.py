"""The container's control group, from its inside: entering it, and what /sys/fs/cgroup shows.

The init enters by itself: a single-threaded process that moves itself is 25 times cheaper to the kernel
than one that is moved (`kernel.cgroups.contract.Cgroup.enter`), and the keeper makes the group meanwhile.
Mounts of control groups come after that, for a new cgroup namespace has its root where the process is.
"""

from __future__ import annotations

import os

from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.kernel import paths
from lodge.kernel.cgroups import Cgroup
from lodge.runtime.process.mounts import BindMount, MountFilesystem, propagate, set_attributes
from lodge.runtime.process.operation import Operation, Site
from lodge.spec.runtime import Mount

_TMPFS = m.MountOptions(flags=m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC, data="mode=755")


def enter(entries: list[int]) -> None:
    """Go in through files that `Cgroup.prepare_entry` opened, and close them."""
    for fd in entries:
        os.write(fd, b"0")
        os.close(fd)


class EnterCgroup(Operation, frozen=True):
    """Wait for the group, go in, and make that the root of what is seen, when the namespace is new."""

    path: str
    new_namespace: bool

    def __str__(self) -> str:
        return f"enter cgroup {self.path}" + (", unshare cgroup" if self.new_namespace else "")

    def perform(self, site: Site) -> None:
        """By the keeper's files: the init may have no right to them, and no name for them."""
        enter(site.entries())
        if self.new_namespace:
            ns.unshare(ns.CLONE_NEWCGROUP)


class MountCgroupsV1(Operation, frozen=True):
    """Show each hierarchy of version 1 at a name of its own in a small tmpfs.

    `hierarchies` are (name, options of mount(2), the group's directory on the host). With `private` each is
    mounted anew in the cgroup namespace, else the directory is bound.
    """

    destination: str
    hierarchies: tuple[tuple[str, str, str], ...]
    flags: int
    propagation: tuple[int, ...]
    private: bool

    def __str__(self) -> str:
        way = "mount" if self.private else "bind"
        state = "ro" if self.flags & m.MS_RDONLY else "rw"
        names = " ".join(name for name, _, _ in self.hierarchies)
        return f"{way} cgroups {self.destination} ({state}): {names}"

    def perform(self, site: Site) -> None:
        """The tmpfs is fresh, so names in it need no further care."""
        MountFilesystem(self.destination, "tmpfs", "tmpfs", _TMPFS).perform(site)
        top = paths.open_in_root(site.rootfd, self.destination, os.O_PATH | os.O_DIRECTORY)
        try:
            for name, options, directory in self.hierarchies:
                os.mkdir(name, 0o755, dir_fd=top)
                if self.private:
                    self._mount(top, name, options)
                else:
                    _bind(directory, top, name, self.flags)
                for alias in options.split(",") if "," in name else ():
                    os.symlink(name, alias, dir_fd=top)
            if self.flags & m.MS_RDONLY:
                m.mount_setattr(top, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
        finally:
            os.close(top)
        propagate(site, self.destination, self.propagation)

    def _mount(self, top: int, name: str, options: str) -> None:
        target = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
        try:
            m.mount("cgroup", paths.fd_path(target), "cgroup", self.flags, options)
        finally:
            os.close(target)


def _bind(source: str, top: int, name: str, flags: int) -> None:
    """Show a directory of the host, closed for writing before anybody can see it."""
    tree = m.open_tree(m.AT_FDCWD, source, m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC)
    try:
        set_attributes(tree, m.MountOptions(flags))
        m.move_mount(tree, "", top, name, m.MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(tree)


def plan_cgroup_mount(mount: Mount, options: m.MountOptions, cgroup: Cgroup, *, private: bool) -> Operation:
    """A mount of type `cgroup`: whatever version the host has."""
    directories: dict[str, list[str]] = {}
    for controller, directory in cgroup.paths().items():
        directories.setdefault(directory, []).append(controller)
    if list(directories.values()) == [[""]]:
        directory = next(iter(directories))
        if private:
            return MountFilesystem(mount.destination, "cgroup2", "cgroup", options)
        flags = options.flags | m.MS_BIND
        return BindMount(mount.destination, directory, m.MountOptions(flags, propagation=options.propagation))
    hierarchies = []
    for directory, controllers in directories.items():
        top = directory.removesuffix(cgroup.path)
        hierarchies.append((os.path.basename(top), ",".join(controllers), directory))
    return MountCgroupsV1(
        mount.destination, tuple(hierarchies), options.flags, options.propagation, private=private
    )
