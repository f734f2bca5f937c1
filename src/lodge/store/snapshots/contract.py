"""The contract of snapshotters. tests/contract/snapshots holds it as tests, run against each of them.

Words: a *chain* is the chain ID of an unpacked layer and stands for that layer with all below it; None
stands for an empty root. A *snapshot* is a writable (prepare) or read-only (view) file system that starts
as the chain, known by a *key* (the ID of a container). Its *upper* files are those that make it differ from
the chain.

Life: prepare or view -> mounts, as often as wanted -> usage, changes, archive while it exists -> remove.

Example:
    snapshots.prepare("c1", chain)
    for mount in snapshots.mounts("c1"): ...     # performed by the runtime, in the container's namespace
    snapshots.changes("c1")                      # [("A", "/new"), ("C", "/etc"), ...]
    snapshots.remove("c1")

A snapshot exists completely or not at all, also after a crash; `prepare` and `remove` take well under a
millisecond where the snapshotter is overlay, and sync nothing: a container's own writes aren't synced either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lodge.archive.tree import TreeOptions
from lodge.spec.digest import Digest
from lodge.spec.mount import Mount

Change = tuple[str, str]
"""A kind, of A (added), C (changed) and D (deleted), and a path."""


class Snapshotter(Protocol):
    """What `Store.snapshots` is. All methods are safe in threads, for different keys."""

    @property
    def name(self) -> str:
        """The name that `docker info` shows as the storage driver."""

    def prepare(self, key: str, chain: Digest | None, *, furnished: bool = False) -> None:
        """Make a writable snapshot. Raises AlreadyExists, NotFound (the chain), InvalidArgument (the key).

        A furnished one starts with the mount points that every container needs; they are no difference.
        """

    def view(self, key: str, chain: Digest | None) -> None:
        """Make a read-only snapshot. Raises as `prepare`."""

    def mounts(self, key: str) -> list[Mount]:
        """Return what to mount, in order; the last is the root. Raises NotFound."""

    def view_mounts(self, chain: Digest | None) -> list[Mount]:
        """Return what to mount to see a chain read-only, without a snapshot; hold a lease meanwhile."""

    def remove(self, key: str) -> None:
        """Remove a snapshot. Idempotent. Returns at once; the files go in the background."""

    def exists(self, key: str) -> bool:
        """Whether there is a snapshot of that key."""

    def chain(self, key: str) -> Digest | None:
        """Return what it was made from. Raises NotFound."""

    def walk(self) -> list[str]:
        """Return all keys."""

    def usage(self, key: str) -> tuple[int, int]:
        """Return the bytes of the upper files, as Docker's SizeRw, and the count of their inodes."""

    def changes(self, key: str) -> list[Change]:
        """Return how it differs from its chain, sorted by path, as `docker diff` shows it."""

    def recover(self) -> None:
        """Remove what a crash left half made; called once, before all else."""

    def archive(self, key: str, write: Callable[[bytes], object], options: TreeOptions) -> None:
        """Write the difference as the tar of a layer, with `.wh.` names, to go on top of the chain."""
