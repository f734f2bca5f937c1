"""Which manifests of an index a pull takes, and which it must not take. Pure but for reading nested indexes.

Attestations and other artifacts in an index belong to images and are none. An artifact that is named itself
is refused in Docker's words, as are images of schema 1 and layers that lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lodge.distribution.repository import SCHEMA_1, RemoteManifest
from lodge.errors import Corrupt, Forbidden, NotFound, Unsupported
from lodge.spec.descriptor import DOCKER_LAYER_FOREIGN, OCI_LAYER_FOREIGN, Descriptor
from lodge.spec.image import Manifest
from lodge.spec.platform import Platform

_DEEPEST = 4
_MOST_MANIFESTS = 1000
_REFERENCE_TYPE = "vnd.docker.reference.type"
_CONFIG_TYPES = ("", "application/octet-stream", "application/json", "text/html")
"""Besides the right ones: what old registries and builders wrote there."""
Fetch = Callable[[Descriptor], RemoteManifest]


def offers(top: RemoteManifest, fetch: Fetch, depth: int = _DEEPEST) -> Iterator[Descriptor]:
    """Yield the manifests of images below an index, in order, each with its platform if it has one."""
    if not depth:
        raise Corrupt("image indexes are nested too deeply")
    for entry in top.index().manifests[:_MOST_MANIFESTS]:
        if (entry.annotations or {}).get(_REFERENCE_TYPE) or entry.artifact_type:
            continue
        if entry.platform is not None and entry.platform.os == "unknown":
            continue
        if entry.is_manifest:
            yield entry
        elif entry.is_index:
            yield from offers(fetch(entry), fetch, depth - 1)


def choose(found: list[Descriptor], platform: Platform) -> Descriptor:
    """Return the manifest that suits a platform best. NotFound "no matching manifest for ..."."""
    chosen = platform.choose((entry.platform, entry) for entry in found)
    if chosen is None:
        there = ", ".join(sorted({str(entry.platform.normalised()) for entry in found if entry.platform}))
        raise NotFound(
            f"no matching manifest for {platform} in the manifest list entries: no match for platform in "
            "manifest: not found",
            hint=f"there are {there}" if there else None,
        )
    return chosen


def check_top(top: Descriptor, name: str) -> None:
    """Refuse what is neither a manifest nor an index that can be read."""
    if top.media_type in SCHEMA_1:
        raise Unsupported(
            "Docker Image Format v1, and Docker Image manifest version 2, schema 1 support has been removed. "
            f"Suggest the author of {name} to upgrade the image to the OCI Format or Docker Image manifest "
            "v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/"
        )
    if not (top.is_index or top.is_manifest):
        raise Unsupported(f"unsupported media type {top.media_type}")


def check_manifest(manifest: Manifest) -> None:
    """Refuse an artifact that is no image, and layers that can't be had from the registry."""
    config = manifest.config
    if not config.is_config and (manifest.artifact_type or config.media_type not in _CONFIG_TYPES):
        kind = manifest.artifact_type or config.media_type
        raise Unsupported(f'invalid media type: encountered remote "{kind}" (an artifact, not an image)')
    for layer in manifest.layers:
        if layer.urls or layer.media_type.startswith((OCI_LAYER_FOREIGN, DOCKER_LAYER_FOREIGN)):
            raise Forbidden(
                f"layer {layer.id.short} is a foreign layer ({layer.media_type}): its registry does not hold "
                "it, and addresses that an image names are not followed"
            )
        if not layer.is_layer:
            raise Unsupported(f"layer {layer.id.short} has the unsupported media type {layer.media_type}")
