"""An OCI image layout (image-spec image-layout.md) in a directory, as an origin and as a goal."""

from __future__ import annotations

import io
import os
import secrets
from contextlib import AbstractContextManager

import msgspec

from lodge.archive.source import Readable
from lodge.archive.verified import VerifiedReader
from lodge.distribution.repository import RemoteManifest
from lodge.distribution.transit.contract import Origin
from lodge.errors import Corrupt, InvalidArgument, NotFound
from lodge.spec.descriptor import OCI_INDEX, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP, Index

TAG = "org.opencontainers.image.ref.name"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_INDEX_CAP = 256 << 20
_PIECE = 1 << 20


def pick(index: Index, name: str, where: str) -> Descriptor:
    """The entry of a layout's index with that tag; the only one when there is no tag. Raises NotFound."""
    named = [one for one in index.manifests if not name or (one.annotations or {}).get(TAG) == name]
    different = {one.digest: one for one in named}
    if len(different) == 1:
        return next(iter(different.values()))
    there = sorted({(one.annotations or {}).get(TAG, one.digest) for one in index.manifests})
    what = f"no image {name!r}" if name else "no image" if not different else "more than one image"
    raise NotFound(f"{what} in {where}", hint=f"there are {', '.join(there[:20])}" if there else None)


def read_manifest(data: bytes, descriptor: Descriptor) -> RemoteManifest:
    """A manifest whose bytes are those that the descriptor names. Raises Corrupt."""
    hasher = descriptor.id.hasher()
    hasher.update(data)
    if Digest.finish(hasher, descriptor.id.algorithm) != descriptor.digest:
        raise Corrupt(f"{descriptor.digest}: the manifest is damaged")
    plain = Descriptor(media_type=descriptor.media_type, digest=descriptor.digest, size=len(data))
    return RemoteManifest(plain, data)


class LayoutOrigin:
    """See Origin."""

    def __init__(self, directory: str, name: str) -> None:
        self._directory = directory
        self._name = name

    def top(self) -> RemoteManifest:
        """See Origin."""
        return self.manifest(pick(read_index(self._directory), self._name, self._directory))

    def manifest(self, descriptor: Descriptor, /) -> RemoteManifest:
        """See Origin."""
        with self._file(descriptor) as file:
            return read_manifest(file.read(MANIFEST_CAP + 1), descriptor)

    def open(self, descriptor: Descriptor, start: int = 0, /) -> AbstractContextManager[Readable]:
        """See Origin."""
        file = self._file(descriptor)
        if start:
            file.seek(start)
            return file
        return VerifiedReader(file, descriptor.id, descriptor.size, closing=file)

    def _file(self, descriptor: Descriptor) -> io.FileIO:
        try:
            return io.FileIO(blob_path(self._directory, descriptor.id), "rb")
        except FileNotFoundError:
            raise NotFound(f"{descriptor.digest} is missing in {self._directory}") from None

    def close(self) -> None:
        """See Origin."""


def read_index(directory: str) -> Index:
    """The index of a layout. Raises NotFound, Corrupt."""
    try:
        with open(f"{directory}/index.json", "rb") as file:
            return msgspec.json.decode(file.read(_INDEX_CAP), type=Index)
    except FileNotFoundError:
        raise NotFound(f"{directory} is no OCI image layout: it has no index.json") from None
    except (msgspec.DecodeError, InvalidArgument, RecursionError) as error:
        raise Corrupt(f"{directory}/index.json is damaged: {error}") from None


def blob_path(directory: str, digest: Digest) -> str:
    """Where a blob of a layout lies."""
    return f"{directory}/blobs/{digest.algorithm}/{digest.hex}"


class LayoutGoal:
    """See Goal. What else is in the layout stays."""

    def __init__(self, directory: str, name: str) -> None:
        self._directory = directory
        self._name = name
        os.makedirs(f"{directory}/blobs/sha256", exist_ok=True)
        if not os.path.exists(f"{directory}/oci-layout"):
            _write(f"{directory}/oci-layout", _LAYOUT)

    def put_blob(self, descriptor: Descriptor, origin: Origin, /) -> bool:
        """See Goal."""
        path = blob_path(self._directory, descriptor.id)
        if os.path.exists(path):
            return False
        temporary = f"{self._directory}/.{descriptor.id.short}.{secrets.token_hex(4)}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with origin.open(descriptor) as stream, open(temporary, "wb", buffering=0) as file:
                while piece := stream.read(_PIECE):
                    file.write(piece)
            os.rename(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise
        return True

    def put_manifest(self, manifest: RemoteManifest, /) -> None:
        """See Goal."""
        _write(blob_path(self._directory, manifest.descriptor.id), manifest.data)

    def finish(self, top: RemoteManifest, /) -> None:
        """See Goal."""
        self.put_manifest(top)
        try:
            others = read_index(self._directory).manifests
        except NotFound:
            others = ()
        kept = [
            one
            for one in others
            if (
                (one.annotations or {}).get(TAG) != self._name
                if self._name
                else one.digest != top.descriptor.digest
            )
        ]
        annotations = {TAG: self._name} if self._name else None
        mine = msgspec.structs.replace(top.descriptor, annotations=annotations)
        index = Index(schema_version=2, media_type=OCI_INDEX, manifests=(*kept, mine))
        _write(f"{self._directory}/index.json", index.encode())

    def close(self) -> None:
        """See Goal."""


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{secrets.token_hex(4)}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.rename(temporary, path)
