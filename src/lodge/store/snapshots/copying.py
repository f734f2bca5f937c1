"""Snapshots as complete copies: `snapshots/<key>/fs`, for file systems on which overlay can't be mounted.

Making one costs what copying the image costs; where the file system can share blocks (btrfs, xfs) that is
little. The difference is found by comparing the whole tree with the layers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from lodge.archive.tree import TreeOptions
from lodge.errors import NotFound, Unsupported
from lodge.spec.digest import Digest
from lodge.spec.mount import Mount
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.merged import Merged
from lodge.store.snapshots import changes
from lodge.store.snapshots.contract import Change
from lodge.store.snapshots.difference import write_difference
from lodge.store.snapshots.furnished import Furnished
from lodge.store.snapshots.merge import merge_layer
from lodge.store.snapshots.shelf import Shelf
from lodge.store.space import disk_full_is_exhausted
from lodge.store.trash import Trash

_READ_ONLY = "read-only"


class CopyingSnapshots(Shelf):
    """The snapshotter that works everywhere."""

    name = "vfs"

    def __init__(
        self, root: str, layers: Layers, leases: Leases, trash: Trash, *, user_xattrs: bool = False
    ) -> None:
        super().__init__(root, trash)
        self._layers = layers
        self._leases = leases
        self._user_xattrs = user_xattrs
        self._furnished = Furnished(root, layers, user_xattrs=user_xattrs)

    def prepare(self, key: str, chain: Digest | None, *, furnished: bool = False) -> None:
        """Copy all layers into one tree."""
        self._make(key, chain, furnished=furnished)

    def view(self, key: str, chain: Digest | None) -> None:
        """Copy as well: nothing else keeps the layers' whiteouts out of sight."""
        self._make(key, chain, read_only=True)

    def _make(
        self, key: str, chain: Digest | None, *, furnished: bool = False, read_only: bool = False
    ) -> None:
        with self._leases.hold(), disk_full_is_exhausted("the container's files can't be made"):
            with self._leases.lock:
                # Under the lease these stay, so the long copying needs no lock.
                lower = self._layers.lower_directories(chain)
                for layer in self._layers.stack(chain):
                    self._leases.touch(layer.chain)
                points = self._furnished.directory(chain) if furnished else ""
            if any(os.path.realpath(directory) == "/" for directory in lower):
                raise Unsupported("the host image needs overlay mounts, which this file system doesn't allow")
            self._begin(key)
            path = self._path(key)
            try:
                if points:
                    os.symlink(os.path.relpath(points, path), os.path.join(path, "init"))
                if read_only:
                    os.close(os.open(os.path.join(path, _READ_ONLY), os.O_CREAT | os.O_CLOEXEC, 0o600))
                self._fill(os.path.join(path, "fs"), self._lower(key, chain))
            except BaseException:
                self._trash.throw(path)
                raise
            self._seal(path, chain)

    def _fill(self, tree: str, lower: list[str]) -> None:
        os.mkdir(tree, 0o755)
        target = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for directory in reversed(lower):
                layer = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    merge_layer(layer, target, user_xattrs=self._user_xattrs)
                finally:
                    os.close(layer)
        finally:
            os.close(target)

    def mounts(self, key: str) -> list[Mount]:
        """Return a bind mount of the copy."""
        self.chain(key)
        path = self._path(key)
        access = "ro" if os.path.exists(os.path.join(path, _READ_ONLY)) else "rw"
        return [Mount(type="bind", source=path + "/fs", options=("bind", access))]

    def view_mounts(self, chain: Digest | None) -> list[Mount]:  # noqa: ARG002 - the contract
        """Not without a copy, which would need an owner."""
        raise Unsupported("images can't be mounted read-only without overlay mounts")

    def usage(self, key: str) -> tuple[int, int]:
        """Count the files that are new or changed."""
        size = 0
        seen: set[tuple[int, int]] = set()
        tree = self._tree(key)
        for kind, path in self.changes(key):
            if kind == "D":
                continue
            try:
                status = os.stat(tree + path, follow_symlinks=False)
            except OSError:
                # The container is at work there.
                continue
            inode = (status.st_dev, status.st_ino)
            if inode not in seen and not stat.S_ISDIR(status.st_mode):
                size += status.st_size
            seen.add(inode)
        return size, len(seen)

    def changes(self, key: str) -> list[Change]:
        """Compare the copy with the layers."""
        with self._below(key) as below:
            return changes.tree_changes(self._tree(key), below)

    def archive(self, key: str, write: Callable[[bytes], object], options: TreeOptions) -> None:
        """Write what the comparison finds."""
        root = os.open(self._tree(key), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_difference(root, self.changes(key), write, options)
        finally:
            os.close(root)

    def _below(self, key: str) -> Merged:
        return Merged(self._lower(key, self.chain(key)), user_xattrs=self._user_xattrs)

    def _lower(self, key: str, chain: Digest | None) -> list[str]:
        points = os.path.join(self._path(key), "init")
        lower = self._layers.lower_directories(chain)
        return [points, *lower] if os.path.lexists(points) else lower

    def _tree(self, key: str) -> str:
        self.chain(key)
        path = self._path(key)
        if os.path.exists(os.path.join(path, _READ_ONLY)):
            raise NotFound(f"snapshot {key} is read-only")
        return path + "/fs"
