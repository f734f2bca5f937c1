"""Images: from a descriptor to a manifest, a configuration and unpacked layers.

An image is what a target descriptor points to: a manifest, or an index with one manifest a platform. Reading
one never changes anything. `unpack` makes its layers, each once, however many ask at the same time.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from msgspec import Struct

from lodge.archive.compression import inflate
from lodge.archive.verified import VerifiedReader
from lodge.errors import Corrupt, NotFound, Unsupported
from lodge.spec.descriptor import LODGE_HOST_LAYER, OCI_INDEX, OCI_MANIFEST, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import CONFIG_CAP, MANIFEST_CAP, ImageConfig, Index, Manifest, chain_ids
from lodge.spec.platform import Platform, host
from lodge.store.content import Content
from lodge.store.layers import Layers, Staged
from lodge.store.leases import Leases
from lodge.store.space import disk_full_is_exhausted

_DEEPEST_INDEX = 4
_THREADS = 4
_REFERENCE_TYPE = "vnd.docker.reference.type"
UnpackProgress = Callable[[Descriptor, str], None]
"""Called with a layer's descriptor and one of "Extracting", "Pull complete", "Already exists"."""


class ResolvedImage(Struct, frozen=True, kw_only=True):
    """The image of one platform, read and checked. `manifest_descriptor` is the choice.

    `target` is what was asked for. `chain_id` stands for all layers unpacked on each other; None for an
    image without layers. The ID that Docker shows for an image is `config_digest`.
    """

    target: Descriptor
    manifest_descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig
    config_digest: Digest
    chain_ids: tuple[Digest, ...]

    @property
    def chain_id(self) -> Digest | None:
        """The chain ID of the top layer."""
        return self.chain_ids[-1] if self.chain_ids else None

    @property
    def compressed_size(self) -> int:
        """Bytes of all blobs that make it, as they are in a registry."""
        return (
            self.manifest_descriptor.size
            + self.manifest.config.size
            + sum(x.size for x in self.manifest.layers)
        )


class Images:
    """What the blobs and layers of one store mean. Safe in threads."""

    def __init__(self, content: Content, layers: Layers, leases: Leases) -> None:
        self._content = content
        self._layers = layers
        self._leases = leases
        self._lock = threading.Lock()
        self._running: dict[Digest, Future[None]] = {}
        self._read = functools.lru_cache(maxsize=512)(self._read_image)

    def resolve(self, target: Descriptor, platform: Platform | None = None) -> ResolvedImage:
        """Read the image that suits `platform`, or this machine when None is given.

        With None an image of another platform is taken when the store has no other. Raises NotFound (a blob,
        or no such platform), Corrupt.
        """
        chosen = self._choose(target, platform)
        resolved = self._read(chosen.digest, chosen.media_type, chosen.size)
        for digest in (target.digest, chosen.digest, resolved.config_digest, *resolved.chain_ids):
            self._leases.touch(digest)
        if platform is not None and not platform.matches(resolved.config.platform):
            raise NotFound(f"the image provides {resolved.config.platform}, not the platform ({platform})")
        if resolved.target == target and resolved.manifest_descriptor == chosen:
            return resolved
        return ResolvedImage(
            target=target,
            manifest_descriptor=chosen,
            manifest=resolved.manifest,
            config=resolved.config,
            config_digest=resolved.config_digest,
            chain_ids=resolved.chain_ids,
        )

    def manifests(self, target: Descriptor) -> list[Descriptor]:
        """Return all manifests of images under a target, in order, attestations and the like left out."""
        return list(self._manifests(target, _DEEPEST_INDEX))

    def blobs(self, manifest: Descriptor) -> list[Descriptor]:
        """Return the configuration and the layers that a manifest names. Raises NotFound, Corrupt."""
        found = Manifest.decode(self._content.read(manifest.id, MANIFEST_CAP))
        return [found.config, *found.layers]

    def describe(self, digest: Digest) -> Descriptor | None:
        """Return a descriptor of a blob that reads as a manifest or an index; None for any other."""
        kinds: tuple[tuple[type[Manifest | Index], str], ...] = (
            (Manifest, OCI_MANIFEST),
            (Index, OCI_INDEX),
        )
        try:
            size = self._content.stat(digest)
            data = self._content.read(digest, MANIFEST_CAP) if size <= MANIFEST_CAP else b""
        except (NotFound, Corrupt):
            return None
        if not data.startswith(b"{"):
            return None
        for kind, media_type in kinds:
            try:
                found = kind.decode(data)
            except Corrupt:
                continue
            return Descriptor(media_type=found.media_type or media_type, digest=digest, size=size)
        return None

    def _manifests(self, target: Descriptor, depth: int) -> list[Descriptor]:
        if not target.is_index:
            return [target]
        if not depth:
            raise Corrupt("image indexes are nested too deeply")
        index = Index.decode(self._content.read(target.id, MANIFEST_CAP))
        found: list[Descriptor] = []
        for descriptor in index.manifests:
            if (descriptor.annotations or {}).get(_REFERENCE_TYPE):
                continue
            if descriptor.is_manifest:
                found.append(descriptor)
            elif descriptor.is_index and self._content.exists(descriptor.id):
                found += self._manifests(descriptor, depth - 1)
        return found

    def _choose(self, target: Descriptor, platform: Platform | None) -> Descriptor:
        if not target.is_index:
            return target
        offers = [(one.platform or self._platform(one), one) for one in self.manifests(target)]
        if platform is not None:
            chosen = platform.choose(offers)
            if chosen is None:
                raise NotFound(f"no match for platform in manifest: {platform}")
            return chosen
        present = [offer for offer in offers if self._content.exists(offer[1].id)]
        chosen = host().choose(present)
        if chosen is None and present:
            chosen = present[0][1]
        if chosen is None:
            raise NotFound(f"no match for platform in manifest: {host()}")
        return chosen

    def _platform(self, manifest: Descriptor) -> Platform | None:
        try:
            return self._read(manifest.digest, manifest.media_type, manifest.size).config.platform
        except NotFound:
            return None

    def _read_image(self, digest: str, media_type: str, size: int) -> ResolvedImage:
        descriptor = Descriptor(media_type=media_type, digest=digest, size=size)
        manifest = Manifest.decode(self._content.read(descriptor.id, MANIFEST_CAP))
        config = ImageConfig.decode(self._content.read(manifest.config.id, CONFIG_CAP))
        if len(config.rootfs.diff_ids) != len(manifest.layers):
            raise Corrupt(
                f"{digest}: the manifest has {len(manifest.layers)} layers, "
                f"the configuration {len(config.rootfs.diff_ids)}"
            )
        return ResolvedImage(
            target=descriptor,
            manifest_descriptor=descriptor,
            manifest=manifest,
            config=config,
            config_digest=manifest.config.id,
            chain_ids=tuple(chain_ids(config.rootfs.diff_ids)),
        )

    def is_unpacked(self, image: ResolvedImage) -> bool:
        """Whether all layers are there; under a lease they then stay."""
        return all(self._layers.exists(chain) for chain in image.chain_ids)

    def layer_sizes(self, image: ResolvedImage) -> list[int]:
        """Return the bytes of each layer's files, the base first; if not unpacked, its blob's size."""
        sizes: list[int] = []
        for chain, descriptor in zip(image.chain_ids, image.manifest.layers, strict=True):
            try:
                sizes.append(self._layers.get(chain).size)
            except NotFound:
                sizes.append(descriptor.size)
        return sizes

    def unpack(self, image: ResolvedImage, progress: UnpackProgress | None = None) -> Digest | None:
        """Make all layers of an image and return the chain ID of the top one. Idempotent.

        Layers are unpacked in parallel and placed from the base up. A layer that another call is unpacking is
        waited for. Raises NotFound (a blob), Corrupt (a damaged or hostile layer), OSError (the disk).
        """
        with self._leases.hold(), disk_full_is_exhausted("the image can't be unpacked"):
            while True:
                mine, others = self._claim(image)
                try:
                    self._unpack(image, mine, progress or _silent)
                finally:
                    self._release(image, mine)
                if not others:
                    return image.chain_id
                # Whatever becomes of it, look again: what failed there is tried here, and says why.
                wait(others)

    def _claim(self, image: ResolvedImage) -> tuple[list[int], list[Future[None]]]:
        """Take missing layers up to the first that another call is at; return theirs to wait for."""
        mine: list[int] = []
        others: list[Future[None]] = []
        with self._lock:
            for position, chain in enumerate(image.chain_ids):
                running = self._running.get(chain)
                if running is not None:
                    others.append(running)
                elif not others and not self._layers.exists(chain):
                    self._running[chain] = Future()
                    mine.append(position)
        return mine, others

    def _release(self, image: ResolvedImage, positions: Sequence[int]) -> None:
        with self._lock:
            for position in positions:
                self._running.pop(image.chain_ids[position]).set_result(None)

    def _unpack(self, image: ResolvedImage, positions: Sequence[int], progress: UnpackProgress) -> None:
        staged = {position: self._layers.stage() for position in positions}
        try:
            with ThreadPoolExecutor(_THREADS, "lodge-store-unpack") as pool:
                work = [
                    pool.submit(self._extract, image, position, staged[position], progress)
                    for position in positions
                ]
                for position, future in zip(positions, work, strict=True):
                    try:
                        future.result()
                    except BaseException:
                        pool.shutdown(wait=False, cancel_futures=True)
                        raise
                    self._commit(image, position, staged.pop(position))
                    progress(image.manifest.layers[position], "Pull complete")
        finally:
            for left in staged.values():
                self._layers.discard(left)

    def _extract(self, image: ResolvedImage, position: int, staged: Staged, progress: UnpackProgress) -> None:
        descriptor = image.manifest.layers[position]
        if descriptor.media_type == LODGE_HOST_LAYER:
            raise Unsupported("the layer of the host image can't be unpacked: make the image again")
        progress(descriptor, "Extracting")
        with self._content.open(descriptor.id) as blob:
            _, plain = inflate(blob)
            staged.extract(VerifiedReader(plain, Digest(image.config.rootfs.diff_ids[position])))

    def _commit(self, image: ResolvedImage, position: int, staged: Staged) -> None:
        parent = image.chain_ids[position - 1] if position else None
        diff_id = Digest(image.config.rootfs.diff_ids[position])
        self._layers.commit(staged, image.chain_ids[position], parent, diff_id)


def _silent(descriptor: Descriptor, status: str) -> None:
    del descriptor, status
