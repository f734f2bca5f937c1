"""Where a machine's processes are locked up: what each may see and do, given up for good before they begin.

    hypervisor    a user of its own, no capability; sees its program and libraries, read-only; no network
    porter        that user, no capability; sees nothing; may read, write and wait
    file server   root's rights over files, nothing else; sees nothing but what it holds open

All of them are born in new mount, pid, network, ipc and uts namespaces (`NAMESPACES`). The calls here run in
the child, after which nothing is imported any more.
"""

from __future__ import annotations

import os
import resource
import stat
import zlib
from collections.abc import Callable, Sequence

from lodge.kernel import capabilities, seccomp
from lodge.kernel import mount as m
from lodge.kernel import namespaces as ns
from lodge.kernel.process import set_no_new_privs, setgroups, setresgid, setresuid
from lodge.spec.runtime import Seccomp, SeccompRule

NAMESPACES = ns.CLONE_NEWNS | ns.CLONE_NEWPID | ns.CLONE_NEWNET | ns.CLONE_NEWIPC | ns.CLONE_NEWUTS

# Users that nobody else has: above what adduser, systemd and subuid hand out.
_FIRST_USER = 0x50000000
_USERS = 1 << 20
_FILE_RIGHTS = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_MKNOD",
    # For attributes of the kind trusted.*, in which overlay keeps what it knows of a directory.
    "CAP_SYS_ADMIN",
)
_WAITING = [
    "brk", "close", "dup", "dup2", "dup3", "exit", "exit_group", "fcntl", "fstat", "futex", "getpid",
    "getrandom", "gettid", "lseek", "madvise", "mmap", "mprotect", "mremap", "munmap", "newfstatat", "poll",
    "ppoll", "read", "readv", "recvfrom", "recvmsg", "restart_syscall", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "sched_yield", "select", "pselect6", "sendmsg", "sendto", "sigaltstack", "write",
    "writev", "clock_gettime", "clock_nanosleep", "ioctl", "getppid", "kill", "prctl", "set_robust_list",
    "rseq",
]  # fmt: skip
_FILES = [
    "openat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "lchown", "fallocate",
    "fdatasync", "fsync", "ftruncate", "truncate", "getdents64", "getxattr", "lgetxattr", "fgetxattr",
    "listxattr", "llistxattr", "flistxattr", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
    "lremovexattr", "fremovexattr", "linkat", "link", "mkdirat", "mkdir", "mknodat", "mknod", "pread64",
    "pwrite64", "readlinkat", "readlink", "renameat2", "renameat", "rename", "statfs", "fstatfs", "statx",
    "stat", "lstat", "symlinkat", "symlink", "umask", "unlinkat", "unlink", "rmdir", "utimensat",
    "prlimit64", "setrlimit", "getrlimit", "open", "access", "faccessat", "faccessat2", "copy_file_range",
    "sendfile",
]  # fmt: skip


def user_of(identity: str) -> int:
    """The user id of a container's machine."""
    return _FIRST_USER + zlib.crc32(identity.encode()) % _USERS


def porter_filter() -> Seccomp:
    """The system calls of a process that only carries bytes."""
    return _only(_WAITING)


def server_filter() -> Seccomp:
    """The system calls of a process that only serves files."""
    return _only(_WAITING + _FILES)


def hypervisor_filter() -> Seccomp:
    """QEMU has a filter of its own; this one only lets it believe that it can punch holes.

    When a machine gives memory back, QEMU first punches a hole into the file behind it, then drops its own
    copy of the pages. The file is shared by all copies and sealed against that; the second step is the one
    that is wanted, and QEMU writes to no other file of which it could ask the same.
    """
    rule = SeccompRule(names=["fallocate"], action="SCMP_ACT_ERRNO", errno_ret=0)
    return Seccomp(default_action="SCMP_ACT_ALLOW", syscalls=[rule])


def _only(names: Sequence[str]) -> Seccomp:
    rule = SeccompRule(names=list(names), action="SCMP_ACT_ALLOW")
    return Seccomp(default_action="SCMP_ACT_ERRNO", default_errno_ret=1, syscalls=[rule])


class Hypervisor:
    """QEMU's cage.

    `place` is an empty directory, `program` its compiled filter, `devices` nodes that it needs, such as
    /dev/kvm. `network` is a namespace to live in, -1 for the empty one that it was born in.
    """

    def __init__(
        self,
        place: str,
        base: str,
        user: int,
        program: bytes,
        *,
        devices: Sequence[str] = (),
        network: int = -1,
    ) -> None:
        self._program = program
        self._network = network
        self._place = place
        self._base = base
        self._user = user
        self._devices = devices

    def enter(self) -> None:
        """In the child: what is left is /usr and what belongs to it, the base, a few devices.

        Its own /proc.
        """
        place = self._place
        if self._network >= 0:
            # Where its taps are, and where the host looks for the container's interfaces by its pid.
            ns.setns(self._network, ns.CLONE_NEWNET)
        _cover(place, "size=1m,mode=755")
        for path in ("/usr", "/lib", "/lib64", "/bin", "/opt"):
            _show_tree(path, place)
        for path in ("/etc/ld.so.cache", "/dev/null", "/dev/urandom"):
            _show_file(path, place)
        for path in self._devices:
            _give_device(path, place, self._user)
        os.mkdir(f"{place}/base")
        _bind(self._base, f"{place}/base")
        os.mkdir(f"{place}/proc")
        m.mount("proc", f"{place}/proc", "proc", m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC)
        _leave_for(place)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _become(self._user)
        seccomp.load(self._program)


class Porter:
    """The porter's cell; `program` is its compiled filter."""

    def __init__(self, place: str, user: int, program: bytes) -> None:
        self._place = place
        self._user = user
        self._program = program

    def enter(self) -> None:
        """In the child: an empty root, no rights, few calls."""
        _cover(self._place, "size=4k,mode=755")
        _leave_for(self._place)
        _become(self._user)
        seccomp.load(self._program)


class FileServer:
    """The file server's cell; `program` is its compiled filter."""

    def __init__(self, place: str, program: bytes) -> None:
        self._place = place
        self._program = program

    def enter(self) -> None:
        """In the child: an empty root with /proc for its own descriptors, rights over files only."""
        _cover(self._place, "size=16k,mode=755")
        os.mkdir(f"{self._place}/proc")
        m.mount("proc", f"{self._place}/proc", "proc", m.MS_NOSUID | m.MS_NODEV | m.MS_NOEXEC)
        _leave_for(self._place)
        rights = capabilities.mask(_FILE_RIGHTS)
        capabilities.drop_bounding(rights)
        capabilities.set_capabilities(rights, rights, 0)
        set_no_new_privs()
        seccomp.load(self._program)


def in_group(enter_group: Callable[[], None], enter_cell: Callable[[], None]) -> Callable[[], None]:
    """First the control group, for which the host's files are needed."""

    def enter() -> None:
        enter_group()
        enter_cell()

    return enter


def _cover(place: str, options: str) -> None:
    # SAFETY: in a mount namespace of this process's own, which the host does not see.
    m.mount(None, "/", None, m.MS_REC | m.MS_PRIVATE)
    m.mount("tmpfs", place, "tmpfs", m.MS_NOSUID | m.MS_NOEXEC, options)


def _leave_for(place: str) -> None:
    """Make the place the root, read-only, and let go of the host's files."""
    os.chdir(place)
    # SAFETY: as above; what was the root is detached at once.
    m.pivot_root(".", ".")
    m.umount2(".", m.MNT_DETACH)
    m.mount(None, "/", None, m.MS_REMOUNT | m.MS_BIND | m.MS_RDONLY | m.MS_NOSUID)
    os.chdir("/")


def _become(user: int) -> None:
    """Another user, for good and without any capability."""
    # SAFETY: irreversible, in a child that has one thread and one task.
    capabilities.drop_bounding(0)
    setgroups(())
    setresgid(user, user, user)
    setresuid(user, user, user)
    set_no_new_privs()


def _show_tree(path: str, place: str) -> None:
    """A directory, read-only; or the link that it is on a merged system."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(kind):
        os.symlink(os.readlink(path), place + path)
    else:
        os.mkdir(place + path)
        _bind(path, place + path)


def _give_device(path: str, place: str, user: int) -> None:
    """A node of its own for a device, where the host has one."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    os.mknod(place + path, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev)
    os.chown(place + path, user, user)


def _show_file(path: str, place: str) -> None:
    if not os.path.exists(path):
        return
    target = place + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    m.mount(path, target, None, m.MS_BIND)


def _bind(source: str, target: str) -> None:
    # SAFETY: as above.
    m.mount(source, target, None, m.MS_BIND)
    flags = m.MS_REMOUNT | m.MS_BIND | m.MS_RDONLY | m.MS_NOSUID | m.MS_NODEV
    m.mount(None, target, None, flags)
