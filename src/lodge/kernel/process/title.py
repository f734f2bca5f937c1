"""The command line that ps and /proc/<pid>/cmdline show: the process's own memory, to be written over."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Sequence

from lodge.kernel.process.attributes import set_name

__all__ = ["set_title", "title_area"]

# proc_pid_stat(5): arg_start and arg_end are fields 48 and 49; the second, the name, may hold anything.
_ARG_START = 48 - 3


@functools.cache
def title_area() -> tuple[int, int]:
    """(address, size) of the command line, the same in all forks; (0, 0) where /proc doesn't tell.

    Ask once before /proc may be a container's: the answer is kept.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
    except (OSError, IndexError, ValueError):
        return 0, 0
    return start, max(0, end - start)


def set_title(arguments: Sequence[str]) -> None:
    """Show these as the command line, cut to the room that the first one took, and the first as the name."""
    start, size = title_area()
    text = b"\0".join(map(os.fsencode, arguments))
    if size:
        # SAFETY: the kernel laid out these bytes for the arguments; Python copied them at its start, the last
        # one stays the null byte that ends them.
        ctypes.memmove(start, text[: size - 1].ljust(size, b"\0"), size)
    set_name(os.path.basename(arguments[0]))
