"""The layer between an image and its containers: what the engine mounts things on, and /.dockerenv.

It is made once for each chain, `layers/<chain hex>/init`, and goes with the layer. What is in it is no change
that a container made, so it is in no diff and in no committed layer, and no start has to make it again. As in
Docker a point takes the place of a file or link that the image has there; a directory stays. Nothing is
followed: names are looked up layer by layer, and made in a new directory that nobody else writes to.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Final

from lodge.errors import NotFound
from lodge.spec.digest import Digest
from lodge.store.completion import copy_attributes
from lodge.store.layers import Layers
from lodge.store.merged import Merged

_DIRECTORIES: Final = (b"dev/pts", b"dev/shm", b"proc", b"sys")
_FILES: Final = (b".dockerenv", b"dev/console", b"etc/hostname", b"etc/hosts", b"etc/resolv.conf")
_LINKS: Final = ((b"etc/mtab", b"/proc/mounts"),)
_MODE: Final = 0o755
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Furnished:
    """These layers of one store."""

    def __init__(self, root: str, layers: Layers, *, user_xattrs: bool) -> None:
        self._root = root
        self._layers = layers
        self._user_xattrs = user_xattrs
        self._count = itertools.count()

    def directory(self, chain: Digest | None) -> str:
        """Return the directory for a chain, made if it isn't there; the caller holds the leases' lock.

        Raises NotFound when the chain is gone. Nothing is synced: it holds names only, which a journal keeps
        in order, and when it is missing it is made again.
        """
        path = os.path.join(self._root, f"layers/{chain.hex}/init" if chain else "empty-init")
        if not os.path.isdir(path):
            staged = os.path.join(self._root, "layers", ".staging", f"init-{os.getpid()}-{next(self._count)}")
            os.mkdir(staged, 0o755)
            with Merged(self._layers.lower_directories(chain), user_xattrs=self._user_xattrs) as below:
                fill(staged, below)
            try:
                os.rename(staged, path)
            except FileNotFoundError:
                raise NotFound(f"layer {chain} not found") from None
        return path


def fill(directory: str, below: Merged) -> None:
    """Make all points in an empty directory that will lie over `below`."""
    root = os.open(directory, _OPEN)
    try:
        for path in _DIRECTORIES:
            found = below.find(path)
            if found is None or not found.is_directory:
                os.close(_enter(root, path, below))
        for path in _FILES:
            _leaf(root, path, None, below)
        for path, target in _LINKS:
            _leaf(root, path, target, below)
        _like(root, b"", below)
    finally:
        os.close(root)


def _leaf(root: int, path: bytes, target: bytes | None, below: Merged) -> None:
    """Make an empty file, or a link, unless the image has a directory there."""
    found = below.find(path)
    if found is not None and found.is_directory:
        return
    head, _, base = path.rpartition(b"/")
    parent = _enter(root, head, below)
    try:
        if target is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            made = os.open(base, flags, _MODE, dir_fd=parent)
            os.fchmod(made, _MODE)
            os.close(made)
        else:
            os.symlink(target, base, dir_fd=parent)
        _like(parent, head, below)
    finally:
        os.close(parent)


def _enter(root: int, path: bytes, below: Merged) -> int:
    """Open a directory, made with all above it, each with the attributes that the image's has."""
    here = os.open(b".", _OPEN, dir_fd=root)
    walked: Sequence[bytes] = ()
    for name in path.split(b"/") if path else ():
        walked = (*walked, name)
        try:
            os.mkdir(name, _MODE, dir_fd=here)
        except FileExistsError:
            inner = os.open(name, _OPEN, dir_fd=here)
        else:
            inner = os.open(name, _OPEN, dir_fd=here)
            _like(inner, b"/".join(walked), below)
        os.close(here)
        here = inner
    return here


def _like(directory: int, path: bytes, below: Merged) -> None:
    """Let a directory look as the image's at the same place, if there is one."""
    found = below.find(path)
    if found is not None and found.is_directory:
        copy_attributes(found, directory)
    else:
        os.fchmod(directory, _MODE)
