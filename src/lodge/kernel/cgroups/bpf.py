"""A device policy as a BPF program for control groups version 2: assembling, loading, replacing.

The program is of type BPF_PROG_TYPE_CGROUP_DEVICE: it gets struct bpf_cgroup_dev_ctx (access and type in
one word, major, minor) and answers 1 to allow. Each exception becomes a block of comparisons that falls
through to the next; the default comes last. Sources: bpf(2), <linux/bpf.h>, kernel/bpf/cgroup.c.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from lodge.kernel.cgroups.devices import DevicePolicy
from lodge.kernel.syscalls import SYS_BPF, syscall

_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_TYPE_CGROUP_DEVICE = 15
_ATTACH_CGROUP_DEVICE = 6
_F_ALLOW_MULTI, _F_REPLACE = 2, 4
_ACCESS = {"m": 1, "r": 2, "w": 4}
_KIND = {"b": 1, "c": 2}

_INSTRUCTION = struct.Struct("=BBhi")
_LDX_W, _ALU32_AND_K, _ALU32_RSH_K, _ALU32_MOV_X = 0x61, 0x54, 0x74, 0xBC
_MOV64_K, _JNE_K, _JNE_X, _JEQ_K, _EXIT = 0xB7, 0x55, 0x5D, 0x15, 0x95
# Registers: r1 the context, then r2 the kind, r3 the access, r4 major, r5 minor.
_MAX_PROGRAMS = 64


def assemble(policy: DevicePolicy) -> bytes:
    """The program as instructions of 8 bytes."""
    code = [
        _instruction(_LDX_W, 2, 1, 0, 0),
        _instruction(_ALU32_AND_K, 2, 0, 0, 0xFFFF),
        _instruction(_LDX_W, 3, 1, 0, 0),
        _instruction(_ALU32_RSH_K, 3, 0, 0, 16),
        _instruction(_LDX_W, 4, 1, 4, 0),
        _instruction(_LDX_W, 5, 1, 8, 0),
    ]
    for (kind, major, minor), access in policy.exceptions.items():
        code.extend(_block(kind, major, minor, access, policy.allow))
    code.append(_instruction(_MOV64_K, 0, 0, 0, int(policy.allow)))
    code.append(_instruction(_EXIT, 0, 0, 0, 0))
    return b"".join(code)


def _block(kind: str, major: int | None, minor: int | None, access: str, default: bool) -> list[bytes]:
    """One exception. Allowed only when all that is asked is in it, refused already when any is."""
    mask = sum(_ACCESS[letter] for letter in access)
    tests: list[tuple[int, int, int, int]] = [(_JNE_K, 2, 0, _KIND[kind])]
    body: list[bytes] = []
    if mask != 7:
        # r1 is free from here on only if nothing loads from the context again: all loads come first.
        body = [
            _instruction(_ALU32_MOV_X, 1, 3, 0, 0),
            _instruction(_ALU32_AND_K, 1, 0, 0, mask),
        ]
        tests.append((_JEQ_K, 1, 0, 0) if default else (_JNE_X, 1, 3, 0))
    if major is not None:
        tests.append((_JNE_K, 4, 0, major))
    if minor is not None:
        tests.append((_JNE_K, 5, 0, minor))
    # Every failed test jumps behind the two instructions that answer.
    lines: list[bytes] = []
    total = len(tests) + len(body) + 2
    for number, (opcode, target, source, value) in enumerate(tests):
        if number == 1:
            lines.extend(body)
        offset = total - len(lines) - 1
        lines.append(_instruction(opcode, target, source, offset, value))
    if len(tests) == 1:
        lines.extend(body)
    lines.append(_instruction(_MOV64_K, 0, 0, 0, int(not default)))
    lines.append(_instruction(_EXIT, 0, 0, 0, 0))
    return lines


def _instruction(opcode: int, target: int, source: int, offset: int, value: int) -> bytes:
    signed = value - (1 << 32) if value >= 1 << 31 else value
    return _INSTRUCTION.pack(opcode, source << 4 | target, offset, signed)


def load(program: bytes) -> int:
    """Have the kernel verify a program; returns its file descriptor. EACCES or EINVAL when it is refused."""
    code = ctypes.create_string_buffer(program, len(program))
    license_ = ctypes.create_string_buffer(b"Apache-2.0")
    # union bpf_attr for BPF_PROG_LOAD: type, instructions, pointers, no log, then the name at offset 48
    attr = struct.pack(
        "=IIQQIIQII16s",
        _TYPE_CGROUP_DEVICE,
        len(program) // 8,
        ctypes.addressof(code),
        ctypes.addressof(license_),
        0,
        0,
        0,
        0,
        0,
        b"lodge_devices",
    )
    return _bpf(_PROG_LOAD, attr)


def attached(directory_fd: int) -> list[int]:
    """The ids of device programs that are attached to a group itself."""
    ids = (ctypes.c_uint32 * _MAX_PROGRAMS)()
    attr = bytearray(
        struct.pack("=IIIIQII", directory_fd, _ATTACH_CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), 0, 0)
    )
    struct.pack_into("=I", attr, 24, _MAX_PROGRAMS)
    answer = ctypes.create_string_buffer(bytes(attr), len(attr))
    syscall(SYS_BPF, _PROG_QUERY, answer, len(attr))
    (count,) = struct.unpack_from("=I", answer.raw, 24)
    return list(ids[:count])


def replace(directory: str, policy: DevicePolicy) -> None:
    """Make a policy the only one attached to a group, without a moment of no policy.

    One program that is there is replaced by the kernel in one step (Linux 5.6). Several are from somebody
    else or an old kernel: ours is attached first, for all must agree to allow, then the others go.
    """
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        program = load(assemble(policy))
        try:
            _attach(directory_fd, program)
        finally:
            os.close(program)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (device program)", directory) from None
    finally:
        os.close(directory_fd)


def _attach(directory_fd: int, program: int) -> None:
    old = [_bpf(_PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0)) for number in attached(directory_fd)]
    try:
        if len(old) == 1:
            try:
                _bpf(_PROG_ATTACH, _attachment(directory_fd, program, _F_ALLOW_MULTI | _F_REPLACE, old[0]))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            else:
                return
        _bpf(_PROG_ATTACH, _attachment(directory_fd, program, _F_ALLOW_MULTI, 0))
        for fd in old:
            _bpf(_PROG_DETACH, _attachment(directory_fd, fd, 0, 0))
    finally:
        for fd in old:
            os.close(fd)


def _attachment(directory_fd: int, program: int, flags: int, replaced: int) -> bytes:
    return struct.pack("=IIIII", directory_fd, program, _ATTACH_CGROUP_DEVICE, flags, replaced)


def _bpf(command: int, attr: bytes) -> int:
    return syscall(SYS_BPF, command, ctypes.create_string_buffer(attr, len(attr)), len(attr))
