"""Deletions in layers: the `.wh.` names of the image-spec, and how each kind of tree stores them.

Source: image-spec, layer.md, "Whiteouts". An overlay wants a character device 0/0 in place of a deleted name
and an xattr on an opaque directory (kernel documentation, filesystems/overlayfs, "whiteouts and opaque
directories"). A plain tree wants the deletion done. Archives that are no layers are extracted with neither:
there the names mean nothing.
"""

from __future__ import annotations

import os
import stat
from typing import Final, Protocol

from lodge.archive.removal import empty_directory, remove_tree
from lodge.errors import Corrupt

PREFIX: Final = b".wh."
META: Final = b".wh..wh."
OPAQUE: Final = b".wh..wh..opq"
DEVICE: Final = os.makedev(0, 0)


def overlay_prefix(*, user: bool) -> bytes:
    """Return the namespace of overlay's own xattrs: `user.overlay.` when mounted with userxattr."""
    return b"user.overlay." if user else b"trusted.overlay."


def is_whiteout(status: os.stat_result) -> bool:
    """Whether this is overlay's mark of a deleted name."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == DEVICE


class Whiteouts(Protocol):
    """How an extraction treats `.wh.` names. Paths are clean; `directory` and `base` are where they point."""

    def white_out(self, directory: int, base: bytes) -> None:
        """Hide or delete `base`, unless this archive itself brought it."""

    def make_opaque(self, directory: int, path: bytes) -> None:
        """Hide or delete everything in the directory that this archive did not bring."""

    def note(self, path: bytes) -> None:
        """Learn that the archive brought `path`."""

    def replaced(self, directory: int, base: bytes, status: os.stat_result) -> None:
        """Learn that a directory of the archive took the place of what `status` describes."""


class OverlayWhiteouts:
    """Writes deletions as overlay stores them. `user` selects the xattrs of unprivileged mounts."""

    def __init__(self, *, user: bool = False) -> None:
        self._opaque = overlay_prefix(user=user) + b"opaque"

    def white_out(self, directory: int, base: bytes) -> None:
        """Put a device 0/0 there. What the same layer brought stays: a whiteout speaks of lower layers."""
        try:
            os.mknod(base, stat.S_IFCHR | 0o600, DEVICE, dir_fd=directory)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(base, dir_fd=directory, follow_symlinks=False).st_mode):
                self._mark(directory, base)

    def make_opaque(self, directory: int, path: bytes) -> None:  # noqa: ARG002 - the contract
        """Set the xattr."""
        self._mark(directory, b".")

    def note(self, path: bytes) -> None:
        """Nothing: layers below are not in this tree."""

    def replaced(self, directory: int, base: bytes, status: os.stat_result) -> None:
        """Keep the deletion: a directory in place of a whiteout must not show what lies below."""
        if is_whiteout(status):
            self._mark(directory, base)

    def _mark(self, directory: int, base: bytes) -> None:
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.setxattr(fd, self._opaque, b"y")
        finally:
            os.close(fd)


class AppliedWhiteouts:
    """Deletes at once, in a tree that already holds the layers below."""

    def __init__(self) -> None:
        self._brought: set[bytes] = set()

    def white_out(self, directory: int, base: bytes) -> None:
        """Remove it with all below it."""
        remove_tree(base, directory)

    def make_opaque(self, directory: int, path: bytes) -> None:
        """Remove all that the archive has not brought into it up to now."""
        if any(name.startswith(path + b"/") or not path for name in self._brought):
            self._keep_brought(directory, path)
        else:
            fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
            try:
                empty_directory(fd)
            finally:
                os.close(fd)

    def _keep_brought(self, directory: int, path: bytes) -> None:
        prefix = path + b"/" if path else b""
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            for name in os.listdir(fd):
                base = os.fsencode(name)
                if prefix + base not in self._brought:
                    remove_tree(base, fd)
                elif stat.S_ISDIR(os.stat(base, dir_fd=fd, follow_symlinks=False).st_mode):
                    below = os.open(
                        base, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd
                    )
                    try:
                        self._keep_brought(below, prefix + base)
                    finally:
                        os.close(below)
        finally:
            os.close(fd)

    def note(self, path: bytes) -> None:
        """Remember it."""
        self._brought.add(path)

    def replaced(self, directory: int, base: bytes, status: os.stat_result) -> None:
        """Nothing: what was there is gone."""


def split(base: bytes) -> bytes | None:
    """Return the name that a whiteout `.wh.<name>` hides, or None when `base` is no whiteout.

    Raises Corrupt for `.wh.` with nothing behind it, and for names that would lead elsewhere.
    """
    if not base.startswith(PREFIX):
        return None
    hidden = base[len(PREFIX) :]
    if hidden in (b"", b".", b".."):
        raise Corrupt("the layer has a whiteout without a name")
    return hidden
