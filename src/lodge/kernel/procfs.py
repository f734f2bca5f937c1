"""Writing to /proc such that the write can't be led elsewhere (CVE-2019-19921, CVE-2025-52881).

A container's mounts may cover parts of /proc, or all of it, with files of its own. So every write goes
through a procfs that nobody else can reach: a detached mount of its own where the kernel lets us have one,
else a copy of the mount without what was mounted on it, else /proc itself after a look at what it is; and
in each case the walk may cross no mount and follow no magic link.
"""

from __future__ import annotations

import ctypes
import errno
import os

from lodge.kernel.mount import calls, fscontext
from lodge.kernel.paths import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV, openat2
from lodge.kernel.syscalls import check, libc

_PROC_SUPER_MAGIC = 0x9FA0
_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS
# struct statfs begins with f_type and is 120 bytes on both architectures.
_STATFS_SIZE = 256


def open_procfs() -> int:
    """A directory fd of a procfs for the caller's pid namespace, which its owner closes.

    EXDEV when all there is is a /proc that is no procfs.
    """
    for way in (_fresh, _copy):
        try:
            fd = way()
        except OSError as error:
            # EPERM, ENOSYS: not our right, or an old kernel. The next way is as safe, if less private.
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.ENODEV):
                raise
            continue
        return _checked(fd)
    return _checked(os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))


def open_in_procfs(procfd: int, path: str, flags: int) -> int:
    """Open a file below a procfs; EXDEV when a mount covers any part of the way, ELOOP for magic links."""
    return _checked(openat2(procfd, path, flags, 0, _RESOLVE))


def write_file(procfd: int, path: str, text: str) -> None:
    """Write a text with one write(2), as files of /proc demand."""
    fd = open_in_procfs(procfd, path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"/proc/{path}") from None
    finally:
        os.close(fd)


def read_file(procfd: int, path: str) -> str:
    """The whole content of a file."""
    with open(open_in_procfs(procfd, path, os.O_RDONLY), "rb") as file:
        return file.read().decode()


def write_sysctl(procfd: int, name: str, value: str) -> None:
    """Set a kernel parameter of the caller's namespaces, named as for sysctl(8)."""
    write_file(procfd, sysctl_path(name), value)


def sysctl_path(name: str) -> str:
    """Where a parameter lies below /proc: "net.ipv4.ip_forward", or with slashes and then dots as they are.

    A slash in a dotted name stands for a dot in an interface's name (net.ipv4.conf.eth0/1.forwarding).
    ValueError for a name that is none.
    """
    dot, slash = name.find("."), name.find("/")
    if slash == -1 or 0 <= dot < slash:
        name = name.translate(str.maketrans("./", "/."))
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(f"not the name of a kernel parameter: {name!r}")
    return "sys/" + "/".join(parts)


def write_label(procfd: int, attribute: str, label: str, module: str = "") -> None:
    """Set a label of this thread for its security module: `attribute` is "exec", "keycreate" and so on.

    With `module` ("apparmor") the module's own directory is used, so no other module can take it for its own.
    """
    directory = f"thread-self/attr/{module}" if module else "thread-self/attr"
    write_file(procfd, f"{directory}/{attribute}", label)


def _fresh() -> int:
    """A new procfs mount, attached nowhere."""
    context = fscontext.fsopen("proc")
    try:
        fscontext.fsconfig_create(context)
        attributes = calls.MOUNT_ATTR_NOSUID | calls.MOUNT_ATTR_NODEV | calls.MOUNT_ATTR_NOEXEC
        return fscontext.fsmount(context, attributes=attributes)
    finally:
        os.close(context)


def _copy() -> int:
    """A copy of the mount at /proc, without the mounts on it."""
    return calls.open_tree(calls.AT_FDCWD, "/proc", calls.OPEN_TREE_CLONE | calls.OPEN_TREE_CLOEXEC)


def is_procfs(fd: int) -> bool:
    """Whether an open file (O_PATH will do) belongs to a procfs: fstatfs(2)."""
    buffer = ctypes.create_string_buffer(_STATFS_SIZE)
    check(libc.fstatfs(ctypes.c_int(fd), buffer), "/proc")
    return ctypes.c_long.from_buffer(buffer).value == _PROC_SUPER_MAGIC


def _checked(fd: int) -> int:
    """Pass on a file of a procfs; close any other."""
    try:
        if not is_procfs(fd):
            raise OSError(errno.EXDEV, "this is no procfs", "/proc")
    except BaseException:
        os.close(fd)
        raise
    return fd
