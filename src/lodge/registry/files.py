"""How the registry writes: to a temporary name, synced, then renamed or linked.

After a crash a thing is whole or absent. Touches only paths that it is given.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from lodge.errors import Exhausted

_BALLAST = 1 << 20


@contextmanager
def full_disk_is_exhausted() -> Iterator[None]:
    """Turn "no space" and "quota exceeded" into Exhausted; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Exhausted("no space left on the registry's disk") from error


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: str, data: bytes) -> None:
    """Put `data` at `path`, atomically and durably. Without space the old file stays (Exhausted)."""
    temporary = f"{path}.{secrets.token_hex(4)}.new"
    with full_disk_is_exhausted():
        try:
            write_synced(temporary, data)
            os.rename(temporary, path)
        except BaseException:
            remove(temporary)
            raise
        sync_directory(os.path.dirname(path))


class Ballast:
    """Space put by for the moment when the disk is full: to remove something, something must be written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.fill()

    def fill(self) -> None:
        """Put the space by again, if there is any."""
        if os.path.exists(self._path):
            return
        try:
            write_synced(f"{self._path}.new", bytes(_BALLAST))
            os.rename(f"{self._path}.new", self._path)
        except Exhausted:
            remove(f"{self._path}.new")

    def replace(self, path: str, data: bytes) -> None:
        """`replace`, with the space that was put by if need be."""
        try:
            replace(path, data)
        except Exhausted:
            remove(self._path)
            replace(path, data)
        self.fill()


def write_synced(path: str, data: bytes) -> None:
    """Write a file whose name nobody looks at yet. Raises Exhausted."""
    with full_disk_is_exhausted():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)


def remove(path: str) -> bool:
    """Remove a file; False when there was none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def link(source: str, target: str) -> None:
    """Give a file a second name; a name that is there already is kept. Raises FileNotFoundError.

    A file that can have no more names (EMLINK) is copied.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        temporary = f"{target}.{secrets.token_hex(4)}.new"
        with full_disk_is_exhausted():
            try:
                shutil.copyfile(source, temporary)
                os.rename(temporary, target)
            except BaseException:
                remove(temporary)
                raise
