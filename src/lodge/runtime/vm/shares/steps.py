"""The single steps of the file server: a request taken apart, a held file opened, an entry packed."""

from __future__ import annotations

import errno
import os
import stat
import time

from lodge.runtime.vm.shares import words as w


class Request:
    """Who asks, about which node, and the rest of the message."""

    __slots__ = ("body", "gid", "node", "uid")

    def __init__(self, node: int, uid: int, gid: int, body: bytes) -> None:
        self.node = node
        self.uid = uid
        self.gid = gid
        self.body = body

    def names(self, offset: int, count: int) -> list[bytes]:
        """The zero-ended names at the end of the message; EINVAL for other numbers of them."""
        found = self.body[offset:].split(b"\0")
        if len(found) < count + 1:
            raise OSError(errno.EINVAL, "a name without an end")
        return found[:count]


def link_to(fd: int) -> str:
    """The magic link to what a descriptor holds: for calls that take no O_PATH descriptor."""
    return f"/proc/self/fd/{fd}"


def reopen(fd: int, flags: int) -> int:
    """Open a held file for use; EACCES for what is no regular file."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError(errno.EACCES, "not a regular file")
    # SAFETY: the magic link leads to the very inode that was just looked at.
    return os.open(link_to(fd), flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)


def entries_of(fd: int) -> list[bytes]:
    """The names in a held directory."""
    return os.listdir(os.fsencode(link_to(fd)))


def directory_entry(inode: int, mode: int, name: bytes, following: int) -> bytes:
    """One entry of a listing, padded to eight bytes; `following` is where the next one begins."""
    head = w.DIRECTORY_ENTRY.pack(inode, following, len(name), mode >> 12)
    return head + name + b"\0" * (-len(name) % 8)


def sized(value: bytes, room: int) -> bytes:
    """A value where there is room, its length where that is asked for; ERANGE."""
    if room == 0:
        return w.GETXATTR_OUT.pack(len(value), 0)
    if len(value) > room:
        raise OSError(errno.ERANGE, "more than there is room for")
    return value


def signed(seconds: int) -> int:
    """A number of 64 bits that was sent without its sign."""
    return seconds - (1 << 64) if seconds >> 63 else seconds


def now() -> int:
    """Nanoseconds since the epoch."""
    return time.time_ns()
