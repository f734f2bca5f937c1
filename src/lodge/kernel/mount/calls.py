"""mount(2), umount2(2), pivot_root(2); detached mounts: open_tree(2), move_mount(2), mount_setattr(2).

Constants are those of <linux/mount.h>. The calls that configure a new file system live in `fscontext`.
"""

from __future__ import annotations

import ctypes
import errno
import os

from lodge.kernel.syscalls import (
    SYS_MOUNT_SETATTR,
    SYS_MOVE_MOUNT,
    SYS_OPEN_TREE,
    SYS_PIVOT_ROOT,
    check,
    libc,
    syscall,
)

__all__ = [
    "AT_EMPTY_PATH",
    "AT_FDCWD",
    "AT_RECURSIVE",
    "AT_SYMLINK_NOFOLLOW",
    "MNT_DETACH",
    "MNT_EXPIRE",
    "MNT_FORCE",
    "MOUNT_ATTR_IDMAP",
    "MOUNT_ATTR_NOATIME",
    "MOUNT_ATTR_NODEV",
    "MOUNT_ATTR_NODIRATIME",
    "MOUNT_ATTR_NOEXEC",
    "MOUNT_ATTR_NOSUID",
    "MOUNT_ATTR_NOSYMFOLLOW",
    "MOUNT_ATTR_RDONLY",
    "MOUNT_ATTR_RELATIME",
    "MOUNT_ATTR_STRICTATIME",
    "MOUNT_ATTR__ATIME",
    "MOVE_MOUNT_BENEATH",
    "MOVE_MOUNT_F_EMPTY_PATH",
    "MOVE_MOUNT_F_SYMLINKS",
    "MOVE_MOUNT_T_EMPTY_PATH",
    "MOVE_MOUNT_T_SYMLINKS",
    "MS_BIND",
    "MS_DIRSYNC",
    "MS_I_VERSION",
    "MS_LAZYTIME",
    "MS_MANDLOCK",
    "MS_MOVE",
    "MS_NOATIME",
    "MS_NODEV",
    "MS_NODIRATIME",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_NOSYMFOLLOW",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_RELATIME",
    "MS_REMOUNT",
    "MS_SHARED",
    "MS_SILENT",
    "MS_SLAVE",
    "MS_STRICTATIME",
    "MS_SYNCHRONOUS",
    "MS_UNBINDABLE",
    "OPEN_TREE_CLOEXEC",
    "OPEN_TREE_CLONE",
    "UMOUNT_NOFOLLOW",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "umount2",
]

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_SYNCHRONOUS = 0x10
MS_REMOUNT = 0x20
MS_MANDLOCK = 0x40
MS_DIRSYNC = 0x80
MS_NOSYMFOLLOW = 0x100
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_SILENT = 0x8000
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_I_VERSION = 1 << 23
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

MNT_FORCE = 1
MNT_DETACH = 2
MNT_EXPIRE = 4
UMOUNT_NOFOLLOW = 8

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

MOVE_MOUNT_F_SYMLINKS = 0x1
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_SYMLINKS = 0x10
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOVE_MOUNT_BENEATH = 0x200

_PAGE = os.sysconf("SC_PAGE_SIZE")

libc.mount.argtypes = [
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
]
libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]


class _MountAttr(ctypes.Structure):
    """struct mount_attr."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _text(value: str | None) -> bytes | None:
    return None if value is None else os.fsencode(value)


def mount(
    source: str | None, target: str, fstype: str | None, flags: int = 0, data: str | None = None
) -> None:
    """mount(2). E2BIG for `data` of a page or more: the kernel would cut it off and say nothing.

    `fscontext` has no such limit, and `kernel.overlay` ways around it.
    """
    if data is not None and len(os.fsencode(data)) >= _PAGE:
        raise OSError(errno.E2BIG, f"{len(data)} bytes of mount options do not fit into a page", target)
    # SAFETY: changes the caller's mount namespace; who calls this is in a namespace of its own.
    result = libc.mount(_text(source), os.fsencode(target), _text(fstype), flags, _text(data))
    check(result, target)


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    check(libc.umount2(os.fsencode(target), flags), target)


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2): `new` becomes the root, the old root is stacked on `old` (both may be ".")."""
    # SAFETY: changes the root of every process in the caller's mount namespace.
    syscall(SYS_PIVOT_ROOT, os.fsencode(new), os.fsencode(old), path=new)


def open_tree(dirfd: int, path: str, flags: int) -> int:
    """open_tree(2), Linux 5.2: a file descriptor for a mount, with OPEN_TREE_CLONE for a detached copy."""
    return syscall(SYS_OPEN_TREE, dirfd, os.fsencode(path), flags, path=path)


def move_mount(from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int) -> None:
    """move_mount(2), Linux 5.2: attach a detached mount, or move one."""
    # SAFETY: attaches in the mount namespace of the caller.
    syscall(SYS_MOVE_MOUNT, from_fd, os.fsencode(from_path), to_fd, os.fsencode(to_path), flags, path=to_path)


def mount_setattr(
    dirfd: int,
    path: str,
    flags: int,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
) -> None:
    """mount_setattr(2), Linux 5.12: change a mount's attributes, with AT_RECURSIVE those of the tree.

    An atime attribute in `attr_set` needs MOUNT_ATTR__ATIME in `attr_clr`. MOUNT_ATTR_IDMAP (with a user
    namespace's fd) is for detached mounts.
    """
    attr = _MountAttr(attr_set, attr_clr, propagation, userns_fd)
    syscall(
        SYS_MOUNT_SETATTR,
        dirfd,
        os.fsencode(path),
        flags,
        ctypes.byref(attr),
        ctypes.sizeof(attr),
        path=path,
    )
