"""A registry as an origin and as a goal."""

from __future__ import annotations

from contextlib import AbstractContextManager

from lodge.archive.source import Readable
from lodge.archive.verified import VerifiedReader
from lodge.distribution import answers
from lodge.distribution.abort import Abort
from lodge.distribution.credentials import Credentials
from lodge.distribution.pulling import explained
from lodge.distribution.registries import Registries
from lodge.distribution.repository import BlobStream, RemoteManifest
from lodge.distribution.transit.contract import Origin
from lodge.distribution.upload import EXISTS, Upload
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference


class RegistryOrigin:
    """See Origin."""

    def __init__(self, registries: Registries, reference: Reference, credentials: Credentials | None) -> None:
        self.reference = reference
        self._places = registries.repository(reference, credentials)

    def top(self) -> RemoteManifest:
        """See Origin."""
        try:
            return self._places.manifest(self.reference.digest or self.reference.tag or "latest")
        except answers.RegistryError as error:
            raise explained(error, self.reference) from error

    def manifest(self, descriptor: Descriptor, /) -> RemoteManifest:
        """See Origin."""
        return self._places.manifest(descriptor.digest)

    def open(self, descriptor: Descriptor, start: int = 0, /) -> AbstractContextManager[Readable]:
        """See Origin."""
        if start:
            return _from(self._places.blob(descriptor.id, descriptor.size, start=start), start)
        stream = self._places.blob(descriptor.id, descriptor.size)
        return VerifiedReader(stream, descriptor.id, descriptor.size, closing=stream)

    def referrers(self, digest: Digest, /) -> list[Descriptor]:
        """What refers to a manifest."""
        return self._places.referrers(digest)

    def close(self) -> None:
        """See Origin."""


def _from(stream: BlobStream, start: int) -> BlobStream:
    """Skip what a registry sends although it was asked for less."""
    left = start - stream.start
    while left > 0 and (piece := stream.read(min(left, 1 << 20))):
        left -= len(piece)
    return stream


class RegistryGoal:
    """See Goal."""

    def __init__(
        self,
        registries: Registries,
        reference: Reference,
        credentials: Credentials | None,
        origin: Origin,
    ) -> None:
        self._abort = Abort()
        self._repository = registries.own(reference, credentials, abort=self._abort)
        self._attempts = registries.settings.max_attempts
        self._reference = reference
        self._mount = ""
        if isinstance(origin, RegistryOrigin) and origin.reference.domain == reference.domain:
            self._mount = origin.reference.path

    def put_blob(self, descriptor: Descriptor, origin: Origin, /) -> bool:
        """See Goal."""
        upload = Upload(
            self._repository, descriptor, _Opened(origin, descriptor), _untold, self._abort,
            attempts=self._attempts,
        )  # fmt: skip
        source = self._mount if self._mount != self._reference.path else ""
        return upload.run(source or None) != EXISTS

    def put_manifest(self, manifest: RemoteManifest, /) -> None:
        """See Goal."""
        descriptor = manifest.descriptor
        self._repository.put_manifest(descriptor.digest, manifest.data, descriptor.media_type)

    def finish(self, top: RemoteManifest, /) -> None:
        """See Goal."""
        name = self._reference.digest or self._reference.tag or "latest"
        self._repository.put_manifest(name, top.data, top.descriptor.media_type)

    def close(self) -> None:
        """See Goal."""
        self._abort.set()


class _Opened:
    """One blob of an origin, as uploads open it."""

    def __init__(self, origin: Origin, descriptor: Descriptor) -> None:
        self._origin = origin
        self._descriptor = descriptor

    def open(self, digest: Digest, start: int, /) -> AbstractContextManager[Readable]:
        del digest
        return self._origin.open(self._descriptor, start)


def _untold(_done: int, _all: int) -> None:
    """Progress is told blob by blob."""
