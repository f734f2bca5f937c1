"""Removing trees by descriptor: never by a path, never through a symbolic link, any depth."""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import Final

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST: Final = 200
_SUBTREES: Final = 200
_FEW: Final = 64
_BATCH: Final = 64


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


def remove_large_tree(name: bytes | str, directory: int, *, threads: int = 8) -> None:
    """Remove as `remove_tree`, with several threads where that is worth it.

    Deleting waits for the disk more than it computes: with discards done at once (ext4 without a journal)
    eight threads take a fifth of the time of one.
    """
    opened: list[int] = []
    try:
        subtrees, files = _spread(os.fsencode(name), directory, opened)
        if len(subtrees) + len(files) > _FEW:
            # Here, for the fork server imports this module and must not carry threads' modules around.
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(threads, "lodge-removal") as pool:
                batches = (files[start : start + _BATCH] for start in range(0, len(files), _BATCH))
                work = [
                    pool.submit(_remove_all, batch) for batch in (*batches, *([each] for each in subtrees))
                ]
            for future in work:
                future.result()
    finally:
        for fd in opened:
            os.close(fd)
    remove_tree(name, directory)


_Place = tuple[int, bytes]


def _spread(name: bytes, directory: int, opened: list[int]) -> tuple[list[_Place], list[_Place]]:
    """Open the upper directories of a tree; return the subtrees below them, and the files in them."""
    subtrees: deque[_Place] = deque([(directory, name)])
    files: list[_Place] = []
    while subtrees and len(subtrees) < _SUBTREES and len(opened) < _SUBTREES:
        above, child = subtrees.popleft()
        try:
            fd = _enter(child, above)
        except (FileNotFoundError, NotADirectoryError):
            files.append((above, child))
            continue
        opened.append(fd)
        for entry, is_directory in _entries(fd):
            (subtrees if is_directory else files).append((fd, entry))
    return list(subtrees), files


def _remove_all(places: list[_Place]) -> None:
    for directory, name in places:
        remove_tree(name, directory)


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


def _entries(directory: int) -> list[tuple[bytes, bool]]:
    with os.scandir(directory) as entries:
        return [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]


def _clear_files(directory: int) -> list[bytes]:
    """Unlink all that is no directory; return the names of the directories."""
    directories: list[bytes] = []
    for name, is_directory in _entries(directory):
        if is_directory:
            directories.append(name)
        else:
            os.unlink(name, dir_fd=directory)
    return directories
