"""Headers of tar members: 512-byte blocks to values and back. Pure functions, no I/O.

Formats: POSIX ustar, the pax extension and GNU tar's (base-256 numbers, its magic). Sources: POSIX.1-2017,
pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format". Long names and sparse maps are put
together next door, in `reader`; pax records are in `pax`.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from lodge.errors import Corrupt

BLOCK: Final = 512
ZEROS: Final = bytes(BLOCK)

REGULAR: Final = b"0"
OLD_REGULAR: Final = b"\0"
HARDLINK: Final = b"1"
SYMLINK: Final = b"2"
CHARACTER: Final = b"3"
BLOCK_DEVICE: Final = b"4"
DIRECTORY: Final = b"5"
FIFO: Final = b"6"
CONTIGUOUS: Final = b"7"
PAX: Final = b"x"
PAX_GLOBAL: Final = b"g"
PAX_SOLARIS: Final = b"X"
GNU_LONG_NAME: Final = b"L"
GNU_LONG_LINK: Final = b"K"
GNU_SPARSE: Final = b"S"
GNU_VOLUME: Final = b"V"

_LAYOUT: Final = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_NO_DATA: Final = frozenset((HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
_FILES: Final = frozenset((OLD_REGULAR, CONTIGUOUS))
_POSIX_MAGIC: Final = b"ustar\0"
_POSIX_VERSION: Final = b"ustar\x0000"
_ADLER: Final = 65521
_LONGEST_INTEGER: Final = 1 << 62


class Member:
    """One member of an archive. Names are bytes as they came; `mtime` is in nanoseconds.

    `size` is what follows in the archive; `real_size` what the file will have (they differ when sparse).
    `sparse` is a list of (offset, length) of the data, in order, or None.
    """

    __slots__ = (
        "gid",
        "link",
        "major",
        "minor",
        "mode",
        "mtime",
        "name",
        "real_size",
        "size",
        "sparse",
        "type",
        "uid",
        "xattrs",
    )

    def __init__(
        self,
        name: bytes,
        type: bytes,
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime: int = 0,
        link: bytes = b"",
        major: int = 0,
        minor: int = 0,
        xattrs: dict[bytes, bytes] | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.real_size = size
        self.mtime = mtime
        self.link = link
        self.major = major
        self.minor = minor
        self.xattrs = xattrs
        self.sparse: list[tuple[int, int]] | None = None


def parse(block: bytes) -> Member:
    """Read one header block. Raises Corrupt when the checksum is wrong or a number is none."""
    (name, mode, uid, gid, size, mtime, checksum, type_, link, magic, _, _, major, minor, prefix) = (
        _LAYOUT.unpack(block)
    )
    _verify(block, checksum)
    name = name.partition(b"\0")[0]
    if prefix[0] and magic[:6] == _POSIX_MAGIC:
        name = prefix.partition(b"\0")[0] + b"/" + name
    if type_ in _FILES:
        # Before POSIX a directory was a file whose name ends with a slash.
        type_ = DIRECTORY if type_ == OLD_REGULAR and name.endswith(b"/") else REGULAR
    member = Member(
        name,
        type_,
        mode=number(mode) & 0o7777,
        uid=number(uid),
        gid=number(gid),
        size=0 if type_ in _NO_DATA else number(size),
        mtime=number(mtime) * 1_000_000_000,
        link=link.partition(b"\0")[0] if link[0] else b"",
    )
    if type_ in (CHARACTER, BLOCK_DEVICE):
        member.major, member.minor = number(major), number(minor)
    if member.size < 0:
        raise Corrupt("archive/tar: invalid tar header: negative size")
    return member


def _verify(block: bytes, checksum: bytes) -> None:
    """Compare the sum of the bytes with the checksum field, that field itself counted as spaces.

    Adler-32's low half is one plus that sum modulo 65521; it is computed ten times faster than `sum`.
    """
    blank = block[:148] + b"        " + block[156:]
    stored = number(checksum)
    if (zlib.adler32(blank) & 0xFFFF) == (stored + 1) % _ADLER:
        return
    # Some ancient writers summed signed characters.
    if sum(byte - 256 if byte > 127 else byte for byte in blank) != stored:
        raise Corrupt("archive/tar: invalid tar header: the checksum does not match")


def number(field: bytes) -> int:
    """Read a number: octal digits, or GNU's base-256 when the first bit is set. An empty field is 0."""
    first = field[0]
    if first & 0x80:
        value = int.from_bytes(field, "big", signed=False)
        bits = 8 * len(field)
        value = value - (1 << bits) if first & 0x40 else value & ((1 << (bits - 1)) - 1)
        if not -_LONGEST_INTEGER < value < _LONGEST_INTEGER:
            raise Corrupt("archive/tar: invalid tar header: a number is too large")
        return value
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    try:
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:
        pass
    raise Corrupt(f"archive/tar: invalid tar header: {digits!r} is not an octal number")


def build(member: Member, name: bytes, link: bytes, prefix: bytes = b"") -> bytes:
    """Make the header block of a member whose every field fits into ustar; see `fits`."""
    block = _LAYOUT.pack(
        name,
        b"%07o\0" % member.mode,
        b"%07o\0" % min(member.uid, 0o7777777),
        b"%07o\0" % min(member.gid, 0o7777777),
        b"%011o\0" % min(member.size, 0o77777777777),
        b"%011o\0" % min(max(member.mtime // 1_000_000_000, 0), 0o77777777777),
        b"        ",
        member.type,
        link,
        _POSIX_VERSION,
        b"",
        b"",
        b"%07o\0" % min(member.major, 0o7777777),
        b"%07o\0" % min(member.minor, 0o7777777),
        prefix,
    )
    return b"%b%06o\0 %b" % (block[:148], sum(block), block[156:])
