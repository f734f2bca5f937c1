"""A tree of files seen from its root, whatever it is made of; and walking it as a chrooted process would."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from typing import Protocol

_MOST_LINKS = 40


class Found(Protocol):
    """What a path is. `directory` and `name` say where; the descriptor is good until the next question."""

    @property
    def status(self) -> os.stat_result:
        """What lstat says."""
        ...

    @property
    def directory(self) -> int:
        """An open descriptor."""
        ...

    @property
    def name(self) -> bytes:
        """The name in it, one component."""
        ...

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory, and no link to one."""
        ...


class View(Protocol):
    """A tree. Paths are clean and relative; b"" is the root. Links are not followed."""

    def find(self, path: bytes) -> Found | None:
        """What is there."""
        ...

    def children(self, path: bytes) -> dict[bytes, os.stat_result]:
        """What a directory holds."""
        ...


def clean(path: str | bytes) -> bytes:
    """A path relative to the root, without "." and ".." (which stay at the root)."""
    text = os.fsencode(path)
    return posixpath.normpath(b"/" + text).lstrip(b"/")


def resolve(view: View, path: bytes, *, last: bool = True) -> bytes:
    """Where a path leads inside the tree: links are followed there, the last component's only with `last`.

    What doesn't exist is kept as it is said. OSError ELOOP for links without end.
    """
    pending = clean(path).split(b"/")[::-1] if clean(path) else []
    walked: list[bytes] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            del walked[-1:]
            continue
        here = b"/".join([*walked, part])
        found = view.find(here)
        follows = found is not None and stat.S_ISLNK(found.status.st_mode) and (last or pending)
        if found is None or not follows:
            walked.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
        target = os.readlink(found.name, dir_fd=found.directory)
        if target.startswith(b"/"):
            walked = []
        pending.extend(target.split(b"/")[::-1])
    return b"/".join(walked)
