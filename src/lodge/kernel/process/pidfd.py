"""pidfds: a process by a handle that can't come to mean another one. See pidfd_open(2)."""

from __future__ import annotations

from lodge.kernel.syscalls import SYS_PIDFD_GETFD, SYS_PIDFD_OPEN, SYS_PIDFD_SEND_SIGNAL, syscall

__all__ = ["pidfd_getfd", "pidfd_open", "pidfd_send_signal"]


def pidfd_open(pid: int, flags: int = 0) -> int:
    """pidfd_open(2), Linux 5.3; ESRCH when there is none such. Close-on-exec; readable when it has ended."""
    return syscall(SYS_PIDFD_OPEN, pid, flags)


def pidfd_send_signal(pidfd: int, number: int, flags: int = 0) -> None:
    """pidfd_send_signal(2), Linux 5.1; ESRCH when the process has ended and was waited for."""
    syscall(SYS_PIDFD_SEND_SIGNAL, pidfd, number, None, flags)


def pidfd_getfd(pidfd: int, fd: int) -> int:
    """pidfd_getfd(2), Linux 5.6: a copy of another process's file; takes the right to trace it."""
    return syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
