"""The keyhole: libc by ctypes, system calls by number, errors as OSError.

Every other module of this room calls the kernel through `libc` or `syscall`. Numbers exist for x86_64 and
aarch64 (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h); calls added since Linux
5.0 have one number on both.
"""

from __future__ import annotations

import ctypes
import os
from typing import NoReturn

MACHINE = os.uname().machine

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

# name: (x86_64, aarch64)
_NUMBERS = {
    "rt_sigaction": (13, 134),
    "capget": (125, 90),
    "capset": (126, 91),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setgroups": (116, 159),
    "set_mempolicy": (238, 237),
    "keyctl": (250, 219),
    "ioprio_set": (251, 30),
    "unshare": (272, 97),
    "setns": (308, 268),
    "sched_setattr": (314, 274),
    "seccomp": (317, 277),
    "bpf": (321, 280),
    "execveat": (322, 281),
    "pidfd_send_signal": (424, 424),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "pidfd_open": (434, 434),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
}
_COLUMNS = {"x86_64": 0, "aarch64": 1}


def _number(name: str) -> int:
    """The number of a call on this machine, -1 (which the kernel answers with ENOSYS) on an unknown one."""
    column = _COLUMNS.get(MACHINE)
    return -1 if column is None else _NUMBERS[name][column]


SYS_RT_SIGACTION = _number("rt_sigaction")
SYS_CAPGET = _number("capget")
SYS_CAPSET = _number("capset")
SYS_PERSONALITY = _number("personality")
SYS_PIVOT_ROOT = _number("pivot_root")
SYS_SETRESUID = _number("setresuid")
SYS_SETRESGID = _number("setresgid")
SYS_SETGROUPS = _number("setgroups")
SYS_SET_MEMPOLICY = _number("set_mempolicy")
SYS_KEYCTL = _number("keyctl")
SYS_IOPRIO_SET = _number("ioprio_set")
SYS_UNSHARE = _number("unshare")
SYS_SETNS = _number("setns")
SYS_SCHED_SETATTR = _number("sched_setattr")
SYS_SECCOMP = _number("seccomp")
SYS_BPF = _number("bpf")
SYS_EXECVEAT = _number("execveat")
SYS_PIDFD_SEND_SIGNAL = _number("pidfd_send_signal")
SYS_OPEN_TREE = _number("open_tree")
SYS_MOVE_MOUNT = _number("move_mount")
SYS_FSOPEN = _number("fsopen")
SYS_FSCONFIG = _number("fsconfig")
SYS_FSMOUNT = _number("fsmount")
SYS_FSPICK = _number("fspick")
SYS_PIDFD_OPEN = _number("pidfd_open")
SYS_CLONE3 = _number("clone3")
SYS_CLOSE_RANGE = _number("close_range")
SYS_OPENAT2 = _number("openat2")
SYS_PIDFD_GETFD = _number("pidfd_getfd")
SYS_MOUNT_SETATTR = _number("mount_setattr")


def raise_errno(path: str | None = None) -> NoReturn:
    """Raise what the last foreign call left in errno, with the path that it was about."""
    code = ctypes.get_errno()
    if path is None:
        raise OSError(code, os.strerror(code))
    raise OSError(code, os.strerror(code), path)


def syscall(number: int, *args: object, path: str | None = None) -> int:
    """Call the kernel by number: syscall(2).

    Integers are passed as 64 bits (negative or unsigned alike), bytes as a pointer to them, None as a null
    pointer, ctypes buffers and byref() as pointers. Returns the result; -1 becomes OSError with `path`.
    """
    # ctypes would pass a bare int as 32 bits, and the upper half of the register would be left to chance.
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result: int = libc.syscall(ctypes.c_long(number), *wide)
    if result == -1:
        raise_errno(path)
    return result


def check(result: int, path: str | None = None) -> int:
    """Pass on the result of a libc function, or raise OSError when it is -1."""
    if result == -1:
        raise_errno(path)
    return result
