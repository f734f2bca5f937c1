"""Tar archives as a sequence of members: long names, pax records and sparse maps are put together here.

A `TarReader` reads forward only and keeps one member at a time; memory is bounded whatever the archive says.
Which member may become which file is decided next door, in `extract`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lodge.archive import header, pax, sparse
from lodge.archive.header import BLOCK, Member
from lodge.archive.source import Readable, Source
from lodge.errors import Corrupt

_LONGEST_NAME: Final = 1 << 16
_META: Final = frozenset(
    (
        header.PAX,
        header.PAX_GLOBAL,
        header.PAX_SOLARIS,
        header.GNU_LONG_NAME,
        header.GNU_LONG_LINK,
        header.GNU_VOLUME,
    )
)


class TarReader:
    """Reads members one after the other: `next`, then at most one of `data`, `pieces` or nothing (skipped).

    Raises Corrupt for whatever is not a tar archive. An archive may end without its two blocks of zeros, as
    with GNU tar, but not in the middle of a member.
    """

    __slots__ = ("_globals", "_left", "_padding", "source")

    def __init__(self, readable: Readable) -> None:
        self.source = readable if isinstance(readable, Source) else Source(readable)
        self._globals: dict[bytes, bytes] = {}
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        while (member := self.next()) is not None:
            yield member

    def next(self) -> Member | None:
        """Return the next member, or None at the end. What was not read of the last one is skipped."""
        if self._left or self._padding:
            self._finish()
        block = self._block()
        if block is None:
            return None
        member = header.parse(block)
        if member.type in _META or self._globals:
            return self._described(member, block)
        if member.type == header.GNU_SPARSE:
            sparse.read_old_gnu(block, self.source, member)
        return self._begin(member)

    def data(self, cap: int) -> bytes:
        """Return the whole payload; raises Corrupt when it is longer than `cap`."""
        if self._left > cap:
            raise Corrupt(f"a member of the archive is larger than {cap} bytes")
        size, self._left = self._left, 0
        return self.source.take(size)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the payload in pieces of any length, without copying."""
        for piece in self.source.pieces(self._left):
            self._left -= len(piece)
            yield piece

    def _begin(self, member: Member) -> Member:
        size = member.size
        self._left = size
        self._padding = -size % BLOCK
        return member

    def _finish(self) -> None:
        self.source.skip(self._left)
        self._left = 0
        padding, self._padding = self._padding, 0
        # The last member's padding is left out by some writers.
        if padding and len(self.source.peek(padding)) == padding:
            self.source.skip(padding)
        elif padding:
            self.source.drain()

    def _block(self) -> bytes | None:
        """Return the next block that is not zeros; None at the end, or after two blocks of zeros."""
        source = self.source
        zeros = 0
        while True:
            if len(source.peek(BLOCK)) < BLOCK:
                if source.peek(1).strip(b"\0"):
                    raise Corrupt("unexpected end of the archive: an incomplete header")
                return None
            block = source.take(BLOCK)
            if block[0] or block != header.ZEROS:
                return block
            zeros += 1
            if zeros == 2:
                return None

    def _described(self, member: Member, block: bytes) -> Member | None:
        """Collect what meta members say about the next one, then apply it."""
        records = dict(self._globals)
        name = link = None
        while member.type in _META:
            kind = member.type
            limit = (
                pax.LONGEST if kind in (header.PAX, header.PAX_GLOBAL, header.PAX_SOLARIS) else _LONGEST_NAME
            )
            if member.size > limit:
                raise Corrupt(f"archive/tar: invalid tar header: {member.size} bytes of description")
            payload = self.source.take(member.size)
            self.source.skip(min(-member.size % BLOCK, len(self.source.peek(BLOCK))))
            if kind == header.PAX_GLOBAL:
                self._globals.update(pax.parse(payload))
                records = {**self._globals, **records}
            elif kind == header.GNU_LONG_NAME:
                name = payload.partition(b"\0")[0]
            elif kind == header.GNU_LONG_LINK:
                link = payload.partition(b"\0")[0]
            elif kind != header.GNU_VOLUME:
                records.update(pax.parse(payload))
            following = self._block()
            if following is None:
                return self._end_after(kind)
            block = following
            member = header.parse(block)
        self._apply(member, block, records, name, link)
        return self._begin(member)

    @staticmethod
    def _end_after(kind: bytes) -> None:
        if kind not in (header.PAX_GLOBAL, header.GNU_VOLUME):
            raise Corrupt("unexpected end of the archive: a description without its member")

    def _apply(
        self,
        member: Member,
        block: bytes,
        records: dict[bytes, bytes],
        name: bytes | None,
        link: bytes | None,
    ) -> None:
        if member.type == header.GNU_SPARSE:
            sparse.read_old_gnu(block, self.source, member)
        if name is not None:
            member.name = name
        if link is not None:
            member.link = link
        if not records:
            return
        old_style = member.sparse
        pax.apply(member, records)
        if old_style is None and any(key.startswith(b"GNU.sparse.") for key in records):
            sparse.read_pax(records, self.source, member)
