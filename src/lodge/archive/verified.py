"""Streams that check themselves: whoever reads to the end has read the bytes that the digest names."""

from __future__ import annotations

from typing import Protocol, Self

from lodge.archive.source import Readable
from lodge.errors import Corrupt
from lodge.spec.digest import Digest, hasher


class Closable(Protocol):
    """Something with an end."""

    def close(self) -> None:
        """Give back what it holds."""


class VerifiedReader:
    """Passes a stream through and compares it with a digest and, if given, a size.

    A wrong digest or a short stream raises Corrupt at the end, a byte too many at once. A reader that stops
    before the end has verified nothing. `close` (or a with-block) closes what `closing` names.
    """

    def __init__(
        self, readable: Readable, digest: Digest, size: int | None = None, *, closing: Closable | None = None
    ) -> None:
        self.digest = digest
        self.size = size
        self._readable = readable
        self._closing = closing
        self._hasher = digest.hasher()
        self._seen = 0
        self._verified = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; nothing at the end, after the check."""
        data = self._readable.read(size)
        if not data:
            self._check()
            return b""
        self._seen += len(data)
        if self.size is not None and self._seen > self.size:
            raise Corrupt(f"{self.digest}: longer than the {self.size} bytes that were announced")
        self._hasher.update(data)
        return data

    def close(self) -> None:
        """Close the stream underneath; idempotent."""
        closing, self._closing = self._closing, None
        if closing is not None:
            closing.close()

    def _check(self) -> None:
        if self._verified:
            return
        if self.size is not None and self._seen != self.size:
            raise Corrupt(f"{self.digest}: {self._seen} bytes instead of the {self.size} that were announced")
        found = Digest.finish(self._hasher, self.digest.algorithm)
        if found != self.digest:
            raise Corrupt(f"{self.digest}: the content has the digest {found}")
        self._verified = True


class HashingReader:
    """Passes a stream through and learns its sha256 digest."""

    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._hasher = hasher()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; nothing at the end."""
        data = self._readable.read(size)
        self._hasher.update(data)
        return data

    def digest(self) -> Digest:
        """Return the digest of all that was read."""
        return Digest.finish(self._hasher)
