"""A machine for classic BPF as seccomp(2) uses it: what a filter answers."""

import struct
from collections.abc import Sequence

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
KILL_THREAD = 0
X86_64 = 0xC000003E
I386 = 0x40000003
AARCH64 = 0xC00000B7
X32_BIT = 1 << 30

_JUMPS = {
    0x15: lambda a, k: a == k,
    0x25: lambda a, k: a > k,
    0x35: lambda a, k: a >= k,
    0x45: lambda a, k: bool(a & k),
}


def answer(program: bytes, number: int, args: Sequence[int] = (), arch: int = X86_64) -> int:
    """The action that the program returns for a system call."""
    padded = [*args, *([0] * (6 - len(args)))]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(arg & (1 << 64) - 1 for arg in padded))
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = counter = 0
    while True:
        operation, jump_true, jump_false, k = code[counter]
        counter += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif operation == 0x05:
            counter += k
        elif operation == 0x54:
            accumulator &= k
        elif operation in _JUMPS:
            counter += jump_true if _JUMPS[operation](accumulator, k) else jump_false
        elif operation == 0x06:
            return int(k)
        else:
            raise AssertionError(f"unexpected instruction {operation:#x}")
