"""Namespaces: unshare(2), setns(2), clone3(2), their names, their files, id maps and clock offsets.

`clone3` is a whole fork of the Python process; the rest are short wrappers. Sources: namespaces(7),
user_namespaces(7), time_namespaces(7), <linux/sched.h>.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Mapping

from lodge.kernel.syscalls import SYS_CLONE3, SYS_SETNS, SYS_UNSHARE, raise_errno, syscall
from lodge.spec.runtime import IdMapping, TimeOffset

CLONE_NEWTIME = 0x80
CLONE_CHILD_CLEARTID = 0x200000
CLONE_CHILD_SETTID = 0x1000000
CLONE_PIDFD = 0x1000
CLONE_PARENT = 0x8000
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

# The OCI runtime-spec's word: (flag, file in /proc/<pid>/ns)
NAMESPACES = {
    "user": (CLONE_NEWUSER, "user"),
    "mount": (CLONE_NEWNS, "mnt"),
    "pid": (CLONE_NEWPID, "pid"),
    "ipc": (CLONE_NEWIPC, "ipc"),
    "uts": (CLONE_NEWUTS, "uts"),
    "network": (CLONE_NEWNET, "net"),
    "cgroup": (CLONE_NEWCGROUP, "cgroup"),
    "time": (CLONE_NEWTIME, "time"),
}

# CLOCK_MONOTONIC and CLOCK_BOOTTIME are the two clocks that a time namespace can shift.
_CLOCKS = {"monotonic": 1, "boottime": 7}

_PR_GET_TID_ADDRESS = 40


class _CloneArgs(ctypes.Structure):
    """struct clone_args."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    )


# PyDLL, not CDLL: the interpreter lock stays held over the call, as it does in os.fork.
_held = ctypes.PyDLL(None, use_errno=True)
_held.syscall.restype = ctypes.c_long
_before_fork = ctypes.pythonapi.PyOS_BeforeFork
_after_fork_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
_after_fork_child = ctypes.pythonapi.PyOS_AfterFork_Child
for _hook in (_before_fork, _after_fork_parent, _after_fork_child):
    _hook.restype = None


def _find_tid_address() -> int:
    """Where libc keeps this thread's id, 0 when the kernel can't tell (CONFIG_CHECKPOINT_RESTORE)."""
    address = ctypes.c_void_p()
    if _held.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) != 0:
        return 0
    return address.value or 0


def clone3(
    flags: int,
    *,
    exit_signal: int = signal.SIGCHLD,
    cgroup_fd: int | None = None,
    set_tid: Iterable[int] = (),
) -> tuple[int, int]:
    """Fork into new namespaces: clone3(2), Linux 5.3. Returns (pid, pidfd), in the child (0, -1).

    The child is a full Python fork: the interpreter's before and after hooks run on both sides. `cgroup_fd`
    (a directory of cgroup v2, Linux 5.7) is where the child is born; `set_tid` (Linux 5.5) are pids wished
    for, innermost namespace first. Flags that share memory or the file table are not for here.
    """
    # SAFETY: a fork of a process with several threads can deadlock in the child: only single-threaded
    # processes (the fork server, monitors, inits, workers) may call this.
    pidfd = ctypes.c_int(-1)
    tids = (ctypes.c_int * 32)(*set_tid)
    wished = len([tid for tid in tids if tid])
    args = _CloneArgs(flags=flags | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=exit_signal)
    if tid_address := _find_tid_address():
        # libc's fork does the same: the thread descriptor in the child must not keep the parent's id.
        args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
        args.child_tid = tid_address
    if wished:
        args.set_tid, args.set_tid_size = ctypes.addressof(tids), wished
    if cgroup_fd is not None:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup_fd
    _before_fork()
    result: int = _held.syscall(ctypes.c_long(SYS_CLONE3), ctypes.byref(args), ctypes.sizeof(args))
    if result == 0:
        _after_fork_child()
        return 0, -1
    error = ctypes.get_errno()
    _after_fork_parent()
    if result == -1:
        ctypes.set_errno(error)
        raise_errno()
    return result, pidfd.value


def unshare(flags: int) -> None:
    """unshare(2): new namespaces for the caller (pid and time: for its next children)."""
    syscall(SYS_UNSHARE, flags)


def setns(fd: int, flags: int = 0) -> None:
    """setns(2): join the namespace of a file from /proc/<pid>/ns, or (Linux 5.8) those `flags` of a pidfd."""
    syscall(SYS_SETNS, fd, flags)


def namespace_path(pid: int | str, name: str) -> str:
    """The file of a process's namespace; `name` is the OCI runtime-spec's word ("mount", "network", ...)."""
    return f"/proc/{pid}/ns/{NAMESPACES[name][1]}"


def open_namespace(pid: int | str, name: str) -> int:
    """Open a process's namespace, close-on-exec; while the fd is open the namespace lives."""
    return os.open(namespace_path(pid, name), os.O_RDONLY | os.O_CLOEXEC)


def namespace_id(pid: int | str, name: str) -> int:
    """The inode number by which two processes can be seen to share a namespace."""
    return os.stat(namespace_path(pid, name)).st_ino


def write_id_maps(pid: int, uid_map: Iterable[IdMapping], gid_map: Iterable[IdMapping]) -> None:
    """Write the maps of a new user namespace, once, from its parent namespace: user_namespaces(7).

    setgroups(2) stays allowed, which takes CAP_SETGID here; EPERM else, or when the ranges are not ours.
    """
    _write(f"/proc/{pid}/uid_map", format_id_map(uid_map))
    _write(f"/proc/{pid}/gid_map", format_id_map(gid_map))


def deny_setgroups(pid: int) -> None:
    """Give up setgroups(2) in a user namespace, which lets an unprivileged process write its own gid_map."""
    _write(f"/proc/{pid}/setgroups", b"deny")


def format_id_map(mappings: Iterable[IdMapping]) -> bytes:
    """The text of a uid_map or gid_map, at most 340 lines (Linux 4.15)."""
    return b"".join(b"%d %d %d\n" % (m.container_id, m.host_id, m.size) for m in mappings)


def write_time_offsets(offsets: Mapping[str, TimeOffset], pid: int | str = "self") -> None:
    """Shift the clocks of the time namespace for children, before the first is born: time_namespaces(7)."""
    lines = (b"%d %d %d\n" % (_CLOCKS[clock], o.secs, o.nanosecs) for clock, o in offsets.items())
    _write(f"/proc/{pid}/timens_offsets", b"".join(lines))


def _write(path: str, text: bytes) -> None:
    """One write(2), as these files demand."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(fd)
