"""The kernel's table of mounts: /proc/<pid>/mountinfo, see proc_pid_mountinfo(5)."""

from __future__ import annotations

import os

from msgspec import Struct


class Mount(Struct, frozen=True):
    """One line of mountinfo; paths are unescaped, `optional` has words such as "shared:5" and "master:2"."""

    id: int
    parent: int
    major: int
    minor: int
    root: str
    mount_point: str
    options: tuple[str, ...]
    optional: tuple[str, ...]
    fstype: str
    source: str
    super_options: tuple[str, ...]


def mountinfo(pid: int | None = None) -> list[Mount]:
    """All mounts that a process (or the caller) sees in the kernel's order: later ones may cover others."""
    with open(f"/proc/{'self' if pid is None else pid}/mountinfo", "rb") as file:
        return parse_mountinfo(file.read())


def parse_mountinfo(text: bytes) -> list[Mount]:
    """Read the whole file; ValueError for a line that is none."""
    return [_parse_line(line) for line in text.split(b"\n") if line]


def _parse_line(line: bytes) -> Mount:
    head, separator, tail = line.partition(b" - ")
    fields = head.split(b" ")
    # The source may be empty, and then two spaces follow each other: split at single spaces only.
    rest = tail.split(b" ")
    if not separator or len(fields) < 6 or len(rest) < 3:
        raise ValueError(f"not a line of mountinfo: {line!r}")
    major, _, minor = fields[2].partition(b":")
    return Mount(
        int(fields[0]),
        int(fields[1]),
        int(major),
        int(minor),
        _unescape(fields[3]),
        _unescape(fields[4]),
        tuple(os.fsdecode(fields[5]).split(",")),
        tuple(os.fsdecode(field) for field in fields[6:]),
        os.fsdecode(rest[0]),
        _unescape(rest[1]),
        tuple(_unescape(rest[2]).split(",")),
    )


def _unescape(field: bytes) -> str:
    """Undo the kernel's octal escapes (space, tab, newline, backslash, hash)."""
    if b"\\" not in field:
        return os.fsdecode(field)
    first, *others = field.split(b"\\")
    parts = [first]
    for part in others:
        octal = part[:3]
        if len(octal) == 3 and octal.isdigit() and not octal.strip(b"01234567"):
            parts.append(bytes([int(octal, 8) & 0xFF]) + part[3:])
        else:
            parts.append(b"\\" + part)
    return os.fsdecode(b"".join(parts))
