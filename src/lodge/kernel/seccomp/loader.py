"""Installing a program in the calling process: seccomp(2), without any library.

The caller is an init right before its exec, so nothing may be imported or looked up here.
"""

from __future__ import annotations

import ctypes

from lodge.kernel.syscalls import SYS_SECCOMP, syscall

_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def load(program: bytes, flags: int = 0) -> int | None:
    """Filter this thread from now on; returns the listener's fd when `flags` (words.flag_bits) ask for one.

    Takes CAP_SYS_ADMIN or no_new_privs (EACCES). With a listener, tell its fd to somebody by write(2) and
    have it fetched by pidfd_getfd(2): other calls may wait for the listener already.
    """
    # SAFETY: can't be undone; the process and all its children live under the filter until they end.
    code = ctypes.create_string_buffer(program, len(program))
    fprog = _Program(len(program) // 8, ctypes.addressof(code))
    result = syscall(SYS_SECCOMP, _SET_MODE_FILTER, flags, ctypes.byref(fprog))
    return result if flags & _NEW_LISTENER else None
