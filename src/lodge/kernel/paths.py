"""Names inside a foreign root, resolved by the kernel and never by string: openat2(2), Linux 5.6.

A root is a directory file descriptor. Symbolic links inside it, absolute ones and chains of `..` stay inside:
RESOLVE_IN_ROOT makes the directory the root of the walk. The result is a file descriptor, which can't be
swapped for another file afterwards; `fd_path` is the way to hand it to a call that takes a path.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from lodge.kernel.syscalls import SYS_OPENAT2, check, libc, syscall

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
RESOLVE_CACHED = 0x20

_IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
# openat2 answers EAGAIN when a rename or mount anywhere on the system raced with a walk over "..".
_ATTEMPTS = 128
_MAX_LINKS = 40


class _OpenHow(ctypes.Structure):
    """struct open_how."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(dirfd: int, path: str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): open with a say in how the name is resolved. O_CLOEXEC is always added.

    `mode` must be 0 without O_CREAT or O_TMPFILE.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    return syscall(SYS_OPENAT2, dirfd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how), path=path)


def open_in_root(rootfd: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a name as it would be for a process chrooted to `rootfd`. OSError as open(2)'s.

    Magic links (/proc/<pid>/fd/N) are refused with ELOOP, for they lead out.
    """
    for _ in range(_ATTEMPTS):
        try:
            return openat2(rootfd, path or ".", flags, mode, _IN_ROOT)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def make_directories_in_root(rootfd: int, path: str, mode: int = 0o755) -> int:
    """Make a directory and its missing parents inside a root; returns an O_PATH fd of it.

    Existing links are followed inside the root. A dangling link is followed too: the directory that it points
    to is made, as runc and Docker do. ENOTDIR where a file is in the way, ELOOP for too long a chain.
    """
    here = open_in_root(rootfd, ".", os.O_PATH | os.O_DIRECTORY)
    walked: list[str] = []
    todo = _parts(path)
    links = 0
    try:
        while todo:
            part = todo.pop()
            if part == "..":
                # Never "..": a directory moved elsewhere would lead out. Walk again from the root instead.
                walked = walked[:-1]
                here = _replace(here, open_in_root(rootfd, "/".join(walked), os.O_PATH | os.O_DIRECTORY))
                continue
            target = _link_target(here, part)
            if target is not None:
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                todo.extend(_parts(target))
                if target.startswith("/"):
                    walked = []
                    here = _replace(here, open_in_root(rootfd, ".", os.O_PATH | os.O_DIRECTORY))
                continue
            here = _replace(here, _enter(here, part, mode))
            walked.append(part)
    except BaseException:
        os.close(here)
        raise
    return here


def create_file_in_root(rootfd: int, path: str, mode: int = 0o644) -> int:
    """Make an empty file (a mount point) and its missing parents inside a root; returns an O_PATH fd of it.

    What exists already, of whatever kind, is opened as it is; a dangling link is followed inside the root.
    """
    try:
        return open_in_root(rootfd, path, os.O_PATH)
    except FileNotFoundError:
        pass
    for _ in range(_MAX_LINKS):
        directory, _, name = path.rstrip("/").rpartition("/")
        if name in ("", ".", ".."):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        parent = make_directories_in_root(rootfd, directory)
        try:
            target = _link_target(parent, name)
            if target is None:
                return _create(parent, name, mode)
        finally:
            os.close(parent)
        path = target if target.startswith("/") else f"{directory}/{target}"
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def readlink_in_root(rootfd: int, path: str) -> str:
    """The text of a symbolic link inside a root; EINVAL when the name is none."""
    fd = open_in_root(rootfd, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return os.readlink("", dir_fd=fd)
    except FileNotFoundError:
        # readlinkat(2) with an empty name says ENOENT for what is not a link.
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path) from None
    finally:
        os.close(fd)


def resolve_in_root(rootfd: int, path: str) -> str:
    """The absolute name, inside the root, of what a path leads to: for people, not for opening it again."""
    fd = open_in_root(rootfd, path, os.O_PATH)
    try:
        full, top = os.readlink(fd_path(fd)), os.readlink(fd_path(rootfd))
    finally:
        os.close(fd)
    if top == "/" or full == top:
        return full if top == "/" else "/"
    if not full.startswith(f"{top}/"):
        raise OSError(errno.EXDEV, "the file was moved out of its root", path)
    return full[len(top) :]


def fd_path(fd: int) -> str:
    """A path that means exactly this open file, for calls that take only paths."""
    return f"/proc/self/fd/{fd}"


def _parts(path: str) -> list[str]:
    """The names of a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _link_target(dirfd: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=dirfd)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def _enter(dirfd: int, name: str, mode: int) -> int:
    """Open a directory by one name, making it when it is missing; a link put there meanwhile is refused."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return openat2(dirfd, name, flags, 0, RESOLVE_BENEATH)
    except FileNotFoundError:
        pass
    try:
        os.mkdir(name, mode, dir_fd=dirfd)
    except FileExistsError:
        pass  # somebody else made it, or swapped something in: the open decides
    return openat2(dirfd, name, flags, 0, RESOLVE_BENEATH)


def _create(dirfd: int, name: str, mode: int) -> int:
    """Make a file by one name, or take what somebody else made there; never through a link."""
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode, dir_fd=dirfd))
    except FileExistsError:
        pass
    fd = openat2(dirfd, name, os.O_PATH | os.O_NOFOLLOW, 0, RESOLVE_BENEATH)
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    return fd


def _replace(old: int, new: int) -> int:
    os.close(old)
    return new


def renameat2(old_dirfd: int, old: bytes, new_dirfd: int, new: bytes, flags: int) -> None:
    """renameat2(2), Linux 3.15: RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4."""
    check(libc.renameat2(old_dirfd, old, new_dirfd, new, ctypes.c_uint(flags)), os.fsdecode(new))
