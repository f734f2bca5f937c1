"""What a registry has under a name, without pulling it: its descriptor and the platforms. Blocks."""

from __future__ import annotations

from msgspec import Struct

from lodge.distribution import answers
from lodge.distribution.choice import check_top, offers
from lodge.distribution.pulling import explained
from lodge.distribution.registries import Places
from lodge.distribution.repository import RemoteManifest
from lodge.errors import Corrupt
from lodge.spec.descriptor import Descriptor
from lodge.spec.image import CONFIG_CAP, ImageConfig
from lodge.spec.platform import Platform
from lodge.spec.reference import Reference


class RemoteImage(Struct, frozen=True, kw_only=True):
    """A manifest or index as a registry has it, and the platforms of its images as far as they are told."""

    remote: RemoteManifest
    platforms: list[Platform]


def inspect(reference: Reference, places: Places) -> RemoteImage:
    """Ask for a name. Raises NotFound in Docker's words, Corrupt, Unavailable."""
    try:
        top = places.manifest(reference.digest or reference.tag or "")
        check_top(top.descriptor, reference.familiar())
        return RemoteImage(remote=top, platforms=_platforms(top, places))
    except answers.RegistryError as error:
        raise explained(error, reference) from error


def read_config(places: Places, config: Descriptor) -> ImageConfig:
    """Fetch and read the configuration of an image."""
    if config.size > CONFIG_CAP:
        raise Corrupt(f"the image configuration is larger than {CONFIG_CAP >> 20} MiB")
    return ImageConfig.decode(read_blob(places, config))


def read_blob(places: Places, blob: Descriptor) -> bytes:
    """Fetch a small blob whole; Corrupt when it isn't what the descriptor says. Its size is for callers."""
    pieces: list[bytes] = []
    hasher = blob.id.hasher()
    left = blob.size
    with places.blob(blob.id, blob.size) as stream:
        while left and (piece := stream.read(left)):
            left -= len(piece)
            hasher.update(piece)
            pieces.append(piece)
    if left or f"{blob.id.algorithm}:{hasher.hexdigest()}" != blob.digest:
        raise Corrupt(f"{blob.digest}: the registry sends something else")
    return b"".join(pieces)


def _platforms(top: RemoteManifest, places: Places) -> list[Platform]:
    if top.descriptor.is_index:
        found = offers(top, lambda entry: places.manifest(entry.digest))
        return [entry.platform for entry in found if entry.platform is not None]
    manifest = top.manifest()
    if not manifest.config.is_config:
        return []
    return [read_config(places, manifest.config).platform]
