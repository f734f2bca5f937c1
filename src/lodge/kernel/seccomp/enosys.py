"""The prologue of a filter: system calls newer than every one that the rules know get ENOSYS.

libseccomp skips names that it does not know, so such calls would get the default action, EPERM as a rule.
Programs take EPERM for a refusal and give up, but ENOSYS for an old kernel, and fall back. runc does the
same. The program is classic BPF; see seccomp(2) for struct seccomp_data, whose first words are number and
architecture.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Mapping

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _JUMP, _JEQ, _JGT, _JSET, _RETURN = 0x20, 0x05, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_REFUSED = 0x00050000 | errno.ENOSYS
_AUDIT_X86_64 = 0xC000003E
_X32_BIT = 1 << 30


def prologue(last: Mapping[int, int]) -> bytes:
    """Instructions to put before a filter.

    `last` has the highest known number for each AUDIT_ARCH_*; numbers of x32, which shares its architecture
    with x86_64, are told by bit 30 and come under the key AUDIT_ARCH_X86_64 | 1 << 32 (see `key`).
    """
    sections = {audit: _section(audit, last) for audit in sorted({name & 0xFFFFFFFF for name in last})}
    code = [_pack(_LOAD, 0, 0, _ARCHITECTURE)]
    remaining = sum(len(section) + 1 for section in sections.values())
    for audit, section in sections.items():
        code.append(_pack(_JEQ, 0, len(section), audit))
        remaining -= len(section) + 1
        code.extend(section[:-1])
        # The last instruction of a section jumps over all other sections into the filter.
        code.append(_pack(_JUMP, 0, 0, remaining))
    return b"".join(code)


def key(audit: int, x32: bool) -> int:
    """The key of `prologue` for an architecture."""
    return audit | (1 << 32 if x32 else 0)


def _section(audit: int, last: Mapping[int, int]) -> list[bytes]:
    """Load the number, compare, refuse or go on; the final jump is filled in by the caller."""
    end = [_pack(_RETURN, 0, 0, _REFUSED), _pack(_JUMP, 0, 0, 0)]
    highest, highest_x32 = last.get(audit), last.get(key(audit, True))
    load = _pack(_LOAD, 0, 0, _NUMBER)
    if audit != _AUDIT_X86_64:
        return [load, _pack(_JGT, 0, 1, highest or 0), *end]
    # Numbers of the other ABI, if it has no rules, are for the filter, which kills them.
    return [
        load,
        _pack(_JSET, 1, 0, _X32_BIT),
        _pack(_JGT, 1, 2, 0xFFFFFFFF if highest is None else highest),
        _pack(_JGT, 0, 1, 0xFFFFFFFF if highest_x32 is None else highest_x32),
        *end,
    ]


def _pack(code: int, jump_true: int, jump_false: int, value: int) -> bytes:
    return _INSTRUCTION.pack(code, jump_true, jump_false, value)
