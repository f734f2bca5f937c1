"""Making a file system in steps: fsopen(2), fsconfig(2), fsmount(2), all Linux 5.2.

Options are handed over one by one, so none can inject another and no page limits their length. The kernel's
own explanation of a failure is read from the context and becomes part of the error.
"""

from __future__ import annotations

import os

from lodge.kernel.syscalls import SYS_FSCONFIG, SYS_FSMOUNT, SYS_FSOPEN, SYS_FSPICK, syscall

__all__ = [
    "FSCONFIG_CMD_CREATE",
    "FSCONFIG_CMD_RECONFIGURE",
    "FSCONFIG_SET_BINARY",
    "FSCONFIG_SET_FD",
    "FSCONFIG_SET_FLAG",
    "FSCONFIG_SET_PATH",
    "FSCONFIG_SET_STRING",
    "FSMOUNT_CLOEXEC",
    "FSOPEN_CLOEXEC",
    "fsconfig_create",
    "fsconfig_fd",
    "fsconfig_flag",
    "fsconfig_reconfigure",
    "fsconfig_string",
    "fsmount",
    "fsopen",
    "fspick",
]

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_SET_BINARY = 2
FSCONFIG_SET_PATH = 3
FSCONFIG_SET_FD = 5
FSCONFIG_CMD_CREATE = 6
FSCONFIG_CMD_RECONFIGURE = 7


def fsopen(fstype: str, flags: int = FSOPEN_CLOEXEC) -> int:
    """fsopen(2): a new context for a file system of this type; ENODEV when the kernel does not know it."""
    return syscall(SYS_FSOPEN, os.fsencode(fstype), flags, path=fstype)


def fspick(dirfd: int, path: str, flags: int) -> int:
    """fspick(2): a context for the file system that is mounted at `path`, to reconfigure it."""
    return syscall(SYS_FSPICK, dirfd, os.fsencode(path), flags, path=path)


def fsconfig_flag(context: int, key: str) -> None:
    """Set an option that has no value."""
    _fsconfig(context, FSCONFIG_SET_FLAG, key, None, 0)


def fsconfig_string(context: int, key: str, value: str) -> None:
    """Set an option to a text."""
    _fsconfig(context, FSCONFIG_SET_STRING, key, os.fsencode(value), 0)


def fsconfig_fd(context: int, key: str, fd: int) -> None:
    """Set an option to an open file."""
    _fsconfig(context, FSCONFIG_SET_FD, key, None, fd)


def fsconfig_create(context: int) -> None:
    """Make the file system from what has been set."""
    _fsconfig(context, FSCONFIG_CMD_CREATE, None, None, 0)


def fsconfig_reconfigure(context: int) -> None:
    """Apply what has been set to the existing file system (of `fspick`)."""
    _fsconfig(context, FSCONFIG_CMD_RECONFIGURE, None, None, 0)


def fsmount(context: int, flags: int = FSMOUNT_CLOEXEC, attributes: int = 0) -> int:
    """fsmount(2): a detached mount (MOUNT_ATTR_* `attributes`) of the file system that was created."""
    try:
        return syscall(SYS_FSMOUNT, context, flags, attributes)
    except OSError as error:
        raise _explained(error, context, None) from None


def _fsconfig(context: int, command: int, key: str | None, value: bytes | None, aux: int) -> None:
    name = None if key is None else os.fsencode(key)
    try:
        syscall(SYS_FSCONFIG, context, command, name, value, aux)
    except OSError as error:
        raise _explained(error, context, key) from None


def _explained(error: OSError, context: int, key: str | None) -> OSError:
    """Add the messages that the kernel left in the context ("e overlay: ...") to its error."""
    messages: list[str] = []
    try:
        while line := os.read(context, 4096):
            messages.append(line.decode(errors="replace").strip()[2:])
    except OSError:
        pass  # ENODATA: no more messages
    text = "; ".join([error.strerror or "", *messages])
    return OSError(error.errno, text) if key is None else OSError(error.errno, text, key)
