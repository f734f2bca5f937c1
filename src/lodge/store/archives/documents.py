"""What the documents of an image archive say: which images it holds, and their names.

An OCI layout's `index.json` is followed as it is, multi-platform indexes included; names come from its
annotations and from Docker's `manifest.json` beside it. An archive with a `manifest.json` only (before
Docker 25) gets OCI manifests made for it, the same for the same archive; its configurations, which give
Docker's image IDs, stay byte for byte. Only values here: bytes are in the store, or came as small
documents.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from lodge.archive.compression import GZIP, NONE, ZSTD
from lodge.errors import Corrupt, InvalidArgument, NotFound
from lodge.spec.descriptor import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
)
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP, ImageConfig, Index, Manifest
from lodge.spec.reference import Reference
from lodge.store.archives import ancient
from lodge.store.content import Content
from lodge.store.references import CONTAINERD_NAME, NAME

_LAYER_TYPES = {NONE: OCI_LAYER, GZIP: OCI_LAYER_GZIP, ZSTD: OCI_LAYER_ZSTD}
Targets = list[tuple[Descriptor, list[str]]]


class Arrived(Struct, frozen=True, kw_only=True):
    """A large member that became a blob; `diff_id` is None when it could not be read as a layer."""

    digest: Digest
    size: int
    compression: str
    diff_id: Digest | None
    failure: Exception | None


class _Entry(Struct, frozen=True):
    """One image in Docker's `manifest.json`."""

    config: str = msgspec.field(name="Config")
    layers: list[str] = msgspec.field(name="Layers", default_factory=list)
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)


class Documents:
    """The small members of one archive, by path."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}
        self._aliases: dict[str, str] = {}

    def add(self, path: str, data: bytes) -> None:
        """Take a document; the last of one path counts."""
        self._data[path] = data

    def alias(self, path: str, target: str, *, symbolic: bool) -> None:
        """Take a link: old archives name a layer that two images share twice."""
        base = posixpath.dirname(path) if symbolic else ""
        self._aliases[path] = posixpath.normpath(posixpath.join(base, target))

    def targets(self, arrived: dict[str, Arrived], content: Content) -> Targets:
        """Store the documents that are blobs, and return each image with its names. Raises Corrupt."""
        self._check_blobs()
        entries = self._entries()
        if "index.json" in self._data and "oci-layout" in self._data:
            return self._from_layout(entries, content)
        made: dict[Descriptor, list[str]] = {}
        if entries:
            for entry in entries:
                target = self._manifest_of(entry, arrived, content)
                made.setdefault(target, []).extend(_canonical(entry.tags))
        elif "repositories" in self._data:
            for old in ancient.images(self._data):
                layers = [self._diff_id(path, arrived) for path in old.layers]
                target = self._image(old.config(layers), old.layers, layers, arrived, content)
                made.setdefault(target, []).extend(_canonical([old.name]))
        else:
            raise Corrupt(
                "the archive holds no image: there is neither a manifest.json nor an OCI image layout",
                hint="use import for the tar of a root file system",
            )
        return list(made.items())

    def _check_blobs(self) -> None:
        for path, data in self._data.items():
            parts = path.split("/")
            if len(parts) == 3 and parts[0] == "blobs" and parts[1] == "sha256":
                found = Digest.of(data)
                if found.hex != parts[2]:
                    raise Corrupt(f"{parts[1]}:{parts[2]}: the content has the digest {found}")

    def _entries(self) -> list[_Entry]:
        if "manifest.json" not in self._data:
            return []
        try:
            return msgspec.json.decode(self._data["manifest.json"], type=list[_Entry])
        except msgspec.DecodeError as error:
            raise Corrupt(f"the archive's manifest.json is invalid: {error}") from error

    def _from_layout(self, entries: list[_Entry], content: Content) -> Targets:
        for path, data in self._data.items():
            if path.startswith("blobs/sha256/"):
                content.put(data)
        index = Index.decode(self._data["index.json"])
        tags = {Digest.of(self._data[e.config]): e.tags for e in entries if e.config in self._data}
        found: dict[Descriptor, list[str]] = {}
        for entry in index.manifests:
            if not (entry.is_manifest or entry.is_index):
                continue
            names = found.setdefault(_bare(entry), [])
            names += [name for name in _annotated(entry) if name not in names]
            if entry.is_manifest and content.exists(entry.id):
                config = Manifest.decode(content.read(entry.id, MANIFEST_CAP)).config.id
                names += [name for name in _canonical(tags.get(config)) if name not in names]
        if not found:
            raise Corrupt("the archive's index.json names no image")
        return list(found.items())

    def _manifest_of(self, entry: _Entry, arrived: dict[str, Arrived], content: Content) -> Descriptor:
        raw = self._data.get(self._resolve(entry.config))
        if raw is None:
            raise Corrupt(f"the archive has no {entry.config!r}, which its manifest.json names")
        config = ImageConfig.decode(raw)
        if len(config.rootfs.diff_ids) != len(entry.layers):
            raise Corrupt(
                f"invalid manifest, layers length mismatch: expected {len(config.rootfs.diff_ids)}, "
                f"got {len(entry.layers)}"
            )
        return self._image(raw, entry.layers, config.rootfs.diff_ids, arrived, content)

    def _image(
        self,
        raw: bytes,
        paths: Sequence[str],
        diff_ids: Sequence[str],
        arrived: dict[str, Arrived],
        content: Content,
    ) -> Descriptor:
        """Store a configuration as it is, and a manifest for it and the layers at the paths."""
        layers = tuple(
            self._layer(path, diff_id, arrived, content)
            for path, diff_id in zip(paths, diff_ids, strict=True)
        )
        digest = content.put(raw)
        manifest = Manifest(
            schema_version=2,
            media_type=OCI_MANIFEST,
            config=Descriptor(media_type=OCI_CONFIG, digest=digest, size=len(raw)),
            layers=layers,
        ).encode()
        return Descriptor(media_type=OCI_MANIFEST, digest=content.put(manifest), size=len(manifest))

    def _diff_id(self, path: str, arrived: dict[str, Arrived]) -> str:
        """Return what the bytes themselves say, for archives that don't name diff IDs."""
        found = arrived.get(self._resolve(path))
        if found is None:
            raise Corrupt(f"the archive has no {path!r}, which its documents name")
        if found.failure is not None:
            raise found.failure
        return str(found.diff_id)

    def _layer(self, path: str, diff_id: str, arrived: dict[str, Arrived], content: Content) -> Descriptor:
        found = arrived.get(self._resolve(path))
        if found is None:
            # An archive may leave out a layer that the other side is known to have.
            try:
                return Descriptor(media_type=OCI_LAYER, digest=diff_id, size=content.stat(Digest(diff_id)))
            except NotFound:
                raise Corrupt(f"the archive has no {path!r}, which its manifest.json names") from None
        if found.failure is not None:
            raise found.failure
        if found.diff_id != diff_id:
            raise Corrupt(f"{path!r}: expected the diff ID {diff_id}, found {found.diff_id}")
        media_type = _LAYER_TYPES.get(found.compression)
        if media_type is None:
            raise Corrupt(f"{path!r}: layers compressed with {found.compression} have no media type")
        return Descriptor(media_type=media_type, digest=found.digest, size=found.size)

    def _resolve(self, path: str) -> str:
        path = posixpath.normpath(path)
        for _ in range(8):
            if path not in self._aliases:
                break
            path = self._aliases[path]
        return path


def _bare(entry: Descriptor) -> Descriptor:
    kept = {
        key: value for key, value in (entry.annotations or {}).items() if key not in (NAME, CONTAINERD_NAME)
    }
    return msgspec.structs.replace(entry, annotations=kept or None)


def _annotated(entry: Descriptor) -> list[str]:
    """Return the names that an entry of `index.json` carries: containerd's, else a full ref.name."""
    annotations = entry.annotations or {}
    full = annotations.get(CONTAINERD_NAME)
    if full:
        return _canonical([full])
    name = annotations.get(NAME, "")
    # A bare tag, as the specification has it, names no repository.
    return _canonical([name]) if "/" in name or ":" in name else []


def _canonical(names: Any) -> list[str]:
    found: list[str] = []
    for name in names or ():
        try:
            found.append(str(Reference.parse(name)))
        except InvalidArgument as error:
            raise Corrupt(f"the archive has an image with an invalid name: {name!r}: {error}") from error
    return found
