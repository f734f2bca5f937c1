"""Garbage: blobs that no manifest needs, manifests without a tag if wished, uploads nobody continues.

Runs beside everything else. A repository is marked and swept under its lock, so that no manifest can arrive
in between; what was uploaded or asked for lately stays, because its manifest may be on its way. Blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from lodge.errors import Corrupt
from lodge.registry import documents
from lodge.registry.directory import Directory
from lodge.registry.refusals import Refusal
from lodge.registry.repository import Contents, Repository
from lodge.registry.uploads import Uploads
from lodge.spec.digest import Digest


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go. Times in seconds."""

    grace: float = 3600.0
    """A blob or manifest that was uploaded, mounted or asked for within this time stays."""

    uploads: float = 7 * 24 * 3600.0
    """An upload that was not continued for this time is given up."""

    untagged: bool = False
    """Whether manifests go that no tag, no index and no subject needs."""

    cache: bool = False
    """Whether blobs can be brought again: nobody having asked for them in `grace` is enough."""


@dataclass(slots=True)
class Freed:
    """What went."""

    manifests: int = 0
    blobs: int = 0
    uploads: int = 0
    size: int = 0


def collect(directory: Directory, uploads: Uploads, rules: Rules) -> Freed:
    """Collect in all repositories, then in the pool. `size` counts what the disk got back."""
    freed = Freed()
    for name in directory.names():
        repository = directory.find(name)
        if repository is not None:
            _collect_one(repository, rules, freed)
            freed.uploads += uploads.expire(repository, rules.uploads)
    _, freed.size = directory.pool.sweep()
    return freed


def _collect_one(repository: Repository, rules: Rules, freed: Freed) -> None:
    with repository.lock:
        known = _Documents(repository)
        if rules.untagged:
            contents = repository.contents
            kept = _reachable(contents, known)
            gone = {
                digest
                for digest in contents.manifests
                if digest not in kept and not repository.blobs.recent(digest, rules.grace)
            }
            if gone:
                repository.forget_locked(gone)
            freed.manifests += len(gone)
        needed: set[Digest] = set()
        for digest in repository.contents.manifests:
            document = known.get(digest)
            needed.add(digest)
            if document is None:
                return  # what can't be read may need anything: nothing of this repository goes
            if not rules.cache:
                needed.update(document.blobs, document.foreign, document.children)
        count, _ = repository.blobs.sweep(needed, rules.grace)
        freed.blobs += count


def _reachable(contents: Contents, known: _Documents) -> set[Digest]:
    """Manifests that a tag leads to: their children, and whoever refers to them (signatures, SBOMs)."""
    found: set[Digest] = set()
    stack = list(contents.tags.values())
    while stack:
        digest = stack.pop()
        if digest in found:
            continue
        found.add(digest)
        document = known.get(digest) if digest in contents.manifests else None
        stack += document.children if document is not None else ()
        stack += contents.referrers.get(digest, ())
    return found


class _Documents:
    """Manifests of a repository, each read once."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._read: dict[Digest, documents.Document | None] = {}

    def get(self, digest: Digest) -> documents.Document | None:
        """A manifest, None when it can't be read."""
        if digest not in self._read:
            entry = self._repository.contents.manifests[digest]
            try:
                self._read[digest] = documents.read(self._repository.read(digest), entry.media_type)
            except (Refusal, Corrupt):
                self._read[digest] = None
        return self._read[digest]
