"""How a tree differs from the layers that it was made from: what `docker diff` shows, and how much it takes.

The rules are those of Docker's comparison of trees: directories differ by mode and owner, other things also
by device, size and time; a changed thing makes the directories above it changed; what a deleted or new
directory held is not listed for the deleted one, and is listed for the new one.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from lodge.archive.whiteouts import is_whiteout, overlay_prefix
from lodge.store.merged import Merged
from lodge.store.snapshots.contract import Change

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST: Final = 300


def usage(directory: str) -> tuple[int, int]:
    """Return the bytes of all files and the count of all inodes below a directory; hard links count once."""
    size = inodes = 0
    seen: set[tuple[int, int]] = set()
    pending = [directory]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                        key = (status.st_dev, status.st_ino)
                        if key in seen:
                            continue
                        seen.add(key)
                    inodes += 1
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(entry.path)
                    else:
                        size += status.st_size
        except (FileNotFoundError, NotADirectoryError):
            # The container is at work there.
            continue
    return size, inodes


def overlay_changes(
    upper: str, below: Merged, *, user_xattrs: bool, hidden: bytes | None = None
) -> list[Change]:
    """Compare an overlay's upper directory with the layers below it; sorted by path.

    `hidden` is a path of which nothing is said.
    """
    opaque = overlay_prefix(user=user_xattrs) + b"opaque"
    return _Comparison(below, opaque, hidden).run(upper, whole=False)


def tree_changes(tree: str, below: Merged) -> list[Change]:
    """Compare a complete tree with the layers that it was copied from; sorted by path."""
    return _Comparison(below, None).run(tree, whole=True)


class _Comparison:
    """One walk. A directory is *whole* when it holds all there is of it, so that what is missing was deleted.

    The upper directory of an overlay is whole where it is opaque, and everything below that is; a copied tree
    is whole everywhere.
    """

    def __init__(self, below: Merged, opaque: bytes | None, hidden: bytes | None = None) -> None:
        self._hidden = hidden
        self._below = below
        self._opaque = opaque
        self._found: dict[bytes, str] = {}

    def run(self, tree: str, *, whole: bool) -> list[Change]:
        root = os.open(tree, _OPEN)
        try:
            self._directory(root, b"", new=False, whole=whole)
        finally:
            os.close(root)
        return self._result()

    def _result(self) -> list[Change]:
        """Return what was found, with the directories above each change."""
        found = dict(self._found)
        for path in self._found:
            head = path.rpartition(b"/")[0]
            while head and head not in found:
                found[head] = "C"
                head = head.rpartition(b"/")[0]
        ordered = sorted(found.items(), key=lambda item: item[0].split(b"/"))
        return [(kind, "/" + os.fsdecode(path)) for path, kind in ordered]

    def _directory(self, fd: int, path: bytes, *, new: bool, whole: bool) -> None:
        if path.count(b"/") > _DEEPEST:
            raise OSError(errno.ENAMETOOLONG, "directories are nested too deeply", os.fsdecode(path[:200]))
        names = sorted(map(os.fsencode, os.listdir(fd)))
        prefix = path + b"/" if path else b""
        whole = whole or self._is_opaque(fd)
        if whole and not new:
            for name in self._below.children(path).keys() - set(names):
                self._found[prefix + name] = "D"
        for name in names:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
                self._entry(fd, name, prefix + name, status, new=new, whole=whole)
            except (FileNotFoundError, NotADirectoryError):
                # The container is at work there.
                continue

    def _entry(
        self, fd: int, name: bytes, path: bytes, status: os.stat_result, *, new: bool, whole: bool
    ) -> None:
        """Note whether one thing is new, changed or deleted, and go into it if it is a directory."""
        if path == self._hidden:
            return
        old = None if new else self._below.find(path)
        if self._opaque is not None and is_whiteout(status):
            if old is not None:
                self._found[path] = "D"
            return
        if old is None:
            self._found[path] = "A"
        elif _differs(old.status, status):
            self._found[path] = "C"
        if stat.S_ISDIR(status.st_mode):
            opened = os.open(name, _OPEN, dir_fd=fd)
            try:
                self._directory(opened, path, new=old is None or not old.is_directory, whole=whole)
            finally:
                os.close(opened)

    def _is_opaque(self, fd: int) -> bool:
        if self._opaque is None:
            return False
        try:
            return os.getxattr(fd, self._opaque) == b"y"
        except OSError:
            return False


def _differs(old: os.stat_result, new: os.stat_result) -> bool:
    if (old.st_mode, old.st_uid, old.st_gid, old.st_rdev) != (
        new.st_mode,
        new.st_uid,
        new.st_gid,
        new.st_rdev,
    ):
        return True
    if stat.S_ISDIR(new.st_mode):
        return False
    return old.st_size != new.st_size or not _same_time(old.st_mtime_ns, new.st_mtime_ns)


def _same_time(old: int, new: int) -> bool:
    """Times that went through a tar have lost their fraction; Docker takes them as equal then."""
    whole = 1_000_000_000
    return old == new or (old // whole == new // whole and (old % whole == 0 or new % whole == 0))
