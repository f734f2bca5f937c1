"""An ACPI table that tells a guest of virtio-mmio slots which are empty when it boots.

QEMU's own table names only the slots that are in use at its start. A machine that is frozen with few devices
and copied with more needs the others named too: the guest binds its driver to a slot once something is in
it. The kernel takes the table from the first archive of its initramfs (CONFIG_ACPI_TABLE_UPGRADE).

Pure. Source: ACPI 6.4, 5.2.6 (table header), 6.4 (resource descriptors), 20.2 (AML).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from msgspec import Struct

_SCOPE, _NAME, _BYTE, _DWORD, _STRING, _BUFFER = 0x10, 0x08, 0x0A, 0x0C, 0x0D, 0x11
_DEVICE = b"\x5b\x82"
_SIZE = 512


class Slot(Struct, frozen=True):
    """A place for a virtio device: its number, the address of its registers, its interrupt."""

    number: int
    address: int
    interrupt: int


def table(slots: Iterable[Slot]) -> bytes:
    """An SSDT with one device a slot."""
    body = _package(bytes([_SCOPE]), b"\\_SB_" + b"".join(_device(slot) for slot in slots))
    header = struct.pack(
        "<4sIBB6s8sI4sI", b"SSDT", 36 + len(body), 2, 0, b"LODGE ", b"SLOTS   ", 1, b"LDGE", 1
    )
    whole = bytearray(header + body)
    whole[9] = -sum(whole) % 256
    return bytes(whole)


def _device(slot: Slot) -> bytes:
    name = f"LS{slot.number:02d}".encode()
    resources = (
        struct.pack("<BHBII", 0x86, 9, 1, slot.address, _SIZE)
        # Consumer, edge triggered, active high, as QEMU describes its own.
        + struct.pack("<BHBBI", 0x89, 6, 0x03, 1, slot.interrupt)
        + b"\x79\x00"
    )
    return _package(
        _DEVICE,
        name
        + _named(b"_HID", bytes([_STRING]) + b"LNRO0005\0")
        + _named(b"_UID", struct.pack("<BI", _DWORD, slot.number))
        + _named(b"_CCA", b"\x01")
        + _named(b"_CRS", _package(bytes([_BUFFER]), bytes([_BYTE, len(resources)]) + resources)),
    )


def _named(name: bytes, value: bytes) -> bytes:
    return bytes([_NAME]) + name + value


def _package(opcode: bytes, content: bytes) -> bytes:
    """An opcode, the length of all that follows with the length itself, the content."""
    if len(content) + 1 < 0x40:
        return opcode + bytes([len(content) + 1]) + content
    for extra in (1, 2, 3):
        length = len(content) + 1 + extra
        if length < 1 << (4 + 8 * extra):
            lead = bytes([extra << 6 | (length & 0xF)])
            return opcode + lead + (length >> 4).to_bytes(extra, "little") + content
    raise ValueError("too long for AML")
