"""sched_setattr(2) and ioprio_set(2) by the OCI runtime-spec's words."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from lodge.kernel.syscalls import SYS_IOPRIO_SET, SYS_SCHED_SETATTR, SYS_SET_MEMPOLICY, syscall

__all__ = [
    "IO_CLASSES",
    "MEMORY_POLICIES",
    "MEMORY_POLICY_FLAGS",
    "SCHED_FLAGS",
    "SCHED_POLICIES",
    "ioprio_set",
    "sched_setattr",
    "set_mempolicy",
]

SCHED_POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}

SCHED_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}

IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}

MEMORY_POLICIES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}

MEMORY_POLICY_FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}

_IOPRIO_WHO_PROCESS = 1
_IOPRIO_CLASS_SHIFT = 13


class _SchedAttr(ctypes.Structure):
    """struct sched_attr, first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("sched_policy", ctypes.c_uint32),
        ("sched_flags", ctypes.c_uint64),
        ("sched_nice", ctypes.c_int32),
        ("sched_priority", ctypes.c_uint32),
        ("sched_runtime", ctypes.c_uint64),
        ("sched_deadline", ctypes.c_uint64),
        ("sched_period", ctypes.c_uint64),
    )


def sched_setattr(
    policy: str,
    *,
    flags: Iterable[str] = (),
    nice: int = 0,
    priority: int = 0,
    runtime: int = 0,
    deadline: int = 0,
    period: int = 0,
    pid: int = 0,
) -> None:
    """sched_setattr(2): the scheduling of a thread (0: this one); times in nanoseconds.

    ValueError for an unknown word.
    """
    bits = _bits(flags, SCHED_FLAGS)
    if policy not in SCHED_POLICIES:
        raise ValueError(f"unknown scheduling policy {policy!r}")
    attr = _SchedAttr(0, SCHED_POLICIES[policy], bits, nice, priority, runtime, deadline, period)
    attr.size = ctypes.sizeof(attr)
    syscall(SYS_SCHED_SETATTR, pid, ctypes.byref(attr), 0)


def ioprio_set(io_class: str, priority: int, pid: int = 0) -> None:
    """ioprio_set(2) of a thread (0: this one); priority 0 (highest) to 7. ValueError for an unknown class."""
    if io_class not in IO_CLASSES:
        raise ValueError(f"unknown I/O priority class {io_class!r}")
    syscall(SYS_IOPRIO_SET, _IOPRIO_WHO_PROCESS, pid, IO_CLASSES[io_class] << _IOPRIO_CLASS_SHIFT | priority)


def set_mempolicy(mode: str, nodes: Iterable[int] = (), flags: Iterable[str] = ()) -> None:
    """set_mempolicy(2): where this thread's memory comes from, inherited by execve. ValueError as above."""
    if mode not in MEMORY_POLICIES:
        raise ValueError(f"unknown memory policy {mode!r}")
    value = MEMORY_POLICIES[mode] | _bits(flags, MEMORY_POLICY_FLAGS)
    mask = sum(1 << node for node in set(nodes))
    if not mask:
        syscall(SYS_SET_MEMPOLICY, value, None, 0)
        return
    words = mask.bit_length() // 64 + 1
    array = (ctypes.c_uint64 * words)(*(mask >> 64 * word & (1 << 64) - 1 for word in range(words)))
    syscall(SYS_SET_MEMPOLICY, value, array, words * 64)


def _bits(words: Iterable[str], table: dict[str, int]) -> int:
    bits = 0
    for word in words:
        if word not in table:
            raise ValueError(f"unknown flag {word!r}")
        bits |= table[word]
    return bits
