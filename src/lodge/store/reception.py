"""Taking in images blob by blob, as they come from a registry: written, hashed and unpacked in one pass.

The bytes of a layer go to its blob, through its digest and into a staged layer at once, in three threads; no
byte is read again. What broke off goes on later where it stopped: the kept part is read once, for the digest
and for the unpacking together. Whole archives are next door, in `archives.load`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Self

from lodge.archive.compression import inflate
from lodge.archive.pipe import Pipe
from lodge.archive.source import CHUNK, Readable
from lodge.archive.verified import HashingReader
from lodge.errors import Corrupt, Exhausted, LodgeError
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest, hasher
from lodge.store.content import Content, blob_marker
from lodge.store.layers import Layers, Staged, layer_marker
from lodge.store.references import References
from lodge.store.space import disk_full_is_exhausted

_DEPTH = 8


class Reception:
    """The way in for images from registries. Hold a lease meanwhile. Safe in threads."""

    def __init__(self, content: Content, layers: Layers, references: References) -> None:
        self._content = content
        self._layers = layers
        self._references = references

    def together(self, blobs: Iterable[Digest], chains: Iterable[Digest]) -> AbstractContextManager[None]:
        """Say for a block what is about to come: it is made durable at once, at the block's end."""
        names = [blob_marker(digest) for digest in blobs if not self._content.exists(digest)]
        names += [layer_marker(chain) for chain in chains if not self._layers.exists(chain)]
        return self._content.durability.together(names)

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is here, whole."""
        return self._content.exists(digest)

    def has_layer(self, chain: Digest) -> bool:
        """Whether a layer is here, unpacked, with all below it."""
        return self._layers.exists(chain)

    def put(self, data: bytes, digest: Digest) -> None:
        """Store a small blob. Idempotent."""
        with disk_full_is_exhausted("the image can't be stored"):
            if not self._content.exists(digest):
                with self._content.ingest(digest, len(data)) as ingest:
                    ingest.restart()
                    ingest.write(data)
                    ingest.commit()

    def read(self, digest: Digest, cap: int) -> bytes:
        """Return a small blob, checked. Raises NotFound, Corrupt."""
        return self._content.read(digest, cap)

    def receive(self, descriptor: Descriptor, *, unpack: bool) -> Arrival:
        """Begin to take in a blob; use it as a with-block."""
        return Arrival(self._content, self._layers, descriptor, unpack=unpack)

    def unpack(self, descriptor: Descriptor) -> Unpacked:
        """Unpack a layer whose blob is here already."""
        staged = self._layers.stage()
        try:
            with (
                disk_full_is_exhausted("the layer can't be unpacked"),
                self._content.open(descriptor.id) as blob,
            ):
                _, plain = inflate(blob)
                hashing = HashingReader(plain)
                staged.extract(hashing)
        except BaseException:
            self._layers.discard(staged)
            raise
        return Unpacked(self._layers, staged, hashing.digest())

    def name(self, names: Iterable[str], target: Descriptor) -> None:
        """Give an image names, as `docker tag` does: what had one before keeps its digest as a name."""
        self._references.assign(names, target)

    def named(self, name: str) -> Descriptor | None:
        """Return what a name refers to now."""
        return self._references.list().get(name)


class Unpacked:
    """A layer that is unpacked and has no place yet. Discard it in the end, whatever became of it."""

    def __init__(self, layers: Layers, staged: Staged, diff_id: Digest) -> None:
        self._layers = layers
        self._staged: Staged | None = staged
        self._diff_id = diff_id

    def place(self, chain: Digest, parent: Digest | None, diff_id: Digest) -> None:
        """Give it its place on top of `parent`. Corrupt when it isn't `diff_id`. Idempotent."""
        if self._diff_id != diff_id:
            raise Corrupt(
                f"failed to register layer: layer digest mismatch: the configuration says {diff_id}, "
                f"the layer is {self._diff_id}"
            )
        staged, self._staged = self._staged, None
        if staged is not None:
            with disk_full_is_exhausted("the layer can't be stored"):
                self._layers.commit(staged, chain, parent, diff_id)

    def discard(self) -> None:
        """Remove the files, if they were not taken. Idempotent."""
        if self._staged is not None:
            self._layers.discard(self._staged)
            self._staged = None


class Arrival:
    """A blob on its way in. Write from `offset()` on, in order, then `finish`; or leave the block."""

    def __init__(self, content: Content, layers: Layers, descriptor: Descriptor, *, unpack: bool) -> None:
        self._content = content
        self._layers = layers
        self._descriptor = descriptor
        self._ingest = content.ingest(descriptor.id, descriptor.size)
        self._hashing = _Branch("hash", self._absorb)
        self._unpacking = _Unpacking(layers) if unpack else None

    def __enter__(self) -> Self:
        with disk_full_is_exhausted("the layer can't be stored"):
            self._ingest.begin(self._unpacking.write if self._unpacking is not None else None)
        return self

    def __exit__(self, *_: object) -> None:
        self._hashing.stop()
        if self._unpacking is not None:
            self._unpacking.discard()
        self._ingest.close()

    def offset(self) -> int:
        """Return how many bytes are here already."""
        return self._ingest.offset()

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises Corrupt when there are too many, Exhausted on a full disk."""
        self._ingest.append(data)
        self._hashing.write(data)
        if self._unpacking is not None:
            self._unpacking.write(data)

    def restart(self) -> None:
        """Forget all bytes: their sender can't go on in the middle."""
        self._hashing.stop()
        self._hashing = _Branch("hash", self._absorb)
        if self._unpacking is not None:
            self._unpacking.discard()
            self._unpacking = _Unpacking(self._layers)
        self._ingest.restart()

    def finish(self) -> Unpacked | None:
        """Check the digest and put the blob in place; gives the unpacked layer if it was to be unpacked.

        Raises Corrupt: for a wrong digest nothing is kept; for a blob that is right but no layer, it is.
        """
        self._hashing.finish()
        unpacked = None
        failure: Exception | None = None
        if self._unpacking is not None:
            try:
                unpacked = self._unpacking.finish()
            except (LodgeError, OSError) as error:
                failure = error
        try:
            self._ingest.commit()
        except BaseException:
            if unpacked is not None:
                unpacked.discard()
            raise
        if failure is not None:
            with disk_full_is_exhausted("the layer can't be unpacked"):
                raise failure
        return unpacked

    def _absorb(self, pipe: Pipe) -> None:
        while piece := pipe.read(CHUNK):
            self._ingest.absorb(piece)


class _Branch:
    """A thread that reads what it is given through a pipe."""

    def __init__(self, name: str, work: Callable[[Pipe], None]) -> None:
        self._pipe = Pipe(_DEPTH)
        self._done: Future[None] = Future()
        self._work = work
        self._name = name
        self._thread: threading.Thread | None = None

    def write(self, data: bytes) -> None:
        """Hand bytes over; the thread begins with the first."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"lodge-arrival-{self._name}", daemon=True)
            self._thread.start()
        self._pipe.write(data)

    def finish(self) -> None:
        """Wait for the thread to have taken everything; raises what it raised."""
        if self._thread is None:
            self.write(b"")
        self._pipe.finish()
        self._done.result()

    def stop(self) -> None:
        """End the thread early. Idempotent."""
        if self._thread is not None and self._thread.is_alive():
            self._pipe.fail(_Stopped("stopped"))
        if self._thread is not None:
            self._thread.join()

    def check(self) -> None:
        """Raise what ended the thread, when it was not the fault of the bytes: a full disk, say."""
        if self._done.done() and isinstance(error := self._done.exception(), OSError | Exhausted):
            raise error

    def _run(self) -> None:
        try:
            self._work(self._pipe)
        except BaseException as error:
            self._pipe.abandon()
            self._done.set_exception(error)
        else:
            self._done.set_result(None)


class _Stopped(Exception):
    pass


class _Unpacking:
    """A layer that is unpacked while its bytes come."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._staged: Staged | None = layers.stage()
        self._diff_id: Digest | None = None
        self._branch = _Branch("unpack", self._unpack)

    def write(self, data: bytes) -> None:
        with disk_full_is_exhausted("the layer can't be unpacked"):
            self._branch.check()
        self._branch.write(data)

    def finish(self) -> Unpacked:
        self._branch.finish()
        staged, self._staged = self._staged, None
        assert staged is not None
        assert self._diff_id is not None
        return Unpacked(self._layers, staged, self._diff_id)

    def discard(self) -> None:
        self._branch.stop()
        if self._staged is not None:
            self._layers.discard(self._staged)
            self._staged = None

    def _unpack(self, pipe: Pipe) -> None:
        """In a thread: inflate and unpack; the plain bytes are hashed in a thread of their own."""
        assert self._staged is not None
        _, plain = inflate(pipe)
        hashed = _Hashed(plain)
        try:
            self._staged.extract(hashed)
            self._diff_id = hashed.digest()
        finally:
            hashed.close()


class _Hashed:
    """Passes a stream through and learns its digest in another thread."""

    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._hasher = hasher()
        self._branch = _Branch("diff", self._work)

    def read(self, size: int, /) -> bytes:
        data = self._readable.read(size)
        if data:
            self._branch.write(data)
        return data

    def digest(self) -> Digest:
        self._branch.finish()
        return Digest.finish(self._hasher)

    def close(self) -> None:
        self._branch.stop()

    def _work(self, pipe: Pipe) -> None:
        while piece := pipe.read(CHUNK):
            self._hasher.update(piece)
