"""Descriptors and media types of the OCI image-spec (descriptor.md, media-types.md) and their Docker forms.

Values only. What a descriptor may point to lives in `lodge.spec.image`; reading blobs is the store's work.
"""

from __future__ import annotations

import msgspec

from lodge.spec.digest import Digest
from lodge.spec.platform import Platform

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
OCI_LAYER_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = DOCKER_LAYER + ".gzip"
DOCKER_LAYER_ZSTD = DOCKER_LAYER + ".zstd"
DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
LODGE_HOST_LAYER = "application/vnd.lodge.host.root"
"""The layer of the `host` image: the machine's own root directory. It has no bytes."""

INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIG_TYPES = frozenset({OCI_CONFIG, DOCKER_CONFIG})
_LAYER_PREFIXES = (OCI_LAYER, OCI_LAYER_FOREIGN, DOCKER_LAYER, DOCKER_LAYER_FOREIGN)


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A typed, sized and digested pointer to a blob. `size` is in bytes.

    Embedded `data` (base64) is kept through but never trusted in place of the blob.
    """

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    urls: tuple[str, ...] | None = None
    artifact_type: str | None = None
    data: str | None = None

    def __post_init__(self) -> None:
        Digest(self.digest)
        if type(self.digest) is not str:
            # msgspec writes no subclasses of str.
            msgspec.structs.force_setattr(self, "digest", str(self.digest))
        if self.size < 0:
            raise ValueError("the size of a descriptor must not be negative")

    @property
    def id(self) -> Digest:
        """The digest, checked when the descriptor was made."""
        return Digest(self.digest)

    @property
    def is_index(self) -> bool:
        """Whether it points to an index of manifests, in OCI's or Docker's form."""
        return self.media_type in INDEX_TYPES

    @property
    def is_manifest(self) -> bool:
        """Whether it points to the manifest of one image, in OCI's or Docker's form."""
        return self.media_type in MANIFEST_TYPES

    @property
    def is_config(self) -> bool:
        """Whether it points to the configuration of an image, in OCI's or Docker's form."""
        return self.media_type in CONFIG_TYPES

    @property
    def is_layer(self) -> bool:
        """Whether it points to the tar of a layer, compressed or not."""
        return self.media_type.startswith(_LAYER_PREFIXES)

    def plain(self) -> Descriptor:
        """Return the bare pointer: media type, digest and size, without annotations and platform."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)
