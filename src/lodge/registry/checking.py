"""Is everything in a registry's directory what its name says? For after an accident; reads every byte."""

from __future__ import annotations

from collections.abc import Iterator

from lodge.errors import Corrupt
from lodge.registry import documents
from lodge.registry.directory import Directory
from lodge.registry.refusals import Refusal
from lodge.registry.repository import Repository
from lodge.spec.digest import Digest

_READ = 1 << 20


def check(directory: Directory, *, repair: bool) -> Iterator[str]:
    """Say what is wrong, one sentence a problem.

    To repair is to remove: a damaged blob can be pushed again once it is gone; a manifest that lacks
    something could not be pulled anyway.
    """
    bad: set[Digest] = set()
    for name in directory.names():
        repository = directory.find(name)
        if repository is None:
            continue
        for digest, _ in list(repository.blobs.walk()):
            if not _sound(repository.blobs.path(digest), digest):
                bad.add(digest)
                yield f"{name}: the blob {digest} is damaged"
                if repair:
                    repository.blobs.discard(digest)
        yield from _check_manifests(repository, repair=repair, complete=not directory.is_cache)
    if repair and bad:
        for digest in bad:
            directory.pool.discard(digest)
        directory.pool.sweep()


def _check_manifests(repository: Repository, *, repair: bool, complete: bool) -> Iterator[str]:
    broken: set[Digest] = set()
    for digest, entry in repository.contents.manifests.items():
        try:
            document = documents.read(repository.read(digest), entry.media_type)
        except (Refusal, Corrupt) as error:
            broken.add(digest)
            yield f"{repository.name}: the manifest {digest} can't be read: {error}"
            continue
        missing = [each for each in document.blobs if repository.blobs.size(each) is None]
        missing += [each for each in document.children if each not in repository.contents.manifests]
        if missing and complete:
            broken.add(digest)
            yield f"{repository.name}: the manifest {digest} lacks {missing[0]}"
    if repair and broken:
        repository.forget(broken)


def _sound(path: str, digest: Digest) -> bool:
    hasher = digest.hasher()
    with open(path, "rb", buffering=0) as file:
        while data := file.read(_READ):
            hasher.update(data)
    return Digest.finish(hasher, digest.algorithm) == digest
