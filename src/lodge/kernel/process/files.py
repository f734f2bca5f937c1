"""File descriptors around execve(2): closing ranges, running an open file, sealed memory files."""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Sequence
from typing import NoReturn

from lodge.kernel.syscalls import SYS_CLOSE_RANGE, SYS_EXECVEAT, syscall

__all__ = [
    "CLOSE_RANGE_CLOEXEC",
    "CLOSE_RANGE_MAX",
    "CLOSE_RANGE_UNSHARE",
    "close_range",
    "execveat",
    "sealed_memfd",
]

CLOSE_RANGE_UNSHARE = 2
CLOSE_RANGE_CLOEXEC = 4
CLOSE_RANGE_MAX = 0xFFFFFFFF

_AT_EMPTY_PATH = 0x1000


def close_range(first: int, last: int = CLOSE_RANGE_MAX, flags: int = 0) -> None:
    """close_range(2), Linux 5.9: close the fds first..last, or (Linux 5.11, CLOEXEC) only mark them."""
    # SAFETY: closes what others may still hold by number: right before an exec or in a fresh fork.
    syscall(SYS_CLOSE_RANGE, first, last, flags)


def execveat(dirfd: int, path: str, args: Sequence[str], env: Sequence[str], flags: int = 0) -> NoReturn:
    """execveat(2); with an empty path the file that `dirfd` is. `env` are texts NAME=value."""
    if not path:
        flags |= _AT_EMPTY_PATH
    syscall(SYS_EXECVEAT, dirfd, os.fsencode(path), _vector(args), _vector(env), flags, path=path or None)
    raise AssertionError("execveat returned")


def _vector(texts: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    """A null-terminated array of pointers, which keeps its texts alive."""
    return (ctypes.c_char_p * (len(texts) + 1))(*(os.fsencode(text) for text in texts), None)


def sealed_memfd(name: str, content: bytes) -> int:
    """A file in memory that nobody can change any more: memfd_create(2) with all seals, at its start."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd
