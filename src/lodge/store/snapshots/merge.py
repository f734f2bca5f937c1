"""Putting one unpacked layer on top of a tree, its whiteouts done: how a copy of an image is made.

Everything goes by descriptors; what lies in layers is never followed. Blocks are shared where the file
system can.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from lodge.archive.removal import empty_directory, remove_tree
from lodge.archive.whiteouts import is_whiteout, overlay_prefix
from lodge.store.completion import copy_attributes, copy_node
from lodge.store.merged import Found

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST: Final = 400


def merge_layer(layer: int, target: int, *, user_xattrs: bool) -> None:
    """Apply a layer to the tree at `target`; both are directory descriptors. Raises OSError."""
    _Merge(overlay_prefix(user=user_xattrs) + b"opaque").directory(layer, target, 0)
    copy_attributes(Found(os.fstat(layer), layer, b"."), target)


class _Merge:
    """One run. Files with several links are linked again, as long as the first link's directory is open."""

    def __init__(self, opaque: bytes) -> None:
        self._opaque = opaque
        self._links: dict[tuple[int, int], bytes] = {}

    def directory(self, layer: int, target: int, depth: int) -> None:
        """Apply one directory."""
        if depth > _DEEPEST:
            raise OSError(errno.ENAMETOOLONG, "directories are nested too deeply")
        for name in sorted(map(os.fsencode, os.listdir(layer))):
            status = os.stat(name, dir_fd=layer, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._subdirectory(layer, target, name, status, depth)
                continue
            # SAFETY: one name in the tree that we are making.
            remove_tree(name, target)
            if not is_whiteout(status):
                self._node(Found(status, layer, name), target)

    def _subdirectory(self, layer: int, target: int, name: bytes, status: os.stat_result, depth: int) -> None:
        inner = os.open(name, _OPEN, dir_fd=layer)
        try:
            below = self._enter(target, name)
            try:
                if self._is_opaque(inner):
                    # SAFETY: a directory of the tree that we are making, by its descriptor.
                    empty_directory(below)
                self.directory(inner, below, depth + 1)
                copy_attributes(Found(status, layer, name), below)
            finally:
                os.close(below)
        finally:
            os.close(inner)

    @staticmethod
    def _enter(target: int, name: bytes) -> int:
        try:
            os.mkdir(name, 0o700, dir_fd=target)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=target, follow_symlinks=False).st_mode):
                # SAFETY: one name in the tree that we are making.
                remove_tree(name, target)
                os.mkdir(name, 0o700, dir_fd=target)
        return os.open(name, _OPEN, dir_fd=target)

    def _node(self, found: Found, target: int) -> None:
        status = found.status
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1:
            first = self._links.get(key)
            if first is not None:
                os.link(first, found.name, dst_dir_fd=target, follow_symlinks=False)
                return
        copy_node(found, target, found.name)
        if status.st_nlink > 1:
            # A path made of our own descriptor's real place: nobody else writes to this tree yet.
            self._links[key] = os.readlink(b"/proc/self/fd/%d" % target) + b"/" + found.name

    def _is_opaque(self, fd: int) -> bool:
        try:
            return os.getxattr(fd, self._opaque) == b"y"
        except OSError:
            return False
