"""The blobs of one repository: an OCI layout's `blobs` directory, whose files are links into a pool.

A blob that several repositories hold lies on the disk once: each has a name for it, and the pool has one
more, so that the next upload of the same bytes finds it. Whoever asks for a blob protects it for a while
from the collection, because a client that was told "it is there" will not send it. Thread-safe.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

from lodge.registry import files
from lodge.spec.digest import Digest

ALGORITHMS = ("sha256", "sha384", "sha512")


class Pool:
    """One name for each blob that any repository of a root holds."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        for algorithm in ALGORITHMS:
            os.makedirs(f"{directory}/{algorithm}", exist_ok=True)

    def path(self, digest: Digest) -> str:
        """Where a blob is, if it is."""
        algorithm, _, encoded = digest.partition(":")
        return f"{self._directory}/{algorithm}/{encoded}"

    def discard(self, digest: Digest) -> None:
        """Forget a blob that is damaged. Idempotent."""
        files.remove(self.path(digest))

    def sweep(self) -> tuple[int, int]:
        """Remove what no repository holds any more: how many blobs and bytes.

        A repository that links to a blob at this very moment keeps it: only the pool's name goes.
        """
        count = size = 0
        for algorithm in ALGORITHMS:
            with os.scandir(f"{self._directory}/{algorithm}") as entries:
                for entry in entries:
                    facts = entry.stat()
                    if facts.st_nlink == 1 and files.remove(entry.path):
                        count, size = count + 1, size + facts.st_size
        return count, size

    def sync(self, algorithm: str) -> None:
        """Make the pool's names durable."""
        files.sync_directory(f"{self._directory}/{algorithm}")


class Shelf:
    """The blobs of one repository."""

    def __init__(self, directory: str, pool: Pool) -> None:
        self._directory = directory
        self._pool = pool
        self._gate = threading.Lock()
        self._touched: dict[Digest, float] = {}
        self._born = time.monotonic()
        for algorithm in ALGORITHMS:
            os.makedirs(f"{directory}/{algorithm}", exist_ok=True)

    def path(self, digest: Digest) -> str:
        """Where a blob is, if it is."""
        algorithm, _, encoded = digest.partition(":")
        return f"{self._directory}/{algorithm}/{encoded}"

    def size(self, digest: Digest) -> int | None:
        """The bytes of a blob, None when it isn't here; what is here stays for a while."""
        with self._gate:
            self._touched[digest] = time.monotonic()
            try:
                return os.stat(self.path(digest)).st_size
            except FileNotFoundError:
                return None

    def open(self, digest: Digest) -> int | None:
        """A descriptor of a blob, None when it isn't here; what is here stays for a while."""
        with self._gate:
            self._touched[digest] = time.monotonic()
            try:
                return os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None

    def adopt(self, path: str, digest: Digest) -> None:
        """Take a finished, synced file as a blob; its old name goes. At no moment is it without a name."""
        pooled = self._pool.path(digest)
        with self._gate:
            self._touched[digest] = time.monotonic()
            if self._from_pool(digest):
                files.remove(path)
                return
            os.chmod(path, 0o444)
            files.link(path, self.path(digest))
        os.rename(path, pooled)

    def mount(self, digest: Digest, source: Shelf | None) -> bool:
        """Take a blob that another repository has, or (`source` None) any; False when it isn't there."""
        origin = source.path(digest) if source is not None else self._pool.path(digest)
        with self._gate:
            self._touched[digest] = time.monotonic()
            try:
                files.link(origin, self.path(digest))
            except FileNotFoundError:
                return False
            return True

    def discard(self, digest: Digest) -> bool:
        """Remove a blob; False when it wasn't here."""
        return files.remove(self.path(digest))

    def walk(self) -> Iterator[tuple[Digest, int]]:
        """All blobs and their sizes; what comes or goes meanwhile may or may not be among them."""
        for algorithm in ALGORITHMS:
            with os.scandir(f"{self._directory}/{algorithm}") as entries:
                for entry in entries:
                    if entry.name.endswith(".new"):
                        continue
                    try:
                        yield Digest(f"{algorithm}:{entry.name}"), entry.stat().st_size
                    except FileNotFoundError:
                        continue

    def recent(self, digest: Digest, grace: float) -> bool:
        """Whether somebody brought it or asked for it in the last `grace` seconds."""
        with self._gate:
            return self._touched.get(digest, self._born) > time.monotonic() - grace

    def sweep(self, needed: set[Digest], grace: float) -> tuple[int, int]:
        """Remove what is not needed and was not asked for in `grace` seconds: how many blobs and bytes."""
        count = size = 0
        horizon = time.monotonic() - grace
        for digest, bytes_ in list(self.walk()):
            if digest in needed:
                continue
            with self._gate:  # checked and removed in one step: nobody is told in between that it is there
                if self._touched.get(digest, self._born) <= horizon and self.discard(digest):
                    count, size = count + 1, size + bytes_
        with self._gate:
            self._touched = {digest: at for digest, at in self._touched.items() if at > horizon}
        return count, size

    def sync(self, algorithm: str) -> None:
        """Make the names durable."""
        files.sync_directory(f"{self._directory}/{algorithm}")

    def _from_pool(self, digest: Digest) -> bool:
        try:
            files.link(self._pool.path(digest), self.path(digest))
        except FileNotFoundError:
            return False
        return True
