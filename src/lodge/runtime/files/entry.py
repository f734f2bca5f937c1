"""How a file worker gets hold of a container's root: as a descriptor, from a room without anything else.

A worker is a fork of its own, so what it does to its namespaces and its own root concerns nobody else. It
takes a copy of the container's mounts that only its descriptor holds, then moves into an empty room: a root
with nothing but /proc in it. No path that it opens by mistake, and no link of the container, leads to a file
of the host or, by another way than from the root's descriptor, to one of the container (CVE-2018-15664,
CVE-2019-14271). Nothing is imported from here on.
"""

from __future__ import annotations

import errno
import os
import stat

from lodge.errors import Conflict
from lodge.kernel import mount as m
from lodge.kernel import paths
from lodge.kernel.namespaces import CLONE_NEWNS, setns, unshare
from lodge.kernel.process import pidfd_open, set_dumpable
from lodge.runtime.exit_record import ProcessIdentity
from lodge.runtime.files.orders import Site
from lodge.runtime.process.rootfs import mount_at
from lodge.spec.runtime import Mount

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CLONE = m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC
_ONTO = m.MOVE_MOUNT_F_EMPTY_PATH | m.MOVE_MOUNT_T_EMPTY_PATH


def enter(site: Site, *, bare: bool = False) -> int:
    """The root of a container, open; `bare` without what is mounted in it. Conflict when it has ended."""
    # Nothing of the container shall be able to look into this process.
    set_dumpable(False)
    root = _assemble(site, bare=bare) if site.init is None else _take(site.init, bare=bare)
    _move_into_empty_room()
    return root


def _take(init: ProcessIdentity, *, bare: bool) -> int:
    """A copy of what a running container sees: made in its mount namespace, then away from there."""
    try:
        pidfd = pidfd_open(init.pid)
    except ProcessLookupError:
        raise Conflict("the container has ended") from None
    # Looked at only now, when the pid can't come to mean another process any more.
    if not init.alive:
        raise Conflict("the container has ended")
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    setns(pidfd, CLONE_NEWNS)
    os.close(pidfd)
    if bare:
        # The root mount alone: what lies under the mounts can be seen in it.
        root = _open_tree("/", 0)
    else:
        _unshare_mounts()
        _remove_kernel_files()
        root = _open_tree("/", m.AT_RECURSIVE)
    setns(home, CLONE_NEWNS)
    os.close(home)
    _unshare_mounts()
    return root


def _unshare_mounts() -> None:
    unshare(CLONE_NEWNS)
    m.mount(None, "/", None, m.MS_REC | m.MS_PRIVATE)


def _open_tree(path: str, flags: int) -> int:
    tree = m.open_tree(m.AT_FDCWD, path, _CLONE | flags)
    try:
        return os.open(".", _DIRECTORY, dir_fd=tree)
    finally:
        os.close(tree)


def _remove_kernel_files() -> None:
    """Uncover /proc and /sys, whose files are none: a copy of them would not end well."""
    for place in ("/proc", "/sys"):
        try:
            # SAFETY: in a mount namespace of this process alone, whose mounts answer to no other.
            m.umount2(place, m.MNT_DETACH | m.UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise


def _assemble(site: Site, *, bare: bool) -> int:
    """The root of a container that does not run, mounted where only this process sees it."""
    _unshare_mounts()
    place = site.root_path
    if site.root_mounts:
        place = site.place
        for root_mount in site.root_mounts:
            mount_at(root_mount, place)
    root = os.open(place, _DIRECTORY)
    if not bare:
        for wish in site.mounts:
            if wish.type == "bind" or "bind" in wish.options or "rbind" in wish.options:
                _bind(root, wish)
    return root


def _bind(root: int, wish: Mount) -> None:
    """Put a directory or file of the host where the container has it: by descriptors (CVE-2026-42306)."""
    options = m.parse_options(wish.options)
    recursive = m.AT_RECURSIVE if options.flags & m.MS_REC else 0
    tree = m.open_tree(m.AT_FDCWD, wish.source, _CLONE | recursive)
    try:
        if options.flags & m.MS_RDONLY:
            m.mount_setattr(tree, "", m.AT_EMPTY_PATH, attr_set=m.MOUNT_ATTR_RDONLY)
        if stat.S_ISDIR(os.fstat(tree).st_mode):
            target = paths.make_directories_in_root(root, wish.destination)
        else:
            target = paths.create_file_in_root(root, wish.destination)
        try:
            m.move_mount(tree, "", target, "", _ONTO)
        finally:
            os.close(target)
    finally:
        os.close(tree)


def _move_into_empty_room() -> None:
    """Change the root to an empty tmpfs that shows this process its own /proc."""
    own = m.open_tree(m.AT_FDCWD, "/proc", _CLONE)
    m.mount("room", "/proc", "tmpfs", m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC, "size=4k,mode=755")
    os.mkdir("/proc/proc")
    m.move_mount(own, "", m.AT_FDCWD, "/proc/proc", m.MOVE_MOUNT_F_EMPTY_PATH)
    os.close(own)
    os.chdir("/proc")
    # SAFETY: the working directory is the new root; this process does one job in it and ends.
    os.chroot(".")
