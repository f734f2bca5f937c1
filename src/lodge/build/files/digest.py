"""What a selection's content is: names, kinds, modes, owners, links and bytes. Times don't count.

Reading is what costs; so a file's digest is remembered with what its inode says of it, and read again when
that has changed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Sequence

from lodge.build.files.select import Selection
from lodge.build.files.view import View

_PIECE = 1 << 20
_REMEMBERED = 500_000
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
Mark = tuple[int, int, int, int, int]


class FileDigests:
    """Digests of files by inode, size and times. Forgets the oldest. For one thread at a time a key."""

    def __init__(self) -> None:
        self._known: dict[Mark, bytes] = {}

    def of(self, directory: int, name: bytes, status: os.stat_result) -> bytes:
        """The SHA-256 of a regular file's bytes."""
        mark = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(mark)
        if known is None:
            known = _read(directory, name)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[mark] = known
        return known


def content_digest(
    view: View,
    selection: Selection,
    sources: Sequence[str],
    digests: FileDigests,
    *,
    owners: bool = True,
    modes: bool = True,
) -> str:
    """The digest of what a selection holds. Without `owners` or `modes` these don't count: they are set."""
    made = hashlib.sha256()
    for root in selection.roots(sources):
        made.update(b"root\0" + (root.name if not root.contents else b"") + b"\0" + root.place + b"\0")
        entries: Iterable[tuple[bytes, bytes, os.stat_result]] = [(root.path, b"", root.status)]
        if root.contents:
            _absorb(made, view, root.path, b"", root.status, digests, owners=owners, modes=modes)
            entries = ((item.source, item.place, item.status) for item in selection.items(root))
        for path, place, status in entries:
            _absorb(made, view, path, place, status, digests, owners=owners, modes=modes)
    return made.hexdigest()


def _absorb(
    made: hashlib._Hash,
    view: View,
    path: bytes,
    place: bytes,
    status: os.stat_result,
    digests: FileDigests,
    *,
    owners: bool,
    modes: bool,
) -> None:
    mode = status.st_mode if modes else stat.S_IFMT(status.st_mode)
    owner = (status.st_uid, status.st_gid) if owners else ()
    made.update(repr((place, mode, owner, status.st_rdev)).encode() + b"\0")
    if stat.S_ISDIR(status.st_mode):
        return
    found = view.find(path)
    if found is None:
        return
    if stat.S_ISREG(status.st_mode):
        made.update(digests.of(found.directory, found.name, found.status))
    elif stat.S_ISLNK(status.st_mode):
        made.update(os.readlink(found.name, dir_fd=found.directory))


def _read(directory: int, name: bytes) -> bytes:
    made = hashlib.sha256()
    fd = os.open(name, _OPEN, dir_fd=directory)
    try:
        while piece := os.read(fd, _PIECE):
            made.update(piece)
    finally:
        os.close(fd)
    return made.digest()
