"""Saving images as one archive that is an OCI layout and a docker-archive at once, as Docker writes since 25.

Blobs go out as they are in the store; who loads them checks them. An index goes with all its manifests that
are here; one that is not all here is written for the platforms that are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from lodge.archive.header import DIRECTORY, REGULAR, Member
from lodge.archive.source import CHUNK
from lodge.archive.writer import TarWriter
from lodge.errors import Unsupported
from lodge.spec.descriptor import LODGE_HOST_LAYER, OCI_INDEX, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP, Index
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference
from lodge.store.content import Content
from lodge.store.images import Images, ResolvedImage
from lodge.store.references import CONTAINERD_NAME, NAME

Write = Callable[[bytes], object]
Send = Callable[[int, int], object]
"""Writes a file (its descriptor, and its size) to where `Write` goes, without this process reading it."""

# Smaller blobs are gathered into larger writes.
_WORTH_SENDING = 64 << 10
Wanted = Sequence[tuple[Descriptor, Sequence[str]]]
"""Each image's target, and the canonical names to save it under."""


class Saver:
    """Writes images of one store."""

    def __init__(self, content: Content, images: Images) -> None:
        self._content = content
        self._images = images

    def save(self, wanted: Wanted, write: Write, platform: Platform | None, send: Send | None = None) -> None:
        """Write all of `wanted`; each blob once. With a platform only its manifest of an index is taken.

        Raises NotFound (a blob or the platform is not here), Unsupported (the host image), and whatever
        `write` raises. Everything that can be known is checked before the first byte.
        """
        writer = TarWriter(write)
        images: list[tuple[ResolvedImage, Sequence[str]]] = []
        blobs: dict[str, int] = {}
        entries: list[Descriptor] = []
        for target, names in wanted:
            image = self._images.resolve(target, platform)
            if any(layer.media_type == LODGE_HOST_LAYER for layer in image.manifest.layers):
                raise Unsupported("the host image shows this machine's own files; it can't be saved")
            top = image.manifest_descriptor if platform is not None else target
            self._collect(top, blobs)
            entries += _entries(top, names)
            images.append((image, names))
        _write_layout(writer, entries, images)
        for digest, size in sorted(blobs.items()):
            self._write_blob(writer, Digest(digest), size, send)
        writer.finish()

    def _collect(self, target: Descriptor, blobs: dict[str, int]) -> None:
        """Note a target's blobs. An index may name what isn't here; the blobs of a manifest must be."""
        blobs[target.digest] = self._content.stat(target.id)
        if target.is_index:
            for entry in Index.decode(self._content.read(target.id, MANIFEST_CAP)).manifests:
                if self._content.exists(entry.id):
                    self._collect(entry, blobs)
        elif target.is_manifest:
            for descriptor in self._images.blobs(target):
                if not descriptor.urls or self._content.exists(descriptor.id):
                    blobs[descriptor.digest] = self._content.stat(descriptor.id)

    def _write_blob(self, writer: TarWriter, digest: Digest, size: int, send: Send | None) -> None:
        member = Member(f"blobs/{digest.algorithm}/{digest.hex}".encode(), REGULAR, size=size)
        writer.begin(member)
        if send is not None and size >= _WORTH_SENDING:
            with self._content.open_unchecked(digest) as file:
                writer.beside(size)
                send(file.fileno(), size)
        else:
            with self._content.open(digest) as reader:
                while piece := reader.read(CHUNK):
                    writer.data(piece)
        writer.end(member)


def _write_layout(
    writer: TarWriter, entries: Sequence[Descriptor], images: Sequence[tuple[ResolvedImage, Sequence[str]]]
) -> None:
    """Write the documents first, so that a reader knows what is to come."""
    repositories: dict[str, dict[str, str]] = {}
    for image, names in images:
        for name in names:
            reference = Reference.parse_name(name)
            if reference.tag and image.manifest.layers:
                tags = repositories.setdefault(reference.familiar_name, {})
                tags[reference.tag] = Digest(image.manifest.layers[-1].digest).hex
    index = Index(schema_version=2, media_type=OCI_INDEX, manifests=tuple(entries))
    manifest = [_docker_entry(image, names) for image, names in images]
    _document(writer, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    _document(writer, "index.json", index.encode())
    _document(writer, "manifest.json", msgspec.json.encode(manifest))
    if repositories:
        _document(writer, "repositories", msgspec.json.encode(repositories))
    for directory in (b"blobs/", b"blobs/sha256/"):
        writer.add(Member(directory, DIRECTORY, mode=0o755))


def _entries(target: Descriptor, names: Sequence[str]) -> list[Descriptor]:
    """Return the entries of `index.json`: one a name, as containerd and Docker write them."""
    if not names:
        return [target]
    found: list[Descriptor] = []
    for name in names:
        reference = Reference.parse_name(name)
        annotations = {**(target.annotations or {}), CONTAINERD_NAME: name}
        if reference.tag:
            annotations[NAME] = reference.tag
        found.append(msgspec.structs.replace(target, annotations=annotations))
    return found


def _docker_entry(image: ResolvedImage, names: Sequence[str]) -> dict[str, object]:
    tags = [reference.familiar() for name in names if (reference := Reference.parse_name(name)).tag]
    return {
        "Config": f"blobs/sha256/{image.config_digest.hex}",
        "RepoTags": tags or None,
        "Layers": [f"blobs/sha256/{Digest(layer.digest).hex}" for layer in image.manifest.layers],
    }


def _document(writer: TarWriter, name: str, data: bytes) -> None:
    writer.add(Member(name.encode(), REGULAR, size=len(data)), data)
