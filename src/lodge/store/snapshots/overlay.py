"""Snapshots as overlay mounts: `snapshots/<key>/{upper,work,parent}`.

`parent` is a symbolic link whose text is the chain ID; it is made last, so a directory without it is debris
of a crash. A link `init` leads to the chain's mount points (`furnished`), the top lower directory of what has
it. Lower directories are named by the short links of `layers`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from lodge.archive.tree import TreeOptions, write_tree
from lodge.archive.whiteouts import overlay_prefix
from lodge.errors import NotFound
from lodge.spec.digest import Digest
from lodge.spec.mount import Mount
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.merged import Merged
from lodge.store.snapshots import changes
from lodge.store.snapshots.contract import Change
from lodge.store.snapshots.furnished import Furnished
from lodge.store.snapshots.shelf import Shelf
from lodge.store.space import disk_full_is_exhausted
from lodge.store.trash import Trash


class OverlaySnapshots(Shelf):
    """The snapshotter for file systems on which overlay can be mounted."""

    name = "overlay2"

    def __init__(
        self, root: str, layers: Layers, leases: Leases, trash: Trash, *, user_xattrs: bool = False
    ) -> None:
        super().__init__(root, trash)
        self._root = root
        self._empty = os.path.join(root, "empty")
        self._layers = layers
        self._leases = leases
        self._user_xattrs = user_xattrs
        self._furnished = Furnished(root, layers, user_xattrs=user_xattrs)
        # Renames and copies of metadata only would leave marks in the upper directory that make it no plain
        # difference any more; the index ties layers to one mount at a time.
        self._options = ("userxattr",) if user_xattrs else ("index=off", "redirect_dir=off", "metacopy=off")
        os.makedirs(self._empty, exist_ok=True)
        os.chmod(self._empty, 0o755)
        self._empty_status = os.stat(self._empty)

    def prepare(self, key: str, chain: Digest | None, *, furnished: bool = False) -> None:
        """Make a writable snapshot: a handful of system calls."""
        self._make(key, chain, writable=True, furnished=furnished)

    def view(self, key: str, chain: Digest | None) -> None:
        """Make a read-only snapshot."""
        self._make(key, chain, writable=False)

    def _make(self, key: str, chain: Digest | None, *, writable: bool, furnished: bool = False) -> None:
        path = self._path(key)
        with self._leases.lock, disk_full_is_exhausted("the container's files can't be made"):
            lower = self._layers.lower_directories(chain)
            top = os.stat(lower[0]) if lower else None
            on_host = self._layers.on_host(chain)
            # A lower directory inside another one, and all are inside "/", is refused by the kernel (ELOOP).
            points = self._furnished.directory(chain) if furnished and not on_host else ""
            self._begin(key)
            if writable:
                os.mkdir(path + "/upper", 0o755)
                os.mkdir(path + "/work", 0o700)
                self._copy_root(path + "/upper", top or self._empty_status)
                if on_host:
                    self._hide_store(path + "/upper")
            if points:
                os.symlink(os.path.relpath(points, path), path + "/init")
            self._seal(path, chain)

    @staticmethod
    def _copy_root(upper: str, top: os.stat_result) -> None:
        """The root of an overlay looks as its upper directory does; so that must look as the image's root."""
        made = os.stat(upper)
        if (made.st_uid, made.st_gid) != (top.st_uid, top.st_gid):
            os.chown(upper, top.st_uid, top.st_gid)
        if stat.S_IMODE(made.st_mode) != stat.S_IMODE(top.st_mode):
            os.chmod(upper, stat.S_IMODE(top.st_mode))

    def _hide_store(self, upper: str) -> None:
        """Show an empty directory where a container of the host image would see the data root itself."""
        path = ""
        for part in self._root.strip("/").split("/"):
            path += f"/{part}"
            os.mkdir(upper + path, 0o700)
            self._copy_root(upper + path, os.stat(path))
        os.setxattr(upper + path, overlay_prefix(user=self._user_xattrs) + b"opaque", b"y")

    def mounts(self, key: str) -> list[Mount]:
        """Return one overlay mount, or for a view what `view_mounts` says."""
        chain = self.chain(key)
        path = self._path(key)
        if not os.path.isdir(path + "/upper"):
            return self.view_mounts(chain)
        lower = self._lower(key, chain) or [self._empty]
        options = (
            f"lowerdir={':'.join(lower)}",
            f"upperdir={path}/upper",
            f"workdir={path}/work",
            *self._options,
        )
        return [Mount(type="overlay", source="overlay", options=options)]

    def view_mounts(self, chain: Digest | None) -> list[Mount]:
        """Return an overlay of the layers; of one layer, which overlay refuses, a bind mount."""
        lower = self._layers.lower_directories(chain) or [self._empty]
        if len(lower) == 1:
            return [Mount(type="bind", source=lower[0], options=("bind", "ro"))]
        options = ("ro", f"lowerdir={':'.join(lower)}", *self._options)
        return [Mount(type="overlay", source="overlay", options=options)]

    def upper(self, key: str) -> str:
        """Return the directory of the files that were written. Raises NotFound, also for a view."""
        self.chain(key)
        path = self._path(key) + "/upper"
        if not os.path.isdir(path):
            raise NotFound(f"snapshot {key} is read-only")
        return path

    def _lower(self, key: str, chain: Digest | None) -> list[str]:
        points = self._path(key) + "/init"
        lower = self._layers.lower_directories(chain)
        return [points, *lower] if os.path.lexists(points) else lower

    def usage(self, key: str) -> tuple[int, int]:
        """Count the upper files."""
        return changes.usage(self.upper(key))

    def changes(self, key: str) -> list[Change]:
        """Compare the upper files with the layers."""
        chain = self.chain(key)
        hidden = os.fsencode(self._root.strip("/")) if self._layers.on_host(chain) else None
        with Merged(self._lower(key, chain), user_xattrs=self._user_xattrs) as below:
            return changes.overlay_changes(
                self.upper(key), below, user_xattrs=self._user_xattrs, hidden=hidden
            )

    def archive(self, key: str, write: Callable[[bytes], object], options: TreeOptions) -> None:
        """Write the upper files."""
        options.overlay = True
        options.user_xattrs = self._user_xattrs
        root = os.open(self.upper(key), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_tree(root, write, options)
        finally:
            os.close(root)
