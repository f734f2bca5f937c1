"""A stack of layers seen as overlay would show it, without a mount.

Lookups go from the top down, honour whiteouts and opaque directories, and never follow a symbolic link:
layers hold what strangers made. Read only. Who compares or completes trees asks here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from lodge.archive.whiteouts import is_whiteout, overlay_prefix

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CACHED: Final = 64


class Found(NamedTuple):
    """What a path is. `directory` and `name` say where; the descriptor is good until the next question."""

    status: os.stat_result
    directory: int
    name: bytes

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory (and no link to one)."""
        return stat.S_ISDIR(self.status.st_mode)


class Merged:
    """The union of directories, the top one first. Close it, or use it in a with-block."""

    def __init__(self, directories: Sequence[str], *, user_xattrs: bool = False) -> None:
        self._opaque = overlay_prefix(user=user_xattrs) + b"opaque"
        self._roots = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in directories]
        self._cache: dict[bytes, list[int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for fds in (self._roots, *self._cache.values()):
            for fd in fds:
                os.close(fd)
        self._cache.clear()
        self._roots = []

    def find(self, path: bytes) -> Found | None:
        """Look up a clean relative path; b"" is the root. None when it isn't there."""
        if not path:
            return Found(os.fstat(self._roots[0]), self._roots[0], b".") if self._roots else None
        head, _, base = path.rpartition(b"/")
        for fd in self._directory(head):
            try:
                status = os.stat(base, dir_fd=fd, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            return None if is_whiteout(status) else Found(status, fd, base)
        return None

    def children(self, path: bytes) -> dict[bytes, os.stat_result]:
        """Return what the directory at a path holds: names and what lstat says. Empty when it is none."""
        found: dict[bytes, os.stat_result] = {}
        for fd in self._directory(path):
            with os.scandir(fd) as entries:
                for entry in entries:
                    name = os.fsencode(entry.name)
                    if name not in found:
                        found[name] = entry.stat(follow_symlinks=False)
        return {name: status for name, status in found.items() if not is_whiteout(status)}

    def _directory(self, path: bytes) -> list[int]:
        """Return the descriptors that together are the directory at a path, the top one first."""
        if not path:
            return self._roots
        cached = self._cache.get(path)
        if cached is not None:
            return cached
        head, _, base = path.rpartition(b"/")
        found = self._open_stack(self._directory(head), base)
        if len(self._cache) >= _CACHED:
            for fd in self._cache.pop(next(iter(self._cache))):
                os.close(fd)
        self._cache[path] = found
        return found

    def _open_stack(self, above: list[int], base: bytes) -> list[int]:
        found: list[int] = []
        for fd in above:
            try:
                opened = os.open(base, _OPEN, dir_fd=fd)
            except FileNotFoundError:
                continue
            except OSError:
                # A file, a link or a whiteout: it hides all that lies below.
                break
            found.append(opened)
            if self._is_opaque(opened):
                break
        return found

    def _is_opaque(self, fd: int) -> bool:
        try:
            return os.getxattr(fd, self._opaque) == b"y"
        except OSError:
            return False
