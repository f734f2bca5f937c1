"""Removing trees by descriptor: never by a path, never through a symbolic link, any depth."""

from __future__ import annotations

import errno
import os
from typing import Final

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST: Final = 200


def remove_tree(name: bytes | str, directory: int) -> None:
    """Remove what `name` in the directory descriptor is, with everything below. Missing is well.

    Does not cross into what a symbolic link points to. A mount point inside is an OSError (EBUSY), with the
    mounted files untouched as far as the walk had come; nothing is ever mounted in Lodge's own trees.
    """
    base = os.fsencode(name)
    try:
        os.unlink(base, dir_fd=directory)
        return
    except FileNotFoundError:
        return
    except OSError as error:
        # Linux says EISDIR, POSIX allows EPERM.
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
    _remove_directory(base, directory)


def empty_directory(directory: int) -> None:
    """Remove everything in the directory descriptor, and leave the directory itself."""
    for name in _clear_files(directory):
        _remove_directory(name, directory)


class _Frame:
    """A directory on the way down: its descriptor, its name in the one above, what is left to enter."""

    __slots__ = ("above", "fd", "left", "name")

    def __init__(self, name: bytes, above: int) -> None:
        self.name = name
        self.above = above
        self.fd = _enter(name, above)
        self.left = _clear_files(self.fd)

    def finish(self) -> None:
        os.close(self.fd)
        os.rmdir(self.name, dir_fd=self.above)


def _remove_directory(name: bytes, directory: int) -> None:
    # SAFETY: everything is relative to descriptors opened with O_NOFOLLOW; a name swapped for a link while we
    # walk makes open fail with ENOTDIR, and what is then unlinked is the link.
    frames = [_Frame(name, directory)]
    lifted = 0
    try:
        while frames:
            frame = frames[-1]
            if not frame.left:
                frames.pop().finish()
                continue
            child = frame.left.pop()
            if len(frames) < _DEEPEST:
                frames.append(_Frame(child, frame.fd))
                continue
            # A tree of any depth takes a bounded number of descriptors: what is too deep is moved to the top.
            lifted += 1
            fresh = b".lodge-lifted-%d" % lifted
            os.rename(child, fresh, src_dir_fd=frame.fd, dst_dir_fd=frames[0].fd)
            frames[0].left.append(fresh)
    finally:
        for frame in frames:
            os.close(frame.fd)


def _enter(name: bytes, directory: int) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=directory)
    except PermissionError:
        # Without root, a directory of ours may still forbid us to list it.
        handle = os.open(name, _OPEN | os.O_PATH, dir_fd=directory)
        try:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        finally:
            os.close(handle)
        return os.open(name, _OPEN, dir_fd=directory)


def _clear_files(directory: int) -> list[bytes]:
    """Unlink all that is no directory; return the names of the directories."""
    directories: list[bytes] = []
    with os.scandir(directory) as entries:
        names = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in names:
        if is_directory:
            directories.append(name)
        else:
            os.unlink(name, dir_fd=directory)
    return directories
