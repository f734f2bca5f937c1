"""prctl(2), personality(2), ids and host names: what a process is, set by itself.

Ids are set by raw system calls, for the calling thread only and without libc's broadcast to other threads.
Scheduling lives in `scheduling`, capabilities in `kernel.capabilities`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Sequence

from lodge.kernel.syscalls import (
    SYS_KEYCTL,
    SYS_PERSONALITY,
    SYS_RT_SIGACTION,
    SYS_SETGROUPS,
    SYS_SETRESGID,
    SYS_SETRESUID,
    check,
    libc,
    syscall,
)

__all__ = [
    "PERSONALITIES",
    "join_session_keyring",
    "personality",
    "prctl",
    "reset_reserved_signals",
    "set_child_subreaper",
    "set_dumpable",
    "set_keepcaps",
    "set_name",
    "set_no_new_privs",
    "set_pdeathsig",
    "setdomainname",
    "setgroups",
    "sethostname",
    "setresgid",
    "setresuid",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_KEYCTL_JOIN_SESSION_KEYRING = 1

# The OCI runtime-spec's domains, and the flags of <sys/personality.h>.
PERSONALITIES = {
    "LINUX": 0x0,
    "LINUX32": 0x8,
    "UNAME26": 0x0020000,
    "ADDR_NO_RANDOMIZE": 0x0040000,
    "FDPIC_FUNCPTRS": 0x0080000,
    "MMAP_PAGE_ZERO": 0x0100000,
    "ADDR_COMPAT_LAYOUT": 0x0200000,
    "READ_IMPLIES_EXEC": 0x0400000,
    "ADDR_LIMIT_32BIT": 0x0800000,
    "SHORT_INODE": 0x1000000,
    "WHOLE_SECONDS": 0x2000000,
    "STICKY_TIMEOUTS": 0x4000000,
    "ADDR_LIMIT_3GB": 0x8000000,
}

libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4

# struct sigaction of the kernel, all zero: SIG_DFL, no flags, an empty mask.
_DEFAULT_ACTION = ctypes.create_string_buffer(32)


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """prctl(2)."""
    return check(libc.prctl(option, arg2, arg3, arg4, arg5))


def set_no_new_privs() -> None:
    """From now on execve(2) grants nothing: no set-user-id, no file capabilities."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable(dumpable: bool) -> None:
    """Whether others with the same uid may trace this process and open its files under /proc."""
    prctl(_PR_SET_DUMPABLE, int(dumpable))


def set_pdeathsig(number: int) -> None:
    """Get a signal when the parent thread dies; one that died before is not noticed: check getppid."""
    prctl(_PR_SET_PDEATHSIG, number)


def set_child_subreaper(reaper: bool) -> None:
    """Whether orphaned descendants become children of this process."""
    prctl(_PR_SET_CHILD_SUBREAPER, int(reaper))


def set_keepcaps(keep: bool) -> None:
    """Whether permitted capabilities survive the change from uid 0 to another; execve clears this."""
    prctl(_PR_SET_KEEPCAPS, int(keep))


def set_name(name: str) -> None:
    """The name in ps, cut to 15 bytes."""
    text = ctypes.create_string_buffer(os.fsencode(name)[:15])
    prctl(_PR_SET_NAME, ctypes.addressof(text))


def personality(domain: str, flags: Iterable[str] = ()) -> None:
    """personality(2) by the OCI runtime-spec's words; ValueError for one that is not in PERSONALITIES."""
    value = 0
    for word in (domain, *flags):
        if word not in PERSONALITIES:
            raise ValueError(f"unknown personality {word!r}")
        value |= PERSONALITIES[word]
    syscall(SYS_PERSONALITY, value)


def setresuid(real: int, effective: int, saved: int) -> None:
    """setresuid(2) of this thread."""
    # SAFETY: raw, so other threads keep their ids: only for single-threaded processes.
    syscall(SYS_SETRESUID, real, effective, saved)


def setresgid(real: int, effective: int, saved: int) -> None:
    """setresgid(2) of this thread."""
    # SAFETY: raw, so other threads keep their ids: only for single-threaded processes.
    syscall(SYS_SETRESGID, real, effective, saved)


def setgroups(groups: Sequence[int]) -> None:
    """setgroups(2) of this thread."""
    # SAFETY: raw, so other threads keep their groups: only for single-threaded processes.
    syscall(SYS_SETGROUPS, len(groups), (ctypes.c_uint32 * len(groups))(*groups))


def reset_reserved_signals() -> None:
    """Default actions for signals 32 and 33, which glibc keeps for itself and hides from sigaction(3).

    Its posix_spawn(3) leaves them ignored in children, so all that `make` starts inherits that.
    """
    for number in (32, 33):
        # The size of the kernel's signal set is 8 bytes.
        syscall(SYS_RT_SIGACTION, number, _DEFAULT_ACTION, None, 8)


def sethostname(name: str) -> None:
    """sethostname(2), at most 64 bytes."""
    text = os.fsencode(name)
    check(libc.sethostname(text, ctypes.c_size_t(len(text))))


def setdomainname(name: str) -> None:
    """setdomainname(2), at most 64 bytes."""
    text = os.fsencode(name)
    check(libc.setdomainname(text, ctypes.c_size_t(len(text))))


def join_session_keyring(name: str) -> int:
    """keyctl(2): a session keyring of one's own, so that the host's keys are out of reach; its serial."""
    return syscall(SYS_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, os.fsencode(name))
