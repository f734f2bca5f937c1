"""Blobs: bytes named by their digest, below `blobs/<algorithm>/<hex>` of an OCI image layout.

A blob is there completely or not at all. It is written to `ingest`, hashed meanwhile, and renamed into place.
Readers check what they read. Names and the rest of the layout are next door, in `references`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from typing import Self

from lodge.archive.source import CHUNK, DescriptorReader
from lodge.archive.verified import VerifiedReader
from lodge.errors import Conflict, Corrupt, NotFound
from lodge.spec.digest import Digest, hasher
from lodge.store.durability import Durability
from lodge.store.leases import Leases
from lodge.store.space import disk_full_is_exhausted

_ANONYMOUS = "anonymous-"
_RESUMABLE = 7 * 24 * 3600


class Content:
    """The blobs of one store. Methods say whether they are idempotent; all are safe in threads."""

    def __init__(self, directory: str, durability: Durability, leases: Leases) -> None:
        self.directory = directory
        self._blobs = os.path.join(directory, "blobs")
        self.ingests = os.path.join(directory, "ingest")
        self.durability = durability
        self.leases = leases
        self._lock = threading.Lock()
        self._active: set[str] = set()
        self._count = 0
        # One by one: makedirs gives its mode to the last only.
        for path in (directory, self._blobs, os.path.join(self._blobs, "sha256"), self.ingests):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def path(self, digest: Digest) -> str:
        """Return where a blob is, or would be."""
        # A Digest can't be made without a check, so nothing of it can lead elsewhere.
        algorithm, _, encoded = Digest(digest).partition(":")
        return f"{self._blobs}/{algorithm}/{encoded}"

    def ingest(self, expected: Digest | None = None, size: int | None = None) -> Ingest:
        """Begin a blob; use it as a with-block. What is not committed in the block is gone after it.

        With `expected` the bytes stay when the block fails, and the next ingest of that digest goes on at
        `offset()`. Two at a time of one digest don't disturb each other; only the first can be resumed.
        """
        if expected is not None:
            name = f"{expected.algorithm}-{expected.hex}"
            with self._lock:
                if name not in self._active:
                    self._active.add(name)
                    return Ingest(self, name, expected, size, resumable=True)
        with self._lock:
            self._count += 1
            name = f"{_ANONYMOUS}{os.getpid()}-{self._count}"
        return Ingest(self, name, expected, size, resumable=False)

    def put(self, data: bytes, expected: Digest | None = None) -> Digest:
        """Store a small blob at once. Idempotent; raises Corrupt when it isn't what was expected."""
        digest = Digest.of(data)
        if expected is not None and digest != expected:
            raise Corrupt(f"{expected}: the content has the digest {digest}")
        if not self.exists(digest):
            with self.ingest() as ingest:
                ingest.write(data)
                ingest.commit()
        return digest

    def open(self, digest: Digest) -> VerifiedReader:
        """Return a reader that checks itself; close it. Raises NotFound."""
        file = self.open_unchecked(digest)
        return VerifiedReader(DescriptorReader(file.fileno()), digest, closing=file)

    def open_unchecked(self, digest: Digest) -> FileIO:
        """Return a blob's file, for who passes it on to somebody that checks it. Raises NotFound."""
        self.leases.touch(digest)
        try:
            return open(self.path(digest), "rb", buffering=0)
        except FileNotFoundError:
            raise NotFound(f"content {digest} not found") from None

    def read(self, digest: Digest, cap: int) -> bytes:
        """Return a whole blob, checked. Raises NotFound, and Corrupt when it is longer than `cap` bytes."""
        with self.open(digest) as reader:
            pieces = []
            left = cap
            while piece := reader.read(min(CHUNK, left + 1)):
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    raise Corrupt(f"{digest}: longer than {cap} bytes")
        return b"".join(pieces)

    def stat(self, digest: Digest) -> int:
        """Return the size of a blob in bytes. Raises NotFound."""
        with self.leases.lock:
            self.leases.touch(digest)
            try:
                return os.stat(self.path(digest)).st_size
            except FileNotFoundError:
                raise NotFound(f"content {digest} not found") from None

    def exists(self, digest: Digest) -> bool:
        """Whether a blob is there; under a lease it then stays."""
        with self.leases.lock:
            self.leases.touch(digest)
            return os.path.exists(self.path(digest))

    def delete(self, digest: Digest) -> None:
        """Remove a blob. Idempotent. What refers to it is for the caller to know."""
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            pass

    def walk(self) -> Iterator[tuple[Digest, int]]:
        """Yield all blobs and their sizes; what comes or goes meanwhile may or may not be among them."""
        for algorithm in os.listdir(self._blobs):
            with os.scandir(os.path.join(self._blobs, algorithm)) as entries:
                for entry in entries:
                    try:
                        yield Digest(f"{algorithm}:{entry.name}"), entry.stat().st_size
                    except FileNotFoundError:
                        continue

    def verify(self, digest: Digest) -> bool:
        """Whether the blob is there and its bytes are what its name says."""
        try:
            with self.open(digest) as reader:
                while reader.read(CHUNK):
                    pass
        except (NotFound, Corrupt):
            return False
        return True

    def recover(self) -> None:
        """Remove what a crash left half written; what can be resumed stays for a week."""
        long_ago = time.time() - _RESUMABLE
        with os.scandir(self.ingests) as entries:
            for entry in entries:
                if entry.name.startswith(_ANONYMOUS) or entry.stat().st_mtime < long_ago:
                    os.unlink(entry.path)

    def expire(self) -> None:
        """Remove what nobody has gone on with for a week. Safe beside everything."""
        long_ago = time.time() - _RESUMABLE
        with os.scandir(self.ingests) as entries:
            for entry in entries:
                with self._lock, suppress(FileNotFoundError):
                    unused = not entry.name.startswith(_ANONYMOUS) and entry.name not in self._active
                    if unused and entry.stat().st_mtime < long_ago:
                        os.unlink(entry.path)

    def release(self, name: str) -> None:
        """Let another ingest of the same digest be the one that can be resumed."""
        with self._lock:
            self._active.discard(name)


class Ingest:
    """A blob that is being written. `commit` gives it its name; without it nothing appears."""

    def __init__(
        self, content: Content, name: str, expected: Digest | None, size: int | None, *, resumable: bool
    ) -> None:
        self._content = content
        self._name = name
        self._path = os.path.join(content.ingests, name)
        self._expected = expected
        self._size = size
        self._resumable = resumable
        self._hasher = expected.hasher() if expected is not None else hasher()
        self._algorithm = expected.algorithm if expected is not None else "sha256"
        self._written = 0
        self._fd = -1
        self._spoiled = False
        self._closed = False
        self._sealed: Digest | None = None
        self.digest: Digest | None = None

    def __enter__(self) -> Self:
        return self.begin()

    def begin(self, replay: Callable[[bytes], object] | None = None) -> Self:
        """Open the file: what a with-block does first. `replay` gets what an earlier attempt has left."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if self._resumable else os.O_TRUNC)
        self._fd = os.open(self._path, flags, 0o600)
        if self._resumable:
            if self._size is not None and os.fstat(self._fd).st_size > self._size:
                os.ftruncate(self._fd, 0)
            while data := os.read(self._fd, CHUNK):
                self._hasher.update(data)
                self._written += len(data)
                if replay is not None:
                    replay(data)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the work: what was not committed goes, or stays to be resumed. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._close_file()
        if self.digest is None and (self._spoiled or not self._resumable or not self._written):
            self._discard()
        if self._resumable:
            self._content.release(self._name)

    def _close_file(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def offset(self) -> int:
        """Return how many bytes are there already: where a resumed download goes on."""
        return self._written

    def restart(self) -> None:
        """Forget the bytes that are there, when their sender can't go on in the middle."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._written = 0
        self._spoiled = False
        self._hasher = hasher(self._algorithm)

    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises Corrupt when there are more bytes than were announced, Exhausted on a full disk."""
        self.append(data)
        self.absorb(data)

    def absorb(self, data: bytes | memoryview) -> None:
        """Take bytes into the digest only: half of `write`, for a thread of its own."""
        self._hasher.update(data)

    def append(self, data: bytes | memoryview) -> None:
        """Put bytes into the file only: the other half of `write`. Raises as that."""
        self._written += len(data)
        if self._size is not None and self._written > self._size:
            self._spoiled = True
            raise Corrupt(f"{self._expected}: longer than the {self._size} bytes that were announced")
        with disk_full_is_exhausted("a blob can't be stored"):
            done = os.write(self._fd, data)
            while done < len(data):
                data = memoryview(data)[done:]
                done = os.write(self._fd, data)

    def seal(self) -> Digest:
        """Check what was written against what was expected and return its digest, without placing it yet.

        Nothing more can be written; the file is closed, so that many may wait for their commit. Idempotent.
        """
        if self._sealed is None:
            digest = Digest.finish(self._hasher, self._algorithm)
            if self._size is not None and self._written != self._size:
                raise Corrupt(f"{self._expected}: {self._written} bytes instead of {self._size}")
            if self._expected is not None and digest != self._expected:
                self._spoiled = True
                raise Corrupt(f"{self._expected}: the content has the digest {digest}")
            os.fchmod(self._fd, 0o400)
            self._close_file()
            self._sealed = digest
        return self._sealed

    def commit(self, *, announced: bool = False) -> Digest:
        """Put the blob in place and return its digest. Idempotent towards a blob that is there already.

        Raises Corrupt for a wrong digest or size. `announced` says that the caller has marked it for the
        case of a loss of power, together with others.
        """
        if self._closed or self.digest is not None:
            raise Conflict("this ingest is finished")
        content, digest = self._content, self.seal()
        name = blob_marker(digest)
        if not announced:
            with disk_full_is_exhausted("a blob can't be stored"):
                content.durability.announce([name])
        target = content.path(digest)
        with content.leases.lock:
            content.leases.touch(digest)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            os.rename(self._path, target)
        content.durability.placed([name])
        self.digest = digest
        return digest

    def _discard(self) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass


def blob_marker(digest: Digest) -> str:
    """Return the name under which `Durability` knows a blob."""
    return f"blob.{digest.algorithm}.{digest.hex}"
