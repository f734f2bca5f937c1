"""Manifests, indexes and configurations of images (OCI image-spec: manifest.md, image-index.md, config.md).

Docker's forms of the same (manifest schema 2, manifest list, container image v1) decode into the same values.
Decoding is the gate for bytes from strangers: size, nesting, counts and the one-kind-of-document rule
(CVE-2021-41190) are checked here, and everything that is wrong is `errors.Corrupt`. No I/O.
"""

from __future__ import annotations

import hashlib
from typing import Any, Self, TypeVar, cast

import msgspec
from msgspec import Struct

from lodge.errors import Corrupt, InvalidArgument
from lodge.spec.container import ContainerConfig
from lodge.spec.descriptor import INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.platform import Platform

MANIFEST_CAP = 4 << 20
"""Bytes of a manifest or index: what registries accept as well."""
CONFIG_CAP = 8 << 20
"""Bytes of a configuration, as BuildKit and containerd allow."""
LAYERS_CAP = 500
"""The kernel stacks no more lower directories (OVL_MAX_STACK in fs/overlayfs)."""
_ENTRIES_CAP = 20_000
"""Of anything else that is a list or map in a manifest or configuration (hostile input, CVE-2026-47262)."""

S = TypeVar("S", bound=Struct)


class Manifest(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """The manifest of one image: its configuration and its layers, the base first."""

    schema_version: int
    media_type: str | None = None
    artifact_type: str | None = None
    config: Descriptor
    layers: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read JSON; raises Corrupt when it is no manifest, or claims to be an index as well."""
        fields = _object(data, MANIFEST_CAP, "image manifest")
        if "manifests" in fields or fields.get("mediaType", OCI_MANIFEST) not in MANIFEST_TYPES:
            raise Corrupt("invalid image manifest: the document is of another kind or of two kinds at once")
        manifest = _convert(fields, cls, "image manifest")
        if manifest.schema_version != 2:
            raise Corrupt(f"image manifest schema version {manifest.schema_version} is not supported")
        if len(manifest.layers) > LAYERS_CAP:
            raise Corrupt(f"max depth exceeded: the image has {len(manifest.layers)} layers")
        return manifest

    def encode(self) -> bytes:
        """Return deterministic JSON."""
        return msgspec.json.encode(self)


class Index(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A list of manifests (and of further indexes), one a platform."""

    schema_version: int
    media_type: str | None = None
    artifact_type: str | None = None
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read JSON; raises Corrupt when it is no index, or claims to be a manifest as well."""
        fields = _object(data, MANIFEST_CAP, "image index")
        if "layers" in fields or "config" in fields or fields.get("mediaType", OCI_INDEX) not in INDEX_TYPES:
            raise Corrupt("invalid image index: the document is of another kind or of two kinds at once")
        index = _convert(fields, cls, "image index")
        if index.schema_version != 2:
            raise Corrupt(f"image index schema version {index.schema_version} is not supported")
        return index

    def encode(self) -> bytes:
        """Return deterministic JSON."""
        return msgspec.json.encode(self)


class History(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One step of an image's making; `created` is RFC 3339 text as it came. An empty layer has no diff ID."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFS(Struct, frozen=True, kw_only=True):
    """The layers as digests of their uncompressed tars, the base first."""

    type: str = "layers"
    diff_ids: tuple[str, ...] = ()


class ImageConfig(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The configuration of an image: what a container made of it inherits, its layers and its history.

    Fields that are not known here are kept in `unknown` (of the document) and `unknown_config` (of its inner
    `config`), and are written again by `encode`, so that an image made from another loses nothing.
    """

    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")
    created: str | None = None
    author: str = ""
    config: ContainerConfig = msgspec.field(default_factory=ContainerConfig)
    rootfs: RootFS = RootFS()
    history: tuple[History, ...] = ()
    unknown: dict[str, Any] = {}
    unknown_config: dict[str, Any] = {}

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read JSON; a null stands for an absent field. Raises Corrupt."""
        fields = _object(data, CONFIG_CAP, "image configuration")
        inner = fields.get("config") or {}
        if not isinstance(inner, dict):
            raise Corrupt("invalid image configuration: config is not an object")
        unknown = {key: value for key, value in fields.items() if key not in _KNOWN}
        unknown_config = {key: value for key, value in inner.items() if key not in _KNOWN_CONFIG}
        known = {key: value for key, value in fields.items() if key in _KNOWN}
        known["unknown"], known["unknown_config"] = unknown, unknown_config
        config = _convert(known, cls, "image configuration")
        for diff_id in config.rootfs.diff_ids:
            _digest(diff_id)
        return config

    def encode(self) -> bytes:
        """Return deterministic JSON, the unknown fields included."""
        fields = cast("dict[str, Any]", msgspec.to_builtins(self))
        unknown, unknown_config = fields.pop("unknown", {}), fields.pop("unknown_config", {})
        fields["config"] = {**_without_defaults(self.config), **unknown_config}
        fields.setdefault("architecture", self.architecture)
        fields.setdefault("os", self.os)
        fields["rootfs"] = msgspec.to_builtins(self.rootfs)
        return msgspec.json.encode({**fields, **unknown}, order="deterministic")

    @property
    def platform(self) -> Platform:
        """What it was built for, normalised."""
        made = Platform(architecture=self.architecture, os=self.os or "linux", variant=self.variant or None)
        return made.normalised()


_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(ImageConfig)) - {
    "unknown",
    "unknown_config",
}
_KNOWN_CONFIG = frozenset(field.encode_name for field in msgspec.structs.fields(ContainerConfig))


def chain_ids(diff_ids: tuple[str, ...] | list[str]) -> list[Digest]:
    """Return the chain ID of each layer: the digest that names it together with all layers below it.

    Source: image-spec config.md, "Layer ChainID". Raises Corrupt for a malformed diff ID.
    """
    chains: list[Digest] = []
    for diff_id in diff_ids:
        own = _digest(diff_id)
        chains.append(own if not chains else _chain(chains[-1], own))
    return chains


def _chain(parent: Digest, diff_id: Digest) -> Digest:
    return Digest("sha256:" + hashlib.sha256(f"{parent} {diff_id}".encode()).hexdigest())


def _digest(text: str) -> Digest:
    try:
        return Digest(text)
    except InvalidArgument as error:
        raise Corrupt(f"invalid image configuration: {error}") from error


def _object(data: bytes, cap: int, what: str) -> dict[str, Any]:
    if len(data) > cap:
        raise Corrupt(f"{what} is larger than {cap >> 20} MiB")
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Corrupt(f"invalid {what}: {error}") from error
    if not isinstance(fields, dict):
        raise Corrupt(f"invalid {what}: it is not a JSON object")
    return cast("dict[str, Any]", _without_nulls(fields, what))


def _without_nulls(value: Any, what: str) -> Any:
    """Drop null members of objects, for which the specification says the same as for absent ones."""
    if isinstance(value, dict):
        if len(value) > _ENTRIES_CAP:
            raise Corrupt(f"invalid {what}: an object with {len(value)} members")
        return {key: _without_nulls(item, what) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        if len(value) > _ENTRIES_CAP:
            raise Corrupt(f"invalid {what}: a list of {len(value)} elements")
        return [_without_nulls(item, what) for item in value]
    return value


def _convert(fields: dict[str, Any], kind: type[S], what: str) -> S:
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, RecursionError, InvalidArgument) as error:
        raise Corrupt(f"invalid {what}: {error}") from error


def _without_defaults(config: ContainerConfig) -> dict[str, Any]:
    """Return what was set: a stored image carries no row of empty fields."""
    every = cast("dict[str, Any]", msgspec.to_builtins(config))
    return {key: value for key, value in every.items() if value not in (None, "", False)}
