"""Base images without a registry: `debian:SUITE[-slim]`, `ubuntu:SUITE` and `busybox`, made on this machine.

This module names what can be made, wraps a layer into an image (config and manifest, as reproducible as the
layer is) and hands both to a store. How layers are made lives in `debian` and `busybox`; where they are kept
between runs in `layer_cache`. Blocking. The image `host` is none of ours: the store makes it of the root.
"""

from __future__ import annotations

import io
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from lodge.distribution import busybox, debian
from lodge.distribution.layer_cache import CachedLayer, LayerCache, Origin, Sink
from lodge.errors import InvalidArgument, Unavailable, Unsupported
from lodge.spec.container import ContainerConfig
from lodge.spec.descriptor import OCI_CONFIG, OCI_LAYER_ZSTD, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import History, ImageConfig, Manifest, RootFS
from lodge.spec.platform import Platform, host
from lodge.spec.reference import DEFAULT_DOMAIN, DEFAULT_TAG, OFFICIAL_PREFIX, Reference

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

RECIPES = ("busybox", "debian", "ubuntu")
"""Repositories that can be bootstrapped."""

_CHUNK = 1 << 20


class Writer(Protocol):
    """A blob on its way into the store."""

    def offset(self) -> int:
        """How many bytes an earlier, broken attempt has left: writing goes on there."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""

    def commit(self) -> Digest:
        """Verify and publish; raises Corrupt when the bytes are not what was announced."""


class Content(Protocol):
    """What is asked of the store's blobs."""

    def exists(self, digest: Digest, /) -> bool:
        """Whether the blob is there, whole."""

    def ingest(self, expected: Digest, size: int, /) -> AbstractContextManager[Writer]:
        """Take in a blob of this digest and size (bytes)."""


class References(Protocol):
    """What is asked of the store's names."""

    def set(self, name: str, descriptor: Descriptor, /) -> None:
        """Let the name point to the descriptor, whatever it pointed to."""


class ImageStore(Protocol):
    """Where the image goes; `lodge.store.Store` is one. The caller holds a lease against collection."""

    @property
    def content(self) -> Content:
        """The blobs."""

    @property
    def references(self) -> References:
        """The names."""


class Progress(Protocol):
    """Hears what happens: a sentence, and bytes done of a total where that is known."""

    def __call__(self, status: str, current: int = 0, total: int | None = None) -> None:
        """Called from the thread that makes the image, or from one that it started."""


class Bootstrapped(msgspec.Struct, frozen=True):
    """An image that is in the store now. `config` is its configuration's digest: Docker's image ID."""

    reference: str
    manifest: Descriptor
    config: Digest


def bootstrap(
    name: str,
    *,
    store: ImageStore,
    cache_dir: Path,
    progress: Progress | None = None,
    platform: Platform | None = None,
    mirror: str | None = None,
) -> Bootstrapped:
    """Make the image `name` (`debian:bookworm`, `ubuntu:24.04`, `busybox`) and tag it in the store.

    Idempotent: as long as the distribution's release is the same, so are the digests, and the layer comes
    from `cache_dir`. Where the mirror cannot be reached, an older layer from the cache serves.
    `mirror` is the address of the distribution's archive; by default the one that this machine's apt uses.
    `platform` is by default this machine's own.

    Raises InvalidArgument and Unsupported for what can't be made here, NotFound for a suite that the mirror
    does not have, Unavailable when a tool or the mirror is missing, OSError when the cache can't be written.
    """
    report = progress or _silent
    reference = _ours(Reference.parse(name))
    repository = reference.path.removeprefix(OFFICIAL_PREFIX)
    wanted = (platform or host()).normalised()
    cache = LayerCache(cache_dir)
    if repository == "busybox":
        layer, command = _busybox(cache, wanted, report), ["sh"]
    else:
        layer, command = _debian(reference, wanted, cache, report, mirror), ["bash"]
    made = _publish(reference, layer, command, wanted, store, report)
    report(f"{reference.familiar()} is {made.config}")
    return made


def _ours(reference: Reference) -> Reference:
    repository = reference.path.removeprefix(OFFICIAL_PREFIX)
    if repository == "host":
        raise InvalidArgument("the image host needs no bootstrap: it is this machine's own root file system")
    if reference.domain != DEFAULT_DOMAIN or repository not in RECIPES:
        raise InvalidArgument(
            f"there is no recipe for {reference.familiar()}",
            hint="images that can be made here: busybox, debian:SUITE, debian:SUITE-slim, ubuntu:SUITE",
        )
    if reference.digest is not None:
        raise InvalidArgument("an image that is made here cannot be asked for by digest")
    return reference


def _busybox(cache: LayerCache, platform: Platform, report: Progress) -> CachedLayer:
    if platform != host():
        raise Unsupported(f"busybox is made of this machine's own program, for {host()}, not for {platform}")
    program = busybox.find_busybox()
    report(f"Making busybox of {program}")
    key = Digest.of(program.read_bytes()).short
    origin = Origin(int(program.stat().st_mtime), "busybox-static")
    return cache.get("busybox", key, origin, lambda sink: busybox.write_layer(program, sink))


def _debian(
    reference: Reference, platform: Platform, cache: LayerCache, report: Progress, mirror: str | None
) -> CachedLayer:
    distribution, tag = reference.path.removeprefix(OFFICIAL_PREFIX), reference.tag or DEFAULT_TAG
    suite, slim = debian.parse_tag(distribution, tag)
    family = debian.family(distribution, suite, slim, platform)
    try:
        recipe = debian.plan(distribution, tag, platform, mirror=mirror)
    except Unavailable as error:
        older = cache.newest(family)
        if older is None:
            raise
        report(f"{error}; using the layer of {_time(older.origin.released)}")
        return older
    report(f"Making {distribution}:{suite} as released at {_time(recipe.released)}")

    def make(sink: Sink) -> None:
        debian.check_tools(distribution)
        for source in recipe.sources:
            report(f"From {source}")
        debian.write_layer(recipe, sink, work=cache.directory / "work", progress=report)

    origin = Origin(recipe.released, f"mmdebstrap --variant=minbase {'; '.join(recipe.sources)}")
    return cache.get(family, str(recipe.released), origin, make)


def _publish(
    reference: Reference,
    layer: CachedLayer,
    command: list[str],
    platform: Platform,
    store: ImageStore,
    report: Progress,
) -> Bootstrapped:
    created = _time(layer.origin.released)
    config = ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant or "",
        created=created,
        config=ContainerConfig(env=[PATH], cmd=command),
        rootfs=RootFS(diff_ids=(str(layer.diff_id),)),
        history=(History(created=created, created_by=layer.origin.made_by, comment="lodge image bootstrap"),),
    ).encode()
    described = _describe(OCI_CONFIG, config)
    stored = Descriptor(media_type=OCI_LAYER_ZSTD, digest=str(layer.digest), size=layer.size)
    manifest = Manifest(
        schema_version=2, media_type=OCI_MANIFEST, config=described, layers=(stored,)
    ).encode()
    target = _describe(OCI_MANIFEST, manifest)
    with open(layer.path, "rb") as file:
        _put(store.content, stored, file, report)
    for descriptor, body in ((described, config), (target, manifest)):
        _put(store.content, descriptor, io.BytesIO(body), report)
    store.references.set(str(reference), target)
    return Bootstrapped(str(reference), target, described.id)


def _put(content: Content, descriptor: Descriptor, file: BinaryIO, report: Progress) -> None:
    if content.exists(descriptor.id):
        return
    with content.ingest(descriptor.id, descriptor.size) as writer:
        done = file.seek(writer.offset())
        while block := file.read(_CHUNK):
            writer.write(block)
            done += len(block)
            report("Storing", done, descriptor.size)
        writer.commit()


def _describe(media_type: str, body: bytes) -> Descriptor:
    return Descriptor(media_type=media_type, digest=str(Digest.of(body)), size=len(body))


def _time(seconds: int) -> str:
    """RFC 3339, as images carry times."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _silent(status: str, current: int = 0, total: int | None = None) -> None:
    """The progress of a caller that does not listen."""
