"""Deletions in layers: the `.wh.` names of the image-spec, and overlay's.

Source: image-spec, layer.md, "Whiteouts". An overlay wants a character device 0/0 in place of a deleted name
and an xattr on an opaque directory (kernel documentation, filesystems/overlayfs, "whiteouts and opaque
directories"). Archives that are no layers are extracted without: there the names mean nothing.
"""

from __future__ import annotations

import os
import stat
from typing import Final

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

    def make_opaque(self, directory: int) -> None:
        """Hide all that the layers below have in a directory."""
        self._mark(directory, b".")

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
