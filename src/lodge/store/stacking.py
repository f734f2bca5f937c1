"""New layers out of directories: what a build's step has written becomes the layer on top of its base.

The directory itself becomes the unpacked layer, by a rename. Its tar is only hashed, unless a blob is wanted:
most layers of a build are never exported. A blob can be made of a layer at any later time; it comes out the
same.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable

from msgspec import Struct

from lodge.archive.source import Readable
from lodge.archive.tree import TreeOptions, write_tree
from lodge.errors import Corrupt
from lodge.spec.descriptor import OCI_LAYER, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import chain_ids
from lodge.store.content import Content
from lodge.store.layers import Layers, Staged
from lodge.store.leases import Leases
from lodge.store.snapshots.contract import Snapshotter
from lodge.store.snapshots.overlay import OverlaySnapshots
from lodge.store.space import disk_full_is_exhausted


class Stacked(Struct, frozen=True, kw_only=True):
    """A layer in its place: its chain ID, its diff ID, bytes of its files, its blob if one was made."""

    chain: Digest
    diff_id: Digest
    size: int
    blob: Descriptor | None = None


class Stacking:
    """Makes layers of one store. Safe in threads. Hold a lease until something refers to them."""

    def __init__(
        self, content: Content, layers: Layers, snapshots: Snapshotter, leases: Leases, *, user_xattrs: bool
    ) -> None:
        self._content = content
        self._layers = layers
        self._snapshots = snapshots
        self._leases = leases
        self._user_xattrs = user_xattrs

    def stage(self) -> Staged:
        """An empty directory to make a layer in, in the form that overlay mounts want."""
        with disk_full_is_exhausted("a layer can't be made"):
            staged = self._layers.stage()
            os.chmod(staged.files, 0o755)
            return staged

    def discard(self, staged: Staged) -> None:
        """Give up a staged layer. Idempotent."""
        self._layers.discard(staged)

    def place(
        self, staged: Staged, parent: Digest | None, *, blob: bool, latest: int | None = None
    ) -> Stacked:
        """Put a staged layer on top of a chain, which must be there. Uses the staged one up.

        `latest` (nanoseconds) is given to what is newer, so that layers of one content are one layer.
        """
        try:
            with self._leases.hold(), disk_full_is_exhausted("a layer can't be made"):
                if latest is not None:
                    clamp_times(staged.files, latest)
                diff_id, descriptor = self._tar(staged.files, blob=blob)
                return self._commit(staged, parent, diff_id, descriptor)
        except BaseException:
            self._layers.discard(staged)
            raise

    def adopt(self, key: str, *, blob: bool, latest: int | None = None) -> Stacked:
        """Turn what a snapshot has written into a layer on top of its chain, and remove the snapshot.

        Nothing may be mounted of it any more.
        """
        with self._leases.hold(), disk_full_is_exhausted("a layer can't be made"):
            parent = self._snapshots.chain(key)
            staged = self._layers.stage()
            try:
                if isinstance(self._snapshots, OverlaySnapshots):
                    os.rmdir(staged.files)
                    # SAFETY: the program that wrote there has ended; from now on nobody does.
                    os.rename(self._snapshots.upper(key), staged.files)
                else:
                    self._unpack(key, staged)
                if latest is not None:
                    clamp_times(staged.files, latest)
                staged.extracted.names_root = True
                staged.extracted.size = bytes_of_files(staged.files)
                diff_id, descriptor = self._tar(staged.files, blob=blob)
                return self._commit(staged, parent, diff_id, descriptor)
            except BaseException:
                self._layers.discard(staged)
                raise
            finally:
                self._snapshots.remove(key)

    def apply(self, stream: Readable, parent: Digest | None, diff_id: Digest) -> Stacked:
        """Unpack a layer's tar on top of another chain than it was made on."""
        with self._leases.hold(), disk_full_is_exhausted("a layer can't be made"):
            staged = self._layers.stage()
            try:
                staged.extract(stream)
                return self._commit(staged, parent, diff_id, None)
            except BaseException:
                self._layers.discard(staged)
                raise

    def blob(self, chain: Digest) -> Descriptor:
        """The blob of a layer that was made here; made now if it isn't there. Raises NotFound, Corrupt."""
        layer = self._layers.get(chain)
        with self._leases.hold(), disk_full_is_exhausted("a layer can't be archived"):
            if self._content.exists(layer.diff_id):
                size = self._content.stat(layer.diff_id)
                return Descriptor(media_type=OCI_LAYER, digest=str(layer.diff_id), size=size)
            files = self._layers.lower_directories(chain)[0]
            found, descriptor = self._tar(files, blob=True)
            if found != layer.diff_id or descriptor is None:
                raise Corrupt(
                    f"layer {chain} has changed since it was made", hint="build again with --no-cache"
                )
            return descriptor

    def _commit(
        self, staged: Staged, parent: Digest | None, diff_id: Digest, blob: Descriptor | None
    ) -> Stacked:
        below = [layer.diff_id for layer in reversed(self._layers.stack(parent))]
        chain = chain_ids([*below, diff_id])[-1]
        layer = self._layers.commit(staged, chain, parent, diff_id)
        return Stacked(chain=chain, diff_id=diff_id, size=layer.size, blob=blob)

    def _unpack(self, key: str, staged: Staged) -> None:
        """A snapshot that is no difference by itself writes one; it goes through a file without a name."""
        with open(os.path.join(staged.path, "tar"), "w+b") as file:
            os.unlink(file.name)
            self._snapshots.archive(key, file.write, TreeOptions())
            file.seek(0)
            staged.extract(file)

    def _tar(self, directory: str, *, blob: bool) -> tuple[Digest, Descriptor | None]:
        if not blob:
            made = hashlib.sha256()
            self._write(directory, made.update)
            return Digest.finish(made), None
        with self._content.ingest() as ingest:
            self._write(directory, ingest.write)
            digest = ingest.commit()
            return digest, Descriptor(media_type=OCI_LAYER, digest=str(digest), size=ingest.offset())

    def _write(self, directory: str, write: Callable[[bytes], object]) -> None:
        root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_tree(root, write, TreeOptions(overlay=True, user_xattrs=self._user_xattrs))
        finally:
            os.close(root)


def bytes_of_files(directory: str) -> int:
    """The bytes of regular files, hard links once; nothing is followed."""
    size = 0
    seen: set[int] = set()
    for _, _, files, fd in os.fwalk(directory, follow_symlinks=False):
        for name in files:
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and status.st_ino not in seen:
                size += status.st_size
                if status.st_nlink > 1:
                    seen.add(status.st_ino)
    return size


def clamp_times(directory: str, latest: int) -> None:
    """Give what is newer than `latest` that time; nothing is followed."""
    times = (latest, latest)
    for _, directories, files, fd in os.fwalk(directory, topdown=False, follow_symlinks=False):
        for name in (*directories, *files):
            if os.stat(name, dir_fd=fd, follow_symlinks=False).st_mtime_ns > latest:
                os.utime(name, ns=times, dir_fd=fd, follow_symlinks=False)
    os.utime(directory, ns=times)
