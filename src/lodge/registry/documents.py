"""Manifests as a registry sees them: whose bytes they need, whom they refer to. Strangers are judged here.

Stricter readings (how many layers a kernel can stack) are for who runs an image; a registry also keeps
artifacts. Pure.
"""

from __future__ import annotations

import msgspec

from lodge.errors import InvalidArgument
from lodge.registry.refusals import manifest_invalid
from lodge.spec.descriptor import (
    DOCKER_LAYER_FOREIGN,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_LAYER_FOREIGN,
    OCI_MANIFEST,
    Descriptor,
)
from lodge.spec.digest import Digest

CAP = 4 << 20
"""Bytes of a manifest: the specification wants at least that much accepted."""
_FOREIGN = (OCI_LAYER_FOREIGN, DOCKER_LAYER_FOREIGN)


class _Shape(msgspec.Struct, rename="camel", frozen=True):
    schema_version: int | None = None
    media_type: str | None = None
    artifact_type: str | None = None
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    manifests: tuple[Descriptor, ...] | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a manifest or index after reading it. `blobs` and `children` must be there with it."""

    media_type: str
    blobs: tuple[Digest, ...] = ()
    foreign: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()
    subject: Digest | None = None
    artifact_type: str | None = None
    annotations: dict[str, str] | None = None


def read(data: bytes, declared: str = "") -> Document:
    """Read a manifest; `declared` is the Content-Type it came with. Raises Refusal MANIFEST_INVALID."""
    try:
        shape = msgspec.json.decode(data, type=_Shape)
    except (msgspec.DecodeError, InvalidArgument, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise manifest_invalid(f"manifest invalid: {error}") from None
    if shape.schema_version != 2:
        raise manifest_invalid(f"manifest invalid: schema version {shape.schema_version} is not supported")
    media_type = _media_type(shape, declared.partition(";")[0].strip())
    if media_type in INDEX_TYPES:
        return _index(shape, media_type)
    return _manifest(shape, media_type)


def _media_type(shape: _Shape, declared: str) -> str:
    """One document, one kind (CVE-2021-41190): header, field and members must agree."""
    if shape.manifests is not None and (shape.layers is not None or shape.config is not None):
        raise manifest_invalid("manifest invalid: a manifest and an index at once")
    guess = OCI_INDEX if shape.manifests is not None else OCI_MANIFEST
    inner = shape.media_type
    known = declared in INDEX_TYPES or declared in MANIFEST_TYPES
    if known and inner is not None and inner != declared:
        raise manifest_invalid(f"manifest invalid: mediaType {inner!r} came as Content-Type {declared!r}")
    media_type = inner or (declared if known else guess)
    if media_type not in INDEX_TYPES and media_type not in MANIFEST_TYPES:
        raise manifest_invalid(f"manifest invalid: media type {media_type[:200]!r} is not supported")
    if (media_type in INDEX_TYPES) != (shape.manifests is not None):
        raise manifest_invalid(f"manifest invalid: not of the form of {media_type}")
    return media_type


def _index(shape: _Shape, media_type: str) -> Document:
    children: list[Digest] = []
    blobs: list[Digest] = []
    for entry in shape.manifests or ():
        # what is no manifest by its type is a blob to us: it is needed all the same
        (children if entry.is_index or entry.is_manifest else blobs).append(entry.id)
    return Document(
        media_type=media_type,
        blobs=tuple(dict.fromkeys(blobs)),
        children=tuple(dict.fromkeys(children)),
        subject=shape.subject.id if shape.subject is not None else None,
        artifact_type=shape.artifact_type,
        annotations=shape.annotations,
    )


def _manifest(shape: _Shape, media_type: str) -> Document:
    if shape.config is None:
        raise manifest_invalid("manifest invalid: it has no config")
    layers = shape.layers or ()
    foreign = dict.fromkeys(e.id for e in layers if e.media_type.startswith(_FOREIGN) or e.urls)
    own = [shape.config.id, *(each.id for each in layers if each.id not in foreign)]
    return Document(
        media_type=media_type,
        blobs=tuple(dict.fromkeys(own)),
        foreign=tuple(foreign),
        subject=shape.subject.id if shape.subject is not None else None,
        artifact_type=shape.artifact_type or shape.config.media_type,
        annotations=shape.annotations,
    )
