"""What comes of a build: images in the store, archives, file trees."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from lodge.archive.tree import TreeOptions, write_tree
from lodge.build.contract import Options, Output
from lodge.build.graph import LayerRef, Rootfs
from lodge.build.planning.converter import Plan
from lodge.engine.parts import Parts
from lodge.errors import InvalidArgument, Unsupported
from lodge.spec.descriptor import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import History, ImageConfig, Index, Manifest, RootFS
from lodge.spec.reference import Reference
from lodge.store.images import ResolvedImage

_SECOND = 10**9


class Made(Struct, frozen=True, kw_only=True):
    """One platform's image: its manifest, its config's digest, the config, its chain."""

    manifest: Descriptor
    config_digest: str
    config: ImageConfig
    rootfs: Rootfs


class Exporter:
    """Makes images of one store. Blocking; hold a lease."""

    def __init__(self, parts: Parts) -> None:
        self._store = parts.store

    def image(self, plan: Plan, rootfs: Rootfs, options: Options) -> Made:
        """Write config and manifest; layers get blobs where they have none."""
        layers = self._with_blobs(rootfs)
        config = describe(plan.config, layers, options.source_date_epoch)
        raw = config.encode()
        content = self._store.content
        descriptor = Descriptor(media_type=OCI_CONFIG, digest=content.put(raw), size=len(raw))
        manifest = Manifest(
            schema_version=2,
            media_type=OCI_MANIFEST,
            config=descriptor,
            layers=tuple(_blob(layer) for layer in layers),
            annotations=dict(options.annotations) or None,
        ).encode()
        target = Descriptor(media_type=OCI_MANIFEST, digest=content.put(manifest), size=len(manifest))
        made = Rootfs(chain=rootfs.chain, layers=tuple(layers))
        return Made(manifest=target, config_digest=descriptor.digest, config=config, rootfs=made)

    def _with_blobs(self, rootfs: Rootfs) -> list[LayerRef]:
        chains: list[Digest] = []
        if rootfs.chain:
            chains = [layer.chain for layer in reversed(self._store.layers.stack(Digest(rootfs.chain)))]
        found: list[LayerRef] = []
        for chain, layer in zip(chains, rootfs.layers, strict=True):
            blob = layer.blob
            # The blob of a layer that was made here may have gone with the last image that needed it.
            if blob is None or (layer.created and not self._store.content.exists(blob.id)):
                blob = self._store.stacking.blob(chain)
            found.append(msgspec.structs.replace(layer, blob=blob))
        return found

    def index(self, made: list[Made]) -> Descriptor:
        """One target for all platforms; a single one stands for itself."""
        if len(made) == 1:
            return made[0].manifest
        entries = tuple(
            msgspec.structs.replace(each.manifest, platform=each.config.platform) for each in made
        )
        raw = Index(schema_version=2, media_type=OCI_INDEX, manifests=entries).encode()
        return Descriptor(media_type=OCI_INDEX, digest=self._store.content.put(raw), size=len(raw))

    def name(self, target: Descriptor, names: tuple[str, ...]) -> tuple[str, ...]:
        """Give it its names, or its digest when it has none. The canonical names."""
        found = tuple(str(Reference.parse(name)) for name in names)
        for name in found or (target.digest,):
            self._store.references.assign(name, target)
        return found

    def archive(self, target: Descriptor, names: tuple[str, ...], write: Callable[[bytes], object]) -> None:
        """Write it as an OCI layout that is a docker-archive too."""
        self._store.archives.save([(target, list(names))], write, None)

    def resolved(self, target: Descriptor) -> ResolvedImage:
        """The image of this machine's platform."""
        return self._store.images.resolve(target)

    def tree(self, rootfs: Rootfs, write: Callable[[bytes], object], place: str) -> None:
        """Write all files as a tar; `place` is a directory to look at them in."""
        from lodge.engine.build.looking import looking

        with looking(self._store.snapshots.view_mounts(_chain(rootfs)), place) as root:
            write_tree(root, write, TreeOptions())


def _chain(rootfs: Rootfs) -> Digest | None:
    return Digest(rootfs.chain) if rootfs.chain else None


def _blob(layer: LayerRef) -> Descriptor:
    assert layer.blob is not None
    return layer.blob


def describe(planned: ImageConfig, layers: list[LayerRef], epoch: int | None) -> ImageConfig:
    """The configuration with its layers, and times that say when each layer was made.

    So an image of cached layers only is the same image as before.
    """
    history: list[History] = []
    remaining = iter(layers)
    moment = planned.created
    for entry in planned.history:
        if not entry.empty_layer:
            layer = next(remaining, None)
            if layer is not None and layer.created:
                moment = _rfc3339(layer.created)
        if entry.created:
            moment = entry.created if not epoch else moment
            history.append(entry)
        else:
            history.append(msgspec.structs.replace(entry, created=moment))
    created = _rfc3339(epoch * _SECOND) if epoch is not None else moment
    if created is None:
        # Nothing in it has a time: an image of nothing but configuration.
        created = _rfc3339(0)
        history = [msgspec.structs.replace(each, created=each.created or created) for each in history]
    return msgspec.structs.replace(
        planned,
        created=created,
        history=tuple(history),
        rootfs=RootFS(diff_ids=tuple(layer.diff_id for layer in layers)),
    )


def _rfc3339(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, _SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def check(outputs: tuple[Output, ...]) -> None:
    """Refuse what can't be made before anything is built."""
    for output in outputs:
        if output.kind not in ("image", "docker", "oci", "tar", "local", "none"):
            raise Unsupported(f"unknown output type {output.kind!r}", hint="image, docker, oci, tar, local")
        if output.kind == "local" and not output.destination:
            raise InvalidArgument("an output of the type local needs a destination")
        if output.destination and not os.path.isabs(output.destination):
            raise InvalidArgument(f"the destination {output.destination!r} is no absolute path")
        for name in output.names:
            Reference.parse(name)
