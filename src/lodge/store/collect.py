"""Garbage: blobs and layers that no name, no snapshot and no lease needs any more.

Marking starts at the names, at the layers under snapshots, and at what the caller adds. It happens under
the lock that `touch`, `commit` and `prepare` take, so what is found unneeded is so at the moment it goes;
it goes by a rename, and the lock is held for milliseconds. Pulls and runs go on beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from lodge.errors import Corrupt, NotFound
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import MANIFEST_CAP, Index
from lodge.store.content import Content
from lodge.store.images import Images
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.references import References
from lodge.store.snapshots.contract import Snapshotter
from lodge.store.trash import Trash

Roots = Callable[[], Iterable[Descriptor | Digest]]
"""Targets of images, or digests of single blobs, that somebody else needs kept."""


class Freed(Struct, kw_only=True):
    """What a collection removed. `size` is in bytes: of blobs as stored, of layers all files together."""

    blobs: list[str] = []
    layers: list[str] = []
    size: int = 0


class Collector:
    """Collects the garbage of one store."""

    def __init__(
        self,
        content: Content,
        layers: Layers,
        images: Images,
        references: References,
        snapshots: Snapshotter,
        leases: Leases,
        trash: Trash,
    ) -> None:
        self._content = content
        self._layers = layers
        self._images = images
        self._references = references
        self._snapshots = snapshots
        self._leases = leases
        self._trash = trash
        self.also: Callable[[], Iterable[Digest]] = tuple

    def collect(self, roots: Roots | None = None) -> Freed:
        """Remove all that nothing needs. Safe beside everything else; files go in the background."""
        # Before the lock: the caller may take locks of its own. What becomes a root meanwhile is under a
        # lease.
        extra = list(roots()) if roots is not None else []
        also = set(self.also())
        freed = Freed()
        self._content.expire()
        with self._leases.lock:
            marks = _Marks(self._content, self._images)
            for root in (*self._references.list().values(), *extra):
                marks.mark(root)
            self._sweep_layers(marks.chains | self._under_snapshots() | also, freed)
            self._sweep_blobs(marks.blobs, freed)
        return freed

    def _under_snapshots(self) -> set[str]:
        chains: set[str] = set()
        for key in self._snapshots.walk():
            try:
                chain = self._snapshots.chain(key)
                chains.update(layer.chain for layer in self._layers.stack(chain))
            except NotFound:
                # Removed meanwhile, or its layers are gone already.
                continue
        return chains

    def _sweep_layers(self, needed: set[str], freed: Freed) -> None:
        kept: set[str] = set()
        layers = list(self._layers.walk())
        for layer in layers:
            if layer.chain in needed or self._leases.protects(layer.chain):
                kept.update(each.chain for each in self._layers.stack(layer.chain))
        for layer in layers:
            if layer.chain not in kept:
                self._layers.remove(layer.chain)
                freed.layers.append(str(layer.chain))
                freed.size += layer.size

    def _sweep_blobs(self, needed: set[str], freed: Freed) -> None:
        protected = [digest for digest, _ in self._content.walk() if self._leases.protects(digest)]
        marks = _Marks(self._content, self._images)
        for digest in protected:
            # A manifest that is protected needs what it names, though its name comes later.
            marks.mark_blob_and_below(digest)
        for digest, size in list(self._content.walk()):
            if digest not in needed and digest not in marks.blobs:
                self._trash.throw(self._content.path(digest))
                freed.blobs.append(str(digest))
                freed.size += size


class _Marks:
    """What is needed, found from the roots down."""

    def __init__(self, content: Content, images: Images) -> None:
        self._content = content
        self._images = images
        self.blobs: set[str] = set()
        self.chains: set[str] = set()

    def mark(self, root: Descriptor | Digest) -> None:
        """Mark a root and all that it needs. What is missing or damaged needs nothing more."""
        if not isinstance(root, Descriptor):
            self.mark_blob_and_below(root)
            return
        if root.digest in self.blobs:
            return
        self.blobs.add(root.digest)
        try:
            if root.is_index:
                for entry in Index.decode(self._content.read(root.id, MANIFEST_CAP)).manifests:
                    self.mark(entry)
            elif root.is_manifest:
                self.blobs.update(each.digest for each in self._images.blobs(root))
                self.chains.update(self._images.resolve(root).chain_ids)
        except (NotFound, Corrupt):
            return

    def mark_blob_and_below(self, digest: Digest) -> None:
        """Mark a blob and, if it reads as a manifest or index, what it needs."""
        self.blobs.add(digest)
        descriptor = self._images.describe(digest)
        if descriptor is not None:
            self.blobs.discard(digest)
            self.mark(descriptor)
