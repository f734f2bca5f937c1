"""Images on their way out, blob by blob: reading blobs, and layers compressed as a registry wants them.

What was pulled leaves as it came. What was committed or loaded is a plain tar: it is compressed once, kept as
a blob of its own, and remembered, so that a second push finds the same digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from lodge.archive.compression import GZIP, NONE, ZSTD, compressor, detect, inflate
from lodge.archive.source import CHUNK, DescriptorReader
from lodge.errors import Corrupt, InvalidArgument, NotFound
from lodge.spec.descriptor import (
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    Descriptor,
)
from lodge.spec.digest import Digest
from lodge.store.content import Content
from lodge.store.durability import replace_file
from lodge.store.images import Images
from lodge.store.references import References
from lodge.store.space import disk_full_is_exhausted


class Departure:
    """The way out for images to registries. Hold a lease meanwhile. Safe in threads."""

    def __init__(self, content: Content, images: Images, references: References) -> None:
        self._content = content
        self._images = images
        self._references = references
        self._records = os.path.join(content.directory, "compressed")

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is here."""
        return self._content.exists(digest)

    def read(self, digest: Digest, cap: int) -> bytes:
        """Return a small blob, checked. Raises NotFound, Corrupt."""
        return self._content.read(digest, cap)

    def put(self, data: bytes) -> Digest:
        """Keep a small blob. Idempotent."""
        return self._content.put(data)

    @contextmanager
    def open(self, digest: Digest, start: int = 0) -> Iterator[DescriptorReader]:
        """Read a blob from `start` on, for a registry that checks it itself. Raises NotFound."""
        self._content.stat(digest)
        fd = os.open(self._content.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.lseek(fd, start, os.SEEK_SET)
            yield DescriptorReader(fd)
        finally:
            os.close(fd)

    def holders(self, domain: str) -> dict[str, list[str]]:
        """Return which repositories of a registry hold a blob, by the blob's digest, as far as known."""
        found: dict[str, list[str]] = {}
        for name, target in self._references.list().items():
            if not name.startswith(f"{domain}/"):
                continue
            path = name.removeprefix(f"{domain}/").partition("@")[0].partition(":")[0]
            try:
                manifest = self._images.resolve(target).manifest
            except (NotFound, Corrupt):
                continue
            for blob in (manifest.config, *manifest.layers):
                paths = found.setdefault(blob.digest, [])
                if path not in paths:
                    paths.append(path)
        return found

    def knows(self, beginning: str) -> bool:
        """Whether a name of an image begins so."""
        return any(name.startswith(beginning) for name in self._references.list())

    def compressed(self, layer: Descriptor, kind: str | None, level: int | None, owner: str) -> Descriptor:
        """Return a layer as it is sent: a plain one is compressed, and with `kind` every other one as well.

        `kind` is gzip or zstd, None leaves compressed layers alone. `owner` is the media type of the manifest
        that will name it. Raises NotFound, InvalidArgument.
        """
        with self.open(layer.id) as blob:
            now = detect(blob.read(16))
        if now == kind or (kind is None and now != NONE):
            return layer
        wanted = kind or GZIP
        media_type = _media_type(wanted, owner)
        record = os.path.join(self._records, f"{layer.id.algorithm}-{layer.id.hex}.{wanted}-{level}")
        known = self._known(record)
        if known is None:
            with disk_full_is_exhausted("the layer can't be compressed"):
                known = self._compress(layer, wanted, level)
                os.makedirs(self._records, mode=0o700, exist_ok=True)
                replace_file(record, msgspec.json.encode({"digest": str(known[0]), "size": known[1]}))
        return msgspec.structs.replace(layer, media_type=media_type, digest=str(known[0]), size=known[1])

    def _known(self, record: str) -> tuple[Digest, int] | None:
        try:
            with open(record, "rb") as file:
                fields = msgspec.json.decode(file.read())
            digest, size = Digest(fields["digest"]), int(fields["size"])
        except (FileNotFoundError, msgspec.DecodeError, LookupError, TypeError, InvalidArgument):
            return None
        return (digest, size) if self._content.exists(digest) else None

    def _compress(self, layer: Descriptor, kind: str, level: int | None) -> tuple[Digest, int]:
        packer = compressor(kind, level)
        with self._content.open(layer.id) as blob, self._content.ingest() as ingest:
            _, plain = inflate(blob)
            while piece := plain.read(CHUNK):
                if ready := packer.compress(piece):
                    ingest.write(ready)
            ingest.write(packer.flush())
            return ingest.commit(), ingest.offset()

    def name(self, name: str, target: Descriptor) -> None:
        """Give an image a further canonical name."""
        self._references.assign(name, target)


def _media_type(kind: str, owner: str) -> str:
    if kind == ZSTD:
        return OCI_LAYER_ZSTD
    return DOCKER_LAYER_GZIP if owner == DOCKER_MANIFEST else OCI_LAYER_GZIP
