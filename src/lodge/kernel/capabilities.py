"""Capabilities of a thread: capabilities(7), capset(2), the bounding and the ambient set.

Sets are bit masks of the kernel's numbers; `mask` and `names` translate. Which capabilities a container gets
by default is not for here.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable
from functools import cache

from msgspec import Struct

from lodge.kernel.process.attributes import prctl
from lodge.kernel.syscalls import SYS_CAPGET, SYS_CAPSET, syscall

# In the kernel's order: the index is the number (<linux/capability.h>).
NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
NUMBERS = {name: number for number, name in enumerate(NAMES)}

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_IS_SET = 1
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_VERSION_3 = 0x20080522
_LOW = 0xFFFFFFFF


class Sets(Struct, frozen=True):
    """The five sets of a thread as bit masks."""

    effective: int
    permitted: int
    inheritable: int
    bounding: int
    ambient: int


class _Header(ctypes.Structure):
    """struct __user_cap_header_struct."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_Data = ctypes.c_uint32 * 6  # twice struct __user_cap_data_struct: effective, permitted, inheritable


def mask(names: Iterable[str]) -> int:
    """The bit mask of capability names (with the prefix CAP_); ValueError for an unknown one."""
    bits = 0
    for name in names:
        number = NUMBERS.get(name)
        if number is None:
            raise ValueError(f"unknown capability {name!r}")
        bits |= 1 << number
    return bits


def names(bits: int) -> list[str]:
    """The names in a bit mask, in the kernel's order; bits without a name here are left out."""
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


@cache
def last_cap() -> int:
    """The highest number that this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def known() -> list[str]:
    """The names that both this kernel and this table know."""
    return list(NAMES[: last_cap() + 1])


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) of this thread; EPERM when a bit was not permitted before."""
    header = _Header(_VERSION_3, 0)
    low = [effective & _LOW, permitted & _LOW, inheritable & _LOW]
    high = [effective >> 32, permitted >> 32, inheritable >> 32]
    syscall(SYS_CAPSET, ctypes.byref(header), _Data(*low, *high))


def drop_bounding(keep: int) -> None:
    """Drop from the bounding set all that is not in `keep`; takes CAP_SETPCAP.

    A capability that is out of the bounding set already costs nothing and needs no right.
    """
    # A kernel newer than NAMES may know more: ask it until it refuses. Not a file: /proc may be foreign.
    for number in range(64):
        if keep >> number & 1:
            continue
        try:
            prctl(_PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return
            if error.errno != errno.EPERM or prctl(_PR_CAPBSET_READ, number):
                raise


def set_ambient(bits: int) -> None:
    """Make the ambient set exactly this (Linux 4.3); each bit must be permitted and inheritable already."""
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(bits.bit_length()):
        if bits >> number & 1:
            prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)


def current() -> Sets:
    """The five sets of this thread."""
    header = _Header(_VERSION_3, 0)
    data = _Data()
    syscall(SYS_CAPGET, ctypes.byref(header), data)
    bounding = ambient = 0
    for number in range(last_cap() + 1):
        bounding |= prctl(_PR_CAPBSET_READ, number) << number
        ambient |= prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_IS_SET, number) << number
    effective, permitted, inheritable = (data[i] | data[i + 3] << 32 for i in range(3))
    return Sets(effective, permitted, inheritable, bounding, ambient)
