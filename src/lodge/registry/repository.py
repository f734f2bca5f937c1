"""One repository: an OCI image layout of its own (image-spec image-layout.md), readable by other tools.

`index.json` says which manifests there are and what their tags are; it is replaced as a whole, so a push is
there or not. In memory it is an immutable `Contents`: readers take it and need no lock, writers make the
next one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping

import msgspec

from lodge.errors import Corrupt, InvalidArgument
from lodge.registry import documents, files, refusals
from lodge.registry.documents import Document
from lodge.registry.shelf import Pool, Shelf
from lodge.spec.descriptor import OCI_INDEX, Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import Index

TAG = "org.opencontainers.image.ref.name"
_SUBJECT = "io.lodge.registry.subject"
_COMPLETE = "io.lodge.registry.subjects"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Entry(msgspec.Struct, frozen=True):
    """A manifest that a repository holds. `size` is in bytes."""

    media_type: str
    size: int
    subject: Digest | None = None


class Contents:
    """What a repository holds at one moment. Never changed: `with_...` make another."""

    __slots__ = ("_sorted", "manifests", "referrers", "tags")

    def __init__(self, tags: Mapping[str, Digest], manifests: Mapping[Digest, Entry]) -> None:
        self.tags = tags
        self.manifests = manifests
        self.referrers: dict[Digest, list[Digest]] = {}
        for digest, entry in manifests.items():
            if entry.subject is not None:
                self.referrers.setdefault(entry.subject, []).append(digest)
        self._sorted: list[str] | None = None

    def sorted_tags(self) -> list[str]:
        """All tags in the order of their bytes, as the specification lists them."""
        if self._sorted is None:
            self._sorted = sorted(self.tags)
        return self._sorted

    def find(self, reference: str) -> Digest | None:
        """The digest of a tag, or a digest itself, if it is here."""
        digest = self.tags.get(reference)
        if digest is None and ":" in reference:
            digest = Digest(reference)
        return digest if digest in self.manifests else None


class Repository:
    """One repository. Reading is free of locks; changes block and belong in a thread."""

    def __init__(self, name: str, directory: str, pool: Pool, ballast: files.Ballast) -> None:
        self.name = name
        self.directory = directory
        self.uploads = f"{directory}/uploads"
        self._index = f"{directory}/index.json"
        self.lock = threading.Lock()
        os.makedirs(self.uploads, exist_ok=True)
        self.blobs = Shelf(f"{directory}/blobs", pool)
        self._pool = pool
        self._ballast = ballast
        if not os.path.exists(f"{directory}/oci-layout"):
            files.replace(f"{directory}/oci-layout", _LAYOUT)
        self.contents = self._load()

    def read(self, digest: Digest) -> bytes:
        """A manifest's bytes, checked against its digest. Raises Refusal, Corrupt."""
        try:
            with open(self.blobs.path(digest), "rb") as file:
                data = file.read(documents.CAP + 1)
        except FileNotFoundError:
            raise refusals.manifest_unknown(digest) from None
        hasher = digest.hasher()
        hasher.update(data)
        if Digest.finish(hasher, digest.algorithm) != digest:
            raise Corrupt(f"the manifest {digest} is damaged on the registry's disk")
        return data

    def put(
        self,
        digest: Digest,
        data: bytes,
        document: Document,
        tags: tuple[str, ...],
        *,
        complete: bool = True,
    ) -> None:
        """Take a manifest whose needs are here (if `complete`), and let tags point to it. Idempotent.

        It is durable on return. Raises Refusal MANIFEST_BLOB_UNKNOWN for what is missing, Exhausted.
        """
        with self.lock:
            if complete:
                self._check_needs(document)
            if self.blobs.size(digest) is None:
                temporary = f"{self.uploads}/{digest.hex}.manifest"
                files.write_synced(temporary, data)
                self.blobs.adopt(temporary, digest)
            for algorithm in {digest.algorithm, *(each.algorithm for each in document.blobs)}:
                self.blobs.sync(algorithm)
                self._pool.sync(algorithm)
            entry = Entry(document.media_type, len(data), document.subject)
            manifests = {**self.contents.manifests, digest: entry}
            self._store({**self.contents.tags, **dict.fromkeys(tags, digest)}, manifests)

    def _check_needs(self, document: Document) -> None:
        missing: list[str] = [each for each in document.blobs if self.blobs.size(each) is None]
        missing += [each for each in document.children if each not in self.contents.manifests]
        if missing:
            detail = [{"digest": str(each)} for each in missing[:100]]
            message = f"manifest references unknown content: {missing[0]}"
            raise refusals.Refusal("MANIFEST_BLOB_UNKNOWN", message, 404, detail=detail)

    def untag(self, tag: str) -> bool:
        """Forget a tag, not its manifest; False when there is none."""
        with self.lock:
            tags = dict(self.contents.tags)
            if tags.pop(tag, None) is None:
                return False
            self._store(tags, self.contents.manifests, less=True)
            return True

    def forget(self, digests: set[Digest]) -> None:
        """Forget manifests with all their tags; their bytes go with the next collection. Idempotent."""
        with self.lock:
            self.forget_locked(digests)

    def forget_locked(self, digests: set[Digest]) -> None:
        """`forget` for who holds the lock."""
        old = self.contents
        manifests = {digest: entry for digest, entry in old.manifests.items() if digest not in digests}
        if len(manifests) != len(old.manifests):
            tags = {tag: digest for tag, digest in old.tags.items() if digest not in digests}
            self._store(tags, manifests, less=True)

    def _store(
        self, tags: Mapping[str, Digest], manifests: Mapping[Digest, Entry], *, less: bool = False
    ) -> None:
        write = self._ballast.replace if less else files.replace
        write(self._index, _encode(tags, manifests))
        self.contents = Contents(tags, manifests)

    def _load(self) -> Contents:
        try:
            with open(self._index, "rb") as file:
                index = msgspec.json.decode(file.read(), type=Index)
        except FileNotFoundError:
            return Contents({}, {})
        except (msgspec.DecodeError, InvalidArgument) as error:
            raise Corrupt(
                f"the index of the repository {self.name} is damaged: {error}",
                hint=f"move {self._index} away; its blobs stay",
            ) from error
        complete = bool(index.annotations and _COMPLETE in index.annotations)
        tags: dict[str, Digest] = {}
        manifests: dict[Digest, Entry] = {}
        for each in index.manifests:
            notes = each.annotations or {}
            if TAG in notes:
                tags[notes[TAG]] = each.id
            subject = notes.get(_SUBJECT) if complete else self._subject(each.id)
            manifests[each.id] = Entry(each.media_type, each.size, Digest(subject) if subject else None)
        return Contents(tags, manifests)

    def _subject(self, digest: Digest) -> str | None:
        """Whom a manifest refers to, when another tool wrote the index."""
        try:
            return documents.read(self.read(digest)).subject
        except (refusals.Refusal, Corrupt):
            return None


def _encode(tags: Mapping[str, Digest], manifests: Mapping[Digest, Entry]) -> bytes:
    named: dict[Digest, list[str]] = {}
    for tag, digest in tags.items():
        named.setdefault(digest, []).append(tag)
    entries = [
        _descriptor(digest, entry, tag)
        for digest, entry in manifests.items()
        for tag in named.get(digest) or (None,)
    ]
    index = Index(
        schema_version=2, media_type=OCI_INDEX, manifests=tuple(entries), annotations={_COMPLETE: "noted"}
    )
    return index.encode()


def _descriptor(digest: Digest, entry: Entry, tag: str | None) -> Descriptor:
    notes = {}
    if tag is not None:
        notes[TAG] = tag
    if entry.subject is not None:
        notes[_SUBJECT] = str(entry.subject)
    return Descriptor(media_type=entry.media_type, digest=digest, size=entry.size, annotations=notes or None)


def walk(root: str) -> Iterator[tuple[str, str]]:
    """Names and directories of all repositories below a directory."""
    stack = [("", root)]
    while stack:
        name, directory = stack.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name == "_" and name:
                    yield name, entry.path
                elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("_"):
                    stack.append((f"{name}/{entry.name}" if name else entry.name, entry.path))
