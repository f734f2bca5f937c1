"""Directories below a root, found by descriptors and never by strings.

`Beneath` opens the directories of an archive's members. Each component is opened without following links, a
symbolic link is read and resolved by hand with the root as its "/", and ".." goes back along descriptors that
are open already. So nothing that a path says, and no process that swaps directories for links, leads out of
the root (CVE-2018-15664; the same promise as openat2's RESOLVE_IN_ROOT, on any kernel).
"""

from __future__ import annotations

import errno
import os
import re
from typing import Final, Self

from lodge.errors import Corrupt

_OPEN: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS: Final = 40
_CACHED: Final = 64
_LONGEST: Final = 4096
_UNCLEAN: Final = re.compile(rb"(?:^|/)\.{0,2}(?:/|$)|\0")


def clean(name: bytes) -> bytes:
    """Return a member's name relative to the root, without ".", ".." and empty components; b"" is the root.

    Raises Corrupt when the name leads out of the root, holds a NUL or is longer than any path may be.
    """
    if len(name) > _LONGEST:
        raise Corrupt(f"the archive has a name of {len(name)} bytes")
    if not _UNCLEAN.search(name):
        return name
    if b"\0" in name:
        raise Corrupt(f"the archive has an invalid name: {name!r}")
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise Corrupt(f"the archive would write outside of its root: {os.fsdecode(name)!r}")
            parts.pop()
        elif part and part != b".":
            parts.append(part)
    return b"/".join(parts)


class Beneath:
    """The directories below `root`, a descriptor that stays the caller's. Close it, or use a with-block.

    Descriptors returned belong to the cache: they are good until the next call. `created` lists directories
    that were made only because something lies in them.
    """

    def __init__(self, root: int) -> None:
        self.root = os.open(".", _OPEN, dir_fd=root)
        self._cache: dict[bytes, int] = {}
        self.created: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all descriptors."""
        self.forget()
        os.close(self.root)

    def forget(self) -> None:
        """Drop what is cached: needed after a directory or a symbolic link was removed."""
        for fd in self._cache.values():
            os.close(fd)
        self._cache.clear()

    def parent(self, path: bytes, *, create: bool = False) -> tuple[int, bytes]:
        """Return the directory that holds a clean, non-empty path, and the last component."""
        head, _, base = path.rpartition(b"/")
        return (self.directory(head, create=create) if head else self.root), base

    def directory(self, path: bytes, *, create: bool = False) -> int:
        """Return a descriptor (O_PATH) of the directory at a clean path; make it, mode 0755, if asked to.

        Raises OSError: ENOENT, ENOTDIR, ELOOP.
        """
        if not path:
            return self.root
        cached = self._cache.pop(path, None)
        if cached is not None:
            self._cache[path] = cached
            return cached
        here, begin = self._nearest(path)
        while begin <= len(path):
            end = path.find(b"/", begin)
            end = len(path) if end < 0 else end
            base, prefix = path[begin:end], path[:end]
            try:
                found = os.open(base, _OPEN, dir_fd=here)
            except OSError as error:
                found = self._missing(prefix, here, base, create, error)
            here = self._keep(prefix, found)
            begin = end + 1
        return here

    def _nearest(self, path: bytes) -> tuple[int, int]:
        """Return the deepest directory above `path` that is open, and where the rest of the path begins."""
        end = path.rfind(b"/")
        while end > 0:
            cached = self._cache.get(path[:end])
            if cached is not None:
                return cached, end + 1
            end = path.rfind(b"/", 0, end)
        return self.root, 0

    def _keep(self, path: bytes, fd: int) -> int:
        if len(self._cache) >= _CACHED:
            oldest = next(iter(self._cache))
            os.close(self._cache.pop(oldest))
        self._cache[path] = fd
        return fd

    def _missing(self, path: bytes, above: int, base: bytes, create: bool, error: OSError) -> int:
        if error.errno == errno.ENOENT and create:
            self.created.append(path)
            return _make(base, above)
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise error
        return _Resolution(self.root, create).walk(path)


class _Resolution:
    """One walk that has met a symbolic link: from the root, with each ".." along open descriptors."""

    def __init__(self, root: int, create: bool) -> None:
        self._stack = [os.dup(root)]
        self._create = create
        self._links = 0

    def walk(self, path: bytes) -> int:
        """Return an own descriptor of the directory."""
        try:
            pending = path.split(b"/")[::-1]
            while pending:
                part = pending.pop()
                if part == b"..":
                    if len(self._stack) > 1:
                        os.close(self._stack.pop())
                elif part and part != b".":
                    self._step(part, pending)
            return self._stack.pop()
        finally:
            for fd in self._stack:
                os.close(fd)

    def _step(self, part: bytes, pending: list[bytes]) -> None:
        here = self._stack[-1]
        try:
            self._stack.append(os.open(part, _OPEN, dir_fd=here))
            return
        except FileNotFoundError:
            if not self._create:
                raise
            self._stack.append(_make(part, here))
            return
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
        try:
            target = os.readlink(part, dir_fd=here)
        except OSError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), part) from None
        self._links += 1
        if self._links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part)
        if target.startswith(b"/"):
            for fd in self._stack[1:]:
                os.close(fd)
            del self._stack[1:]
        pending.extend(target.split(b"/")[::-1])


def _make(base: bytes, above: int) -> int:
    """Make a directory that any user may enter, whatever the umask, and return a descriptor of it."""
    os.mkdir(base, 0o755, dir_fd=above)
    fd = os.open(base, _OPEN, dir_fd=above)
    os.chmod(f"/proc/self/fd/{fd}", 0o755)
    return fd
