"""Snapshots as overlay mounts: `snapshots/<key>/{upper,work,parent}`.

`parent` is a symbolic link whose text is the chain ID; it is made last, so a directory without it is debris
of a crash. Lower directories are named by the short links of `layers`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable

from lodge.archive.tree import TreeOptions, write_tree
from lodge.errors import AlreadyExists, InvalidArgument, NotFound
from lodge.spec.digest import Digest
from lodge.spec.mount import Mount
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.merged import Merged
from lodge.store.snapshots import changes
from lodge.store.snapshots.contract import Change
from lodge.store.trash import Trash

_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}")
_NOTHING = "-"


class OverlaySnapshots:
    """The snapshotter for file systems on which overlay can be mounted."""

    name = "overlay2"

    def __init__(
        self, root: str, layers: Layers, leases: Leases, trash: Trash, *, user_xattrs: bool = False
    ) -> None:
        self._directory = os.path.join(root, "snapshots")
        self._empty = os.path.join(root, "empty")
        self._layers = layers
        self._leases = leases
        self._trash = trash
        self._user_xattrs = user_xattrs
        # Renames and copies of metadata only would leave marks in the upper directory that make it no plain
        # difference any more; the index ties layers to one mount at a time.
        self._options = ("userxattr",) if user_xattrs else ("index=off", "redirect_dir=off", "metacopy=off")
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        os.makedirs(self._empty, mode=0o755, exist_ok=True)

    def prepare(self, key: str, chain: Digest | None) -> None:
        """Make a writable snapshot: five system calls."""
        self._make(key, chain, writable=True)

    def view(self, key: str, chain: Digest | None) -> None:
        """Make a read-only snapshot."""
        self._make(key, chain, writable=False)

    def _make(self, key: str, chain: Digest | None, *, writable: bool) -> None:
        path = self._path(key)
        with self._leases.lock:
            lower = self._layers.lower_directories(chain)
            top = os.stat(lower[0]) if lower else None
            try:
                os.mkdir(path, 0o710)
            except FileExistsError:
                raise AlreadyExists(f"snapshot {key} exists already") from None
            if writable:
                os.mkdir(path + "/upper", 0o755)
                os.mkdir(path + "/work", 0o700)
                if top is not None:
                    self._copy_root(path + "/upper", top)
            os.symlink(chain or _NOTHING, path + "/parent")

    @staticmethod
    def _copy_root(upper: str, top: os.stat_result) -> None:
        """The root of an overlay looks as its upper directory does; so that must look as the image's root."""
        made = os.stat(upper)
        if (made.st_uid, made.st_gid) != (top.st_uid, top.st_gid):
            os.chown(upper, top.st_uid, top.st_gid)
        if stat.S_IMODE(made.st_mode) != stat.S_IMODE(top.st_mode):
            os.chmod(upper, stat.S_IMODE(top.st_mode))

    def mounts(self, key: str) -> list[Mount]:
        """Return one overlay mount, or a bind mount for a view of nothing or of one layer."""
        lower = self._layers.lower_directories(self.chain(key)) or [self._empty]
        path = self._path(key)
        if os.path.isdir(path + "/upper"):
            options = (
                f"lowerdir={':'.join(lower)}",
                f"upperdir={path}/upper",
                f"workdir={path}/work",
                *self._options,
            )
            return [Mount(type="overlay", source="overlay", options=options)]
        if len(lower) == 1:
            return [Mount(type="bind", source=lower[0], options=("rbind", "ro"))]
        return [
            Mount(
                type="overlay",
                source="overlay",
                options=("ro", f"lowerdir={':'.join(lower)}", *self._options),
            )
        ]

    def remove(self, key: str) -> None:
        """Rename it into the trash."""
        self._trash.throw(self._path(key))

    def exists(self, key: str) -> bool:
        """Whether there is a snapshot of that key."""
        return os.path.lexists(self._path(key) + "/parent")

    def chain(self, key: str) -> Digest | None:
        """Return what it was made from."""
        try:
            text = os.readlink(self._path(key) + "/parent")
        except FileNotFoundError:
            raise NotFound(f"snapshot {key} not found") from None
        return None if text == _NOTHING else Digest(text)

    def walk(self) -> list[str]:
        """Return all keys."""
        return [name for name in os.listdir(self._directory) if self.exists(name)]

    def upper(self, key: str) -> str:
        """Return the directory of the files that were written. Raises NotFound, also for a view."""
        self.chain(key)
        path = self._path(key) + "/upper"
        if not os.path.isdir(path):
            raise NotFound(f"snapshot {key} is read-only")
        return path

    def usage(self, key: str) -> tuple[int, int]:
        """Count the upper files."""
        return changes.usage(self.upper(key))

    def changes(self, key: str) -> list[Change]:
        """Compare the upper files with the layers."""
        with Merged(self._layers.lower_directories(self.chain(key)), user_xattrs=self._user_xattrs) as below:
            return changes.overlay_changes(self.upper(key), below, user_xattrs=self._user_xattrs)

    def archive(self, key: str, write: Callable[[bytes], object], options: TreeOptions) -> None:
        """Write the upper files."""
        options.overlay = True
        options.user_xattrs = self._user_xattrs
        root = os.open(self.upper(key), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_tree(root, write, options)
        finally:
            os.close(root)

    def recover(self) -> None:
        """Remove snapshots that a crash left half made."""
        for name in os.listdir(self._directory):
            if not self.exists(name):
                self._trash.throw(os.path.join(self._directory, name))

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise InvalidArgument(f"invalid snapshot key {key!r}")
        return f"{self._directory}/{key}"
