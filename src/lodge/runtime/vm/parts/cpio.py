"""Writing cpio archives ("newc"), as the kernel reads them for its first root.

Pure. The same entries give the same bytes: no times, no inode numbers of the host. Source: the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable

from msgspec import Struct


class Entry(Struct, frozen=True):
    """One member: its name without a leading slash, st_mode, and the content of a file."""

    name: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(name: str) -> Entry:
    """A directory for everybody to read."""
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, content: bytes, *, executable: bool = False) -> Entry:
    """A regular file."""
    return Entry(name, stat.S_IFREG | (0o755 if executable else 0o644), content)


def archive(entries: Iterable[Entry]) -> bytes:
    """The whole archive, with its trailer."""
    parts: list[bytes] = []
    for number, entry in enumerate(entries, 1):
        parts += _member(number, entry)
    parts += _member(0, Entry("TRAILER!!!", 0))
    return b"".join(parts)


def _member(number: int, entry: Entry) -> list[bytes]:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (number, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % value for value in numbers)
    return [header + name, _padding(len(header) + len(name)), entry.content, _padding(len(entry.content))]


def _padding(length: int) -> bytes:
    return b"\0" * (-length % 4)
