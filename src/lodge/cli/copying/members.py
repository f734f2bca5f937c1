"""A tar stream member by member, contents in the pieces in which they arrive.

The headers are taken apart by the standard library's `TarInfo`; its stream reader is not used, for it copies
every byte three times. Long names come as POSIX (pax) records or in GNU's way.
"""

from __future__ import annotations

import tarfile

from lodge.errors import Corrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lodge.client.http1 import Response

_BLOCK = 512
_MOST_RECORDS = 1 << 20
_PAX, _PAX_GLOBAL = b"x", b"g"
_GNU_NAME, _GNU_LINK = b"L", b"K"


class Members:
    """Iterates over the members of a body; `content` is to be read before the next member, or is skipped."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._rest = b""
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        known: dict[str, str] = {}
        records: dict[str, str] = {}
        while True:
            for _ in self.content():
                pass  # what nobody wanted of the member before
            self._take(self._padding)
            self._padding = 0
            member = self._header()
            if member is None:
                return
            if member.type in (_PAX, _PAX_GLOBAL):
                found = _parse_records(self._short(member.size))
                known.update(found if member.type == _PAX_GLOBAL else {})
                records.update(found if member.type == _PAX else {})
            elif member.type in (_GNU_NAME, _GNU_LINK):
                name = self._short(member.size).rstrip(b"\0").decode("utf-8", "surrogateescape")
                records["path" if member.type == _GNU_NAME else "linkpath"] = name
            else:
                _apply({**known, **records}, member)
                records = {}
                if member.isreg():
                    self._left, self._padding = member.size, -member.size % _BLOCK
                yield member

    def content(self) -> Iterator[bytes]:
        """What is left of the current member's content."""
        while self._left:
            piece, self._rest = self._rest or self._response.read(), b""
            if not piece:
                raise Corrupt("the archive from the container ends in the middle of a file")
            if len(piece) > self._left:
                piece, self._rest = piece[: self._left], piece[self._left :]
            self._left -= len(piece)
            yield piece

    def _header(self) -> tarfile.TarInfo | None:
        block = self._take(_BLOCK, may_end=True)
        if not block:
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # typeshed leaves it out
            while self._response.read():
                pass  # the second block of zeros, and what a writer filled up
            return None
        except tarfile.HeaderError as error:
            raise Corrupt(f"the archive from the container is broken: {error}") from error

    def _short(self, size: int) -> bytes:
        """The content of a member that describes another one."""
        if not 0 <= size <= _MOST_RECORDS:
            raise Corrupt("the archive from the container describes a file at too great length")
        return self._take(size + -size % _BLOCK)[:size]

    def _take(self, size: int, *, may_end: bool = False) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size and (piece := self._response.read()):
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self._rest = data[size:]
        if len(data) < size and not (may_end and not data):
            raise Corrupt("the archive from the container ends too early")
        return data[:size]


def _parse_records(data: bytes) -> dict[str, str]:
    """Pax records: length, space, key=value, newline; the length counts all of it (POSIX.1-2001, pax)."""
    records = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position)
        length = data[position:space]
        end = position + int(length) if length.isdigit() else 0
        key, mark, value = data[space + 1 : end - 1].partition(b"=")
        if space < 0 or not mark or data[end - 1 : end] != b"\n":
            raise Corrupt("the archive from the container has a broken extended header")
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        position = end
    return records


def _apply(records: dict[str, str], member: tarfile.TarInfo) -> None:
    """Let records speak instead of the header's own short fields."""
    if member.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in records):
        raise Corrupt("the archive from the container holds sparse files in a way that cp cannot read")
    try:
        member.name = records.get("path", member.name)
        member.linkname = records.get("linkpath", member.linkname)
        member.size = int(records.get("size", member.size))
        member.uid = int(records.get("uid", member.uid))
        member.gid = int(records.get("gid", member.gid))
        member.mtime = float(records.get("mtime", member.mtime))
    except ValueError as error:
        raise Corrupt("the archive from the container has a broken extended header") from error
    if member.size < 0:
        raise Corrupt("the archive from the container has a file of negative size")
