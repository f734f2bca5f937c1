"""What images are copied from, and what they are copied to."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from lodge.archive.source import Readable
from lodge.distribution.repository import RemoteManifest
from lodge.spec.descriptor import Descriptor


class Origin(Protocol):
    """One image, or an index of several, somewhere. Blobs may be read in several threads at once."""

    def top(self) -> RemoteManifest:
        """What the name leads to. Raises NotFound, Corrupt."""
        ...

    def manifest(self, descriptor: Descriptor, /) -> RemoteManifest:
        """One manifest below it."""
        ...

    def open(self, descriptor: Descriptor, start: int = 0, /) -> AbstractContextManager[Readable]:
        """Begin to read a blob, in the middle if wished. Who reads it checks its digest."""
        ...

    def close(self) -> None:
        """Give back what it holds. Idempotent."""
        ...


class Goal(Protocol):
    """A place for one image. Nothing has a name there before `finish`."""

    def put_blob(self, descriptor: Descriptor, origin: Origin, /) -> bool:
        """Bring a blob; False when it was there already. Called from several threads."""
        ...

    def put_manifest(self, manifest: RemoteManifest, /) -> None:
        """Bring a manifest; what it names is there."""
        ...

    def finish(self, top: RemoteManifest, /) -> None:
        """Bring the last manifest and give it the name."""
        ...

    def close(self) -> None:
        """Give back what it holds; without `finish` nothing stays. Idempotent."""
        ...
