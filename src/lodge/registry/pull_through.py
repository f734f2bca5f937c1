"""A registry that fills itself from another one when it is asked: a cache for a team, or for a bad line.

Tags are compared with the other side once in a while, and served as they are when it can't be reached. A
blob is downloaded once however many ask, goes to its clients as it arrives, and resumes where it broke off,
also after a restart. Talks through `lodge.distribution`, whose calls block and so run in threads.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from lodge.distribution.answers import RegistryError
from lodge.distribution.credentials import Credentials
from lodge.distribution.registries import Places, Registries
from lodge.distribution.repository import BlobStream
from lodge.distribution.settings import RegistryEntry, RegistrySettings
from lodge.distribution.transport import Broken
from lodge.errors import Corrupt, InvalidArgument, LodgeError, Unavailable
from lodge.registry import documents, refusals
from lodge.registry.directory import Directory
from lodge.registry.incoming import Incoming
from lodge.registry.repository import Repository
from lodge.registry.service import Threads
from lodge.registry.targets import is_tag
from lodge.registry.uploads import Upload
from lodge.spec.digest import Digest
from lodge.spec.reference import Reference

_PIECE = 1 << 20
_ATTEMPTS = 5
_FRESH = 60.0


class PullThrough:
    """See `service.Upstream`. `url` is the other registry: https://host, http://host, or an image domain."""

    def __init__(
        self,
        url: str,
        directory: Directory,
        threads: Threads,
        *,
        credentials: Credentials | None = None,
        ca: str = "",
        fresh: float = _FRESH,
    ) -> None:
        self._domain, settings = _settings(url, ca)
        directory.make_cache(self._domain)
        self._registries = Registries(settings)
        self._directory = directory
        self._threads = threads
        self._credentials = credentials
        self._fresh = fresh
        self._checked: dict[tuple[str, str], float] = {}
        self._coming: dict[tuple[str, Digest], Incoming] = {}

    async def manifest(self, name: str, reference: str) -> None:
        """See Upstream."""
        repository = self._directory.find(name)
        known = repository.contents.find(reference) if repository is not None else None
        if known is not None and (not is_tag(reference) or self._is_fresh(name, reference)):
            return
        try:
            await self._threads.call(self._bring, name, reference, known)
        except RegistryError as error:
            if error.refusal.status in (401, 403, 404):
                raise refusals.manifest_unknown(reference) from None
            if known is None:
                raise
        except (Unavailable, Corrupt):
            if known is None:
                raise
        if len(self._checked) > 100_000:
            self._checked.clear()
        self._checked[name, reference] = time.monotonic()

    def _is_fresh(self, name: str, tag: str) -> bool:
        return time.monotonic() - self._checked.get((name, tag), -self._fresh) < self._fresh

    def _bring(self, name: str, reference: str, known: Digest | None) -> None:
        """In a thread: take over a manifest, unless it is the one that is here."""
        places = self._places(name)
        if known is not None:
            there = places.resolve(reference)
            if there is not None and there.digest == known:
                return
        found = places.manifest(reference)
        document = documents.read(found.data, found.descriptor.media_type)
        repository = self._directory.find(name) or self._directory.make(name)
        tags = (reference,) if is_tag(reference) else ()
        repository.put(found.descriptor.id, found.data, document, tags, complete=False)

    async def size(self, name: str, digest: Digest) -> int:
        """See Upstream."""
        found = await self._threads.call(self._size, name, digest)
        if found is None or found < 0:
            raise refusals.blob_unknown(digest)
        return found

    def _size(self, name: str, digest: Digest) -> int | None:
        # several places may hold it; the answer's head says how large it is
        try:
            with self._places(name).blob(digest) as stream:
                return stream.size
        except RegistryError as error:
            if error.refusal.status in (401, 403, 404):
                return None
            raise

    async def blob(self, name: str, digest: Digest) -> Incoming:
        """See Upstream."""
        incoming = self._coming.get((name, digest))
        if incoming is None:
            incoming = self._coming[name, digest] = Incoming()
            work = self._threads.start(self._download, name, digest, incoming)
            work.add_done_callback(lambda _: self._coming.pop((name, digest), None))
        await incoming.begun()
        return incoming

    def _download(self, name: str, digest: Digest, incoming: Incoming) -> None:
        try:
            repository = self._fill(name, digest, incoming)
            incoming.found(repository.blobs.size(digest) or 0, repository.blobs.path(digest))
        except RegistryError as error:
            gone = error.refusal.status in (401, 403, 404)
            incoming.ended(refusals.blob_unknown(digest) if gone else error)
        except refusals.Refusal:
            incoming.ended(Corrupt(f"the registry that this one pulls through sent other bytes for {digest}"))
        except (LodgeError, OSError) as error:
            incoming.ended(error)
        else:
            incoming.ended(None)

    def _fill(self, name: str, digest: Digest, incoming: Incoming) -> Repository:
        places, failures = self._places(name), 0
        stream = places.blob(digest)  # asked before anything is made here for a name that nobody has
        repository = self._directory.find(name) or self._directory.make(name)
        upload = Upload.continued(repository, digest)
        try:
            if upload.offset:
                stream.close()
                stream = places.blob(digest, start=upload.offset)
            while True:
                before = upload.offset
                try:
                    with stream:
                        _take(stream, upload, incoming)
                    break
                except Broken:
                    failures = 1 if upload.offset > before else failures + 1
                    if failures >= _ATTEMPTS:
                        raise
                    time.sleep(0.2 * 2**failures)
                    stream = places.blob(digest, start=upload.offset)
            upload.finish(digest)
        finally:
            upload.close()
        return repository

    def _places(self, name: str) -> Places:
        return self._registries.repository(Reference(self._domain, name), self._credentials)

    def close(self) -> None:
        """Close connections."""
        self._registries.close()


def _take(stream: BlobStream, upload: Upload, incoming: Incoming) -> None:
    """Read what one connection brings."""
    if stream.start != upload.offset:
        upload.restart()
    if stream.size is not None and stream.size >= 0:
        incoming.found(stream.size, upload.path)
    while piece := stream.read(_PIECE):
        upload.append((piece,))
        incoming.tell(upload.offset)


def _settings(url: str, ca: str) -> tuple[str, RegistrySettings]:
    """The domain of images there, and how it is reached."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/") or parts.username:
        raise InvalidArgument(f"invalid registry to pull through: {url!r}")
    entry = RegistryEntry(plain_http=parts.scheme == "http", ca=ca)
    return parts.netloc, RegistrySettings(registries={parts.netloc: entry})
