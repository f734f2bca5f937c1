"""What a pull needs of whoever keeps images: declared here, by the one who uses it.

`lodge.store.reception.Reception` is one. The caller holds a lease against collection meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol, Self

from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest


class Unpacked(Protocol):
    """A layer that is unpacked and has no place yet."""

    def place(self, chain: Digest, parent: Digest | None, diff_id: Digest, /) -> None:
        """Give it its place on top of `parent`. Corrupt when it isn't `diff_id`. Idempotent."""

    def discard(self) -> None:
        """Remove it, if it was not placed. Idempotent."""


class Arrival(Protocol):
    """A blob on its way in, from `offset()` on, in order."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def offset(self) -> int:
        """Return how many bytes are here already, also of an earlier attempt."""

    def write(self, data: bytes, /) -> None:
        """Take the next bytes."""

    def restart(self) -> None:
        """Forget all bytes."""

    def finish(self) -> Unpacked | None:
        """Check the digest and keep the blob; Corrupt when it is another."""


class Reception(Protocol):
    """Where images arrive."""

    def together(self, blobs: Iterable[Digest], chains: Iterable[Digest], /) -> AbstractContextManager[None]:
        """Say for a block what is about to come."""

    def has_blob(self, digest: Digest, /) -> bool:
        """Whether a blob is here, whole."""

    def has_layer(self, chain: Digest, /) -> bool:
        """Whether a layer is here, unpacked on all below it."""

    def put(self, data: bytes, digest: Digest, /) -> None:
        """Keep a small blob."""

    def read(self, digest: Digest, cap: int, /) -> bytes:
        """Return a small blob."""

    def receive(self, descriptor: Descriptor, /, *, unpack: bool) -> Arrival:
        """Begin to take in a blob."""

    def unpack(self, descriptor: Descriptor, /) -> Unpacked:
        """Unpack a layer whose blob is here."""

    def name(self, names: Iterable[str], target: Descriptor, /) -> None:
        """Give an image canonical names."""

    def named(self, name: str, /) -> Descriptor | None:
        """Return what a name refers to now."""
