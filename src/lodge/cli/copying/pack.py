"""Files of this machine as a tar stream, in pieces that go straight to the socket."""

from __future__ import annotations

import os
import stat
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 20


class Packer:
    """Writes one tree. `size` counts the bytes of file content that went out."""

    def __init__(self) -> None:
        self.size = 0
        self._links: dict[tuple[int, int], str] = {}

    def pack(self, path: str, name: str) -> Iterator[bytes]:
        """The archive of `path` (not followed when it is a link), its root called `name`."""
        yield from self._entry(path, name)
        yield bytes(1024)

    def _entry(self, path: str, name: str) -> Iterator[bytes]:
        status = os.lstat(path)
        member = describe(path, name, status)
        if member is None:
            return  # a socket: tar has no word for it
        if stat.S_ISREG(status.st_mode):
            first = self._links.setdefault((status.st_dev, status.st_ino), name)
            if status.st_nlink > 1 and first != name:
                member.type, member.linkname, member.size = tarfile.LNKTYPE, first, 0
        yield member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        if member.isreg():
            yield from self._content(path, member.size)
        elif member.isdir():
            with os.scandir(path) as entries:
                inner = sorted(entry.name for entry in entries)
            for child in inner:
                yield from self._entry(f"{path}/{child}", f"{name}/{child}")

    def _content(self, path: str, size: int) -> Iterator[bytes]:
        self.size += size
        return file_pieces(path, size)


def file_pieces(path: str, size: int) -> Iterator[bytes]:
    """A file's payload, padded: exactly `size` bytes, whatever becomes of the file meanwhile."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece
    while left:
        piece = bytes(min(left, _PIECE))
        left -= len(piece)
        yield piece
    if size % 512:
        yield bytes(512 - size % 512)


def describe(path: str, name: str, status: os.stat_result) -> tarfile.TarInfo | None:
    """The header of one thing, not followed when it is a link; None for a socket."""
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(status.st_mode)
    member.uid, member.gid = status.st_uid, status.st_gid
    member.mtime = int(status.st_mtime)
    kind = status.st_mode
    if stat.S_ISDIR(kind):
        member.type = tarfile.DIRTYPE
    elif stat.S_ISREG(kind):
        member.size = status.st_size
    elif stat.S_ISLNK(kind):
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(path)
    elif stat.S_ISFIFO(kind):
        member.type = tarfile.FIFOTYPE
    elif stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        member.type = tarfile.CHRTYPE if stat.S_ISCHR(kind) else tarfile.BLKTYPE
        member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    else:
        return None
    return member
