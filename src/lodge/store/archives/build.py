"""New images of one more layer: from the tar of a root file system (import) or from a snapshot (commit)."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from lodge.archive.compression import GZIP, NONE, ZSTD, compressor, inflate
from lodge.archive.source import CHUNK, Readable
from lodge.archive.tree import TreeOptions
from lodge.errors import InvalidArgument
from lodge.spec.container import ContainerConfig
from lodge.spec.descriptor import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Descriptor,
)
from lodge.spec.digest import Digest, hasher
from lodge.spec.image import History, ImageConfig, Manifest, RootFS
from lodge.spec.platform import Platform, host
from lodge.store.content import Content, Ingest
from lodge.store.images import Images, ResolvedImage
from lodge.store.snapshots.contract import Snapshotter

_TYPES = {NONE: OCI_LAYER, GZIP: OCI_LAYER_GZIP, ZSTD: OCI_LAYER_ZSTD}


class Builder:
    """Makes images in one store. What it makes has no name yet: hold a lease until it has."""

    def __init__(self, content: Content, images: Images, snapshots: Snapshotter) -> None:
        self._content = content
        self._images = images
        self._snapshots = snapshots

    def import_tar(
        self,
        stream: Readable,
        *,
        config: ContainerConfig | None = None,
        message: str = "",
        platform: Platform | None = None,
    ) -> Descriptor:
        """Make an image of one layer from a tar, compressed or not, and unpack it. Raises Corrupt."""
        _, plain = inflate(stream)
        with self._content.ingest() as ingest:
            diff_hasher = hasher()
            while piece := plain.read(CHUNK):
                diff_hasher.update(piece)
                ingest.write(piece)
            if not ingest.offset():
                raise InvalidArgument("the archive to import is empty")
            diff_id = Digest.finish(diff_hasher)
            layer = Descriptor(media_type=OCI_LAYER, digest=ingest.commit(), size=ingest.offset())
        target = (platform or host()).normalised()
        created = now()
        base = ImageConfig(
            architecture=target.architecture, os=target.os, variant=target.variant or "", created=created
        )
        history = History(created=created, comment=message or "Imported from -")
        return self._finish(base, config or ContainerConfig(), layer, diff_id, history, ())

    def commit(
        self,
        key: str,
        base: ResolvedImage | None,
        config: ContainerConfig,
        *,
        message: str = "",
        author: str = "",
        created_by: str = "",
        compression: str = NONE,
        level: int | None = None,
        latest: int | None = None,
    ) -> Descriptor:
        """Make an image of `base` and what a snapshot has written on top of it, and unpack the new layer.

        `created_by` is the command of the container, for the history. `latest` clamps times, in nanoseconds.
        A container that writes meanwhile makes an archive that is well-formed, of files as they were read.
        """
        media_type = _TYPES.get(compression)
        if media_type is None:
            raise InvalidArgument(f"layers can't be compressed with {compression!r}")
        with self._content.ingest() as ingest:
            sink = _Sink(ingest, compression, level)
            self._snapshots.archive(key, sink.write, TreeOptions(latest=latest))
            sink.finish()
            layer = Descriptor(media_type=media_type, digest=ingest.commit(), size=ingest.offset())
        created = now() if latest is None else _rfc3339(latest)
        target = host()
        old = base.config if base is not None else ImageConfig(architecture=target.architecture, os=target.os)
        new = msgspec.structs.replace(old, created=created, author=author or old.author)
        history = History(created=created, created_by=created_by, author=author, comment=message)
        return self._finish(new, config, layer, sink.diff_id(), history, base.manifest.layers if base else ())

    def _finish(
        self,
        base: ImageConfig,
        config: ContainerConfig,
        layer: Descriptor,
        diff_id: Digest,
        history: History,
        below: tuple[Descriptor, ...],
    ) -> Descriptor:
        image = msgspec.structs.replace(
            base,
            config=config,
            rootfs=RootFS(diff_ids=(*base.rootfs.diff_ids, str(diff_id))),
            history=(*base.history, history),
        )
        raw = image.encode()
        descriptor = Descriptor(media_type=OCI_CONFIG, digest=self._content.put(raw), size=len(raw))
        manifest = Manifest(
            schema_version=2, media_type=OCI_MANIFEST, config=descriptor, layers=(*below, layer)
        ).encode()
        target = Descriptor(media_type=OCI_MANIFEST, digest=self._content.put(manifest), size=len(manifest))
        self._images.unpack(self._images.resolve(target))
        return target


class _Sink:
    """Takes a plain tar, and writes it compressed into a blob."""

    def __init__(self, ingest: Ingest, compression: str, level: int | None) -> None:
        self._ingest = ingest
        self._hasher = hasher()
        self._compressor = compressor(compression, level)

    def write(self, piece: bytes) -> None:
        self._hasher.update(piece)
        ready = self._compressor.compress(piece)
        if ready:
            self._ingest.write(ready)

    def finish(self) -> None:
        self._ingest.write(self._compressor.flush())

    def diff_id(self) -> Digest:
        return Digest.finish(self._hasher)


def now() -> str:
    """Return the time as images have it: RFC 3339, UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _rfc3339(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1_000_000_000, UTC).isoformat().replace("+00:00", "Z")
