"""A machine for the few eBPF instructions of device programs: what one answers, without a kernel."""

import struct

KINDS = {"b": 1, "c": 2}
ACCESS = {"m": 1, "r": 2, "w": 4}
_LOW = (1 << 32) - 1


def allows(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """Whether the program lets this access to a device pass."""
    wanted = sum(ACCESS[letter] for letter in access)
    context = struct.pack("=III", wanted << 16 | KINDS[kind], major, minor)
    registers: dict[int, int] = {}
    pointer = {1}  # registers that hold the context
    code = list(struct.iter_unpack("=BBhi", program))
    counter = 0
    while True:
        operation, pair, offset, value = code[counter]
        target, source = pair & 15, pair >> 4
        counter += 1
        if operation == 0x61:
            assert source in pointer, "loads from something that is not the context"
            (registers[target],) = struct.unpack_from("=I", context, offset)
        elif operation == 0x54:
            registers[target] &= value & _LOW
        elif operation == 0x74:
            registers[target] = (registers[target] & _LOW) >> value
        elif operation == 0xBC:
            registers[target] = registers[source] & _LOW
            pointer.discard(target)
        elif operation == 0xB7:
            registers[target] = value
        elif operation in (0x55, 0x15):
            if (registers[target] == value) == (operation == 0x15):
                counter += offset
        elif operation == 0x5D:
            if registers[target] != registers[source]:
                counter += offset
        elif operation == 0x95:
            return bool(registers[0])
        else:
            raise AssertionError(f"unexpected instruction {operation:#x}")
