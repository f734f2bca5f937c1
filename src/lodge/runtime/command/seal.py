"""Running from a file that nobody can write to: CVE-2019-5736.

A process of the container can open /proc/<pid>/exe of a runtime that enters it, and write to the host's file
once the runtime has ended. So this program runs its interpreter again from a read-only detached mount of it
(or, where mounts are not permitted, from a sealed copy in memory) before it makes or enters a container.
"""

from __future__ import annotations

import fcntl
import os
import sys

from lodge.errors import Internal
from lodge.kernel import mount as m
from lodge.kernel.process import execveat, sealed_memfd

_SELF = "/proc/self/exe"
_MARK = "_LODGE_RUNTIME_SEALED"


def ensure_sealed() -> None:
    """Return when the interpreter's file is out of reach; else run this command line from one that is."""
    fd = os.open(_SELF, os.O_RDONLY | os.O_CLOEXEC)
    sealed = bool(os.fstatvfs(fd).f_flag & os.ST_RDONLY) or _is_sealed_memory(fd)
    os.close(fd)
    if sealed:
        os.environ.pop(_MARK, None)
        return
    if os.environ.get(_MARK):
        raise Internal("the interpreter could not be sealed against the container")
    executable = _read_only_mount()
    if executable < 0:
        executable = _sealed_copy()
    environment = [f"{name}={value}" for name, value in os.environ.items()]
    execveat(executable, "", [sys.executable, *sys.orig_argv[1:]], [*environment, f"{_MARK}=1"])


def _is_sealed_memory(fd: int) -> bool:
    try:
        return bool(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE)
    except OSError:
        return False


def _read_only_mount() -> int:
    """-1 where the caller may not mount."""
    try:
        tree = m.open_tree(m.AT_FDCWD, os.path.realpath(_SELF), m.OPEN_TREE_CLONE | m.OPEN_TREE_CLOEXEC)
    except OSError:
        return -1
    try:
        m.mount_setattr(tree, "", m.AT_EMPTY_PATH, m.MOUNT_ATTR_RDONLY)
    except OSError:
        os.close(tree)
        return -1
    return tree


def _sealed_copy() -> int:
    with open(_SELF, "rb") as file:
        return sealed_memfd("lodge-runtime", file.read())
