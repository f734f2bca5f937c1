r"""Records of pax extended headers: `<length> <key>=<value>\n`. Pure functions, no I/O.

Source: POSIX.1-2017, pax, "pax Extended Header"; GNU tar manual, "Sparse Formats"; star(1) for SCHILY.*.
"""

from __future__ import annotations

from typing import Final

from lodge.archive.header import Member
from lodge.errors import Corrupt

LONGEST: Final = 4 << 20
"""Bytes of extended headers of one member that are read; xattrs have 64 KiB each and there are few."""
XATTR: Final = b"SCHILY.xattr."
_LONGEST_NUMBER: Final = 32
_REPEATED: Final = frozenset((b"GNU.sparse.offset", b"GNU.sparse.numbytes"))


def parse(data: bytes) -> dict[bytes, bytes]:
    """Read all records. The last of equal keys wins, but a sparse map's are joined by commas; Corrupt."""
    records: dict[bytes, bytes] = {}
    position, end = 0, len(data)
    while position < end:
        space = data.find(b" ", position, position + 12)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            if not data[position:].strip(b"\0"):
                break
            raise Corrupt("invalid pax header: a record has no length")
        stop = position + int(digits)
        equals = data.find(b"=", space + 1, stop)
        if stop > end or equals < 0 or data[stop - 1 : stop] != b"\n":
            raise Corrupt("invalid pax header: a record is malformed")
        key, value = data[space + 1 : equals], data[equals + 1 : stop - 1]
        if key in _REPEATED and key in records:
            value = records[key] + b"," + value
        records[key] = value
        position = stop
    return records


def apply(member: Member, records: dict[bytes, bytes]) -> None:
    """Let records override what the member's own header says. Unknown keys say nothing to us."""
    for key, value in records.items():
        if key == b"path":
            member.name = _text(value)
        elif key == b"linkpath":
            member.link = _text(value)
        elif key == b"size":
            if member.type not in (b"1", b"2", b"3", b"4", b"5", b"6"):
                member.size = member.real_size = _integer(value)
        elif key == b"mtime":
            member.mtime = _time(value)
        elif key == b"uid":
            member.uid = _integer(value)
        elif key == b"gid":
            member.gid = _integer(value)
        elif key.startswith(XATTR):
            if member.xattrs is None:
                member.xattrs = {}
            member.xattrs[key[len(XATTR) :]] = value


def _text(value: bytes) -> bytes:
    if b"\0" in value:
        raise Corrupt("invalid pax header: a name holds a NUL byte")
    return value


def _integer(value: bytes) -> int:
    if not value.isdigit() or len(value) > _LONGEST_NUMBER:
        raise Corrupt(f"invalid pax header: {value[:40]!r} is not a number")
    return int(value)


def _time(value: bytes) -> int:
    """Read seconds with a decimal fraction as nanoseconds; digits beyond the ninth are cut."""
    negative = value.startswith(b"-")
    seconds, _, fraction = value.removeprefix(b"-").partition(b".")
    if not seconds.isdigit() or (fraction and not fraction.isdigit()) or len(value) > _LONGEST_NUMBER + 10:
        raise Corrupt(f"invalid pax header: {value[:40]!r} is not a time")
    nanoseconds = int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0") or b"0")
    return -nanoseconds if negative else nanoseconds


def build(records: dict[bytes, bytes]) -> bytes:
    """Write records, sorted by key so that the same file gives the same bytes."""
    return b"".join(_record(key, records[key]) for key in sorted(records))


def _record(key: bytes, value: bytes) -> bytes:
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    if len(str(length)) != len(str(bare)):
        length = bare + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)
