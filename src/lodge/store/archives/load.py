"""Loading images from an archive, in one pass over its bytes.

What an archive holds is known for sure only at its end, where `manifest.json` or `index.json` tends to be.
So every member that looks like the tar of a layer is written as a blob, hashed and unpacked on the way, in
three threads, before it is known what it is for. At the end names are given to what was asked for, and the
rest goes. What the documents mean is next door, in `documents`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

from msgspec import Struct

from lodge.archive import header
from lodge.archive.beneath import clean
from lodge.archive.compression import NONE, detect, inflate
from lodge.archive.header import BLOCK, Member
from lodge.archive.pipe import Pipe
from lodge.archive.reader import TarReader
from lodge.archive.source import Readable
from lodge.archive.verified import HashingReader
from lodge.errors import Corrupt, InvalidArgument
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import CONFIG_CAP
from lodge.store.archives.documents import Arrived, Documents
from lodge.store.content import Content, Ingest, blob_marker
from lodge.store.images import Images, ResolvedImage
from lodge.store.layers import Layers, Staged
from lodge.store.leases import Leases
from lodge.store.references import References

_DOCUMENTS_CAP = 64 << 20
_MEMBER_COST = 1 << 10
_SMALL = 64 << 10
LoadProgress = Callable[[str, int, int], None]
"""Called with the name of a member, and of its bytes how many are done and how many there are."""


class LoadedImage(Struct, kw_only=True):
    """An image that an archive held: its target, canonical names, and the config digest for this machine."""

    target: Descriptor
    names: list[str]
    config_digest: Digest | None


class Loader:
    """Loads archives into one store."""

    def __init__(
        self, content: Content, layers: Layers, images: Images, references: References, leases: Leases
    ) -> None:
        self._content = content
        self._layers = layers
        self._images = images
        self._references = references
        self._leases = leases

    def load(self, stream: Readable, progress: LoadProgress | None = None) -> list[LoadedImage]:
        """Read a docker-archive or an OCI layout as a tar, plain or compressed, to its end.

        Either all of it arrives or nothing gets a name. Raises Corrupt for anything else than such an
        archive, and when a digest doesn't match.
        """
        with self._leases.hold(), _Arrivals(self._content, self._layers) as arrivals:
            documents = self._receive(stream, arrivals, progress)
            arrivals.check()
            targets = documents.targets(arrivals.arrived, self._content)
            arrivals.place()
            loaded: list[LoadedImage] = []
            for target, names in targets:
                resolved = self._unpacked(target, arrivals)
                loaded.append(
                    LoadedImage(
                        target=target, names=names, config_digest=resolved.config_digest if resolved else None
                    )
                )
            for image in loaded:
                self._name(image)
            return loaded

    def _name(self, image: LoadedImage) -> None:
        for name in image.names:
            self._references.assign(name, image.target)
        if image.target not in self._references.list().values():
            self._references.set(image.target.digest, image.target)

    def _receive(self, stream: Readable, arrivals: _Arrivals, progress: LoadProgress | None) -> Documents:
        _, plain = inflate(stream)
        reader = TarReader(plain)
        documents = Documents()
        room = _DOCUMENTS_CAP
        for member in reader:
            # Each costs memory, whatever it is (CVE-2026-47262 and its kin).
            room -= _MEMBER_COST + len(member.name) + len(member.link)
            if room < 0:
                raise Corrupt("the archive holds too many members to be an image archive")
            path = os.fsdecode(clean(member.name))
            if member.type in (header.SYMLINK, header.HARDLINK):
                documents.alias(path, os.fsdecode(member.link), symbolic=member.type == header.SYMLINK)
            elif member.type != header.REGULAR or not path:
                continue
            elif member.size <= CONFIG_CAP and not _is_layer(reader, member):
                room -= member.size
                documents.add(path, reader.data(CONFIG_CAP))
            else:
                arrivals.receive(path, member, reader, progress)
        plain.drain()
        return documents

    def _unpacked(self, target: Descriptor, arrivals: _Arrivals) -> ResolvedImage | None:
        """Give the layers of the image for this machine their place; None when they aren't all here."""
        resolved = self._images.resolve(target)
        parent: Digest | None = None
        for position, chain in enumerate(resolved.chain_ids):
            diff_id = Digest(resolved.config.rootfs.diff_ids[position])
            staged = None if self._layers.exists(chain) else arrivals.take(diff_id)
            if staged is not None:
                self._layers.commit(staged, chain, parent, diff_id)
            parent = chain
        # Whatever has not come in this archive: a layer that appears twice, or a blob known from before.
        self._images.unpack(resolved)
        return resolved


def _is_layer(reader: TarReader, member: Member) -> bool:
    """Whether the payload that comes next looks like a tar or is compressed: documents are JSON."""
    first = reader.source.peek(min(BLOCK, member.size))
    if detect(first) != NONE:
        return True
    if len(first) < BLOCK:
        return False
    if first == header.ZEROS:
        return True
    try:
        header.parse(first)
    except Corrupt:
        return False
    return True


class _Arrival:
    """A member on its way into a blob and, if it is a tar, into a staged layer."""

    def __init__(self, path: str, ingest: Ingest) -> None:
        self.path = path
        self.ingest = ingest
        self.digest: Digest | None = None
        self.staged: Staged | None = None
        self.diff_id: Digest | None = None
        self.failure: Exception | None = None
        self.compression = NONE


class _Arrivals:
    """The large members of one archive, kept apart from the store until all of it is known to be good."""

    def __init__(self, content: Content, layers: Layers) -> None:
        self._content = content
        self._layers = layers
        self._all: list[_Arrival] = []
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(2, "lodge-store-load")
        self.arrived: dict[str, Arrived] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._stack.close()
        for arrival in self._all:
            if arrival.staged is not None:
                self._layers.discard(arrival.staged)

    def receive(self, path: str, member: Member, reader: TarReader, progress: LoadProgress | None) -> None:
        """Take one member: written here, hashed in another thread, unpacked in a third."""
        arrival = _Arrival(path, self._stack.enter_context(self._content.ingest()))
        self._all.append(arrival)
        arrival.staged = self._layers.stage()
        pipes = (Pipe(), Pipe())
        work: list[Future[None]] = [
            self._pool.submit(_hash, arrival, pipes[0]),
            self._pool.submit(_unpack, arrival, pipes[1]),
        ]
        try:
            done = 0
            for piece in reader.pieces():
                whole = piece if isinstance(piece, bytes) else bytes(piece)
                for pipe in pipes:
                    pipe.write(whole)
                arrival.ingest.append(whole)
                done += len(whole)
                if progress is not None:
                    progress(path, done, member.size)
        except BaseException as error:
            for pipe in pipes:
                pipe.fail(error)
            for future in work:
                future.exception()
            raise
        for pipe in pipes:
            pipe.finish()
        for future in work:
            future.result()
        arrival.ingest.seal()

    def check(self) -> None:
        """Compare digests with what the members' names claim, and learn what there is."""
        for arrival in self._all:
            digest = arrival.digest = arrival.ingest.seal()
            if arrival.compression == NONE:
                arrival.diff_id = digest
            parts = arrival.path.split("/")
            if len(parts) == 3 and parts[0] == "blobs":
                try:
                    named = Digest(f"{parts[1]}:{parts[2]}")
                except InvalidArgument as error:
                    raise Corrupt(f"the archive has a blob with an invalid name: {arrival.path!r}") from error
                if named.algorithm == digest.algorithm and named != digest:
                    raise Corrupt(f"{named}: the content has the digest {digest}")
            self.arrived[arrival.path] = Arrived(
                digest=digest,
                size=arrival.ingest.offset(),
                compression=arrival.compression,
                diff_id=arrival.diff_id,
                failure=arrival.failure,
            )

    def place(self) -> None:
        """Put all blobs in place, with one mark for the case of a loss of power."""
        fresh = {arrival.digest: arrival for arrival in self._all if arrival.digest is not None}
        self._content.durability.announce(blob_marker(digest) for digest in fresh)
        for arrival in fresh.values():
            arrival.ingest.commit(announced=True)

    def take(self, diff_id: Digest) -> Staged | None:
        """Hand over the staged layer with that diff ID, if there is one; once."""
        for arrival in self._all:
            if arrival.diff_id == diff_id and arrival.staged is not None and arrival.failure is None:
                staged, arrival.staged = arrival.staged, None
                return staged
        return None


def _hash(arrival: _Arrival, pipe: Pipe) -> None:
    while piece := pipe.read(1):
        arrival.ingest.absorb(piece)


def _unpack(arrival: _Arrival, pipe: Pipe) -> None:
    """Unpack what may be a layer. That it is none is an error only when an image needs it."""
    assert arrival.staged is not None
    try:
        arrival.compression, plain = inflate(pipe)
        hashing = HashingReader(plain) if arrival.compression != NONE else None
        arrival.staged.extract(hashing or plain)
        arrival.diff_id = hashing.digest() if hashing else None
    except Corrupt as error:
        arrival.failure = error
        pipe.abandon()
    except BaseException:
        pipe.abandon()
        raise
