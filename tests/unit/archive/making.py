"""Tars for tests, made with the standard library where it can, byte by byte where it can't."""

from __future__ import annotations

import io
import os
import struct
import tarfile
from collections.abc import Iterable

KINDS = {
    "dir": tarfile.DIRTYPE,
    "file": tarfile.REGTYPE,
    "link": tarfile.SYMTYPE,
    "hard": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
}


def entry(
    name: str, data: bytes | str = b"", kind: str = "file", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    """A member that belongs to whoever runs the test. `data` is the content, or a link's target."""
    info = tarfile.TarInfo(name)
    info.type = KINDS[kind]
    info.uid, info.gid = os.geteuid(), os.getegid()
    info.mode = 0o755 if kind == "dir" else 0o644
    if isinstance(data, str):
        info.linkname, data = data, b""
    info.size = len(data) if kind == "file" else 0
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar(*entries: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def raw_header(name: bytes, size: bytes = b"00000000000\0", type_: bytes = b"0", **fields: bytes) -> bytes:
    """A header block whose fields are given as bytes, with a right checksum."""
    block = bytearray(
        struct.pack(
            "100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x",
            name,
            fields.get("mode", b"0000644\0"),
            fields.get("uid", b"%07o\0" % os.geteuid()),
            fields.get("gid", b"%07o\0" % os.getegid()),
            size,
            fields.get("mtime", b"00000000000\0"),
            b" " * 8,
            type_,
            fields.get("link", b""),
            fields.get("magic", b"ustar\x0000"),
            b"",
            b"",
            b"",
            b"",
            fields.get("prefix", b""),
        )
    )
    for place, value in ((386, fields.get("gnu", b"")),):
        block[place : place + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    """Data as whole blocks."""
    return data + bytes(-len(data) % 512)


def names(data: bytes) -> list[str]:
    """The names in an archive, by the standard library."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


class Dribble:
    """A stream that gives few bytes at a time, whatever is asked."""

    def __init__(self, data: bytes, sizes: Iterable[int] = (1, 7, 511, 512, 513)) -> None:
        self._data = io.BytesIO(data)
        self._sizes = list(sizes)
        self._turn = 0

    def read(self, size: int, /) -> bytes:
        self._turn += 1
        return self._data.read(min(size, self._sizes[self._turn % len(self._sizes)]))
