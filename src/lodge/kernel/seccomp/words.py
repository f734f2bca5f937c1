"""The OCI runtime-spec's spellings of actions, comparisons, architectures and flags, as numbers.

Sources: runtime-spec config-linux.md ("Seccomp"), <linux/seccomp.h>, <linux/audit.h>, <seccomp.h>.
"""

from __future__ import annotations

import errno

from lodge.errors import InvalidArgument
from lodge.spec.runtime import Seccomp

ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_ERRNO = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")

# A tracer or a log sees calls that no rule names, and can deal with new ones itself.
PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")

OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}

# libseccomp's name of an architecture, and the number by which the kernel tells it (AUDIT_ARCH_*).
ARCHITECTURES = {
    "SCMP_ARCH_X86": ("x86", 0x40000003),
    "SCMP_ARCH_X86_64": ("x86_64", 0xC000003E),
    "SCMP_ARCH_X32": ("x32", 0xC000003E),
    "SCMP_ARCH_ARM": ("arm", 0x40000028),
    "SCMP_ARCH_AARCH64": ("aarch64", 0xC00000B7),
    "SCMP_ARCH_MIPS": ("mips", 0x00000008),
    "SCMP_ARCH_MIPS64": ("mips64", 0x80000008),
    "SCMP_ARCH_MIPS64N32": ("mips64n32", 0xA0000008),
    "SCMP_ARCH_MIPSEL": ("mipsel", 0x40000008),
    "SCMP_ARCH_MIPSEL64": ("mipsel64", 0xC0000008),
    "SCMP_ARCH_MIPSEL64N32": ("mipsel64n32", 0xE0000008),
    "SCMP_ARCH_PPC": ("ppc", 0x00000014),
    "SCMP_ARCH_PPC64": ("ppc64", 0x80000015),
    "SCMP_ARCH_PPC64LE": ("ppc64le", 0xC0000015),
    "SCMP_ARCH_S390": ("s390", 0x00000016),
    "SCMP_ARCH_S390X": ("s390x", 0x80000016),
    "SCMP_ARCH_RISCV64": ("riscv64", 0xC00000F3),
    "SCMP_ARCH_LOONGARCH64": ("loongarch64", 0xC0000102),
}

NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}

_NEW_LISTENER = 1 << 3
# Filters are loaded into single-threaded processes, so there is nothing for TSYNC to do.
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
}


def action(name: str, errno_ret: int | None) -> int:
    """The filter's return value for an action; EPERM where one is needed and none given."""
    if name not in ACTIONS:
        raise InvalidArgument(f"unknown seccomp action {name!r}")
    if name not in _WITH_ERRNO:
        return ACTIONS[name]
    return ACTIONS[name] | (errno.EPERM if errno_ret is None else errno_ret) & 0xFFFF


def flag_bits(profile: Seccomp) -> int:
    """What seccomp(2) takes as flags for this profile, with the listener that a NOTIFY rule needs."""
    bits = 0
    for flag in profile.flags:
        if flag not in FLAGS:
            raise InvalidArgument(f"unknown seccomp flag {flag!r}")
        bits |= FLAGS[flag]
    if any(rule.action == "SCMP_ACT_NOTIFY" for rule in profile.syscalls):
        bits |= _NEW_LISTENER
    return bits
