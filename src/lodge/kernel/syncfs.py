"""Writing one file system to its disk."""

from __future__ import annotations

from lodge.kernel.syscalls import check, libc


def syncfs(fd: int) -> None:
    """syncfs(2), Linux 2.6.39: wait until all that was written to the file system of `fd` is on its disk."""
    check(libc.syncfs(fd))
