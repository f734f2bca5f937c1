"""Blobs that are being sent: a file that grows, its hash with it, and where the client may go on.

What has arrived survives a broken connection and a restart of the registry (the file is hashed again).
Methods block and belong in a thread, one at a time for each upload; `Uploads` hands them out.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterable

from lodge.registry import files, refusals
from lodge.registry.refusals import Refusal
from lodge.registry.repository import Repository
from lodge.spec.digest import Digest, Hasher, hasher

_READ = 1 << 20
_KEPT = 4096


class Upload:
    """One blob on its way. `offset` is how many bytes are here."""

    def __init__(self, repository: Repository, identity: str, algorithm: str, limit: int) -> None:
        self.repository = repository
        self.identity = identity
        self.path = f"{repository.uploads}/{identity}"
        self.offset = 0
        self.used = time.monotonic()
        self._algorithm = algorithm
        self._hasher: Hasher = hasher(algorithm)
        self._limit = limit
        self._fd = -1

    @classmethod
    def continued(cls, repository: Repository, digest: Digest) -> Upload:
        """The one download of a blob whose digest is known: what an earlier attempt brought is there."""
        upload = cls(repository, digest.hex[:32], digest.algorithm, 0)
        with files.full_disk_is_exhausted():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            upload._fd = os.open(upload.path, flags, 0o644)
        upload._rehash()
        return upload

    def begin(self) -> None:
        """Make the file."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with files.full_disk_is_exhausted():
            self._fd = os.open(self.path, flags, 0o644)

    def open(self) -> None:
        """Go on with a file. Raises Refusal when the upload is over."""
        if self._fd < 0:
            try:
                self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                raise refusals.upload_unknown(self.identity) from None

    def resume(self) -> None:
        """Learn what an upload of an earlier life of this process had come to. Raises Refusal."""
        self.open()
        self._rehash()

    def append(self, pieces: Iterable[bytes]) -> None:
        """Take bytes. Raises Exhausted on a full disk (what fits is kept), Refusal over the limit."""
        self.used = time.monotonic()
        with files.full_disk_is_exhausted():
            for piece in pieces:
                self._write(piece)

    def finish(self, digest: Digest) -> None:
        """The bytes are complete: check them, and put the blob on its repository's shelf. The upload is over.

        Raises Refusal DIGEST_INVALID; then nothing stays of it.
        """
        if digest.algorithm != self._algorithm:
            self._algorithm = digest.algorithm
            self._rehash()
        found = Digest.finish(self._hasher, self._algorithm)
        if found != digest:
            self.cancel()
            raise refusals.digest_invalid(digest)
        with files.full_disk_is_exhausted():
            os.fsync(self._fd)
            self.close()
            self.repository.blobs.adopt(self.path, digest)

    def restart(self) -> None:
        """Forget the bytes that are here: their sender can't go on in the middle."""
        os.ftruncate(self._fd, 0)
        self._rehash()

    def cancel(self) -> None:
        """Give it up; False when it was over already. Idempotent."""
        self.close()
        files.remove(self.path)

    def close(self) -> None:
        """Give the descriptor back until the next request. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _write(self, piece: bytes) -> None:
        if self._limit and self.offset + len(piece) > self._limit:
            self.cancel()
            raise Refusal("SIZE_INVALID", f"blob is larger than {self._limit} bytes", 413)
        view = memoryview(piece)
        while view:
            size = os.pwrite(self._fd, view, self.offset)
            self._hasher.update(view[:size])
            self.offset += size
            view = view[size:]

    def _rehash(self) -> None:
        self._hasher, self.offset = hasher(self._algorithm), 0
        while data := os.pread(self._fd, _READ, self.offset):
            self._hasher.update(data)
            self.offset += len(data)


class Uploads:
    """The uploads that are under way. Blocking methods say so."""

    def __init__(self, *, limit: int = 0) -> None:
        self._limit = limit
        self._known: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def begin(self, repository: Repository, algorithm: str = "sha256") -> Upload:
        """Start one. Raises Refusal for an unknown algorithm, Exhausted."""
        upload = Upload(repository, secrets.token_hex(16), algorithm, self._limit)
        upload.begin()
        with self._lock:
            if len(self._known) >= _KEPT:
                # what is forgotten here is found again by its file
                oldest = min(self._known, key=lambda each: self._known[each].used)
                del self._known[oldest]
            self._known[upload.identity] = upload
        return upload

    def find(self, repository: Repository, identity: str) -> Upload:
        """One under way; it blocks when it is of an earlier life. Raises Refusal BLOB_UPLOAD_UNKNOWN."""
        with self._lock:
            upload = self._known.get(identity)
        if upload is not None and upload.repository is repository:
            return upload
        if upload is not None or not os.path.exists(f"{repository.uploads}/{identity}"):
            raise refusals.upload_unknown(identity)
        upload = Upload(repository, identity, "sha256", self._limit)
        upload.resume()
        upload.close()
        with self._lock:
            return self._known.setdefault(identity, upload)

    def end(self, upload: Upload) -> None:
        """Forget one that is finished or cancelled."""
        with self._lock:
            self._known.pop(upload.identity, None)

    def expire(self, repository: Repository, age: float) -> int:
        """Remove what nobody has continued for `age` seconds; gives how many."""
        removed = 0
        horizon = time.time() - age
        with os.scandir(repository.uploads) as entries:
            for entry in entries:
                try:
                    stale = entry.stat().st_mtime < horizon
                except FileNotFoundError:
                    continue
                if stale and files.remove(entry.path):
                    with self._lock:
                        self._known.pop(entry.name, None)
                    removed += 1
        return removed
