"""Content digests as values: `algorithm:hex`, checked once when made.

A `Digest` is a `str`, so it goes into JSON and dictionaries as it is. Because the only ways to make one check
the grammar, a digest can be used in a file name or a URL; an unchecked string must never be (CVE-2024-3727,
and the path tricks of CVE-2021-41190's family). No I/O. Descriptors live in `lodge.spec.descriptor`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Protocol, Self

from lodge.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable

_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
_GRAMMAR = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_HEX = re.compile(r"[0-9a-f]+")


class Hasher(Protocol):
    """What of a `hashlib` object is used here."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Feed bytes; the lock of the interpreter is released for long ones."""

    def hexdigest(self) -> str:
        """Return the digest of all that was fed, in lower-case hex."""


class Digest(str):
    """`sha256:<64 hex>` (or sha384, sha512), lower case.

    Raises InvalidArgument with the wording Docker uses when the text is not such a digest.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check the grammar; a Digest is returned as it is."""
        if type(text) is cls:
            return text
        algorithm, colon, encoded = text.partition(":")
        length = _HEX_LENGTH.get(algorithm)
        if length is None or not colon:
            if not colon or not _GRAMMAR.fullmatch(text):
                raise InvalidArgument(f"invalid checksum digest format: {text[:200]!r}")
            raise InvalidArgument(f"unsupported digest algorithm: {algorithm!r}")
        if len(encoded) != length:
            raise InvalidArgument(f"invalid checksum digest length: {text[:200]!r}")
        if not _HEX.fullmatch(encoded):
            raise InvalidArgument(f"invalid checksum digest format: {text[:200]!r}")
        return super().__new__(cls, text)

    @property
    def algorithm(self) -> str:
        """The part before the colon."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The part after the colon."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first twelve characters of the hex, as Docker shows IDs."""
        return self.partition(":")[2][:12]

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Digest:
        """Return the sha256 digest of `data`."""
        return cls("sha256:" + hashlib.sha256(data).hexdigest())

    @classmethod
    def finish(cls, hasher: Hasher, algorithm: str = "sha256") -> Digest:
        """Return what a hasher of `algorithm` has come to."""
        return cls(f"{algorithm}:{hasher.hexdigest()}")

    def hasher(self) -> Hasher:
        """Return a fresh hasher of this digest's algorithm."""
        return hasher(self.algorithm)


def hasher(algorithm: str = "sha256") -> Hasher:
    """Return a fresh hasher of `algorithm`; InvalidArgument when it is none of sha256, sha384 and sha512."""
    if algorithm not in _HEX_LENGTH:
        raise InvalidArgument(f"unsupported digest algorithm: {algorithm!r}")
    made: Callable[[], Hasher] = getattr(hashlib, algorithm)
    return made()
