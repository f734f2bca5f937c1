"""All ways of an image into and out of a store as an archive: what `Store.archives` is."""

from __future__ import annotations

from lodge.archive.source import Readable
from lodge.store.archives.load import LoadedImage, Loader, LoadProgress
from lodge.store.content import Content
from lodge.store.images import Images
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.references import References
from lodge.store.snapshots.contract import Snapshotter


class Archives:
    """Each method is one whole operation under a lease of its own. Safe in threads."""

    def __init__(
        self,
        content: Content,
        layers: Layers,
        images: Images,
        references: References,
        leases: Leases,
        snapshots: Snapshotter,
    ) -> None:
        self._loader = Loader(content, layers, images, references, leases)
        self._snapshots = snapshots

    def load(self, stream: Readable, progress: LoadProgress | None = None) -> list[LoadedImage]:
        """Load images from a docker-archive or the tar of an OCI layout; see `Loader.load`."""
        return self._loader.load(stream, progress)
