"""Which files a machine knows by which number: each one held by an O_PATH descriptor, never by a path.

A number lives as long as the machine's kernel remembers it (its lookups minus its forgets). The root has no
file: it is a list of names that were decided before the machine started.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from lodge.runtime.vm.shares.words import ROOT

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Node:
    """One file. `fd` is owned by the table; -1 for the root."""

    __slots__ = ("fd", "key", "lookups", "writable")

    def __init__(self, fd: int, key: tuple[int, int], writable: bool) -> None:
        self.fd = fd
        self.key = key
        self.lookups = 0
        self.writable = writable


class Nodes:
    """The table of one mount. `entries` are the root's.

    A name, an O_PATH descriptor and whether it is writable.
    """

    def __init__(self, entries: Mapping[bytes, tuple[int, bool]]) -> None:
        self._entries = dict(entries)
        self._nodes: dict[int, Node] = {ROOT: Node(-1, (0, 0), False)}
        self._by_key: dict[tuple[int, int, bool], int] = {}
        self._next = ROOT + 1

    @property
    def names(self) -> list[bytes]:
        """The root's entries."""
        return list(self._entries)

    def get(self, number: int) -> Node:
        """A node that the kernel names; OSError ESTALE for one that it can't know."""
        node = self._nodes.get(number)
        if node is None:
            raise OSError(errno.ESTALE, "unknown node")
        return node

    def directory(self, number: int) -> int:
        """The descriptor of a directory; EACCES for the root, in which nothing can be made."""
        node = self.get(number)
        if node.fd < 0:
            raise OSError(errno.EACCES, "the root is not for files")
        return node.fd

    def writable(self, number: int) -> int:
        """As `directory`, of one that may be changed; EROFS else."""
        fd = self.directory(number)
        if not self._nodes[number].writable:
            raise OSError(errno.EROFS, "read-only")
        return fd

    def look_up(self, parent: int, name: bytes) -> tuple[int, os.stat_result]:
        """The number and status of an entry, one more lookup of it; FileNotFoundError."""
        node = self.get(parent)
        if node.fd < 0:
            if name not in self._entries:
                raise FileNotFoundError(errno.ENOENT, "no such share")
            held, writable = self._entries[name]
            fd = os.dup(held)
        else:
            fd, writable = os.open(checked(name), _PATH, dir_fd=node.fd), node.writable
        return self._remember(fd, writable)

    def _remember(self, fd: int, writable: bool) -> tuple[int, os.stat_result]:
        status = os.fstat(fd)
        key = (status.st_dev, status.st_ino)
        number = self._by_key.get((*key, writable))
        if number is None:
            number = self._next
            self._next += 1
            self._nodes[number] = Node(fd, key, writable)
            self._by_key[(*key, writable)] = number
        else:
            os.close(fd)
        self._nodes[number].lookups += 1
        return number, status

    def forget(self, number: int, lookups: int) -> None:
        """The kernel remembers it that many times less; unknown ones are ignored."""
        node = self._nodes.get(number)
        if node is None or number == ROOT:
            return
        node.lookups -= lookups
        if node.lookups <= 0:
            del self._nodes[number]
            del self._by_key[(*node.key, node.writable)]
            os.close(node.fd)

    def close(self) -> None:
        """Give all descriptors back."""
        for number in list(self._nodes):
            self.forget(number, 1 << 62)


def checked(name: bytes) -> bytes:
    """A name of one entry; EINVAL for what would lead elsewhere."""
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise OSError(errno.EINVAL, "not a name")
    return name
