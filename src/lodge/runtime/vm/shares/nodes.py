"""Which files a machine knows by which number: each one held by an O_PATH descriptor, never by a path.

A number lives as long as the machine's kernel remembers it (its lookups minus its forgets). The root has no
file: it is a list of names that were decided before the machine started.

A kernel remembers more files than a process may hold open. Beyond a limit the files that were not asked for
the longest are let go, directories excepted; when one is wanted again it is opened by the name under which it
was last seen in its directory, and only taken if it is the same file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Mapping

from lodge.runtime.vm.shares.words import ROOT

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NONE, _LET_GO = -1, -2


class Node:
    """One file. `held` is its descriptor, owned by the table: _NONE for the root, _LET_GO for one let go."""

    __slots__ = ("held", "key", "lookups", "name", "number", "parent", "writable")

    def __init__(self, number: int, held: int, key: tuple[int, int], writable: bool) -> None:
        self.number = number
        self.held = held
        self.key = key
        self.writable = writable
        self.lookups = 0
        self.parent = 0
        self.name = b""


class Nodes:
    """The table of one mount; `most` is how many plain files it may hold open.

    `entries` are the root's: a name, an O_PATH descriptor and whether it is writable.
    """

    def __init__(self, entries: Mapping[bytes, tuple[int, bool]], most: int) -> None:
        self._entries = dict(entries)
        self._most = most
        self._nodes: dict[int, Node] = {ROOT: Node(ROOT, _NONE, (0, 0), False)}
        self._by_key: dict[tuple[int, int, bool], int] = {}
        self._plain: OrderedDict[int, None] = OrderedDict()
        self._next = ROOT + 1

    @property
    def names(self) -> list[bytes]:
        """The root's entries."""
        return list(self._entries)

    def descriptor(self, number: int) -> int:
        """The descriptor of a node that the kernel names, -1 for the root; ESTALE for an unknown one."""
        node = self._get(number)
        if node.held == _LET_GO:
            self._take_back(node)
        elif number in self._plain:
            self._plain.move_to_end(number)
        return node.held

    def _get(self, number: int) -> Node:
        node = self._nodes.get(number)
        if node is None:
            raise OSError(errno.ESTALE, "unknown node")
        return node

    def _take_back(self, node: Node) -> None:
        directory = self.descriptor(node.parent)
        fd = os.open(node.name, _PATH, dir_fd=directory)
        status = os.fstat(fd)
        if (status.st_dev, status.st_ino) != node.key:
            os.close(fd)
            raise OSError(errno.ESTALE, "another file has taken its name")
        node.held = fd
        self._hold(node)

    def _hold(self, node: Node) -> None:
        """Note a plain file as held; the one that was not asked for the longest may have to go."""
        self._plain[node.number] = None
        if len(self._plain) > self._most:
            oldest = self._nodes[self._plain.popitem(last=False)[0]]
            os.close(oldest.held)
            oldest.held = _LET_GO

    def directory(self, number: int) -> int:
        """The descriptor of a file or directory; EACCES for the root, in which nothing can be made."""
        fd = self.descriptor(number)
        if fd < 0:
            raise OSError(errno.EACCES, "the root is not for files")
        return fd

    def writable(self, number: int) -> int:
        """As `directory`, of one that may be changed; EROFS else."""
        fd = self.directory(number)
        if not self._nodes[number].writable:
            raise OSError(errno.EROFS, "read-only")
        return fd

    def look_up(self, parent: int, name: bytes) -> tuple[int, os.stat_result]:
        """The number and status of an entry, one more lookup of it; FileNotFoundError."""
        directory = self.descriptor(parent)
        if directory < 0:
            if name not in self._entries:
                raise FileNotFoundError(errno.ENOENT, "no such share")
            share, writable = self._entries[name]
            return self._remember(os.dup(share), writable, 0, b"")
        fd = os.open(checked(name), _PATH, dir_fd=directory)
        return self._remember(fd, self._nodes[parent].writable, parent, name)

    def _remember(self, fd: int, writable: bool, parent: int, name: bytes) -> tuple[int, os.stat_result]:
        status = os.fstat(fd)
        key = (status.st_dev, status.st_ino)
        number = self._by_key.get((*key, writable))
        if number is None:
            number = self._next
            self._next += 1
            node = self._nodes[number] = Node(number, fd, key, writable)
            self._by_key[(*key, writable)] = number
            if parent and not stat.S_ISDIR(status.st_mode):
                self._hold(node)
        else:
            os.close(fd)
            node = self._nodes[number]
        if parent:
            node.parent, node.name = parent, name
        node.lookups += 1
        return number, status

    def keep(self, directory: int, name: bytes) -> None:
        """An entry is about to lose its name: hold its file, if it is known, while it can be found."""
        node = self._known(directory, name)
        if node is not None and node.held == _LET_GO:
            self._take_back(node)

    def moved(self, parent: int, name: bytes) -> None:
        """An entry has a new name: note it."""
        node = self._known(self.descriptor(parent), name)
        if node is not None:
            node.parent, node.name = parent, name

    def _known(self, directory: int, name: bytes) -> Node | None:
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError:
            return None
        number = self._by_key.get((status.st_dev, status.st_ino, True))
        return None if number is None else self._nodes[number]

    def forget(self, number: int, lookups: int) -> None:
        """The kernel remembers it that many times less; unknown ones are ignored."""
        node = self._nodes.get(number)
        if node is None or number == ROOT:
            return
        node.lookups -= lookups
        if node.lookups <= 0:
            del self._nodes[number]
            del self._by_key[(*node.key, node.writable)]
            self._plain.pop(number, None)
            if node.held >= 0:
                os.close(node.held)

    def close(self) -> None:
        """Give all descriptors back."""
        for number in list(self._nodes):
            self.forget(number, 1 << 62)


def checked(name: bytes) -> bytes:
    """A name of one entry; EINVAL for what would lead elsewhere."""
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise OSError(errno.EINVAL, "not a name")
    return name
