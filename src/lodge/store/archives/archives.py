"""All ways of an image into and out of a store as an archive: what `Store.archives` is."""

from __future__ import annotations

from lodge.archive.compression import NONE
from lodge.archive.source import Readable
from lodge.spec.container import ContainerConfig
from lodge.spec.descriptor import Descriptor
from lodge.spec.platform import Platform
from lodge.store.archives.build import Builder
from lodge.store.archives.load import LoadedImage, Loader, LoadProgress
from lodge.store.archives.save import Saver, Send, Wanted, Write
from lodge.store.content import Content
from lodge.store.images import Images, ResolvedImage
from lodge.store.layers import Layers
from lodge.store.leases import Leases
from lodge.store.references import References
from lodge.store.snapshots.contract import Snapshotter
from lodge.store.space import disk_full_is_exhausted


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
        self._saver = Saver(content, images)
        self._builder = Builder(content, images, snapshots)
        self._leases = leases
        self._references = references

    def load(self, stream: Readable, progress: LoadProgress | None = None) -> list[LoadedImage]:
        """Load images from a docker-archive or the tar of an OCI layout, and name them; see `Loader.load`."""
        with disk_full_is_exhausted("the archive can't be loaded"):
            return self._loader.load(stream, progress)

    def save(
        self, wanted: Wanted, write: Write, platform: Platform | None = None, send: Send | None = None
    ) -> None:
        """Write images as one archive, an OCI layout and a docker-archive at once; see `Saver.save`."""
        with self._leases.hold():
            self._saver.save(wanted, write, platform, send)

    def import_tar(
        self,
        stream: Readable,
        *,
        config: ContainerConfig | None = None,
        message: str = "",
        platform: Platform | None = None,
        name: str | None = None,
    ) -> Descriptor:
        """Make an image of the tar of a root file system; its name is its digest when none is given."""
        with self._leases.hold(), disk_full_is_exhausted("the archive can't be imported"):
            target = self._builder.import_tar(stream, config=config, message=message, platform=platform)
            return self._named(target, name)

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
        name: str | None = None,
    ) -> Descriptor:
        """Make an image of a base and the snapshot `key` on top, and name it; see `Builder.commit`."""
        with self._leases.hold(), disk_full_is_exhausted("the container can't be committed"):
            target = self._builder.commit(
                key,
                base,
                config,
                message=message,
                author=author,
                created_by=created_by,
                compression=compression,
                level=level,
                latest=latest,
            )
            return self._named(target, name)

    def _named(self, target: Descriptor, name: str | None) -> Descriptor:
        self._references.assign(name or target.digest, target)
        return target
