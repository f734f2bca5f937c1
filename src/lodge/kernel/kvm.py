"""Whether KVM works here, found out by running a few instructions on it: /dev/kvm may be there and hang.

The call blocks for as long as the kernel does: run it in a process of its own, with a time limit. Source: the
kernel's Documentation/virt/kvm/api.rst. x86_64 only.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct

from lodge.kernel.syscalls import MACHINE

_GET_API_VERSION = 0xAE00
_CREATE_VM = 0xAE01
_GET_VCPU_MMAP_SIZE = 0xAE04
_CREATE_VCPU = 0xAE41
_RUN = 0xAE80
_SET_REGS = 0x4090AE82
_GET_SREGS = 0x8138AE83
_SET_SREGS = 0x4138AE84
_SET_USER_MEMORY_REGION = 0x4020AE46
_EXIT_HLT = 5
_PAGE = 4096
_AT = 0x1000
# mov cx, 1000; again: loop again; hlt
_CODE = b"\xb9\xe8\x03\xe2\xfe\xf4"


def run_a_guest() -> None:
    """Run a loop and a halt in a virtual machine; OSError says which step failed."""
    if MACHINE != "x86_64":
        raise OSError(f"no guest instructions are known for {MACHINE}")
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    if fcntl.ioctl(kvm, _GET_API_VERSION) != 12:
        raise OSError("the API of /dev/kvm is not version 12")
    machine = fcntl.ioctl(kvm, _CREATE_VM, 0)
    memory = mmap.mmap(-1, _PAGE)
    memory[: len(_CODE)] = _CODE
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fcntl.ioctl(machine, _SET_USER_MEMORY_REGION, struct.pack("<IIQQQ", 0, 0, _AT, _PAGE, address))
    processor = fcntl.ioctl(machine, _CREATE_VCPU, 0)
    run = mmap.mmap(processor, fcntl.ioctl(kvm, _GET_VCPU_MMAP_SIZE))
    special = bytearray(312)
    fcntl.ioctl(processor, _GET_SREGS, special)
    # The code segment begins at 0: struct kvm_segment is base (8), limit (4), selector (2), ...
    special[0:8] = bytes(8)
    special[12:14] = bytes(2)
    fcntl.ioctl(processor, _SET_SREGS, bytes(special))
    # rax ... r15, then rip and rflags.
    fcntl.ioctl(processor, _SET_REGS, struct.pack("<18Q", *[0] * 16, _AT, 2))
    fcntl.ioctl(processor, _RUN, 0)
    [reason] = struct.unpack_from("<I", run, 8)
    if reason != _EXIT_HLT:
        raise OSError(f"the guest ended for reason {reason} instead of its halt")
