"""The engine's own images, served read-only: its content directory is an OCI layout, and is only looked at.

`docker.io/library/busybox:latest` is `library/busybox` here, `quay.io/a/b:1` is `quay.io/a/b`. The index is
read again when it has changed. A blob that the engine keeps only unpacked is unknown here.
"""

from __future__ import annotations

import os

import msgspec

from lodge.errors import Corrupt, InvalidArgument
from lodge.registry import documents, refusals
from lodge.registry.repository import Contents, Entry
from lodge.registry.targets import is_name
from lodge.spec.descriptor import Descriptor
from lodge.spec.digest import Digest
from lodge.spec.image import Index
from lodge.spec.reference import DEFAULT_DOMAIN, Reference

_NAME = "org.opencontainers.image.ref.name"
_DEPTH = 4


class _Blobs:
    def __init__(self, directory: str) -> None:
        self._directory = directory

    def path(self, digest: Digest) -> str:
        algorithm, _, encoded = digest.partition(":")
        return f"{self._directory}/{algorithm}/{encoded}"

    def size(self, digest: Digest) -> int | None:
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            return None

    def open(self, digest: Digest) -> int | None:
        try:
            return os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None


class _Repository:
    def __init__(self, blobs: _Blobs, contents: Contents) -> None:
        self.blobs = blobs
        self.contents = contents

    def read(self, digest: Digest) -> bytes:
        return _read(self.blobs, digest)


class EngineStore:
    """The images below a data root of lodged (see `service.Library`)."""

    def __init__(self, data_root: str) -> None:
        self._index = f"{data_root}/content/index.json"
        if not os.path.isdir(f"{data_root}/content"):
            raise InvalidArgument(f"{data_root} is no data root of lodged")
        self._blobs = _Blobs(f"{data_root}/content/blobs")
        self._stamp: tuple[int, int] | None = None
        self._repositories: dict[str, _Repository] = {}

    def find(self, name: str) -> _Repository | None:
        """See Library."""
        self._refresh()
        return self._repositories.get(name)

    def names(self) -> list[str]:
        """See Library."""
        self._refresh()
        return sorted(self._repositories)

    def _refresh(self) -> None:
        try:
            facts = os.stat(self._index)
        except FileNotFoundError:
            self._repositories = {}
            return
        stamp = (facts.st_mtime_ns, facts.st_ino)
        if stamp == self._stamp:
            return
        with open(self._index, "rb") as file:
            index = msgspec.json.decode(file.read(), type=Index)
        tags: dict[str, dict[str, Digest]] = {}
        manifests: dict[str, dict[Digest, Entry]] = {}
        for entry in index.manifests:
            found = _repository_of((entry.annotations or {}).get(_NAME, ""))
            if found is not None:
                name, tag = found
                if tag:
                    tags.setdefault(name, {})[tag] = entry.id
                self._gather(entry, manifests.setdefault(name, {}), _DEPTH)
        self._repositories = {
            name: _Repository(self._blobs, Contents(tags.get(name, {}), held))
            for name, held in manifests.items()
        }
        self._stamp = stamp

    def _gather(self, entry: Descriptor, held: dict[Digest, Entry], depth: int) -> None:
        """A manifest, and the manifests of an index as far as they are here."""
        held[entry.id] = Entry(entry.media_type, entry.size)
        if entry.is_index and depth:
            try:
                children = Index.decode(_read(self._blobs, entry.id)).manifests
            except (refusals.Refusal, Corrupt):
                return
            for child in children:
                if child.id not in held and self._blobs.size(child.id) is not None:
                    self._gather(child, held, depth - 1)


def _repository_of(name: str) -> tuple[str, str | None] | None:
    """The repository and the tag that an image's name has here; None for what can't be one."""
    try:
        if not name or "/" not in name:
            return None  # the bare digest of an image that has no name
        reference = Reference.parse_name(name)
    except InvalidArgument:
        return None
    path = reference.path if reference.domain == DEFAULT_DOMAIN else f"{reference.domain}/{reference.path}"
    path = path if is_name(path) else reference.path
    return path, reference.tag


def _read(blobs: _Blobs, digest: Digest) -> bytes:
    try:
        with open(blobs.path(digest), "rb") as file:
            return file.read(documents.CAP + 1)
    except FileNotFoundError:
        raise refusals.manifest_unknown(digest) from None
